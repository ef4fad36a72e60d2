//! The last sentence of a process that failed: in the format of its log, for whoever collects that reads it, too.

use std::io::Write;

use serde_json::json;
use service::Variables;

/// Writes why the process ends to standard error.
pub fn tell(problem: &anyhow::Error) {
    let is_json = Variables::of_process().text("SALDO_LOG_FORMAT") == Some("json");
    // Whoever read it may have gone: no reason for a panic.
    drop(writeln!(std::io::stderr(), "{}", line(problem, is_json)));
}

fn line(problem: &anyhow::Error, is_json: bool) -> String {
    let sentence = format!("error: {problem:#}");
    if !is_json {
        return sentence;
    }
    let timestamp = jiff::Timestamp::now().to_string();
    json!({"timestamp": timestamp, "level": "ERROR", "fields": {"message": sentence}, "target": "saldo"}).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sentence_is_a_line_of_the_log() {
        let problem = anyhow::anyhow!("a \"quoted\"\nword").context("it failed");
        assert_eq!(line(&problem, false), "error: it failed: a \"quoted\"\nword");
        let json: serde_json::Value = serde_json::from_str(&line(&problem, true)).unwrap();
        assert_eq!(json["fields"]["message"], "error: it failed: a \"quoted\"\nword");
        assert!(!line(&problem, true).contains('\n'));
    }
}

//! What nats-server said before it ended: the sentence for a person.

use std::{
    fs::File,
    io::{Read, Seek, SeekFrom},
    path::Path,
};

use super::ServerSettings;

/// How much of the log's end is looked at.
const TAIL_BYTES: u64 = 16 * 1024;

/// The last words of this server.
pub fn last_words(settings: &ServerSettings) -> String {
    let read = |file: &Path| tail(file).unwrap_or_default();
    choose(&read(&settings.early_file()), &read(&settings.log_file()))
}

/// What was said outside the log (before it is open, or in a crash), else the log's last fatal or error line.
fn choose(outside: &str, log: &str) -> String {
    let outside = outside.lines().find(|line| !line.trim().is_empty()).map(str::trim);
    let fatal = log.lines().rev().find_map(|line| line.split_once("[FTL] "));
    let error = || log.lines().rev().find_map(|line| line.split_once("[ERR] "));
    outside.or_else(|| fatal.or_else(error).map(|(_, words)| words)).unwrap_or("it said nothing").to_owned()
}

fn tail(log: &Path) -> std::io::Result<String> {
    let mut file = File::open(log)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(TAIL_BYTES)))?;
    let mut bytes = Vec::new();
    file.take(TAIL_BYTES).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fatal_line_tells_more_than_what_follows_it() {
        let log = "[1] 2026/01/01 [INF] a\n[1] 2026/01/01 [FTL] no room\n[1] 2026/01/01 [INF] bye\n";
        assert_eq!(choose("", log), "no room");
        assert_eq!(choose("nats-server: bad flag\n", log), "nats-server: bad flag");
        assert_eq!(choose("\n", ""), "it said nothing");
    }
}

//! Counts over all test binaries, read from what `cargo test` prints.

use crate::run::Outcome;

/// How many binaries the closing table names.
const SLOWEST_SHOWN: usize = 8;

/// What has been counted so far.
#[derive(Debug, Default)]
pub struct Tally {
    /// Tests that passed.
    pub passed: u64,
    /// Tests that failed.
    pub failed: u64,
    /// Tests that did not run.
    pub ignored: u64,
    /// The binary whose results come next.
    current: String,
    /// Seconds by binary.
    times: Vec<(f64, String)>,
}

impl Tally {
    /// Takes one line of the output.
    pub fn read(&mut self, line: &str) {
        if let Some(name) = started(line) {
            self.current = name;
        }
        let Some(counts) = line.strip_prefix("test result: ") else { return };
        self.passed += number_before(counts, " passed");
        self.failed += number_before(counts, " failed");
        self.ignored += number_before(counts, " ignored");
        if let Some(seconds) = seconds(counts) {
            self.times.push((seconds, self.current.clone()));
        }
    }

    /// Whether all is well: every test ran and passed, and there were some.
    pub fn verdict(&self) -> Outcome {
        match self {
            Self { failed: 1.., .. } => Err(format!("{} tests failed", self.failed)),
            Self { ignored: 1.., .. } => Err(format!("{} tests are ignored; a test runs or is deleted", self.ignored)),
            Self { passed: 0, .. } => Err("no test ran".to_owned()),
            _ => Ok(()),
        }
    }

    /// Which binaries took longest.
    pub fn print_slowest(&self) {
        let mut times = self.times.clone();
        times.sort_by(|one, other| other.0.total_cmp(&one.0));
        for (seconds, name) in times.iter().take(SLOWEST_SHOWN) {
            println!("{seconds:>8.1} s    of the tests: {name}");
        }
    }
}

/// The name of the test binary that begins with this line.
fn started(line: &str) -> Option<String> {
    let line = line.trim_start();
    if let Some(crate_name) = line.strip_prefix("Doc-tests ") {
        return Some(format!("{crate_name} (documentation)"));
    }
    let rest = line.strip_prefix("Running ")?;
    let (source, binary) = rest.rsplit_once(" (")?;
    let file = binary.trim_end_matches(')').rsplit('/').next()?;
    let name = file.rsplit_once('-').map_or(file, |(name, _)| name);
    Some(format!("{name} ({})", source.trim_start_matches("unittests ")))
}

/// The number before a word, as in `12 passed`.
fn number_before(text: &str, word: &str) -> u64 {
    let Some((before, _)) = text.split_once(word) else { return 0 };
    before
        .rsplit(|character: char| !character.is_ascii_digit())
        .next()
        .and_then(|digits| digits.parse().ok())
        .unwrap_or(0)
}

/// The seconds in `finished in 1.23s`.
fn seconds(text: &str) -> Option<f64> {
    let (_, rest) = text.split_once("finished in ")?;
    rest.trim_end().trim_end_matches('s').parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(lines: &[&str]) -> Tally {
        let mut tally = Tally::default();
        lines.iter().for_each(|line| tally.read(line));
        tally
    }

    #[test]
    fn results_of_all_binaries_are_added_up() {
        let tally = tally(&[
            "     Running unittests src/lib.rs (target/debug/deps/ledger-0f3a)",
            "test money::parses ... ok",
            "test result: ok. 12 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.52s",
            "     Running tests/it/main.rs (target/debug/deps/it-77aa)",
            "test result: FAILED. 3 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 4.00s",
            "   Doc-tests ledger",
            "test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.10s",
        ]);
        assert_eq!((tally.passed, tally.failed, tally.ignored), (16, 2, 0));
        let names: Vec<&str> = tally.times.iter().map(|(_, name)| name.as_str()).collect();
        assert_eq!(names, ["ledger (src/lib.rs)", "it (tests/it/main.rs)", "ledger (documentation)"]);
    }

    #[test]
    fn the_verdict_is_good_only_when_tests_ran_and_all_passed() {
        let ok = "test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.10s";
        let failed =
            "test result: FAILED. 1 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.10s";
        let ignored = "test result: ok. 1 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.10s";
        assert!(tally(&[ok]).verdict().is_ok());
        assert!(tally(&[ok, failed]).verdict().is_err());
        assert!(tally(&[ok, ignored]).verdict().is_err());
        assert!(tally(&[]).verdict().is_err());
    }
}

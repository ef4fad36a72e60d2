//! What callers saw in a round.

use std::{collections::BTreeMap, time::Duration};

/// How often something was seen, and the longest that a caller waited for it.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    count: u64,
    longest: Duration,
}

/// What callers saw, and how long it took until all was well again.
#[derive(Clone, Debug, Default)]
pub struct Report {
    seen: BTreeMap<String, Seen>,
    durations: Vec<(&'static str, Duration)>,
}

impl Report {
    /// A caller got `what` (such as `POST 503 log_unavailable`) after `waited`.
    pub fn saw(&mut self, what: String, waited: Duration) {
        let seen = self.seen.entry(what).or_default();
        seen.count += 1;
        seen.longest = seen.longest.max(waited);
    }

    /// From the failure (or, for a pause, from its end) until a new launch was acknowledged and read back.
    pub fn well_again_after(&mut self, duration: Duration) {
        self.took("until all was well again", duration);
    }

    /// Anything else whose shortest, median and longest duration is of interest.
    pub fn took(&mut self, what: &'static str, duration: Duration) {
        self.durations.push((what, duration));
    }

    /// Whether some caller saw something that has `part` in it.
    pub fn has_seen(&self, part: &str) -> bool {
        self.seen.keys().any(|what| what.contains(part))
    }

    /// How many posts were taken, and how many were not although nothing was wrong with them.
    pub fn posts(&self) -> (u64, u64) {
        let of = |outcomes: &[&str]| {
            let is_one = |what: &str| outcomes.iter().any(|outcome| what.starts_with(outcome));
            self.seen.iter().filter(|(what, _)| is_one(what)).map(|(_, seen)| seen.count).sum()
        };
        (of(&["POST 20"]), of(&["POST 5", "POST connection", "POST no answer"]))
    }

    /// The longest that any caller waited.
    pub fn longest_wait(&self) -> Duration {
        self.seen.values().map(|seen| seen.longest).max().unwrap_or_default()
    }

    /// Takes over what another one has.
    pub fn add(&mut self, other: Self) {
        for (what, seen) in other.seen {
            let own = self.seen.entry(what).or_default();
            own.count += seen.count;
            own.longest = own.longest.max(seen.longest);
        }
        self.durations.extend(other.durations);
    }

    /// Prints the lines that `cargo xtask chaos` reads: tab-separated, times in milliseconds.
    pub fn print(&self) {
        for (what, seen) in &self.seen {
            println!("chaos-saw\t{what}\t{}\t{}", seen.count, seen.longest.as_millis());
        }
        for (what, duration) in &self.durations {
            println!("chaos-took\t{what}\t{}", duration.as_millis());
        }
    }
}

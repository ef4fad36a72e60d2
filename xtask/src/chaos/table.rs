//! What callers saw, added up over all rounds of a scenario.

use std::collections::BTreeMap;

/// Everything that rounds have reported, by scenario.
#[derive(Default)]
pub struct Table(BTreeMap<String, Scenario>);

#[derive(Default)]
struct Scenario {
    rounds: u64,
    failed: u64,
    /// How often, and the longest wait in milliseconds.
    seen: BTreeMap<String, (u64, u64)>,
    /// Durations in milliseconds.
    took: BTreeMap<String, Vec<u64>>,
}

impl Table {
    /// Takes the report lines out of what a round has printed.
    pub fn add(&mut self, scenario: &str, printed: &str, is_good: bool) {
        let scenario = self.0.entry(scenario.to_owned()).or_default();
        scenario.rounds += 1;
        scenario.failed += u64::from(!is_good);
        printed.lines().for_each(|line| scenario.add(line));
    }

    /// Prints a table for each scenario.
    pub fn print(&self) {
        for (name, scenario) in &self.0 {
            println!("\n{name}: {} rounds, {} failed", scenario.rounds, scenario.failed);
            for (what, (count, longest_ms)) in &scenario.seen {
                println!("{count:>10}  {what:<44}longest wait {}", seconds(*longest_ms));
            }
            for (what, all) in &scenario.took {
                let mut sorted = all.clone();
                sorted.sort_unstable();
                let at = |index: usize| seconds(sorted.get(index).copied().unwrap_or(0));
                let (median, last) = (sorted.len() / 2, sorted.len().saturating_sub(1));
                println!("{:>10}  {what:<44}min {} median {} max {}", sorted.len(), at(0), at(median), at(last));
            }
        }
    }
}

impl Scenario {
    fn add(&mut self, line: &str) {
        // The harness begins a line of its own before the first one.
        let Some(at) = line.find("chaos-") else { return };
        let fields: Vec<&str> = line[at..].split('\t').collect();
        let number = |text: &str| text.parse::<u64>().unwrap_or(0);
        match fields.as_slice() {
            ["chaos-saw", what, count, longest_ms] => {
                let seen = self.seen.entry((*what).to_owned()).or_default();
                *seen = (seen.0 + number(count), seen.1.max(number(longest_ms)));
            }
            ["chaos-took", what, took_ms] => self.took.entry((*what).to_owned()).or_default().push(number(took_ms)),
            _ => {}
        }
    }
}

fn seconds(milliseconds: u64) -> String {
    format!("{}.{:03} s", milliseconds / 1_000, milliseconds % 1_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_of_rounds_add_up() {
        let mut table = Table::default();
        table.add("kill", "test x ... chaos-saw\tPOST 201\t3\t40\nchaos-took\twell again\t900\nother\n", true);
        table.add("kill", "chaos-saw\tPOST 201\t2\t70\n", false);
        let scenario = &table.0["kill"];
        assert_eq!((scenario.rounds, scenario.failed), (2, 1));
        assert_eq!(scenario.seen["POST 201"], (5, 70));
        assert_eq!(scenario.took["well again"], [900]);
    }
}

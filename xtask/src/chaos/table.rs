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
            scenario.lines().for_each(|line| println!("{line}"));
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

    /// What was seen, then what took time, in columns.
    fn lines(&self) -> impl Iterator<Item = String> {
        let longest = self.seen.keys().chain(self.took.keys()).map(String::len).max();
        let width = longest.unwrap_or(0) + 2;
        let seen = self.seen.iter().map(move |(what, (count, longest_ms))| {
            format!("{count:>10}  {what:<width$}longest wait {}", seconds(*longest_ms))
        });
        let took = self.took.iter().map(move |(what, all)| {
            let mut sorted = all.clone();
            sorted.sort_unstable();
            let at = |index: usize| seconds(sorted.get(index).copied().unwrap_or(0));
            let (median, last) = (sorted.len() / 2, sorted.len().saturating_sub(1));
            format!("{:>10}  {what:<width$}min {} median {} max {}", sorted.len(), at(0), at(median), at(last))
        });
        seen.chain(took)
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

    #[test]
    fn the_longest_name_stands_apart_from_its_figures() {
        let mut table = Table::default();
        let what = "until well after whatever happened, of_a_failure_with_a_long_name";
        table.add("long", &format!("chaos-saw\tPOST 201\t3\t40\nchaos-took\t{what}\t900\n"), true);
        let lines: Vec<String> = table.0["long"].lines().collect();
        assert_eq!(lines[0], format!("         3  {:<1$}  longest wait 0.040 s", "POST 201", what.len()));
        assert_eq!(lines[1], format!("         1  {what}  min 0.900 s median 0.900 s max 0.900 s"));
    }
}

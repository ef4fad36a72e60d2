//! Figures as a table for people and as JSON for programs.

use std::{fmt::Write as _, fs, path::Path};

use anyhow::Context;
use serde::Serialize;

use crate::{
    figures::{Latency, hundredths},
    machine::Machine,
};

/// Everything that one run has measured.
#[derive(Serialize)]
pub struct Report {
    machine: Machine,
    seed: u64,
    quick: bool,
    partitions: u16,
    figures: Vec<Figure>,
}

/// One figure.
#[derive(Clone, Debug, Serialize)]
pub struct Figure {
    /// What was measured, and how.
    pub name: String,
    /// Of what.
    pub unit: &'static str,
    /// Saldo's.
    pub saldo: u64,
    /// Measured beside it, or quoted.
    pub reference: Option<Reference>,
    /// What it should be at least (or at most).
    pub goal: Option<Goal>,
    /// Percentiles, where latency is the question.
    pub latency: Option<Latency>,
    /// What else has to be known to read the figure.
    pub notes: String,
}

/// What Saldo is measured beside.
#[derive(Clone, Debug, Serialize)]
pub struct Reference {
    /// Which.
    pub name: String,
    /// Its figure.
    pub figure: u64,
}

/// When a figure is good.
#[derive(Clone, Copy, Debug, Serialize)]
pub enum Goal {
    /// At least so many hundredths of the reference.
    HundredthsOfReference(u64),
    /// At least this, and so many hundredths of the reference.
    AtLeast {
        /// The figure.
        figure: u64,
        /// Of the reference.
        hundredths: u64,
    },
    /// At most this.
    AtMost(u64),
    /// At most so many hundredths of the reference.
    AtMostHundredthsOfReference(u64),
}

impl Figure {
    /// Hundredths of the reference.
    fn ratio(&self) -> Option<u64> {
        self.reference.as_ref().and_then(|reference| hundredths(self.saldo, reference.figure))
    }

    fn is_good(&self) -> Option<bool> {
        let ratio = self.ratio().unwrap_or(0);
        self.goal.map(|goal| match goal {
            Goal::HundredthsOfReference(least) => ratio >= least,
            Goal::AtLeast { figure, hundredths } => self.saldo >= figure && ratio >= hundredths,
            Goal::AtMost(most) => self.saldo <= most,
            Goal::AtMostHundredthsOfReference(most) => self.ratio().is_some_and(|ratio| ratio <= most),
        })
    }
}

impl Report {
    /// Nothing measured yet.
    pub fn new(machine: Machine, seed: u64, quick: bool, partitions: u16) -> Self {
        Self { machine, seed, quick, partitions, figures: Vec::new() }
    }

    /// Adds figures and tells them at once: a run takes minutes.
    pub fn add(&mut self, figures: Vec<Figure>) {
        for figure in &figures {
            eprintln!("  {}: {} {}", figure.name, grouped(figure.saldo), figure.unit);
        }
        self.figures.extend(figures);
    }

    /// The table.
    pub fn table(&self) -> String {
        let mut table = self.machine.describe();
        let length = if self.quick { "quick (not to be quoted)" } else { "whole" };
        let _in_memory = writeln!(table, "Run: {length}, seed {}, {} lanes.\n", self.seed, self.partitions);
        table.push_str(
            "| figure | Saldo | reference | ratio | goal | reached | notes |\n|---|---|---|---|---|---|---|\n",
        );
        for figure in &self.figures {
            let _in_memory = writeln!(table, "{}", row(figure));
        }
        table
    }

    /// Writes all of it as JSON.
    pub fn write_json(&self, file: &Path) -> anyhow::Result<()> {
        let text = serde_json::to_string_pretty(self)?;
        if let Some(folder) = file.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))
    }
}

fn row(figure: &Figure) -> String {
    let Figure { name, unit, saldo, reference, goal, latency, notes } = figure;
    let none = || "–".to_owned();
    let reference = reference.as_ref().map_or_else(none, |r| format!("{}: {}", r.name, grouped(r.figure)));
    let ratio = figure.ratio().map_or_else(none, decimal);
    let reached = figure.is_good().map_or("–", |good| if good { "yes" } else { "**no**" });
    let goal = goal.map_or_else(none, |goal| match goal {
        Goal::HundredthsOfReference(least) => format!("{} of it", decimal(least)),
        Goal::AtLeast { figure, hundredths: 0 } => grouped(figure),
        Goal::AtLeast { figure, hundredths } => format!("{} and {} of it", grouped(figure), decimal(hundredths)),
        Goal::AtMost(most) => format!("at most {}", grouped(most)),
        Goal::AtMostHundredthsOfReference(most) => format!("at most {} of it", decimal(most)),
    });
    let percentiles = latency.map_or_else(String::new, percentiles);
    format!(
        "| {name} | {} {unit} | {reference} | {ratio} | {goal} | {reached} | {percentiles}{notes} |",
        grouped(*saldo)
    )
}

fn percentiles(latency: Latency) -> String {
    let Latency { p50_us, p90_us, p99_us, p999_us, max_us, .. } = latency;
    let [p50, p90, p99, p999, max] = [p50_us, p90_us, p99_us, p999_us, max_us].map(|us| decimal(us / 10));
    format!("p50 {p50} ms, p90 {p90} ms, p99 {p99} ms, p99.9 {p999} ms, longest {max} ms; ")
}

/// Hundredths with a point.
fn decimal(hundredths: u64) -> String {
    format!("{}.{:02}", hundredths / 100, hundredths % 100)
}

/// Digits in groups of three.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figure(saldo: u64, reference: u64, goal: Goal) -> Figure {
        let reference = Some(Reference { name: "other".to_owned(), figure: reference });
        let (name, notes) = ("name".to_owned(), "notes".to_owned());
        Figure { name, unit: "launches/s", saldo, reference, goal: Some(goal), latency: None, notes }
    }

    #[test]
    fn a_goal_needs_both_the_figure_and_the_ratio() {
        let goal = Goal::AtLeast { figure: 25_000, hundredths: 170 };
        assert_eq!(figure(25_500, 15_000, goal).is_good(), Some(true));
        assert_eq!(figure(25_000, 15_000, goal).is_good(), Some(false));
        assert_eq!(figure(24_999, 10_000, goal).is_good(), Some(false));
        assert_eq!(figure(85, 100, Goal::HundredthsOfReference(85)).is_good(), Some(true));
        assert_eq!(figure(49, 0, Goal::AtMost(48)).is_good(), Some(false));
    }

    #[test]
    fn a_row_shows_figures_as_people_read_them() {
        let row = row(&figure(1_234_567, 1_000_000, Goal::HundredthsOfReference(40)));
        assert_eq!(row, "| name | 1,234,567 launches/s | other: 1,000,000 | 1.23 | 0.40 of it | yes | notes |");
    }

    #[test]
    fn latencies_are_milliseconds() {
        let latency = Latency { count: 1, p50_us: 1_239, p90_us: 2_000, p99_us: 25_000, p999_us: 30_000, max_us: 5 };
        assert!(percentiles(latency).starts_with("p50 1.23 ms, p90 2.00 ms, p99 25.00 ms"));
    }
}

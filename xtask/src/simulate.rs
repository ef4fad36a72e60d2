//! `cargo xtask simulate`: the protocol's simulation, with as many seeds as one wants.

use crate::run::{Outcome, cargo, run};

/// Runs the simulation with the arguments given.
pub fn simulate(arguments: &[String]) -> Outcome {
    run(cargo(&["run", "--release", "--package", "protocol", "--example", "simulate", "--"]).args(arguments))
}

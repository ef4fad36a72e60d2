//! How a store's tables are read for readers: algorithms that decide what is asked for next, over traits that ask.
//!
//! The stores run them against their databases, the simulation against tables that change between two asks.

pub mod buckets;
pub mod moment;
pub mod near;
pub mod page;
pub mod spans;

use ledger::{BusinessDate, Grain};

/// Which rows a reader wants: inclusive ranges of row starts by grain.
pub type Ranges = [(Grain, BusinessDate, BusinessDate)];

//! The write and read protocol as pure state machines: what a worker does with the log, what a query may answer.
//!
//! Promise: no I/O, no clock, no task. Time, messages and answers of the store are arguments; what is to be done comes
//! back as values. The services drive these machines with real I/O, the simulation drives the same code with a log and a
//! store that crash, delay, reorder and lose.

pub mod commit;
pub mod deduplication;
pub mod high_water;
pub mod lane;
pub mod leases;
pub mod load;
pub mod log;
pub mod missing;
pub mod notice;
pub mod parked;
pub mod position;
pub mod publishing;
pub mod query;
pub mod reading;
pub mod simulation;
pub mod store_reading;
pub mod worker;

//! The worker alone: an atomic store, no faults, every way to cut a log into messages and commits; and what the simulation
//! has no reason to do (damaged rows, floods, other logs).

mod alone;
mod cuts;
mod damage;
mod memory;
mod parsing;
mod windows;

//! The query service as callers meet it: real sockets, a real NATS server, the embedded store.
#![expect(clippy::unwrap_used, clippy::panic, reason = "in a test this is how a failure is told")]

mod accounts;
mod conditional;
mod days;
mod fairness;
mod freshness;
mod launches;
mod notices;
mod positions;
mod refusals;
mod short;
mod start_and_stop;
mod store_trouble;
mod world;

//! Ingest against a real NATS server and real sockets.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests fail the test")]

mod bulks;
mod clients;
mod dates;
mod fairness;
mod log_changes;
mod many;
mod outage;
mod short;
mod singles;
mod stop;
mod support;

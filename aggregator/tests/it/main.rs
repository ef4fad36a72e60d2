//! The aggregator against a real NATS server and a real embedded store.
#![expect(clippy::unwrap_used, reason = "a test fails where it stands")]

mod breaking;
mod folding;
mod log_changes;
mod operating;
mod poison;
mod support;

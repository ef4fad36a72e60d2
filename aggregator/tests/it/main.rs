//! The aggregator against a real NATS server, a real embedded store and a real CQL server.
#![expect(clippy::unwrap_used, reason = "a test fails where it stands")]

mod breaking;
mod cql;
mod folding;
mod log_changes;
mod log_damage;
mod operating;
mod poison;
mod resting;
mod support;
mod waking_late;

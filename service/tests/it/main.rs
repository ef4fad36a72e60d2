//! The HTTP server against real sockets: what every service promises, whatever it serves.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests fail the test")]

mod closing;
mod edge;
mod errors;
mod hosts;
mod server;
mod short;
mod stop;
mod support;

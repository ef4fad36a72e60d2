//! The real binary, as a person runs it: real processes, real signals, real folders.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

mod damaged_store;
mod demo;
mod environment;
mod full_log;
mod handles;
mod http;
mod life;
mod log_name;
mod pipeline;
mod refusals;
mod services;
mod silent_log;
mod tenants;
mod waiting;

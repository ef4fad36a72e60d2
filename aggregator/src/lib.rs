//! The aggregator: folds the lanes of the log into balances and journals in the store.
//!
//! Promise: every launch on the log counts exactly once, whatever crashes, stalls, or is done twice; what cannot be applied
//! is parked and counted, and never stops a lane; what is read ahead or held is bounded in bytes; and while the store or the
//! log is away, the lanes wait for it, say so, and go on by themselves.
//!
//! The rules stand in [`protocol::worker`], a state machine without I/O. This crate drives one for each lane.
//! Where several aggregators share a log, [`protocol::leases`] spreads the lanes over them.

mod compute;
mod config;
mod fail_point;
mod http;
mod keeper;
mod lane;
mod lanes;
mod log_watch;
mod metrics;
mod run;
mod selection;
mod status;
mod store_gate;
mod strays;
mod threads;
mod voice;

pub use config::{AggregatorConfig, LeaseConfig};
pub use fail_point::{FailPoint, FailPointError, FailPoints};
pub use run::{Dependencies, run};
pub use selection::Workers;
pub use threads::Threads;

//! What an aggregator tells `/metrics`.

mod families;
mod lane;

pub(crate) use families::{Metrics, ModeMetrics, ParkFailure, RestartReason};
pub(crate) use lane::LaneMetrics;

//! What every loop does that talks to something that can fail: growing delays, a circuit breaker, an orderly end.
//!
//! Promise: nothing here retries for ever without the caller saying so, and every wait ends when the process is asked to
//! stop. The crate `backoff` is known only here.

mod backoff;
mod breaker;
mod retrying;
mod shutdown;

pub use crate::backoff::{Backoff, doubled_delay};
pub use breaker::{BreakerSettings, BreakerState, CircuitBreaker};
pub use retrying::{RetryError, retry};
pub use shutdown::Shutdown;

//! What every service does alike: configuration from variables, telemetry, the HTTP server, who the caller is, problem
//! details, health and metrics.
//!
//! Promise: whatever a caller sends, a service answers with a request id and, when it refuses, with a problem that is
//! explained in `docs/errors.md`; it never waits for a client without a bound; and it stops within a deadline without
//! cutting a request that it had taken.

pub mod auth;
pub mod config;
pub mod fair;
pub mod health;
pub mod http;
pub mod metrics;
pub mod problem;
pub mod telemetry;

pub use auth::{Authenticator, Caller, TrustedCallers};
pub use config::{ConfigError, Variables};
pub use fair::FairPool;
pub use health::Readiness;
pub use http::{HttpLimits, serve};
pub use metrics::HttpMetrics;
pub use problem::{Problem, ProblemKind};

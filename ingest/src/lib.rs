//! Ingest: launches come in by HTTP and stand on the log when they are acknowledged.
//!
//! Promise: what is answered as accepted is on disk in the log; what is answered 503 as not written is certainly not
//! there; and where neither is known, the answer says so and repeating it is safe. Memory does not grow with bodies,
//! clients or time.

mod bulk;
mod clock;
mod config;
mod flight;
mod http;
mod key;
mod lines;
mod looks;
mod made_id;
mod metrics;
mod probe;
mod publish;
mod recent;
mod run;
mod shared;
mod single;
mod tenants;
mod warm;
mod work;

pub use clock::Clock;
pub use config::{BodyConfig, IngestConfig};
pub use recent::RecentConfig;
pub use run::{Dependencies, run};
pub use tenants::{TenantsConfig, TenantsError};
pub use warm::WarmConfig;

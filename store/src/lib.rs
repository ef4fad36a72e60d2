//! The store: where balances, journals and progress are kept, behind one port.
//!
//! Promise: a row is only ever replaced by a newer one (put-if-newer by its stamp), a journal only grows, and a reader
//! sees an account's rows of one moment. Each implementation passes the conformance suite.

pub mod conformance;
mod embedded;
mod encoding;
mod error;
mod page;
mod port;
mod scan;
mod scylla;
mod simulated;
mod wrapper;

pub use embedded::{EmbeddedConfig, EmbeddedFolder, EmbeddedStore};
pub use error::{StoreError, StoreErrorKind, begin_anew};
pub use port::{AccountRead, AccountView, GenerationRecord, LaunchesPage, Store};
pub use scan::scan;
pub use scylla::{Replication, ScyllaConfig, ScyllaConsistency, ScyllaStore, apply_schema};
pub use simulated::MemoryStore;
pub use wrapper::{Call, StoreWrapper};

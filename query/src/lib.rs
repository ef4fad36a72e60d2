//! The query service: consolidated days, ranges, balances and launches by HTTP, from the store and from memory.
//!
//! Promise: no answer looks fresher than it is. Each one says how far the log is applied in it; a reader who demands a
//! position gets it or a refusal, never something older. The rules are those of [`protocol::query`]; this crate drives
//! them with notices, store and sockets; of the log it asks which one it is, and reads no message.
//!
//! | module | what it does |
//! |---|---|
//! | `run` | wires everything, from start to an orderly stop |
//! | `upkeep` | learns the generation from the store, hears notices, looks after the store's health |
//! | `origin` | finds out which log there is and whether the store was filled from it |
//! | `lanes` | one protocol state machine a lane behind a small lock |
//! | `reader` | serves one reader: cache, fill, join, wait |
//! | `flight` | fills: one read of the store for all who want the same |
//! | `read` | what is read from the store, and the JSON that becomes of it |
//! | `refusal` | why a reader gets no answer |
//! | `http` | routes, parameters, cursors, conditional answers |
//! | `metrics` | what a scrape sees besides the answers by route |

mod config;
mod flight;
mod http;
mod lanes;
mod metrics;
mod origin;
mod read;
mod reader;
mod refusal;
mod run;
mod upkeep;

pub use config::QueryConfig;
pub use run::run;

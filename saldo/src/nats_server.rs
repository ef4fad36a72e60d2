//! nats-server as a child process: found, checked, configured, watched, restarted, stopped, and never left behind.
//!
//! | event | what happens |
//! |---|---|
//! | it does not come up at the start | one sentence with its own last words |
//! | it dies later | it is started again, each time after a longer pause |
//! | it runs, but has stopped storing | it is restarted when somebody asks for it: see [`Restart`] |
//! | Saldo is asked to stop | SIGTERM, a while to finish, then SIGKILL |
//! | Saldo is killed | the kernel kills it (Linux): see [`exec_child`] |
//! | another nats-server works with the folder | the start is refused: see [`wait_for_leftover`] |

mod binary;
mod child;
mod config;
mod exec_child;
mod last_words;
mod leftover;
mod ready;
mod supervisor;

pub use binary::find;
pub use config::ServerSettings;
pub use exec_child::exec_child;
pub use leftover::wait_for_leftover;
pub use supervisor::{NatsServer, Restart};

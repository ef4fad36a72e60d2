//! What callers are let loose on.

use super::probes::Probes;
use crate::{client::Client, log::LogAt};

/// What is broken under load: a pipeline of one process, or services of their own. In the end it must agree with its log.
pub trait Tested {
    /// A caller of each query.
    fn clients(&self) -> anyhow::Result<Vec<Client>>;

    /// Its log.
    fn log(&self) -> anyhow::Result<LogAt>;

    /// What was posted to find out whether all is well.
    fn probes(&self) -> &Probes;

    /// SIGTERM, and a successful end of everything.
    async fn stop(&mut self) -> anyhow::Result<()>;
}

//! Over a CQL store: services of their own, one nats-server, one Cassandra, all on the same cores.

mod aggregators;
mod bulk;
mod replay;
mod takeover;

pub use aggregators::run as aggregators;
pub use bulk::{over_few_accounts, over_many_accounts};
pub use replay::run as replay;
pub use takeover::run as takeover;

use super::post;
use crate::{arguments::Run, deployment::Deployment, launches::Launches};

/// Launches of a row: fewer than over the embedded store, for a store that shares the cores takes longer.
fn launches(run: &Run) -> u64 {
    run.bulk_launches() / 2
}

/// A server that has just started interprets its own code for a while: it is given work before anything is measured.
fn warm_up(run: &Run, deployment: &Deployment, series: u64) -> anyhow::Result<()> {
    post::bulk(&deployment.edges, Launches::new(run.seed, series), launches(run) / 2).map(drop)
}

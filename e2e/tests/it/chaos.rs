//! Failures under load: clients that repeat what was not acknowledged and clients that do not, readers whose every answer is
//! recorded, and processes that are killed, stopped and paused meanwhile.
//!
//! | module | |
//! |---|---|
//! | [`tested`] | what can be broken: a stage, or machines |
//! | [`stage`] | the pipeline of a round: killed, started again, its nats-server signalled |
//! | [`machines`] | services of their own over three servers of NATS and one of CQL, or the other way round, any of which breaks |
//! | [`probes`] | launches that show that all is well again |
//! | [`load`] | posting clients and readers, until the failures are over; then the verdict |
//! | [`poster`] | posts, repeats or forgets, and writes down what it was told |
//! | [`book`] | what was posted, and what of it was acknowledged |
//! | [`readers`] | reads days, ranges and balances, and records each answer |
//! | [`history`] | the log, read back by the `nats` CLI, and what it folds to |
//! | [`prefixes`] | which prefixes of the log give an answer |
//! | [`verdict`] | what must hold of book, answers, log and final days |
//! | [`report`] | what callers saw, as lines that `cargo xtask chaos` adds up |
//!
//! Each scenario below is one round: a function of a seed. `cargo xtask test` runs each once; `cargo xtask chaos` runs
//! them by their names, with other seeds, for as long as one wants (then `SALDO_CHAOS_LONG` is set, and outages may be
//! long).

mod bad_clients;
mod book;
mod broker;
mod clocks;
mod crashes;
mod frozen_disks;
mod full_disks;
mod history;
mod kills;
mod load;
mod machines;
mod poison;
mod poster;
mod prefixes;
mod probes;
mod readers;
mod repeats;
mod report;
mod stage;
mod stops;
mod tenants;
mod tested;
mod verdict;
mod wrong_logs;

use std::{env, time::Duration};

use anyhow::Context;
use report::Report;

/// The seed of a round in `cargo xtask test`.
const DEFAULT_SEED: u64 = 1;

/// A table of scenarios: the name by which `cargo xtask chaos --only` knows it, and the function that runs one round.
macro_rules! scenarios {
    ($($name:ident: $round:path,)*) => {
        mod scenario {
            $(
                #[tokio::test(flavor = "multi_thread")]
                async fn $name() -> anyhow::Result<()> {
                    super::run(stringify!($name), $round).await
                }
            )*
        }
    };
}

scenarios! {
    clock_stepped: super::clocks::stepped,
    commit_crashes: super::crashes::commit,
    commit_torn: super::crashes::torn,
    nats_server_away: super::broker::away,
    nats_server_killed: super::broker::killed,
    nats_server_paused: super::broker::paused,
    store_disk_full: super::full_disks::under_the_store,
    store_disk_frozen: super::frozen_disks::under_the_store,
    log_disk_full: super::full_disks::under_the_log,
    disk_full: super::full_disks::under_everything,
    log_bound_reached: super::full_disks::bound_of_the_log,
    log_recreated: super::wrong_logs::recreated,
    log_restored: super::wrong_logs::restored,
    bad_clients: super::bad_clients::broken,
    idle_connections: super::bad_clients::idle,
    machines: super::machines::failures,
    cql_nodes: super::machines::failures_of_cql_nodes,
    poison: super::poison::of_every_kind,
    saldo_killed: super::kills::saldo,
    saldo_stopped: super::stops::saldo,
    same_ndjson: super::repeats::same_ndjson,
    tenants: super::tenants::others,
}

/// Runs one round and prints its report.
async fn run<Round>(name: &str, round: impl FnOnce(u64) -> Round) -> anyhow::Result<()>
where
    Round: Future<Output = anyhow::Result<Report>>,
{
    let seed = variable("SALDO_CHAOS_SEED")?.unwrap_or(DEFAULT_SEED);
    println!("chaos: {name} with seed {seed}");
    let failures = env::var(machines::WANTED).map(|wanted| format!(":{wanted}")).unwrap_or_default();
    let repeat = || format!("repeat it with: cargo xtask chaos --only {name}{failures} --seed {seed} --rounds 1");
    let report = round(seed).await.with_context(repeat)?;
    report.print();
    Ok(())
}

fn variable(name: &str) -> anyhow::Result<Option<u64>> {
    env::var(name).ok().map(|text| text.parse().with_context(|| format!("{name} is a whole number"))).transpose()
}

/// How long an outage lasts: shortened in `cargo xtask test`.
fn outage(short: Duration, long: Duration) -> Duration {
    if is_long() { long } else { short }
}

/// In `cargo xtask test` ingest calls an outcome unknown sooner than by default, for that is what rounds whose log stands
/// still spend most of their time on.
fn patience_of_ingest() -> Vec<(String, String)> {
    let patience = [("SALDO_INGEST_GIVE_UP_MS", "3000")];
    let short = patience.into_iter().filter(|_| !is_long());
    short.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

fn is_long() -> bool {
    env::var_os("SALDO_CHAOS_LONG").is_some()
}

//! The command line.

use std::{path::PathBuf, time::Duration};

use clap::{Args, Parser, Subcommand, ValueEnum};
use protocol::lane::{DEFAULT_PARTITIONS, partitions_of_a_machine};

/// Saldo beside its references, in one run on one machine.
#[derive(Debug, Parser)]
#[command(name = "bench", version)]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub task: Task,
}

/// The tasks.
#[derive(Debug, Subcommand)]
pub enum Task {
    /// Measure
    Run(Run),
    /// Serve one answer over and over: the reference of cached reads, in a process of its own
    #[command(hide = true)]
    StaticServer {
        /// File with the answer as it came over the wire
        #[arg(long)]
        answer: PathBuf,
    },
}

/// What is measured, how long, and with what.
#[derive(Debug, Args)]
pub struct Run {
    /// The binary of Saldo that ships
    #[arg(long)]
    pub saldo: PathBuf,
    /// Folder of PostgreSQL's programs; without it there is no figure of PostgreSQL
    #[arg(long)]
    pub postgres: Option<PathBuf>,
    /// Shorter stretches and smaller bodies: to see that it works, not to quote
    #[arg(long)]
    pub quick: bool,
    /// The rows of a deployment on many machines instead of those of one: they need Java 17 and Cassandra's jars
    #[arg(long)]
    pub cluster: bool,
    /// Only these rows
    #[arg(long, value_enum, value_name = "ROW")]
    pub only: Vec<RowName>,
    /// Seed of all that is random
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Lanes of the log [default: as a new log gets them]
    #[arg(long)]
    partitions: Option<u16>,
    /// Where the figures go as JSON
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
}

/// The rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum RowName {
    /// Single launches by HTTP beside PostgreSQL
    Singles,
    /// NDJSON bulk beside bare packed publishes
    Bulk,
    /// A full log into an empty store beside bare ordered reading
    Replay,
    /// Cached day reads beside a static server
    Reads,
    /// From POST to visible, open model
    Visible,
    /// One tenant's p99 beside another that floods
    Tenants,
    /// Memory a launch
    Memory,
    /// Over a CQL store: NDJSON bulk over 10,000 accounts
    CqlBulkMany,
    /// Over a CQL store: NDJSON bulk over 100 accounts
    CqlBulkFew,
    /// Over a CQL store: a full log into empty tables
    CqlReplay,
    /// Over a CQL store: bulk with one, two, three aggregators
    CqlAggregators,
    /// Over a CQL store: one of three aggregators is killed
    CqlTakeover,
    /// Log in three copies: NDJSON bulk beside bare packed publishes
    ClusterBulk,
    /// Log in three copies: single launches by HTTP
    ClusterSingles,
}

impl RowName {
    /// Whether it is of a deployment on many machines: a CQL store, several aggregators, a log in three copies.
    fn is_of_cluster(self) -> bool {
        match self {
            Self::Singles | Self::Bulk | Self::Replay | Self::Reads | Self::Visible | Self::Tenants | Self::Memory => {
                false
            }
            Self::CqlBulkMany
            | Self::CqlBulkFew
            | Self::CqlReplay
            | Self::CqlAggregators
            | Self::CqlTakeover
            | Self::ClusterBulk
            | Self::ClusterSingles => true,
        }
    }
}

impl Run {
    /// Whether the row is wanted.
    pub fn wants(&self, row: RowName) -> bool {
        if self.only.is_empty() { row.is_of_cluster() == self.cluster } else { self.only.contains(&row) }
    }

    /// Lanes of the log. What is not given is as `saldo up` has it, or `saldo log apply` where rows of a deployment are measured.
    pub fn partitions(&self) -> u16 {
        let of_cluster = || self.cluster || self.only.iter().any(|row| row.is_of_cluster());
        self.partitions.unwrap_or_else(|| {
            let cores = std::thread::available_parallelism().map_or(1, usize::from);
            if of_cluster() { DEFAULT_PARTITIONS } else { partitions_of_a_machine(cores) }
        })
    }

    /// How long a stretch of load is measured.
    pub fn stretch(&self) -> Duration {
        Duration::from_secs(if self.quick { 3 } else { 10 })
    }

    /// How long load runs before it is measured.
    pub fn warm_up(&self) -> Duration {
        Duration::from_secs(if self.quick { 1 } else { 3 })
    }

    /// Launches of a bulk.
    pub fn bulk_launches(&self) -> u64 {
        if self.quick { 400_000 } else { 2_000_000 }
    }
}

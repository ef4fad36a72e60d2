//! The command line. Every option of `up` has a `SALDO_…` variable beside it, see docs/configuration.md.

use std::{ffi::OsString, path::PathBuf};

use clap::{Args, Parser, Subcommand};

/// Exact daily balances of merchants' launches: HTTP in, NATS JetStream as the log, HTTP out.
#[derive(Debug, Parser)]
#[command(name = "saldo", version)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the whole pipeline on this machine: nats-server, ingest, aggregator and query, data in one folder
    Up(UpArguments),
    /// Run ingest alone against a NATS that is running
    Ingest(IngestArguments),
    /// Run the aggregator alone against a NATS and a CQL store that are running
    Aggregator(AggregatorArguments),
    /// Run query alone against a NATS and a CQL store that are running
    Query(QueryArguments),
    /// Look after the tables of the CQL store
    #[command(subcommand)]
    Schema(SchemaCommand),
    /// Look after the log and what belongs to it
    #[command(subcommand)]
    Log(LogCommand),
    /// Post a month of believable launches to a running pipeline and print what it makes of them
    Demo(DemoArguments),
    /// Ask a running service whether it is ready; fails with its own sentence when it is not
    Health(HealthArguments),
    /// Print the version of a time zone's data in this program, as the tenants' file names it
    Zone(ZoneArguments),
    /// Become another program that dies with its parent
    #[command(hide = true)]
    ExecChild(ExecChildArguments),
}

/// `saldo up`. What is not given is taken from the variable, then from the default.
#[derive(Clone, Debug, Default, Args)]
pub struct UpArguments {
    /// Folder for all data, made if absent [SALDO_DATA] [default: ./data]
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Where ingest listens; port 0 takes a free one [SALDO_INGEST] [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDR")]
    pub ingest: Option<String>,
    /// Where query listens [SALDO_QUERY] [default: 127.0.0.1:8081]
    #[arg(long, value_name = "ADDR")]
    pub query: Option<String>,
    /// Where the aggregator's health and metrics are [SALDO_AGGREGATOR] [default: 127.0.0.1:8082]
    #[arg(long, value_name = "ADDR")]
    pub aggregator: Option<String>,
    /// Where nats-server listens; loopback only [SALDO_NATS] [default: 127.0.0.1:4222]
    #[arg(long, value_name = "ADDR")]
    pub nats: Option<String>,
    /// The nats-server to run [SALDO_NATS_SERVER] [default: the one on PATH]
    #[arg(long, value_name = "PATH")]
    pub nats_server: Option<PathBuf>,
    /// Lanes of the log; fixed once the log is made [SALDO_PARTITIONS] [default: what the log has, or the machine's cores, from 2 to 4]
    #[arg(long, value_name = "P")]
    pub partitions: Option<u16>,
}

/// `saldo ingest`.
#[derive(Clone, Debug, Default, Args)]
pub struct IngestArguments {
    /// Where to listen [SALDO_INGEST] [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDR")]
    pub ingest: Option<String>,
    /// The NATS to publish to: servers with commas between [SALDO_NATS] [default: 127.0.0.1:4222]
    #[arg(long, value_name = "SERVERS")]
    pub nats: Option<String>,
}

/// `saldo aggregator`.
#[derive(Clone, Debug, Default, Args)]
pub struct AggregatorArguments {
    /// Where health and metrics are [SALDO_AGGREGATOR] [default: 127.0.0.1:8082]
    #[arg(long, value_name = "ADDR")]
    pub aggregator: Option<String>,
    /// The NATS with the log: servers with commas between [SALDO_NATS] [default: 127.0.0.1:4222]
    #[arg(long, value_name = "SERVERS")]
    pub nats: Option<String>,
}

/// `saldo query`.
#[derive(Clone, Debug, Default, Args)]
pub struct QueryArguments {
    /// Where to listen [SALDO_QUERY] [default: 127.0.0.1:8081]
    #[arg(long, value_name = "ADDR")]
    pub query: Option<String>,
    /// The NATS with the change notices: servers with commas between [SALDO_NATS] [default: 127.0.0.1:4222]
    #[arg(long, value_name = "SERVERS")]
    pub nats: Option<String>,
}

/// `saldo schema`.
#[derive(Clone, Debug, Subcommand)]
pub enum SchemaCommand {
    /// Make the keyspace and its tables, or bring them up to date; may be run again at any time
    Apply,
}

/// `saldo log`.
#[derive(Clone, Debug, Subcommand)]
pub enum LogCommand {
    /// Make the log, the parked stream and the bucket of leases, or bring them up to date; may be run again at any time
    Apply(LogApplyArguments),
    /// Say that the log was restored, from a backup or by a copy: positions and ETags given out before mean nothing from then on
    Restored(LogRestoredArguments),
    /// Raise the log's epoch by one, and put its metadata back where they were damaged
    RaiseEpoch(LogRaiseEpochArguments),
    /// Say which messages of a damaged log are missing, and record exactly these as accepted losses
    AcceptLoss(LogAcceptLossArguments),
}

/// `saldo log accept-loss`.
#[derive(Clone, Debug, Default, Args)]
pub struct LogAcceptLossArguments {
    /// Servers of the NATS that keeps it, with commas between [SALDO_NATS] [default: 127.0.0.1:4222]
    #[arg(long, value_name = "SERVERS")]
    pub nats: Option<String>,
}

/// `saldo log restored`.
#[derive(Clone, Debug, Default, Args)]
pub struct LogRestoredArguments {
    /// Servers of the NATS that keeps it, with commas between [SALDO_NATS] [default: 127.0.0.1:4222]
    #[arg(long, value_name = "SERVERS")]
    pub nats: Option<String>,
}

/// `saldo log raise-epoch`.
#[derive(Clone, Debug, Default, Args)]
pub struct LogRaiseEpochArguments {
    /// The epoch to raise it to, higher than it ever was; needed only where the metadata have lost it
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=200))]
    pub epoch: Option<u8>,
    /// Servers of the NATS that keeps it, with commas between [SALDO_NATS] [default: 127.0.0.1:4222]
    #[arg(long, value_name = "SERVERS")]
    pub nats: Option<String>,
}

/// `saldo log apply`. Copies and bytes come from [SALDO_LOG_REPLICAS] and [SALDO_LOG_MAX_BYTES].
#[derive(Clone, Debug, Default, Args)]
pub struct LogApplyArguments {
    /// Lanes of the log; fixed once the log is made [SALDO_PARTITIONS] [default: what the log has, or 4]
    #[arg(long, value_name = "P")]
    pub partitions: Option<u16>,
    /// Servers of the NATS that keeps it, with commas between [SALDO_NATS] [default: 127.0.0.1:4222]
    #[arg(long, value_name = "SERVERS")]
    pub nats: Option<String>,
}

/// `saldo demo`.
#[derive(Clone, Debug, Args)]
pub struct DemoArguments {
    /// Where ingest answers
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8080")]
    pub ingest_url: String,
    /// Where query answers
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8081")]
    pub query_url: String,
    /// For which tenant
    #[arg(long, default_value = "demo")]
    pub tenant: String,
    /// How many stores
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=1_000))]
    pub stores: u16,
    /// How many days
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u16).range(1..=366))]
    pub days: u16,
    /// First day; the same arguments make the same launches, so that a second run counts nothing twice
    #[arg(long, value_name = "DATE", default_value = "2026-01-01")]
    pub from: String,
    /// Which launches of all that are possible
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
}

/// `saldo health`.
#[derive(Clone, Debug, Args)]
pub struct HealthArguments {
    /// Where the service answers
    #[arg(value_name = "URL")]
    pub url: String,
}

/// `saldo zone`.
#[derive(Clone, Debug, Args)]
pub struct ZoneArguments {
    /// IANA names, such as America/Sao_Paulo
    #[arg(value_name = "ZONE", required = true)]
    pub zones: Vec<String>,
}

/// The hidden verb that nats-server is started through.
#[derive(Clone, Debug, Args)]
pub struct ExecChildArguments {
    /// The process to die with
    #[arg(long)]
    pub parent: i32,
    /// The folder that the program holds locked as long as it runs
    #[arg(long)]
    pub lock: PathBuf,
    /// The program and its arguments
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    pub command: Vec<OsString>,
}

//! How fast a full log is folded into an empty store: launches of 10,000 accounts (or so many as asked for) in turn, packed 1,000 a message, day
//! after day.
//!
//! `cargo run --release -p aggregator --example replay_speed -- [launches] [partitions] [days] [accounts]`

use std::{
    io::Write,
    sync::Arc,
    time::{Duration, Instant},
};

use aggregator::{AggregatorConfig, Dependencies};
use anyhow::Context;
use bytes::Bytes;
use ledger::{Account, AccountKey, Digest, Tenant};
use nats::{
    Batch, Changes, Client, ClientConfig, Log, LogSettings, MessageId, Parked, ParkedSettings, Publisher,
    PublisherConfig,
};
use protocol::lane::partition_of;
use retry::Shutdown;
use store::{EmbeddedConfig, EmbeddedStore, Store};
use testkit::NatsServer;
use tokio::net::TcpListener;

const LAUNCHES_A_MESSAGE: u32 = 1_000;
const POLL: Duration = Duration::from_millis(5);

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let launches: usize = arguments.next().map_or(Ok(1_000_000), |text| text.parse())?;
    let partitions: u16 = arguments.next().map_or(Ok(4), |text| text.parse())?;
    let days: usize = arguments.next().map_or(Ok(1), |text| text.parse())?;
    let accounts: usize = arguments.next().map_or(Ok(10_000), |text| text.parse())?;
    let server = NatsServer::options().without_sync().start()?;
    let client = connect(&server.url()).await?;
    let settings = LogSettings { partitions, replicas: 1, max_bytes: -1, epoch: 1 };
    let log = Log::ensure(&client, &settings).await?;
    let bytes = publish(&log, accounts, launches, launches.div_ceil(days.max(1))).await?;
    let each = bytes / launches;
    println!(
        "published {launches} launches of {each} bytes into {partitions} lanes on {days} days, {accounts} accounts"
    );

    let folder = testkit::temp_folder()?;
    let store: Arc<dyn Store> = Arc::new(EmbeddedStore::open(EmbeddedConfig::new(folder.path().join("store")))?);
    let dependencies = Dependencies {
        changes: Changes::new(client.clone(), 1),
        parked: Parked::ensure(&client, &ParkedSettings { replicas: 1, max_bytes: -1 }).await?,
        log: log.clone(),
        store: Arc::clone(&store),
        leases: None,
        threads: None,
    };
    let duration = replay(dependencies, &log, store.as_ref()).await?;
    let rate = u128::try_from(launches)? * 1_000 / duration.as_millis().max(1);
    println!("replayed in {} ms: {rate} launches/s", duration.as_millis());
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    status.lines().filter(|line| line.starts_with("VmHWM")).for_each(|line| println!("most memory: {line}"));
    Ok(())
}

async fn connect(url: &str) -> anyhow::Result<Client> {
    let config = ClientConfig {
        url: url.to_owned(),
        name: "replay-speed".to_owned(),
        user: None,
        password: None,
        credentials_file: None,
        connect_timeout_ms: 5_000,
    };
    Ok(Client::connect(&config).await?)
}

/// Runs an aggregator until every lane is applied to its end.
async fn replay(dependencies: Dependencies, log: &Log, store: &dyn Store) -> anyhow::Result<Duration> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let shutdown = Shutdown::new();
    let started = Instant::now();
    let config = AggregatorConfig::from_variables(&service::Variables::of_process())?;
    let running = tokio::spawn(aggregator::run(config, listener, dependencies, shutdown.clone()));
    for partition in 0..log.identity().partitions {
        let end = log.lane_end(partition).await?.map_or(0, |message| message.sequence);
        while store.partition_state(partition).await?.progress.map_or(0, |progress| progress.sequence) < end {
            anyhow::ensure!(!running.is_finished(), "the aggregator ended");
            tokio::time::sleep(POLL).await;
        }
    }
    let duration = started.elapsed();
    print_metrics(address).await?;
    shutdown.begin(Duration::from_secs(10));
    running.await??;
    Ok(duration)
}

async fn print_metrics(address: std::net::SocketAddr) -> anyhow::Result<()> {
    let text = reqwest::get(format!("http://{address}/metrics")).await?.text().await?;
    let told =
        ["_commits_total", "_rows_written_total", "_chunks_written_total", "_loads_total", "_commit_seconds_sum"];
    for line in text.lines().filter(|line| !line.starts_with('#') && told.iter().any(|name| line.contains(name))) {
        println!("  {line}");
    }
    Ok(())
}

/// Publishes the launches, account by account in turn; gives their bytes.
async fn publish(log: &Log, accounts: usize, launches: usize, launches_a_day: usize) -> anyhow::Result<usize> {
    let partitions = log.identity().partitions;
    let publisher = Publisher::start(log.clone(), PublisherConfig::default());
    let accounts = account_keys(accounts)?;
    let mut lanes = vec![(Vec::new(), 0_u32); usize::from(partitions)];
    let mut bytes = 0;
    let mut receipts = Vec::new();
    for number in 0..launches {
        let key = accounts.get(number.wrapping_mul(7_919) % accounts.len()).context("an account")?;
        let partition = partition_of(key, partitions);
        let (lines, entries) = lanes.get_mut(usize::from(partition)).context("a lane")?;
        let before = lines.len();
        write_line(lines, key, number, number / launches_a_day + 1)?;
        bytes += lines.len() - before;
        *entries += 1;
        if *entries == LAUNCHES_A_MESSAGE {
            receipts.push(publisher.submit_waiting(partition, batch(std::mem::take(lines), *entries)?).await?);
            *entries = 0;
        }
    }
    for (partition, (lines, entries)) in (0..).zip(lanes) {
        if entries > 0 {
            receipts.push(publisher.submit_waiting(partition, batch(lines, entries)?).await?);
        }
    }
    for receipt in receipts {
        receipt.await?;
    }
    Ok(bytes)
}

fn batch(lines: Vec<u8>, entries: u32) -> anyhow::Result<Batch> {
    let (tenant, message_id) = (Tenant::parse("acme")?, MessageId::Packed(Digest::of(&lines)));
    Ok(Batch { tenant, lines: Bytes::from(lines), entries, message_id })
}

fn account_keys(accounts: usize) -> anyhow::Result<Vec<AccountKey>> {
    let tenant = Tenant::parse("acme")?;
    let key =
        |number| Ok(AccountKey { tenant: tenant.clone(), account: Account::parse(&format!("store-{number:06}"))? });
    (0..accounts).map(key).collect()
}

/// A launch of about 200 bytes.
fn write_line(lines: &mut Vec<u8>, key: &AccountKey, number: usize, day: usize) -> anyhow::Result<()> {
    let (tenant, account) = (&key.tenant, &key.account);
    let kind = if number.is_multiple_of(3) { "debit" } else { "credit" };
    let (units, cents) = (number % 900 + 1, number % 100);
    writeln!(
        lines,
        "{{\"id\":\"launch-{number:09}\",\"tenant\":\"{tenant}\",\"account\":\"{account}\",\"date\":\"2026-11-{day:02}\",\
         \"kind\":\"{kind}\",\"amount\":\"{units}.{cents:02}\",\"currency\":\"BRL\",\"description\":\"sale at the counter, \
         paid by card\",\"category\":\"sales\"}}"
    )?;
    Ok(())
}

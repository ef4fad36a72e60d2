//! How fast the embedded store commits and loads: `cargo run --release -p store --example embedded_speed [seconds]`.
//!
//! Commits of 50,000 launches over 10,000 accounts: day, month and lifetime row of each account, a journal chunk each, the
//! roll-ups, the marks. The days go on, so that loads meet new windows of known accounts as a replay does.

use std::{
    process::ExitCode,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use ledger::{
    Account, AccountKey, Amount, Balance, BusinessDate, Currency, Digest, Fact, Grain, Kind, Place, RowKey, Tenant,
    Totals, WindowKey,
};
use protocol::{
    commit::{AccountBatch, Commit, JournalChunk, Progress, RollupBatch},
    load::{LoadRequest, RowsWanted},
    log::{LogIdentity, LogMark},
};
use store::{EmbeddedConfig, EmbeddedStore, Store};

const ACCOUNTS: u64 = 10_000;
const LAUNCHES_EACH: u32 = 5;
const COMMITS_A_DAY: u64 = 4;
const LINE: &[u8] = br#"{"id":"0190d6f2-7a41-7c55-8e0c-2f1b7b0c9a11","tenant":"acme","account":"store-0017","date":"2026-11-22","kind":"credit","amount":"150.75","currency":"BRL","description":"card sale"}"#;

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

fn main() -> ExitCode {
    match tokio::runtime::Runtime::new().map_err(Into::into).and_then(|runtime| runtime.block_on(measure())) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

async fn measure() -> Outcome<()> {
    let seconds = std::env::args().nth(1).map_or(Ok(10), |text| text.parse())?;
    let folder = tempfile::tempdir()?;
    let store = EmbeddedStore::open(EmbeddedConfig::new(folder.path()))?;
    let (mut commits, mut committing, mut loading) = (0_u32, Duration::ZERO, Duration::ZERO);
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(seconds) {
        let sequence = u64::from(commits) + 1;
        let day = sequence / COMMITS_A_DAY;
        if sequence % COMMITS_A_DAY == 0 {
            let request = request(day)?;
            let start = Instant::now();
            store.load(store.incarnation(), 0, &request).await?;
            loading += start.elapsed();
        }
        let commit = Arc::new(commit(sequence, day)?);
        let start = Instant::now();
        store.commit(store.incarnation(), &commit).await?;
        committing += start.elapsed();
        commits += 1;
    }
    let launches = u64::from(commits) * ACCOUNTS * u64::from(LAUNCHES_EACH);
    let rows = u64::from(commits) * ACCOUNTS * 3;
    let loads = u64::from(commits) / COMMITS_A_DAY * ACCOUNTS;
    println!("{commits} commits, {} each", per(committing, u64::from(commits), "commit"));
    println!("{launches} launches: {} a second while committing", a_second(launches, committing));
    println!("{rows} rows: {} a second while committing", a_second(rows, committing));
    println!("{loads} windows with rows loaded: {}", per(loading, loads, "window"));
    reads(&store).await?;
    memory()?;
    Ok(())
}

/// Single reads as queries and workers make them.
async fn reads(store: &EmbeddedStore) -> Outcome<()> {
    const READS: u32 = 2_000;
    let start = Instant::now();
    for _ in 0..READS {
        store.partition_state(0).await?;
    }
    println!("partition state: {}", per(start.elapsed(), u64::from(READS), "read"));
    let month = Grain::Day.start(date(0)?);
    let start = Instant::now();
    for index in 0..READS {
        let key = account(u64::from(index) * 7 % ACCOUNTS)?;
        let ranges =
            vec![(Grain::Day, month, month.last_of_month()), (Grain::Lifetime, BusinessDate::MIN, BusinessDate::MIN)];
        store.account_view(&store::AccountRead { key, ranges }).await?;
    }
    println!("account view of a month: {}", per(start.elapsed(), u64::from(READS), "read"));
    Ok(())
}

fn memory() -> Outcome<()> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    status.lines().filter(|line| line.starts_with("VmHWM")).for_each(|line| println!("most memory: {line}"));
    Ok(())
}

fn per(time: Duration, count: u64, what: &str) -> String {
    let nanoseconds = time.as_nanos() / u128::from(count.max(1));
    format!("{}.{:03} µs a {what}", nanoseconds / 1_000, nanoseconds % 1_000)
}

fn a_second(count: u64, time: Duration) -> u128 {
    u128::from(count) * 1_000 / time.as_millis().max(1)
}

fn date(day: u64) -> Outcome<BusinessDate> {
    BusinessDate::from_days(20_454 + i32::try_from(day)?).ok_or_else(|| "no such day".into())
}

fn account(index: u64) -> Outcome<AccountKey> {
    Ok(AccountKey { tenant: Tenant::parse("acme")?, account: Account::parse(&format!("store-{index:04}"))? })
}

fn window(index: u64, day: u64) -> Outcome<WindowKey> {
    let AccountKey { tenant, account } = account(index)?;
    Ok(WindowKey { tenant, account, date: date(day)? })
}

fn rows(sequence: u64, day: u64) -> Outcome<Vec<(RowKey, Balance)>> {
    let totals = Totals { credits: i128::from(sequence) * 15_075, debits: 0, credit_count: sequence, debit_count: 0 };
    let balance = Balance { totals, changed: Place::new(sequence, 1), applied: sequence };
    let currency = Currency::parse("BRL")?;
    let row = |grain: Grain, date| (RowKey { grain, start: grain.start(date), currency }, balance);
    let date = date(day)?;
    Ok(Grain::ALL.into_iter().map(|grain| row(grain, date)).collect())
}

fn facts(index: u64, sequence: u64) -> Outcome<Vec<Fact>> {
    let currency = Currency::parse("BRL")?;
    let fact = |number: u32| {
        let line = u32::try_from(index)? * LAUNCHES_EACH + number;
        let id = Digest::of(&[sequence.to_be_bytes(), u64::from(line).to_be_bytes()].concat());
        Ok(Fact {
            place: Place::new(sequence, line),
            id_digest: id,
            content_digest: Digest::of(&id.0),
            kind: Kind::Credit,
            currency,
            amount: Amount::from_minor_units(15_075)?,
            line: Bytes::from_static(LINE),
        })
    };
    (1..=LAUNCHES_EACH).map(fact).collect()
}

fn commit(sequence: u64, day: u64) -> Outcome<Commit> {
    let (mut journal, mut balances) = (Vec::new(), Vec::new());
    for index in 0..ACCOUNTS {
        journal.push(JournalChunk {
            window: window(index, day)?,
            bucket: 0,
            begins_window: sequence.is_multiple_of(COMMITS_A_DAY),
            facts: facts(index, sequence)?,
        });
        balances.push(AccountBatch { key: account(index)?, applied: sequence, rows: rows(sequence, day)? });
    }
    let mark = LogMark { sequence, digest: Digest::of(b"message") };
    let identity = LogIdentity { epoch: 1, stream_id: "stream".into(), partitions: 4 };
    Ok(Commit {
        partition: 0,
        head: mark,
        journal,
        accounts: if sequence == 1 { (0..ACCOUNTS).map(account).collect::<Outcome<_>>()? } else { Vec::new() },
        balances,
        rollups: vec![RollupBatch { tenant: Tenant::parse("acme")?, applied: sequence, rows: rows(sequence, day)? }],
        progress: Progress { sequence, time_ms: 0, identity },
        checkpoint: Some(mark),
    })
}

fn request(day: u64) -> Outcome<LoadRequest> {
    let mut request = LoadRequest::default();
    for index in 0..ACCOUNTS {
        let date = date(day)?;
        let (days, months) = (vec![date], vec![date.first_of_month()]);
        request.accounts.push(RowsWanted { owner: account(index)?, days, months, lifetime: true });
        request.windows.push(window(index, day)?);
    }
    Ok(request)
}

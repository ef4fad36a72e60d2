//! How fast the core parses and folds, without log and store: `cargo run --release -p protocol --example fold_speed`.

use std::time::Instant;

use protocol::{
    load::{LoadRequest, Loaded, RowsLoaded, WindowLoaded},
    log::{LogIdentity, LogMessage},
    worker::{ParsedMessage, Step, Worker, WorkerConfig},
};

const ACCOUNTS: usize = 10_000;
const LINES: usize = 1_000;
const MESSAGES: usize = 1_000;

fn main() {
    let identity = LogIdentity { epoch: 1, stream_id: "speed".into(), partitions: 1 };
    let Ok(mut worker) = Worker::start(WorkerConfig::default(), identity, 0, 1, 1, &Default::default(), 0) else {
        return;
    };
    let messages: Vec<LogMessage> = (0..MESSAGES).map(message).collect();
    let started = Instant::now();
    let parsed: Vec<ParsedMessage> = messages.into_iter().map(|message| ParsedMessage::parse(message, 0, 1)).collect();
    let parsing = started.elapsed();
    let started = Instant::now();
    for parsed in parsed {
        while !worker.has_room() {
            drive(&mut worker);
        }
        worker.offer(parsed);
    }
    drive(&mut worker);
    let folding = started.elapsed();
    let counters = worker.counters();
    let launches = u128::from(counters.launches.max(1));
    println!(
        "{launches} launches of {ACCOUNTS} accounts, {} commits, {} rows",
        counters.commits, counters.rows_written
    );
    println!(
        "parsing {} ns a launch, folding {} ns a launch",
        parsing.as_nanos() / launches,
        folding.as_nanos() / launches
    );
    println!("held: {} MiB", counters.memory_bytes / 1024 / 1024);
}

fn message(index: usize) -> LogMessage {
    let lines: Vec<String> = (0..LINES).map(|line| text(index * LINES + line)).collect();
    LogMessage { sequence: index as u64 + 1, time_ms: 1, payload: lines.join("\n").into() }
}

fn text(number: usize) -> String {
    // Spread over the accounts, as launches of many tills are.
    let account = number.wrapping_mul(7_919) % ACCOUNTS;
    let day = 1 + number / (ACCOUNTS * 40) % 28;
    format!(
        r#"{{"id":"launch-{number}","tenant":"acme","account":"store-{account}","date":"2026-11-{day:02}","kind":"credit","amount":"150.75","currency":"BRL","description":"a sale"}}"#
    )
}

/// An empty store: nothing is found, everything is acknowledged at once.
fn drive(worker: &mut Worker) {
    loop {
        match worker.next(0) {
            Step::Load(request) => worker.loaded(nothing(&request)),
            Step::Park(_) => worker.parked(),
            Step::Commit(_) => worker.committed(0),
            Step::WriteCheckpoint(_) => worker.checkpoint_written(),
            Step::Notify(_) => {}
            Step::Wait | Step::Restart(_) | Step::Refuse(_) => return,
        }
    }
}

fn nothing(request: &LoadRequest) -> Loaded {
    let accounts = request.accounts.iter();
    let tenants = request.tenants.iter();
    let windows = request.windows.iter();
    Loaded {
        accounts: accounts
            .map(|wanted| RowsLoaded { owner: wanted.owner.clone(), applied: None, rows: Vec::new() })
            .collect(),
        tenants: tenants
            .map(|wanted| RowsLoaded { owner: wanted.owner.clone(), applied: None, rows: Vec::new() })
            .collect(),
        windows: windows.map(|window| WindowLoaded { window: window.clone(), entries: Vec::new() }).collect(),
    }
}

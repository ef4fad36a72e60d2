//! However a log is cut into messages and commits, the same lines give the same totals.

use std::collections::{BTreeMap, HashMap};

use ledger::{AccountKey, BusinessDate, Currency, Grain, Kind, RowKey, Totals, parse_logged};
use proptest::prelude::*;

use super::alone::Alone;
use crate::{
    simulation::store::{SimulatedStore, StoreMode},
    worker::{Step, WorkerConfig, config::Bounds},
};

#[derive(Clone, Debug)]
struct Posted {
    account: u8,
    day: u8,
    id: u8,
    is_credit: bool,
    cents: u8,
    is_yen: bool,
}

impl Posted {
    fn line(&self) -> String {
        let kind = if self.is_credit { "credit" } else { "debit" };
        let (currency, amount) =
            if self.is_yen { ("JPY", format!("{}", self.cents)) } else { ("BRL", format!("0.{:02}", self.cents)) };
        format!(
            r#"{{"id":"{}","tenant":"acme","account":"a{}","date":"2026-0{}-28","kind":"{kind}","amount":"{amount}","currency":"{currency}"}}"#,
            self.id, self.account, self.day
        )
    }
}

fn posted() -> impl Strategy<Value = Posted> {
    (0..3_u8, 1..4_u8, 0..12_u8, any::<bool>(), 1..5_u8, any::<bool>())
        .prop_map(|(account, day, id, is_credit, cents, is_yen)| Posted { account, day, id, is_credit, cents, is_yen })
}

type Rows = BTreeMap<(AccountKey, RowKey), Totals>;

/// The naive fold: every line in order, the first content of an id counts.
fn naive(lines: &[String]) -> (Rows, u64) {
    let mut rows = Rows::new();
    let mut seen: HashMap<(AccountKey, BusinessDate, String), (Kind, i64, Currency)> = HashMap::new();
    let mut conflicts = 0;
    for line in lines {
        let launch = parse_logged(line.as_bytes()).unwrap();
        let account = AccountKey { tenant: launch.tenant, account: launch.account };
        let content = (launch.kind, launch.amount.minor_units(), launch.currency);
        let id = (account.clone(), launch.date, launch.id.as_str().to_owned());
        if let Some(known) = seen.get(&id) {
            conflicts += u64::from(*known != content);
            continue;
        }
        seen.insert(id, content);
        for grain in Grain::ALL {
            let key = RowKey { grain, start: grain.start(launch.date), currency: launch.currency };
            rows.entry((account.clone(), key)).or_default().add(launch.kind, launch.amount);
        }
    }
    (rows, conflicts)
}

proptest! {
    #[test]
    fn every_cut_gives_the_totals_of_the_naive_fold(
        posted in prop::collection::vec(posted(), 1..120),
        cuts in prop::collection::vec(1..9_usize, 1..40),
        commit_launches in 1..30_usize,
        batch_rows in 3..20_usize,
        chunk_facts in 1..6_usize,
        load_windows in 1..5_usize,
        memory_bytes in prop::sample::select(vec![1_usize, 5_000, 1_000_000]),
        offered_at_once in 1..10_u64,
    ) {
        let lines: Vec<String> = posted.iter().map(Posted::line).collect();
        let config = WorkerConfig { commit_launches, memory_bytes, ..WorkerConfig::default() };
        let bounds = Bounds { batch_rows, chunk_facts, load_windows, bucket_facts: 4, ..Bounds::default() };
        let store = SimulatedStore::new(StoreMode::Atomic);
        let mut alone = Alone::with(config, bounds, store);
        let (mut at, mut sequence) = (0, 0);
        for cut in cuts.iter().cycle() {
            let end = lines.len().min(at + cut);
            sequence += 1;
            alone.offer(sequence, lines[at..end].join("\n"));
            at = end;
            if sequence.is_multiple_of(offered_at_once) || at == lines.len() {
                prop_assert_eq!(alone.drive(), Step::Wait);
            }
            if at == lines.len() {
                break;
            }
        }
        let (expected, conflicts) = naive(&lines);
        let mut stored = Rows::new();
        for account in ["a0", "a1", "a2"] {
            let key = super::alone::key("acme", account);
            stored.extend(alone.rows(&key).into_iter().map(|(row, balance)| ((key.clone(), row), balance.totals)));
        }
        prop_assert_eq!(stored, expected);
        prop_assert_eq!(alone.parked.iter().map(|parked| u64::from(parked.bad_lines)).sum::<u64>(), conflicts);
        for commit in &alone.commits {
            let is_one_message = commit.balances.iter().all(|batch| batch.rows.len() <= bounds.batch_rows);
            let entries: usize = commit.journal.iter().map(|chunk| chunk.facts.len()).sum();
            let most_of_one_message = *cuts.iter().max().unwrap_or(&0);
            prop_assert!(is_one_message || entries <= most_of_one_message);
            prop_assert!(entries <= commit_launches.max(most_of_one_message));
            prop_assert!(commit.journal.iter().all(|chunk| chunk.facts.len() <= chunk_facts));
        }
    }
}

//! What must hold at the end of a round.
//!
//! | of | what must hold |
//! |---|---|
//! | the log | what was acknowledged stands on it, at or below the position that the answer named; nothing else counts but what was posted |
//! | an answer | it is what some prefix of the log gives, one that ends with a message and reaches at least the position that the answer claims and the one that was demanded |
//! | a reader that passes its last position on | nothing that it reads again is older than what it has read |
//! | `complete: true` | everything that was acknowledged [`COMPLETE_WITHIN`] before the request is in the answer |
//! | the days at the end | they equal a naive fold of the log: of two contents under one id the first |

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use anyhow::{Context, ensure};
use protocol::position::Position;

use super::{
    book::Book,
    history::{Account, History},
    prefixes::{Prefix, prefixes_that_give},
    readers::{Observation, Resource, Told},
    stage::{PROBED, Stage},
};
use crate::client::Client;

/// What `complete` promises: nothing was known to wait in the log at the last heartbeat, which is at most five seconds old
/// and was made at most three seconds (the patience for the log's answer) after it was asked for, each second.
const COMPLETE_WITHIN: Duration = Duration::from_secs(9);
/// Days of an account whose list of launches is compared, too.
const LISTED_DAYS: usize = 3;

/// Everything that is judged.
pub struct Verdict<'a> {
    pub book: &'a Book,
    pub history: &'a History,
}

impl Verdict<'_> {
    /// The log has what was acknowledged, and nothing that was not posted.
    pub fn check_log(&self, stage: &Stage) -> anyhow::Result<()> {
        let posted = self.book.posted();
        for (key, contents) in &self.history.standing {
            if key.0 == PROBED {
                continue;
            }
            let known = posted.get(key).with_context(|| format!("nobody posted {key:?}"))?;
            for (launch, _) in contents {
                ensure!(known.iter().any(|posted| posted.launch == *launch), "nobody posted {launch:?}");
            }
        }
        for (key, posted) in posted.iter().flat_map(|(key, all)| all.iter().map(move |posted| (key, posted))) {
            let Some(acknowledged) = &posted.acknowledged else { continue };
            let standing = self.history.standing.get(key).into_iter().flatten();
            let sequences = standing.filter(|(launch, _)| *launch == posted.launch).flat_map(|(_, all)| all);
            let first = sequences.min().with_context(|| format!("lost: {posted:?}"))?;
            let named = acknowledged.position.lanes.values().max().copied().unwrap_or(0);
            ensure!(*first <= named, "it stands at {first}: {posted:?}");
        }
        let probes = stage.probes().count();
        ensure!(self.history.model.count_of(PROBED) == probes, "not all {probes} probes count");
        Ok(())
    }

    /// Every answer is a prefix, and none is older than it may be.
    pub fn check_observations(&self, observed: &[Vec<Observation>]) -> anyhow::Result<()> {
        for reader in observed {
            let mut read = BTreeMap::new();
            for observation in reader {
                self.check_observation(observation, &mut read).with_context(|| format!("{observation:?}"))?;
            }
        }
        Ok(())
    }

    /// `read` is how far this reader has certainly read each resource.
    fn check_observation(
        &self,
        observation: &Observation,
        read: &mut BTreeMap<(String, Resource), u64>,
    ) -> anyhow::Result<()> {
        let Some(account) = self.history.accounts.get(&observation.account) else {
            ensure!(observation.answer.is_none(), "an account that no launch named");
            return Ok(());
        };
        let demanded = observation.demanded.as_ref().map_or(0, |position| sequence(position, account));
        let Some(told) = &observation.answer else {
            let first = account.additions.first().map_or(u64::MAX, |addition| addition.sequence);
            ensure!(demanded < first, "unknown, although its first launch is at {first}");
            return Ok(());
        };
        let claimed = sequence(&told.position, account);
        ensure!(claimed >= demanded, "{demanded} was demanded, {claimed} is claimed");
        let prefixes = prefixes_that_give(account, &observation.resource, &told.body)?;
        ensure!(!prefixes.is_empty(), "no prefix of the log gives this");
        let key = (observation.account.clone(), observation.resource.clone());
        let read_before = read.get(&key).copied().filter(|_| observation.passed_on).unwrap_or(0);
        let wanted = claimed.max(read_before).max(self.promised(observation, told, account));
        let good: Vec<Prefix> = prefixes.iter().copied().filter(|prefix| prefix.last >= wanted).collect();
        let oldest = good.iter().map(|prefix| prefix.first).min();
        let oldest = oldest.with_context(|| {
            format!("older than {wanted}: it is {prefixes:?}; claimed {claimed}, read before {read_before}")
        })?;
        read.insert(key, oldest.max(read_before));
        Ok(())
    }

    /// What `complete: true` promises: the sequence of the account's last launch that was acknowledged long enough before.
    fn promised(&self, observation: &Observation, told: &Told, account: &Account) -> u64 {
        if !told.complete {
            return 0;
        }
        let posted = self.book.posted();
        let range = (observation.account.clone(), String::new(), String::new())..;
        let own = posted.range(range).take_while(|(key, _)| key.0 == observation.account).flat_map(|(_, all)| all);
        let acknowledged = own.filter_map(|posted| posted.acknowledged.as_ref());
        let old = acknowledged.filter(|acknowledged| acknowledged.at + COMPLETE_WITHIN <= observation.asked_at);
        old.map(|acknowledged| sequence(&acknowledged.position, account)).max().unwrap_or(0)
    }

    /// Days, balances and lists are what the log gives.
    pub async fn check_days(&self, client: &Client) -> anyhow::Result<()> {
        client.check(&self.history.model, None).await?;
        for (name, account) in &self.history.accounts {
            let launches = || account.additions.iter().flat_map(|addition| &addition.launches);
            let dates: BTreeSet<&String> = launches().map(|launch| &launch.date).collect();
            for date in dates.into_iter().take(LISTED_DAYS) {
                let in_log_order: Vec<String> =
                    launches().filter(|launch| launch.date == *date).map(|launch| launch.id.clone()).collect();
                let listed = client.listed_ids(name, date, 100).await?;
                ensure!(listed == in_log_order, "{name} {date} lists {listed:?}, the log has {in_log_order:?}");
            }
        }
        Ok(())
    }
}

/// What a position says of the account's lane.
fn sequence(position: &Position, account: &Account) -> u64 {
    position.lanes.get(&account.partition).copied().unwrap_or(0)
}

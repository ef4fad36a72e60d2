//! What must hold at the end of a round.
//!
//! | of | what must hold |
//! |---|---|
//! | the log | what was acknowledged stands on it, at or below the position that the answer named; nothing else counts but what was posted |
//! | an answer | it is what some prefix of the log gives, one that ends with a message and reaches at least the position that the answer claims and the one that was demanded |
//! | a reader that passes its last position on | nothing that it reads again is older than what it has read; once the store has lost rows, nothing is older than that position |
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
    load::LOADED,
    prefixes::{Prefix, prefixes_that_give},
    probes::Probes,
    readers::{Observation, Resource, Told},
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

/// How far a reader has certainly read, and the position that it was told last of each account: the one it passes on.
#[derive(Default)]
struct ReadSoFar {
    resources: BTreeMap<(String, Resource), u64>,
    told: BTreeMap<String, u64>,
}

impl ReadSoFar {
    /// How far the reader of this answer has read its resource, as far as that binds the answer. Who demands nothing may be
    /// told less than before, once a store has lost its newest rows; from then on it is the older position that is passed on.
    fn of(&mut self, observation: &Observation, claimed: u64) -> u64 {
        let Observation { account, resource, passed_on, .. } = observation;
        let told_before = self.told.insert(account.clone(), claimed).unwrap_or(0);
        if !passed_on && claimed < told_before {
            self.resources.retain(|(of, _), _| of != account);
        }
        self.resources.get(&(account.clone(), resource.clone())).copied().filter(|_| *passed_on).unwrap_or(0)
    }
}

impl Verdict<'_> {
    /// The log has what was acknowledged, and nothing that was not posted.
    pub fn check_log(&self, probes: &Probes) -> anyhow::Result<()> {
        let posted = self.book.posted();
        for (key, contents) in &self.history.standing {
            if !key.0.starts_with(LOADED) {
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
        for account in probes.accounts() {
            let (counted, posted) = (self.history.model.count_of(account), probes.rounds());
            ensure!(counted == posted, "{counted} of {posted} probes of {account} count");
        }
        Ok(())
    }

    /// Every answer is a prefix, and none is older than it may be.
    pub fn check_observations(&self, observed: &[Vec<Observation>]) -> anyhow::Result<()> {
        for reader in observed {
            let mut read = ReadSoFar::default();
            let mut losses = self.book.losses().into_iter().peekable();
            for observation in reader {
                while losses.next_if(|at| *at < observation.answered_at).is_some() {
                    read.resources.clear();
                }
                self.check_observation(observation, &mut read).with_context(|| format!("{observation:?}"))?;
            }
        }
        Ok(())
    }

    fn check_observation(&self, observation: &Observation, read: &mut ReadSoFar) -> anyhow::Result<()> {
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
        let read_before = read.of(observation, claimed);
        let wanted = claimed.max(read_before).max(self.promised(observation, told, account));
        let good: Vec<Prefix> = prefixes.iter().copied().filter(|prefix| prefix.last >= wanted).collect();
        let oldest = good.iter().map(|prefix| prefix.first).min();
        let oldest = oldest.with_context(|| {
            format!("older than {wanted}: it is {prefixes:?}; claimed {claimed}, read before {read_before}")
        })?;
        read.resources.insert((observation.account.clone(), observation.resource.clone()), oldest.max(read_before));
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

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use protocol::log::{Incarnation, LogName};
    use serde_json::json;

    use super::*;
    use crate::{chaos::history::Addition, model::Launch};

    fn launch(id: &str) -> Launch {
        let (account, date) = ("store-0".to_owned(), "2026-09-01".to_owned());
        Launch { account, date, id: id.to_owned(), credit: true, currency: "BRL", minor_units: 100 }
    }

    fn name() -> LogName {
        LogName { epoch: 1, incarnation: Incarnation::of("s") }
    }

    /// One launch each at the sequences 3 and 7 of lane 0.
    fn history() -> History {
        let addition = |sequence, id| Addition { sequence, launches: vec![launch(id)] };
        let account = Account { partition: 0, additions: vec![addition(3, "a"), addition(7, "b")] };
        History { accounts: BTreeMap::from([("store-0".to_owned(), account)]), ..History::default() }
    }

    fn observation(balance: &str, claimed: u64, demanded: Option<u64>) -> Observation {
        let position = |sequence| Position::of_lane(name(), 0, sequence);
        let body = json!({"currencies": [{"currency": "BRL", "balance": balance}]});
        Observation {
            account: "store-0".to_owned(),
            resource: Resource::Balance,
            asked_at: Instant::now() + COMPLETE_WITHIN * 2,
            answered_at: Instant::now() + COMPLETE_WITHIN * 2,
            demanded: demanded.map(position),
            passed_on: demanded.is_some(),
            answer: Some(Told { position: position(claimed), complete: false, body }),
        }
    }

    fn outcome(book: &Book, observed: Vec<Observation>) -> String {
        let verdict = Verdict { book, history: &history() };
        verdict.check_observations(&[observed]).err().map_or_else(String::new, |error| error.root_cause().to_string())
    }

    #[test]
    fn each_kind_of_wrong_answer_is_seen() {
        let book = Book::default();
        assert_eq!(outcome(&book, vec![observation("1.00", 3, None), observation("2.00", 7, Some(3))]), "");
        assert!(outcome(&book, vec![observation("1.50", 3, None)]).contains("no prefix"));
        assert!(outcome(&book, vec![observation("1.00", 7, None)]).contains("older than 7"), "claims too much");
        assert!(outcome(&book, vec![observation("1.00", 3, Some(7))]).contains("7 was demanded"));
        let back = vec![observation("2.00", 3, None), observation("1.00", 3, Some(3))];
        assert!(outcome(&book, back).contains("older than 7"), "a reader goes back");
        let mut other =
            vec![observation("2.00", 7, None), observation("1.00", 3, None), observation("1.00", 3, Some(3))];
        assert_eq!(outcome(&book, other.clone()), "", "who demands nothing lets go of what it read");
        other.remove(1);
        assert!(outcome(&book, other).contains("older than 7"), "nobody else does");
        let mut unknown = observation("0.00", 0, Some(3));
        unknown.answer = None;
        assert!(outcome(&book, vec![unknown]).contains("unknown, although"));
    }

    #[test]
    fn after_a_loss_the_position_binds_and_not_what_was_read_beyond_it() {
        let mut observed = vec![observation("2.00", 3, None)];
        let book = Book::default();
        book.note_loss();
        observed[0].answered_at = book.losses()[0];
        observed.push(observation("1.00", 3, Some(3)));
        assert_eq!(outcome(&book, observed.clone()), "");
        assert!(outcome(&Book::default(), observed.clone()).contains("older than 7"), "without a loss it binds");
        observed[0].answer.as_mut().unwrap().position = Position::of_lane(name(), 0, 7);
        observed[1].demanded = Some(Position::of_lane(name(), 0, 7));
        assert!(outcome(&book, observed).contains("7 was demanded"));
    }

    #[test]
    fn complete_promises_what_was_acknowledged_long_before() {
        let book = Book::default();
        book.note_posted(&launch("b"));
        book.note_acknowledged(&launch("b"), &Position::of_lane(name(), 0, 7));
        let mut complete = observation("1.00", 3, None);
        assert_eq!(outcome(&book, vec![complete.clone()]), "");
        complete.answer.as_mut().unwrap().complete = true;
        assert!(outcome(&book, vec![complete.clone()]).contains("older than 7"));
        complete.asked_at = Instant::now();
        assert_eq!(outcome(&book, vec![complete]), "", "too soon to be promised");
    }
}

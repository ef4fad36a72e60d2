//! Readers of lists: page by page, each page from a fill or a cache of its own time, at the position of the first or above.

use std::collections::BTreeMap;

use rand::{RngExt, rngs::StdRng};

use super::{
    Moment,
    asked::{Asked, Content, Key, Value},
};
use crate::{
    query::{EntryKey, Stamp},
    simulation::{
        Violation,
        judge::{account_of, date_of, day_of, place_of},
        log::pick,
        oracle::{At, Day},
    },
};

/// Lists of which the next page is still to be read, by what is to be asked for.
#[derive(Debug, Default)]
pub(super) struct Lists(BTreeMap<(usize, Day, Asked), List>);

/// What a reader has of a list.
#[derive(Clone, Debug)]
struct List {
    /// The position of the first page: what each page must have reached.
    position: u64,
    launches: Vec<At>,
    days: Vec<Day>,
}

/// At most so many are read at once.
const MOST_LISTS: usize = 4;

impl Lists {
    /// The next page of some list, and the position that its reader demands.
    pub(super) fn next_page(&self, rng: &mut StdRng) -> Option<(Key, u64)> {
        let next: Vec<_> = self.0.iter().collect();
        if next.is_empty() || rng.random_bool(0.5) {
            return None;
        }
        let ((account, until, representation), list) = pick(rng, &next);
        let account = crate::simulation::judge::account_key(*account).clone();
        Some((EntryKey { account, until: date_of(*until), representation: *representation }, list.position))
    }

    /// Positions that were told say nothing any more.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// Somebody is answered: with the first page of a list, with the next one of a list that is being read, or with
    /// something else.
    pub(super) fn note(
        &mut self,
        key: &Key,
        value: &Value,
        stamp: Stamp,
        moment: &Moment<'_>,
    ) -> Result<(), Violation> {
        let (account, until) = (account_of(&key.account), day_of(key.until));
        let known = self.0.remove(&(account, until, key.representation));
        let is_first = matches!(key.representation, Asked::Launches { after: None, .. } | Asked::Days { .. });
        let mut list = match known {
            Some(list) if stamp.position >= list.position => list,
            _ if is_first => List { position: stamp.position, launches: Vec::new(), days: Vec::new() },
            _ => return Ok(()),
        };
        match list.take(key.representation, &value.content) {
            Some(next) if self.0.len() < MOST_LISTS => {
                self.0.insert((account, until, next), list);
                Ok(())
            }
            Some(_) => Ok(()),
            None => list.check(account, until, moment),
        }
    }
}

impl List {
    /// Adds a page; says what is to be asked for next, if this was not the last.
    fn take(&mut self, asked: Asked, content: &Content) -> Option<Asked> {
        match (asked, content) {
            (Asked::Launches { limit, .. }, Content::Launches(page)) => {
                self.launches.extend(page.launches.iter().map(|listed| listed.at));
                let last = page.launches.last().filter(|_| page.more)?;
                Some(Asked::Launches { after: Some(place_of(last.at)), limit })
            }
            (Asked::Days { with_empty, limit, .. }, Content::Days(page)) => {
                self.days.extend(page.days.iter().map(|(day, _)| *day));
                Some(Asked::Days { from: date_of(page.next?), with_empty, limit })
            }
            _ => None,
        }
    }

    /// A whole list has every launch up to the position at which it was begun, once and in order.
    fn check(&self, account: usize, day: Day, moment: &Moment<'_>) -> Result<(), Violation> {
        let wrong = |what: &str| {
            Err(Violation(format!(
                "a list of account {account} on {day:?} begun at {} {what}: {self:?}",
                self.position
            )))
        };
        if !self.launches.is_sorted_by(|one, next| one < next) || !self.days.is_sorted_by(|one, next| one < next) {
            return wrong("repeats something");
        }
        let truths = &moment.log.truths;
        let places = truths.iter().filter_map(|truth| truth.windows.get(&(account, day))).flatten();
        let mut due = places.filter(|(sequence, _)| *sequence <= self.position);
        if !self.launches.is_empty() && !due.all(|at| self.launches.contains(at)) {
            return wrong("lacks a launch");
        }
        Ok(())
    }
}

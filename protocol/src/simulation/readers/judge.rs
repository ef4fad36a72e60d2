//! Whether an answer says what the fold says.

use rand::rngs::StdRng;

use super::{
    Moment, Query,
    asked::{Asked, Content, Key, Value},
};
use crate::{
    query::Stamp,
    simulation::{
        Violation,
        judge::{account_of, at_of, day_of},
        log::pick,
        oracle::{
            Day, Truth,
            answers::{self, Counted},
        },
    },
};

impl Query {
    pub(super) fn check_value(
        &self,
        key: &Key,
        value: &Value,
        stamp: Stamp,
        moment: &Moment<'_>,
    ) -> Result<(), Violation> {
        let Moment { log, surroundings, .. } = *moment;
        let truth = &log.truths[usize::from(self.partition)];
        let upto = value.applied.unwrap_or(0).max(stamp.position);
        let counted = truth.counted_of(account_of(&key.account), upto);
        let is_right = holds(key, &value.content, &counted)
            || value.nobody_knew
            || (surroundings.has_forgotten && is_of_some_prefix(key, &value.content, &counted, stamp.position));
        if is_right {
            return Ok(());
        }
        let expected = content(key, &counted);
        Err(Violation(format!("a reader is told of {key:?} at {stamp:?}: {value:?}, the fold says {expected:?}")))
    }
}

/// Whether an answer is what these launches come to. An account may be known before its first launch counts.
fn holds(key: &Key, told: &Content, counted: &Counted<'_>) -> bool {
    *told == content(key, counted) || (*told == Content::Unknown && counted.is_empty())
}

/// What these launches come to.
fn content(key: &Key, counted: &Counted<'_>) -> Content {
    let until = day_of(key.until);
    match key.representation {
        Asked::Days { from, with_empty, limit } => {
            Content::Days(answers::days(counted, (day_of(from), until), with_empty, limit))
        }
        Asked::Balance => Content::Balance(answers::balance(counted)),
        Asked::Launches { after, limit } => {
            Content::Launches(answers::launches(counted, until, after.map(at_of), limit))
        }
    }
}

/// Where a store has forgotten rows, what lies above the position may be there or not. An answer is still what one prefix
/// of the log comes to, not shorter than the position.
fn is_of_some_prefix(key: &Key, told: &Content, counted: &Counted<'_>, position: u64) -> bool {
    let above = counted.iter().map(|((sequence, _), _)| *sequence).filter(|sequence| *sequence > position);
    std::iter::once(position).chain(above).any(|upto| {
        let prefix = counted.iter().copied().take_while(|((sequence, _), _)| *sequence <= upto).collect();
        holds(key, told, &prefix)
    })
}

impl Truth {
    /// An account and a day that some entry names.
    pub(super) fn some_window(&self, rng: &mut StdRng) -> Option<(usize, Day)> {
        let touched: Vec<&(usize, Day)> = self.touched.values().flatten().collect();
        if touched.is_empty() { None } else { Some(**pick(rng, &touched)) }
    }
}

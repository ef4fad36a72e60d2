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
            At, Day, LaunchesPage, Truth,
            answers::{self, Counted},
        },
    },
};

/// So many launches that may be there or not are tried in all combinations.
const MOST_DOUBTFUL: usize = 12;

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
            || (surroundings.has_forgotten && is_between(key, &value.content, &counted, stamp.position));
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

/// Where a store has forgotten rows, what lies above the position may be there in part, because a worker wrote it that
/// did not know. All that is told is still the sum of some launches, those up to the position among them.
fn is_between(key: &Key, told: &Content, counted: &Counted<'_>, position: u64) -> bool {
    let (sure, doubtful): (Counted<'_>, Counted<'_>) =
        counted.iter().copied().partition(|((sequence, _), _)| *sequence <= position);
    if let Content::Launches(page) = told {
        return is_page_between(key, page, counted, position);
    }
    let doubtful = relevant(key, doubtful);
    if doubtful.len() > MOST_DOUBTFUL {
        return true;
    }
    (0_u32..1 << doubtful.len()).any(|chosen| {
        let is_chosen = |index: &usize| chosen & (1 << index) != 0;
        let chosen = (0..doubtful.len()).filter(is_chosen).map(|index| doubtful[index]);
        holds(key, told, &sure.iter().copied().chain(chosen).collect())
    })
}

/// Launches dated behind the last day that an answer depends on make no difference.
fn relevant<'a>(key: &Key, launches: Counted<'a>) -> Counted<'a> {
    let until = day_of(key.until);
    launches.into_iter().filter(|(_, launch)| launch.day <= until).collect()
}

/// Whether a page lacks nothing up to the position, and has nothing that does not count.
fn is_page_between(key: &Key, page: &LaunchesPage, counted: &Counted<'_>, position: u64) -> bool {
    let Asked::Launches { after, limit } = key.representation else { return false };
    let all = answers::launches(counted, day_of(key.until), after.map(at_of), usize::MAX).launches;
    let last = page.launches.last().filter(|_| page.more).map(|listed| listed.at);
    let is_due = |at: At| at.0 <= position && last.is_none_or(|last| at <= last);
    page.launches.len() <= limit
        && page.launches.is_sorted_by(|one, next| one.at < next.at)
        && page.launches.iter().all(|listed| all.contains(listed))
        && all.iter().filter(|listed| is_due(listed.at)).all(|listed| page.launches.contains(listed))
}

impl Truth {
    /// An account and a day that some entry names.
    pub(super) fn some_window(&self, rng: &mut StdRng) -> Option<(usize, Day)> {
        let touched: Vec<&(usize, Day)> = self.touched.values().flatten().collect();
        if touched.is_empty() { None } else { Some(**pick(rng, &touched)) }
    }
}

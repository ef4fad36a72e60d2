//! Rows of one owner at one moment, where a store answers range by range, each as of its own time.

use ledger::{Balance, RowKey};

use super::Ranges;

/// A row with its key, and the static `applied` that it was read with.
pub type StampedRow = (RowKey, Balance, Option<u64>);

/// The static `applied` of an owner, and rows in the order of their keys, without repeats.
pub type View = (Option<u64>, Vec<(RowKey, Balance)>);

/// A row of a batch, and the sequence of its last change, which it must include.
pub type BatchRow = (RowKey, u64);

/// Whether the rows of a batch that lie inside of one of the ranges are among `found`, which is ordered by key, as new as they
/// must be.
pub fn is_whole(batch: &[BatchRow], ranges: &Ranges, found: &[(RowKey, Balance)]) -> bool {
    let is_wanted =
        |key: &RowKey| ranges.iter().any(|(grain, from, to)| key.grain == *grain && (*from..=*to).contains(&key.start));
    let is_there = |(key, includes): &BatchRow| {
        let place = found.binary_search_by_key(key, |(key, _)| *key);
        place.is_ok_and(|place| found[place].1.applied >= *includes)
    };
    batch.iter().filter(|(key, _)| is_wanted(key)).all(is_there)
}

/// An owner's rows, range by range.
pub trait RowRanges {
    /// Why they cannot be read.
    type Error;
    /// What the owner's last batch says of its rows.
    type Batch: Send + Sync;

    /// The static `applied` with what the batch that wrote it says of its rows; `None` where the owner has no rows.
    fn batch(&self) -> impl Future<Output = Result<Option<(u64, Self::Batch)>, Self::Error>> + Send;

    /// Whether `found`, ordered by key, holds the rows of this batch inside of the ranges: a store of several nodes may show
    /// its `applied` before enough of them have all of it.
    fn is_whole(&self, applied: u64, batch: &Self::Batch, ranges: &Ranges, found: &[(RowKey, Balance)]) -> bool;

    /// Passes the time until a batch of which some rows are missing may be there; `attempt` counts from 0.
    fn pause(&self, attempt: usize) -> impl Future<Output = ()> + Send;

    /// The rows of each range, in the order of `ranges`.
    fn rows(&self, ranges: &Ranges) -> impl Future<Output = Result<Vec<Vec<StampedRow>>, Self::Error>> + Send;
}

/// What of a read is kept to.
#[derive(Clone, Copy, Debug)]
pub struct MomentRules {
    /// How often the rows are read before the reader gives up.
    pub attempts: usize,
    /// Rows are taken only if all were read at one `applied`; the simulation may leave it out.
    pub(crate) one_applied: bool,
    /// And only with all rows of the last batch; the simulation may leave it out.
    pub(crate) whole_batches: bool,
}

impl MomentRules {
    /// All rules.
    pub const fn new(attempts: usize) -> Self {
        Self { attempts, one_applied: true, whole_batches: true }
    }
}

/// Rows of one moment: the same static `applied` before, with and behind them all. A batch that lands between is seen by that,
/// and everything is read again, as it is while rows of the batch are missing. `None`: they changed each time.
///
/// # Errors
/// The store's own.
pub async fn view<Rows: RowRanges>(
    rows: &Rows,
    ranges: &Ranges,
    rules: MomentRules,
) -> Result<Option<View>, Rows::Error> {
    let mut before = rows.batch().await?;
    for attempt in 0..rules.attempts {
        let Some((applied, batch)) = before else { return Ok(Some((None, Vec::new()))) };
        let found = rows.rows(ranges).await?;
        // What was found tells its own moment; that nothing was there at it takes a second look.
        let needs_look = found.iter().any(Vec::is_empty);
        let after = if needs_look { rows.batch().await?.map(|(applied, _)| applied) } else { Some(applied) };
        let is_one_moment = after == Some(applied) && found.iter().flatten().all(|(_, _, of)| *of == Some(applied));
        let found = in_order(found);
        let is_whole = !rules.whole_batches || rows.is_whole(applied, &batch, ranges, &found);
        if !rules.one_applied || (is_one_moment && is_whole) {
            return Ok(Some((Some(applied), found)));
        }
        if is_one_moment {
            rows.pause(attempt).await;
        }
        before = rows.batch().await?;
    }
    Ok(None)
}

fn in_order(found: Vec<Vec<StampedRow>>) -> Vec<(RowKey, Balance)> {
    let mut rows: Vec<_> = found.into_iter().flatten().map(|(key, balance, _)| (key, balance)).collect();
    rows.sort_unstable_by_key(|(key, _)| *key);
    rows.dedup_by_key(|(key, _)| *key);
    rows
}

//! Rows of one owner at one moment, where a store answers range by range, each as of its own time.

use ledger::{Balance, RowKey};

use super::Ranges;

/// A row with its key, and the static `applied` that it was read with.
pub type StampedRow = (RowKey, Balance, Option<u64>);

/// The static `applied` of an owner, and rows in the order of their keys, without repeats.
pub type View = (Option<u64>, Vec<(RowKey, Balance)>);

/// An owner's rows, range by range.
pub trait RowRanges {
    /// Why they cannot be read.
    type Error;

    /// The static `applied`; `None` where the owner has no rows.
    fn applied(&self) -> impl Future<Output = Result<Option<u64>, Self::Error>> + Send;

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
}

impl MomentRules {
    /// All rules.
    pub const fn new(attempts: usize) -> Self {
        Self { attempts, one_applied: true }
    }
}

/// Rows of one moment: the same static `applied` before, with and behind them all. A batch that lands between is seen by that,
/// and everything is read again. `None`: they changed each time.
///
/// # Errors
/// The store's own.
pub async fn view<Rows: RowRanges>(
    rows: &Rows,
    ranges: &Ranges,
    rules: MomentRules,
) -> Result<Option<View>, Rows::Error> {
    let mut before = rows.applied().await?;
    for _ in 0..rules.attempts {
        if before.is_none() {
            return Ok(Some((None, Vec::new())));
        }
        let found = rows.rows(ranges).await?;
        // What was found tells its own moment; that nothing was there at it takes a second look.
        let tells_its_moment = found.iter().all(|rows| !rows.is_empty());
        let after = if tells_its_moment {
            found.iter().flatten().next().map_or(before, |(_, _, applied)| *applied)
        } else {
            rows.applied().await?
        };
        let is_one_moment = after == before && found.iter().flatten().all(|(_, _, applied)| *applied == before);
        if is_one_moment || !rules.one_applied {
            return Ok(Some((before, in_order(found))));
        }
        before = after;
    }
    Ok(None)
}

fn in_order(found: Vec<Vec<StampedRow>>) -> Vec<(RowKey, Balance)> {
    let mut rows: Vec<_> = found.into_iter().flatten().map(|(key, balance, _)| (key, balance)).collect();
    rows.sort_unstable_by_key(|(key, _)| *key);
    rows.dedup_by_key(|(key, _)| *key);
    rows
}

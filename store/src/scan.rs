//! From which log a store was filled, asked partition by partition.

use std::pin::pin;

use futures_util::{StreamExt, stream};
use protocol::{
    commit::{PartitionState, Progress},
    lane::MAX_PARTITIONS,
    query::StoreScan,
};

/// Reads in progress at once: of an empty store every partition that a log may have is read.
const READS_AT_ONCE: usize = 64;

/// Reads the state of one partition after the other until it is known from which log the store was filled. `check` sees the
/// progress of each, in ascending order.
///
/// # Errors
/// The first error of `read` or `check`.
pub async fn scan<E, Reading>(
    read: impl Fn(u16) -> Reading,
    check: impl Fn(u16, Option<&Progress>) -> Result<(), E>,
) -> Result<StoreScan, E>
where
    Reading: Future<Output = Result<PartitionState, E>>,
{
    let mut scan = StoreScan::default();
    let mut states = pin!(stream::iter(0..MAX_PARTITIONS).map(read).buffered(READS_AT_ONCE));
    while let (Some(partition), Some(state)) = (scan.next(), states.next().await) {
        let progress = state?.progress;
        check(partition, progress.as_ref())?;
        scan.found(progress.as_ref());
    }
    Ok(scan)
}

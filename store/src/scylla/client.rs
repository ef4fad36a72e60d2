//! Requests: a bounded number at once, each sent again with the same bytes while that may help.

use std::sync::atomic::{AtomicI64, Ordering};

use retry::Backoff;
use scylla::{
    client::session::Session,
    errors::ExecutionError,
    response::{PagingState, query_result::QueryRowsResult},
    serialize::{batch::BatchValues, row::SerializeRow},
    statement::{batch::Batch, prepared::PreparedStatement},
};
use tokio::sync::Semaphore;

use super::{
    config::{ATTEMPTS, FIRST_PAGE_ROWS, MOST_PAGE_ROWS, PAGE_BYTES, RESEND_DELAYS_MS, ScyllaConfig},
    trouble::{Trouble, failed, unreadable},
};
use crate::{StoreError, StoreErrorKind};

/// The session with what bounds its use.
pub(super) struct Client {
    pub(super) session: Session,
    reads: Semaphore,
    writes: Semaphore,
    /// Writes until a test wants them to fail; negative when none is to.
    writes_left: AtomicI64,
}

impl Client {
    pub(super) fn new(session: Session, config: &ScyllaConfig) -> Self {
        Self {
            session,
            reads: Semaphore::new(config.reads_in_flight),
            writes: Semaphore::new(config.writes_in_flight),
            writes_left: AtomicI64::new(-1),
        }
    }

    /// Lets writes fail when so many more have been acknowledged.
    pub(super) fn fail_after_writes(&self, writes: usize) {
        self.writes_left.store(i64::try_from(writes).unwrap_or(i64::MAX), Ordering::SeqCst);
    }

    /// Writes one row.
    pub(super) async fn write(
        &self,
        statement: &PreparedStatement,
        values: impl SerializeRow,
    ) -> Result<(), StoreError> {
        let _permit = self.writes.acquire().await;
        self.pass_write()?;
        let bound = statement.clone().bind(&values).map_err(unreadable)?;
        send(|| self.session.execute_bound_unpaged(&bound)).await.map(drop)
    }

    /// Writes a batch as a whole.
    pub(super) async fn write_batch(&self, batch: &Batch, values: impl BatchValues) -> Result<(), StoreError> {
        let _permit = self.writes.acquire().await;
        self.pass_write()?;
        send(|| self.session.batch(batch, &values)).await.map(drop)
    }

    fn pass_write(&self) -> Result<(), StoreError> {
        let count = |left: i64| (left > 0).then(|| left - 1);
        match self.writes_left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, count) {
            Err(0) => Err(StoreError::new(StoreErrorKind::Unavailable, "a test stopped the commit here")),
            _ => Ok(()),
        }
    }

    /// Reads rows page by page until there are no more, or `page` says that it has enough (false).
    pub(super) async fn read(
        &self,
        statement: &PreparedStatement,
        values: impl SerializeRow,
        mut page: impl FnMut(&QueryRowsResult) -> Result<bool, StoreError>,
    ) -> Result<(), StoreError> {
        let mut rows = statement.get_page_size();
        let mut state = PagingState::start();
        loop {
            let mut statement = statement.clone();
            statement.set_page_size(rows);
            let bound = statement.bind(&values).map_err(unreadable)?;
            let permit = self.reads.acquire().await;
            let read = send(|| self.session.execute_bound_single_page(&bound, state.clone())).await?;
            drop(permit);
            let (result, next) = (read.0.into_rows_result().map_err(unreadable)?, read.1);
            if !page(&result)? {
                return Ok(());
            }
            rows = next_page_rows(&result);
            match next.into_paging_control_flow() {
                std::ops::ControlFlow::Break(()) => return Ok(()),
                std::ops::ControlFlow::Continue(next) => state = next,
            }
        }
    }
}

/// As many rows of the same size as make a page.
fn next_page_rows(result: &QueryRowsResult) -> i32 {
    let row_bytes = result.rows_bytes_size().div_ceil(result.rows_num().max(1)).max(1);
    i32::try_from(PAGE_BYTES / row_bytes).unwrap_or(MOST_PAGE_ROWS).clamp(FIRST_PAGE_ROWS, MOST_PAGE_ROWS)
}

/// Sends a request until it succeeds, as often as is worth it. The driver tries other nodes by itself, but a write that
/// timed out it sends no second time, although that is harmless here.
async fn send<T, Sent>(mut request: impl FnMut() -> Sent) -> Result<T, StoreError>
where
    Sent: Future<Output = Result<T, ExecutionError>>,
{
    let mut backoff = Backoff::new(RESEND_DELAYS_MS.0, RESEND_DELAYS_MS.1);
    let mut attempts_left = ATTEMPTS;
    loop {
        let error = match request().await {
            Ok(answer) => return Ok(answer),
            Err(error) => error,
        };
        attempts_left -= 1;
        if attempts_left == 0 || !Trouble::of(&error).retry_helps() {
            return Err(failed(&error));
        }
        tracing::debug!(%error, "a request to the CQL store failed, sending it again");
        tokio::time::sleep(backoff.next_delay()).await;
    }
}

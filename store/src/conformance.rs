//! The conformance suite: what every implementation of the port must do.
//!
//! Promise: an implementation that passes keeps the port's promises, as far as they can be seen from outside: newer rows
//! win, journals are unions, a batch is seen whole or not at all, pages meet without gap or repeat, and what a crash leaves
//! can be completed by writing the same commit again. [`run`] runs all cases, each on an empty store of its own.

mod commits;
mod crashes;
mod edges;
mod journal;
mod names;
mod races;
mod rows;
mod sample;

use std::{fmt, future::Future, sync::Arc};

use async_trait::async_trait;

use crate::{Store, StoreError};

/// Makes stores for the cases.
#[async_trait]
pub trait Factory: Send + Sync {
    /// An empty store.
    async fn empty(&self) -> Result<Box<dyn Subject>, StoreError>;
}

/// A store under test.
#[async_trait]
pub trait Subject: Send {
    /// The store. Cases let go of it before they call [`Subject::reopen`].
    fn store(&self) -> Arc<dyn Store>;

    /// Crashes the process that the store lives in, as far as that can be done, and opens it again.
    async fn reopen(&mut self) -> Result<(), StoreError>;

    /// Lets the next commit fail after so many of its steps. False when commits have no steps because they are atomic.
    fn fail_after_steps(&mut self, _steps: usize) -> bool {
        false
    }
}

/// What a case found wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Failure(String);

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self(format!("the store answered {:?}: {error}", error.kind))
    }
}

/// The result of a case.
type Checked = Result<(), Failure>;

fn check(holds: bool, what: impl fmt::Display) -> Checked {
    if holds { Ok(()) } else { Err(Failure(what.to_string())) }
}

fn check_equal<T: PartialEq + fmt::Debug>(what: impl fmt::Display, found: &T, expected: &T) -> Checked {
    if found == expected { Ok(()) } else { Err(Failure(format!("{what}: found {found:?}, expected {expected:?}"))) }
}

/// Runs all cases. The tokio runtime should have several threads, for the sake of the cases about concurrency.
///
/// # Errors
/// All cases that failed, by name, with what they found.
pub async fn run(factory: &dyn Factory) -> Result<(), Failure> {
    let mut suite = Suite { failures: Vec::new() };
    suite.case("an empty store answers with nothing", rows::empty(factory)).await;
    suite.case("a newer balance row wins", rows::newer_balance_wins(factory)).await;
    suite.case("a newer roll-up row wins", rows::newer_rollup_wins(factory)).await;
    suite.case("a stale commit still adds rows that are missing", rows::stale_adds_missing(factory)).await;
    suite.case("loads give what was wanted, in order", rows::loads_what_is_wanted(factory)).await;
    suite.case("ranges are inclusive and may overlap", rows::ranges(factory)).await;
    suite.case("an account of many days", rows::many_days(factory)).await;
    suite.case("dates before 1970 and at the bounds", rows::early_dates(factory)).await;
    suite.case("huge totals", rows::huge_totals(factory)).await;
    suite.case("roll-ups of lanes are apart", rows::lanes_are_apart(factory)).await;
    suite.case("names that begin alike are apart", names::similar_names(factory)).await;
    suite.case("the longest names", names::longest_names(factory)).await;
    suite.case("accounts come in pages", names::account_pages(factory)).await;
    suite.case("ten thousand accounts", names::many_accounts(factory)).await;
    suite.case("a journal is a union without repeats", journal::union(factory)).await;
    suite.case("launches come in pages", journal::pages(factory)).await;
    suite.case("long and short chunks overlap", journal::long_and_short_chunks(factory)).await;
    suite.case("small pages over buckets and chunks", edges::buckets(factory)).await;
    suite.case("a journal that ends with a bucket", edges::full_bucket(factory)).await;
    suite.case("small pages over many lone launches", edges::lone_launches(factory)).await;
    suite.case("large chunks and odd bytes come back", journal::large_chunks(factory)).await;
    suite.case("head, progress and checkpoint move forward only", commits::marks(factory)).await;
    suite.case("the same commit again changes nothing", commits::again(factory)).await;
    suite.case("another incarnation's worker writes nothing", commits::incarnations(factory)).await;
    suite.case("the checkpoint goes with commits, or lags behind them", commits::checkpoints(factory)).await;
    suite.case("the generation record is made once and checked", commits::generation(factory)).await;
    suite.case("a crash keeps what was acknowledged", crashes::acknowledged(factory)).await;
    suite.case("a crash between the steps of a commit", crashes::between_steps(factory)).await;
    suite.case("a reader sees a batch whole or not at all", races::whole_batches(factory)).await;
    suite.case("two workers on one lane", races::two_workers(factory)).await;
    suite.finish()
}

struct Suite {
    failures: Vec<String>,
}

impl Suite {
    async fn case(&mut self, name: &str, work: impl Future<Output = Checked>) {
        tracing::debug!(name, "conformance case");
        // A case's future is large with all that it holds; the suite's must not be as large as all of them.
        if let Err(failure) = Box::pin(work).await {
            self.failures.push(format!("{name}: {failure}"));
        }
    }

    fn finish(self) -> Checked {
        check(self.failures.is_empty(), self.failures.join("\n"))
    }
}

//! What is read from the store for an answer, and the JSON that becomes of it.

mod accounts;
mod launches;
mod statement;

use ledger::{BusinessDate, Place};
use protocol::{
    log::LogName,
    query::{EntryKey, FillTicket},
};
use store::{Store, StoreError};

pub(crate) use accounts::{AccountsPage, accounts};

use crate::http::{answer::Answer, stamp::date_of};

/// Which answer about an account; the last date that it depends on stands beside it in the key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Representation {
    /// One day.
    Day,
    /// Everything applied.
    Balance,
    /// A page of days.
    Days {
        /// First day of this page.
        from: BusinessDate,
        /// Whether days without launches are listed.
        include_empty: bool,
        /// Most days of the page.
        limit: u16,
    },
    /// A page of a day's launches.
    Launches {
        /// The last one of the page before.
        after: Option<Place>,
        /// Most launches of the page.
        limit: u16,
    },
}

/// What an answer is made from besides the store.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Context {
    pub(crate) log: LogName,
    pub(crate) generation: u32,
    pub(crate) partition: u16,
}

/// What was read for an answer.
pub(crate) enum Found {
    Answer(Answer),
    /// The account was never seen.
    Unknown,
    /// The account may not be answered before this sequence is applied.
    WaitsFor(u64),
}

/// Reads what the ticket asks for.
pub(crate) async fn answer(
    store: &dyn Store,
    context: Context,
    ticket: &FillTicket<Representation>,
) -> Result<Found, StoreError> {
    let horizon = ticket.horizon();
    let EntryKey { account, until, representation } = ticket.key();
    let today = date_of(ticket.stamp().time_ms);
    let written = match representation {
        Representation::Day => statement::day(store, account, *until, today).await?,
        Representation::Balance => statement::balance(store, account).await?,
        Representation::Days { from, include_empty, limit } => {
            let page = statement::Page { from: *from, to: *until, include_empty: *include_empty, limit: *limit };
            statement::days(store, context.log, account, &page, today).await?
        }
        Representation::Launches { after, limit } => {
            let page = launches::Page { date: *until, after: *after, limit: *limit };
            launches::launches(store, context, account, &page, |applied| horizon.upto(applied)).await?
        }
    };
    let Some(written) = written else { return Ok(Found::Unknown) };
    match horizon.waits_for(Some(written.applied)) {
        Some(sequence) => Ok(Found::WaitsFor(sequence)),
        None => Ok(Found::Answer(Answer::new(context, ticket.key(), written))),
    }
}

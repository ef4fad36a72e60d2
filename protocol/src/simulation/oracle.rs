//! What the log means, told by code of its own: launches as the generator made them, plain integers, a calendar that counts.
//!
//! Nothing here comes from what is judged: no type or function of `ledger`, of the worker or of the query. `cargo xtask
//! layers` checks it. What is judged is turned into the plain values of this module by [`super::judge`].

pub(crate) mod answers;
pub(crate) mod calendar;
pub(crate) mod fold;
pub(crate) mod model;

pub(crate) use answers::{DayTotals, DaysPage, LaunchesPage, Listed};
pub(crate) use calendar::Day;
pub(crate) use fold::{At, Owner, Span, Sums, Truth};
pub(crate) use model::{ACCOUNTS, CURRENCIES, Launch, Line};

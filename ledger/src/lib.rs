//! The pure domain: money, launches, business dates, the window fold and the statement.
//!
//! Promise: no clock, no I/O, no configuration read from outside. The same entries in the same order give the same
//! windows and balances on every machine, today and in ten years. Hence three definitions never change: what a digest is
//! taken over ([`Content`]), the decimals of a currency ([`Currency`]), and the rules by which a line of the log is read
//! ([`parse_logged`]).
//!
//! | question | answered by |
//! |---|---|
//! | is this line a launch, and what does it say? | [`parse_posted`] at the border, [`parse_logged`] on the log |
//! | which day does an instant belong to? | [`Calendar`]; only ingest asks, the log holds dates |
//! | does this launch count? | [`SeenSet::check`], one set for each [`WindowKey`] |
//! | what do the launches of a day, a month, a lifetime sum up to? | [`Totals`] in the row of a [`RowKey`] |
//! | with what does a day open and close? | [`DaysPlan`], [`OpeningPlan`], [`opening`], [`statement::days`] |

mod balance;
mod calendar;
mod content;
mod date;
mod digest;
mod entry;
mod fingerprint;
mod identifier;
mod invalid;
mod money;
mod place;
pub mod statement;
mod window;

pub use balance::{Balance, Grain, RowKey, Totals};
pub use calendar::{Calendar, CalendarError, CalendarRule, NoDate, NoVersion, ZoneVersion};
pub use content::Content;
pub use date::{BusinessDate, DateError};
pub use digest::Digest;
pub use entry::{Draft, Launch, MAX_DEPTH, MAX_LINE_BYTES, parse_logged, parse_logged_with_fingerprint, parse_posted};
pub use fingerprint::{Fingerprint, FingerprintSecret};
pub use identifier::{Account, AccountKey, IdentifierError, LaunchId, Tenant};
pub use invalid::{Invalid, Reason};
pub use money::{Amount, Currency, MAX_AMOUNT_MINOR_UNITS, MoneyError, format_minor_units};
pub use place::Place;
pub use statement::{Balances, CurrencyLine, DayLine, DaysPlan, OpeningPlan, Side, opening};
pub use window::{Fact, Kind, Looked, NewId, Seen, SeenSet, WindowKey};

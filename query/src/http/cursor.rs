//! Cursors: where the next page of a list begins.
//!
//! To callers a cursor is opaque. Inside it is the place where the page before ended, with a digest over it and over the
//! list that it belongs to, all in hexadecimal: one that was changed, cut or taken to another list is refused, and so is
//! one of another log, where the place may be that of another launch. It holds nothing of the process that made it, so that
//! it outlives a restart. It is no secret and grants nothing: the tenant
//! always comes from the caller's credentials.

use ledger::{Account, AccountKey, BusinessDate, Digest, Place, Tenant, WindowKey};
use protocol::log::LogName;
use service::problem::{Problem, kinds};

/// Part of every digest: raised when the meaning of cursors changes.
const FORMAT: &str = "2";
/// Bytes of the digest that are kept.
const CHECK_BYTES: usize = 8;
/// The longest place is an account's name.
const MAX_CURSOR_BYTES: usize = 2 * (CHECK_BYTES + 64);

/// The next day of a list of days up to `to`.
pub(crate) fn of_day(log: LogName, account: &AccountKey, to: BusinessDate, next: BusinessDate) -> String {
    encode(&days(log, account, to), &next.to_string())
}

/// The last launch of a page of a day's launches.
pub(crate) fn of_launch(log: LogName, window: &WindowKey, last: Place) -> String {
    encode(&launches(log, window), &format!("{}.{}", last.sequence, last.line))
}

/// The last account of a page.
pub(crate) fn of_account(log: LogName, tenant: &Tenant, last: &Account) -> String {
    encode(&accounts(log, tenant), last.as_str())
}

/// Reads what [`of_day`] wrote.
pub(crate) fn read_day(
    cursor: &str,
    log: LogName,
    account: &AccountKey,
    to: BusinessDate,
) -> Result<BusinessDate, Problem> {
    BusinessDate::parse(&decode(cursor, &days(log, account, to))?).map_err(|_| refused())
}

/// Reads what [`of_launch`] wrote.
pub(crate) fn read_launch(cursor: &str, log: LogName, window: &WindowKey) -> Result<Place, Problem> {
    let place = decode(cursor, &launches(log, window))?;
    let (sequence, line) = place.split_once('.').ok_or_else(refused)?;
    Ok(Place::new(sequence.parse().map_err(|_| refused())?, line.parse().map_err(|_| refused())?))
}

/// Reads what [`of_account`] wrote.
pub(crate) fn read_account(cursor: &str, log: LogName, tenant: &Tenant) -> Result<Account, Problem> {
    Account::parse(&decode(cursor, &accounts(log, tenant))?).map_err(|_| refused())
}

fn days(log: LogName, account: &AccountKey, to: BusinessDate) -> String {
    format!("{log} days {} {} {to}", account.tenant, account.account)
}

fn launches(log: LogName, window: &WindowKey) -> String {
    format!("{log} launches {} {} {}", window.tenant, window.account, window.date)
}

fn accounts(log: LogName, tenant: &Tenant) -> String {
    format!("{log} accounts {tenant}")
}

fn encode(list: &str, place: &str) -> String {
    let check = check(list, place);
    check.iter().chain(place.as_bytes()).map(|byte| format!("{byte:02x}")).collect()
}

fn decode(cursor: &str, list: &str) -> Result<String, Problem> {
    let plain = cursor.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    if !plain || cursor.len() > MAX_CURSOR_BYTES || !cursor.len().is_multiple_of(2) {
        return Err(refused());
    }
    let digits = |index: usize| cursor.get(index..index + 2).and_then(|digits| u8::from_str_radix(digits, 16).ok());
    let bytes: Option<Vec<u8>> = (0..cursor.len()).step_by(2).map(digits).collect();
    let bytes = bytes.ok_or_else(refused)?;
    let (given, place) = bytes.split_at_checked(CHECK_BYTES).ok_or_else(refused)?;
    let place = std::str::from_utf8(place).map_err(|_| refused())?;
    if given == check(list, place) { Ok(place.to_owned()) } else { Err(refused()) }
}

fn check(list: &str, place: &str) -> [u8; CHECK_BYTES] {
    let digest = Digest::of(format!("{FORMAT} {list} {place}").as_bytes());
    let mut check = [0; CHECK_BYTES];
    check.copy_from_slice(&digest.0[..CHECK_BYTES]);
    check
}

/// What is said to a cursor that is none.
pub(crate) fn refused() -> Problem {
    Problem::new(kinds::CURSOR_INVALID, "this is no cursor that this list has returned")
}

#[cfg(test)]
mod tests {
    use protocol::log::Incarnation;

    use super::*;

    fn log(stream_id: &str) -> LogName {
        LogName { epoch: 1, incarnation: Incarnation::of(stream_id) }
    }

    fn account(name: &str) -> AccountKey {
        AccountKey { tenant: Tenant::parse("acme").unwrap(), account: Account::parse(name).unwrap() }
    }

    #[test]
    fn cursors_come_back_as_they_were() {
        let (log, to, next) = (log("s"), BusinessDate::MAX, BusinessDate::MIN);
        assert_eq!(read_day(&of_day(log, &account("a"), to, next), log, &account("a"), to).unwrap(), next);
        let AccountKey { tenant, account } = account(&"n".repeat(64));
        assert_eq!(read_account(&of_account(log, &tenant, &account), log, &tenant).unwrap(), account);
        let window = WindowKey { tenant, account, date: next };
        let last = Place::new(u64::MAX, u32::MAX);
        assert_eq!(read_launch(&of_launch(log, &window, last), log, &window).unwrap(), last);
    }

    #[test]
    fn a_cursor_of_another_list_is_refused() {
        let log_name = log("s");
        let cursor = of_day(log_name, &account("a"), BusinessDate::MAX, BusinessDate::MIN);
        assert!(read_day(&cursor, log_name, &account("b"), BusinessDate::MAX).is_err());
        assert!(read_day(&cursor, log_name, &account("a"), BusinessDate::MIN).is_err());
        assert!(read_day(&cursor, log("another"), &account("a"), BusinessDate::MAX).is_err());
        assert!(read_account(&cursor, log_name, &account("a").tenant).is_err());
    }

    #[test]
    fn every_change_of_a_cursor_is_refused() {
        let (log, tenant) = (log("s"), account("a").tenant);
        let cursor = of_account(log, &tenant, &account("store-17").account);
        for index in 0..cursor.len() {
            let mut changed = cursor.clone().into_bytes();
            changed[index] = if changed[index] == b'0' { b'1' } else { b'0' };
            assert!(read_account(std::str::from_utf8(&changed).unwrap(), log, &tenant).is_err());
            assert!(read_account(&cursor[..index], log, &tenant).is_err());
        }
        for strange in ["", "zz", "é", "00", &"0".repeat(10_000), &cursor.to_uppercase(), &format!("{cursor}00")] {
            assert!(read_account(strange, log, &tenant).is_err(), "{strange}");
        }
    }
}

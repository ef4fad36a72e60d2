//! Cursors: where the next page of a list begins.
//!
//! To callers a cursor is opaque. Inside it is the place where the page before ended, with a digest over it and over the
//! list that it belongs to, all in hexadecimal: one that was changed, cut or taken to another list is refused. It holds
//! nothing of the process that made it, so that it outlives a restart. It is no secret and grants nothing: the tenant
//! always comes from the caller's credentials.

use ledger::{Account, AccountKey, BusinessDate, Digest, Place, Tenant, WindowKey};
use service::problem::{Problem, kinds};

/// Part of every digest: raised when the meaning of cursors changes.
const FORMAT: &str = "1";
/// Bytes of the digest that are kept.
const CHECK_BYTES: usize = 8;
/// The longest place is an account's name.
const MAX_CURSOR_BYTES: usize = 2 * (CHECK_BYTES + 64);

/// The next day of a list of days up to `to`.
pub(crate) fn of_day(account: &AccountKey, to: BusinessDate, next: BusinessDate) -> String {
    encode(&days(account, to), &next.to_string())
}

/// The last launch of a page of a day's launches.
pub(crate) fn of_launch(window: &WindowKey, last: Place) -> String {
    encode(&launches(window), &format!("{}.{}", last.sequence, last.line))
}

/// The last account of a page.
pub(crate) fn of_account(tenant: &Tenant, last: &Account) -> String {
    encode(&accounts(tenant), last.as_str())
}

/// Reads what [`of_day`] wrote.
pub(crate) fn read_day(cursor: &str, account: &AccountKey, to: BusinessDate) -> Result<BusinessDate, Problem> {
    BusinessDate::parse(&decode(cursor, &days(account, to))?).map_err(|_| refused())
}

/// Reads what [`of_launch`] wrote.
pub(crate) fn read_launch(cursor: &str, window: &WindowKey) -> Result<Place, Problem> {
    let place = decode(cursor, &launches(window))?;
    let (sequence, line) = place.split_once('.').ok_or_else(refused)?;
    Ok(Place::new(sequence.parse().map_err(|_| refused())?, line.parse().map_err(|_| refused())?))
}

/// Reads what [`of_account`] wrote.
pub(crate) fn read_account(cursor: &str, tenant: &Tenant) -> Result<Account, Problem> {
    Account::parse(&decode(cursor, &accounts(tenant))?).map_err(|_| refused())
}

fn days(account: &AccountKey, to: BusinessDate) -> String {
    format!("days {} {} {to}", account.tenant, account.account)
}

fn launches(window: &WindowKey) -> String {
    format!("launches {} {} {}", window.tenant, window.account, window.date)
}

fn accounts(tenant: &Tenant) -> String {
    format!("accounts {tenant}")
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
    use super::*;

    fn account(name: &str) -> AccountKey {
        AccountKey { tenant: Tenant::parse("acme").unwrap(), account: Account::parse(name).unwrap() }
    }

    #[test]
    fn cursors_come_back_as_they_were() {
        let (to, next) = (BusinessDate::MAX, BusinessDate::MIN);
        assert_eq!(read_day(&of_day(&account("a"), to, next), &account("a"), to).unwrap(), next);
        let AccountKey { tenant, account } = account(&"n".repeat(64));
        assert_eq!(read_account(&of_account(&tenant, &account), &tenant).unwrap(), account);
        let window = WindowKey { tenant, account, date: next };
        let last = Place::new(u64::MAX, u32::MAX);
        assert_eq!(read_launch(&of_launch(&window, last), &window).unwrap(), last);
    }

    #[test]
    fn a_cursor_of_another_list_is_refused() {
        let cursor = of_day(&account("a"), BusinessDate::MAX, BusinessDate::MIN);
        assert!(read_day(&cursor, &account("b"), BusinessDate::MAX).is_err());
        assert!(read_day(&cursor, &account("a"), BusinessDate::MIN).is_err());
        assert!(read_account(&cursor, &account("a").tenant).is_err());
    }

    #[test]
    fn every_change_of_a_cursor_is_refused() {
        let tenant = account("a").tenant;
        let cursor = of_account(&tenant, &account("store-17").account);
        for index in 0..cursor.len() {
            let mut changed = cursor.clone().into_bytes();
            changed[index] = if changed[index] == b'0' { b'1' } else { b'0' };
            assert!(read_account(std::str::from_utf8(&changed).unwrap(), &tenant).is_err());
            assert!(read_account(&cursor[..index], &tenant).is_err());
        }
        for strange in ["", "zz", "é", "00", &"0".repeat(10_000), &cursor.to_uppercase(), &format!("{cursor}00")] {
            assert!(read_account(strange, &tenant).is_err(), "{strange}");
        }
    }
}

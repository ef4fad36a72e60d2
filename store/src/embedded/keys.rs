//! Keys of the embedded store: within an owner their byte order is the order in which rows are read.
//!
//! | keyspace | key |
//! |---|---|
//! | balances | spread, tenant 0, account 0, then a row (below) |
//! | rollups | tenant 0, partition, then a row |
//! | accounts | tenant 0, account |
//! | chunks, lines | spread, tenant 0, account 0, date, span class, first, last |
//! | partitions | partition, kind of row |
//!
//! The **spread** is the beginning of a digest of the two names. Nobody reads balances or journals across accounts, so that
//! their order is free; names that begin alike make every comparison in the database's memory follow two pointers, the
//! spread decides nearly all of them by the four bytes that stand in the list itself.
//!
//! A row is 0 for the owner's own (its static `applied`, and the rows that stand in it), or grain, start and currency. Names hold no zero byte, so that one behind a name
//! keeps the order of names where one is the beginning of another. Numbers are big-endian; days are shifted so that those
//! before 1970 come first.
//!
//! The **span class** makes a page of a long journal cheap, see [`protocol::store_reading::spans`]. A chunk's bucket, which keeps a CQL
//! partition small, is not needed here.

use ledger::{Account, AccountKey, BusinessDate, Currency, Digest, Grain, Place, RowKey, Tenant, WindowKey};
use protocol::{commit::JournalChunk, store_reading::spans::SpanClasses};

use crate::encoding::Damaged;

const SEPARATOR: u8 = 0;
/// As many as the database keeps beside a key's address.
const SPREAD_BYTES: usize = 4;
/// The row that holds an owner's static `applied`; below every grain.
const STATIC: u8 = 0;
/// Days since 1970 are shifted by this: negative ones come first.
const SIGN: u32 = 1 << 31;
pub(super) const ROW_BYTES: usize = 1 + 4 + 3;
const PLACE_BYTES: usize = 8 + 4;
const CHUNK_SUFFIX_BYTES: usize = 1 + 2 * PLACE_BYTES;
/// Span classes: the bytes of a span that are not zero in front, 0 to 8.
pub(super) const SPAN_CLASSES: SpanClasses = SpanClasses::of_bits(u8::BITS);

/// A partition's rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PartitionRow {
    Head = 0,
    Progress = 1,
    Checkpoint = 2,
    /// The largest stamp of any row that the lane has written: rows above it need no comparison.
    Highest = 3,
}

/// Beginning of all keys of an account's rows or windows.
pub(super) fn account_prefix(key: &mut Vec<u8>, account: &AccountKey) {
    names_prefix(key, &account.tenant, &account.account);
}

/// An account's place in the order of balances and journals.
pub(super) type Spread = [u8; SPREAD_BYTES];

fn names_prefix(key: &mut Vec<u8>, tenant: &Tenant, account: &Account) {
    put_names(key, Spread::default(), tenant, account);
    let (spread, names) = key.split_at_mut(SPREAD_BYTES);
    spread.copy_from_slice(&Digest::of(names).0[..SPREAD_BYTES]);
}

fn put_names(key: &mut Vec<u8>, spread: Spread, tenant: &Tenant, account: &Account) {
    key.clear();
    key.extend_from_slice(&spread);
    for name in [tenant.as_str(), account.as_str()] {
        key.extend_from_slice(name.as_bytes());
        key.push(SEPARATOR);
    }
}

/// The spread of an account; `key` is left with the beginning of its keys.
pub(super) fn spread(key: &mut Vec<u8>, tenant: &Tenant, account: &Account) -> Spread {
    names_prefix(key, tenant, account);
    key.first_chunk().copied().unwrap_or_default()
}

/// As [`account_prefix`], of an account whose spread is known.
pub(super) fn spread_account_prefix(key: &mut Vec<u8>, spread: Spread, account: &AccountKey) {
    put_names(key, spread, &account.tenant, &account.account);
}

/// As [`window_prefix`], of an account whose spread is known.
pub(super) fn spread_window_prefix(key: &mut Vec<u8>, spread: Spread, window: &WindowKey) {
    put_names(key, spread, &window.tenant, &window.account);
    put_date(key, window.date);
}

/// Beginning of all keys of a tenant.
pub(super) fn tenant_prefix(key: &mut Vec<u8>, tenant: &Tenant) {
    key.clear();
    key.extend_from_slice(tenant.as_str().as_bytes());
    key.push(SEPARATOR);
}

/// Beginning of all keys of a tenant's lane.
pub(super) fn lane_prefix(key: &mut Vec<u8>, tenant: &Tenant, partition: u16) {
    tenant_prefix(key, tenant);
    key.extend_from_slice(&partition.to_be_bytes());
}

/// The key in `accounts`.
pub(super) fn account_name(key: &mut Vec<u8>, account: &AccountKey) {
    tenant_prefix(key, &account.tenant);
    key.extend_from_slice(account.account.as_str().as_bytes());
}

/// The account of a key in `accounts`.
pub(super) fn decode_account_name(key: &[u8], prefix_bytes: usize) -> Result<Account, Damaged> {
    let name = key.get(prefix_bytes..).and_then(|name| std::str::from_utf8(name).ok());
    name.and_then(|name| Account::parse(name).ok()).ok_or(Damaged { what: "account's key" })
}

/// The static row of the owner whose prefix is given.
pub(super) fn static_row(prefix: &[u8]) -> Vec<u8> {
    [prefix, &[STATIC]].concat()
}

/// Appends the static row to an owner's prefix.
pub(super) fn put_static_row(key: &mut Vec<u8>) {
    key.push(STATIC);
}

fn grain_byte(grain: Grain) -> u8 {
    match grain {
        Grain::Day => 1,
        Grain::Month => 2,
        Grain::Lifetime => 3,
    }
}

fn put_date(key: &mut Vec<u8>, date: BusinessDate) {
    key.extend_from_slice(&(date.days().cast_unsigned() ^ SIGN).to_be_bytes());
}

/// Appends grain and start: the beginning of the rows of all currencies.
pub(super) fn put_start(key: &mut Vec<u8>, grain: Grain, start: BusinessDate) {
    key.push(grain_byte(grain));
    put_date(key, start);
}

/// Appends a row.
pub(super) fn put_row(key: &mut Vec<u8>, row: &RowKey) {
    put_start(key, row.grain, row.start);
    key.extend_from_slice(row.currency.code().as_bytes());
}

/// Above every row of a start: currencies are written in letters.
pub(super) const ABOVE_CURRENCIES: u8 = 0xff;

/// The row at the end of a key.
pub(super) fn decode_row(key: &[u8]) -> Result<RowKey, Damaged> {
    let damaged = Damaged { what: "balance row's key" };
    let (_, &[grain, d3, d2, d1, d0, c0, c1, c2]) = key.split_last_chunk::<ROW_BYTES>().ok_or(damaged)?;
    let grain = Grain::ALL.into_iter().find(|known| grain_byte(*known) == grain).ok_or(damaged)?;
    let days = (u32::from_be_bytes([d3, d2, d1, d0]) ^ SIGN).cast_signed();
    let start = BusinessDate::from_days(days).ok_or(damaged)?;
    let code = [c0, c1, c2];
    let currency = std::str::from_utf8(&code).ok().and_then(|code| Currency::parse(code).ok()).ok_or(damaged)?;
    Ok(RowKey { grain, start, currency })
}

/// Beginning of a window's chunks. As a key of its own it marks that the window has some.
pub(super) fn window_prefix(key: &mut Vec<u8>, window: &WindowKey) {
    names_prefix(key, &window.tenant, &window.account);
    put_date(key, window.date);
}

fn put_place(key: &mut Vec<u8>, place: Place) {
    key.extend_from_slice(&place.sequence.to_be_bytes());
    key.extend_from_slice(&place.line.to_be_bytes());
}

/// Appends a chunk to its window's prefix.
pub(super) fn put_chunk(key: &mut Vec<u8>, chunk: &JournalChunk) {
    let (first, last) = (chunk.first(), chunk.last());
    key.push(SPAN_CLASSES.class((first, last)));
    put_place(key, first);
    put_place(key, last);
}

/// Appends the lowest key that a chunk of `class` can have when it reaches `place`.
pub(super) fn put_class_start(key: &mut Vec<u8>, class: u8, place: Place) {
    key.push(class);
    put_place(key, SPAN_CLASSES.start(class, place));
}

/// First and last place of a chunk's key.
pub(super) fn decode_chunk(key: &[u8]) -> Result<(Place, Place), Damaged> {
    let damaged = Damaged { what: "journal chunk's key" };
    let (_, suffix) = key.split_last_chunk::<CHUNK_SUFFIX_BYTES>().ok_or(damaged)?;
    let (first, last) = suffix[1..].split_at(PLACE_BYTES);
    Ok((decode_place(first).ok_or(damaged)?, decode_place(last).ok_or(damaged)?))
}

fn decode_place(bytes: &[u8]) -> Option<Place> {
    let (sequence, line) = bytes.split_first_chunk()?;
    Some(Place { sequence: u64::from_be_bytes(*sequence), line: u32::from_be_bytes(line.try_into().ok()?) })
}

/// The key of a partition's row.
pub(super) fn partition(partition: u16, row: PartitionRow) -> [u8; 3] {
    let [high, low] = partition.to_be_bytes();
    [high, low, row as u8]
}

#[cfg(test)]
mod tests;

//! A journal chunk's two columns: what deduplication needs, and the rest.
//!
//! Digests: place, kind, currency, id digest and content digest of each launch; a window is reloaded from them alone.
//! Lines: amount and text of each launch, in the same order; compressed where that makes them shorter. It is done here and not by
//! the database, which would do it twice (for its journal and for its files), the first time under the lock of all writes.
//!
//! Where a store keeps the columns as values of two rows, a short chunk can have both in one value: single launches, each of
//! which is a chunk, write a row less.

use std::borrow::Cow;

use bytes::Bytes;
use ledger::{Amount, Currency, Digest, Fact, Kind, Place};
use protocol::load::JournalEntry;

use super::{
    Damaged,
    number::{Reader, put_u64},
};

const VERSION: u8 = 2;
/// In place of the version of a first column: both columns follow.
const BOTH: u8 = 3;
const WHAT: &str = "journal chunk";
/// Two digests, flags, and at least one byte each of sequence and line.
const LEAST_ENTRY_BYTES: usize = 2 * 16 + 3;
/// What an entry takes on the average, to size the buffer.
const USUAL_ENTRY_BYTES: usize = LEAST_ENTRY_BYTES + 4;

/// LZ4 does not make more than this of a byte: bounds what is set aside for damaged bytes.
const MOST_EXPANSION: usize = 255;

const DEBIT: u8 = 1;
/// The currency is the one of the entry before; otherwise its code follows the flags.
const SAME_CURRENCY: u8 = 2;

/// Encodes chunks one after the other, in room that stays: the largest chunk, as it is and as a value.
#[derive(Default)]
pub(crate) struct ChunkEncoder {
    plain: Vec<u8>,
    value: Vec<u8>,
}

impl ChunkEncoder {
    /// One without any room yet.
    pub(crate) const fn new() -> Self {
        Self { plain: Vec::new(), value: Vec::new() }
    }

    /// The digests column.
    pub(crate) fn digests(&mut self, facts: &[Fact]) -> &[u8] {
        self.value.clear();
        put_digests(&mut self.value, facts);
        &self.value
    }

    /// The lines column.
    pub(crate) fn lines(&mut self, facts: &[Fact]) -> &[u8] {
        let Self { plain, value } = self;
        plain.clear();
        put_plain_text(plain, facts);
        value.clear();
        put_head_of_lines(value, facts.len(), plain.len());
        let head_bytes = value.len();
        value.resize(head_bytes + lz4_flex::block::get_maximum_output_size(plain.len()), 0);
        // What is as long as the plain text is the plain text.
        let compressed = lz4_flex::block::compress_into(plain, &mut value[head_bytes..]);
        match compressed.ok().filter(|bytes| *bytes < plain.len()) {
            Some(bytes) => value.truncate(head_bytes + bytes),
            None => {
                value.truncate(head_bytes);
                value.extend_from_slice(plain);
            }
        }
        value
    }

    /// Both columns as one value, if that has at most so many bytes. Not compressed: short lines do not become shorter.
    pub(crate) fn both(&mut self, facts: &[Fact], most_bytes: usize) -> Option<&[u8]> {
        let least_bytes: usize = facts.iter().map(|fact| LEAST_ENTRY_BYTES + fact.line.len()).sum();
        if least_bytes > most_bytes {
            return None;
        }
        let Self { plain, value } = self;
        plain.clear();
        put_digests(plain, facts);
        let digests_bytes = plain.len();
        put_plain_text(plain, facts);
        let (digests, text) = plain.split_at(digests_bytes);
        value.clear();
        value.push(BOTH);
        put_u64(value, digests.len() as u64);
        value.extend_from_slice(digests);
        put_head_of_lines(value, facts.len(), text.len());
        value.extend_from_slice(text);
        (value.len() <= most_bytes).then_some(value)
    }
}

/// The digests column.
pub(crate) fn encode_digests(facts: &[Fact]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(facts.len() * USUAL_ENTRY_BYTES);
    put_digests(&mut bytes, facts);
    bytes
}

/// The lines column.
pub(crate) fn encode_lines(facts: &[Fact]) -> Vec<u8> {
    ChunkEncoder::new().lines(facts).to_vec()
}

fn put_digests(bytes: &mut Vec<u8>, facts: &[Fact]) {
    bytes.push(VERSION);
    put_u64(bytes, facts.len() as u64);
    let mut sequence = 0;
    let mut currency = None;
    for fact in facts {
        // Facts are ordered by place; wrapping keeps even others exact.
        put_u64(bytes, fact.place.sequence.wrapping_sub(sequence));
        put_u64(bytes, u64::from(fact.place.line));
        put_kind_and_currency(bytes, fact, currency);
        bytes.extend_from_slice(&fact.id_digest.0);
        bytes.extend_from_slice(&fact.content_digest.0);
        sequence = fact.place.sequence;
        currency = Some(fact.currency);
    }
}

fn put_kind_and_currency(bytes: &mut Vec<u8>, fact: &Fact, before: Option<Currency>) {
    let debit = if fact.kind == Kind::Debit { DEBIT } else { 0 };
    if before == Some(fact.currency) {
        bytes.push(debit | SAME_CURRENCY);
    } else {
        bytes.push(debit);
        bytes.extend_from_slice(fact.currency.code().as_bytes());
    }
}

/// The digests column of a value, and the lines column if that follows.
pub(crate) fn columns(value: &[u8]) -> Result<(&[u8], Option<&[u8]>), Damaged> {
    if value.first() != Some(&BOTH) {
        return Ok((value, None));
    }
    let mut reader = Reader::new(value, WHAT);
    reader.version(BOTH)?;
    let length = reader.usize()?;
    let digests = reader.take(length)?;
    Ok((digests, Some(reader.take(reader.remaining())?)))
}

fn put_plain_text(bytes: &mut Vec<u8>, facts: &[Fact]) {
    for fact in facts {
        put_u64(bytes, fact.amount.minor_units().unsigned_abs());
        put_u64(bytes, fact.line.len() as u64);
        bytes.extend_from_slice(&fact.line);
    }
}

/// What stands before the text.
fn put_head_of_lines(bytes: &mut Vec<u8>, facts: usize, plain_bytes: usize) {
    bytes.push(VERSION);
    put_u64(bytes, facts as u64);
    put_u64(bytes, plain_bytes as u64);
}

/// The plain text behind the head of a lines column.
fn plain_lines<'bytes>(reader: &mut Reader<'bytes>) -> Result<Cow<'bytes, [u8]>, Damaged> {
    let plain_bytes = reader.usize()?;
    let rest = reader.take(reader.remaining())?;
    if rest.len() == plain_bytes {
        return Ok(Cow::Borrowed(rest));
    }
    if plain_bytes / MOST_EXPANSION > rest.len() {
        return Err(reader.damaged());
    }
    let plain = lz4_flex::block::decompress(rest, plain_bytes).map_err(|_| reader.damaged())?;
    if plain.len() == plain_bytes { Ok(Cow::Owned(plain)) } else { Err(reader.damaged()) }
}

/// Reads a digests column, appending to `entries`.
pub(crate) fn decode_entries(digests: &[u8], entries: &mut Vec<JournalEntry>) -> Result<(), Damaged> {
    let mut reader = Reader::new(digests, WHAT);
    reader.version(VERSION)?;
    let count = reader.usize()?;
    if count > reader.remaining() / LEAST_ENTRY_BYTES {
        return Err(reader.damaged());
    }
    entries.reserve(count);
    let mut sequence = 0_u64;
    let mut currency = None;
    for _ in 0..count {
        sequence = sequence.wrapping_add(reader.u64()?);
        let entry = decode_entry(&mut reader, sequence, currency)?;
        currency = Some(entry.currency);
        entries.push(entry);
    }
    reader.end()
}

fn decode_entry(reader: &mut Reader<'_>, sequence: u64, before: Option<Currency>) -> Result<JournalEntry, Damaged> {
    let line = reader.u32()?;
    let flags = reader.byte()?;
    let kind = if flags & DEBIT == 0 { Kind::Credit } else { Kind::Debit };
    let currency = if flags & SAME_CURRENCY == 0 {
        let code = reader.array::<3>()?;
        std::str::from_utf8(&code).ok().and_then(|code| Currency::parse(code).ok())
    } else {
        before
    };
    Ok(JournalEntry {
        place: Place { sequence, line },
        kind,
        currency: currency.ok_or(reader.damaged())?,
        id_digest: Digest(reader.array()?),
        content_digest: Digest(reader.array()?),
    })
}

/// Reads both columns of a chunk; of each fact that `wanted` accepts, `found` gets the whole.
pub(crate) fn decode_facts(
    digests: &[u8],
    lines: &[u8],
    wanted: impl Fn(&JournalEntry) -> bool,
    mut found: impl FnMut(Fact),
) -> Result<(), Damaged> {
    let mut entries = Vec::new();
    decode_entries(digests, &mut entries)?;
    let mut reader = Reader::new(lines, WHAT);
    reader.version(VERSION)?;
    if reader.usize()? != entries.len() {
        return Err(reader.damaged());
    }
    let plain = plain_lines(&mut reader)?;
    let mut reader = Reader::new(&plain, WHAT);
    for entry in &entries {
        let minor_units = i64::try_from(reader.u64()?).map_err(|_| reader.damaged())?;
        let amount = Amount::from_minor_units(minor_units).map_err(|_| reader.damaged())?;
        let length = reader.usize()?;
        let line = reader.take(length)?;
        if wanted(entry) {
            found(whole_fact(entry, amount, line));
        }
    }
    reader.end()
}

fn whole_fact(entry: &JournalEntry, amount: Amount, line: &[u8]) -> Fact {
    let JournalEntry { place, id_digest, content_digest, kind, currency } = *entry;
    // A copy: a page must not keep whole chunks in memory.
    let line = Bytes::copy_from_slice(line);
    Fact { place, id_digest, content_digest, kind, currency, amount, line }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    prop_compose! {
        fn facts()(
            parts in prop::collection::vec(
                (any::<(u64, u32)>(), any::<([u8; 16], [u8; 16], bool)>(), 0_usize..3, 1_i64..=ledger::MAX_AMOUNT_MINOR_UNITS,
                prop::collection::vec(any::<u8>(), 0..40)), 0..20)
        ) -> Vec<Fact> {
            parts.into_iter().map(|((sequence, line), (id, content, debit), currency, amount, text)| Fact {
                place: Place { sequence, line },
                id_digest: Digest(id),
                content_digest: Digest(content),
                kind: if debit { Kind::Debit } else { Kind::Credit },
                currency: Currency::parse(["BRL", "JPY", "USD"][currency]).unwrap(),
                amount: Amount::from_minor_units(amount).unwrap(),
                line: Bytes::from(text),
            }).collect()
        }
    }

    proptest! {
        #[test]
        fn a_chunk_comes_back(facts in facts()) {
            let (digests, lines) = (encode_digests(&facts), encode_lines(&facts));
            let mut decoded = Vec::new();
            decode_facts(&digests, &lines, |_| true, |fact| decoded.push(fact)).unwrap();
            prop_assert_eq!(&decoded, &facts);
            // What an encoder had before leaves nothing behind.
            let mut encoder = ChunkEncoder::default();
            let both = encoder.both(&facts, usize::MAX).unwrap().to_vec();
            prop_assert_eq!(encoder.both(&facts, both.len() - 1), None);
            prop_assert_eq!(encoder.lines(&facts), lines.as_slice());
            prop_assert_eq!(encoder.digests(&facts), digests.as_slice());
            prop_assert_eq!(encoder.both(&facts, both.len()), Some(both.as_slice()));
            let (first, second) = columns(&both).unwrap();
            prop_assert_eq!(first, digests.as_slice());
            let mut decoded = Vec::new();
            decode_facts(first, second.unwrap(), |_| true, |fact| decoded.push(fact)).unwrap();
            prop_assert_eq!(&decoded, &facts);
            prop_assert_eq!(columns(&digests), Ok((digests.as_slice(), None)));
            for length in 0..digests.len() {
                prop_assert!(decode_entries(&digests[..length], &mut Vec::new()).is_err());
            }
            for length in 0..lines.len() {
                prop_assert!(decode_facts(&digests, &lines[..length], |_| true, |_| ()).is_err());
            }
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut versioned = vec![VERSION];
            versioned.extend_from_slice(&bytes);
            let _ = decode_entries(&versioned, &mut Vec::new());
            versioned[0] = BOTH;
            let _ = columns(&versioned);
            versioned[0] = VERSION;
            let _ = decode_facts(&versioned, &versioned, |_| true, |_| ());
        }
    }

    #[test]
    fn lines_that_are_alike_take_little_room_and_come_back() {
        let fact = |line: u32| Fact {
            place: Place { sequence: 7, line },
            id_digest: Digest([1; 16]),
            content_digest: Digest([2; 16]),
            kind: Kind::Credit,
            currency: Currency::parse("BRL").unwrap(),
            amount: Amount::from_minor_units(1).unwrap(),
            line: Bytes::from(format!("{{\"id\":\"launch-{line:09}\",\"description\":\"sale at the counter\"}}")),
        };
        let facts: Vec<Fact> = (1..=40).map(fact).collect();
        let (digests, lines) = (encode_digests(&facts), encode_lines(&facts));
        let plain_bytes: usize = facts.iter().map(|fact| fact.line.len()).sum();
        assert!(lines.len() < plain_bytes / 2);
        let mut decoded = Vec::new();
        decode_facts(&digests, &lines, |_| true, |fact| decoded.push(fact)).unwrap();
        assert_eq!(decoded, facts);
        for length in 0..lines.len() {
            assert!(decode_facts(&digests, &lines[..length], |_| true, |_| ()).is_err());
        }
    }
}

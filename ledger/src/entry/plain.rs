//! Plain lines: one flat object, no escapes. They are nearly all there are, and can be read in one pass without what a
//! parser of all JSON has to carry along.
//!
//! This is no second opinion on what JSON is. It takes only what serde_json takes, with the same meaning (a test reads each
//! line both ways); whatever is not plain, be it good or bad, is left to serde_json.

use std::borrow::Cow;

use super::object::{Field, Given, Key, Object};

/// The line as an object, if it is plain.
pub(super) fn read(text: &str) -> Option<Object<'_>> {
    let mut line = Scanner { text, bytes: text.as_bytes(), at: 0 };
    let mut object = Object::default();
    line.take(b'{')?;
    if line.peek()? == b'}' {
        line.at += 1;
        return line.is_at_end().then_some(object);
    }
    loop {
        line.peek()?;
        let key = match line.known_key() {
            Some(key) => key,
            None => Key::of(Cow::Borrowed(line.string()?)),
        };
        line.take(b':')?;
        member(&mut object, key, &mut line)?;
        match line.peek()? {
            b',' => line.at += 1,
            b'}' => break,
            _ => return None,
        }
    }
    line.at += 1;
    line.is_at_end().then_some(object)
}

fn member<'a>(object: &mut Object<'a>, key: Key<'a>, line: &mut Scanner<'a>) -> Option<()> {
    match key {
        Key::Known(field) => {
            let given = match line.peek()? {
                b'"' => Given::Text(Cow::Borrowed(line.string()?)),
                b'n' => line.literal("null").map(|_| Given::Nothing)?,
                _ => return None,
            };
            object.give(field, given)
        }
        Key::Amount => object.give_amount(line.value()?),
        Key::Other(name) => {
            let json = line.value()?;
            object.others.push((name, json));
            Some(())
        }
    }
}

struct Scanner<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Scanner<'a> {
    /// The next byte that is no white space.
    #[inline]
    fn peek(&mut self) -> Option<u8> {
        loop {
            match *self.bytes.get(self.at)? {
                byte if byte > b' ' => return Some(byte),
                b' ' | b'\t' | b'\n' | b'\r' => self.at += 1,
                byte => return Some(byte),
            }
        }
    }

    /// The key of a field that Saldo reads, if one begins here; steps over it. By its first letter: comparing with texts that
    /// are known beforehand takes a step or two, finding a key's end first takes many.
    #[inline]
    fn known_key(&mut self) -> Option<Key<'a>> {
        let rest = self.bytes.get(self.at..)?;
        let (key, quoted) = match rest.get(1)? {
            b'a' if rest.starts_with(b"\"account\"") => (Key::Known(Field::Account), "\"account\""),
            b'a' if rest.starts_with(b"\"amount\"") => (Key::Amount, "\"amount\""),
            b'c' if rest.starts_with(b"\"currency\"") => (Key::Known(Field::Currency), "\"currency\""),
            b'c' if rest.starts_with(b"\"category\"") => (Key::Known(Field::Category), "\"category\""),
            b'd' if rest.starts_with(b"\"date\"") => (Key::Known(Field::Date), "\"date\""),
            b'd' if rest.starts_with(b"\"description\"") => (Key::Known(Field::Description), "\"description\""),
            b'i' if rest.starts_with(b"\"id\"") => (Key::Known(Field::Id), "\"id\""),
            b'k' if rest.starts_with(b"\"kind\"") => (Key::Known(Field::Kind), "\"kind\""),
            b'o' if rest.starts_with(b"\"occurred_at\"") => (Key::Known(Field::OccurredAt), "\"occurred_at\""),
            b't' if rest.starts_with(b"\"tenant\"") => (Key::Known(Field::Tenant), "\"tenant\""),
            _ => return None,
        };
        self.at += quoted.len();
        Some(key)
    }

    fn take(&mut self, byte: u8) -> Option<()> {
        (self.peek()? == byte).then(|| self.at += 1)
    }

    fn is_at_end(&mut self) -> bool {
        self.peek().is_none()
    }

    /// The text of the string that begins here; steps over it. `None` where an escape or a control character comes before
    /// its closing quote.
    #[inline]
    fn string(&mut self) -> Option<&'a str> {
        if *self.bytes.get(self.at)? != b'"' {
            return None;
        }
        let start = self.at + 1;
        let end = end_of_string(self.bytes, start)?;
        self.at = end + 1;
        self.text.get(start..end)
    }

    /// A string, number, or literal, as JSON text; steps over it.
    fn value(&mut self) -> Option<&'a str> {
        let first = self.peek()?;
        let start = self.at;
        match first {
            b'"' => {
                self.string()?;
                self.text.get(start..self.at)
            }
            b'n' => self.literal("null"),
            b't' => self.literal("true"),
            b'f' => self.literal("false"),
            _ => {
                self.number()?;
                self.text.get(start..self.at)
            }
        }
    }

    fn literal(&mut self, literal: &str) -> Option<&'a str> {
        let found = self.text.get(self.at..self.at + literal.len()).filter(|found| *found == literal)?;
        self.at += literal.len();
        Some(found)
    }

    /// Steps over `-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?`.
    fn number(&mut self) -> Option<()> {
        self.skip_one_of(b"-");
        let begins_with_zero = self.bytes.get(self.at) == Some(&b'0');
        if self.digits()? > 1 && begins_with_zero {
            return None;
        }
        if self.skip_one_of(b".") {
            self.digits()?;
        }
        if self.skip_one_of(b"eE") {
            self.skip_one_of(b"+-");
            self.digits()?;
        }
        Some(())
    }

    fn skip_one_of(&mut self, wanted: &[u8]) -> bool {
        let found = self.bytes.get(self.at).is_some_and(|byte| wanted.contains(byte));
        self.at += usize::from(found);
        found
    }

    /// Steps over digits; how many, if any.
    fn digits(&mut self) -> Option<usize> {
        let count = self.bytes[self.at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        self.at += count;
        (count > 0).then_some(count)
    }
}

const EACH: u64 = u64::from_ne_bytes([1; 8]);
const HIGH_BITS: u64 = EACH << 7;

/// Where the closing quote stands, if no escape and no control character comes first. Eight bytes at a time.
#[inline]
fn end_of_string(bytes: &[u8], start: usize) -> Option<usize> {
    let mut at = start;
    while let Some(word) = bytes.get(at..at + 8).and_then(|word| word.first_chunk()) {
        let found = ends(u64::from_le_bytes(*word));
        if found != 0 {
            at += (found.trailing_zeros() / 8) as usize;
            return (bytes[at] == b'"').then_some(at);
        }
        at += 8;
    }
    let is_end = |byte: &u8| matches!(byte, b'"' | b'\\' | 0..0x20);
    at += bytes[at..].iter().position(is_end)?;
    (bytes[at] == b'"').then_some(at)
}

/// The high bit of the first byte that is a quote, a backslash or a control character; bits above it mean nothing.
fn ends(word: u64) -> u64 {
    let zeros = |word: u64| word.wrapping_sub(EACH) & !word;
    let quotes = zeros(word ^ (EACH * u64::from(b'"')));
    let escapes = zeros(word ^ (EACH * u64::from(b'\\')));
    let controls = word.wrapping_sub(EACH * 0x20) & !word;
    (quotes | escapes | controls) & HIGH_BITS
}

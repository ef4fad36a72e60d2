//! Plain lines: one flat object, no escapes. They are nearly all there are, and can be read in one pass without what a
//! parser of all JSON has to carry along.
//!
//! This is no second opinion on what JSON is. It takes only what serde_json takes, with the same meaning (a test reads each
//! line both ways); whatever is not plain, be it good or bad, is left to serde_json.

use std::borrow::Cow;

use super::object::{Given, Key, Object};

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
        let key = Key::of(Cow::Borrowed(line.string()?));
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
    fn peek(&mut self) -> Option<u8> {
        loop {
            match *self.bytes.get(self.at)? {
                b' ' | b'\t' | b'\n' | b'\r' => self.at += 1,
                byte => return Some(byte),
            }
        }
    }

    fn take(&mut self, byte: u8) -> Option<()> {
        (self.peek()? == byte).then(|| self.at += 1)
    }

    fn is_at_end(&mut self) -> bool {
        self.peek().is_none()
    }

    /// The text of the string that begins here; steps over it.
    fn string(&mut self) -> Option<&'a str> {
        if self.bytes.get(self.at) != Some(&b'"') {
            return None;
        }
        let start = self.at + 1;
        let end = start + plain_length(&self.bytes[start..])?;
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

/// The bytes before the closing quote, if no escape and no control character comes first. Eight at a time.
fn plain_length(bytes: &[u8]) -> Option<usize> {
    let (words, rest) = bytes.as_chunks::<8>();
    let in_words = words.iter().enumerate().find_map(|(index, word)| {
        let found = ends(u64::from_le_bytes(*word));
        (found != 0).then(|| index * 8 + (found.trailing_zeros() / 8) as usize)
    });
    let is_end = |byte: &u8| matches!(byte, b'"' | b'\\' | 0..0x20);
    let length = in_words.or_else(|| Some(words.len() * 8 + rest.iter().position(is_end)?))?;
    (bytes[length] == b'"').then_some(length)
}

/// The high bit of the first byte that is a quote, a backslash or a control character; bits above it mean nothing.
fn ends(word: u64) -> u64 {
    let zeros = |word: u64| word.wrapping_sub(EACH) & !word;
    let quotes = zeros(word ^ (EACH * u64::from(b'"')));
    let escapes = zeros(word ^ (EACH * u64::from(b'\\')));
    let controls = word.wrapping_sub(EACH * 0x20) & !word;
    (quotes | escapes | controls) & HIGH_BITS
}

//! The encoding of JSON values that the content digest is taken over.

use std::borrow::Cow;

use bytes::BufMut;

use super::excerpt;
use crate::{Invalid, MAX_DEPTH, Reason};

/// A field with its unescaped key and its value as valid JSON text.
pub(crate) type Member<'a> = (Cow<'a, str>, &'a str);

/// The line itself is the first level; the values of its fields are on the second one.
const DEPTH_OF_FIELDS: usize = 2;

pub(super) fn push_optional(text: Option<&str>, out: &mut impl BufMut) {
    match text {
        Some(text) => push_text(b'"', text, out),
        None => out.put_u8(b'n'),
    }
}

/// The other fields of a line as one object.
///
/// # Errors
/// They are nested too deep, have a key twice, or hold a string that is no Unicode text.
pub(crate) fn encode_members(members: &[Member<'_>]) -> Result<Cow<'static, [u8]>, Invalid> {
    if members.is_empty() {
        return Ok(Cow::Borrowed(b"{}"));
    }
    let mut encoded = Vec::with_capacity(members.len());
    for (key, json) in members {
        let mut value = Vec::new();
        Cursor { json, at: 0 }.value(DEPTH_OF_FIELDS, &mut value)?;
        encoded.push((Cow::Borrowed(key.as_ref()), value));
    }
    let mut encoding = Vec::new();
    push_sorted(encoded, &mut encoding)?;
    Ok(Cow::Owned(encoding))
}

fn push_sorted(mut members: Vec<(Cow<'_, str>, Vec<u8>)>, out: &mut Vec<u8>) -> Result<(), Invalid> {
    members.sort_unstable_by(|(left, _), (right, _)| left.cmp(right));
    if let Some(pair) = members.windows(2).find(|pair| pair[0].0 == pair[1].0) {
        return Err(key_twice(&pair[0].0));
    }
    out.push(b'{');
    for (key, value) in &members {
        push_text(b'"', key, out);
        out.extend_from_slice(value);
    }
    out.push(b'}');
    Ok(())
}

pub(crate) fn key_twice(key: &str) -> Invalid {
    Invalid::new(Reason::Malformed, format!("the key {:?} stands twice in one object", excerpt(key)))
}

fn push_text(tag: u8, text: &str, out: &mut impl BufMut) {
    out.put_u8(tag);
    let mut length = text.len();
    while length >= 0x80 {
        out.put_u8(low_byte(length) | 0x80);
        length >>= 7;
    }
    out.put_u8(low_byte(length));
    out.put_slice(text.as_bytes());
}

fn low_byte(length: usize) -> u8 {
    length.to_le_bytes()[0]
}

/// Walks JSON text that a parser has already found valid; what it leaves open is the depth, keys twice, and `\u` escapes
/// that are no characters.
struct Cursor<'a> {
    json: &'a str,
    at: usize,
}

impl<'a> Cursor<'a> {
    fn value(&mut self, depth: usize, out: &mut Vec<u8>) -> Result<(), Invalid> {
        match self.next_byte() {
            b'{' => self.object(depth, out),
            b'[' => self.array(depth, out),
            b'"' => self.string().map(|text| push_text(b'"', &text, out)),
            literal @ (b't' | b'f' | b'n') => {
                self.token();
                out.push(literal);
                Ok(())
            }
            _ => {
                push_text(b'#', self.token(), out);
                Ok(())
            }
        }
    }

    fn array(&mut self, depth: usize, out: &mut Vec<u8>) -> Result<(), Invalid> {
        self.enter(depth)?;
        out.push(b'[');
        while self.has_more(b']')? {
            self.value(depth + 1, out)?;
        }
        out.push(b']');
        Ok(())
    }

    fn object(&mut self, depth: usize, out: &mut Vec<u8>) -> Result<(), Invalid> {
        self.enter(depth)?;
        let mut members = Vec::new();
        while self.has_more(b'}')? {
            self.next_byte();
            let key = self.string()?;
            let mut value = Vec::new();
            self.skip(b':');
            self.value(depth + 1, &mut value)?;
            members.push((key, value));
        }
        push_sorted(members, out)
    }

    /// Steps over the opening bracket.
    fn enter(&mut self, depth: usize) -> Result<(), Invalid> {
        if depth > MAX_DEPTH {
            return Err(Invalid::new(Reason::TooDeep, format!("JSON is nested deeper than {MAX_DEPTH} levels")));
        }
        self.at += 1;
        Ok(())
    }

    /// Whether a value follows; steps over the comma before it, or over the closing bracket.
    fn has_more(&mut self, close: u8) -> Result<bool, Invalid> {
        self.skip(b',');
        match self.next_byte() {
            END => Err(not_json()),
            byte if byte == close => {
                self.at += 1;
                Ok(false)
            }
            _ => Ok(true),
        }
    }

    /// The string that begins here; steps over it.
    fn string(&mut self) -> Result<Cow<'a, str>, Invalid> {
        let quoted = &self.json[self.at..];
        let (length, escaped) = quoted_length(quoted.as_bytes()).ok_or_else(not_json)?;
        self.at += length;
        if !escaped {
            return Ok(Cow::Borrowed(&quoted[1..length - 1]));
        }
        serde_json::from_str(&quoted[..length])
            .map(Cow::Owned)
            .map_err(|error| Invalid::new(Reason::Malformed, format!("a string is no Unicode text: {error}")))
    }

    /// The number or literal that begins here; steps over it.
    fn token(&mut self) -> &'a str {
        let rest = &self.json[self.at..];
        let is_end = |byte: u8| matches!(byte, b',' | b']' | b'}') || byte.is_ascii_whitespace();
        let length = rest.bytes().position(is_end).unwrap_or(rest.len());
        self.at += length;
        &rest[..length]
    }

    fn skip(&mut self, byte: u8) {
        if self.next_byte() == byte {
            self.at += 1;
        }
    }

    /// The next byte that is no white space, or [`END`].
    fn next_byte(&mut self) -> u8 {
        let rest = self.json.as_bytes().get(self.at..).unwrap_or_default();
        self.at += rest.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
        self.json.as_bytes().get(self.at).copied().unwrap_or(END)
    }
}

/// Stands for the end of the text; no JSON holds this byte.
const END: u8 = 0;

/// The length of the string literal at the start of `quoted`, quotes included, and whether it has escapes.
fn quoted_length(quoted: &[u8]) -> Option<(usize, bool)> {
    let mut at = 1;
    let mut escaped = false;
    loop {
        at += memchr::memchr2(b'"', b'\\', quoted.get(at..)?)?;
        if quoted[at] == b'"' {
            return Some((at + 1, escaped));
        }
        escaped = true;
        at += 2;
    }
}

fn not_json() -> Invalid {
    Invalid::new(Reason::Malformed, "a field is no JSON")
}

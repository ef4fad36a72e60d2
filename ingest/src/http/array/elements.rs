//! The elements of a JSON array, step by step: no step takes long, whatever the text holds.

use bytes::Bytes;
use ledger::MAX_LINE_BYTES;
use serde_json::value::RawValue;

/// Most bytes of white space that one step passes.
const MAX_SPACE_BYTES: usize = 16 * 1024;

/// Why a text is no array.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("at byte {byte}: {what}")]
pub(super) struct Broken {
    byte: usize,
    what: String,
}

/// What one step found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// An element.
    Element(Bytes),
    /// An element that is longer than a launch may be, or seems so; it begins with what [`Elements::rest`] gives.
    Long,
    /// White space, and perhaps more of it.
    Space,
    /// The array, and the text with it.
    End,
}

/// Where in the array the next step is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expected {
    Array,
    FirstOrEnd,
    Element,
    CommaOrEnd,
    Nothing,
}

/// Steps through the text of an array.
#[derive(Debug)]
pub(super) struct Elements {
    text: Bytes,
    at: usize,
    count: usize,
    expected: Expected,
}

impl Elements {
    pub(super) fn new(text: Bytes) -> Self {
        Self { text, at: 0, count: 0, expected: Expected::Array }
    }

    /// How many elements were found.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// What is not passed yet.
    pub(super) fn rest(&self) -> Bytes {
        self.text.slice(self.at..)
    }

    /// Passes the long element that was found, given its length.
    pub(super) fn skip(&mut self, length_bytes: usize) {
        self.at = (self.at + length_bytes).min(self.text.len());
        self.count += 1;
        self.expected = Expected::CommaOrEnd;
    }

    pub(super) fn step(&mut self) -> Result<Step, Broken> {
        loop {
            if !self.pass_space() {
                return Ok(Step::Space);
            }
            let next = self.text.get(self.at).copied();
            self.expected = match (self.expected, next) {
                (Expected::Nothing, None) => return Ok(Step::End),
                (_, None) => return Err(self.broken("the text ends within the array")),
                (Expected::Array, Some(b'[')) => Expected::FirstOrEnd,
                (Expected::FirstOrEnd | Expected::CommaOrEnd, Some(b']')) => Expected::Nothing,
                (Expected::CommaOrEnd, Some(b',')) => Expected::Element,
                (Expected::FirstOrEnd | Expected::Element, Some(_)) => return self.element(),
                (Expected::Array, Some(_)) => return Err(self.broken("expected [")),
                (Expected::CommaOrEnd, Some(_)) => return Err(self.broken("expected , or ]")),
                (Expected::Nothing, Some(_)) => return Err(self.broken("expected nothing after the array")),
            };
            self.at += 1;
        }
    }

    /// `false` when there may be more of it.
    fn pass_space(&mut self) -> bool {
        let window = &self.text[self.at..self.text.len().min(self.at + MAX_SPACE_BYTES)];
        let is_space = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\n' | b'\r');
        let space = window.iter().position(|byte| !is_space(byte)).unwrap_or(window.len());
        self.at += space;
        space < MAX_SPACE_BYTES
    }

    fn element(&mut self) -> Result<Step, Broken> {
        let window = &self.text[self.at..self.text.len().min(self.at + MAX_LINE_BYTES + 1)];
        match value_at_start(window) {
            Ok(length) if length <= MAX_LINE_BYTES => {
                let element = self.text.slice(self.at..self.at + length);
                self.skip(length);
                Ok(Step::Element(element))
            }
            Err(error) if !error.is_eof() => Err(self.broken(&error.to_string())),
            Err(error) if self.at + window.len() == self.text.len() => Err(self.broken(&error.to_string())),
            Ok(_) | Err(_) => Ok(Step::Long),
        }
    }

    fn broken(&self, what: &str) -> Broken {
        Broken { byte: self.at, what: what.to_owned() }
    }
}

/// How long the value is that a text begins with. This takes as long as it is long.
pub(super) fn length_of_first(text: &[u8]) -> Result<usize, Broken> {
    value_at_start(text).map_err(|error| Broken { byte: 0, what: format!("in a long element: {error}") })
}

fn value_at_start(text: &[u8]) -> Result<usize, serde_json::Error> {
    let mut values = serde_json::Deserializer::from_slice(text).into_iter::<&RawValue>();
    match values.next() {
        Some(Ok(_)) => Ok(values.byte_offset()),
        Some(Err(error)) => Err(error),
        None => Ok(0),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Lengths instead of the texts of long elements.
    fn elements(text: &[u8]) -> Result<Vec<Result<Bytes, usize>>, Broken> {
        let mut elements = Elements::new(Bytes::copy_from_slice(text));
        let mut found = Vec::new();
        loop {
            match elements.step()? {
                Step::Element(element) => found.push(Ok(element)),
                Step::Space => {}
                Step::End => return Ok(found),
                Step::Long => {
                    let length = length_of_first(&elements.rest())?;
                    elements.skip(length);
                    found.push(Err(length));
                }
            }
        }
    }

    fn naive(text: &[u8]) -> Option<Vec<Result<Bytes, usize>>> {
        let all: Vec<&RawValue> = serde_json::from_slice(text).ok()?;
        let shown = |raw: &&RawValue| match raw.get() {
            short if short.len() <= MAX_LINE_BYTES => Ok(Bytes::copy_from_slice(short.as_bytes())),
            long => Err(long.len()),
        };
        Some(all.iter().map(shown).collect())
    }

    #[test]
    fn long_elements_and_long_spaces_are_passed() {
        let space = " ".repeat(3 * MAX_SPACE_BYTES);
        for length in [MAX_LINE_BYTES - 3, MAX_LINE_BYTES - 2, MAX_LINE_BYTES - 1, MAX_LINE_BYTES, 5 * MAX_LINE_BYTES] {
            for long in
                [format!("\"{}\"", "x".repeat(length)), "1".repeat(length), format!("[{}1]", "1,".repeat(length))]
            {
                let text = format!("{space}[{space}{long}{space},{space}{{}},{long}]{space}");
                assert_eq!(elements(text.as_bytes()).ok(), naive(text.as_bytes()), "{length}");
            }
        }
        let unended = format!("[\"{}", "x".repeat(2 * MAX_LINE_BYTES));
        assert!(elements(unended.as_bytes()).is_err());
    }

    proptest! {
        #[test]
        fn the_same_as_all_at_once(tokens in prop::collection::vec(prop::sample::select(
            vec!["[", "]", ",", " ", "\n", "1", "-2.5e3", "{\"a\":[1,2]}", "\"x,]\"", "null", "tru", "{", "\"", "[]"],
        ), 0..12), closed in any::<bool>()) {
            let inside = tokens.concat();
            let text = if closed { format!("[{inside}]") } else { inside };
            prop_assert_eq!(elements(text.as_bytes()).ok(), naive(text.as_bytes()), "{}", text);
        }
    }
}

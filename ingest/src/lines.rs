//! Splits a stream of pieces into lines, in memory bounded by one line.

use ledger::MAX_LINE_BYTES;

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
/// What may be kept of an unfinished line: the longest line, a carriage return, and a byte-order mark before it.
const MAX_PARTIAL_BYTES: usize = MAX_LINE_BYTES + 1 + BYTE_ORDER_MARK.len();

/// Most lines that are handed out at once: the caller lets others run in between.
const LINES_AT_ONCE: usize = 64;

/// A line that is not blank.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line<'a> {
    /// Its text, without line end.
    Text(&'a [u8]),
    /// Longer than [`MAX_LINE_BYTES`]; its text is thrown away.
    TooLong,
}

/// Takes pieces as they come and hands out lines with their number from 1, blank ones counted but not handed out. A
/// carriage return before the line feed, a byte-order mark at the start and a missing last line feed are fine.
#[derive(Debug, Default)]
pub struct LineSplitter {
    partial: Vec<u8>,
    skipping: bool,
    ended: u64,
}

impl LineSplitter {
    /// A splitter at the start of a body.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many lines have ended.
    pub fn ended(&self) -> u64 {
        self.ended
    }

    /// Hands out the lines that end in this piece, some at a time: returns what is left of it.
    #[must_use]
    pub fn feed<'p>(&mut self, mut piece: &'p [u8], mut each: impl FnMut(u64, Line<'_>)) -> &'p [u8] {
        for _ in 0..LINES_AT_ONCE {
            let Some(end) = memchr::memchr(b'\n', piece) else {
                self.keep(piece);
                return &[];
            };
            let (line, rest) = (&piece[..end], &piece[end + 1..]);
            if self.partial.is_empty() && !self.skipping {
                self.ended += 1;
                hand_out(self.ended, line, &mut each);
            } else {
                self.keep(line);
                self.end(&mut each);
            }
            piece = rest;
        }
        piece
    }

    /// Hands out the last line, if it has no line feed.
    pub fn finish(&mut self, mut each: impl FnMut(u64, Line<'_>)) {
        if self.skipping || !self.partial.is_empty() {
            self.end(&mut each);
        }
    }

    fn keep(&mut self, part: &[u8]) {
        if self.skipping || self.partial.len() + part.len() > MAX_PARTIAL_BYTES {
            self.skipping = true;
            self.partial = Vec::new();
        } else {
            self.partial.extend_from_slice(part);
        }
    }

    fn end(&mut self, each: &mut impl FnMut(u64, Line<'_>)) {
        self.ended += 1;
        if std::mem::take(&mut self.skipping) {
            each(self.ended, Line::TooLong);
        } else {
            hand_out(self.ended, &self.partial, each);
            self.partial.clear();
        }
    }
}

fn hand_out(number: u64, line: &[u8], each: &mut impl FnMut(u64, Line<'_>)) {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let line = if number == 1 { line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(line) } else { line };
    if line.len() > MAX_LINE_BYTES {
        each(number, Line::TooLong);
    } else if !line.trim_ascii().is_empty() {
        each(number, Line::Text(line));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// `None` is a line that is too long.
    type Owned = (u64, Option<Vec<u8>>);

    fn split(pieces: &[&[u8]]) -> Vec<Owned> {
        let (mut splitter, mut lines) = (LineSplitter::new(), Vec::new());
        let mut each = |number, line: Line<'_>| match line {
            Line::Text(text) => lines.push((number, Some(text.to_vec()))),
            Line::TooLong => lines.push((number, None)),
        };
        for piece in pieces {
            let mut rest = *piece;
            while !rest.is_empty() {
                rest = splitter.feed(rest, &mut each);
            }
            assert!(splitter.partial.capacity() <= 2 * MAX_PARTIAL_BYTES);
        }
        splitter.finish(&mut each);
        lines
    }

    /// The rules once more, with the whole text in memory.
    fn naive(text: &[u8]) -> Vec<Owned> {
        let text = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text);
        let numbered = (1..).zip(text.split(|byte| *byte == b'\n'));
        let stripped = numbered.map(|(number, line)| (number, line.strip_suffix(b"\r").unwrap_or(line)));
        let full = stripped.filter(|(_, line)| line.iter().any(|byte| !byte.is_ascii_whitespace()));
        full.map(|(number, line)| (number, (line.len() <= MAX_LINE_BYTES).then(|| line.to_vec()))).collect()
    }

    #[test]
    fn marks_carriage_returns_and_blank_lines() {
        let text = b"\xef\xbb\xbf{1}\r\n\r\n  \n{2}\n\xef\xbb\xbf{3}";
        let lines = split(&[text]);
        let expected: [(u64, &[u8]); 3] = [(1, b"{1}"), (4, b"{2}"), (5, b"\xef\xbb\xbf{3}")];
        assert_eq!(lines, expected.map(|(number, line)| (number, Some(line.to_vec()))));
        assert_eq!(split(&[]), []);
        assert_eq!(split(&[b"\n\n"]), []);
    }

    #[test]
    fn the_longest_line_passes_and_one_byte_more_does_not() {
        let longest = vec![b'x'; MAX_LINE_BYTES];
        for end in ["", "\n", "\r\n"] {
            let text = [BYTE_ORDER_MARK, &longest, end.as_bytes()].concat();
            assert_eq!(split(&[&text]), [(1, Some(longest.clone()))]);
            let bytewise: Vec<_> = text.chunks(1).collect();
            assert_eq!(split(&bytewise), [(1, Some(longest.clone()))]);
        }
        let longer = [&longest[..], b"x\nshort"].concat();
        assert_eq!(split(&[&longer]), [(1, None), (2, Some(b"short".to_vec()))]);
    }

    fn texts() -> impl Strategy<Value = Vec<u8>> {
        let token = prop_oneof![
            5 => prop::collection::vec(prop::sample::select(b"ab \r\t\xef".to_vec()), 0..6),
            5 => Just(b"\n".to_vec()),
            2 => Just(b"\r\n".to_vec()),
            1 => Just(BYTE_ORDER_MARK.to_vec()),
            1 => (MAX_LINE_BYTES - 3..MAX_LINE_BYTES + 6).prop_map(|length| vec![b'x'; length]),
        ];
        prop::collection::vec(token, 0..12).prop_map(|tokens| tokens.concat())
    }

    proptest! {
        #[test]
        fn pieces_make_no_difference(text in texts(), cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..9)) {
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(text.len() + 1)).collect();
            cuts.extend([0, text.len()]);
            cuts.sort_unstable();
            let pieces: Vec<&[u8]> = cuts.windows(2).map(|pair| &text[pair[0]..pair[1]]).collect();
            prop_assert_eq!(split(&pieces), naive(&text));
        }
    }
}

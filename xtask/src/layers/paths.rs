//! The paths that a source file names (`std::time::Instant`), with groups of a `use` written out, without what stands in
//! comments and strings.

/// Every path in the text, with `::` between its parts.
pub fn paths(source: &str) -> Vec<String> {
    let tokens = tokens(source);
    let mut found = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        at = path(&tokens, at, "", &mut found).max(at + 1);
    }
    found
}

/// Reads one path that begins at `at`, behind `prefix`, and gives the place behind it.
fn path(tokens: &[Token], mut at: usize, prefix: &str, found: &mut Vec<String>) -> usize {
    let mut whole = prefix.to_owned();
    loop {
        match tokens.get(at) {
            Some(Token::Word(word)) => {
                append(&mut whole, word);
                at += 1;
            }
            Some(Token::Open) if whole != prefix || !prefix.is_empty() => return group(tokens, at + 1, &whole, found),
            _ => break,
        }
        if tokens.get(at) != Some(&Token::Colons) {
            break;
        }
        at += 1;
    }
    if !whole.is_empty() {
        found.push(whole);
    }
    at
}

/// Reads the paths of `{a, b::c}` behind `prefix`, and gives the place behind the brace.
fn group(tokens: &[Token], mut at: usize, prefix: &str, found: &mut Vec<String>) -> usize {
    while at < tokens.len() {
        match tokens.get(at) {
            Some(Token::Close) => return at + 1,
            Some(Token::Word(_)) => at = path(tokens, at, prefix, found),
            _ => at += 1,
        }
    }
    at
}

fn append(whole: &mut String, word: &str) {
    if word == "self" && !whole.is_empty() {
        return;
    }
    if !whole.is_empty() {
        whole.push_str("::");
    }
    whole.push_str(word);
}

#[derive(Debug, PartialEq)]
enum Token {
    /// An identifier, or `*` behind a path.
    Word(String),
    /// `::`
    Colons,
    /// `{` directly behind `::`: a group of a `use`. Any other brace is [`Token::Other`].
    Open,
    /// `}`
    Close,
    /// Whatever ends a path.
    Other,
}

fn tokens(source: &str) -> Vec<Token> {
    let text: Vec<char> = without_comments_and_strings(source);
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(&character) = text.get(at) {
        let behind_colons = tokens.last() == Some(&Token::Colons);
        let (token, length) = match character {
            ':' if text.get(at + 1) == Some(&':') => (Some(Token::Colons), 2),
            '{' if behind_colons => (Some(Token::Open), 1),
            '*' if behind_colons => (Some(Token::Word("*".to_owned())), 1),
            '}' => (Some(Token::Close), 1),
            _ if is_word(character) => {
                let word: String = text.iter().skip(at).take_while(|next| is_word(**next)).collect();
                let length = word.chars().count();
                (Some(Token::Word(word)), length)
            }
            _ if character.is_whitespace() => (None, 1),
            _ => (Some(Token::Other), 1),
        };
        tokens.extend(token);
        at += length;
    }
    tokens
}

fn is_word(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

/// Blanks out comments, strings and character literals. Raw strings with several `#` are taken to end at the first `"#`.
fn without_comments_and_strings(source: &str) -> Vec<char> {
    let text: Vec<char> = source.chars().collect();
    let mut kept = Vec::with_capacity(text.len());
    let mut at = 0;
    while let Some(&character) = text.get(at) {
        let end = match (character, text.get(at + 1)) {
            ('/', Some('/')) => find(&text, at, &['\n']),
            ('/', Some('*')) => find(&text, at + 2, &['*', '/']).saturating_add(2),
            ('r', Some('#')) if text.get(at + 2) == Some(&'"') => find(&text, at + 3, &['"', '#']).saturating_add(2),
            ('"', _) => string_end(&text, at + 1),
            ('\'', Some('\\')) => find(&text, at + 3, &['\'']).saturating_add(1),
            ('\'', Some(_)) if text.get(at + 2) == Some(&'\'') => at + 3,
            _ => {
                kept.push(character);
                at += 1;
                continue;
            }
        };
        kept.push(' ');
        at = end.max(at + 1);
    }
    kept
}

fn find(text: &[char], from: usize, wanted: &[char]) -> usize {
    let rest = text.get(from..).unwrap_or_default();
    rest.windows(wanted.len()).position(|window| window == wanted).map_or(text.len(), |found| from + found)
}

fn string_end(text: &[char], mut at: usize) -> usize {
    while let Some(&character) = text.get(at) {
        match character {
            '"' => return at + 1,
            '\\' => at += 2,
            _ => at += 1,
        }
    }
    at
}

#[cfg(test)]
mod tests {
    use super::paths;

    #[test]
    fn groups_are_written_out() {
        let found = paths("use std::{fs, time::{self, Duration, Instant}, net::*};");
        for path in ["std::fs", "std::time", "std::time::Duration", "std::time::Instant", "std::net::*"] {
            assert!(found.iter().any(|one| one == path), "{path} is missing in {found:?}");
        }
    }

    #[test]
    fn blocks_are_no_groups() {
        let found = paths("fn f() { let x = a::b { c: d::e }; }");
        assert!(found.contains(&"a::b".to_owned()) && found.contains(&"d::e".to_owned()), "{found:?}");
        assert!(!found.iter().any(|path| path.contains("b::c")), "{found:?}");
    }

    #[test]
    fn comments_strings_and_characters_name_nothing() {
        let source =
            "// std::fs\n/* std::net */ \"std::fs \\\" std::fs\" r#\"std::fs\"# 'a' '\\'' b'\"' std::mem::take";
        let found = paths(source);
        assert!(!found.iter().any(|path| path.starts_with("std::fs") || path.starts_with("std::net")), "{found:?}");
        assert!(found.contains(&"std::mem::take".to_owned()), "{found:?}");
    }
}

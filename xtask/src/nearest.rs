//! Which word was meant.

/// Letters that may be wrong.
const MOST_EDITS: usize = 2;

/// The one of `words` that is least different from `word`, if it is not very different.
pub fn of<'a>(word: &str, words: &[&'a str]) -> Option<&'a str> {
    let rated = words.iter().map(|known| (edits(word, known), *known));
    rated.min().filter(|(edits, _)| *edits <= MOST_EDITS).map(|(_, known)| known)
}

/// Levenshtein's distance: letters to insert, remove or replace.
fn edits(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (index, letter) in one.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], index + 1);
        for (column, known) in other.iter().enumerate() {
            let replaced = diagonal + usize::from(letter != *known);
            diagonal = row[column + 1];
            row[column + 1] = replaced.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::{edits, of};

    #[test]
    fn the_nearest_word_is_found() {
        let words = ["up", "test", "doctor"];
        assert_eq!(of("upp", &words), Some("up"));
        assert_eq!(of("docter", &words), Some("doctor"));
        assert_eq!(of("simulation", &words), None);
        assert_eq!((edits("kitten", "sitting"), edits("", "abc"), edits("same", "same")), (3, 3, 0));
    }
}

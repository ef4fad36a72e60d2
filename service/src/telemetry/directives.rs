//! What `SALDO_LOG` may say. The library underneath takes any word for the name of a module, so that a misspelt level
//! would silence everything, errors included.

use tracing_subscriber::filter::LevelFilter;

/// The crates of this workspace that log: what may be named without a level.
const PARTS: [&str; 10] =
    ["aggregator", "ingest", "ledger", "nats", "protocol", "query", "retry", "saldo", "service", "store"];
const LEVELS: &str = "off, error, warn, info, debug or trace";

/// The directives in `text`, complete: modules that are not named have the level of `default`, unless the text has one for
/// all.
///
/// # Errors
/// What was expected, when a word is neither a level nor a part of Saldo.
pub fn complete(text: &str, default: &str) -> Result<String, String> {
    let words: Vec<&str> = text.split(',').map(str::trim).filter(|word| !word.is_empty()).collect();
    if let Some(unknown) = words.iter().find(|word| !is_known(word)) {
        return Err(format!("{unknown:?} is no level ({LEVELS}), nor a module with its level, such as ingest=debug"));
    }
    let has_level = words.iter().any(|word| is_level(word));
    let default = (!has_level).then_some(default);
    Ok(default.into_iter().chain(words).collect::<Vec<_>>().join(","))
}

/// Modules of any library may be given a level; whether there is one of this name cannot be known.
fn is_known(word: &str) -> bool {
    is_level(word) || PARTS.contains(&word) || word.contains(['=', '['])
}

fn is_level(word: &str) -> bool {
    word.parse::<LevelFilter>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_that_is_no_level_is_refused() {
        for text in ["warning", "inof", "info,ingset", "debug, wran"] {
            assert!(complete(text, "info").unwrap_err().contains("is no level"), "{text}");
        }
    }

    #[test]
    fn modules_that_are_not_named_keep_their_level() {
        assert_eq!(complete("", "warn").unwrap(), "warn");
        assert_eq!(complete("ingest=debug", "warn").unwrap(), "warn,ingest=debug");
        assert_eq!(complete("ingest", "warn").unwrap(), "warn,ingest");
        assert_eq!(complete("info, ingest=debug", "warn").unwrap(), "info,ingest=debug");
        assert_eq!(complete("ERROR", "warn").unwrap(), "ERROR");
        assert_eq!(complete("off", "warn").unwrap(), "off");
    }

    #[test]
    fn the_parts_are_members_of_the_workspace() {
        let manifest = include_str!("../../../Cargo.toml");
        assert!(PARTS.iter().all(|part| manifest.contains(&format!("\"{part}\""))));
    }
}

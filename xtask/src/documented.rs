//! Every variable that sources or deployment name stands in a table of docs/configuration.md. The binary takes the names that
//! it accepts from there.

use std::{collections::BTreeSet, path::Path};

use crate::{layers, run::Outcome};

const NAME: &str = "SALDO_";
const PREFIX: &str = "\"SALDO_";
/// Crates whose variables are for developers, not for users.
const DEVELOPERS: &[&str] = &["xtask", "testkit", "e2e", "bench"];
/// Names like theirs that are none: the bucket of leases.
const OTHERS: &[&str] = &["SALDO_LEASES"];
/// What sets variables of containers.
const DEPLOYMENT: &[&str] = &["docker-compose.yml", ".env.example", "deploy/nats/cluster.conf"];

/// Checks the workspace and names each variable that is missing.
pub fn check(root: &Path) -> Outcome {
    let page = layers::read_text(&root.join("docs/configuration.md"))?;
    let documented: BTreeSet<String> =
        page.lines().filter(|line| line.starts_with('|')).flat_map(in_backticks).collect();
    let named = of_sources(root)?.into_iter().chain(of_deployment(root)?);
    let missing: BTreeSet<String> =
        named.filter(|name| !documented.contains(name) && !OTHERS.contains(&name.as_str())).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let missing: Vec<String> = missing.into_iter().collect();
    Err(format!("in no table of docs/configuration.md: {}", missing.join(", ")))
}

fn of_sources(root: &Path) -> Outcome<Vec<String>> {
    let members = layers::read(root)?;
    let sources = members.iter().flat_map(|member| {
        let is_for_developers = DEVELOPERS.contains(&member.name.as_str());
        member.sources.iter().filter(move |(file, _)| is_for_developers || is_product(file))
    });
    Ok(sources.flat_map(|(_, text)| variables(text)).collect())
}

fn of_deployment(root: &Path) -> Outcome<Vec<String>> {
    let texts: Outcome<Vec<String>> = DEPLOYMENT.iter().map(|file| layers::read_text(&root.join(file))).collect();
    Ok(texts?.iter().flat_map(|text| words(text)).collect())
}

/// The names in backticks.
fn in_backticks(line: &str) -> impl Iterator<Item = String> {
    line.split('`').skip(1).step_by(2).filter(|name| name.starts_with(NAME)).map(str::to_owned)
}

/// The names anywhere in a text; a comment may end one with an asterisk, which is none.
fn words(text: &str) -> impl Iterator<Item = String> {
    let words = text.split(|letter: char| !letter.is_ascii_uppercase() && !letter.is_ascii_digit() && letter != '_');
    words.filter(|word| word.starts_with(NAME) && !word.ends_with('_')).map(str::to_owned)
}

fn is_product(file: &str) -> bool {
    file.starts_with("src/") && !file.ends_with("tests.rs")
}

/// The variables that a source names as text, its tests left out.
fn variables(source: &str) -> Vec<String> {
    let product = source.split("#[cfg(test)]").next().unwrap_or_default();
    let names = product.split(PREFIX).skip(1).filter_map(|rest| rest.split_once('"'));
    let is_name = |name: &str| name.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_');
    names.filter(|(name, _)| !name.is_empty() && is_name(name)).map(|(name, _)| format!("SALDO_{name}")).collect()
}

#[cfg(test)]
mod tests {
    use super::{in_backticks, variables, words};

    #[test]
    fn names_are_found_in_tables_and_in_files_of_the_deployment() {
        let names = |found: Vec<String>| found.join(" ");
        assert_eq!(names(in_backticks("| `SALDO_DATA`, `SALDO_LOG` | `./data` |").collect()), "SALDO_DATA SALDO_LOG");
        assert_eq!(names(words("SALDO_A: ${SALDO_B:-1} # SALDO_C_*").collect()), "SALDO_A SALDO_B");
    }

    #[test]
    fn names_are_found_outside_of_tests() {
        let source =
            "read(\"SALDO_DATA\"); starts_with(\"SALDO_\");\n#[cfg(test)]\nmod tests { read(\"SALDO_OTHER\") }";
        assert_eq!(variables(source), ["SALDO_DATA"]);
    }
}

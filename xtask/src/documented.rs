//! Every variable that the sources read stands in docs/configuration.md.

use std::{collections::BTreeSet, path::Path};

use crate::{layers, run::Outcome};

const PREFIX: &str = "\"SALDO_";
/// Crates whose variables are for developers, not for users.
const DEVELOPERS: &[&str] = &["xtask", "testkit", "e2e", "bench"];

/// Checks the workspace and names each variable that is missing.
pub fn check(root: &Path) -> Outcome {
    let page = layers::read_text(&root.join("docs/configuration.md"))?;
    let members = layers::read(root)?;
    let sources = members.iter().filter(|member| !DEVELOPERS.contains(&member.name.as_str()));
    let sources = sources.flat_map(|member| &member.sources).filter(|(file, _)| is_product(file));
    let read: BTreeSet<String> = sources.flat_map(|(_, text)| variables(text)).collect();
    let missing: Vec<String> = read.into_iter().filter(|name| !page.contains(&format!("`{name}`"))).collect();
    if missing.is_empty() { Ok(()) } else { Err(format!("not in docs/configuration.md: {}", missing.join(", "))) }
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
    use super::variables;

    #[test]
    fn names_are_found_outside_of_tests() {
        let source =
            "read(\"SALDO_DATA\"); starts_with(\"SALDO_\");\n#[cfg(test)]\nmod tests { read(\"SALDO_OTHER\") }";
        assert_eq!(variables(source), ["SALDO_DATA"]);
    }
}

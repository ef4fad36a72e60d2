//! `cargo xtask layers`: the architecture's rules, checked over every Cargo.toml and every source file.
//!
//! | rule | where it stands |
//! |---|---|
//! | dependencies between our crates point down the list | [`rules::ORDER`] |
//! | some libraries belong to one crate | [`rules::OWNERS`] |
//! | the pure crates have no clock, no I/O, no tasks | [`rules::PURE`] |
//! | HTTP stands in the services' `http` modules | [`rules::HTTP`] |
//! | the simulation's oracle names nothing of what it judges | [`rules::violations`] |

mod manifest;
mod paths;
mod rules;
#[cfg(test)]
mod tests;

use std::{fs, path::Path};

use crate::run::Outcome;

/// One crate of the workspace, as far as the rules look at it.
#[derive(Debug, Default)]
pub struct Member {
    /// Its name, which is its folder's.
    pub name: String,
    /// Packages that it depends on, in whatever table.
    pub dependencies: Vec<String>,
    /// Path inside the crate's folder, and text, of each Rust file.
    pub sources: Vec<(String, String)>,
}

/// Checks the workspace and prints each violation.
pub fn check(root: &Path) -> Outcome {
    let members = read(root)?;
    let violations: Vec<String> = members.iter().flat_map(rules::violations).collect();
    violations.iter().for_each(|violation| eprintln!("{violation}"));
    if !violations.is_empty() {
        return Err(format!("{} violations of the layer rules", violations.len()));
    }
    println!("layers: {} crates keep the rules", members.len());
    Ok(())
}

/// Reads every crate of the workspace.
pub fn read(root: &Path) -> Outcome<Vec<Member>> {
    let workspace = read_text(&root.join("Cargo.toml"))?;
    let renames = manifest::renames(&workspace);
    manifest::members(&workspace).into_iter().map(|name| member(root, name, &renames)).collect()
}

fn member(root: &Path, name: String, renames: &[(String, String)]) -> Outcome<Member> {
    let folder = root.join(&name);
    let dependencies = manifest::dependencies(&read_text(&folder.join("Cargo.toml"))?, renames);
    let mut sources = Vec::new();
    for part in ["src", "tests", "examples", "benches", "build.rs"] {
        collect(&folder, &folder.join(part), &mut sources)?;
    }
    Ok(Member { name, dependencies, sources })
}

/// Adds the Rust files in and under `path`.
fn collect(folder: &Path, path: &Path, sources: &mut Vec<(String, String)>) -> Outcome {
    if path.is_file() && path.extension().is_some_and(|extension| extension == "rs") {
        let name = path.strip_prefix(folder).unwrap_or(path).display().to_string();
        sources.push((name, read_text(path)?));
    }
    if path.is_dir() {
        let entries = fs::read_dir(path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
        for entry in entries.flatten() {
            collect(folder, &entry.path(), sources)?;
        }
    }
    Ok(())
}

/// The text of a file.
pub fn read_text(path: &Path) -> Outcome<String> {
    fs::read_to_string(path).map_err(|error| format!("cannot read {}: {error}", path.display()))
}

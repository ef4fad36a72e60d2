//! What the rules need of a Cargo.toml: enough of TOML for the tables of dependencies, as cargo's own style writes them.

/// The workspace's members.
pub fn members(workspace: &str) -> Vec<String> {
    let Some((_, rest)) = workspace.split_once("members = [") else { return Vec::new() };
    let list = rest.split(']').next().unwrap_or_default();
    list.split(',').map(|item| item.trim().trim_matches('"').to_owned()).filter(|item| !item.is_empty()).collect()
}

/// Dependencies of the workspace that are used under another name: the name and the package.
pub fn renames(workspace: &str) -> Vec<(String, String)> {
    let entries = entries(workspace);
    entries.into_iter().filter(|(name, package)| name != package).collect()
}

/// Packages that a crate depends on, in any table of dependencies.
pub fn dependencies(manifest: &str, renames: &[(String, String)]) -> Vec<String> {
    let package_of =
        |name: String| renames.iter().find(|(used, _)| *used == name).map_or(name, |(_, package)| package.clone());
    entries(manifest).into_iter().map(|(_, package)| package_of(package)).collect()
}

/// Name and package of each dependency.
fn entries(manifest: &str) -> Vec<(String, String)> {
    let mut found: Vec<(String, String)> = Vec::new();
    let mut table = Table::Other;
    for line in manifest.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        if let Some(header) = line.strip_prefix('[') {
            table = Table::of(header.trim_end_matches(']'));
            found.extend(table.single().map(|name| (name.clone(), name)));
            continue;
        }
        match &table {
            Table::Dependencies => found.push(entry(line)),
            Table::Single(_) if line.starts_with("package") => {
                if let (Some(last), Some(package)) = (found.last_mut(), quoted(line)) {
                    last.1 = package;
                }
            }
            Table::Single(_) | Table::Other => {}
        }
    }
    found
}

/// What the lines under a header are.
enum Table {
    /// One dependency a line.
    Dependencies,
    /// The fields of one dependency.
    Single(String),
    /// Nothing of interest.
    Other,
}

impl Table {
    fn of(header: &str) -> Self {
        let is_table = |name: &str| name.rsplit('.').next().is_some_and(|last| last.ends_with("dependencies"));
        if is_table(header) {
            return Self::Dependencies;
        }
        match header.rsplit_once('.') {
            Some((before, name)) if is_table(before) => Self::Single(name.trim_matches('"').to_owned()),
            _ => Self::Other,
        }
    }

    fn single(&self) -> Option<String> {
        if let Self::Single(name) = self { Some(name.clone()) } else { None }
    }
}

/// `name.workspace = true`, `name = "1"`, or `name = { package = "other" }`.
fn entry(line: &str) -> (String, String) {
    let end = line.find(|character: char| character == '.' || character == '=' || character.is_whitespace());
    let name = line.get(..end.unwrap_or(line.len())).unwrap_or(line).trim_matches('"').to_owned();
    let package = line.split_once("package").and_then(|(_, rest)| quoted(rest));
    (name.clone(), package.unwrap_or(name))
}

fn quoted(text: &str) -> Option<String> {
    text.split('"').nth(1).map(str::to_owned)
}

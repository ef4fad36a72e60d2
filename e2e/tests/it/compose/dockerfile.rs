//! What the Dockerfile says of Saldo's own image.

use std::{fs, path::PathBuf};

use anyhow::{Context, ensure};

/// The file's lines, continued ones joined, without comments.
pub struct Dockerfile(Vec<String>);

impl Dockerfile {
    pub fn read() -> anyhow::Result<Self> {
        let text = fs::read_to_string(testkit::workspace_folder().join("Dockerfile"))?;
        let kept = text.lines().filter(|line| !line.trim_start().starts_with('#')).collect::<Vec<_>>().join("\n");
        let joined = kept.replace("\\\n", " ");
        Ok(Self(joined.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect()))
    }

    /// What stands behind an instruction, each time, in all stages.
    pub fn all<'a>(&'a self, instruction: &'a str) -> impl Iterator<Item = &'a str> {
        let line = move |line: &'a String| line.strip_prefix(instruction)?.strip_prefix(' ').map(str::trim);
        self.0.iter().filter_map(line)
    }

    /// The last one, which counts in the image.
    pub fn last(&self, instruction: &str) -> anyhow::Result<String> {
        self.all(instruction).last().map(str::to_owned).with_context(|| format!("the Dockerfile has no {instruction}"))
    }

    /// The program that the image starts, with its first arguments.
    pub fn entrypoint(&self) -> anyhow::Result<Vec<String>> {
        serde_json::from_str(&self.last("ENTRYPOINT")?).context("ENTRYPOINT is a list")
    }

    /// User and group by number.
    pub fn user(&self) -> anyhow::Result<(u32, u32)> {
        let user = self.last("USER")?;
        let (user, group) = user.split_once(':').context("USER is user:group")?;
        Ok((user.parse()?, group.parse()?))
    }
}

#[test]
fn the_dockerfile_builds_from_what_is_here() -> anyhow::Result<()> {
    let file = Dockerfile::read()?;
    let (user, group) = file.user()?;
    ensure!(user > 0 && group > 0, "the image runs as root");
    ensure!(file.last("STOPSIGNAL")? == "SIGTERM");
    for copy in file.all("COPY").filter(|copy| !copy.contains("--from=")) {
        let sources = copy.split_whitespace().filter(|word| !word.starts_with("--")).collect::<Vec<_>>();
        for source in &sources[..sources.len() - 1] {
            ensure!(testkit::workspace_folder().join(source).exists(), "COPY {source}: there is no such file");
        }
    }
    let copied = file.all("COPY").find(|copy| copy.contains("--from=build")).context("the program is copied")?;
    ensure!(copied.split_whitespace().last() == file.entrypoint()?.first().map(String::as_str), "{copied}");
    Ok(())
}

/// The compiler is the one of this repository, and the program's C library the one that it was compiled against.
#[test]
fn the_images_fit_the_toolchain_and_each_other() -> anyhow::Result<()> {
    let file = Dockerfile::read()?;
    let images: Vec<&str> = file.all("FROM").collect();
    let toolchain = fs::read_to_string(testkit::workspace_folder().join("rust-toolchain.toml"))?;
    let version = toolchain.split('"').nth(1).context("the toolchain has a version")?;
    ensure!(images[0] == format!("rust:{version}-slim-bookworm AS build"), "{images:?}");
    ensure!(images[1].contains("debian12"), "bookworm is Debian 12: {images:?}");
    Ok(())
}

/// All that cargo reads for the workspace is let through to the build, and nothing that may hold a secret.
#[test]
fn the_build_sees_the_workspace_and_no_more() -> anyhow::Result<()> {
    let folder = testkit::workspace_folder();
    let ignore = fs::read_to_string(folder.join(".dockerignore"))?;
    let is_let_through = |name: &str| ignore.lines().any(|line| line.strip_prefix('!') == Some(name));
    let manifest = fs::read_to_string(folder.join("Cargo.toml"))?;
    let members = manifest.split_once("members = [").and_then(|(_, rest)| rest.split_once(']')).context("members")?.0;
    for member in members.split('"').skip(1).step_by(2).chain(["Cargo.toml", "Cargo.lock"]) {
        ensure!(is_let_through(member), "{member} is missing in .dockerignore");
    }
    ensure!(ignore.lines().any(|line| line == "*"), "what is not named is left out");
    let paths = ignore.lines().filter_map(|line| line.strip_prefix('!'));
    let gone: Vec<PathBuf> = paths.map(|path| folder.join(path)).filter(|path| !path.exists()).collect();
    ensure!(gone.is_empty(), "in .dockerignore, but not here: {gone:?}");
    Ok(())
}

//! Cassandra's jars, for the tests of the CQL store: got by Maven, by the list in `testkit/cassandra/pom.xml`, and run by
//! Java 17.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{
    root::{root, tools_folder},
    run::{Outcome, output},
};

/// What a developer may do when Java is missing.
pub const JAVA_ADVICE: &str = "install a JDK 17 (such as openjdk-17-jdk-headless), on PATH or in JAVA_HOME";
/// What a developer may do when Maven is missing.
pub const MAVEN_ADVICE: &str = "install Maven: it gets the Cassandra server that the tests run";
/// The folder below `.tools`, named as testkit looks for it.
const FOLDER: &str = "cassandra-5.0.8";

/// The folder with the jars, got now if need be.
pub fn ensure() -> Outcome<PathBuf> {
    java().ok_or_else(|| format!("no Java 17 for the tests of the CQL store: {JAVA_ADVICE}"))?;
    match find() {
        Some(found) => Ok(found),
        None => install().map_err(|problem| format!("no Cassandra for the tests: {MAVEN_ADVICE} ({problem})")),
    }
}

/// A folder with the jars that is here.
pub fn find() -> Option<PathBuf> {
    let named = std::env::var_os("SALDO_CASSANDRA_JARS").map(PathBuf::from);
    [named, Some(tools_folder().join(FOLDER))].into_iter().flatten().find(|folder| has_jars(folder))
}

fn has_jars(folder: &Path) -> bool {
    folder.join("cassandra-all-5.0.8.jar").is_file()
}

/// What the Java that tests would run says of itself, if it is of version 17.
pub fn java() -> Option<String> {
    let home = std::env::var_os("JAVA_HOME").filter(|home| !home.is_empty());
    let program = home.map_or_else(|| PathBuf::from("java"), |home| Path::new(&home).join("bin/java"));
    // It tells its version on the standard error.
    let said = Command::new(program).arg("-version").output().ok()?;
    let said = String::from_utf8_lossy(&said.stderr).into_owned();
    let first = said.lines().next().unwrap_or_default();
    first.contains("version \"17.").then(|| first.to_owned())
}

/// Into a folder aside, moved into place when it is whole.
fn install() -> Outcome<PathBuf> {
    eprintln!("getting Cassandra into .tools (once)");
    let target = tools_folder().join(FOLDER);
    let aside = tools_folder().join(format!("{FOLDER}.{}", std::process::id()));
    let mut maven = Command::new("mvn");
    maven.args(["-q", "-B", "-f"]).arg(root().join("testkit/cassandra/pom.xml")).arg("dependency:copy-dependencies");
    maven.arg(format!("-DoutputDirectory={}", aside.display()));
    let outcome = output(&mut maven).and_then(|_| {
        if !has_jars(&aside) {
            return Err("Maven brought no Cassandra".to_owned());
        }
        fs::rename(&aside, &target).map_err(|error| format!("cannot make {}: {error}", target.display()))
    });
    let _ = fs::remove_dir_all(&aside);
    outcome.map(|()| target)
}

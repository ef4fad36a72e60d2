//! Programs that a test writes itself.

use std::{path::Path, process::Command};

/// Writes a shell script that can be run at once. Another process writes it: a file that this one has open for writing is
/// inherited for a moment by whatever another test starts meanwhile, and the system refuses to run it then.
///
/// # Errors
/// The file cannot be written.
pub fn write_script(path: &Path, text: &str) -> anyhow::Result<()> {
    let mut writing = Command::new("sh");
    writing.args(["-c", "printf '#!/bin/sh\\n%s\\n' \"$1\" > \"$0\" && chmod 755 \"$0\""]).arg(path).arg(text);
    anyhow::ensure!(writing.status()?.success(), "cannot write {}", path.display());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_says_what_it_was_given() {
        let folder = crate::temp_folder().unwrap();
        let path = folder.path().join("greeting");
        write_script(&path, "echo \"it's $1\"").unwrap();
        let said = Command::new(&path).arg("me").output().unwrap().stdout;
        assert_eq!(said, b"it's me\n");
        assert!(write_script(&folder.path().join("absent/greeting"), "").is_err());
    }
}

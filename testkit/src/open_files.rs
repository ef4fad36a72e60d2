//! Open files: each connection of a test needs one.

use anyhow::ensure;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises this process's limit of open files to the highest that it may have.
///
/// # Errors
/// When that is less than `wanted`.
pub fn allow_open_files(wanted: usize) -> anyhow::Result<()> {
    let maximum = getrlimit(Resource::Nofile).maximum;
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })?;
    let is_enough = maximum.is_none_or(|maximum| usize::try_from(maximum).is_ok_and(|maximum| maximum >= wanted));
    ensure!(is_enough, "this test needs {wanted} open files, and the hard limit is {maximum:?}: raise it (ulimit -Hn)");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_had_is_told() {
        allow_open_files(64).unwrap();
        if getrlimit(Resource::Nofile).maximum.is_some() {
            let error = allow_open_files(usize::MAX).unwrap_err().to_string();
            assert!(error.contains("ulimit"), "{error}");
        }
    }
}

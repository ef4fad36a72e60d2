//! As whom PostgreSQL runs: it refuses root.

use std::{fs, os::unix::fs::MetadataExt};

use anyhow::Context;

/// A user and its group, by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Account {
    pub user: u32,
    pub group: u32,
}

/// Made by Debian's package; `nobody` does as well.
const NAMES: [&str; 2] = ["postgres", "nobody"];

/// Nobody else is needed unless this process is root's; then an account that is not.
pub fn not_root() -> anyhow::Result<Option<Account>> {
    if fs::metadata("/proc/self")?.uid() != 0 {
        return Ok(None);
    }
    let accounts = fs::read_to_string("/etc/passwd")?;
    let found = NAMES.iter().find_map(|name| account_in(&accounts, name));
    found.map(Some).context("PostgreSQL does not run as root, and there is no account postgres or nobody")
}

fn account_in(accounts: &str, name: &str) -> Option<Account> {
    let line = accounts.lines().find(|line| line.split(':').next() == Some(name))?;
    let mut numbers = line.split(':').skip(2).map(str::parse);
    Some(Account { user: numbers.next()?.ok()?, group: numbers.next()?.ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_are_found_by_name() {
        let accounts = "root:x:0:0::/root:/bin/sh\npostgres:x:101:104:,,,:/var/lib/postgresql:/bin/bash\n";
        assert_eq!(account_in(accounts, "postgres"), Some(Account { user: 101, group: 104 }));
        assert_eq!(account_in(accounts, "post"), None);
    }
}

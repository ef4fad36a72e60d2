//! Insert and upsert in one statement, by Debian's own load generator.

use std::{fs, time::Duration};

use anyhow::Context;

use super::{Postgres, finish};
use crate::launches::{ACCOUNTS, DATE, TENANT};

/// The statement counts a launch once, as Saldo does: only what was inserted is added to the day.
fn script() -> String {
    format!(
        "\\set account random(1, {ACCOUNTS})\n\
         \\set amount random(10000, 99999)\n\
         \\set id random(1, 9000000000000000000)\n\
         with launched as (\n\
           insert into launch values ('{TENANT}', 'store-' || :account, '{DATE}', 'launch-' || :id, 'credit', :amount, 'BRL',\n\
             'sale at the counter, paid by card', 'sales')\n\
           on conflict do nothing returning tenant, account, date, currency, amount)\n\
         insert into day select tenant, account, date, currency, amount, 0, 1, 0 from launched\n\
         on conflict (tenant, account, date, currency) do update set\n\
           credits = day.credits + excluded.credits, credit_count = day.credit_count + excluded.credit_count;\n"
    )
}

/// Acknowledged launches per second, of so many clients that each wait for their answer, statements prepared.
///
/// # Errors
/// `pgbench` failed, or a transaction did.
pub fn transactions_per_second(postgres: &Postgres, clients: u16, seed: u64, stretch: Duration) -> anyhow::Result<u64> {
    let file = postgres.folder.path().join("launch.sql");
    fs::write(&file, script())?;
    let mut pgbench = postgres.client("pgbench");
    pgbench.args(["--no-vacuum", "--protocol=prepared", "--jobs=1", "--file"]).arg(&file);
    pgbench.args(["--client", &clients.to_string(), "--time", &stretch.as_secs().to_string()]);
    pgbench.args(["--random-seed", &seed.to_string(), "postgres"]);
    let said = finish(&mut pgbench)?;
    rate_in(&said).with_context(|| format!("pgbench did not say how fast it was:\n{said}"))
}

/// `tps = 15021.123456 (without initial connection time)`, and nothing failed.
fn rate_in(said: &str) -> Option<u64> {
    let failed = said.lines().find_map(|line| line.strip_prefix("number of failed transactions: "));
    if failed.is_some_and(|failed| !failed.starts_with("0 ")) {
        return None;
    }
    let rate = said.lines().find_map(|line| line.strip_prefix("tps = "))?;
    rate.split(['.', ' ']).next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_read_unless_something_failed() {
        let good = "number of failed transactions: 0 (0.000%)\ntps = 15021.123456 (without initial connection time)\n";
        assert_eq!(rate_in(good), Some(15_021));
        assert_eq!(rate_in(&good.replace(": 0 (", ": 3 (")), None);
        assert_eq!(rate_in("nothing"), None);
    }
}

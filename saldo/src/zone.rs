//! `saldo zone`: which data of time zones this program has, for whoever writes the tenants' file or is about to upgrade.

use std::io::Write;

use ledger::ZoneVersion;

use crate::cli::ZoneArguments;

/// Prints each zone with the version of its data.
///
/// # Errors
/// There is no such zone.
pub fn print_versions(arguments: &ZoneArguments) -> anyhow::Result<()> {
    let mut output = std::io::stdout().lock();
    for zone in &arguments.zones {
        writeln!(output, "{zone} {}", ZoneVersion::of_this_program(zone)?)?;
    }
    Ok(())
}

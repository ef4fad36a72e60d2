//! The process's variables, looked at before any of them is read: a name that nobody reads is most likely a misspelt one, and
//! what it should have said would silently be the default.
//!
//! The names are those in the tables of docs/configuration.md. A check of the developer tasks keeps that page complete, so
//! there is no second list to keep.

mod service_links;

use std::ffi::{OsStr, OsString};

use anyhow::bail;

const PAGE: &str = include_str!("../../docs/configuration.md");
const PREFIX: &str = "SALDO_";
/// Names that are less alike than this are no slips of one another.
const LEAST_SIMILARITY: f64 = 0.85;

/// Names, without their prefix, that somebody may have from elsewhere, with what there is in their place.
const REMOVED: &[(&str, &str)] =
    &[("EPOCH", "the epoch stands in the metadata of the log's stream, and `saldo log raise-epoch` raises it")];

/// Checks the names and values of all variables that begin with `SALDO_`. One environment may serve all services, so each
/// accepts the variables of every other.
///
/// # Errors
/// A sentence about the first name that is unknown, or the first value that is not UTF-8.
pub fn check(variables: impl IntoIterator<Item = (OsString, OsString)>) -> anyhow::Result<()> {
    let mut ours: Vec<_> = variables.into_iter().filter(|(name, _)| is_ours(name)).collect();
    ours.sort();
    ours.iter().try_for_each(|(name, value)| check_one(&name.to_string_lossy(), value))
}

fn is_ours(name: &OsStr) -> bool {
    name.as_encoded_bytes().starts_with(PREFIX.as_bytes())
}

fn check_one(name: &str, value: &OsStr) -> anyhow::Result<()> {
    let is_known = known_names().any(|known| known == name);
    if !is_known && service_links::is_one(name, value) {
        return Ok(());
    }
    if let Some((_, instead)) = REMOVED.iter().find(|(removed, _)| *removed == without_prefix(name)) {
        bail!("{name} is set and is no variable of Saldo: {instead}");
    }
    if !is_known {
        let hint = nearest(name).map(|known| format!("did you mean {known}? ")).unwrap_or_default();
        bail!("{name} is set and is no variable of Saldo: {hint}docs/configuration.md lists all of them");
    }
    if value.to_str().is_none() {
        bail!("the value of {name} is not UTF-8");
    }
    Ok(())
}

/// Every name that stands in the tables of the page.
fn known_names() -> impl Iterator<Item = &'static str> {
    let rows = PAGE.lines().filter(|line| line.starts_with('|'));
    rows.flat_map(|row| row.split('`').skip(1).step_by(2)).filter(|name| name.starts_with(PREFIX))
}

fn nearest(name: &str) -> Option<&'static str> {
    let rated = known_names().map(|known| (strsim::jaro_winkler(without_prefix(name), without_prefix(known)), known));
    let best = rated.max_by(|(one, _), (other, _)| one.total_cmp(other));
    best.filter(|(similarity, _)| *similarity >= LEAST_SIMILARITY).map(|(_, known)| known)
}

/// What all names have in common says nothing about how alike they are.
fn without_prefix(name: &str) -> &str {
    name.trim_start_matches(PREFIX)
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStringExt;

    use super::*;

    fn checked(name: &str, value: &str) -> Result<(), String> {
        check([(name.into(), value.into())]).map_err(|error| error.to_string())
    }

    #[test]
    fn variables_of_every_service_and_of_a_shared_environment_are_known() {
        for name in ["SALDO_DATA", "SALDO_TENANTS", "SALDO_SCYLLA_NODES", "SALDO_IMAGE", "SALDO_NATS_CLI", "PATH"] {
            assert_eq!(checked(name, "x"), Ok(()), "{name}");
        }
        assert_eq!(known_names().filter(|name| *name == "SALDO_LEASES").count(), 0, "a bucket is no variable");
    }

    #[test]
    fn an_unknown_name_is_refused_with_the_nearest_one() {
        for (name, meant) in [
            ("SALDO_TENANT", "SALDO_TENANTS"),
            ("SALDO_LOG_MAXBYTES", "SALDO_LOG_MAX_BYTES"),
            ("SALDO_PARTITION", "SALDO_PARTITIONS"),
            ("SALDO_SCYLA_NODES", "SALDO_SCYLLA_NODES"),
        ] {
            for value in ["", "x"] {
                let refused = checked(name, value).unwrap_err();
                assert!(refused.contains(name) && refused.contains(&format!("mean {meant}?")), "{refused}");
            }
        }
        let refused = checked("SALDO_EPOCH", "2").unwrap_err();
        assert!(refused.contains("saldo log raise-epoch") && !refused.contains("did you mean"), "{refused}");
        let refused = checked("SALDO_ZZZ", "1").unwrap_err();
        assert!(refused.contains("SALDO_ZZZ is set") && !refused.contains("did you mean"), "{refused}");
    }

    #[test]
    fn a_value_that_is_not_utf8_is_refused() {
        let latin1 = OsString::from_vec(b"s\xe3o".to_vec());
        assert!(check([("SALDO_DATA".into(), latin1.clone())]).unwrap_err().to_string().contains("SALDO_DATA"));
        assert!(check([("OTHER".into(), latin1)]).is_ok());
    }
}

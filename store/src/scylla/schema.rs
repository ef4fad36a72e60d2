//! The schema: numbered files of CQL, applied by a job, checked by the services.

use std::{collections::BTreeMap, time::Duration};

use scylla::{
    client::session::Session,
    errors::{DbError, ExecutionError, RequestAttemptError},
    policies::load_balancing::{NodeIdentifier, SingleTargetLoadBalancingPolicy},
    statement::Statement,
};

use super::{
    config::ScyllaConfig,
    session,
    trouble::{Trouble, failed, unreadable},
};
use crate::{StoreError, StoreErrorKind};

/// The files, by number. Each is applied as a whole, may be applied again, and is never changed once it has been released.
const FILES: [(i32, &str); 2] =
    [(1, include_str!("../../schema/001_tables.cql")), (2, include_str!("../../schema/002_owner_rows.cql"))];
/// What the services need.
const VERSION: i32 = FILES[FILES.len() - 1].0;
/// How a statement begins that adds to a table.
const ALTER: &str = "ALTER TABLE ";
/// What Cassandra and ScyllaDB say of a column that is to be added and is there.
const COLUMN_IS_THERE: [&str; 2] = ["already exists", "existing column"];
/// The row of the table that says what is applied.
const NAME: &str = "saldo";
/// Making tables takes longer than writing rows.
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(60);

/// In how many copies rows are kept: by data centre.
pub type Replication = BTreeMap<String, u16>;

/// Makes the keyspace and brings its tables to the version that this program needs; may be run again, and by two at once.
/// The keyspace of an installation that is there keeps its replication. Says the version.
///
/// # Errors
/// The cluster cannot be reached, does not agree in time, or has a newer schema.
pub async fn apply(config: &ScyllaConfig, replication: &Replication) -> Result<i32, StoreError> {
    if replication.is_empty() || replication.values().any(|copies| *copies == 0) {
        return Err(refused(
            "no replication is given for the keyspace: name each data centre with its copies".to_owned(),
        ));
    }
    let session = session::connect(config).await?;
    let keyspace = &config.keyspace;
    // The one strategy that is right for every cluster, and no word about tablets, which Cassandra does not know.
    let copies: String = replication.iter().map(|(name, copies)| format!(", {}: {copies}", quoted(name))).collect();
    let make_keyspace = format!(
        "CREATE KEYSPACE IF NOT EXISTS {keyspace} WITH replication = {{'class': 'NetworkTopologyStrategy'{copies}}}"
    );
    let make_version =
        format!("CREATE TABLE IF NOT EXISTS {keyspace}.schema_version (name text PRIMARY KEY, version int)");
    for statement in [make_keyspace, make_version] {
        run(&session, &statement).await?;
    }
    let found = found(&session, config).await?.unwrap_or_default();
    if found > VERSION {
        return Err(newer(keyspace, found));
    }
    for (number, text) in FILES.iter().filter(|(number, _)| *number > found) {
        for statement in statements(text, keyspace) {
            run(&session, &statement).await?;
        }
        agree(&session).await?;
        record(&session, config, *number).await?;
    }
    agree(&session).await?;
    Ok(VERSION)
}

/// Whether the keyspace has the tables that this program needs.
///
/// # Errors
/// [`StoreErrorKind::Refused`], with a sentence that says what to do, when it has not.
pub(super) async fn check(session: &Session, config: &ScyllaConfig) -> Result<(), StoreError> {
    let keyspace = &config.keyspace;
    match found(session, config).await {
        Ok(Some(VERSION)) => Ok(()),
        Ok(Some(found)) if found > VERSION => Err(newer(keyspace, found)),
        Ok(found) => Err(refused(format!(
            "keyspace {keyspace} of the CQL store has schema version {}, and this program needs {VERSION}: run `saldo \
             schema apply`",
            found.unwrap_or_default()
        ))),
        Err(error) => Err(error),
    }
}

fn newer(keyspace: &str, found: i32) -> StoreError {
    refused(format!(
        "keyspace {keyspace} of the CQL store has schema version {found}, and this program knows {VERSION}: a newer \
         program has been here, start that one"
    ))
}

fn refused(message: String) -> StoreError {
    StoreError::new(StoreErrorKind::Refused, message)
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// The statements of a file, its tables in `keyspace`.
fn statements(text: &str, keyspace: &str) -> Vec<String> {
    let code: Vec<&str> = text.lines().map(|line| line.split("--").next().unwrap_or_default()).collect();
    let statements = code.join("\n");
    let statements = statements.split(';').map(str::trim).filter(|statement| !statement.is_empty());
    let places = ["IF NOT EXISTS ", ALTER].map(|words| (words, format!("{words}{keyspace}.")));
    let placed = |statement: &str| {
        places.iter().fold(statement.to_owned(), |text, (words, place)| text.replacen(words, place, 1))
    };
    statements.map(placed).collect()
}

/// All jobs send to the same node: two that make the same table at two nodes of Cassandra would make two.
async fn run(session: &Session, text: &str) -> Result<(), StoreError> {
    let mut statement = Statement::new(text);
    let state = session.get_cluster_state();
    let first = state.get_nodes_info().iter().filter(|node| node.is_connected()).min_by_key(|node| node.host_id);
    if let Some(node) = first {
        let target = NodeIdentifier::Node(std::sync::Arc::clone(node));
        statement.set_load_balancing_policy(Some(SingleTargetLoadBalancingPolicy::new(target, None)));
    }
    statement.set_is_idempotent(true);
    statement.set_request_timeout(Some(STATEMENT_TIMEOUT));
    match session.query_unpaged(statement, &[]).await {
        // Only Cassandra knows how to add a column if it is not there. Another job has added it, or this one, and was not told so.
        Err(ExecutionError::LastAttemptError(RequestAttemptError::DbError(DbError::Invalid, why)))
            if text.starts_with(ALTER) && COLUMN_IS_THERE.iter().any(|words| why.contains(words)) =>
        {
            Ok(())
        }
        answer => answer.map(drop).map_err(|error| failed(&error)),
    }
}

async fn agree(session: &Session) -> Result<(), StoreError> {
    session.await_schema_agreement().await.map(drop).map_err(|error| Trouble::TimedOut.error(error))
}

async fn record(session: &Session, config: &ScyllaConfig, version: i32) -> Result<(), StoreError> {
    let keyspace = &config.keyspace;
    // Its own stamp: a job that was late does not take back what a newer one has done.
    let text = format!("INSERT INTO {keyspace}.schema_version (name, version) VALUES (?, ?) USING TIMESTAMP ?");
    let mut statement = Statement::new(text);
    statement.set_is_idempotent(true);
    let written = session.query_unpaged(statement, (NAME, version, i64::from(version))).await;
    written.map(drop).map_err(|error| failed(&error))
}

async fn found(session: &Session, config: &ScyllaConfig) -> Result<Option<i32>, StoreError> {
    let text = format!("SELECT version FROM {}.schema_version WHERE name = '{NAME}'", config.keyspace);
    let answer = session.query_unpaged(text, &[]).await.map_err(|error| failed(&error))?;
    let rows = answer.into_rows_result().map_err(unreadable)?;
    let row = rows.maybe_first_row::<(i32,)>().map_err(unreadable)?;
    Ok(row.map(|(version,)| version))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_numbered_and_keep_what_both_servers_take() {
        let numbers: Vec<i32> = FILES.iter().map(|(number, _)| *number).collect();
        assert_eq!(numbers, (1..=VERSION).collect::<Vec<_>>());
        for (_, text) in FILES {
            let statements = statements(text, "here");
            assert!(!statements.is_empty());
            for statement in statements {
                let begins = ["CREATE TABLE IF NOT EXISTS here.", "ALTER TABLE here."];
                assert!(begins.iter().any(|words| statement.starts_with(words)), "{statement}");
                let small = statement.to_lowercase();
                for word in ["counter", "materialized", "index", "tablets", "simplestrategy", "default_time_to_live"] {
                    assert!(!small.contains(word), "{word} in {statement}");
                }
            }
        }
    }

    #[test]
    fn a_name_is_quoted() {
        assert_eq!(quoted("it's"), "'it''s'");
    }
}

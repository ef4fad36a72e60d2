//! Every statement, prepared once. What is written names all columns of its row and its own stamp.

use futures_util::{StreamExt, TryStreamExt, stream};
use scylla::{client::session::Session, statement::prepared::PreparedStatement};

use super::{
    config::{FIRST_PAGE_ROWS, MOST_PAGE_ROWS},
    trouble::{Trouble, unreadable},
};
use crate::StoreError;

/// Rows of accounts, or of tenants' lanes: two tables of the same kind.
pub(super) struct OwnerStatements {
    pub(super) put_row: PreparedStatement,
    pub(super) put_applied: PreparedStatement,
    pub(super) applied: PreparedStatement,
    /// Rows of one grain in a range of starts.
    pub(super) range: PreparedStatement,
    /// Rows of some grains and starts.
    pub(super) starts: PreparedStatement,
}

/// All of them.
pub(super) struct Statements {
    pub(super) balance: OwnerStatements,
    pub(super) rollup: OwnerStatements,
    pub(super) put_chunk: PreparedStatement,
    pub(super) digests: PreparedStatement,
    pub(super) chunk_keys_down: PreparedStatement,
    pub(super) first_chunk: PreparedStatement,
    pub(super) chunk: PreparedStatement,
    pub(super) chunks: PreparedStatement,
    pub(super) put_account: PreparedStatement,
    pub(super) accounts: PreparedStatement,
    pub(super) put_head: PreparedStatement,
    pub(super) head: PreparedStatement,
    pub(super) put_progress: PreparedStatement,
    pub(super) progress: PreparedStatement,
    pub(super) put_checkpoint: PreparedStatement,
    pub(super) checkpoint: PreparedStatement,
    pub(super) put_generation: PreparedStatement,
    pub(super) generation: PreparedStatement,
}

const BALANCE_COLUMNS: &str = "credits, debits, credit_count, debit_count, changed_sequence, changed_line, applied";
const WINDOW: &str = "tenant = ? AND account = ? AND date = ? AND bucket = ?";
const CHUNK_KEY: &str = "first_sequence, first_line, last_sequence, last_line";

impl Statements {
    /// Prepares them; a keyspace without the tables is told as such.
    pub(super) async fn prepare(session: &Session, keyspace: &str) -> Result<Self, StoreError> {
        let preparer = Preparer { session, keyspace };
        let mark = |table: &str| {
            format!("INSERT INTO {keyspace}.{table} (lane, sequence, digest) VALUES (?, ?, ?) USING TIMESTAMP ?")
        };
        let read_mark = |table: &str| format!("SELECT sequence, digest FROM {keyspace}.{table} WHERE lane = ?");
        let chunk_columns = format!("tenant, account, date, bucket, {CHUNK_KEY}, digests, lines");
        let chunks = [
            format!(
                "INSERT INTO {keyspace}.journal ({chunk_columns}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) USING TIMESTAMP ?"
            ),
            format!("SELECT digests FROM {keyspace}.journal WHERE {WINDOW}"),
            format!(
                "SELECT {CHUNK_KEY} FROM {keyspace}.journal WHERE {WINDOW} AND (first_sequence, first_line) <= (?, ?) \
                 ORDER BY first_sequence DESC, first_line DESC, last_sequence DESC, last_line DESC"
            ),
            format!("SELECT first_sequence, first_line FROM {keyspace}.journal WHERE {WINDOW} LIMIT 1"),
            format!(
                "SELECT {CHUNK_KEY}, digests, lines FROM {keyspace}.journal WHERE {WINDOW} \
                 AND first_sequence = ? AND first_line = ? AND last_sequence = ? AND last_line = ?"
            ),
            format!(
                "SELECT {CHUNK_KEY}, digests, lines FROM {keyspace}.journal WHERE {WINDOW} \
                 AND (first_sequence, first_line) > (?, ?)"
            ),
        ];
        let [put_chunk, mut digests, chunk_keys_down, first_chunk, chunk, mut chunks] = preparer.all(chunks).await?;
        digests.set_page_size(FIRST_PAGE_ROWS);
        chunks.set_page_size(FIRST_PAGE_ROWS);
        let accounts = [
            format!("INSERT INTO {keyspace}.account (tenant, bucket, account) VALUES (?, ?, ?) USING TIMESTAMP ?"),
            format!("SELECT account FROM {keyspace}.account WHERE tenant = ? AND bucket = ? AND account > ? LIMIT ?"),
        ];
        let [put_account, accounts] = preparer.all(accounts).await?;
        let lanes = [
            mark("head"),
            read_mark("head"),
            mark("checkpoint"),
            read_mark("checkpoint"),
            format!(
                "INSERT INTO {keyspace}.progress (lane, sequence, time_ms, epoch, stream_id, partitions) \
                 VALUES (?, ?, ?, ?, ?, ?) USING TIMESTAMP ?"
            ),
            format!("SELECT sequence, time_ms, epoch, stream_id, partitions FROM {keyspace}.progress WHERE lane = ?"),
        ];
        let [put_head, head, put_checkpoint, checkpoint, put_progress, progress] = preparer.all(lanes).await?;
        let generations = [
            format!(
                "INSERT INTO {keyspace}.generation \
                 (name, generation, fold_version, epoch_high_water, generation_high_water) \
                 VALUES (?, ?, ?, ?, ?) USING TIMESTAMP ?"
            ),
            format!(
                "SELECT generation, fold_version, epoch_high_water, generation_high_water \
                 FROM {keyspace}.generation WHERE name = ?"
            ),
        ];
        let [put_generation, generation] = preparer.all(generations).await?;
        Ok(Self {
            balance: preparer.owner("balance", "account").await?,
            rollup: preparer.owner("rollup", "lane").await?,
            put_chunk,
            digests,
            chunk_keys_down,
            first_chunk,
            chunk,
            chunks,
            put_account,
            accounts,
            put_head,
            head,
            put_progress,
            progress,
            put_checkpoint,
            checkpoint,
            put_generation,
            generation,
        })
    }
}

struct Preparer<'a> {
    session: &'a Session,
    keyspace: &'a str,
}

impl Preparer<'_> {
    /// The statements of a table whose partition is a tenant and one column more.
    async fn owner(&self, table: &str, column: &str) -> Result<OwnerStatements, StoreError> {
        let keyspace = self.keyspace;
        let owner = format!("tenant = ? AND {column} = ?");
        let row = format!("grain, start, currency, {BALANCE_COLUMNS}");
        let texts = [
            format!(
                "INSERT INTO {keyspace}.{table} (tenant, {column}, {row}) \
                 VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) USING TIMESTAMP ?"
            ),
            format!(
                "INSERT INTO {keyspace}.{table} (tenant, {column}, owner_applied, owner_rows) \
                 VALUES (?, ?, ?, ?) USING TIMESTAMP ?"
            ),
            format!("SELECT owner_applied, owner_rows FROM {keyspace}.{table} WHERE {owner} LIMIT 1"),
            format!(
                "SELECT {row}, owner_applied FROM {keyspace}.{table} WHERE {owner} AND grain = ? AND start >= ? AND start <= ?"
            ),
            format!("SELECT {row}, owner_applied FROM {keyspace}.{table} WHERE {owner} AND (grain, start) IN ?"),
        ];
        let [put_row, put_applied, applied, range, starts] = self.all(texts).await?;
        Ok(OwnerStatements { put_row, put_applied, applied, range, starts })
    }

    /// All at once: a start waits for one answer, not for twenty.
    async fn all<const N: usize>(&self, texts: [String; N]) -> Result<[PreparedStatement; N], StoreError> {
        let prepared: Vec<_> = stream::iter(texts).map(|text| self.one(text)).buffered(N).try_collect().await?;
        prepared.try_into().map_err(|_| unreadable("a statement was not prepared"))
    }

    async fn one(&self, text: String) -> Result<PreparedStatement, StoreError> {
        let prepared = self.session.prepare(text).await.map_err(|error| Trouble::of_prepare(&error).error(error));
        let mut prepared = prepared?;
        prepared.set_is_idempotent(true);
        prepared.set_page_size(MOST_PAGE_ROWS);
        Ok(prepared)
    }
}

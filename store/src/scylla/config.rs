//! What a CQL store is opened with, and its bounds.

use std::{path::PathBuf, time::Duration};

use crate::{StoreError, StoreErrorKind};

/// How many replicas must have answered before a read or a write has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ScyllaConsistency {
    /// Most replicas of the data centre: what a read finds after a write. For every installation with more than one node.
    #[default]
    LocalQuorum,
    /// One replica of the data centre: the same, where there is only one.
    LocalOne,
}

/// Where the cluster is, how to get in, and how much is asked of it at once. The variables are those of the services.
#[derive(Clone)]
pub struct ScyllaConfig {
    /// `SALDO_SCYLLA_NODES`: some nodes to ask first, `host:port` with commas between; the others are learnt from them. No
    /// default.
    pub nodes: Vec<String>,
    /// `SALDO_SCYLLA_KEYSPACE`: the keyspace with Saldo's tables: a letter, then letters, digits and `_`, all small, at most
    /// 48. Default `saldo`.
    pub keyspace: String,
    /// `SALDO_SCYLLA_DATACENTER`: the data centre to work with, and no other. Default: whichever the nodes are in, which is
    /// right where there is one.
    pub datacenter: Option<String>,
    /// `SALDO_SCYLLA_CONSISTENCY`: `local_quorum` or `local_one`. Default `local_quorum`.
    pub consistency: ScyllaConsistency,
    /// `SALDO_SCYLLA_USER`: who logs in. Default: nobody.
    pub user: Option<String>,
    /// `SALDO_SCYLLA_PASSWORD`: the user's password. Default: none.
    pub password: Option<String>,
    /// `SALDO_SCYLLA_TLS_CA`: file of certificates (PEM) of whom the nodes' certificates must come, each for the address by
    /// which the node is known. Default: none, and no TLS.
    pub tls_ca: Option<PathBuf>,
    /// `SALDO_SCYLLA_WRITES_IN_FLIGHT`: statements and batches on their way at once, of all lanes together. Default 128: a
    /// few for each core of a small cluster; more only wait in its queues.
    pub writes_in_flight: usize,
    /// `SALDO_SCYLLA_READS_IN_FLIGHT`: reads on their way at once. Default 64.
    pub reads_in_flight: usize,
    /// `SALDO_SCYLLA_REQUEST_TIMEOUT_MS`: milliseconds that one request may take; the servers' own bounds are 2 s for a write
    /// and 5 s for a read. Default 6,000.
    pub request_timeout_ms: u64,
    /// `SALDO_SCYLLA_COMMIT_LOG_PERIOD_MS`: milliseconds between two syncs of a node's commit log, as the servers are
    /// configured (`commitlog_sync_period`). The checkpoint lags by twice as much. Default 10,000, which is theirs.
    pub commit_log_period_ms: u64,
}

/// A password is not for logs.
impl std::fmt::Debug for ScyllaConfig {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { nodes, keyspace, datacenter, consistency, user, tls_ca, .. } = self;
        let mut shown = formatter.debug_struct("ScyllaConfig");
        shown.field("nodes", nodes).field("keyspace", keyspace).field("datacenter", datacenter);
        shown.field("consistency", consistency).field("user", user).field("tls_ca", tls_ca).finish_non_exhaustive()
    }
}

impl ScyllaConfig {
    /// The usual bounds.
    pub fn new(nodes: Vec<String>) -> Self {
        Self {
            nodes,
            keyspace: "saldo".to_owned(),
            datacenter: None,
            consistency: ScyllaConsistency::default(),
            user: None,
            password: None,
            tls_ca: None,
            writes_in_flight: 128,
            reads_in_flight: 64,
            request_timeout_ms: 6_000,
            commit_log_period_ms: 10_000,
        }
    }

    /// Checks what can be checked without a server.
    ///
    /// # Errors
    /// [`StoreErrorKind::Refused`], with a sentence that names what is wrong.
    pub fn check(&self) -> Result<(), StoreError> {
        let wrong = |sentence: String| Err(StoreError::new(StoreErrorKind::Refused, sentence));
        if self.nodes.is_empty() {
            return wrong("no node of the CQL store is named".to_owned());
        }
        if !is_keyspace(&self.keyspace) {
            return wrong(format!(
                "{:?} is no name for a keyspace: a small letter, then small letters, digits and _, at most 48",
                self.keyspace
            ));
        }
        if self.user.is_some() != self.password.is_some() {
            return wrong("the CQL store needs both user and password, or neither".to_owned());
        }
        if self.writes_in_flight == 0 || self.reads_in_flight == 0 {
            return wrong("the CQL store needs room for at least one read and one write".to_owned());
        }
        Ok(())
    }

    pub(super) fn request_timeout(&self) -> Duration {
        Duration::from_millis(self.request_timeout_ms)
    }

    pub(super) fn commit_log_period(&self) -> Duration {
        Duration::from_millis(self.commit_log_period_ms)
    }
}

fn is_keyspace(name: &str) -> bool {
    let is_letter = |byte: u8| byte.is_ascii_lowercase();
    name.len() <= MAX_KEYSPACE_BYTES
        && name.bytes().next().is_some_and(is_letter)
        && name.bytes().all(|byte| is_letter(byte) || byte.is_ascii_digit() || byte == b'_')
}

/// What servers take.
const MAX_KEYSPACE_BYTES: usize = 48;
/// How often a statement is sent, the same bytes each time, before the caller is told that it failed: a commit of many
/// thousands of statements must not begin anew for one that timed out.
pub(super) const ATTEMPTS: usize = 4;
/// Delays between them, in milliseconds: first and longest.
pub(super) const RESEND_DELAYS_MS: (u64, u64) = (50, 1_000);
/// How long a node may take to tell its generation. One that takes longer stands still, or is gone.
pub(super) const ASK_TIMEOUT: Duration = Duration::from_secs(1);
/// How often nodes are asked for it when nobody else does.
pub(super) const ASK_EVERY: Duration = Duration::from_secs(1);
/// How often a reader looks again for the rows of one moment while they are being written.
pub(super) const MOMENT_ATTEMPTS: usize = 64;
/// Pauses before it does so while some of their batch is missing, in milliseconds: first and longest.
pub(super) const MOMENT_PAUSES_MS: (u64, u64) = (1, 100);
/// Bytes that a page of an answer should have.
pub(super) const PAGE_BYTES: usize = 1024 * 1024;
/// Rows of the first page of blobs, which may have 256 KiB each.
pub(super) const FIRST_PAGE_ROWS: i32 = 16;
/// Most rows of a page.
pub(super) const MOST_PAGE_ROWS: i32 = 4_096;
/// Starts of one list in a statement: ScyllaDB takes 100.
pub(super) const STARTS_AT_ONCE: usize = 100;
/// Buckets of a tenant's accounts. Fixed: the name tells the bucket.
pub(super) const ACCOUNT_BUCKETS: u8 = 8;

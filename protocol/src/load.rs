//! What a worker asks of the store before it folds, and what it gets.

use ledger::{AccountKey, Balance, BusinessDate, Currency, Digest, Kind, Place, RowKey, Tenant, WindowKey};

/// Rows and journals to load. The store reads the rows of an account before its journals, or all at one snapshot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoadRequest {
    /// Balance rows by account: every currency's row of each start.
    pub accounts: Vec<RowsWanted<AccountKey>>,
    /// Roll-up rows by tenant, of the asking worker's partition.
    pub tenants: Vec<RowsWanted<Tenant>>,
    /// Windows whose journals are wanted whole.
    pub windows: Vec<WindowKey>,
}

/// Rows wanted of one owner (an account, or a tenant's lane), for all currencies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowsWanted<Owner> {
    /// Whose rows.
    pub owner: Owner,
    /// Days whose rows are wanted; ordered, without repeats.
    pub days: Vec<BusinessDate>,
    /// First days of months whose rows are wanted; ordered, without repeats.
    pub months: Vec<BusinessDate>,
    /// Whether the lifetime rows are wanted.
    pub lifetime: bool,
}

/// Rows of one owner as loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowsLoaded<Owner> {
    /// Whose rows.
    pub owner: Owner,
    /// The static `applied`; `None` when the owner has no rows at all.
    pub applied: Option<u64>,
    /// The rows that exist among those wanted, ordered by key.
    pub rows: Vec<(RowKey, Balance)>,
}

/// A launch of a journal, without its line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JournalEntry {
    /// Where it first stood in the lane.
    pub place: Place,
    /// Digest of its id.
    pub id_digest: Digest,
    /// Digest of its content.
    pub content_digest: Digest,
    /// Credit or debit.
    pub kind: Kind,
    /// Its currency.
    pub currency: Currency,
}

/// A window's journal as loaded: the union of its chunks, ordered by place, without repeats.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WindowLoaded {
    /// Which window.
    pub window: WindowKey,
    /// Its launches.
    pub entries: Vec<JournalEntry>,
}

/// What the store answers to a [`LoadRequest`], in the request's order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Loaded {
    /// Balance rows.
    pub accounts: Vec<RowsLoaded<AccountKey>>,
    /// Roll-up rows.
    pub tenants: Vec<RowsLoaded<Tenant>>,
    /// Journals.
    pub windows: Vec<WindowLoaded>,
}

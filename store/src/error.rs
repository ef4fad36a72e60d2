//! Errors of stores say whether a retry can help.

/// What is wrong, as far as the caller acts on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreErrorKind {
    /// Not now: overloaded, connection lost, disk full. The same call may succeed later.
    Unavailable,
    /// The store was reopened, or a node of it restarted: acknowledged rows may be gone. Whoever holds rows drops them and
    /// resumes from the stored checkpoint.
    Lost,
    /// Stored bytes cannot be read, or belong to another format, fold version or log. A retry does not help.
    Refused,
}

/// An error of the store.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{message}")]
pub struct StoreError {
    /// What the caller may do.
    pub kind: StoreErrorKind,
    /// What happened, for an operator.
    pub message: String,
}

impl StoreError {
    /// An error of this kind.
    pub fn new(kind: StoreErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }

    /// Whether the same call may succeed later.
    pub fn retry_helps(&self) -> bool {
        self.kind != StoreErrorKind::Refused
    }

    /// The same with the remedy of a store whose bytes cannot be worked with: it holds nothing that the log cannot give again.
    /// Other errors than [`StoreErrorKind::Refused`] heal without one.
    pub(crate) fn with_remedy(mut self, how_to_empty: &str) -> Self {
        if self.kind == StoreErrorKind::Refused {
            self.message = format!("{}: {}", self.message, begin_anew(how_to_empty));
        }
        self
    }
}

/// The remedy of a store that must not be worked with, which is emptied as [`crate::Store::how_to_empty`] says.
pub fn begin_anew(how_to_empty: &str) -> String {
    format!("stop Saldo, {how_to_empty} and start again; it is filled again from the log")
}

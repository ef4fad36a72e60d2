//! Healthy, failed, reopened.
//!
//! fjall takes no write after a failed one until it is reopened. A store that failed goes on answering reads; the next
//! write after a pause looks whether there is room on the disk again, and then closes the database and opens it anew:
//! another incarnation, for what had been acknowledged may be gone. Calls drive this, there is no thread for it.

use std::{
    io::{self, ErrorKind},
    path::Path,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, TryLockError,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use super::{
    config::{CLOSE_PAUSE, CLOSE_TIMEOUT, EmbeddedConfig},
    folder::{EmbeddedFolder, damaged, unusable},
    opened::{Opened, WriteFailure},
};
use crate::{StoreError, StoreErrorKind};

/// The store in its folder, whatever state it is in.
pub(super) struct Lifecycle {
    config: EmbeddedConfig,
    folder: EmbeddedFolder,
    incarnation: AtomicU64,
    state: Mutex<State>,
    /// Held by the one call that tries to reopen.
    attempt: Mutex<()>,
}

struct State {
    /// `None` only between closing and reopening.
    opened: Option<Arc<Opened>>,
    failure: Option<Failure>,
}

struct Failure {
    message: String,
    next_attempt: Instant,
    /// No call may begin on the old incarnation any more.
    closing: bool,
}

const FIRST_INCARNATION: u64 = 1;

impl Lifecycle {
    /// Opens or makes the store.
    pub fn open(folder: EmbeddedFolder, config: EmbeddedConfig) -> Result<Self, StoreError> {
        let opened = Opened::open(&folder.database(), &config, FIRST_INCARNATION);
        let opened = opened.map_err(|error| cannot_open(&config, &error))?;
        let state = State { opened: Some(Arc::new(opened)), failure: None };
        Ok(Self {
            config,
            folder,
            incarnation: AtomicU64::new(FIRST_INCARNATION),
            state: Mutex::new(state),
            attempt: Mutex::new(()),
        })
    }

    /// Where the store lies.
    pub fn folder(&self) -> &Path {
        &self.config.folder
    }

    /// The number of the present incarnation.
    pub fn incarnation(&self) -> u64 {
        self.incarnation.load(Ordering::Acquire)
    }

    /// What reads go to, if that takes no waiting.
    pub fn readable_now(&self) -> Option<Arc<Opened>> {
        let state = self.state();
        let closing = state.failure.as_ref().is_some_and(|failure| failure.closing);
        if closing { None } else { state.opened.clone() }
    }

    /// What reads go to; may reopen.
    pub fn readable(&self) -> Result<Arc<Opened>, StoreError> {
        self.readable_now().map_or_else(|| self.reopen(), Ok)
    }

    /// What writes go to; may reopen.
    pub fn writable(&self) -> Result<Arc<Opened>, StoreError> {
        self.healthy().map_or_else(|| self.reopen(), Ok)
    }

    /// Notes that a write to `opened` failed, and says what the caller is told.
    pub fn failed(&self, opened: &Arc<Opened>, failure: WriteFailure) -> StoreError {
        match failure {
            WriteFailure::NoRoom => unavailable("the store's disk does not keep up with what is written".to_owned()),
            WriteFailure::Broken(error) => self.broken(opened, &error.to_string()),
        }
    }

    /// Notes that `opened` is of no use for writes any more.
    pub fn broken(&self, opened: &Arc<Opened>, reason: &str) -> StoreError {
        let mut state = self.state();
        let message = format!("the store in {} failed: {reason}", self.config.folder.display());
        let present = state.opened.as_ref().is_some_and(|present| Arc::ptr_eq(present, opened));
        if present && state.failure.is_none() {
            tracing::error!(reason, "the store failed, it takes no writes until it is reopened");
            let next_attempt = Instant::now() + self.config.reopen_pause;
            state.failure = Some(Failure { message: message.clone(), next_attempt, closing: false });
        }
        unavailable(message)
    }

    fn healthy(&self) -> Option<Arc<Opened>> {
        let state = self.state();
        if state.failure.is_none() { state.opened.clone() } else { None }
    }

    fn reopen(&self) -> Result<Arc<Opened>, StoreError> {
        let _attempt = match self.attempt.try_lock() {
            Ok(guard) => guard,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return Err(unavailable("the store is being reopened".to_owned())),
        };
        if let Some(opened) = self.healthy() {
            return Ok(opened);
        }
        self.check_pause()?;
        self.try_to_reopen().inspect_err(|error| self.postpone(error))
    }

    fn check_pause(&self) -> Result<(), StoreError> {
        match &self.state().failure {
            Some(failure) if Instant::now() < failure.next_attempt => Err(unavailable(failure.message.clone())),
            _ => Ok(()),
        }
    }

    fn postpone(&self, error: &StoreError) {
        tracing::warn!(recurs = tracing::field::Empty, %error, "the store could not be reopened");
        if let Some(failure) = &mut self.state().failure {
            failure.message.clone_from(&error.message);
            failure.next_attempt = Instant::now() + self.config.reopen_pause;
        }
    }

    fn try_to_reopen(&self) -> Result<Arc<Opened>, StoreError> {
        self.folder.probe().map_err(|error| self.no_probe(&error))?;
        self.close()?;
        let incarnation = self.incarnation() + 1;
        let opened = Opened::open(&self.folder.database(), &self.config, incarnation);
        // An error at this point may heal, whatever it is: the same database could be opened before.
        let opened = Arc::new(opened.map_err(|error| unavailable(cannot_open(&self.config, &error).message))?);
        let mut state = self.state();
        state.opened = Some(Arc::clone(&opened));
        state.failure = None;
        self.incarnation.store(incarnation, Ordering::Release);
        tracing::info!(incarnation, "the store is reopened");
        Ok(opened)
    }

    fn no_probe(&self, error: &io::Error) -> StoreError {
        let folder = self.config.folder.display();
        unavailable(match error.kind() {
            ErrorKind::NotFound => format!(
                "the folder of the store, {folder}, was removed while Saldo runs: stop Saldo and start again; the store is \
                 filled again from the log"
            ),
            _ => unusable(&self.config.folder, error).message,
        })
    }

    /// Lets no call begin on the old incarnation, waits a moment for those that are on it, and drops it.
    fn close(&self) -> Result<(), StoreError> {
        if let Some(failure) = &mut self.state().failure {
            failure.closing = true;
        }
        let deadline = Instant::now() + CLOSE_TIMEOUT;
        while self.is_in_use() {
            if Instant::now() > deadline {
                return Err(unavailable("the store is being closed, calls on it have not ended yet".to_owned()));
            }
            std::thread::sleep(CLOSE_PAUSE);
        }
        let opened = self.state().opened.take();
        // Waits for the background threads.
        drop(opened);
        Ok(())
    }

    /// Once closing, nobody begins: what is not in use stays so.
    fn is_in_use(&self) -> bool {
        self.state().opened.as_ref().is_some_and(|opened| Arc::strong_count(opened) > 1)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Each change of the state is one assignment, a panic leaves nothing half-changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn unavailable(message: String) -> StoreError {
    StoreError::new(StoreErrorKind::Unavailable, message)
}

fn cannot_open(config: &EmbeddedConfig, error: &fjall::Error) -> StoreError {
    let folder = &config.folder;
    match error {
        fjall::Error::Io(error) | fjall::Error::Storage(fjall::LsmError::Io(error)) if is_damage(error) => {
            damaged(folder, format_args!("a file of the database is missing or cut off: {error}"))
        }
        fjall::Error::Io(error) | fjall::Error::Storage(fjall::LsmError::Io(error)) => unusable(folder, error),
        fjall::Error::Locked => {
            let folder = folder.display();
            StoreError::new(StoreErrorKind::Refused, format!("another process uses the store in {folder}"))
        }
        other => damaged(folder, other),
    }
}

/// Files that the database has written and does not find, or finds shorter (one that is shorter than its own end part has is
/// sought before its beginning): no waiting brings them back.
fn is_damage(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::NotFound | ErrorKind::UnexpectedEof | ErrorKind::InvalidData | ErrorKind::InvalidInput
    )
}

//! What can go wrong with a cluster, said so that an operator knows what to do, and whether a retry helps.

use scylla::errors::{
    ConnectionError, ConnectionPoolError, ConnectionSetupRequestErrorKind, DbError, ExecutionError, MetadataError,
    NewSessionError, PrepareError, RequestAttemptError,
};

use crate::{StoreError, StoreErrorKind};

/// What happened, by what can be done about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    ConnectionLost,
    TimedOut,
    Overloaded,
    ReplicasUnavailable,
    WrongCredentials,
    WrongSchema,
    /// A fault inside a server, or one that is stopping.
    ServerFault,
    /// A statement or an answer that this program and the server do not understand alike.
    Unexpected,
}

impl Trouble {
    pub(super) fn of(error: &ExecutionError) -> Self {
        match error {
            ExecutionError::ConnectionPoolError(error) => Self::of_pool(error),
            ExecutionError::PrepareError(error) => Self::of_prepare(error),
            ExecutionError::LastAttemptError(error) => Self::of_attempt(error),
            ExecutionError::RequestTimeout(_) => Self::TimedOut,
            ExecutionError::EmptyPlan | ExecutionError::MetadataError(_) => Self::ConnectionLost,
            ExecutionError::SchemaAgreementError(_) => Self::TimedOut,
            _ => Self::Unexpected,
        }
    }

    pub(super) fn of_prepare(error: &PrepareError) -> Self {
        match error {
            PrepareError::ConnectionPoolError(error) => Self::of_pool(error),
            PrepareError::AllAttemptsFailed { first_attempt } => Self::of_attempt(first_attempt),
            _ => Self::Unexpected,
        }
    }

    pub(super) fn of_start(error: &NewSessionError) -> Self {
        match error {
            NewSessionError::MetadataError(MetadataError::ConnectionPoolError(error)) => Self::of_pool(error),
            NewSessionError::FailedToResolveAnyHostname(_) | NewSessionError::MetadataError(_) => Self::ConnectionLost,
            _ => Self::Unexpected,
        }
    }

    fn of_pool(error: &ConnectionPoolError) -> Self {
        match error {
            ConnectionPoolError::Broken { last_connection_error } => Self::of_connection(last_connection_error),
            _ => Self::ConnectionLost,
        }
    }

    fn of_connection(error: &ConnectionError) -> Self {
        match error {
            ConnectionError::ConnectionSetupRequestError(error) => match &error.error {
                ConnectionSetupRequestErrorKind::DbError(error, _) => Self::of_server(error),
                // Asked for a password that nobody configured.
                ConnectionSetupRequestErrorKind::MissingAuthentication => Self::WrongCredentials,
                _ => Self::ConnectionLost,
            },
            _ => Self::ConnectionLost,
        }
    }

    fn of_attempt(error: &RequestAttemptError) -> Self {
        match error {
            RequestAttemptError::DbError(error, _) => Self::of_server(error),
            RequestAttemptError::BrokenConnectionError(_) => Self::ConnectionLost,
            RequestAttemptError::UnableToAllocStreamId => Self::Overloaded,
            _ => Self::Unexpected,
        }
    }

    fn of_server(error: &DbError) -> Self {
        match error {
            DbError::Overloaded | DbError::RateLimitReached { .. } => Self::Overloaded,
            DbError::ReadTimeout { .. } | DbError::WriteTimeout { .. } => Self::TimedOut,
            DbError::Unavailable { .. }
            | DbError::ReadFailure { .. }
            | DbError::WriteFailure { .. }
            | DbError::IsBootstrapping => Self::ReplicasUnavailable,
            DbError::AuthenticationError | DbError::Unauthorized => Self::WrongCredentials,
            DbError::Invalid | DbError::SyntaxError | DbError::ConfigError => Self::WrongSchema,
            DbError::ServerError => Self::ServerFault,
            _ => Self::Unexpected,
        }
    }

    /// Whether the same request may succeed later.
    pub(super) fn retry_helps(self) -> bool {
        !matches!(self, Self::WrongCredentials | Self::WrongSchema | Self::Unexpected)
    }

    fn sentence(self) -> &'static str {
        match self {
            Self::ConnectionLost => "no node of the CQL store can be reached; a retry helps once one can",
            Self::TimedOut => "the CQL store did not answer in time; a retry helps",
            Self::Overloaded => "the CQL store is overloaded; a retry helps, later",
            Self::ReplicasUnavailable => {
                "not enough replicas of the CQL store are up for the consistency asked for; a retry helps once they are"
            }
            Self::ServerFault => "a node of the CQL store failed within; a retry may help, its own log says more",
            Self::WrongCredentials => {
                "the CQL store does not let this user in; no retry helps: check user, password and rights"
            }
            Self::WrongSchema => {
                "the CQL store does not have the tables that this program needs; no retry helps: run `saldo schema apply`"
            }
            Self::Unexpected => "the CQL store and this program do not understand each other; no retry helps",
        }
    }

    /// The error that callers of the port see; `detail` is what driver or server say.
    pub(super) fn error(self, detail: impl std::fmt::Display) -> StoreError {
        let kind = if self.retry_helps() { StoreErrorKind::Unavailable } else { StoreErrorKind::Refused };
        StoreError::new(kind, format!("{} ({detail})", self.sentence()))
    }
}

/// The error of a request.
pub(super) fn failed(error: &ExecutionError) -> StoreError {
    Trouble::of(error).error(error)
}

/// An answer that cannot be read.
pub(super) fn unreadable(error: impl std::fmt::Display) -> StoreError {
    Trouble::Unexpected.error(error)
}

pub(super) fn lost() -> StoreError {
    let message = "a node of the CQL store restarted or was lost: what this worker holds is to be loaded anew";
    StoreError::new(StoreErrorKind::Lost, message)
}

//! Every kind of refusal besides the reasons of a bad launch, in one table. Each has its paragraph in `docs/errors.md`; a
//! test compares the two.

use axum::http::StatusCode;

/// Slug, status and title of a refusal. The slug is part of the contract with callers and never changes its meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProblemKind {
    /// `type` is `urn:saldo:problem:<slug>`.
    pub slug: &'static str,
    /// The status of the answer.
    pub status: StatusCode,
    /// The same for every refusal of this kind.
    pub title: &'static str,
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $slug:literal, $status:ident, $title:literal;)*) => {
        $($(#[$doc])* pub const $name: ProblemKind =
            ProblemKind { slug: $slug, status: StatusCode::$status, title: $title };)*

        /// All of them.
        pub const ALL: &[ProblemKind] = &[$($name),*];
    };
}

kinds! {
    /// The request, or a JSON text in it, cannot be read.
    MALFORMED = "malformed", BAD_REQUEST, "The request cannot be read";
    /// `Host` is missing, given twice, or no host.
    HOST_INVALID = "host_invalid", BAD_REQUEST, "The host of the request cannot be used";
    /// A body without content.
    EMPTY_BODY = "empty_body", BAD_REQUEST, "The body is empty";
    /// No header says which tenant is meant.
    TENANT_MISSING = "tenant_missing", BAD_REQUEST, "The tenant is missing";
    /// The tenant breaks its grammar.
    TENANT_INVALID = "tenant_invalid", BAD_REQUEST, "This is no tenant";
    /// `Idempotency-Key` breaks the grammar of ids, or differs from the id in the body.
    IDEMPOTENCY_KEY_INVALID = "idempotency_key_invalid", BAD_REQUEST, "The idempotency key cannot be used";
    /// A parameter of the path or the query string, or a header, cannot be read.
    PARAMETER_INVALID = "parameter_invalid", BAD_REQUEST, "A parameter cannot be used";
    /// Not a position that this service gave out.
    POSITION_INVALID = "position_invalid", BAD_REQUEST, "This is no position";
    /// Not a cursor that this service gave out.
    CURSOR_INVALID = "cursor_invalid", BAD_REQUEST, "This is no cursor";
    /// Credentials are missing or wrong.
    UNAUTHORIZED = "unauthorized", UNAUTHORIZED, "Credentials are missing or wrong";
    /// The credentials do not allow this.
    FORBIDDEN = "forbidden", FORBIDDEN, "This is not allowed";
    /// No such resource.
    NOT_FOUND = "not_found", NOT_FOUND, "There is nothing here";
    /// An account that no launch has ever named.
    UNKNOWN_ACCOUNT = "unknown_account", NOT_FOUND, "The account is not known";
    /// The path takes other methods.
    METHOD_NOT_ALLOWED = "method_not_allowed", METHOD_NOT_ALLOWED, "The path does not take this method";
    /// The body came too slowly.
    BODY_TIMEOUT = "body_timeout", REQUEST_TIMEOUT, "The body came too slowly";
    /// A position of a log that no longer exists.
    POSITION_GONE = "position_gone", GONE, "The position no longer means anything";
    /// The body is longer than it may be.
    BODY_TOO_LARGE = "body_too_large", PAYLOAD_TOO_LARGE, "The body is too large";
    /// The body's media type is not one that is read here.
    UNSUPPORTED_MEDIA_TYPE = "unsupported_media_type", UNSUPPORTED_MEDIA_TYPE, "The media type is not supported";
    /// The request is for a host that the service does not answer for.
    MISDIRECTED = "misdirected", MISDIRECTED_REQUEST, "The request is for another host";
    /// More at once than is allowed.
    TOO_MANY_REQUESTS = "too_many_requests", TOO_MANY_REQUESTS, "Too much at once";
    /// A fault of the service itself.
    INTERNAL = "internal", INTERNAL_SERVER_ERROR, "The service has failed";
    /// The log does not answer; nothing of this was written.
    LOG_UNAVAILABLE = "log_unavailable", SERVICE_UNAVAILABLE, "The log is not available";
    /// The log has no room.
    LOG_FULL = "log_full", SERVICE_UNAVAILABLE, "The log is full";
    /// The queue in front of the log is full; nothing of this was written.
    OVERLOADED = "overloaded", SERVICE_UNAVAILABLE, "The service is overloaded";
    /// It was sent, and no answer tells whether it was written.
    OUTCOME_UNKNOWN = "outcome_unknown", SERVICE_UNAVAILABLE, "It is not known whether this was written";
    /// The same id is on its way with other content.
    ID_PENDING = "id_pending", SERVICE_UNAVAILABLE, "The id is on its way with other content";
    /// The tenants' settings could not be read for too long to derive a date from them.
    SETTINGS_STALE = "settings_stale", SERVICE_UNAVAILABLE, "The tenants' settings are out of date";
    /// The demanded position is not applied yet.
    NOT_YET_APPLIED = "not_yet_applied", SERVICE_UNAVAILABLE, "The position is not applied yet";
    /// The store does not answer.
    STORE_UNAVAILABLE = "store_unavailable", SERVICE_UNAVAILABLE, "The store is not available";
    /// The account's stored rows do not agree with each other.
    ACCOUNT_STOPPED = "account_stopped", SERVICE_UNAVAILABLE, "The account is stopped";
    /// The service is stopping.
    SHUTTING_DOWN = "shutting_down", SERVICE_UNAVAILABLE, "The service is stopping";
}

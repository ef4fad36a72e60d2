//! Outcomes as answers.

use axum::http::StatusCode;
use serde::Serialize;
use serde_json::{Value, json};
use service::{Problem, http::Answered, problem::kinds};

use crate::{
    bulk::{Finished, LineError},
    flight::{Cause, Failure},
    shared::Shared,
};

#[derive(Serialize)]
struct Counts<'a> {
    accepted: u64,
    duplicates: u64,
    rejected: u64,
    position: Option<String>,
    errors: &'a [LineError],
    errors_truncated: bool,
}

/// The problem of a failure, counted.
pub(super) fn unavailable(shared: &Shared, failure: Failure) -> Problem {
    shared.lanes.metrics.unavailable(failure.cause);
    let (kind, detail) = match failure.cause {
        Cause::LogUnavailable => (
            kinds::LOG_UNAVAILABLE,
            "the log does not acknowledge, or is not what this service relies on; its readiness says which",
        ),
        Cause::LogFull => (kinds::LOG_FULL, "the log has no room left; this was not written"),
        Cause::OutcomeUnknown => {
            (kinds::OUTCOME_UNKNOWN, "the log has not answered; repeat it with the same id and date, it counts once")
        }
        Cause::IdPending => (kinds::ID_PENDING, "a launch with this id and other content is on its way"),
        Cause::SettingsStale => (
            kinds::SETTINGS_STALE,
            "the tenant's time zone has not been confirmed for too long to derive a date from it",
        ),
        Cause::OtherZoneVersion => (
            kinds::SETTINGS_STALE,
            "for that time the tenant's settings name other time-zone data than this instance has: give the date",
        ),
        Cause::Overloaded => (kinds::OVERLOADED, "too much is waiting already; this was not written"),
        Cause::ShuttingDown => (kinds::SHUTTING_DOWN, "this instance is stopping"),
        Cause::BrokenOff => (kinds::OVERLOADED, "another request was about to write the same launch and broke off"),
    };
    Problem::new(kind, detail).retry_after(failure.retry_after_s)
}

/// The answer to a bulk; `broken` is the problem of a body that could not be read to its end.
pub(super) fn bulk(shared: &Shared, finished: &Finished, broken: Option<Problem>) -> Answered {
    let metrics = &shared.lanes.metrics;
    metrics.acknowledged(finished.accepted, finished.duplicates);
    for (reason, count) in &finished.by_reason {
        metrics.rejected(reason.slug(), *count);
    }
    let counts = Counts {
        accepted: finished.accepted,
        duplicates: finished.duplicates,
        rejected: finished.rejected(),
        position: finished.position.as_ref().map(ToString::to_string),
        errors: &finished.errors,
        errors_truncated: finished.errors_truncated(),
    };
    match finished.failure {
        None => service::http::json(StatusCode::OK, &counts),
        Some(failure) => {
            let problem = broken.unwrap_or_else(|| unavailable(shared, failure));
            Err(with_counts(problem, &counts).with("first_uncertain_line", finished.first_uncertain_line))
        }
    }
}

fn with_counts(mut problem: Problem, counts: &Counts<'_>) -> Problem {
    if let Value::Object(members) = json!(counts) {
        problem.members.extend(members);
    }
    problem
}

//! One launch.

use axum::http::{HeaderMap, StatusCode};
use ledger::{LaunchId, Tenant};
use protocol::position::LanePosition;
use serde::{Serialize, Serializer};
use service::{
    Problem,
    http::{Answered, json},
};

use super::{answer, idempotency_key};
use crate::{
    flight::Cause,
    shared::{Refusal, Shared},
    single::{Booked, Complete, CompleteError, book, complete},
};

#[derive(Serialize)]
struct Receipt<'a> {
    id: &'a LaunchId,
    account: &'a ledger::Account,
    date: ledger::BusinessDate,
    #[serde(serialize_with = "as_text")]
    position: LanePosition,
    duplicate: bool,
}

fn as_text<S: Serializer>(position: &LanePosition, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(position)
}

pub(super) async fn take(shared: &Shared, headers: &HeaderMap, tenant: Tenant, text: &[u8]) -> Answered {
    let launch =
        complete(shared, tenant, text, idempotency_key::id(headers)?).map_err(|error| refused(shared, error))?;
    let receipt = |status, position, duplicate| {
        json(status, &Receipt { id: &launch.id, account: &launch.account, date: launch.date, position, duplicate })
    };
    match book(shared, &launch).await {
        Booked::Accepted(position) => {
            shared.lanes.metrics.acknowledged(1, 0);
            receipt(StatusCode::CREATED, position, false)
        }
        Booked::Duplicate(position) => {
            shared.lanes.metrics.acknowledged(0, 1);
            receipt(StatusCode::OK, position, true)
        }
        Booked::Conflict(position) => {
            shared.lanes.metrics.rejected("conflict", 1);
            Err(conflict(&launch, position))
        }
        Booked::Unavailable(failure) => {
            let problem = answer::unavailable(shared, failure);
            Err(match failure.cause {
                Cause::OutcomeUnknown => named(problem, &launch),
                _ => problem,
            })
        }
    }
}

fn refused(shared: &Shared, error: CompleteError) -> Problem {
    match error {
        CompleteError::KeyDiffers => idempotency_key::bad_key("the Idempotency-Key and the launch's id differ"),
        CompleteError::Refused(Refusal::Unavailable(failure)) => answer::unavailable(shared, failure),
        CompleteError::Refused(Refusal::Invalid(invalid)) => {
            shared.lanes.metrics.rejected(invalid.reason.slug(), 1);
            invalid.into()
        }
    }
}

fn conflict(launch: &Complete, position: LanePosition) -> Problem {
    let kind = service::ProblemKind::of_reason(ledger::Reason::Conflict);
    let detail = "a launch with this id, account and date was accepted with other content, at the position given";
    named(Problem::new(kind, detail), launch).with("position", position.to_string())
}

fn named(problem: Problem, launch: &Complete) -> Problem {
    problem
        .with("id", launch.id.as_str())
        .with("account", launch.account.as_str())
        .with("date", launch.date.to_string())
}

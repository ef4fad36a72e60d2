//! Routes and what callers see: parameters, cursors, conditional answers.
//!
//! A parameter that a route does not know, or that stands twice, is refused: `form=2026-01-01` would otherwise be answered
//! as if nothing had been asked.

pub(crate) mod answer;
mod asked;
mod conditional;
pub(crate) mod cursor;
mod handlers;
mod parameters;
mod respond;
mod short;
pub(crate) mod stamp;

use std::sync::Arc;

use axum::{Router, routing::get};
use service::Authenticator;

pub(crate) use short::CachedDays;

use crate::reader::Reader;

/// The hottest route: it has a short way.
const DAY: &str = "/v1/accounts/{account}/days/{date}";

/// What handlers need.
#[derive(Clone)]
pub(crate) struct Api {
    pub(crate) reader: Arc<Reader>,
    pub(crate) authenticator: Authenticator,
}

/// The reading half of the API.
pub(crate) fn router(api: Api) -> Router {
    Router::new()
        .route("/v1/accounts", get(handlers::accounts))
        .route("/v1/accounts/{account}/days", get(handlers::days))
        .route(DAY, get(handlers::day))
        .route("/v1/accounts/{account}/balance", get(handlers::balance))
        .route("/v1/accounts/{account}/launches", get(handlers::launches))
        .with_state(api)
}

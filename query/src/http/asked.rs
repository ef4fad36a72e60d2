//! A request, taken apart once: nothing of it is copied on the way to a cached answer.

use axum::{
    extract::{FromRequest, FromRequestParts, RawPathParams, Request},
    http::{HeaderMap, Uri},
};
use ledger::{Account, AccountKey, BusinessDate, Reason, Tenant};
use service::{ProblemKind, problem::Problem};

use super::{
    Api,
    parameters::{self, Parameters, invalid},
};
use crate::reader::Wants;

/// What a caller asks.
pub(super) struct Asked {
    pub(super) tenant: Tenant,
    pub(super) headers: HeaderMap,
    uri: Uri,
    path: Option<RawPathParams>,
}

impl FromRequest<Api> for Asked {
    type Rejection = Problem;

    async fn from_request(request: Request, api: &Api) -> Result<Self, Problem> {
        let (mut parts, _body) = request.into_parts();
        let tenant = api.authenticator.tenant(&parts.headers)?;
        let path = RawPathParams::from_request_parts(&mut parts, api).await.ok();
        Ok(Self { tenant, headers: parts.headers, uri: parts.uri, path })
    }
}

impl Asked {
    /// The query string, of which only `known` parameters are taken.
    pub(super) fn parameters(&self, known: &[&str]) -> Result<Parameters, Problem> {
        Parameters::read(&self.uri, known)
    }

    /// The demanded position and the patience for it.
    pub(super) fn wants(&self) -> Result<Wants, Problem> {
        parameters::wants(&self.headers)
    }

    /// The account of the path, of the caller's tenant.
    pub(super) fn account(&self) -> Result<AccountKey, Problem> {
        let account = Account::parse(self.path_part("account")?).map_err(|error| invalid(error.to_string()))?;
        Ok(AccountKey { tenant: self.tenant.clone(), account })
    }

    /// The date of the path.
    pub(super) fn date(&self) -> Result<BusinessDate, Problem> {
        let of_date = ProblemKind::of_reason(Reason::InvalidDate);
        BusinessDate::parse(self.path_part("date")?).map_err(|error| Problem::new(of_date, error.to_string()))
    }

    fn path_part(&self, name: &str) -> Result<&str, Problem> {
        let path = self.path.as_ref().ok_or_else(|| invalid("the path cannot be read"))?;
        Ok(path.iter().find(|(known, _)| *known == name).map_or("", |(_, value)| value))
    }
}

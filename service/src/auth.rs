//! Who the caller is. The tenant comes from here and never from a body.

use std::net::SocketAddr;

use axum::{
    extract::{FromRef, FromRequestParts},
    http::{HeaderMap, HeaderName, request::Parts},
};
use ledger::Tenant;
use tracing::warn;

use crate::{
    config::{ConfigError, Variables},
    problem::{Problem, kinds},
};

/// Names the tenant where no credentials are configured.
pub const TENANT_HEADER: HeaderName = HeaderName::from_static("saldo-tenant");

/// `true`: whoever can reach the service is trusted for every tenant, because a network boundary stands in front of it.
const TRUST_NETWORK: &str = "SALDO_TRUST_NETWORK";

/// Who may call a service that asks for no credentials.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TrustedCallers {
    /// Those on this machine.
    #[default]
    Loopback,
    /// `SALDO_TRUST_NETWORK=true`: whoever can reach it. A boundary in front of it (a container network, a gateway that
    /// sets the tenant itself) is somebody else's promise.
    Network,
}

impl TrustedCallers {
    /// Reads the variable.
    ///
    /// # Errors
    /// It is neither `true` nor `false`.
    pub fn from_variables(variables: &Variables) -> Result<Self, ConfigError> {
        match variables.text(TRUST_NETWORK) {
            None | Some("false") => Ok(Self::Loopback),
            Some("true") => Ok(Self::Network),
            Some(_) => Err(variables.error(TRUST_NETWORK, "expected true or false")),
        }
    }

    /// Whether a service without credentials may listen on this address.
    ///
    /// # Errors
    /// The address can be reached from other machines, and these are not trusted.
    pub fn admit(self, address: SocketAddr) -> Result<(), BindRefused> {
        let is_admitted = self == Self::Network || is_loopback(address);
        if is_admitted { Ok(()) } else { Err(BindRefused { address }) }
    }
}

/// Why a service may not listen where it was told to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "refusing to listen on {address}: without credentials every caller could write and read for every tenant, \
     so the address must be a loopback one such as 127.0.0.1; where a network boundary lets nobody reach it who is not \
     trusted for every tenant, a service alone takes it with {TRUST_NETWORK}=true"
)]
pub struct BindRefused {
    /// The address.
    pub address: SocketAddr,
}

/// How a tenant is found. Credentials will be another variant; the callers of [`Authenticator::tenant`] stay as they are.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Authenticator {
    /// Every caller is trusted and says which tenant it acts for in the header [`TENANT_HEADER`]. A browser cannot be
    /// tricked into sending it across origins, because such a header needs a permission that is never given.
    TrustedHeader,
}

impl Authenticator {
    /// The authenticator of a service that listens on `address` without credentials.
    ///
    /// # Errors
    /// The address can be reached from other machines, and these are not trusted.
    pub fn without_credentials(address: SocketAddr, trusted: TrustedCallers) -> Result<Self, BindRefused> {
        trusted.admit(address)?;
        if !is_loopback(address) {
            warn!(%address, "whoever reaches this address is trusted for every tenant, as {TRUST_NETWORK} says");
        }
        Ok(Self::TrustedHeader)
    }

    /// The tenant that the caller acts for.
    ///
    /// # Errors
    /// A problem for the caller: the tenant is missing, given twice, or breaks its grammar.
    pub fn tenant(&self, headers: &HeaderMap) -> Result<Tenant, Problem> {
        match self {
            Self::TrustedHeader => tenant_of_header(headers),
        }
    }
}

fn is_loopback(address: SocketAddr) -> bool {
    address.ip().to_canonical().is_loopback()
}

fn tenant_of_header(headers: &HeaderMap) -> Result<Tenant, Problem> {
    let mut given = headers.get_all(TENANT_HEADER).iter();
    let Some(value) = given.next() else {
        return Err(Problem::new(kinds::TENANT_MISSING, "name the tenant in the header Saldo-Tenant"));
    };
    if given.next().is_some() {
        return Err(Problem::new(kinds::TENANT_INVALID, "the header Saldo-Tenant is given more than once"));
    }
    let text = value.to_str().unwrap_or_default();
    Tenant::parse(text).map_err(|error| Problem::new(kinds::TENANT_INVALID, error.to_string()))
}

/// Extracts the caller's tenant in a handler whose state holds an [`Authenticator`].
#[derive(Clone, Debug)]
pub struct Caller(pub Tenant);

impl<S> FromRequestParts<S> for Caller
where
    S: Send + Sync,
    Authenticator: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        Authenticator::from_ref(state).tenant(&parts.headers).map(Caller)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn without_credentials(address: &str, trusted: TrustedCallers) -> Result<Authenticator, BindRefused> {
        Authenticator::without_credentials(address.parse().unwrap(), trusted)
    }

    #[test]
    fn only_loopback_is_trusted_without_credentials() {
        for address in ["127.0.0.1:80", "127.9.9.9:1", "[::1]:80", "[::ffff:127.0.0.1]:80"] {
            assert!(without_credentials(address, TrustedCallers::Loopback).is_ok(), "{address}");
        }
        for address in ["0.0.0.0:80", "10.0.0.1:80", "[::]:80", "192.168.1.1:8080", "[::ffff:10.0.0.1]:80"] {
            let refused = without_credentials(address, TrustedCallers::Loopback).unwrap_err();
            assert!(refused.to_string().contains(address) || address.contains("ffff"), "{refused}");
            assert!(without_credentials(address, TrustedCallers::Network).is_ok(), "{address}");
        }
    }

    #[test]
    fn the_network_is_trusted_only_where_that_is_said() {
        let read = |value| TrustedCallers::from_variables(&Variables::of_pairs([(TRUST_NETWORK, value)]));
        assert_eq!(read("").unwrap(), TrustedCallers::Loopback);
        assert_eq!(read("false").unwrap(), TrustedCallers::Loopback);
        assert_eq!(read("true").unwrap(), TrustedCallers::Network);
        assert!(read("yes").unwrap_err().to_string().contains(TRUST_NETWORK));
    }

    #[test]
    fn the_tenant_is_read_strictly() {
        let tenant = |values: &[&[u8]]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(TENANT_HEADER, axum::http::HeaderValue::from_bytes(value).unwrap());
            }
            Authenticator::TrustedHeader.tenant(&headers).map_err(|problem| problem.kind.slug)
        };
        assert_eq!(tenant(&[b"acme"]).unwrap().as_str(), "acme");
        assert_eq!(tenant(&[]), Err("tenant_missing"));
        assert_eq!(tenant(&[b""]), Err("tenant_invalid"));
        assert_eq!(tenant(&[b"a.b"]), Err("tenant_invalid"));
        assert_eq!(tenant(&[b"\xff\xfe"]), Err("tenant_invalid"));
        assert_eq!(tenant(&[b"acme", b"other"]), Err("tenant_invalid"));
    }
}

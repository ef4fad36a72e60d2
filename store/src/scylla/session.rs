//! The driver's session: how a cluster is reached.

use std::sync::Arc;

use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, pem::PemObject},
};
use scylla::{
    client::{execution_profile::ExecutionProfile, session::Session, session_builder::SessionBuilder},
    policies::load_balancing::DefaultPolicy,
    statement::Consistency,
};

use super::{
    config::{ScyllaConfig, ScyllaConsistency},
    trouble::Trouble,
};
use crate::{StoreError, StoreErrorKind};

/// A connection that nothing comes through is found dead in a part of the commit log's period.
const KEEPALIVES_A_PERIOD: u32 = 4;

/// Connects to the cluster.
pub(super) async fn connect(config: &ScyllaConfig) -> Result<Session, StoreError> {
    config.check()?;
    let profile = ExecutionProfile::builder()
        .consistency(consistency(config))
        .request_timeout(Some(config.request_timeout()))
        .load_balancing_policy(policy(config))
        .build();
    let keepalive = config.commit_log_period() / KEEPALIVES_A_PERIOD;
    let mut builder = SessionBuilder::new()
        .known_nodes(&config.nodes)
        .connection_timeout(config.request_timeout())
        .keepalive_interval(keepalive)
        .keepalive_timeout(keepalive)
        .keyspaces_to_fetch([config.keyspace.as_str()])
        .default_execution_profile_handle(profile.into_handle());
    if let (Some(user), Some(password)) = (&config.user, &config.password) {
        builder = builder.user(user, password);
    }
    if let Some(context) = tls(config)? {
        builder = builder.tls_context(Some(context));
    }
    builder.build().await.map_err(|error| Trouble::of_start(&error).error(error))
}

pub(super) fn consistency(config: &ScyllaConfig) -> Consistency {
    match config.consistency {
        ScyllaConsistency::LocalQuorum => Consistency::LocalQuorum,
        ScyllaConsistency::LocalOne => Consistency::LocalOne,
    }
}

/// A statement goes to a replica of its rows, in the data centre of the workers only.
fn policy(config: &ScyllaConfig) -> Arc<dyn scylla::policies::load_balancing::LoadBalancingPolicy> {
    let mut builder = DefaultPolicy::builder().token_aware(true).permit_dc_failover(false);
    if let Some(datacenter) = &config.datacenter {
        builder = builder.prefer_datacenter(datacenter.clone());
    }
    builder.build()
}

fn tls(config: &ScyllaConfig) -> Result<Option<Arc<ClientConfig>>, StoreError> {
    let Some(file) = &config.tls_ca else { return Ok(None) };
    let unusable = |error: &dyn std::fmt::Display| {
        let message = format!("{} holds no certificates that can be used: {error}", file.display());
        StoreError::new(StoreErrorKind::Refused, message)
    };
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(file).map_err(|error| unusable(&error))? {
        let certificate = certificate.map_err(|error| unusable(&error))?;
        roots.add(certificate).map_err(|error| unusable(&error))?;
    }
    if roots.is_empty() {
        return Err(unusable(&"it is empty"));
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let builder = builder.with_safe_default_protocol_versions().map_err(|error| unusable(&error))?;
    Ok(Some(Arc::new(builder.with_root_certificates(roots).with_no_client_auth())))
}

//! The server's configuration: as production has it, only small and on the loopback interface.

use std::{net::SocketAddrV4, path::Path};

use super::{CassandraOptions, Ring, tls};

/// Small, and quick to start: a test's server does not live long enough for the best compiler and collector to pay.
const SMALL: &[&str] = &["-Xms512m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", REFLECTION];
/// The collector that the server's own scripts choose.
const FAST: &[&str] = &["-Xms2g", "-Xmx2g", "-XX:+UseG1GC", REFLECTION];
const REFLECTION: &str = "-Dio.netty.tryReflectionSetAccessible=true";

/// What a small server's files are like. One that is measured has what it has by itself.
const SMALL_FILES: &str = "commitlog_segment_size: 5MiB\ndisk_access_mode: standard\n";

/// Nobody waits for more than is needed.
pub(super) fn server_options(ring: &Ring) -> [String; 5] {
    [
        "-Dcassandra-foreground=yes".to_owned(),
        format!("-Dcassandra.ring_delay_ms={}", ring.delay_ms),
        "-Dcassandra.skip_wait_for_gossip_to_settle=0".to_owned(),
        format!("-Dcassandra.initial_token={}", ring.token),
        "-Dcassandra.superuser_setup_delay_ms=0".to_owned(),
    ]
}

/// Memory, compiler, collector.
pub(super) fn jvm_options(options: &CassandraOptions) -> &'static [&'static str] {
    if options.is_fast { FAST } else { SMALL }
}

/// `cassandra.yaml`.
pub(super) fn yaml(options: &CassandraOptions, address: SocketAddrV4, ring: &Ring, folder: &Path) -> String {
    let period_ms = options.commit_log_period_ms;
    let (ip, port) = (address.ip(), address.port());
    let Ring { ip: own, members, storage_port, .. } = ring;
    let seeds: Vec<String> = members.iter().map(|member| format!("{member}:{storage_port}")).collect();
    let seeds = seeds.join(",");
    let files = if options.is_fast { "" } else { SMALL_FILES };
    let guarded = if options.is_guarded { guard(folder) } else { "authenticator: AllowAllAuthenticator\n".to_owned() };
    format!(
        "cluster_name: saldo-test\n\
         partitioner: org.apache.cassandra.dht.Murmur3Partitioner\n\
         endpoint_snitch: SimpleSnitch\n\
         num_tokens: 1\n\
         auto_bootstrap: false\n\
         hinted_handoff_enabled: false\n\
         listen_address: {own}\n\
         rpc_address: {ip}\n\
         storage_port: {storage_port}\n\
         native_transport_port: {port}\n\
         seed_provider:\n\
         \x20 - class_name: org.apache.cassandra.locator.SimpleSeedProvider\n\
         \x20   parameters: [{{seeds: \"{seeds}\"}}]\n\
         commitlog_sync: periodic\n\
         commitlog_sync_period: {period_ms}ms\n\
         memtable_allocation_type: heap_buffers\n\
         auto_snapshot: false\n\
         {files}{guarded}"
    )
}

fn guard(folder: &Path) -> String {
    let (keystore, password) = (tls::keystore(folder), tls::KEYSTORE_PASSWORD);
    format!(
        "authenticator: PasswordAuthenticator\n\
         client_encryption_options: {{enabled: true, optional: false, keystore: \"{}\", keystore_password: {password}}}\n",
        keystore.display()
    )
}

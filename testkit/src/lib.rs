//! Real servers for tests: processes, ports, folders.
//!
//! Promise: whatever is started here ends with the value that stands for it, and with the test process however that ends;
//! it listens on the loopback interface only and writes only into folders of its own. Depends on no crate of ours.

mod binaries;
mod cassandra;
mod copying;
mod nats_cluster;
mod nats_server;
mod open_files;
mod ports;
mod process;
mod script;
mod spawner;
mod wait;

pub use binaries::{cargo_binary, nats_cli, nats_server_binary, workspace_folder};
pub use cassandra::{
    CASSANDRA_DATACENTER, CASSANDRA_PASSWORD, CASSANDRA_USER, Cassandra, CassandraCluster, CassandraOptions,
};
pub use copying::copy_folder;
pub use nats_cluster::NatsCluster;
pub use nats_server::{NatsServer, NatsServerOptions};
pub use open_files::allow_open_files;
pub use ports::{free_port, free_ports, lasting_ports};
pub use process::ChildProcess;
pub use script::write_script;
pub use tempfile::TempDir;
pub use wait::{wait_until, wait_until_async};

/// A new folder that is removed when the value is dropped.
///
/// # Errors
/// When the system's folder for temporary files cannot be written.
pub fn temp_folder() -> anyhow::Result<TempDir> {
    Ok(tempfile::Builder::new().prefix("saldo-test-").tempdir()?)
}

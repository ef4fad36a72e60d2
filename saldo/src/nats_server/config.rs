//! The configuration that the child runs with, written anew at each start.

use std::{
    fs, io,
    net::SocketAddr,
    path::{Path, PathBuf},
};

/// Bytes of a message: the log's messages are at most half of it, so that one with its headers always fits.
const MAX_PAYLOAD_BYTES: u32 = 1024 * 1024;
/// Bytes of one log file of nats-server; it begins a new one then.
const LOG_FILE_BYTES: u32 = 8 * 1024 * 1024;
/// Log files that are kept, the one being written included.
const LOG_FILES: u32 = 4;
/// Bytes for streams in memory. Nothing of ours lives there; the bound is for what a visitor makes.
const MEMORY_STORE_BYTES: u64 = 64 * 1024 * 1024;
/// Bytes for streams on disk: out of reach on purpose. What the log may take stands in one place, the stream's own bound;
/// a server whose bound shrank below what its streams reserve would not load them.
const FILE_STORE_BYTES: u64 = 1 << 50;

/// Where the child listens and keeps its things.
#[derive(Clone, Debug)]
pub struct ServerSettings {
    /// The program.
    pub program: PathBuf,
    /// Where it listens.
    pub address: SocketAddr,
    /// The data folder; absolute, for the child need not share our working folder.
    pub data: PathBuf,
}

impl ServerSettings {
    /// The configuration file.
    pub fn config_file(&self) -> PathBuf {
        config_file(&self.data)
    }

    /// The file with the child's process id, there while it runs.
    pub fn process_file(&self) -> PathBuf {
        process_file(&self.data)
    }

    /// JetStream's folder.
    pub fn store_folder(&self) -> PathBuf {
        store_folder(&self.data)
    }

    /// The log file.
    pub fn log_file(&self) -> PathBuf {
        self.data.join("logs").join("nats-server.log")
    }

    /// The file with what is said before the log file is open, and after a crash.
    pub fn early_file(&self) -> PathBuf {
        self.data.join("logs").join("nats-server.out")
    }

    /// The name by which the child is told from another server on the same port.
    pub fn server_name(&self) -> String {
        format!("saldo-{}", std::process::id())
    }

    /// Makes the folders and writes the configuration.
    ///
    /// # Errors
    /// The folder cannot be written to.
    pub fn write(&self) -> io::Result<()> {
        fs::create_dir_all(self.store_folder())?;
        fs::create_dir_all(self.data.join("logs"))?;
        fs::write(self.config_file(), self.text())
    }

    /// `sync_interval: always` is what makes an acknowledgement mean "on disk".
    fn text(&self) -> String {
        let ServerSettings { address, .. } = self;
        let (name, log, store) = (self.server_name(), quoted(&self.log_file()), quoted(&self.store_folder()));
        format!(
            "# Written by `saldo up` at every start; changes made here are lost.\n\
             server_name: \"{name}\"\n\
             listen: \"{address}\"\n\
             max_payload: {MAX_PAYLOAD_BYTES}\n\
             log_file: {log}\n\
             logfile_size_limit: {LOG_FILE_BYTES}\n\
             logfile_max_num: {LOG_FILES}\n\
             jetstream {{\n  \
               store_dir: {store}\n  \
               sync_interval: always\n  \
               max_memory_store: {MEMORY_STORE_BYTES}\n  \
               max_file_store: {FILE_STORE_BYTES}\n\
             }}\n"
        )
    }
}

/// Where the configuration of a data folder's server lies.
pub fn config_file(data: &Path) -> PathBuf {
    data.join("nats-server.conf")
}

/// Where its log lies.
pub fn store_folder(data: &Path) -> PathBuf {
    data.join("nats")
}

/// Where its process id lies.
pub fn process_file(data: &Path) -> PathBuf {
    data.join("nats-server.pid")
}

/// A path as a string of the configuration's language.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configuration_syncs_every_message_and_opens_no_monitoring_port() {
        let data = PathBuf::from("/a folder/with \"quotes\"");
        let settings = ServerSettings { program: PathBuf::new(), address: "127.0.0.1:4222".parse().unwrap(), data };
        let text = settings.text();
        assert!(text.contains("sync_interval: always") && text.contains("listen: \"127.0.0.1:4222\""), "{text}");
        assert!(text.contains("store_dir: \"/a folder/with \\\"quotes\\\"/nats\""), "{text}");
        assert!(!text.contains("http"), "{text}");
    }
}

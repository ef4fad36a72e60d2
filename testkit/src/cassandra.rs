//! Apache Cassandra 5, one node or a cluster: the server with which the CQL store is tested.

mod cluster;
mod config;
mod tls;

pub use cluster::CassandraCluster;

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpStream},
    path::{Path, PathBuf},
    process::Command,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};

use anyhow::Context;
use tempfile::TempDir;

use crate::{
    binaries::{cassandra_jars, java, workspace_folder},
    copying::copy_folder,
    ports::lasting_ports,
    process::ChildProcess,
    temp_folder,
    wait::wait_until,
};

/// How long a server may take until it answers: about ten seconds on an idle machine.
const READY_WITHIN: Duration = Duration::from_secs(120);
/// How long one look at it may take.
const LOOK_TIMEOUT: Duration = Duration::from_millis(500);
/// The line that it writes when it is up.
const READY_LINE: &str = "Startup complete";
/// Who may log in where passwords are asked for: the server makes this user itself.
pub const CASSANDRA_USER: &str = "cassandra";
/// The password of [`CASSANDRA_USER`].
pub const CASSANDRA_PASSWORD: &str = "cassandra";
/// The name that it gives its only data centre.
pub const CASSANDRA_DATACENTER: &str = "datacenter1";

/// How a server is started.
#[derive(Clone, Debug)]
pub struct CassandraOptions {
    commit_log_period_ms: u32,
    is_guarded: bool,
    is_careless: bool,
    is_fast: bool,
    address: Option<SocketAddrV4>,
}

impl CassandraOptions {
    /// Takes CQL at this address instead of at a free port of the loopback interface.
    pub fn listen(mut self, address: SocketAddrV4) -> Self {
        self.address = Some(address);
        self
    }

    /// How often it syncs its commit log, in milliseconds; 10,000 where nothing is said. What it acknowledged since the
    /// last time is lost by an outage of the machine; a kill of the process loses the last tenth of a second, for it writes a
    /// marker up to which it will read that often.
    pub fn commit_log_period_ms(mut self, period_ms: u32) -> Self {
        self.commit_log_period_ms = period_ms;
        self
    }

    /// Speaks TLS only, and asks for [`CASSANDRA_USER`] with [`CASSANDRA_PASSWORD`].
    pub fn with_tls_and_password(mut self) -> Self {
        self.is_guarded = true;
        self
    }

    /// Does not sync its own tables: keyspaces are made much quicker. For a server that no test kills.
    pub fn careless(mut self) -> Self {
        self.is_careless = true;
        self
    }

    /// Compiles, collects and writes as the server does where nobody says otherwise, in 2 GiB of memory: for one that is
    /// measured. It takes longer to start.
    pub fn fast(mut self) -> Self {
        self.is_fast = true;
        self
    }

    /// Starts the server and waits until it answers.
    ///
    /// # Errors
    /// When Java or the server's files are missing (with the remedy), or with its output when it does not come up.
    pub fn start(self) -> anyhow::Result<Cassandra> {
        let [port, storage_port] = lasting_ports()?;
        let address = self.address.unwrap_or_else(|| SocketAddrV4::new(Ipv4Addr::LOCALHOST, port));
        let mut server = self.node(address, Ring::of_one(storage_port))?;
        server.bring_up()?;
        Ok(server)
    }

    /// A server that is not started yet.
    fn node(self, address: SocketAddrV4, ring: Ring) -> anyhow::Result<Cassandra> {
        let server = Cassandra { options: self, address, ring, folder: temp_folder()?, process: None };
        if server.options.is_guarded {
            tls::make_keystore(server.folder.path())?;
        }
        Ok(server)
    }
}

/// Where a server stands among those of its cluster.
#[derive(Clone, Debug)]
struct Ring {
    /// Where it talks to the others.
    ip: Ipv4Addr,
    /// All of them: none waits for another before it is up.
    members: Vec<Ipv4Addr>,
    storage_port: u16,
    token: i64,
    /// How long it takes another one that says nothing to be no member yet, in milliseconds.
    delay_ms: u32,
}

impl Ring {
    /// One node needs to wait for nobody.
    fn of_one(storage_port: u16) -> Self {
        let ip = Ipv4Addr::LOCALHOST;
        Self { ip, members: vec![ip], storage_port, token: 0, delay_ms: 1 }
    }
}

/// A running server. Killed with the value and with the test process.
#[derive(Debug)]
pub struct Cassandra {
    options: CassandraOptions,
    address: SocketAddrV4,
    ring: Ring,
    folder: TempDir,
    process: Option<ChildProcess>,
}

/// The server that the tests of one process share, while any of them holds it.
static SHARED: Mutex<Weak<Cassandra>> = Mutex::new(Weak::new());

impl Cassandra {
    /// The server that the tests of this process share: one that nobody kills, careless about its own tables. Each test
    /// makes a keyspace of its own.
    ///
    /// # Errors
    /// As [`CassandraOptions::start`].
    pub fn shared() -> anyhow::Result<Arc<Self>> {
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(server) = shared.upgrade() {
            return Ok(server);
        }
        let server = Arc::new(Self::options().careless().start()?);
        *shared = Arc::downgrade(&server);
        Ok(server)
    }

    /// A server of one's own.
    pub fn options() -> CassandraOptions {
        CassandraOptions {
            commit_log_period_ms: 10_000,
            is_guarded: false,
            is_careless: false,
            is_fast: false,
            address: None,
        }
    }

    /// Where it takes CQL, as `<address>:<port>`; the same across restarts.
    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// The certificate that its clients are to trust, where it speaks TLS.
    pub fn certificate(&self) -> PathBuf {
        tls::certificate(self.folder.path())
    }

    /// Where all its data are.
    pub fn data_folder(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Its process id; 0 while it is down.
    pub fn id(&self) -> u32 {
        self.process.as_ref().map_or(0, ChildProcess::id)
    }

    /// The last lines of its log.
    pub fn output(&self) -> String {
        self.process.as_ref().map(ChildProcess::output).unwrap_or_default()
    }

    /// SIGKILL: it is gone when this returns, its data stay.
    ///
    /// # Errors
    /// When it does not go.
    pub fn kill(&mut self) -> anyhow::Result<()> {
        self.process.take().map_or(Ok(()), |mut process| process.kill())
    }

    /// Starts it again on the same port over the same data (killing it first if it runs) and waits until it answers.
    ///
    /// # Errors
    /// As [`CassandraOptions::start`].
    pub fn restart(&mut self) -> anyhow::Result<()> {
        self.kill()?;
        self.bring_up()
    }

    /// SIGSTOP: it stands still, connections stay open.
    ///
    /// # Errors
    /// When it does not run.
    pub fn pause(&mut self) -> anyhow::Result<()> {
        self.running()?.pause()
    }

    /// SIGCONT: it goes on.
    ///
    /// # Errors
    /// When it does not run.
    pub fn resume(&mut self) -> anyhow::Result<()> {
        self.running()?.resume()
    }

    /// Copies what is on its disk now, as an outage of the machine would leave it after its last sync: to be taken while
    /// it stands still or is down.
    ///
    /// # Errors
    /// When the files cannot be copied.
    pub fn copy_data(&self, to: &Path) -> anyhow::Result<()> {
        copy_folder(&self.data_folder(), to)
    }

    /// Puts an older copy in the place of its data, while it is down.
    ///
    /// # Errors
    /// When it runs, or the files cannot be copied.
    pub fn restore_data(&self, from: &Path) -> anyhow::Result<()> {
        anyhow::ensure!(self.process.is_none(), "the server is not down");
        fs::remove_dir_all(self.data_folder())?;
        copy_folder(from, &self.data_folder())
    }

    fn running(&mut self) -> anyhow::Result<&mut ChildProcess> {
        self.process.as_mut().context("the Cassandra server does not run")
    }

    fn bring_up(&mut self) -> anyhow::Result<()> {
        let mut process = ChildProcess::spawn(self.command()?)?;
        process.wait_for_line(READY_LINE, READY_WITHIN).context("the Cassandra server did not come up")?;
        let address = SocketAddr::from(self.address);
        let greets = || TcpStream::connect_timeout(&address, LOOK_TIMEOUT).ok().map(drop);
        wait_until("the Cassandra server's port", READY_WITHIN, greets).with_context(|| process.output())?;
        self.process = Some(process);
        Ok(())
    }

    fn command(&self) -> anyhow::Result<Command> {
        let data = self.data_folder();
        fs::create_dir_all(data.join("triggers"))?;
        let yaml = self.folder.path().join("cassandra.yaml");
        fs::write(&yaml, config::yaml(&self.options, self.address, &self.ring, self.folder.path()))?;
        let files = workspace_folder().join("testkit/cassandra");
        let mut command = Command::new(java()?);
        command.args(config::jvm_options(&self.options)).arg(format!("@{}", files.join("jvm17.options").display()));
        command.arg("-cp").arg(cassandra_jars()?.join("*"));
        command.arg(format!("-Dlogback.configurationFile={}", files.join("logback.xml").display()));
        command.arg(format!("-Dcassandra.config=file:{}", yaml.display()));
        command.arg(format!("-Dcassandra.storagedir={}", data.display()));
        command.arg(format!("-Dcassandra.triggers_dir={}", data.join("triggers").display()));
        command.args(config::server_options(&self.ring));
        if self.options.is_careless {
            command.arg("-Dcassandra.unsafesystem=true");
        }
        command.arg("org.apache.cassandra.service.CassandraDaemon");
        Ok(command)
    }
}

//! PostgreSQL as Debian ships it, started for the bench in a folder of its own: what users would pick instead.
//!
//! Its durability is the default (`fsync`, `synchronous_commit`, `full_page_writes` on). Two settings differ from the default
//! because the comparison would not run otherwise: `max_connections`, and no other socket than loopback's.

mod account;
mod load;

use std::{
    fs::{self, File},
    net::{Ipv4Addr, SocketAddr, TcpStream},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context, ensure};
use tempfile::TempDir;
use testkit::{ChildProcess, wait_until};

use account::{Account, not_root};
pub use load::transactions_per_second;

const PATIENCE: Duration = Duration::from_secs(60);
const MAX_CONNECTIONS: u16 = 300;
const USER: &str = "bench";

/// The tables: launches unique by their key, and the totals of each day.
const TABLES: &str = "
create table launch (
    tenant text, account text, date date, id text, kind text not null, amount bigint not null, currency text not null,
    description text, category text, primary key (tenant, account, date, id));
create table day (
    tenant text, account text, date date, currency text, credits numeric not null, debits numeric not null,
    credit_count bigint not null, debit_count bigint not null, primary key (tenant, account, date, currency));
";

/// A running server.
pub struct Postgres {
    programs: PathBuf,
    port: u16,
    account: Option<Account>,
    process: ChildProcess,
    folder: TempDir,
}

impl Postgres {
    /// Makes a cluster and starts it.
    ///
    /// # Errors
    /// The programs are not there, or there is no account but root's to run them.
    pub fn start(programs: &Path) -> anyhow::Result<Self> {
        let account = not_root()?;
        let folder = tempfile::Builder::new().prefix("saldo-bench-postgres-").tempdir()?;
        if let Some(account) = account {
            std::os::unix::fs::chown(folder.path(), Some(account.user), Some(account.group))?;
        }
        let run = |program: &str| command(programs, program, account, &folder);
        let mut initdb = run("initdb");
        initdb.args(["--auth=trust", "--encoding=UTF8", "--locale=C", "--username", USER, "--pgdata", "data"]);
        finish(&mut initdb)?;
        let port = testkit::free_port()?;
        let mut server = run("postgres");
        server.args(["-D", "data", "-p", &port.to_string(), "-c", "listen_addresses=127.0.0.1"]);
        server.args(["-c", "unix_socket_directories=", "-c", &format!("max_connections={MAX_CONNECTIONS}")]);
        let process = ChildProcess::spawn(server)?;
        let mut postgres = Self { programs: programs.to_path_buf(), port, account, process, folder };
        postgres.prepare()?;
        Ok(postgres)
    }

    fn prepare(&mut self) -> anyhow::Result<()> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, self.port));
        let up = wait_until("PostgreSQL", PATIENCE, || TcpStream::connect(address).is_ok().then_some(()));
        up.with_context(|| self.process.output())?;
        let tables = self.folder.path().join("tables.sql");
        fs::write(&tables, TABLES)?;
        let mut psql = self.client("psql");
        psql.args(["--quiet", "--set", "ON_ERROR_STOP=1", "--dbname", "postgres"]).stdin(File::open(tables)?);
        // It lets clients in a moment after it listens.
        wait_until("the tables", PATIENCE, || finish(&mut psql).ok().map(drop))
    }

    /// A client program, told where the server is.
    fn client(&self, program: &str) -> Command {
        let mut client = command(&self.programs, program, self.account, &self.folder);
        client.args(["--host", "127.0.0.1", "--port", &self.port.to_string(), "--username", USER]);
        client
    }
}

impl Drop for Postgres {
    /// The fast stop: its processes and its shared memory go with it.
    fn drop(&mut self) {
        let _gone_already = self.process.interrupt();
        let _killed_otherwise = self.process.wait(PATIENCE);
    }
}

fn command(programs: &Path, program: &str, account: Option<Account>, folder: &TempDir) -> Command {
    let mut command = Command::new(programs.join(program));
    command.current_dir(folder.path()).env("LC_ALL", "C");
    if let Some(account) = account {
        command.uid(account.user).gid(account.group);
    }
    command
}

/// Runs a command to its end and gives its output.
fn finish(command: &mut Command) -> anyhow::Result<String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.output().with_context(|| format!("cannot run {name}"))?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{name} ended with {}: {}", output.status, errors.trim());
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

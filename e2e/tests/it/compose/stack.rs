//! All services of the file, started in its order.

use std::{
    net::SocketAddrV4,
    path::PathBuf,
    process::Command,
    thread::{self, JoinHandle},
};

use anyhow::{Context, bail, ensure};
use serde_json::Value;
use testkit::{Cassandra, wait_until};

use super::{
    PATIENCE,
    container::{Container, Image},
    dockerfile::Dockerfile,
    file::{ComposeFile, Condition, PASSWORDS, Service},
    network::Network,
    stage::{Stage, run},
};

/// The only node of the store, whose place the stand-in takes.
const STORE: &str = "scylla-1";
/// Where nodes of the store take CQL, and servers of NATS clients.
const CQL_PORT: u16 = 9042;
const NATS_PORT: u16 = 4222;

/// The running services.
pub struct Stack {
    stage: Stage,
    file: ComposeFile,
    network: Network,
    containers: Vec<(String, Container)>,
    store: Store,
}

/// The stand-in for ScyllaDB: it starts beside everything else.
enum Store {
    Starting(JoinHandle<anyhow::Result<Cassandra>>),
    Running { _server: Cassandra },
    Lost,
}

impl Stack {
    /// Starts every service when those that it waits for are where the file wants them, and waits until all are healthy.
    pub fn start(stage: &Stage, file: ComposeFile) -> anyhow::Result<Self> {
        let services = file.services()?;
        stage.furnish()?;
        let others: Vec<&str> =
            services.iter().map(|service| service.name.as_str()).filter(|name| *name != STORE).collect();
        let network = Network::build(STORE, &others, stage.folder())?;
        let address = SocketAddrV4::new(network.address(STORE)?, CQL_PORT);
        let store = Store::Starting(thread::spawn(move || Cassandra::options().careless().listen(address).start()));
        let mut stack = Self { stage: stage.clone(), file, network, containers: Vec::new(), store };
        for service in services.into_iter().filter(|service| service.name != STORE) {
            stack.start_service(service)?;
        }
        for (name, container) in stack.containers.iter_mut().filter(|(name, _)| !is_job(name)) {
            container.wait_until_healthy().with_context(|| format!("{name} is not healthy"))?;
        }
        Ok(stack)
    }

    /// Where a service answers.
    pub fn url(&self, name: &str) -> anyhow::Result<String> {
        let container = self.containers.iter().find(|(found, _)| found == name).map(|(_, container)| container);
        let port = container
            .and_then(|container| container.published_port())
            .with_context(|| format!("{name} has no port"))?;
        Ok(format!("http://{}:{port}", self.network.address(name)?))
    }

    /// Asks the cluster as its operator whether a stream is kept on three nodes.
    pub fn check_copies(&self, stream: &str) -> anyhow::Result<()> {
        let server = format!("nats://{}:{NATS_PORT}", self.network.address("nats-2")?);
        let password =
            PASSWORDS.iter().find(|(name, _)| *name == "SALDO_NATS_OPERATOR_PASSWORD").context("a password")?.1;
        let mut command = Command::new(testkit::nats_cli()?);
        command.args(["--server", &server, "--user", "operator", "--password", password]);
        let info: Value = serde_json::from_str(&run(command.args(["stream", "info", stream, "--json"]))?)?;
        ensure!(info["config"]["num_replicas"] == 3, "{stream} has {}", info["config"]);
        ensure!(info["cluster"]["replicas"].as_array().is_some_and(|others| others.len() == 2), "{}", info["cluster"]);
        Ok(())
    }

    /// Waits until these users and no others are connected to the cluster, each as often as it is named.
    pub fn wait_for_users(&self, expected: &[&str]) -> anyhow::Result<()> {
        let mut last = String::new();
        let waited = wait_until("the services' connections", PATIENCE, || {
            let users = self.connected_users();
            last = format!("{users:?}");
            users.is_ok_and(|users| users == expected).then_some(())
        });
        waited.with_context(|| last)
    }

    /// Who is connected, in order.
    fn connected_users(&self) -> anyhow::Result<Vec<String>> {
        let mut users = Vec::new();
        for (_, said) in self.ask_servers("connz?auth=true")? {
            let connections = said["connections"].as_array().context("connz lists connections")?;
            users.extend(connections.iter().filter_map(|one| one["authorized_user"].as_str().map(str::to_owned)));
        }
        users.sort_unstable();
        Ok(users)
    }

    /// Each server of NATS has its own name and syncs before it acknowledges.
    pub fn check_servers(&self) -> anyhow::Result<()> {
        for (name, said) in self.ask_servers("varz")? {
            ensure!(
                said["server_name"] == name && said["jetstream"]["config"]["sync_always"] == true,
                "{name}: {said}"
            );
        }
        Ok(())
    }

    /// What the servers of NATS say of themselves.
    fn ask_servers(&self, what: &str) -> anyhow::Result<Vec<(&str, Value)>> {
        let servers = self.containers.iter().filter(|(name, _)| name.starts_with("nats-"));
        let url = format!("http://127.0.0.1:8222/{what}");
        let words = ["wget", "-q", "-O", "-", &url].map(str::to_owned);
        servers
            .map(|(name, container)| Ok((name.as_str(), serde_json::from_str(&container.execute(&words)?)?)))
            .collect()
    }

    /// Stops every service, the last one first; the jobs have ended.
    pub fn stop(mut self) -> anyhow::Result<()> {
        for (name, container) in self.containers.iter_mut().rev().filter(|(name, _)| !is_job(name)) {
            container.stop().with_context(|| format!("{name} does not stop"))?;
        }
        Ok(())
    }

    fn start_service(&mut self, service: Service) -> anyhow::Result<()> {
        for (name, condition) in &service.waits_for {
            self.wait_for(name, *condition).with_context(|| format!("{} waits for {name}", service.name))?;
        }
        let image = image(&service)?;
        let name = service.name.clone();
        let container = Container::start(&self.stage, &self.file, &self.network, service, image)?;
        self.containers.push((name, container));
        Ok(())
    }

    fn wait_for(&mut self, name: &str, condition: Condition) -> anyhow::Result<()> {
        if name == STORE {
            return self.wait_for_store();
        }
        let found = self.containers.iter_mut().find(|(found, _)| found == name);
        let (_, container) = found.context("it was not started")?;
        match condition {
            Condition::Healthy => container.wait_until_healthy(),
            Condition::Ended => container.wait_until_done(),
        }
    }

    /// Its own check is not run: there is no ScyllaDB to run it in. The stand-in answers when it has started.
    fn wait_for_store(&mut self) -> anyhow::Result<()> {
        self.store = match std::mem::replace(&mut self.store, Store::Lost) {
            Store::Starting(thread) => {
                let server = thread.join().map_err(|_| anyhow::anyhow!("the store's thread panicked"))??;
                Store::Running { _server: server }
            }
            other => other,
        };
        Ok(())
    }
}

/// What runs once and ends.
pub fn is_job(name: &str) -> bool {
    matches!(name, "log" | "schema")
}

/// The programs of this machine, started as the images start theirs.
fn image(service: &Service) -> anyhow::Result<Image> {
    if service.image.starts_with("saldo:") {
        let dockerfile = Dockerfile::read()?;
        let entrypoint = dockerfile.entrypoint()?;
        let there = PathBuf::from(entrypoint.first().context("an entrypoint")?);
        let program = (testkit::cargo_binary("saldo")?, there);
        return Ok(Image { program, entrypoint, user: Some(dockerfile.user()?) });
    }
    if service.image.starts_with("nats:") {
        // Its entrypoint puts this before what begins with a dash.
        ensure!(service.command.first().is_some_and(|word| word.starts_with('-')), "{:?}", service.command);
        let program = (testkit::nats_server_binary()?, PathBuf::from("/usr/local/bin/nats-server"));
        return Ok(Image { program, entrypoint: vec!["nats-server".to_owned()], user: None });
    }
    bail!("nothing here stands for the image {}", service.image)
}

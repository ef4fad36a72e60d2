//! What the file must say of every service.

use std::{collections::BTreeSet, fs};

use anyhow::{Context, ensure};

use super::{
    file::{ComposeFile, Service, config},
    stack::is_job,
};

/// As .env.example says for three nodes of ScyllaDB.
const CLUSTER: [(&str, &str); 3] = [
    ("COMPOSE_PROFILES", "cluster"),
    ("SALDO_SCYLLA_NODES", "scylla-1:9042,scylla-2:9042,scylla-3:9042"),
    ("SALDO_SCYLLA_COPIES", "3"),
];

fn names(services: &[Service]) -> Vec<&str> {
    services.iter().map(|service| service.name.as_str()).collect()
}

fn find<'a>(services: &'a [Service], name: &str) -> anyhow::Result<&'a Service> {
    services.iter().find(|service| service.name == name).with_context(|| format!("no service {name}"))
}

#[test]
fn three_nodes_of_the_store_are_a_profile() -> anyhow::Result<()> {
    let plain = ComposeFile::read(&[])?.services()?;
    let cluster = ComposeFile::read(&CLUSTER)?.services()?;
    let always = [
        "aggregator-1",
        "aggregator-2",
        "ingest",
        "log",
        "nats-1",
        "nats-2",
        "nats-3",
        "query-1",
        "query-2",
        "schema",
        "scylla-1",
    ];
    let mut found = names(&plain);
    found.sort_unstable();
    ensure!(found == always, "{found:?}");
    let mut found = names(&cluster);
    found.sort_unstable();
    ensure!(found == [&always[..], &["scylla-2", "scylla-3"]].concat(), "{found:?}");
    // The keyspace is made when every node has joined, for a copy on each.
    let schema = find(&cluster, "schema")?;
    ensure!(schema.environment["SALDO_SCYLLA_REPLICATION"] == "datacenter1:3", "{:?}", schema.environment);
    ensure!(
        schema.waits_for.iter().filter(|(name, _)| name.starts_with("scylla-")).count() == 3,
        "{:?}",
        schema.waits_for
    );
    Ok(())
}

#[test]
fn every_service_is_bounded_checked_and_without_privileges() -> anyhow::Result<()> {
    let file = ComposeFile::read(&CLUSTER)?;
    for service in file.services()? {
        check(&file, &service).with_context(|| service.name.clone())?;
    }
    Ok(())
}

fn check(file: &ComposeFile, service: &Service) -> anyhow::Result<()> {
    let raw = &service.raw;
    let limits = &raw["deploy"]["resources"]["limits"];
    for limit in ["cpus", "memory", "pids"] {
        ensure!(!limits[limit].is_null(), "no limit of {limit}: {limits}");
    }
    ensure!(!raw["logging"]["options"]["max-size"].is_null(), "its log is not bounded");
    ensure!(raw["security_opt"][0] == "no-new-privileges:true", "it may gain privileges");
    ensure!(is_job(&service.name) == service.health.is_none(), "a service has a health check, a job ends");
    ensure!(raw["restart"] == if is_job(&service.name) { "no" } else { "unless-stopped" }, "{}", raw["restart"]);
    let (name, version) = service.image.split_once(':').context("its image has a version")?;
    if name != "scylladb/scylla" {
        ensure!(raw["cap_drop"][0] == "ALL" && raw["read_only"] == true, "it has more rights than it needs");
    }
    ensure!(name == "saldo" || version.split('.').count() >= 3, "{} is not pinned", service.image);
    for volume in raw["volumes"].as_array().into_iter().flatten() {
        let source = volume["source"].as_str().unwrap_or_default();
        ensure!(volume["type"] == "volume" && file.has_volume(source), "{volume} is not a named volume");
    }
    for port in raw["ports"].as_array().into_iter().flatten() {
        ensure!(port["host_ip"] == "127.0.0.1", "{port} can be reached from other machines without credentials");
    }
    Ok(())
}

/// Each service has its own user at NATS, and none has the operator's password.
#[test]
fn services_know_their_own_password_only() -> anyhow::Result<()> {
    let services = ComposeFile::read(&[])?.services()?;
    for (name, user) in
        [("ingest", "ingest"), ("aggregator-2", "aggregator"), ("query-1", "query"), ("log", "operator")]
    {
        let service = find(&services, name)?;
        let passwords = service.environment.iter().filter(|(variable, _)| variable.ends_with("PASSWORD"));
        ensure!(service.environment["SALDO_NATS_USER"] == user && passwords.count() == 1, "{:?}", service.environment);
    }
    Ok(())
}

#[test]
fn a_missing_password_is_named_with_its_remedy() -> anyhow::Result<()> {
    let refused = config(&[]).err().context("Compose takes the file without passwords")?.to_string();
    ensure!(
        refused.contains("SALDO_NATS_ROUTE_PASSWORD is missing a value: set it in .env, see .env.example"),
        "{refused}"
    );
    Ok(())
}

/// What the file takes from outside is exactly what .env.example explains.
#[test]
fn the_example_names_every_variable_of_the_file() -> anyhow::Result<()> {
    let read = |name: &str| fs::read_to_string(testkit::workspace_folder().join(name)).with_context(|| name.to_owned());
    let (file, example) = (read("docker-compose.yml")?, read(".env.example")?);
    let used: BTreeSet<&str> = file.split("${").skip(1).filter_map(|rest| rest.split([':', '}']).next()).collect();
    let lines = example.lines().filter_map(|line| line.trim_start_matches('#').split_once('='));
    let is_variable = |name: &str| name.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_');
    let explained: BTreeSet<&str> = lines.map(|(name, _)| name).filter(|name| is_variable(name)).collect();
    // Compose's own.
    let expected: BTreeSet<&str> = used.into_iter().chain(["COMPOSE_PROFILES"]).collect();
    ensure!(explained == expected, "explained: {explained:?}, used: {expected:?}");
    Ok(())
}

/// A misspelt variable would be passed over in silence.
#[test]
fn services_are_given_only_variables_that_they_read() -> anyhow::Result<()> {
    let page = fs::read_to_string(testkit::workspace_folder().join("docs/configuration.md"))?;
    for service in ComposeFile::read(&CLUSTER)?.services()?.iter().filter(|service| service.image.starts_with("saldo:"))
    {
        for name in service.environment.keys() {
            ensure!(page.contains(&format!("`{name}`")), "{} is given {name}, which is not documented", service.name);
        }
    }
    Ok(())
}

//! Starting, being killed, stopping: what was acknowledged is there afterwards, and nothing else is.

use reqwest::StatusCode;
use testkit::{ChildProcess, NatsServer, free_port, temp_folder, wait_until, wait_until_async};

use crate::{
    http::{count, day, post, status, text},
    log_name::saldo_log,
    pipeline::{PATIENCE, Pipeline, refusal, runs, saldo, up, wait_for_end},
};

#[tokio::test]
async fn a_stop_is_orderly_and_the_next_start_has_all_data() {
    let folder = temp_folder().unwrap();
    let mut pipeline = Pipeline::start(folder.path());
    post(&pipeline, "a").await;
    let position = post(&pipeline, "b").await;
    assert_eq!(count(&pipeline, &position).await, 2);
    let server = pipeline.nats_server();
    pipeline.process.terminate().unwrap();
    let status = pipeline.process.wait(PATIENCE).unwrap();
    assert!(status.success(), "{status}");
    assert!(!runs(server));
    let output = pipeline.process.output();
    let stopped: Vec<&str> = output.lines().filter(|line| line.ends_with(" stopped")).collect();
    let order: Vec<&str> = stopped.iter().filter_map(|line| line.split_whitespace().next()).collect();
    assert_eq!(order, ["ingest", "aggregator", "query", "nats-server"], "{output}");

    let pipeline = Pipeline::start(folder.path());
    assert_eq!(count(&pipeline, &position).await, 2);
    let position = post(&pipeline, "c").await;
    assert_eq!(count(&pipeline, &position).await, 3);
    pipeline.stop();
}

#[tokio::test]
async fn ctrl_c_stops_it_too() {
    let folder = temp_folder().unwrap();
    let mut pipeline = Pipeline::start(folder.path());
    let server = pipeline.nats_server();
    pipeline.process.interrupt().unwrap();
    assert!(pipeline.process.wait(PATIENCE).unwrap().success());
    assert!(!runs(server));
}

#[tokio::test]
async fn a_kill_leaves_no_nats_server_and_the_next_start_has_all_data() {
    let folder = temp_folder().unwrap();
    let mut pipeline = Pipeline::start(folder.path());
    let mut position = String::new();
    for round in 1..=3 {
        position = post(&pipeline, &format!("launch-{round}")).await;
        let server = pipeline.nats_server();
        pipeline.process.kill().unwrap();
        wait_for_end(server);
        pipeline = Pipeline::start(folder.path());
        assert_eq!(count(&pipeline, &position).await, round);
    }
    assert_eq!(count(&pipeline, &position).await, 3);
    pipeline.stop();
}

#[tokio::test]
async fn a_nats_server_that_dies_is_started_again() {
    let folder = temp_folder().unwrap();
    let pipeline = Pipeline::start(folder.path());
    post(&pipeline, "before").await;
    let first = pipeline.nats_server();
    kill(first);
    wait_until("another nats-server", PATIENCE, || {
        let now = std::fs::read_to_string(folder.path().join("nats-server.pid")).ok()?.trim().parse().ok()?;
        (now != first && runs(now)).then_some(())
    })
    .unwrap();
    let position = post(&pipeline, "after").await;
    assert_eq!(count(&pipeline, &position).await, 2);
    pipeline.stop();
}

#[tokio::test]
async fn every_service_tells_its_health_and_its_metrics() {
    let folder = temp_folder().unwrap();
    let pipeline = Pipeline::start(folder.path());
    for base in [&pipeline.ingest, &pipeline.query, &pipeline.aggregator] {
        assert!(text(&format!("{base}/health/live")).await.contains("live"));
        assert!(text(&format!("{base}/metrics")).await.contains("saldo_"));
    }
    pipeline.stop();
}

#[tokio::test]
async fn the_bound_of_the_log_is_set_anew_at_every_start() {
    let folder = temp_folder().unwrap();
    for bound in ["50000000", "70000000"] {
        let mut command = up(folder.path(), &[]);
        command.env("SALDO_LOG_MAX_BYTES", bound);
        let pipeline = Pipeline::of(ChildProcess::spawn(command).unwrap(), folder.path());
        let url = format!("{}/metrics", pipeline.ingest);
        let line = format!("saldo_log_max_bytes {bound}");
        wait_until_async("the bound", PATIENCE, async || text(&url).await.contains(&line).then_some(())).await.unwrap();
        pipeline.stop();
    }
}

#[tokio::test]
async fn another_ingest_writes_into_the_same_log() {
    let folder = temp_folder().unwrap();
    let mut pipeline = Pipeline::start(folder.path());
    let mut command = saldo();
    let port = free_port().unwrap();
    let address = format!("127.0.0.1:{port}");
    command.args(["ingest", "--ingest", &address, "--nats", &pipeline.nats]);
    let mut other = ChildProcess::spawn(command).unwrap();
    let first = std::mem::replace(&mut pipeline.ingest, format!("http://{address}"));
    post(&pipeline, "through-the-other").await;
    pipeline.ingest = first;
    let position = post(&pipeline, "through-the-first").await;
    assert_eq!(count(&pipeline, &position).await, 2);
    other.terminate().unwrap();
    assert!(other.wait(PATIENCE).unwrap().success());
    pipeline.stop();
}

/// As docs/operations.md describes it: what is stored is thrown away, the log stays, and positions given out before say nothing.
#[tokio::test]
async fn a_raised_epoch_and_an_empty_store_begin_anew_from_the_log() {
    let folder = temp_folder().unwrap();
    let pipeline = Pipeline::start(folder.path());
    post(&pipeline, "a").await;
    let before = post(&pipeline, "b").await;
    assert!(before.starts_with("1."), "{before}");
    assert_eq!(count(&pipeline, &before).await, 2);
    let told = saldo_log(&pipeline.nats, &["raise-epoch"]);
    assert!(told.contains("epoch: 1 before, 2 from now on"), "{told}");
    pipeline.stop();
    std::fs::remove_dir_all(folder.path().join("store")).unwrap();

    let pipeline = Pipeline::start(folder.path());
    let after = post(&pipeline, "c").await;
    assert!(after.starts_with("2."), "{after}");
    assert_eq!(count(&pipeline, &after).await, 3);
    assert_eq!(status(&pipeline, &before).await, StatusCode::GONE);
    let told = wait_until_async("a complete answer", PATIENCE, async || {
        let day = day(&pipeline, &after).await;
        (day["complete"] == true).then_some(day["position"].as_str()?.to_owned())
    });
    assert_eq!(told.await.unwrap(), after, "workers and query speak of the same epoch");
    pipeline.stop();
}

#[tokio::test]
async fn a_second_signal_ends_at_once_and_leaves_nothing() {
    let folder = temp_folder().unwrap();
    let mut pipeline = Pipeline::start(folder.path());
    let server = pipeline.nats_server();
    // A nats-server that stands still cannot stop in order: without the second signal this would take long.
    signal(server, rustix::process::Signal::STOP);
    pipeline.process.terminate().unwrap();
    pipeline.process.wait_for_line("stopping", PATIENCE).unwrap();
    pipeline.process.terminate().unwrap();
    assert_eq!(pipeline.process.wait(PATIENCE).unwrap().code(), Some(130));
    wait_for_end(server);
}

fn kill(process: u32) {
    signal(process, rustix::process::Signal::KILL);
}

fn signal(process: u32, signal: rustix::process::Signal) {
    let id = rustix::process::Pid::from_raw(i32::try_from(process).unwrap()).unwrap();
    rustix::process::kill_process(id, signal).unwrap();
}

/// An operator started the folder's nats-server by hand, as docs/operations.md says, under the process id that the folder notes.
#[tokio::test]
async fn a_nats_server_that_somebody_started_by_hand_is_not_ended() {
    let folder = temp_folder().unwrap();
    let pipeline = Pipeline::start(folder.path());
    post(&pipeline, "a").await;
    pipeline.stop();
    let server = NatsServer::options().config_file(folder.path().join("nats-server.conf")).start().unwrap();
    for noted in [server.id(), server.id() + 1] {
        std::fs::write(folder.path().join("nats-server.pid"), noted.to_string()).unwrap();
        let said = refusal(&mut up(folder.path(), &[]));
        assert!(said.contains(&format!("kill {}", server.id())), "{said}");
        assert!(runs(server.id()));
    }
    drop(server);
    let pipeline = Pipeline::start(folder.path());
    let position = post(&pipeline, "b").await;
    assert_eq!(count(&pipeline, &position).await, 2);
    pipeline.stop();
}

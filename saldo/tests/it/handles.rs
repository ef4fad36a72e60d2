//! A low limit of open files, and more connections than it has room for.

use std::process::Command;

use testkit::{ChildProcess, temp_folder, wait_until_async};
use tokio::net::TcpStream;

use crate::{
    http::{count, post},
    pipeline::{PATIENCE, Pipeline, up},
};

/// Connections that ask for nothing, to each service: far more than the limit.
const IDLE: usize = 352;

#[tokio::test]
async fn idle_connections_beyond_the_limit_of_open_files_keep_nobody_out() {
    let folder = temp_folder().unwrap();
    let saldo = up(folder.path(), &[]);
    let mut limited = Command::new("sh");
    limited.args(["-c", "ulimit -n 256 && exec \"$@\"", "sh"]).arg(saldo.get_program()).args(saldo.get_args());
    limited.env_clear().env("SALDO_LOG", "info");
    let pipeline = Pipeline::of(ChildProcess::spawn(limited).unwrap(), folder.path());
    assert!(pipeline.process.output().contains("SALDO_HTTP_MAX_CONNECTIONS=16384"), "{}", pipeline.process.output());

    let services = [&pipeline.ingest, &pipeline.query, &pipeline.aggregator];
    let mut idle = Vec::new();
    for service in services {
        for _ in 0..IDLE {
            idle.push(TcpStream::connect(service.trim_start_matches("http://")).await.unwrap());
        }
    }
    for service in services {
        let healthy = async || {
            let answer = reqwest::get(format!("{service}/health/ready")).await.ok()?;
            answer.status().is_success().then_some(())
        };
        wait_until_async("health", PATIENCE, healthy).await.unwrap();
    }
    let position = post(&pipeline, "a").await;
    assert_eq!(count(&pipeline, &position).await, 1);
    assert!(!pipeline.process.output().contains("cannot accept"), "{}", pipeline.process.output());
    drop(idle);
    pipeline.stop();
}

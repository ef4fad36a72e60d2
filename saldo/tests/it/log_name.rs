//! A log that is restored, or whose epoch is raised: what was given out before means nothing
//! afterwards, and each step of docs/operations.md does what it says.

use std::{fs, process::Command};

use reqwest::StatusCode;
use testkit::{NatsServer, copy_folder, nats_cli, temp_folder, wait_until_async};

use crate::{
    http::{conditional, count, etag, post, status, text, try_post},
    pipeline::{PATIENCE, Pipeline, refusal, saldo, up},
};

/// The machine was lost, and the backup of its data folder goes on in an empty one. Sequences
/// repeat, with other launches.
#[tokio::test]
async fn what_was_given_out_before_a_restore_means_nothing_after_it() {
    let (lost, restored) = (temp_folder().unwrap(), temp_folder().unwrap());
    let pipeline = Pipeline::start(lost.path());
    post(&pipeline, "in-the-backup").await;
    pipeline.stop();
    copy_folder(&lost.path().join("nats"), &restored.path().join("nats")).unwrap();
    fs::copy(lost.path().join("format"), restored.path().join("format")).unwrap();
    let pipeline = Pipeline::start(lost.path());
    let lost_position = post(&pipeline, "lost").await;
    let lost_tag = etag(&pipeline, &lost_position).await;
    assert_eq!(conditional(&pipeline, &lost_tag).await, StatusCode::NOT_MODIFIED);
    pipeline.stop();

    let pipeline = Pipeline::start(restored.path());
    let position = post(&pipeline, "later").await;
    assert_eq!(count(&pipeline, &position).await, 2);
    assert_eq!(conditional(&pipeline, &lost_tag).await, StatusCode::OK, "it stands for another balance");
    assert_eq!(status(&pipeline, &lost_position).await, StatusCode::GONE, "that launch is not there");
    pipeline.stop();

    let pipeline = Pipeline::start(restored.path());
    assert_eq!(count(&pipeline, &position).await, 2, "a start over a store that is there keeps positions");
    pipeline.stop();
}

/// A log that was put back under services which run on: nobody writes into it or answers from its
/// former store.
#[tokio::test]
async fn after_a_log_was_declared_restored_nothing_goes_on_until_a_start_with_an_empty_store() {
    let folder = temp_folder().unwrap();
    let pipeline = Pipeline::start(folder.path());
    let before = post(&pipeline, "a").await;
    assert_eq!(count(&pipeline, &before).await, 1);
    assert!(saldo_log(&pipeline.nats, &["restored"]).contains("remove the folder store/"));
    let refused = async || (try_post(&pipeline, "b").await == StatusCode::SERVICE_UNAVAILABLE).then_some(());
    wait_until_async("posts to be refused", PATIENCE, refused).await.unwrap();
    says(&pipeline.ingest, "with an empty store").await;
    says(&pipeline.query, "until the store is empty").await;
    pipeline.stop();

    let pipeline = Pipeline::start(folder.path());
    says(&pipeline.aggregator, "filled again from the log").await;
    says(&pipeline.query, "until the store is empty").await;
    assert_eq!(status(&pipeline, &before).await, StatusCode::SERVICE_UNAVAILABLE, "of a store of another log");
    pipeline.stop();
    fs::remove_dir_all(folder.path().join("store")).unwrap();

    let pipeline = Pipeline::start(folder.path());
    let after = post(&pipeline, "b").await;
    assert!(after.starts_with("1."), "{after}");
    assert_eq!(count(&pipeline, &after).await, 2);
    assert_eq!(status(&pipeline, &before).await, StatusCode::GONE);
    pipeline.stop();
}

/// An edit by hand names one of the four metadata, which drops the others. The error's command
/// mends it, nothing is lost.
#[tokio::test]
async fn metadata_that_were_lost_are_put_back_by_the_command_that_the_error_names() {
    for (edit, command) in
        [("saldo.epoch=3", vec!["raise-epoch"]), ("saldo.wire=1", vec!["raise-epoch", "--epoch", "4"])]
    {
        let folder = temp_folder().unwrap();
        let pipeline = Pipeline::start(folder.path());
        let before = post(&pipeline, "a").await;
        assert_eq!(count(&pipeline, &before).await, 1);
        let mut slip = Command::new(nats_cli().unwrap());
        slip.args(["--server", &pipeline.nats, "stream", "edit", "LAUNCHES", "--force", "--metadata", edit]);
        assert!(slip.output().unwrap().status.success());
        pipeline.stop();
        let said = refusal(&mut up(folder.path(), &[]));
        assert!(said.contains(&format!("run: saldo log {}", command[0])), "{said}");
        assert_eq!(said.contains("--epoch N"), command.len() > 1, "{said}");
        assert!(!said.contains("remove"), "{said}");

        // nats-server alone, as docs/operations.md says.
        let server = NatsServer::options().config_file(folder.path().join("nats-server.conf")).start().unwrap();
        let told = saldo_log(&format!("127.0.0.1:{}", server.port()), &command);
        assert!(told.contains("4 from now on"), "{told}");
        drop(server);
        fs::remove_dir_all(folder.path().join("store")).unwrap();
        let pipeline = Pipeline::start(folder.path());
        let after = post(&pipeline, "b").await;
        assert!(after.starts_with("4."), "{after}");
        assert_eq!(count(&pipeline, &after).await, 2);
        assert_eq!(status(&pipeline, &before).await, StatusCode::GONE);
        pipeline.stop();
    }
}

#[test]
fn a_log_that_is_not_there_is_told_in_one_sentence() {
    let server = NatsServer::start().unwrap();
    for verb in ["restored", "raise-epoch", "accept-loss"] {
        let nats = format!("127.0.0.1:{}", server.port());
        let said = refusal(saldo().args(["log", verb, "--nats", &nats]));
        assert!(said.contains("there is no stream LAUNCHES"), "{said}");
    }
}

/// Runs `saldo log …`, which must succeed; what it says.
pub fn saldo_log(nats: &str, arguments: &[&str]) -> String {
    let output = saldo().arg("log").args(arguments).args(["--nats", nats]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Waits until a service's readiness has these words.
async fn says(service: &str, words: &str) {
    let url = format!("{service}/health/ready");
    let said = async || text(&url).await.contains(words).then_some(());
    wait_until_async("a service to say why it is not ready", PATIENCE, said).await.unwrap();
}

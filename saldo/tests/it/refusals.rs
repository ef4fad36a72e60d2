//! What cannot be started is told in one sentence, and nothing is left running.

use std::{
    ffi::OsStr,
    fs,
    net::TcpListener,
    os::unix::{ffi::OsStrExt, fs::symlink},
};

use testkit::{ChildProcess, NatsServer, temp_folder, write_script};

use crate::{
    http,
    pipeline::{PATIENCE, Pipeline, refusal, runs, saldo, up},
};

#[test]
fn a_taken_port_is_named_with_its_option() {
    let folder = temp_folder().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for option in ["--ingest", "--query", "--aggregator", "--nats"] {
        let said = refusal(&mut up(folder.path(), &[option, &address]));
        assert!(said.contains(&address) && said.contains("taken") && said.contains(option), "{said}");
    }
    assert!(!folder.path().join("nats-server.pid").exists(), "nothing was started");
}

#[test]
fn a_folder_that_cannot_be_written_to_is_refused() {
    let folder = temp_folder().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "no folder").unwrap();
    // The second one can be made by nobody, not even by root, whom permissions do not stop.
    for place in [file.as_path(), std::path::Path::new("/proc/saldo")] {
        let said = refusal(&mut up(place, &[]));
        assert!(said.contains("cannot write to the data folder"), "{said}");
    }
}

#[test]
fn a_second_start_on_the_same_data_is_refused_and_disturbs_nothing() {
    let folder = temp_folder().unwrap();
    let pipeline = Pipeline::start(folder.path());
    let said = refusal(&mut up(folder.path(), &[]));
    assert!(said.contains(&format!("process {}", pipeline.process.id())), "{said}");
    pipeline.stop();
}

#[test]
fn data_of_another_format_is_refused() {
    let folder = temp_folder().unwrap();
    fs::write(folder.path().join("format"), "saldo data format 99\n").unwrap();
    let said = refusal(&mut up(folder.path(), &[]));
    assert!(said.contains("format 99") && said.contains("format 1"), "{said}");
}

#[test]
fn a_nats_server_that_is_absent_old_or_something_else_is_refused() {
    let folder = temp_folder().unwrap();
    let refused = |program: &str| {
        let mut command = saldo();
        refusal(command.arg("up").arg("--data").arg(folder.path()).args(["--nats-server", program]))
    };
    assert!(refused("/nowhere/nats-server").contains("cannot run nats-server"));
    assert!(refused("/bin/true").contains("is no nats-server"));
    let old = folder.path().join("old");
    write_script(&old, "echo nats-server: v2.10.7").unwrap();
    assert!(refused(old.to_str().unwrap()).contains("2.10.7"));
    let mut none = saldo();
    assert!(refusal(none.arg("up").arg("--data").arg(folder.path())).contains("no nats-server on PATH"));
}

#[test]
fn a_nats_server_that_does_not_start_is_refused_with_its_last_words() {
    let folder = temp_folder().unwrap();
    let broken = folder.path().join("broken");
    let script = "[ \"$1\" = --version ] && echo nats-server: v2.15.1 && exit\necho no luck today >&2\nexit 7";
    write_script(&broken, script).unwrap();
    let data = folder.path().join("data");
    let said =
        refusal(saldo().arg("up").arg("--data").arg(&data).args(["--nats-server", broken.to_str().unwrap()]).args([
            "--ingest",
            "127.0.0.1:0",
            "--query",
            "127.0.0.1:0",
            "--aggregator",
            "127.0.0.1:0",
            "--nats",
            "127.0.0.1:0",
        ]));
    assert!(said.contains("does not start") && said.contains("no luck today"), "{said}");
}

#[test]
fn another_number_of_partitions_is_refused_once_the_log_is_made() {
    let folder = temp_folder().unwrap();
    // No machine has so many without being asked.
    Pipeline::start_with(folder.path(), &["--partitions", "5"]).stop();
    let said = refusal(&mut up(folder.path(), &["--partitions", "3"]));
    assert!(said.contains('5') && said.contains('3'), "{said}");
    Pipeline::start(folder.path()).stop();
}

#[test]
fn services_that_need_a_shared_store_say_so() {
    for service in ["aggregator", "query"] {
        let said = refusal(saldo().arg(service));
        assert!(said.contains("use `saldo up`") && said.contains("SALDO_SCYLLA_NODES"), "{said}");
    }
}

#[test]
fn a_log_that_cannot_be_applied_as_asked_is_told() {
    let server = NatsServer::start().unwrap();
    let apply = |arguments: &[&str], replicas: &str| {
        let mut command = saldo();
        command.args(["log", "apply", "--nats", &format!("127.0.0.1:{}", server.port())]).args(arguments);
        command.env("SALDO_LOG_REPLICAS", replicas);
        command
    };
    assert!(refusal(&mut apply(&[], "3")).contains("replicas > 1 not supported in non-clustered mode"));
    assert!(refusal(&mut apply(&[], "6")).contains("SALDO_LOG_REPLICAS"));
    assert!(refusal(&mut apply(&["--partitions", "0"], "1")).contains("--partitions is 0"));
    assert!(apply(&["--partitions", "2"], "1").output().unwrap().status.success());
    assert!(apply(&[], "").output().unwrap().status.success(), "what is there stays");
    let said = refusal(&mut apply(&["--partitions", "3"], "1"));
    assert!(said.contains('2') && said.contains('3'), "{said}");
}

#[test]
fn services_alone_listen_beyond_this_machine_only_where_the_network_is_trusted() {
    let server = NatsServer::start().unwrap();
    let nats = format!("127.0.0.1:{}", server.port());
    assert!(saldo().args(["log", "apply", "--nats", &nats]).output().unwrap().status.success());
    let ingest = |trusted: &str| {
        let mut command = saldo();
        command.args(["ingest", "--ingest", "0.0.0.0:0", "--nats", &nats]).env("SALDO_TRUST_NETWORK", trusted);
        command
    };
    assert!(refusal(&mut ingest("")).contains("SALDO_TRUST_NETWORK=true"));
    assert!(refusal(&mut ingest("perhaps")).contains("expected true or false"));
    let mut process = ChildProcess::spawn(ingest("true")).unwrap();
    process.wait_for_line("trusted for every tenant", PATIENCE).unwrap();
    process.terminate().unwrap();
    assert!(process.wait(PATIENCE).unwrap().success(), "{}", process.output());
}

/// The data folder's lock guards a path; what must have one user is the log.
#[tokio::test]
async fn a_log_that_two_data_folders_lead_to_has_one_user() {
    let folder = temp_folder().unwrap();
    let (first, second) = (folder.path().join("first"), folder.path().join("second"));
    let pipeline = Pipeline::start(&first);
    let server = pipeline.nats_server();
    fs::create_dir(&second).unwrap();
    fs::copy(first.join("format"), second.join("format")).unwrap();
    symlink(first.join("nats"), second.join("nats")).unwrap();
    let said = refusal(&mut up(&second, &[]));
    assert!(said.contains("another saldo uses the log in") && said.contains("first/nats/jetstream"), "{said}");

    fs::remove_file(second.join("nats")).unwrap();
    symlink(first.join("store"), second.join("store")).unwrap();
    let said = refusal(&mut up(&second, &[]));
    assert!(said.contains("another process uses the store"), "{said}");
    assert!(!second.join("nats-server.pid").exists(), "no nats-server was started");

    let position = http::post(&pipeline, "a").await;
    assert_eq!(http::count(&pipeline, &position).await, 1);
    assert_eq!(pipeline.nats_server(), server);
    pipeline.stop();
}

#[tokio::test]
async fn a_second_start_disturbs_nothing_even_when_the_lock_file_was_removed() {
    let folder = temp_folder().unwrap();
    let pipeline = Pipeline::start(folder.path());
    let server = pipeline.nats_server();
    fs::remove_file(folder.path().join("lock")).unwrap();
    let said = refusal(&mut up(folder.path(), &[]));
    assert!(said.contains("another saldo uses the log"), "{said}");
    assert!(runs(server) && pipeline.nats_server() == server, "the nats-server of the first one goes on");
    let position = http::post(&pipeline, "a").await;
    assert_eq!(http::count(&pipeline, &position).await, 1);
    pipeline.stop();
}

/// Where a nats-server outlives its Saldo, no other one writes to its log.
#[test]
fn a_nats_server_holds_its_folder_as_long_as_it_runs() {
    let folder = temp_folder().unwrap();
    let mut command = saldo();
    command.args(["exec-child", "--parent", &std::process::id().to_string(), "--lock"]).arg(folder.path());
    let mut process = ChildProcess::spawn({
        command.args(["--", "/bin/sh", "-c", "echo runs; exec sleep 600"]);
        command
    })
    .unwrap();
    process.wait_for_line("runs", PATIENCE).unwrap();
    let lock = fs::File::open(folder.path()).unwrap();
    assert!(lock.try_lock().is_err(), "the program that the child has become holds it");
    process.kill().unwrap();
}

#[test]
fn a_data_folder_that_is_not_utf8_is_refused_and_nothing_is_written() {
    let folder = temp_folder().unwrap();
    let latin1 = OsStr::from_bytes(b"caixa-s\xe3o");
    let said = refusal(&mut up(&folder.path().join(latin1), &[]));
    assert!(said.contains("is not UTF-8") && said.contains("--data"), "{said}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn a_nats_server_that_takes_long_to_start_is_told_of() {
    let folder = temp_folder().unwrap();
    let slow = folder.path().join("slow");
    write_script(&slow, "[ \"$1\" = --version ] && echo nats-server: v2.15.1 && exit\nexec sleep 600").unwrap();
    let mut command = saldo();
    command.arg("up").arg("--data").arg(folder.path().join("data")).arg("--nats-server").arg(&slow);
    for option in ["--ingest", "--query", "--aggregator", "--nats"] {
        command.args([option, "127.0.0.1:0"]);
    }
    // The script finds `sleep` by it.
    let mut process = ChildProcess::spawn({
        command.env("PATH", "/usr/bin:/bin");
        command
    })
    .unwrap();
    process.wait_for_line("is starting and reads the log", PATIENCE).unwrap();
    process.terminate().unwrap();
    assert!(process.wait(PATIENCE).unwrap().success(), "{}", process.output());
}

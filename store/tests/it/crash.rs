//! A process killed at any moment, and a disk that is really full.
//!
//! Both run this very test again in a child process, which finds its folder in a variable.

use std::{
    env,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use store::{EmbeddedConfig, EmbeddedStore, Store, StoreErrorKind};

use crate::sample::{check_prefix, commit};

const CHILD_FOLDER: &str = "STORE_TEST_CHILD_FOLDER";
const KILL_ROUNDS: usize = 6;
const KILL_LINE_BYTES: usize = 20_000;
const FULL_LINE_BYTES: usize = 256 * 1024;
const MIB: u64 = 1024 * 1024;

fn child_folder() -> Option<PathBuf> {
    env::var_os(CHILD_FOLDER).map(PathBuf::from)
}

/// Small write buffers, so that flushes and compactions happen within the test.
fn open(folder: &Path) -> EmbeddedStore {
    let mut config = EmbeddedConfig::new(folder);
    config.write_buffer_bytes = MIB;
    config.reopen_pause = Duration::from_millis(20);
    EmbeddedStore::open(config).unwrap()
}

/// This test binary, to run one test.
fn this_test(name: &str) -> Vec<String> {
    let binary = env::current_exe().unwrap().to_str().unwrap().to_owned();
    [binary.as_str(), "--exact", name, "--nocapture", "--test-threads=1"].map(str::to_owned).to_vec()
}

/// Kills the child also when the test fails.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_process_leaves_whole_commits_and_all_acknowledged_ones() {
    if let Some(folder) = child_folder() {
        return commit_for_ever(&open(&folder)).await;
    }
    let folder = tempfile::tempdir().unwrap();
    for round in 0..KILL_ROUNDS {
        let acknowledged = kill_after(folder.path(), 3 + 37 * round);
        let stored = check_prefix(&open(folder.path()), KILL_LINE_BYTES).await;
        assert!(stored >= acknowledged, "{acknowledged} was acknowledged, {stored} is stored");
    }
}

/// The child: goes on where the last one was killed.
async fn commit_for_ever(store: &EmbeddedStore) {
    let stored = store.partition_state(0).await.unwrap().checkpoint.sequence;
    for sequence in stored + 1.. {
        store.commit(store.incarnation(), &commit(sequence, KILL_LINE_BYTES)).await.unwrap();
        println!("\nacknowledged {sequence}");
    }
}

/// Runs the child until it has acknowledged so many commits, kills it, and says which was the last one heard of.
fn kill_after(folder: &Path, commits: usize) -> u64 {
    let arguments = this_test("crash::a_killed_process_leaves_whole_commits_and_all_acknowledged_ones");
    let mut command = Command::new(&arguments[0]);
    command.args(&arguments[1..]).env(CHILD_FOLDER, folder).stdout(Stdio::piped());
    let mut child = Killed(command.spawn().unwrap());
    let lines = BufReader::new(child.0.stdout.take().unwrap()).lines();
    let acknowledged = |line: String| line.strip_prefix("acknowledged ").map(|sequence| sequence.parse().unwrap());
    let heard: Vec<u64> = lines.map_while(Result::ok).filter_map(acknowledged).take(commits).collect();
    assert_eq!(heard.len(), commits, "the child ended by itself");
    child.0.kill().unwrap();
    heard[commits - 1]
}

/// More than the head of a batch and that of its first item take together.
const TORN_HEAD_BYTES: u64 = 64;
/// More than the end of a batch takes.
const TORN_END_BYTES: u64 = 24;

/// As after a loss of power, for commits do not sync: the journal ends at some byte of the last commit, and what was
/// allocated behind it is zeros.
#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_was_torn_anywhere_is_as_if_it_had_never_been() {
    const LINE_BYTES: usize = 200;
    let folder = tempfile::tempdir().unwrap();
    let mut store = open(folder.path());
    store.commit(store.incarnation(), &commit(1, LINE_BYTES)).await.unwrap();
    let mut cut_at = 0;
    loop {
        let begin = end_of_journal(folder.path());
        store.commit(store.incarnation(), &commit(2, LINE_BYTES)).await.unwrap();
        drop(store);
        let length = end_of_journal(folder.path()) - begin;
        if cut_at == TORN_HEAD_BYTES {
            cut_at = length - TORN_END_BYTES;
        } else if cut_at == length {
            break;
        }
        tear(folder.path(), begin + cut_at);
        store = open(folder.path());
        assert_eq!(check_prefix(&store, LINE_BYTES).await, 1, "torn {cut_at} bytes behind the beginning of {length}");
        cut_at += 1;
    }
    assert_eq!(check_prefix(&open(folder.path()), LINE_BYTES).await, 2, "a whole one counts");
}

fn tear(folder: &Path, at: u64) {
    let file = std::fs::File::options().write(true).open(journal(folder)).unwrap();
    let length = file.metadata().unwrap().len();
    file.set_len(at).unwrap();
    file.set_len(length).unwrap();
}

/// The only one: too little is written here for another.
fn journal(folder: &Path) -> PathBuf {
    let files = std::fs::read_dir(folder.join("fjall")).unwrap().map(|entry| entry.unwrap().path());
    let journals: Vec<_> = files.filter(|path| path.extension().is_some_and(|extension| extension == "jnl")).collect();
    assert_eq!(journals.len(), 1);
    journals[0].clone()
}

/// Where the zeros begin that are allocated and not written yet.
fn end_of_journal(folder: &Path) -> u64 {
    let bytes = std::fs::read(journal(folder)).unwrap();
    bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last as u64 + 1)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_survived() {
    if let Some(folder) = child_folder() {
        return fill_and_free(&folder).await;
    }
    let folder = tempfile::tempdir().unwrap();
    let arguments = this_test("crash::a_full_disk_is_survived");
    let mut command = Command::new("unshare");
    command.arg(if is_root() { "-m" } else { "-rm" });
    command
        .args(["sh", "-c", "mount -t tmpfs -o size=48m none \"$0\" && exec \"$@\""])
        .arg(folder.path())
        .args(arguments);
    let output = command.env(CHILD_FOLDER, folder.path()).output();
    let output = output.expect("this test needs the program `unshare` (package util-linux)");
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(
        output.status.success(),
        "it needs a mount namespace of its own, as root or by user namespaces:\n{out}\n{err}"
    );
    assert!(out.contains("survived a full disk"), "the child did not run its part:\n{out}\n{err}");
}

fn is_root() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    status.lines().any(|line| line.strip_prefix("Uid:").is_some_and(|ids| ids.split_whitespace().nth(1) == Some("0")))
}

/// The child, on a disk of its own.
async fn fill_and_free(folder: &Path) {
    let ballast = folder.join("ballast");
    std::fs::write(&ballast, vec![1; 20 * 1024 * 1024]).unwrap();
    let store = open(&folder.join("store"));
    let incarnation = store.incarnation();
    let acknowledged = fill(&store, incarnation).await;
    assert!(acknowledged > 10, "the disk was too small from the beginning");
    assert_eq!(check_prefix(&store, FULL_LINE_BYTES).await, acknowledged, "reads go on");
    assert_eq!(store.incarnation(), incarnation, "a full disk is not reopened");
    std::fs::remove_file(ballast).unwrap();
    wait_for_lost(&store, incarnation, acknowledged + 1).await;
    assert!(store.incarnation() > incarnation);
    let stored = check_prefix(&store, FULL_LINE_BYTES).await;
    assert!(stored == acknowledged || stored == acknowledged + 1, "{stored} of {acknowledged}");
    for sequence in stored + 1..stored + 10 {
        store.commit(store.incarnation(), &commit(sequence, FULL_LINE_BYTES)).await.unwrap();
    }
    assert_eq!(check_prefix(&store, FULL_LINE_BYTES).await, stored + 9);
    drop(store);
    assert_eq!(check_prefix(&open(&folder.join("store")), FULL_LINE_BYTES).await, stored + 9);
    println!("\nsurvived a full disk");
}

/// Commits until the disk is full and stays so; says which commit was the last one acknowledged.
async fn fill(store: &EmbeddedStore, incarnation: u64) -> u64 {
    for sequence in 1..1_000 {
        let Err(error) = store.commit(incarnation, &commit(sequence, FULL_LINE_BYTES)).await else { continue };
        assert_eq!(error.kind, StoreErrorKind::Unavailable, "{error}");
        for _ in 0..3 {
            let again = store.commit(incarnation, &commit(sequence, FULL_LINE_BYTES)).await.unwrap_err();
            assert_eq!(again.kind, StoreErrorKind::Unavailable, "{again}");
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
        return sequence - 1;
    }
    panic!("the disk does not get full");
}

/// A worker repeats its commit until the store is back, and is told to begin anew.
async fn wait_for_lost(store: &EmbeddedStore, incarnation: u64, sequence: u64) {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let error = store.commit(incarnation, &commit(sequence, FULL_LINE_BYTES)).await.unwrap_err();
        if error.kind == StoreErrorKind::Lost {
            return;
        }
        assert_eq!(error.kind, StoreErrorKind::Unavailable, "{error}");
        assert!(Instant::now() < deadline, "the store does not come back: {error}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

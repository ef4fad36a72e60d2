//! A store that is damaged in many ways: `saldo up` either works as if nothing were, or says in one sentence what to do, and
//! whoever does just that has the right balances again. No answer is wrong before.

use std::{
    fs::{self, File},
    io::{Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

use serde_json::Value;
use store::{EmbeddedConfig, EmbeddedStore, Store};
use testkit::{ChildProcess, copy_folder, temp_folder, wait_until, wait_until_async};

use crate::{
    http,
    log_name::saldo_log,
    pipeline::{PATIENCE, Pipeline, up},
};

/// Launches that are posted before the damage.
const LAUNCHES: u64 = 5;

/// What is done to a store that is not in use.
type Damage = fn(&Path);

/// Kinds of damage, and whether the start must be refused: another outcome is that it goes on, with all balances right.
const KINDS: [(&str, bool, Damage); 15] = [
    ("the folder is gone", false, |store| fs::remove_dir_all(store).unwrap()),
    ("the format is of another version", true, |store| {
        fs::write(store.join("FORMAT"), "saldo embedded store, format version 7\n").unwrap();
    }),
    ("the format says nothing", true, |store| fs::write(store.join("FORMAT"), "").unwrap()),
    ("the format is gone", true, |store| fs::remove_file(store.join("FORMAT")).unwrap()),
    ("the database's lock is gone", true, |store| fs::remove_file(store.join("fjall/lock")).unwrap()),
    ("the database's version is gone", false, |store| fs::remove_file(store.join("fjall/version")).unwrap()),
    ("the database's version is another", true, |store| fs::write(store.join("fjall/version"), "XXXX").unwrap()),
    ("the database is gone", false, |store| fs::remove_dir_all(store.join("fjall")).unwrap()),
    ("the list of keyspaces is gone", false, |store| fs::remove_file(store.join("fjall/keyspaces/0/current")).unwrap()),
    ("a table of contents is cut off", true, |store| {
        let file = File::options().write(true).open(store.join("fjall/keyspaces/1/current")).unwrap();
        file.set_len(7).unwrap();
    }),
    ("a keyspace's version is flipped", true, |store| flip(&newest_version(&store.join("fjall/keyspaces/2")), 40)),
    ("a keyspace's version is nearly gone", true, |store| {
        let version = newest_version(&store.join("fjall/keyspaces/1"));
        File::options().write(true).open(version).unwrap().set_len(10).unwrap();
    }),
    ("a keyspace is gone", true, |store| fs::remove_dir_all(store.join("fjall/keyspaces/3")).unwrap()),
    ("the journal is cut off", false, |store| {
        File::options().write(true).open(journal(store)).unwrap().set_len(64).unwrap();
    }),
    ("the journal is flipped", false, |store| flip(&journal(store), 200)),
];

#[tokio::test]
async fn whatever_a_store_has_met_its_remedy_works() {
    let folder = temp_folder().unwrap();
    let whole = folder.path().join("whole");
    let pipeline = Pipeline::start(&whole);
    for number in 0..LAUNCHES {
        http::post(&pipeline, &format!("launch-{number}")).await;
    }
    pipeline.stop();
    for (index, (what, must_be_refused, damage)) in KINDS.into_iter().enumerate() {
        let data = folder.path().join(format!("damaged-{index}"));
        copy_folder(&whole, &data).unwrap();
        damage(&data.join("store"));
        let is_refused = follow_remedy(&data).await;
        assert!(is_refused || !must_be_refused, "{what}: it should have been refused");
        check(&data, what).await;
    }
}

#[tokio::test]
async fn a_store_that_other_rules_filled_is_begun_anew() {
    let folder = temp_folder().unwrap();
    fill(folder.path()).await;
    let store = folder.path().join("store");
    fs::remove_dir_all(&store).unwrap();
    let other = EmbeddedStore::open(EmbeddedConfig::new(&store)).unwrap();
    other.open_generation(1_000_000).await.unwrap();
    drop(other);
    assert!(follow_remedy(folder.path()).await, "it is refused");
    check(folder.path(), "other rules").await;
}

/// A raised epoch, and the store of the one before: it is not to be raised again, nor set back.
#[tokio::test]
async fn a_store_of_the_epoch_before_is_begun_anew() {
    let folder = temp_folder().unwrap();
    fill(folder.path()).await;
    let pipeline = Pipeline::start(folder.path());
    saldo_log(&pipeline.nats, &["raise-epoch"]);
    pipeline.stop();
    follow_remedy_of_lanes(folder.path());
    check(folder.path(), "a raised epoch").await;
}

#[tokio::test]
async fn a_store_of_another_log_is_refused_with_its_remedy() {
    let folder = temp_folder().unwrap();
    let (data, other) = (folder.path().join("data"), folder.path().join("other"));
    fill(&data).await;
    fill(&other).await;
    fs::remove_dir_all(data.join("store")).unwrap();
    copy_folder(&other.join("store"), &data.join("store")).unwrap();
    follow_remedy_of_lanes(&data);
    check(&data, "another log").await;
}

/// Lanes are refused while the process goes on, and its log says what to do.
fn follow_remedy_of_lanes(data: &Path) {
    let pipeline = Pipeline::of(ChildProcess::spawn(up(data, &[])).unwrap(), data);
    let said = wait_until("the refusal", PATIENCE, || {
        pipeline.process.output().lines().find(|line| line.contains("was filled from stream")).map(str::to_owned)
    })
    .unwrap();
    assert!(said.contains("stop Saldo, remove") && !said.contains("raise the epoch"), "{said}");
    pipeline.stop();
    fs::remove_dir_all(place_to_remove(&said)).unwrap();
}

#[tokio::test]
async fn a_store_that_is_removed_while_it_is_used_says_that_a_start_mends_it() {
    let folder = temp_folder().unwrap();
    let pipeline = Pipeline::start(folder.path());
    http::post(&pipeline, "launch-0").await;
    fs::remove_dir_all(folder.path().join("store")).unwrap();
    // The database notices when it writes a file: it is filled until then.
    let mut number = 1;
    let said = loop {
        let position = http::post_many(&pipeline, number, 100_000).await;
        number += 100_000;
        let said_or_applied =
            wait_until_async("launches to be applied, or a word of the store", PATIENCE, async || {
                let output = pipeline.process.output();
                let said = output.lines().find(|line| line.contains("was removed while Saldo runs")).map(str::to_owned);
                if said.is_none() && !http::is_applied(&pipeline, &position).await {
                    return None;
                }
                Some(said)
            });
        if let Some(line) = said_or_applied.await.unwrap() {
            break line;
        }
        assert!(number < 2_000_000, "nothing is said: {}", pipeline.process.output());
    };
    assert!(said.contains("stop Saldo and start again"), "{said}");
    pipeline.stop();
    let pipeline = Pipeline::start(folder.path());
    let position = http::post(&pipeline, "last").await;
    assert_eq!(http::count(&pipeline, &position).await, number + 1);
    pipeline.stop();
}

async fn fill(data: &Path) {
    let pipeline = Pipeline::start(data);
    let mut position = String::new();
    for number in 0..LAUNCHES {
        position = http::post(&pipeline, &format!("launch-{number}")).await;
    }
    assert_eq!(http::count(&pipeline, &position).await, LAUNCHES);
    pipeline.stop();
}

/// Starts; where that is refused, does what the sentence says, word by word. Whether it was refused.
async fn follow_remedy(data: &Path) -> bool {
    let mut process = ChildProcess::spawn(up(data, &[])).unwrap();
    let refused = wait_until("up, or an end", PATIENCE, || {
        if process.output().contains("Saldo is up") {
            return Some(false);
        }
        process.try_wait().unwrap().map(|_| true)
    })
    .unwrap();
    if !refused {
        process.terminate().unwrap();
    }
    if process.wait(PATIENCE).unwrap().success() {
        return false;
    }
    let output = process.output();
    let said = output.lines().find(|line| line.starts_with("error: ")).unwrap();
    assert!(said.contains("start again; it is filled again from the log"), "{said}");
    fs::remove_dir_all(place_to_remove(said)).unwrap();
    true
}

/// The folder in "stop Saldo, remove FOLDER and start again".
fn place_to_remove(said: &str) -> PathBuf {
    let (_, rest) = said.split_once("stop Saldo, remove ").unwrap();
    PathBuf::from(rest.split_once(" and start again").unwrap().0)
}

/// All that was posted, and one more.
async fn check(data: &Path, what: &str) {
    let pipeline = Pipeline::start(data);
    let position = http::post(&pipeline, "one-more").await;
    assert_eq!(http::count(&pipeline, &position).await, LAUNCHES + 1, "{what}");
    let day: Value = http::day(&pipeline, &position).await;
    assert_eq!(day["currencies"][0]["credit_count"], LAUNCHES + 1, "{what}");
    pipeline.stop();
}

fn flip(file: &Path, offset: u64) {
    let mut file = File::options().read(true).write(true).open(file).unwrap();
    let mut byte = [0];
    file.seek(SeekFrom::Start(offset)).unwrap();
    file.read_exact(&mut byte).unwrap();
    file.seek(SeekFrom::Start(offset)).unwrap();
    file.write_all(&[!byte[0]]).unwrap();
}

fn journal(store: &Path) -> PathBuf {
    let mut files = fs::read_dir(store.join("fjall")).unwrap().map(|entry| entry.unwrap().path());
    files.find(|path| path.extension().is_some_and(|extension| extension == "jnl")).unwrap()
}

fn newest_version(keyspace: &Path) -> PathBuf {
    let files = fs::read_dir(keyspace).unwrap().map(|entry| entry.unwrap().path());
    let number = |path: &PathBuf| path.file_name()?.to_str()?.strip_prefix('v')?.parse::<u64>().ok();
    files.filter(|path| number(path).is_some()).max_by_key(number).unwrap()
}

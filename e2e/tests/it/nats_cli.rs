//! Operators use the log with the real `nats` CLI: what they publish is booked, what they export can be replayed.

use std::{fs, path::Path};

use crate::{
    client::{Client, TENANT},
    model::{Launch, Model, random_launches},
    pipeline::Pipeline,
};

/// Publishing line by line, as operators do from a file.
const BY_LINE: [&str; 4] = ["--force-stdin", "--send-on", "newline", "--no-templates"];

fn one_account(seed: u64, account: &str, count: usize) -> Vec<Launch> {
    let mut launches = random_launches(seed, 1, count);
    launches.iter_mut().for_each(|launch| account.clone_into(&mut launch.account));
    launches
}

fn write_lines(path: &Path, launches: &[Launch]) -> std::io::Result<()> {
    let lines: String = launches.iter().map(|launch| format!("{}\n", launch.wire(TENANT))).collect();
    fs::write(path, lines)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_launch_published_by_hand_is_booked() -> anyhow::Result<()> {
    let pipeline = Pipeline::start().await?;
    let launch = one_account(21, "store-1", 1).remove(0);
    let wire = launch.wire(TENANT).to_string();
    pipeline.nats_cli(&["pub", "-J", "--no-templates", "launches.in.acme.store-1", &wire], None)?;
    let mut model = Model::default();
    model.add(&launch);
    pipeline.wait_until_applied().await?;
    Client::new(&pipeline)?.check(&model, None).await?;
    pipeline.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_counts_once_however_often_it_is_replayed() -> anyhow::Result<()> {
    let pipeline = Pipeline::start().await?;
    let launches = one_account(22, "store-1", 60);
    let file = pipeline.folder().join("launches.ndjson");
    write_lines(&file, &launches)?;
    let subject = "launches.in.acme.store-1";
    let by_line: Vec<&str> = ["pub", "-J"].into_iter().chain(BY_LINE).chain([subject]).collect();
    let packed = ["pub", "-J", "--force-stdin", "--no-templates", subject];
    pipeline.nats_cli(&by_line, Some(&file))?;
    pipeline.nats_cli(&packed, Some(&file))?;
    pipeline.nats_cli(&by_line, Some(&file))?;
    let mut model = Model::default();
    launches.iter().for_each(|launch| model.add(launch));
    pipeline.wait_until_applied().await?;
    let client = Client::new(&pipeline)?;
    client.check(&model, None).await?;

    // The same launches by HTTP are known, too.
    let again = client.post_ndjson(&launches).await?;
    assert_eq!(again.body["rejected"], 0, "{again:?}");
    pipeline.wait_until_applied().await?;
    client.check(&model, None).await?;
    pipeline.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn exported_lanes_give_the_same_days_in_an_empty_pipeline() -> anyhow::Result<()> {
    let source = Pipeline::start().await?;
    let client = Client::new(&source)?;
    let launches = random_launches(23, 9, 400);
    assert_eq!(client.post_ndjson(&launches).await?.status, 200);
    let target = Pipeline::start().await?;
    for partition in source.log().end().await?.lanes.into_keys() {
        let subject = format!("launches.{partition}");
        let lines = source.nats_cli(&["sub", "--stream", "LAUNCHES", &subject, "--raw", "-T"], None)?;
        let file = target.folder().join(format!("lane-{partition}.ndjson"));
        fs::write(&file, lines)?;
        let publish: Vec<&str> = ["pub", "-J"].into_iter().chain(BY_LINE).chain([subject.as_str()]).collect();
        target.nats_cli(&publish, Some(&file))?;
    }
    let mut model = Model::default();
    launches.iter().for_each(|launch| model.add(launch));
    target.wait_until_applied().await?;
    Client::new(&target)?.check(&model, None).await?;
    source.stop().await?;
    target.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_malformed_entry_is_parked_with_its_reason_and_stops_nothing() -> anyhow::Result<()> {
    let pipeline = Pipeline::start().await?;
    let launches = one_account(24, "store-1", 2);
    let subject = "launches.in.acme.store-1";
    let publish = |text: &str| pipeline.nats_cli(&["pub", "-J", "--no-templates", subject, text], None);
    publish(&launches[0].wire(TENANT).to_string())?;
    publish("{\"id\":\"broken\",")?;
    publish("{\"type\":\"unheard-of\",\"tenant\":\"acme\",\"account\":\"store-1\"}")?;
    publish("")?;
    publish(&launches[1].wire(TENANT).to_string())?;
    let mut model = Model::default();
    launches.iter().for_each(|launch| model.add(launch));
    pipeline.wait_until_applied().await?;
    Client::new(&pipeline)?.check(&model, None).await?;

    let parked = pipeline.nats_cli(&["sub", "--stream", "LAUNCHES_PARKED", "parked.>", "--raw", "-T"], None)?;
    let reasons: Vec<String> = parked
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .filter_map(|entry| entry["lines"][0]["reason"].as_str().map(str::to_owned))
        .collect();
    assert_eq!(reasons, ["malformed", "unknown_type"], "{parked}");
    pipeline.stop().await
}

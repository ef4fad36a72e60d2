//! What a second start finds.

use std::{fs, time::Duration};

use testkit::wait_until_async;

use crate::{
    client::Client,
    model::{Launch, Model, random_launches},
    pipeline::{Pipeline, Setup},
};

async fn post_all(client: &Client, launches: &[Launch], model: &mut Model) -> anyhow::Result<()> {
    let answer = client.post_ndjson(launches).await?;
    anyhow::ensure!(answer.status == 200 && answer.body["rejected"] == 0, "{answer:?}");
    launches.iter().for_each(|launch| model.add(launch));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_start_goes_on_with_all_data() -> anyhow::Result<()> {
    let launches = random_launches(11, 5, 2_000);
    let mut model = Model::default();
    let pipeline = Pipeline::start().await?;
    post_all(&Client::new(&pipeline)?, &launches[..1_000], &mut model).await?;

    let pipeline = pipeline.stop_and_start().await?;
    let client = Client::new(&pipeline)?;
    pipeline.wait_until_applied().await?;
    client.check(&model, None).await?;
    post_all(&client, &launches, &mut model).await?;
    pipeline.wait_until_applied().await?;
    client.check(&model, None).await?;
    pipeline.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_before_a_kill_counts_once() -> anyhow::Result<()> {
    let launches = random_launches(12, 5, 4_000);
    let mut model = Model::default();
    let mut pipeline = Pipeline::start().await?;
    for part in launches.chunks(1_000) {
        post_all(&Client::new(&pipeline)?, part, &mut model).await?;
        pipeline = pipeline.kill_and_start().await?;
    }
    let client = Client::new(&pipeline)?;
    // A client that never saw its answers posts everything again.
    post_all(&client, &launches, &mut model).await?;
    pipeline.wait_until_applied().await?;
    client.check(&model, None).await?;
    pipeline.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_of_another_log_is_not_answered_from() -> anyhow::Result<()> {
    let launches = random_launches(13, 1, 30);
    let pipeline = Pipeline::start().await?;
    post_all(&Client::new(&pipeline)?, &launches[..20], &mut Model::default()).await?;
    pipeline.wait_until_applied().await?;
    let data = pipeline.stop_keeping_data().await?;
    fs::remove_dir_all(data.path().join("nats"))?;

    let patience = ("SALDO_QUERY_FIRST_WORD_MS".to_owned(), "600000".to_owned());
    let pipeline = Pipeline::start_with(data, &Setup { variables: vec![patience], ..Setup::default() }).await?;
    let client = Client::new(&pipeline)?;
    let path = format!("/v1/accounts/{}/balance", launches[20].account);
    let refused = || async {
        let answer = client.get(&path, None).await.ok()?;
        assert_eq!(answer.status, 503, "not at the very start either: {answer:?}");
        (answer.body["type"] == "urn:saldo:problem:account_stopped").then_some(())
    };
    wait_until_async("the refusal", Duration::from_secs(60), refused).await?;
    let posted = client.post(&launches[20]).await?;
    anyhow::ensure!(posted.status == 201, "posting goes on: {posted:?}");
    let answer = client.get(&path, posted.body["position"].as_str()).await?;
    anyhow::ensure!(answer.body["type"] == "urn:saldo:problem:account_stopped", "{answer:?}");
    pipeline.stop().await
}

//! Floods: of empty messages, as `nats pub --send-on newline` without `--force-stdin` makes them, and of launches.

use testkit::NatsServer;

use crate::{
    client::{Client, TENANT},
    metrics::wait_for_metric,
    model::{Launch, Model, random_launches},
    pipeline::Pipeline,
    plain_nats::PlainConnection,
};

const EMPTY_MESSAGES: usize = 1_000_000;

#[tokio::test(flavor = "multi_thread")]
async fn a_million_empty_messages_are_skipped() -> anyhow::Result<()> {
    let mut launches = random_launches(31, 1, 2);
    launches.iter_mut().for_each(|launch| "store-1".clone_into(&mut launch.account));
    let pipeline = Pipeline::start().await?;
    pipeline.nats_cli(&["pub", "-J", "--no-templates", "launches.in.acme.store-1", &wire(&launches[0])], None)?;
    let data = pipeline.stop_keeping_data().await?;
    // Stored without a sync for each message, to be quick; the pipeline then finds them in its log.
    let server = NatsServer::options().store_dir(data.path().join("nats")).without_sync().start()?;
    let url = server.url();
    let flood = move || PlainConnection::open(&url)?.publish_empty("launches.in.acme.store-1", EMPTY_MESSAGES);
    tokio::task::spawn_blocking(flood).await??;
    drop(server);

    let pipeline = Pipeline::start_on(data).await?;
    pipeline.nats_cli(&["pub", "-J", "--no-templates", "launches.in.acme.store-1", &wire(&launches[1])], None)?;
    pipeline.wait_until_applied().await?;
    let mut model = Model::default();
    launches.iter().for_each(|launch| model.add(launch));
    Client::new(&pipeline)?.check(&model, None).await?;
    pipeline.stop().await
}

fn wire(launch: &Launch) -> String {
    launch.wire(TENANT).to_string()
}

/// 1 while lanes take a share of the cores, 0 while they let all others go first.
const INSISTS: &str = "saldo_aggregator_insists";
const BULK_LAUNCHES: usize = 10_000;

#[tokio::test(flavor = "multi_thread")]
async fn lanes_that_let_others_go_first_lose_nothing_in_a_kill() -> anyhow::Result<()> {
    let pipeline = Pipeline::start().await?;
    wait_for_metric(&pipeline.aggregator, INSISTS, "", |insists| insists > 0.0).await?;
    let mut bulks = Vec::new();
    tokio::select! {
        posted = flood(Client::new(&pipeline)?, &mut bulks) => posted?,
        is_patient = wait_for_metric(&pipeline.aggregator, INSISTS, "", |insists| insists == 0.0) => is_patient?,
    }

    let pipeline = pipeline.kill_and_start().await?;
    let client = Client::new(&pipeline)?;
    let mut model = Model::default();
    // A client that never saw some of its answers posts everything again.
    for launches in &bulks {
        let answer = client.post_ndjson(launches).await?;
        anyhow::ensure!(answer.status == 200 && answer.body["rejected"] == 0, "{answer:?}");
        launches.iter().for_each(|launch| model.add(launch));
    }
    pipeline.wait_until_applied().await?;
    wait_for_metric(&pipeline.aggregator, INSISTS, "", |insists| insists > 0.0).await?;
    client.check(&model, None).await?;
    pipeline.stop().await
}

/// Posts bulk after bulk for ever, each noted before it leaves.
async fn flood(client: Client, bulks: &mut Vec<Vec<Launch>>) -> anyhow::Result<()> {
    loop {
        let seed = u64::try_from(bulks.len())?;
        let launches = bulks.push_mut(random_launches(1_000 + seed, 3, BULK_LAUNCHES));
        let answer = client.post_ndjson(launches).await?;
        anyhow::ensure!(answer.status == 200 && answer.body["accepted"] == BULK_LAUNCHES, "{answer:?}");
    }
}

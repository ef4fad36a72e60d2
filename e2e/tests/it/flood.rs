//! A flood of empty messages, as `nats pub --send-on newline` without `--force-stdin` makes them.

use testkit::NatsServer;

use crate::{
    client::{Client, TENANT},
    model::{Model, random_launches},
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

fn wire(launch: &crate::model::Launch) -> String {
    launch.wire(TENANT).to_string()
}

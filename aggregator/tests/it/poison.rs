//! What cannot be applied is parked or skipped, and never stops a lane.

use nats::subjects;
use protocol::parked::ParkedMessage;
use testkit::NatsServer;

use crate::support::{DEADLINE, Line, PARTITIONS, World, random_launch, random_messages};
use rand::{SeedableRng, rngs::StdRng};

#[tokio::test(flavor = "multi_thread")]
async fn what_is_parked_tells_where_it_stood_and_why() -> anyhow::Result<()> {
    let mut world = World::new().await?;
    let mut listener = world.raw().await?;
    listener.subscribe("parked.>").await?;
    let launch = random_launch(&mut StdRng::seed_from_u64(60));
    let (lane, other_lane) = (launch.lane(), (launch.lane() + 1) % PARTITIONS);
    let mut changed = launch.clone();
    changed.cents += 1;
    let garbage = Line::Bad { text: "{\"id\":".to_owned(), reason: "malformed" };
    world.publish(&[(lane, vec![Line::Launch(launch.clone())])]).await?;
    world.publish(&[(lane, vec![Line::Blank, Line::Launch(changed.clone()), garbage])]).await?;
    world.publish(&[(other_lane, vec![Line::Launch(launch.clone())])]).await?;
    let aggregator = world.start().await?;
    world.wait_until_applied().await?;
    world.check().await?;

    let heard = listener.heard();
    let conflict: ParkedMessage = serde_json::from_slice(&heard[&subjects::parked_subject(1, lane, 2)])?;
    anyhow::ensure!((conflict.epoch, conflict.partition, conflict.sequence, conflict.bad_lines) == (1, lane, 2, 2));
    let line = &conflict.lines[0];
    anyhow::ensure!((line.line, line.reason.as_str()) == (2, "conflict"), "{line:?}");
    let wanted = (Some(launch.tenant), Some(launch.account), Some(launch.id));
    anyhow::ensure!((line.tenant.clone(), line.account.clone(), line.id.clone()) == wanted, "{line:?}");
    anyhow::ensure!(line.text == Line::Launch(changed).text() && !line.cut);
    anyhow::ensure!(conflict.lines[1].reason == "malformed" && conflict.lines[1].line == 3);
    let wrong: ParkedMessage = serde_json::from_slice(&heard[&subjects::parked_subject(1, other_lane, 3)])?;
    anyhow::ensure!(wrong.lines[0].reason == "wrong_lane", "{wrong:?}");
    aggregator.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_parks_nothing_twice() -> anyhow::Result<()> {
    let mut world = World::new().await?;
    let messages = random_messages(61, 300);
    world.store.inject([crate::support::Fault::Lost; 3]);
    world.publish(&messages).await?;
    let aggregator = world.start().await?;
    world.wait_until_applied().await?;
    world.check().await?;
    aggregator.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_parked_stream_stops_nobody() -> anyhow::Result<()> {
    let mut world = World::with(NatsServer::options(), 20_000).await?;
    world.publish(&random_messages(62, 400)).await?;
    let aggregator = world.start().await?;
    world.wait_until_applied().await?;
    world.check_rows().await?;
    let parked = world.parked.count().await?;
    anyhow::ensure!(parked > 0 && parked < world.model.parked_messages, "{parked} messages are parked");
    let full = aggregator.metric("park_failures_total", "why=\"Full\"").await?;
    anyhow::ensure!(full.is_some_and(|full| full >= 1.0), "{full:?}");
    aggregator.wait_until_ready().await?;
    aggregator.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_empty_messages_is_skipped() -> anyhow::Result<()> {
    const EMPTY_MESSAGES: u16 = 40_000;
    let mut world = World::with(NatsServer::options().without_sync(), -1).await?;
    let mut raw = world.raw().await?;
    let aggregator = world.start().await?;
    for lane in 0..PARTITIONS {
        for _ in 0..EMPTY_MESSAGES {
            raw.publish(&subjects::lane_subject(lane), b"").await?;
        }
    }
    raw.flush().await?;
    world.wait_until_stored(usize::from(EMPTY_MESSAGES) * usize::from(PARTITIONS)).await?;
    world.publish(&random_messages(63, 30)).await?;
    tokio::time::timeout(DEADLINE, world.wait_until_applied()).await??;
    world.check().await?;
    let skipped = f64::from(EMPTY_MESSAGES) * f64::from(PARTITIONS);
    let of_others = f64::from(u32::try_from(world.model.empty_messages)?);
    aggregator.wait_for_metric("empty_messages_total", "", skipped + of_others).await?;
    aggregator.stop().await
}

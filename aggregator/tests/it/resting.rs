//! Lanes that rest while callers post a great flood.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use aggregator::Threads;
use bytes::Bytes;
use ledger::{Digest, Tenant};
use nats::{Batch, MessageId, Publisher, PublisherConfig};
use rand::{SeedableRng, rngs::StdRng};
use testkit::{NatsServer, wait_until_async};
use tokio::{
    runtime::Handle,
    time::{MissedTickBehavior, interval},
};

use crate::support::{DEADLINE, Line, Running, World, random_launch};

/// Launches of a message, and how often one leaves: twice a great flood, and no more than lanes can follow.
const LAUNCHES: usize = 1_000;
const EVERY: Duration = Duration::from_millis(5);
const LANE: u16 = 1;
/// Once the log has stored so many more, what lanes had read before a rest is taken.
const SETTLED: u64 = 20;
/// While it stores so many, lanes that read commit some: they gather for 0.3 s at most.
const UNREAD: u64 = 100;
/// Rests that are looked at, at most.
const RESTS: u32 = 20;

#[tokio::test(flavor = "multi_thread")]
async fn lanes_that_rest_read_nothing_and_read_on_when_callers_have_ended() -> anyhow::Result<()> {
    let mut world = World::with(NatsServer::options().without_sync(), -1).await?;
    world.threads = Some(Threads { patient: Handle::current(), insistent: Handle::current() });
    let aggregator = world.start().await?;
    let flood = Flood::new(&world);
    tokio::select! {
        ended = flood.publish_for_ever() => ended?,
        seen = flood.sees_a_rest(&aggregator) => seen?,
    }
    world.model.add(LANE, &flood.lines);
    world.wait_until_applied().await?;
    world.check().await?;
    aggregator.stop().await
}

/// The same launches in ever new messages.
struct Flood {
    publisher: Publisher,
    lines: Vec<Line>,
    text: Bytes,
    stored: AtomicU64,
}

impl Flood {
    fn new(world: &World) -> Self {
        let mut random = StdRng::seed_from_u64(41);
        let mut launches: Vec<_> = std::iter::repeat_with(|| random_launch(&mut random))
            .filter(|launch| launch.lane() == LANE)
            .take(LAUNCHES)
            .collect();
        for (number, launch) in launches.iter_mut().enumerate() {
            launch.id = format!("flood-{number}");
        }
        let lines: Vec<Line> = launches.into_iter().map(Line::Launch).collect();
        let text: String = lines.iter().map(|line| line.text() + "\n").collect();
        let publisher = Publisher::start(world.log.clone(), PublisherConfig::default());
        Self { publisher, lines, text: text.into(), stored: AtomicU64::new(0) }
    }

    async fn publish_for_ever(&self) -> anyhow::Result<()> {
        let mut ticks = interval(EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        for number in 0_u64.. {
            ticks.tick().await;
            let message_id = MessageId::Packed(Digest::of(&number.to_be_bytes()));
            let tenant = Tenant::parse("acme")?;
            let batch = Batch { tenant, lines: self.text.clone(), entries: u32::try_from(LAUNCHES)?, message_id };
            self.publisher.submit_waiting(LANE, batch).await?.await?;
            self.stored.store(number + 1, Relaxed);
        }
        Ok(())
    }

    /// Waits for a rest in which lanes take nothing of what the log stores.
    async fn sees_a_rest(&self, aggregator: &Running) -> anyhow::Result<()> {
        for rest in 0..RESTS {
            wait_until_async("lanes to rest", DEADLINE, async || {
                let rests = aggregator.metric("rests_total", "").await.ok()??;
                (rests > f64::from(rest)).then_some(())
            })
            .await?;
            let taken_before = self.taken_after(aggregator, SETTLED).await?;
            let taken = self.taken_after(aggregator, UNREAD).await?;
            if taken.to_bits() == taken_before.to_bits() {
                return Ok(());
            }
        }
        anyhow::bail!("lanes read on in {RESTS} rests")
    }

    /// How many messages lanes have committed once the log has stored so many more.
    async fn taken_after(&self, aggregator: &Running, messages: u64) -> anyhow::Result<f64> {
        let wanted = self.stored.load(Relaxed) + messages;
        wait_until_async("the log to store messages", DEADLINE, async || {
            (self.stored.load(Relaxed) >= wanted).then_some(())
        })
        .await?;
        Ok(aggregator.metric("messages_total", "").await?.unwrap_or_default())
    }
}

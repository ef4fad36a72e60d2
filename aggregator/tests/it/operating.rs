//! What others hear of it.

use std::collections::{BTreeMap, BTreeSet};

use ledger::BusinessDate;
use nats::{Changes, NoticeEvent, Notices};
use protocol::notice::{Changed, ChangedAccount, Notice};
use rand::{SeedableRng, rngs::StdRng};

use crate::support::{DEADLINE, Line, PARTITIONS, World, random_launch, random_messages};

async fn next(notices: &mut Notices) -> anyhow::Result<Notice> {
    match tokio::time::timeout(DEADLINE, notices.next()).await? {
        Some(NoticeEvent::Notice(notice)) => Ok(notice),
        other => anyhow::bail!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_is_announced_and_every_second_repeats_it() -> anyhow::Result<()> {
    let world = World::new().await?;
    let mut notices = Changes::new(world.client.clone(), 1).subscribe().await?;
    let aggregator = world.start().await?;
    let mut heard = vec![0; usize::from(PARTITIONS)];
    while heard.iter().any(|count| *count < 3) {
        let notice = next(&mut notices).await?;
        anyhow::ensure!((notice.from, notice.to, notice.end, notice.replaying) == (0, 0, 0, false), "{notice:?}");
        anyhow::ensure!(notice.changed == Changed::Accounts(Vec::new()) && notice.epoch == 1);
        heard[usize::from(notice.partition)] += 1;
    }
    aggregator.stop().await
}

/// Whoever hears only this one must know that something waits, or would call an old day complete.
#[tokio::test(flavor = "multi_thread")]
async fn the_first_notice_of_a_start_knows_what_waits_on_the_log() -> anyhow::Result<()> {
    let mut world = World::new().await?;
    world.publish(&random_messages(82, 60)).await?;
    let aggregator = world.start().await?;
    world.wait_until_applied().await?;
    aggregator.stop().await?;
    world.publish(&random_messages(83, 60)).await?;
    let mut applied = BTreeMap::new();
    for partition in 0..PARTITIONS {
        applied.insert(partition, world.applied(partition).await);
    }

    let mut notices = Changes::new(world.client.clone(), 1).subscribe().await?;
    let aggregator = world.start().await?;
    while !applied.is_empty() {
        let notice = next(&mut notices).await?;
        let Some(applied) = applied.remove(&notice.partition) else { continue };
        let end = world.log.lane_end(notice.partition).await?.map(|message| message.sequence);
        anyhow::ensure!(Some(notice.to) == applied && Some(notice.end) == end && end > applied, "{notice:?}");
    }
    aggregator.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_is_told_with_its_accounts_and_their_earliest_dates() -> anyhow::Result<()> {
    let mut world = World::new().await?;
    let mut notices = Changes::new(world.client.clone(), 1).subscribe().await?;
    let aggregator = world.start().await?;
    aggregator.wait_until_ready().await?;
    let mut later = random_launch(&mut StdRng::seed_from_u64(80));
    later.date = "2026-12-24".to_owned();
    let mut earlier = later.clone();
    earlier.date = "2026-11-02".to_owned();
    let lane = later.lane();
    world.publish(&[(lane, vec![Line::Launch(later.clone()), Line::Launch(earlier)])]).await?;
    let notice = loop {
        let notice = next(&mut notices).await?;
        if notice.to > notice.from {
            break notice;
        }
    };
    anyhow::ensure!((notice.partition, notice.from, notice.to, notice.end) == (lane, 0, 1, 1), "{notice:?}");
    anyhow::ensure!(world.applied(lane).await == Some(1), "the notice follows the commit");
    anyhow::ensure!(Some(notice.time_ms) == world.log.lane_end(lane).await?.map(|message| message.time_ms));
    let key = later.key();
    let date = BusinessDate::parse("2026-11-02")?;
    let changed = ChangedAccount { tenant: key.tenant, account: key.account, date };
    anyhow::ensure!(notice.changed == Changed::Accounts(vec![changed]), "{notice:?}");
    aggregator.stop().await
}

/// Whoever follows the notices from the start knows of every account, without a gap.
#[tokio::test(flavor = "multi_thread")]
async fn notices_follow_each_other_without_a_gap() -> anyhow::Result<()> {
    let mut world = World::new().await?;
    let mut notices = Changes::new(world.client.clone(), 1).subscribe().await?;
    let aggregator = world.start().await?;
    for part in random_messages(81, 300).chunks(100) {
        world.publish(part).await?;
    }
    let mut upto = vec![0; usize::from(PARTITIONS)];
    let mut accounts = BTreeSet::new();
    while upto.iter().max() < Some(&world.published) {
        let notice = next(&mut notices).await?;
        let known = &mut upto[usize::from(notice.partition)];
        anyhow::ensure!(notice.from == *known, "{notice:?} follows {known}");
        *known = notice.to;
        let Changed::Accounts(changed) = notice.changed else { anyhow::bail!("nothing is that long") };
        accounts.extend(changed.into_iter().map(|changed| (changed.tenant, changed.account)));
    }
    world.wait_until_applied().await?;
    let wanted = world.model.rows.keys().map(|key| (key.tenant.clone(), key.account.clone()));
    anyhow::ensure!(wanted.into_iter().all(|account| accounts.contains(&account)), "{accounts:?}");
    anyhow::ensure!(aggregator.metric("notices_lost_total", "").await?.unwrap_or(0.0) == 0.0);
    aggregator.stop().await
}

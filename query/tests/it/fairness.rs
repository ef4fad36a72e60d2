//! Tenants against each other.

use store::Call;

use crate::world::{Entry, World};

/// More than there are turns at the store.
const READERS: usize = 100;

#[tokio::test]
async fn one_tenants_slow_reads_leave_the_store_to_others() {
    let mut world = World::new().await;
    let position = world.post(&[Entry::credit("a", "2026-01-02", "1", "1.00")]).await;
    assert_eq!(world.ask("/v1/accounts").at_least(&position, 10_000).send().await.status, 200);
    world.gate.hold(Some(Call::AccountView));
    let before = world.gate.reads();
    let slow: Vec<_> = (0..READERS)
        .map(|number| tokio::spawn(world.ask(&format!("/v1/accounts/slow-{number}/balance")).send()))
        .collect();
    let held = async |world: &World| (world.gate.reads() >= before + 40).then_some(());
    world.wait_for("slow readers at the store", held).await;
    let filled = async |world: &World| (world.metric("saldo_query_fills_total").await >= READERS as f64).then_some(());
    world.wait_for("more of them than turns", filled).await;
    let other = world.ask_as_nobody("/v1/accounts").tenant("other").send().await;
    assert_eq!(other.status, 200, "the store is not asked for anything that is slow");
    assert!(slow.iter().all(|reader| !reader.is_finished()), "the others still wait");
    world.gate.hold(None);
    for reader in slow {
        assert_eq!(reader.await.unwrap().status, 404);
    }
}

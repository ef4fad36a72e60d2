//! The list of accounts.

use std::collections::BTreeMap;

use crate::world::{Entry, World};

/// Posts one launch to each account, lane by lane; the position that covers all of it.
async fn post_accounts(world: &mut World, names: &[String]) -> String {
    let mut lanes: BTreeMap<u16, Vec<Entry>> = BTreeMap::new();
    for name in names {
        let partition = world.worker.partition("acme", name);
        lanes.entry(partition).or_default().push(Entry::credit(name, "2026-01-01", "1", "1.00"));
    }
    let mut position = world.worker.identity.name().to_string();
    for (index, (partition, entries)) in lanes.into_iter().enumerate() {
        for entries in entries.chunks(500) {
            world.post(entries).await;
        }
        let separator = if index == 0 { '.' } else { '-' };
        position = format!("{position}{separator}{partition}.{}", world.worker.last(partition));
    }
    position
}

#[tokio::test]
async fn ten_thousand_accounts_are_listed_once_each_across_a_restart() {
    let mut world = World::new().await;
    let mut names: Vec<String> = (0..10_000).map(|number| format!("store-{number}")).collect();
    let position = post_accounts(&mut world, &names).await;
    names.sort_unstable();
    let mut path = "/v1/accounts?limit=997".to_owned();
    let mut read = Vec::new();
    loop {
        let page = world.ask(&path).at_least(&position, 10_000).send().await;
        read.extend(page.items().iter().map(|item| item["account"].as_str().unwrap().to_owned()));
        assert_eq!(page.header("saldo-position"), position);
        let Some(next) = page.next() else { break };
        path = format!("/v1/accounts?limit=997&cursor={next}");
        if read.len() == 3 * 997 {
            world.stop_query().await.unwrap();
            world.start_query().await;
        }
    }
    assert!(read == names, "{} accounts read", read.len());
}

#[tokio::test]
async fn the_default_page_has_a_hundred() {
    let mut world = World::new().await;
    let names: Vec<String> = (0..101).map(|number| format!("a{number:03}")).collect();
    let position = post_accounts(&mut world, &names).await;
    let page = world.ask("/v1/accounts").at_least(&position, 10_000).send().await;
    assert_eq!(page.items().len(), 100);
    let rest = world.get(&format!("/v1/accounts?cursor={}", page.next().unwrap())).await;
    assert_eq!((rest.items().len(), rest.next()), (1, None));
}

#[tokio::test]
async fn a_list_waits_for_every_lane_of_the_position() {
    let mut world = World::new().await;
    let names: Vec<String> = (0..50).map(|number| format!("a{number}")).collect();
    let position = post_accounts(&mut world, &names).await;
    assert_eq!(world.ask("/v1/accounts").at_least(&position, 10_000).send().await.items().len(), 50);
    let last = world.worker.last(3);
    let beyond = position.replace(&format!("-3.{last}"), &format!("-3.{}", last + 1_000));
    assert_ne!(beyond, position);
    let refused = world.ask("/v1/accounts").at_least(&beyond, 100).send().await;
    assert_eq!(refused.refusal(), (503, "not_yet_applied".to_owned()));
    let account_of = |lane: u16| names.iter().find(|name| world.worker.partition("acme", name) == lane).unwrap();
    let of = |name: &str| format!("/v1/accounts/{name}/balance");
    assert_eq!(world.ask(&of(account_of(0))).at_least(&beyond, 100).send().await.status, 200, "another lane's account");
    assert_eq!(world.ask(&of(account_of(3))).at_least(&beyond, 100).send().await.status, 503);
}

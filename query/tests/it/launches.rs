//! The launches of a day.

use crate::world::{Entry, World};

#[tokio::test]
async fn launches_come_in_log_order_as_they_stand_on_the_log() {
    let mut world = World::new().await;
    let first = world
        .post(&[Entry::credit("a", "2026-01-01", "z", "1.00"), Entry::credit("a", "2026-01-02", "o", "9.00")])
        .await;
    let kept = "{\"id\":\"b\",\"tenant\":\"acme\",\"account\":\"a\",\"date\":\"2026-01-01\",\"kind\":\"debit\",\
                \"amount\":2.50,\"currency\":\"BRL\",\"position\":\"mine\",\"table\":{\"seat\":4}}";
    let second = world.post(&[Entry(kept.to_owned())]).await;
    let answer = world.ask("/v1/accounts/a/launches?date=2026-01-01").at_least(&second, 10_000).send().await;
    let expected = format!(
        "{{\"items\":[{{\"id\":\"z\",\"tenant\":\"acme\",\"account\":\"a\",\"date\":\"2026-01-01\",\"kind\":\"credit\",\
         \"amount\":\"1.00\",\"currency\":\"BRL\",\"position\":\"{first}\"}},{{\"id\":\"b\",\"tenant\":\"acme\",\
         \"account\":\"a\",\"date\":\"2026-01-01\",\"kind\":\"debit\",\"amount\":2.50,\"currency\":\"BRL\",\
         \"table\":{{\"seat\":4}},\"position\":\"{second}\"}}],\"next\":null}}"
    );
    assert_eq!(answer.text, expected);
    assert_eq!(answer.header("saldo-position"), second);
    assert!(world.get("/v1/accounts/a/launches?date=2026-01-03").await.items().is_empty());
}

#[tokio::test]
async fn launches_are_read_page_by_page() {
    let mut world = World::new().await;
    let mut position = String::new();
    for message in 0..5 {
        let entry = |line: usize| Entry::credit("a", "2026-01-01", &format!("{message}-{line}"), "1.00");
        position = world.post(&(0..70).map(entry).collect::<Vec<_>>()).await;
    }
    let list = "/v1/accounts/a/launches?date=2026-01-01&limit=100";
    let mut path = list.to_owned();
    let mut sizes = Vec::new();
    let mut ids = Vec::new();
    loop {
        let page = world.ask(&path).at_least(&position, 10_000).send().await;
        sizes.push(page.items().len());
        ids.extend(page.items().iter().map(|item| item["id"].as_str().unwrap().to_owned()));
        let Some(next) = page.next() else { break };
        path = format!("{list}&cursor={next}");
    }
    let expected: Vec<String> =
        (0..5).flat_map(|message| (0..70).map(move |line| format!("{message}-{line}"))).collect();
    assert_eq!((sizes, ids), (vec![100, 100, 100, 50], expected));
}

#[tokio::test]
async fn a_page_of_long_lines_ends_before_its_limit() {
    let mut world = World::new().await;
    let note = "x".repeat(60_000);
    let mut position = String::new();
    for number in 0..50 {
        let line = format!(
            "{{\"id\":\"{number}\",\"tenant\":\"acme\",\"account\":\"a\",\"date\":\"2026-01-01\",\"kind\":\"credit\",\
             \"amount\":\"1.00\",\"currency\":\"BRL\",\"note\":\"{note}\"}}"
        );
        position = world.post(&[Entry(line)]).await;
    }
    let list = "/v1/accounts/a/launches?date=2026-01-01&limit=1000";
    let page = world.ask(list).at_least(&position, 10_000).send().await;
    assert!(page.text.len() < 1_200_000, "{}", page.text.len());
    let mut count = page.items().len();
    assert!(count < 50);
    let mut next = page.next();
    while let Some(cursor) = next {
        let page = world.get(&format!("{list}&cursor={cursor}")).await;
        assert_eq!(page.items()[0]["id"], count.to_string());
        count += page.items().len();
        next = page.next();
    }
    assert_eq!(count, 50);
}

//! One day, ranges of days, the balance.

use serde_json::{Value, json};

use crate::world::{Entry, World};

#[tokio::test]
async fn a_day_has_opening_totals_closing_and_its_age() {
    let mut world = World::new().await;
    let position = world
        .post(&[
            Entry::credit("store-17", "2026-11-21", "a", "100.00"),
            Entry::credit("store-17", "2026-11-22", "b", "150.75"),
            Entry::new("store-17", "2026-11-22", "c", "debit", "20", "BRL"),
        ])
        .await;
    let answer = world.ask("/v1/accounts/store-17/days/2026-11-22").at_least(&position, 10_000).send().await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let expected = json!({
        "account": "store-17", "date": "2026-11-22", "status": "open",
        "currencies": [{
            "currency": "BRL", "opening": "100.00", "credits": "150.75", "debits": "20.00",
            "credit_count": 1, "debit_count": 1, "closing": "230.75",
        }],
        "position": position, "applied_at": "2026-11-22T10:00:01.000Z", "complete": true,
    });
    assert_eq!(answer.json(), expected);
    assert!(
        answer.text.starts_with("{\"account\":\"store-17\",\"date\":\"2026-11-22\",\"status\":"),
        "{}",
        answer.text
    );
    assert_eq!(answer.header("content-type"), "application/json");
    assert_eq!(answer.header("saldo-position"), position);
    assert_eq!(answer.header("saldo-applied-at"), "2026-11-22T10:00:01.000Z");
    assert_eq!(answer.header("saldo-complete"), "true");
    assert!(answer.header("etag").starts_with("W/\""));
    assert!(!answer.header("x-request-id").is_empty());
}

#[tokio::test]
async fn days_without_launches_are_answers_with_their_opening_balance() {
    let mut world = World::new().await;
    let position = world.post(&[Entry::credit("a", "2026-11-22", "1", "5.00")]).await;
    for (date, opening) in [("2026-11-23", "5.00"), ("2100-01-01", "5.00"), ("2199-12-31", "5.00")] {
        let answer = world.ask(&format!("/v1/accounts/a/days/{date}")).at_least(&position, 10_000).send().await;
        let day = answer.json();
        assert_eq!(day["currencies"][0]["opening"], opening, "{date}");
        assert_eq!(day["currencies"][0]["closing"], opening, "{date}");
        assert_eq!(day["currencies"][0]["credit_count"], 0, "{date}");
    }
    for date in ["2026-11-21", "1900-01-01"] {
        let day = world.get(&format!("/v1/accounts/a/days/{date}")).await.json();
        assert_eq!(day["currencies"], json!([]), "{date}");
    }
}

#[tokio::test]
async fn a_currency_appears_with_its_first_day() {
    let mut world = World::new().await;
    let post = [
        Entry::credit("a", "2026-11-20", "1", "1.00"),
        Entry::new("a", "2026-11-22", "2", "debit", "700", "JPY"),
        Entry::new("a", "2026-11-22", "3", "credit", "1.234", "KWD"),
    ];
    let position = world.post(&post).await;
    let range = "/v1/accounts/a/days?from=2026-11-20&to=2026-11-23&include_empty=true";
    let items = world.ask(range).at_least(&position, 10_000).send().await.items();
    let codes = |day: &Value| -> Vec<String> {
        let currencies = day["currencies"].as_array().unwrap();
        currencies.iter().map(|line| line["currency"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(
        items.iter().map(codes).collect::<Vec<_>>(),
        [vec!["BRL"], vec!["BRL"], vec!["BRL", "JPY", "KWD"], vec!["BRL", "JPY", "KWD"]]
    );
    assert_eq!(items[3]["currencies"][1]["opening"], "-700");
    assert_eq!(items[2]["currencies"][2]["closing"], "1.234");
}

#[tokio::test]
async fn a_day_of_a_range_is_the_day_by_itself() {
    let mut world = World::new().await;
    let days: Vec<Entry> = (1..=28)
        .flat_map(|day| {
            let date = format!("2026-02-{day:02}");
            [Entry::credit("a", &date, "c", &format!("{day}.10")), Entry::new("a", &date, "d", "debit", "0.01", "BRL")]
        })
        .filter(|entry| !entry.0.contains("02-05"))
        .collect();
    let position = world.post(&days).await;
    let range = "/v1/accounts/a/days?from=2026-01-30&to=2026-03-02&include_empty=true";
    let items = world.ask(range).at_least(&position, 10_000).send().await.items();
    assert_eq!(items.len(), 32);
    for item in &items {
        let day = world.get(&format!("/v1/accounts/a/days/{}", item["date"].as_str().unwrap())).await.json();
        assert_eq!(day["currencies"], item["currencies"], "{item}");
        assert_eq!(item["status"], "open");
    }
    let mut sum = 0_i64;
    for item in items.iter().filter(|item| item["currencies"] != json!([])) {
        let line = &item["currencies"][0];
        let cents = |name: &str| line[name].as_str().unwrap().replace('.', "").parse::<i64>().unwrap();
        assert_eq!(cents("opening"), sum, "{item}");
        sum += cents("credits") - cents("debits");
        assert_eq!(cents("closing"), sum, "{item}");
    }
    assert_eq!(sum, (1..=28).filter(|day| *day != 5).map(|day| day * 100 + 9).sum::<i64>());
}

#[tokio::test]
async fn a_range_is_read_page_by_page() {
    let mut world = World::new().await;
    let dates: Vec<String> = (1..=9).map(|day| format!("2026-04-{:02}", day * 3)).collect();
    let entries: Vec<Entry> = dates.iter().map(|date| Entry::credit("a", date, "1", "1.00")).collect();
    let position = world.post(&entries).await;
    let range = "/v1/accounts/a/days?from=2026-01-01&to=2027-01-01&limit=4";
    let mut path = range.to_owned();
    let mut read = Vec::new();
    let mut pages = 0;
    loop {
        let page = world.ask(&path).at_least(&position, 10_000).send().await;
        read.extend(page.items());
        pages += 1;
        let Some(next) = page.next() else { break };
        path = format!("{range}&cursor={next}");
    }
    assert_eq!(pages, 3);
    let read_dates: Vec<&str> = read.iter().map(|item| item["date"].as_str().unwrap()).collect();
    assert_eq!(read_dates, dates);
    assert_eq!(read[8]["currencies"][0]["closing"], "9.00");
}

#[tokio::test]
async fn the_balance_counts_every_date() {
    let mut world = World::new().await;
    let position = world
        .post(&[
            Entry::credit("a", "1900-01-01", "1", "10.00"),
            Entry::credit("a", "2199-12-31", "2", "0.50"),
            Entry::new("a", "2026-01-01", "3", "debit", "7", "JPY"),
        ])
        .await;
    let answer = world.ask("/v1/accounts/a/balance").at_least(&position, 10_000).send().await;
    let expected = json!({
        "account": "a",
        "currencies": [{"currency": "BRL", "balance": "10.50"}, {"currency": "JPY", "balance": "-7"}],
        "position": position, "applied_at": "2026-11-22T10:00:01.000Z", "complete": true,
    });
    assert_eq!(answer.json(), expected);
}

#[tokio::test]
async fn tenants_do_not_see_each_other() {
    let mut world = World::new().await;
    let mine = world.post(&[Entry::of_tenant("acme", "a", "2026-01-01", "1", "credit", "1.00", "BRL")]).await;
    let other = world.post(&[Entry::of_tenant("other", "a", "2026-01-01", "1", "credit", "2.00", "BRL")]).await;
    let balance = async |tenant: &str, position: &str| {
        let ask = world.ask("/v1/accounts/a/balance").tenant(tenant).at_least(position, 10_000);
        ask.send().await.json()["currencies"][0]["balance"].clone()
    };
    assert_eq!(balance("acme", &mine).await, "1.00");
    assert_eq!(balance("other", &other).await, "2.00");
    let stranger = world.ask("/v1/accounts/a/balance").tenant("third").send().await;
    assert_eq!(stranger.refusal(), (404, "unknown_account".to_owned()));
    assert!(world.ask("/v1/accounts").tenant("third").send().await.items().is_empty());
}

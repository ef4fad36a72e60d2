//! Arrays and NDJSON.

use ingest::IngestConfig;
use protocol::position::Position;
use serde_json::{Value, json};

use crate::support::{Answer, Setup, TestIngest, answer, launch, lines};

fn counts(answer: &Answer) -> (u64, u64, u64) {
    let count = |name: &str| answer.body[name].as_u64().unwrap_or_else(|| panic!("{answer:?}"));
    (count("accepted"), count("duplicates"), count("rejected"))
}

fn errors(answer: &Answer) -> Vec<(u64, &str)> {
    let list = answer.body["errors"].as_array().unwrap();
    list.iter().map(|error| (error["line"].as_u64().unwrap(), error["type"].as_str().unwrap())).collect()
}

#[tokio::test]
async fn an_array_is_a_bulk_also_with_one_entry() {
    let ingest = TestIngest::start().await;
    let one = ingest.post(&json!([launch("a")])).await;
    assert_eq!((one.status, counts(&one)), (200, (1, 0, 0)));
    let mut idless = launch("x");
    idless.as_object_mut().unwrap().remove("id");
    let mut dateless = launch("y");
    dateless.as_object_mut().unwrap().remove("date");
    let nested = json!({"id": "n", "account": "s", "date": "2026-11-22", "kind": "debit", "amount": "1", "currency": "BRL",
                        "lines": [{"a": 1}, {"b": [1, 2]}]});
    let mixed = serde_json::to_string_pretty(&json!([launch("a"), 7, idless, dateless, nested])).unwrap();
    let answer = ingest.post_text(mixed).await;
    assert_eq!((answer.status, counts(&answer)), (200, (1, 1, 3)));
    assert_eq!(errors(&answer), [(2, "malformed"), (3, "missing_field"), (4, "missing_date")]);
    assert_eq!(ingest.post_text("[]").await.body["position"], Value::Null);
    let broken = ingest.post_text(format!("[{},", launch("never"))).await;
    assert_eq!((broken.status, broken.slug()), (400, "malformed"));
    assert_eq!(ingest.post(&launch("never")).await.status, 201, "a broken array books nothing and claims nothing");
    assert_eq!(ingest.logged().await.len(), 3);
}

/// The list of a day's launches adds it to each of them.
#[tokio::test]
async fn a_position_of_the_caller_s_own_is_refused_in_bulks_too() {
    let ingest = TestIngest::start().await;
    let mut own = launch("pos-1");
    own["position"] = json!("till 3");
    let array = ingest.post(&json!([launch("a"), own])).await;
    assert_eq!((counts(&array), errors(&array)), ((1, 0, 1), vec![(2, "reserved_field")]));
    let nd = ingest.post_lines(format!("{own}\n{}\n", launch("b"))).await;
    assert_eq!((counts(&nd), errors(&nd)), ((1, 0, 1), vec![(1, "reserved_field")]));
}

#[tokio::test]
async fn ndjson_takes_what_is_good_and_names_what_is_not() {
    let ingest = TestIngest::start().await;
    let good = |id: &str| launch(id).to_string();
    let long = format!("{{\"id\":\"long\",\"description\":\"{}\"}}", "x".repeat(200_000));
    let text = [
        format!("\u{feff}{}\r\n", good("a")),
        "\r\n".to_owned(),
        "   \n".to_owned(),
        format!("{}\n", good("b")),
        "not json\n".to_owned(),
        format!("{long}\n"),
        format!("{}\n", good("a")),
        format!("{}\n", good("a").replace("150.75", "9.99")),
        format!("{}\n", good("c").replace("BRL", "ABC")),
        good("d"),
    ]
    .concat();
    let first = ingest.post_lines(text.clone()).await;
    assert_eq!((first.status, counts(&first)), (200, (3, 1, 4)), "{first:?}");
    let expected = [(5, "malformed"), (6, "line_too_long"), (8, "conflict"), (9, "invalid_currency")];
    assert_eq!(errors(&first), expected);
    assert_eq!(first.body["errors_truncated"], false);
    let again = ingest.post_lines(text).await;
    assert_eq!((again.status, counts(&again), errors(&again)), (200, (0, 4, 4), expected.to_vec()));
    assert_eq!(again.body["position"], first.body["position"]);
    assert_eq!(ingest.logged().await.len(), 3);
}

#[tokio::test]
async fn bodies_without_a_line_are_refused() {
    let ingest = TestIngest::start().await;
    for text in ["", "\n\n", " \r\n", "\u{feff}\n"] {
        let refused = ingest.post_lines(text).await;
        assert_eq!((refused.status, refused.slug()), (400, "empty_body"), "{text:?}");
    }
    let key = ingest.request("application/x-ndjson").header("idempotency-key", "k").body(launch("a").to_string());
    assert_eq!(answer(key).await.slug(), "idempotency_key_invalid");
}

#[tokio::test]
async fn a_long_bulk_arrives_whole_and_its_position_covers_it() {
    let mut config = IngestConfig::default();
    // How many messages there are must not depend on how fast this machine is.
    config.bodies.flush_ms = 3_600_000;
    let ingest = Setup { config, ..Setup::default() }.start().await;
    let text = lines(0..20_000).join("\n");
    let first = ingest.post_lines(text.clone()).await;
    assert_eq!((first.status, counts(&first)), (200, (20_000, 0, 0)));
    let logged = ingest.logged().await;
    assert_eq!(logged.len(), 20_000);
    let position: Position = first.body["position"].as_str().unwrap().parse().unwrap();
    let highest = logged.iter().map(|(sequence, _)| *sequence).max();
    assert_eq!(position.lanes.values().max().copied(), highest);
    assert_eq!(position.lanes.len(), 4);
    let messages = ingest.log.usage().await.unwrap().messages;
    assert!(messages < 400, "{messages} messages for 20,000 launches: lines are packed");
    assert_eq!(counts(&ingest.post_lines(text).await), (0, 20_000, 0));
}

#[tokio::test]
async fn the_list_of_errors_is_bounded_and_the_count_is_not() {
    let ingest = TestIngest::start().await;
    let mut text = "nonsense\n".repeat(5_000);
    text.push_str(&launch("a").to_string());
    let answer = ingest.post_lines(text).await;
    assert_eq!(counts(&answer), (1, 0, 5_000));
    assert_eq!(answer.body["errors"].as_array().unwrap().len(), 1_000);
    assert_eq!(answer.body["errors_truncated"], true);
    assert_eq!(errors(&answer)[999].0, 1_000);
}

#[tokio::test]
async fn new_lines_stay_whole_and_in_order_between_known_ones() {
    let mut config = IngestConfig::default();
    // Batches that are filled in the midst of what was read together.
    config.bodies.batch_entries = 170;
    let ingest = Setup { config, ..Setup::default() }.start().await;
    let known: Vec<usize> = (0..6_000).step_by(3).collect();
    assert_eq!(counts(&ingest.post_lines(lines(known).join("\n")).await), (2_000, 0, 0));
    let mut text = Vec::new();
    for (id, line) in lines(0..6_000).into_iter().enumerate() {
        text.push(line.clone());
        match id % 50 {
            7 => text.push(line.replace(".07", ".08")),
            8 | 9 => text.push(line),
            _ => {}
        }
    }
    let conflicts: Vec<u64> = (1..).zip(&text).filter(|(_, line)| line.contains(".08")).map(|(at, _)| at).collect();
    let answer = ingest.post_lines(text.join("\n")).await;
    assert_eq!((answer.status, counts(&answer)), (200, (4_000, 2_240, 120)), "{answer:?}");
    assert_eq!(errors(&answer), conflicts.iter().map(|line| (*line, "conflict")).collect::<Vec<_>>());

    let mut last = std::collections::HashMap::new();
    let logged = ingest.logged().await;
    assert_eq!(logged.len(), 6_000, "each id once");
    for (_, launch) in logged {
        let id: i64 = launch.id.as_str().strip_prefix("l-").unwrap().parse().unwrap();
        assert_eq!(launch.amount.minor_units(), (id + 1) * 100 + 7, "the first of its id");
        let before = last.insert((launch.account, id % 3 == 0), id);
        assert!(before.is_none_or(|before| before < id), "{before:?} and then {id}: the order of the body");
    }
}

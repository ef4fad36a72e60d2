//! One launch a request: every status of the contract.

use protocol::position::Position;
use serde_json::{Value, json};

use crate::support::{TestIngest, answer, launch};

fn changed(change: &Value) -> Value {
    let mut changed = launch("changed");
    for (name, value) in change.as_object().unwrap() {
        match value {
            Value::Null => changed.as_object_mut().unwrap().remove(name),
            value => changed.as_object_mut().unwrap().insert(name.clone(), value.clone()),
        };
    }
    changed
}

#[tokio::test]
async fn a_launch_is_accepted_then_known_then_in_conflict() {
    let ingest = TestIngest::start().await;
    let first = ingest.post(&launch("a")).await;
    assert_eq!(first.status, 201, "{first:?}");
    let position: Position = first.body["position"].as_str().unwrap().parse().unwrap();
    assert_eq!(position.lanes.len(), 1);
    assert_eq!(first.body["id"], "a");
    assert_eq!(first.body["account"], "store-17");
    assert_eq!(first.body["date"], "2026-11-22");
    assert_eq!(first.body["duplicate"], false);

    let same = json!({"currency": "BRL", "amount": 150.75, "kind": "credit", "date": "2026-11-22", "id": "a", "account": "store-17"});
    let again = ingest.post(&same).await;
    assert_eq!((again.status, &again.body["duplicate"]), (200, &json!(true)));
    assert_eq!(again.body["position"], first.body["position"]);

    let mut other = launch("a");
    other["amount"] = json!("150.76");
    let conflict = ingest.post(&other).await;
    assert_eq!((conflict.status, conflict.slug()), (409, "conflict"));
    assert_eq!(conflict.body["position"], first.body["position"]);
    other["date"] = json!("2026-11-21");
    assert_eq!(ingest.post(&other).await.status, 201, "an id is unique within its date");
    assert_eq!(ingest.logged().await.len(), 2);
}

#[tokio::test]
async fn an_idempotency_key_is_the_id() {
    let ingest = TestIngest::start().await;
    let mut keyless = launch("x");
    keyless.as_object_mut().unwrap().remove("id");
    let post = async |key: &str, body: &Value| {
        answer(ingest.request("application/json").header("idempotency-key", key).body(body.to_string())).await
    };
    let first = post("key:1", &keyless).await;
    assert_eq!((first.status, &first.body["id"]), (201, &json!("key:1")));
    assert_eq!(post("key:1", &keyless).await.status, 200);
    assert_eq!(post("x", &launch("x")).await.status, 201);
    let slug = async |key: &str, body: &Value| {
        let answer = post(key, body).await;
        (answer.status, answer.slug().to_owned())
    };
    assert_eq!(slug("other", &launch("x")).await, (400, "idempotency_key_invalid".to_owned()));
    for no_key in ["", "\"\"", "\"half", "\"key\":1", "caf\u{e9}"] {
        assert_eq!(slug(no_key, &keyless).await, (400, "idempotency_key_invalid".to_owned()), "{no_key}");
    }
    keyless.as_object_mut().unwrap().remove("date");
    assert_eq!(slug("key:2", &keyless).await, (422, "missing_date".to_owned()));
    assert_eq!(slug("key:3", &json!([])).await, (400, "idempotency_key_invalid".to_owned()));
}

/// The IETF's draft writes keys in quotes, and other services take keys that are no ids.
#[tokio::test]
async fn both_spellings_of_a_key_are_one_launch() {
    let ingest = TestIngest::start().await;
    let mut keyless = launch("x");
    keyless.as_object_mut().unwrap().remove("id");
    let post = async |key: &str, body: &Value| {
        answer(ingest.request("application/json").header("idempotency-key", key).body(body.to_string())).await
    };
    let long = "x".repeat(255);
    let made = "k-7d0dc29e0c808aa9231ba4302317bb72";
    for (bare, id) in [("8e03978e-40d5-43e8-bc93-6894a57f9324", None), ("till 3/17", Some(made)), (&long, None)] {
        let first = post(bare, &keyless).await;
        assert_eq!(first.status, 201, "{first:?}");
        let again = post(&format!("\"{bare}\""), &keyless).await;
        assert_eq!((again.status, &again.body["duplicate"]), (200, &json!(true)), "{again:?}");
        assert_eq!((&again.body["id"], &again.body["position"]), (&first.body["id"], &first.body["position"]));
        assert!(id.is_none_or(|id| first.body["id"] == id), "{first:?}");
        assert_eq!(
            ingest.post(&with_id(&keyless, &first.body["id"])).await.status,
            200,
            "the id that was made is the launch's"
        );
        let beside = post(bare, &with_id(&keyless, &first.body["id"])).await;
        assert_eq!(beside.status, 200, "key and id may stand beside each other");
        let other = post(bare, &with_id(&keyless, &json!("other"))).await;
        assert_eq!((other.status, other.slug()), (400, "idempotency_key_invalid"));
    }
    keyless["amount"] = json!("1.00");
    let conflict = post("\"till 3/17\"", &keyless).await;
    assert_eq!((conflict.status, conflict.slug(), &conflict.body["id"]), (409, "conflict", &json!(made)));
    assert_eq!(ingest.logged().await.len(), 3);
    let twice = ingest.request("application/json").header("idempotency-key", "a").header("idempotency-key", "a");
    let twice = answer(twice.body(keyless.to_string())).await;
    assert_eq!((twice.status, twice.slug()), (400, "idempotency_key_invalid"));
}

fn with_id(launch: &Value, id: &Value) -> Value {
    let mut named = launch.clone();
    named["id"] = id.clone();
    named
}

#[tokio::test]
async fn without_id_and_key_both_are_made() {
    let ingest = TestIngest::start().await;
    let bare = json!({"account": "store-17", "kind": "debit", "amount": 5, "currency": "JPY"});
    let (first, second) = (ingest.post(&bare).await, ingest.post(&bare).await);
    assert_eq!((first.status, second.status), (201, 201));
    assert_ne!(first.body["id"], second.body["id"], "two launches");
    assert_eq!(first.body["date"], "2026-11-23", "the clock's day");
    let mut named = bare.clone();
    named["id"] = first.body["id"].clone();
    named["date"] = first.body["date"].clone();
    assert_eq!(ingest.post(&named).await.status, 200, "what was made can be repeated");
    assert_eq!(ingest.logged().await.len(), 2);
}

#[tokio::test]
async fn what_is_no_launch_is_refused_with_its_reason() {
    let ingest = TestIngest::start().await;
    for (change, status, slug) in [
        (json!({"amount": "1.234"}), 422, "invalid_amount"),
        (json!({"amount": 0}), 422, "invalid_amount"),
        (json!({"amount": "1000000000000000.01"}), 422, "invalid_amount"),
        (json!({"amount": null}), 422, "missing_field"),
        (json!({"account": null}), 422, "missing_field"),
        (json!({"account": "a.b"}), 422, "invalid_identifier"),
        (json!({"id": "a b"}), 422, "invalid_identifier"),
        (json!({"date": "2026-02-30"}), 400, "invalid_date"),
        (json!({"date": "2200-01-01"}), 400, "invalid_date"),
        (json!({"date": null}), 422, "missing_date"),
        (json!({"date": null, "occurred_at": "yesterday"}), 422, "invalid_time"),
        (json!({"kind": "gift"}), 422, "invalid_kind"),
        (json!({"currency": "XAU"}), 422, "invalid_currency"),
        (json!({"description": "x".repeat(1_025)}), 422, "text_too_long"),
        (json!({"category": "x".repeat(65)}), 422, "text_too_long"),
        (json!({"type": "reversal"}), 422, "reserved_field"),
        (json!({"tenant": "other"}), 422, "reserved_field"),
        (json!({"position": "till 3"}), 422, "reserved_field"),
        (json!({"kind": 7}), 400, "malformed"),
    ] {
        let refused = ingest.post(&changed(&change)).await;
        assert_eq!((refused.status, refused.slug()), (status, slug), "{change}");
        assert!(refused.body["detail"].as_str().unwrap().len() > 5);
    }
    assert_eq!(
        ingest.post(&changed(&json!({"type": "launch", "tenant": "acme", "till": {"no": 3}}))).await.status,
        201
    );
    assert_eq!(ingest.logged().await.len(), 1);
}

#[tokio::test]
async fn bodies_that_are_not_one_object_are_refused() {
    let ingest = TestIngest::start().await;
    let deep = launch("deep").to_string().replace("}", &format!(",\"x\":{}{}}}", "[".repeat(20), "]".repeat(20)));
    let twice = r#"{"id":"a","id":"b","account":"s","date":"2026-11-22","kind":"credit","amount":1,"currency":"BRL"}"#;
    for (text, status, slug) in [
        (String::new(), 400, "empty_body"),
        (" \n ".to_owned(), 400, "empty_body"),
        ("{".to_owned(), 400, "malformed"),
        ("7".to_owned(), 400, "malformed"),
        ("{} {}".to_owned(), 400, "malformed"),
        (deep, 400, "too_deep"),
        (twice.to_owned(), 400, "malformed"),
        (format!("{{\"description\":\"{}\"}}", "x".repeat(70_000)), 413, "line_too_long"),
        (format!("[{}]", "1,".repeat(5 << 20)), 413, "body_too_large"),
    ] {
        let shown: String = text.chars().take(60).collect();
        let refused = ingest.post_text(text).await;
        assert_eq!((refused.status, refused.slug()), (status, slug), "{shown}");
    }
    let pretty = serde_json::to_string_pretty(&launch("pretty")).unwrap();
    assert_eq!(ingest.post_text(format!("\u{feff}{pretty}\r\n")).await.status, 201);
}

#[tokio::test]
async fn heads_that_do_not_fit_are_refused() {
    let ingest = TestIngest::start().await;
    let form = answer(ingest.request("application/x-www-form-urlencoded").body(launch("a").to_string())).await;
    assert_eq!((form.status, form.slug()), (415, "unsupported_media_type"));
    assert!(form.body["detail"].as_str().unwrap().contains("--data-binary"));
    let gzip = ingest.request("application/json").header("content-encoding", "gzip").body(vec![0x1f, 0x8b, 8]);
    let gzip = answer(gzip).await;
    assert_eq!((gzip.status, gzip.slug()), (415, "unsupported_media_type"));
    assert!(gzip.body["detail"].as_str().unwrap().contains("without Content-Encoding"));
    let plain = ingest.request("application/json").header("content-encoding", "identity");
    assert_eq!(answer(plain.body(launch("plain").to_string())).await.status, 201);
    let bare = |tenant: Option<&str>| {
        let request = ingest.http.post(ingest.url("/v1/launches")).header("content-type", "application/json");
        let request = tenant.map_or(request.try_clone().unwrap(), |tenant| request.header("saldo-tenant", tenant));
        request.body(launch("a").to_string())
    };
    let missing = answer(bare(None)).await;
    assert_eq!((missing.status, missing.slug()), (400, "tenant_missing"));
    let bad = answer(bare(Some("a b"))).await;
    assert_eq!((bad.status, bad.slug()), (400, "tenant_invalid"));
    let get = answer(ingest.http.get(ingest.url("/v1/launches"))).await;
    assert_eq!((get.status, get.slug()), (405, "method_not_allowed"));
    let nowhere = answer(ingest.http.post(ingest.url("/v1/launch"))).await;
    assert_eq!((nowhere.status, nowhere.slug()), (404, "not_found"));
    let other = answer(bare(Some("other"))).await;
    assert_eq!(other.status, 201);
    assert_eq!(ingest.post(&launch("a")).await.status, 201, "tenants do not share ids");
}

#[tokio::test]
async fn what_is_on_the_log_is_known_after_a_restart() {
    let mut ingest = TestIngest::start().await;
    let first = ingest.post(&launch("a")).await;
    ingest.restart().await;
    let again = ingest.post(&launch("a")).await;
    assert_eq!((again.status, &again.body["position"]), (200, &first.body["position"]));
    let mut other = launch("a");
    other["kind"] = json!("debit");
    assert_eq!(ingest.post(&other).await.status, 409);
}

//! Business dates from `occurred_at` and the tenants' file.

use ingest::{IngestConfig, TenantsConfig};
use serde_json::json;
use testkit::wait_until_async;

use crate::support::{DEADLINE, Setup, launch};

fn rule(zone: &str) -> String {
    let version = ledger::ZoneVersion::of_this_program(zone).unwrap();
    format!("[[rule]]\ntenant = \"acme\"\nzone = \"{zone}\"\nzone_version = \"{version}\"\n")
}

#[tokio::test]
async fn the_day_follows_from_the_tenants_zone_and_stale_settings_derive_none() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tenants.toml");
    std::fs::write(&file, rule("America/Sao_Paulo")).unwrap();
    let tenants = TenantsConfig { file: Some(file.clone()), reload_ms: 20, stale_ms: 400 };
    let config = IngestConfig { tenants, ..IngestConfig::default() };
    let ingest = Setup { config, ..Setup::default() }.start().await;

    let mut derived = launch("a");
    derived.as_object_mut().unwrap().remove("date");
    derived["occurred_at"] = json!("2026-11-23T02:30:00Z");
    let first = ingest.post(&derived).await;
    assert_eq!((first.status, &first.body["date"]), (201, &json!("2026-11-22")));
    let bare = json!({"account": "s", "kind": "debit", "amount": 5, "currency": "JPY"});
    assert_eq!(ingest.post(&bare).await.body["date"], "2026-11-22", "the clock's instant in the tenant's zone");

    std::fs::write(&file, "[[rule]]\ntenant = \"acme\"\nzone = \"Nowhere\"\n").unwrap();
    let stale = wait_until_async("stale settings", DEADLINE, async || {
        let answer = ingest.post(&bare).await;
        (answer.status == 503).then_some(answer)
    });
    let stale = stale.await.unwrap();
    assert_eq!((stale.slug(), stale.retry_after), ("settings_stale", Some(1)));
    assert!(ingest.metric("saldo_tenants_age_seconds").await.unwrap() > 0.4);
    let ready = ingest.http.get(ingest.url("/health/ready")).send().await.unwrap();
    assert_eq!(ready.status(), 200, "launches with a date are taken");
    let ready = ready.text().await.unwrap();
    assert!(ready.contains("Nowhere") && ready.contains("launches without a date are refused"), "{ready}");
    assert_eq!(ingest.post(&launch("dated")).await.status, 201, "a given date needs no settings");
    let lines = format!("{}\n{derived}\n{}", launch("b"), launch("c"));
    let bulk = ingest.post_lines(lines).await;
    assert_eq!((bulk.status, bulk.slug(), &bulk.body["first_uncertain_line"]), (503, "settings_stale", &json!(1)));

    std::fs::write(&file, rule("America/Sao_Paulo")).unwrap();
    wait_until_async("fresh settings", DEADLINE, async || (ingest.post(&bare).await.status == 201).then_some(()))
        .await
        .unwrap();
    let ready = ingest.http.get(ingest.url("/health/ready")).send().await.unwrap().text().await.unwrap();
    assert_eq!(ready, "{\"status\":\"ready\"}");

    std::fs::write(&file, rule("Asia/Tokyo")).unwrap();
    let rejected = async || (ingest.metric("saldo_tenants_rejected").await? == 1.0).then_some(());
    wait_until_async("a change that is refused", DEADLINE, rejected).await.unwrap();
    let ready = ingest.http.get(ingest.url("/health/ready")).send().await.unwrap().text().await.unwrap();
    assert!(
        ready.contains("tenant acme from 1900-01-01 on: Asia/Tokyo") && ready.contains("the earliest date is"),
        "{ready}"
    );
}

#[tokio::test]
async fn an_instant_to_come_needs_a_date() {
    let ingest = Setup::default().start().await;
    let mut derived = launch("a");
    derived.as_object_mut().unwrap().remove("date");
    derived["occurred_at"] = json!("2026-11-24T09:59:59.999Z");
    let first = ingest.post(&derived).await;
    assert_eq!(
        (first.status, &first.body["date"]),
        (201, &json!("2026-11-24")),
        "somebody's clock is wrong by some hours"
    );
    derived["id"] = json!("b");
    derived["occurred_at"] = json!("2026-11-24T10:00:00Z");
    let refused = ingest.post(&derived).await;
    assert_eq!((refused.status, refused.slug()), (422, "time_in_future"));
    assert!(refused.body["detail"].as_str().unwrap().contains("give a date"));
    let bulk = ingest.post_lines(format!("{derived}\n{}", launch("c"))).await;
    assert_eq!((bulk.status, &bulk.body["accepted"], &bulk.body["rejected"]), (200, &json!(1), &json!(1)));
    assert_eq!(bulk.body["errors"][0]["type"], "time_in_future");
    derived["date"] = json!("2026-11-24");
    assert_eq!(ingest.post(&derived).await.status, 201, "the date is given");
}

/// The instance of another program tells the day; this one does not guess.
#[tokio::test]
async fn a_day_that_follows_from_other_zone_data_is_not_derived() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tenants.toml");
    let version = ledger::ZoneVersion::of_this_program("Asia/Tokyo").unwrap().to_string();
    std::fs::write(&file, rule("Asia/Tokyo").replace(&version, "0123456789abcdef")).unwrap();
    let tenants = TenantsConfig { file: Some(file), ..TenantsConfig::default() };
    let ingest =
        Setup { config: IngestConfig { tenants, ..IngestConfig::default() }, ..Setup::default() }.start().await;
    let mut derived = launch("a");
    derived.as_object_mut().unwrap().remove("date");
    derived["occurred_at"] = json!("2026-11-22T12:00:00Z");
    let refused = ingest.post(&derived).await;
    assert_eq!((refused.status, refused.slug()), (503, "settings_stale"));
    assert!(refused.body["detail"].as_str().unwrap().contains("give the date"));
    let bulk = ingest.post_lines(format!("{}\n{derived}\n", launch("b"))).await;
    assert_eq!((bulk.status, bulk.slug()), (503, "settings_stale"));
    assert_eq!(ingest.post(&launch("a")).await.status, 201, "a given date needs no settings");
    assert_eq!(ingest.metric("saldo_tenants_rejected").await, Some(1.0));
}

#[tokio::test]
async fn a_bad_tenants_file_refuses_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tenants.toml");
    std::fs::write(&file, "[[rule]]\ntenant = \"acme\"\ncut_off = \"noon\"\n").unwrap();
    let good = Setup::default().start().await;
    let tenants = TenantsConfig { file: Some(file), ..TenantsConfig::default() };
    let error = good.start_beside(IngestConfig { tenants, ..IngestConfig::default() }, "127.0.0.1:0").await;
    assert!(error.contains("line 3") && error.contains("cut_off"), "{error}");
}

#[tokio::test]
async fn an_open_address_without_credentials_refuses_the_start() {
    let good = Setup::default().start().await;
    let error = good.start_beside(IngestConfig::default(), "0.0.0.0:0").await;
    assert!(error.contains("loopback"), "{error}");
}

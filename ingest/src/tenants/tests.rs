use std::sync::atomic::{AtomicI64, Ordering::Relaxed};

use retry::Shutdown;

use super::*;
use crate::clock::Clock;

/// 2026-11-23T05:00:00Z.
const NOW_MS: i64 = 1_795_410_000_000;

struct TenantsFile {
    _folder: tempfile::TempDir,
    path: PathBuf,
}

impl TenantsFile {
    fn new(text: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = Self { path: folder.path().join("tenants.toml"), _folder: folder };
        file.write(text);
        file
    }

    fn write(&self, text: &str) {
        std::fs::write(&self.path, text).unwrap();
    }

    fn load(&self) -> Result<Tenants, TenantsError> {
        Tenants::load(TenantsConfig { file: Some(self.path.clone()), ..TenantsConfig::default() })
    }
}

fn tenant(name: &str) -> Tenant {
    Tenant::parse(name).unwrap()
}

/// The business date of 2026-11-23T02:30:00Z.
fn date_at_half_past_two(tenants: &Tenants, name: &str) -> String {
    let settings = tenants.settings();
    let calendar = settings.calendar(&tenant(name), Instant::now()).unwrap();
    calendar.business_date(1_795_401_000_000_000_000).unwrap().to_string()
}

fn rule(name: &str, zone: &str, effective_from: &str) -> String {
    format!("[[rule]]\ntenant = \"{name}\"\nzone = \"{zone}\"\neffective_from = {effective_from}\n")
}

#[test]
fn zones_and_cut_offs_move_days_and_others_have_utc() {
    let file = TenantsFile::new(
        "[[rule]]\ntenant = \"sp\"\nzone = \"America/Sao_Paulo\"\n\n[[rule]]\ntenant = \"late\"\ncut_off = \"04:00\"\n",
    );
    let tenants = file.load().unwrap();
    assert_eq!(date_at_half_past_two(&tenants, "sp"), "2026-11-22");
    assert_eq!(date_at_half_past_two(&tenants, "late"), "2026-11-22");
    assert_eq!(date_at_half_past_two(&tenants, "other"), "2026-11-23");
    let without = Tenants::load(TenantsConfig::default()).unwrap();
    assert_eq!(date_at_half_past_two(&without, "sp"), "2026-11-23");
}

#[test]
fn mistakes_are_told_with_their_line() {
    let first = "[[rule]]\ntenant = \"acme\"\n\n";
    for (text, line, word) in [
        ("[[rule]]\ntenant = \"a b\"\n", 5, "tenant"),
        ("[[rule]]\ntenant = \"x\"\nzone = \"Mars/Olympus\"\n", 6, "Mars/Olympus"),
        ("[[rule]]\ntenant = \"x\"\ncut_off = \"24:00\"\n", 6, "cut_off"),
        ("[[rule]]\ntenant = \"x\"\ncut_off = \"4:00\"\n", 6, "cut_off"),
        ("[[rule]]\ntenant = \"x\"\n\neffective_from = \"2026-02-30\"\n", 7, "effective_from"),
        ("[[rule]]\ntenant = \"x\"\nzone_name = \"UTC\"\n", 6, "zone_name"),
        ("[[rule]]\ntenant = \n", 5, ""),
        ("[[rule]]\ntenant = \"acme\"\n", 4, "two rules"),
        ("[rule]\n", 4, ""),
        ("[[rules]]\ntenant = \"x\"\n", 4, "rules"),
    ] {
        let error = TenantsFile::new(&format!("{first}{text}")).load().err().expect(text).to_string();
        assert!(error.contains(&format!("line {line}")) && error.contains(word), "{text}: {error}");
    }
    let missing = TenantsConfig { file: Some("/nowhere/tenants.toml".into()), ..TenantsConfig::default() };
    assert!(Tenants::load(missing).err().unwrap().to_string().contains("/nowhere/tenants.toml"));
}

#[test]
fn a_change_counts_from_a_date_to_come_and_not_before() {
    let file = TenantsFile::new(&rule("acme", "UTC", "2026-01-01"));
    let tenants = file.load().unwrap();
    for (change, refused) in [
        (rule("acme", "America/Sao_Paulo", "2026-01-01"), true),
        (rule("acme", "UTC", "2026-01-01") + &rule("acme", "America/Sao_Paulo", "2026-11-24"), true),
        (rule("acme", "UTC", "2026-01-01") + &rule("acme", "America/Sao_Paulo", "\"2026-11-25\""), false),
        (String::new(), true),
        (rule("acme", "UTC", "2026-01-01"), false),
    ] {
        file.write(&change);
        let expected = if refused { vec![tenant("acme")] } else { Vec::new() };
        assert_eq!(tenants.reload(NOW_MS).unwrap(), expected, "{change}");
        assert_eq!(date_at_half_past_two(&tenants, "acme"), "2026-11-23");
    }
    file.write(&(rule("acme", "UTC", "2026-01-01") + &rule("new", "America/Sao_Paulo", "2026-11-01")));
    assert_eq!(tenants.reload(NOW_MS).unwrap(), [tenant("new")], "it may have launches in UTC already");
    assert_eq!(date_at_half_past_two(&tenants, "new"), "2026-11-23");
}

#[tokio::test(start_paused = true)]
async fn what_is_not_confirmed_grows_stale_for_whom_it_concerns() {
    let file = TenantsFile::new(&rule("acme", "UTC", "2026-01-01"));
    let tenants = file.load().unwrap();
    let fresh = |name| tenants.settings().calendar(&tenant(name), Instant::now()).is_ok();
    tokio::time::advance(Duration::from_secs(59)).await;
    assert!(fresh("acme") && fresh("other"));
    file.write(&rule("acme", "America/Sao_Paulo", "2026-01-01"));
    assert_eq!(tenants.reload(NOW_MS).unwrap(), [tenant("acme")]);
    tokio::time::advance(Duration::from_secs(2)).await;
    assert!(!fresh("acme") && fresh("other"), "only the refused one is stale");
    file.write("not toml");
    assert!(tenants.reload(NOW_MS).is_err());
    tokio::time::advance(Duration::from_secs(60)).await;
    assert!(!fresh("acme") && !fresh("other"));
    file.write(&rule("acme", "UTC", "2026-01-01"));
    assert_eq!(tenants.reload(NOW_MS).unwrap(), []);
    assert!(fresh("acme") && fresh("other"));
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_set_back_lets_no_change_reach_days_that_have_launches() {
    let file = TenantsFile::new(&rule("acme", "UTC", "2026-01-01"));
    let tenants = Tenants::load(TenantsConfig { file: Some(file.path.clone()), ..TenantsConfig::default() }).unwrap();
    let (now_ms, shutdown) = (Arc::new(AtomicI64::new(NOW_MS)), Shutdown::new());
    let keeping = tokio::spawn(keep_fresh(tenants.clone(), Clock::Manual(Arc::clone(&now_ms)), shutdown.clone()));
    tokio::task::yield_now().await;
    now_ms.store(NOW_MS - 30 * 86_400_000, Relaxed);
    file.write(&(rule("acme", "UTC", "2026-01-01") + &rule("acme", "America/Sao_Paulo", "2026-11-20")));
    tokio::time::sleep(Duration::from_secs(59)).await;
    assert_eq!(date_at_half_past_two(&tenants, "acme"), "2026-11-23");
    tokio::time::sleep(Duration::from_secs(2)).await;
    let is_fresh = tenants.settings().calendar(&tenant("acme"), Instant::now()).is_ok();
    assert!(!is_fresh, "the change is refused, and somebody notices");
    shutdown.begin(Duration::ZERO);
    keeping.await.unwrap();
}

use std::sync::atomic::{AtomicI64, Ordering::Relaxed};

use retry::Shutdown;

use super::*;
use crate::clock::Clock;

/// 2026-11-23T05:00:00Z.
const NOW_MS: i64 = 1_795_410_000_000;
const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;

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
        self.load_at(&Arc::new(AtomicI64::new(NOW_MS)))
    }

    fn load_at(&self, now_ms: &Arc<AtomicI64>) -> Result<Tenants, TenantsError> {
        let config = TenantsConfig { file: Some(self.path.clone()), ..TenantsConfig::default() };
        Tenants::load(config, Clock::Manual(Arc::clone(now_ms)))
    }
}

fn tenant(name: &str) -> Tenant {
    Tenant::parse(name).unwrap()
}

/// The business date of 2026-11-23T02:30:00Z.
fn date_at_half_past_two(tenants: &Tenants, name: &str) -> String {
    date_at(tenants, name, 1_795_401_000_000)
}

fn date_at(tenants: &Tenants, name: &str, instant_ms: i64) -> String {
    let settings = tenants.snapshot();
    let calendar = settings.calendar(&tenant(name), Instant::now()).unwrap();
    calendar.business_date(nanoseconds(instant_ms)).unwrap().to_string()
}

/// Reads the file again; whose change is refused.
fn rejected(tenants: &Tenants) -> Vec<Tenant> {
    tenants.reload().unwrap().rejected.into_iter().map(|change| change.tenant).collect()
}

fn nanoseconds(instant_ms: i64) -> i128 {
    i128::from(instant_ms) * 1_000_000
}

fn rule(name: &str, zone: &str, effective_from: &str) -> String {
    let version = version(zone);
    format!(
        "[[rule]]\ntenant = \"{name}\"\nzone = \"{zone}\"\nzone_version = \"{version}\"\neffective_from = {effective_from}\n"
    )
}

fn version(zone: &str) -> String {
    ledger::ZoneVersion::of_this_program(zone).unwrap().to_string()
}

#[test]
fn zones_and_cut_offs_move_days_and_others_have_utc() {
    let late = "[[rule]]\ntenant = \"late\"\ncut_off = \"04:00\"\n";
    let file = TenantsFile::new(&(rule("sp", "America/Sao_Paulo", "1900-01-01") + late));
    let tenants = file.load().unwrap();
    assert_eq!(date_at_half_past_two(&tenants, "sp"), "2026-11-22");
    assert_eq!(date_at_half_past_two(&tenants, "late"), "2026-11-22");
    assert_eq!(date_at_half_past_two(&tenants, "other"), "2026-11-23");
    let without = Tenants::load(TenantsConfig::default(), Clock::System).unwrap();
    assert_eq!(date_at_half_past_two(&without, "sp"), "2026-11-23");
}

#[test]
fn mistakes_are_told_with_their_line() {
    let first = "[[rule]]\ntenant = \"acme\"\n\n";
    for (text, line, word) in [
        ("[[rule]]\ntenant = \"a b\"\n", 5, "tenant"),
        ("[[rule]]\ntenant = \"x\"\nzone = \"Mars/Olympus\"\n", 6, "Mars/Olympus"),
        ("[[rule]]\ntenant = \"x\"\nzone = \"Asia/Tokyo\"\n", 6, "needs zone_version"),
        ("[[rule]]\ntenant = \"x\"\nzone = \"Asia/Tokyo\"\nzone_version = \"2026a\"\n", 7, "zone_version"),
        ("[[rule]]\ntenant = \"x\"\ncut_off = \"24:00\"\n", 6, "cut_off"),
        ("[[rule]]\ntenant = \"x\"\ncut_off = \"4:00\"\n", 6, "cut_off"),
        ("[[rule]]\ntenant = \"x\"\n\neffective_from = \"2026-02-30\"\n", 7, "effective_from"),
        ("[[rule]]\ntenant = \"x\"\nzone_name = \"UTC\"\n", 6, "zone_name"),
        ("[[rule]]\ntenant = \n", 5, ""),
        ("[[rule]]\ntenant = \"acme\"\n", 4, "two rules"),
        ("[rule]\n", 4, ""),
        ("[[rules]]\ntenant = \"x\"\n", 4, "rules"),
    ] {
        let Err(error) = TenantsFile::new(&format!("{first}{text}")).load() else { panic!("{text} is taken") };
        let error = error.to_string();
        assert!(error.contains(&format!("line {line}")) && error.contains(word), "{text}: {error}");
    }
    let missing = TenantsConfig { file: Some("/nowhere/tenants.toml".into()), ..TenantsConfig::default() };
    assert!(Tenants::load(missing, Clock::System).unwrap_err().to_string().contains("/nowhere/tenants.toml"));
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
        assert_eq!(rejected(&tenants), expected, "{change}");
        assert_eq!(date_at_half_past_two(&tenants, "acme"), "2026-11-23");
    }
    file.write(&(rule("acme", "UTC", "2026-01-01") + &rule("new", "America/Sao_Paulo", "2026-11-01")));
    assert_eq!(rejected(&tenants), [tenant("new")], "it may have launches in UTC already");
    assert_eq!(date_at_half_past_two(&tenants, "new"), "2026-11-23");
}

/// With the latest days on earth before the change and the earliest after it: the change is the first that is taken, and an
/// instant whose day was derived before keeps it.
#[test]
fn no_change_that_is_taken_moves_a_day_that_could_be_derived_before() {
    let late = "[[rule]]\ntenant = \"acme\"\nzone = \"Etc/GMT+12\"\ncut_off = \"23:59\"\n";
    let (file, now_ms) = (TenantsFile::new(late), Arc::new(AtomicI64::new(0)));
    for hours in 0..48 {
        now_ms.store(NOW_MS + hours * HOUR_MS, Relaxed);
        file.write(late);
        let tenants = file.load_at(&now_ms).unwrap();
        let settled = |instant: &i64| tenants.snapshot().is_settled(nanoseconds(*instant));
        let instants = (-72..96).map(|ahead| now_ms.load(Relaxed) + ahead * HOUR_MS);
        let before: Vec<_> = instants.filter(settled).map(|at| (at, date_at(&tenants, "acme", at))).collect();
        assert!(
            before.iter().any(|(at, _)| *at > now_ms.load(Relaxed) + 9 * HOUR_MS),
            "clocks of callers may be wrong"
        );
        let first = horizon::earliest_change(now_ms.load(Relaxed), tenants.config.stale_ms);
        for (days_early, refused) in [(1, vec![tenant("acme")]), (0, Vec::new())] {
            let change = BusinessDate::from_days(first.days() - days_early).unwrap();
            file.write(&format!("{late}{}", rule("acme", "Pacific/Kiritimati", &change.to_string())));
            assert_eq!(rejected(&tenants), refused);
        }
        let after = before.iter().map(|(at, _)| (*at, date_at(&tenants, "acme", *at)));
        assert_eq!(after.collect::<Vec<_>>(), before);
    }
}

#[test]
fn what_has_been_settled_stays_so_and_bars_changes_though_the_clock_is_set_back() {
    let file = TenantsFile::new(&rule("acme", "UTC", "2026-01-01"));
    let now_ms = Arc::new(AtomicI64::new(NOW_MS));
    let tenants = file.load_at(&now_ms).unwrap();
    let in_five_days = nanoseconds(NOW_MS + 5 * DAY_MS);
    assert!(!tenants.snapshot().is_settled(in_five_days));
    now_ms.store(NOW_MS + 5 * DAY_MS, Relaxed);
    assert!(tenants.snapshot().is_settled(in_five_days));
    now_ms.store(NOW_MS, Relaxed);
    assert!(tenants.snapshot().is_settled(in_five_days), "its day may have been derived meanwhile");
    for (date, refused) in [("2026-11-29", vec![tenant("acme")]), ("2026-11-30", Vec::new())] {
        file.write(&(rule("acme", "UTC", "2026-01-01") + &rule("acme", "America/Sao_Paulo", date)));
        assert_eq!(rejected(&tenants), refused, "{date}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_not_confirmed_grows_stale_for_whom_it_concerns() {
    let file = TenantsFile::new(&rule("acme", "UTC", "2026-01-01"));
    let tenants = file.load().unwrap();
    let fresh = |name| tenants.snapshot().calendar(&tenant(name), Instant::now()).is_ok();
    tokio::time::advance(Duration::from_secs(59)).await;
    assert!(fresh("acme") && fresh("other"));
    file.write(&rule("acme", "America/Sao_Paulo", "2026-01-01"));
    assert_eq!(rejected(&tenants), [tenant("acme")]);
    tokio::time::advance(Duration::from_secs(2)).await;
    assert!(!fresh("acme") && fresh("other"), "only the refused one is stale");
    file.write("not toml");
    assert!(tenants.reload().is_err());
    tokio::time::advance(Duration::from_secs(60)).await;
    assert!(!fresh("acme") && !fresh("other"));
    file.write(&rule("acme", "UTC", "2026-01-01"));
    assert_eq!(rejected(&tenants), []);
    assert!(fresh("acme") && fresh("other"));
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_set_back_lets_no_change_reach_days_that_have_launches() {
    let file = TenantsFile::new(&rule("acme", "UTC", "2026-01-01"));
    let (now_ms, shutdown) = (Arc::new(AtomicI64::new(NOW_MS)), Shutdown::new());
    let tenants = file.load_at(&now_ms).unwrap();
    let keeping = tokio::spawn(keep_fresh(tenants.clone(), shutdown.clone()));
    tokio::task::yield_now().await;
    now_ms.store(NOW_MS - 30 * DAY_MS, Relaxed);
    file.write(&(rule("acme", "UTC", "2026-01-01") + &rule("acme", "America/Sao_Paulo", "2026-11-20")));
    tokio::time::sleep(Duration::from_secs(59)).await;
    assert_eq!(date_at_half_past_two(&tenants, "acme"), "2026-11-23");
    tokio::time::sleep(Duration::from_secs(2)).await;
    let is_fresh = tenants.snapshot().calendar(&tenant("acme"), Instant::now()).is_ok();
    assert!(!is_fresh, "the change is refused, and somebody notices");
    shutdown.begin(Duration::ZERO);
    keeping.await.unwrap();
}

fn texts(changes: &[Change]) -> Vec<String> {
    changes.iter().map(ToString::to_string).collect()
}

#[test]
fn a_reading_tells_what_is_taken_and_what_is_refused_and_which_date_would_do() {
    let old = rule("acme", "UTC", "2026-01-01");
    let file = TenantsFile::new(&old);
    let tenants = file.load().unwrap();
    assert_eq!(tenants.reload().unwrap().accepted, [], "nothing has changed");
    let late = rule("acme", "America/Sao_Paulo", "").trim_end().to_owned();
    let late = late.replace("effective_from", "cut_off = \"04:00\"\neffective_from");
    file.write(&format!("{old}{late}2026-11-24\n"));
    let reading = tenants.reload().unwrap();
    let text = "tenant acme from 2026-11-24 on: America/Sao_Paulo, days begin at 04:00";
    assert_eq!((texts(&reading.accepted), texts(&reading.rejected)), (vec![], vec![text.to_owned()]));
    assert_eq!(reading.earliest.to_string(), "2026-11-25");
    assert_eq!(tenants.rejected(), 1);
    let remark = tenants.remark().unwrap();
    assert!(remark.contains(text) && remark.contains("2026-11-25") && remark.contains("will be refused"), "{remark}");

    file.write(&format!("{old}{late}2026-11-25\n{}", rule("new", "Asia/Tokyo", "2027-01-01")));
    let reading = tenants.reload().unwrap();
    let new = "tenant new from 2027-01-01 on: Asia/Tokyo, days begin at 00:00";
    assert_eq!(texts(&reading.accepted), [text.replace("24", "25"), new.to_owned()]);
    assert_eq!((reading.rejected, tenants.rejected(), tenants.remark()), (vec![], 0, None));

    file.write(&old);
    let reading = tenants.reload().unwrap();
    let back = "tenant acme from 2026-11-25 on: UTC, days begin at 00:00";
    assert_eq!(texts(&reading.accepted), [new.replace("Asia/Tokyo", "UTC"), back.to_owned()]);
    assert!(tenants.reload().unwrap().accepted.is_empty(), "the removed tenant is forgotten");
}

#[tokio::test(start_paused = true)]
async fn the_age_is_that_of_the_oldest_settings() {
    let file = TenantsFile::new(&(rule("acme", "UTC", "2026-01-01") + &rule("b", "UTC", "2026-01-01")));
    let tenants = file.load().unwrap();
    let age_s = || tenants.age(Instant::now()).as_secs();
    tokio::time::advance(Duration::from_secs(50)).await;
    assert_eq!(age_s(), 50);
    file.write(&(rule("acme", "Asia/Tokyo", "2026-01-01") + &rule("b", "UTC", "2026-01-01")));
    assert_eq!(rejected(&tenants), [tenant("acme")]);
    tokio::time::advance(Duration::from_secs(20)).await;
    assert_eq!(age_s(), 70, "not confirmed by the reading that refused them");
    assert!(tenants.remark().unwrap().ends_with("; launches without a date are refused"));
    file.write("not toml");
    assert!(tenants.reload().is_err());
    assert!(tenants.remark().unwrap().contains("line 1"));
    file.write(&(rule("acme", "UTC", "2026-01-01") + &rule("b", "UTC", "2026-01-01")));
    assert_eq!(rejected(&tenants), []);
    assert_eq!((age_s(), tenants.remark()), (0, None));
    let without = Tenants::load(TenantsConfig::default(), Clock::System).unwrap();
    tokio::time::advance(Duration::from_secs(1_000)).await;
    assert_eq!((without.age(Instant::now()), without.remark()), (Duration::ZERO, None));
}

/// An upgrade brings other data of a zone, while instances of the old program still run.
#[test]
fn a_program_derives_no_day_from_data_that_the_rule_does_not_name() {
    let zone = "America/Sao_Paulo";
    let (named, other) = (rule("acme", zone, "2026-01-01"), "0123456789abcdef");
    let file = TenantsFile::new(&named.replace(&version(zone), other));
    let tenants = file.load().unwrap();
    let now_ms = Arc::new(AtomicI64::new(NOW_MS));
    let derived = |tenants: &Tenants, at_ms: i64| {
        tenants.snapshot().calendar(&tenant("acme"), Instant::now()).unwrap().business_date(nanoseconds(at_ms))
    };
    assert_eq!(derived(&tenants, NOW_MS), Err(NoDate::OtherVersion));
    assert_eq!(tenants.rejected(), 1);
    assert!(tenants.remark().unwrap().contains("(acme) name other time-zone data"), "from the start on");
    assert_eq!(tenants.reload().unwrap().other_version, [tenant("acme")]);

    // From a date to come on the program's own data are named: it derives days from then on, and none before.
    let handover = named.replace(&version(zone), other) + &rule("acme", zone, "2026-11-25");
    file.write(&handover);
    let tenants = file.load_at(&now_ms).unwrap();
    let begins_ms = 1_795_564_800_000;
    assert_eq!(derived(&tenants, begins_ms - 1), Err(NoDate::OtherVersion));
    assert_eq!(derived(&tenants, begins_ms).unwrap().to_string(), "2026-11-24");
    now_ms.store(begins_ms, Relaxed);
    assert_eq!(tenants.reload().unwrap().other_version, []);
    assert_eq!((tenants.rejected(), tenants.remark()), (0, None));

    // A version that changes for days gone by is a change like any other.
    file.write(&named);
    assert_eq!(rejected(&tenants), [tenant("acme")]);
}

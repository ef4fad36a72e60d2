//! The clock is stepped and a tenant's time zone changes while launches are posted whose days must be derived.

use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, ensure};
use ledger::{BusinessDate, ZoneVersion};
use rand::{Rng, RngExt, SeedableRng, rngs::StdRng};
use serde_json::json;
use tokio::time::sleep;

use super::{
    history::History,
    kills::some_moment,
    load::Load,
    poster::label,
    report::Report,
    stage::{PAUSE, Stage},
};
use crate::{client::Client, client::TENANT, pipeline::Setup};

const CALLERS: u64 = 3;
const DAY_MS: i64 = 86_400_000;
/// The day from today on which the zone changes: after the last that is settled when the change is announced, and before the
/// last that the clock comes to.
const CHANGE: i64 = 4;
/// How long a step or a file is left alone: several readings of the file.
const STEP_MS: u64 = 600;
/// A zone, a cut-off, and the number of days from today on which both begin.
type Rule = (&'static str, &'static str, i64);
/// What holds at first: the latest days, so that a change has as much as possible to move.
const FIRST: Rule = ("Etc/GMT+12", "23:59", -1_000);

/// Dates by id, as the answers named them.
type Dates = BTreeMap<String, String>;

/// Steps forwards and backwards, a zone that changes on a day to come, and one that would change days gone by, while launches
/// are posted that have occurred and that have not: one that is taken stays on the day that it was first counted on, however
/// often and whenever it is repeated.
pub async fn stepped(seed: u64) -> anyhow::Result<Report> {
    let mut random = StdRng::seed_from_u64(seed);
    let folder = tempfile::tempdir()?;
    let (tenants, step) = (folder.path().join("tenants.toml"), folder.path().join("step"));
    write_rules(&tenants, &[FIRST])?;
    let mut stage = Stage::with(setup(&tenants, &step)).await?;
    let load = Load::start(&stage, seed)?;
    let stop = Arc::new(AtomicBool::new(false));
    let callers: Vec<_> = (0..CALLERS)
        .map(|number| Caller::new(stage.client().map(|client| (client, Arc::clone(&stop))), seed, number, &load))
        .collect::<anyhow::Result<_>>()?;
    let callers: Vec<_> = callers.into_iter().map(|caller| tokio::spawn(caller.post_until_stopped())).collect();

    let announced = [FIRST, ("Asia/Tokyo", "00:00", CHANGE)];
    let too_early = [FIRST, ("Asia/Tokyo", "00:00", -1)];
    for (days, rules) in [
        (1, &announced[..1]),
        (0, &announced),
        (-5, &too_early),
        (-5, &announced),
        (2, &announced),
        (CHANGE, &announced),
        (0, &announced),
    ] {
        write_rules(&tenants, rules)?;
        fs::write(&step, (days * DAY_MS).to_string())?;
        sleep(Duration::from_millis(STEP_MS)).await;
        some_moment(&mut random, STEP_MS).await;
    }
    stop.store(true, Ordering::Relaxed);
    let mut dates = Vec::new();
    for caller in callers {
        dates.push(caller.await??);
    }
    let (report, history) = load.judge_with_history(&stage).await?;
    ensure!(report.has_seen("time_in_future"), "no launch was refused for being to come: {report:?}");
    dates.iter().zip(0..).try_for_each(|(dates, number)| check(&history, &account(number), dates))?;
    stage.stop().await?;
    Ok(report)
}

fn setup(tenants: &Path, step: &Path) -> Setup {
    let variables = [
        ("SALDO_TENANTS", tenants.display().to_string()),
        ("SALDO_TENANTS_RELOAD_MS", "50".to_owned()),
        ("SALDO_CLOCK_STEP_FILE", step.display().to_string()),
    ];
    let variables = variables.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    Setup { variables, ..Setup::default() }
}

/// Writes the tenant's rules. Replaced as a whole: half a file must not be read.
fn write_rules(file: &Path, rules: &[Rule]) -> anyhow::Result<()> {
    let mut text = String::new();
    for (zone, cut_off, days) in rules {
        let date = date(*days)?;
        text += &format!("[[rule]]\ntenant = \"{TENANT}\"\nzone = \"{zone}\"\ncut_off = \"{cut_off}\"\n");
        let version = ZoneVersion::of_this_program(zone)?;
        text += &format!("zone_version = \"{version}\"\neffective_from = {date}\n\n");
    }
    let written = file.with_extension("new");
    fs::write(&written, text)?;
    Ok(fs::rename(written, file)?)
}

/// The day that lies this many days after today.
fn date(days: i64) -> anyhow::Result<BusinessDate> {
    let today = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs())? / 86_400;
    BusinessDate::from_days(i32::try_from(today + days)?).context("no such day")
}

fn account(number: u64) -> String {
    format!("clock-{number}")
}

/// Each launch stands on one day, and every one that was acknowledged counts on the day that the answer named.
fn check(history: &History, account: &str, dates: &Dates) -> anyhow::Result<()> {
    let mut counted: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (_, date, id) in history.standing.keys().filter(|key| key.0 == account) {
        counted.entry(id).or_default().push(date);
    }
    for (id, days) in &counted {
        ensure!(days.len() == 1, "{account} {id} counts on {days:?}");
    }
    for (id, date) in dates {
        ensure!(counted.get(id.as_str()).is_some_and(|days| days == &[date]), "{account} {id} is not on {date}");
    }
    ensure!(!dates.is_empty(), "a caller that was never answered shows nothing");
    Ok(())
}

/// Posts launches that name an instant and no day, again and again, and launches that name neither.
struct Caller {
    client: Client,
    stop: Arc<AtomicBool>,
    random: StdRng,
    account: String,
    /// When each launch occurred, by id.
    occurred: Vec<(String, String)>,
    dates: Dates,
    book: Arc<super::book::Book>,
}

impl Caller {
    fn new(
        given: anyhow::Result<(Client, Arc<AtomicBool>)>,
        seed: u64,
        number: u64,
        load: &Load,
    ) -> anyhow::Result<Self> {
        let (client, stop) = given?;
        let random = StdRng::seed_from_u64(seed.wrapping_mul(10).wrapping_add(number));
        let (account, book) = (account(number), Arc::clone(&load.book));
        Ok(Self { client, stop, random, account, occurred: Vec::new(), dates: Dates::new(), book })
    }

    async fn post_until_stopped(mut self) -> anyhow::Result<Dates> {
        while !self.stop.load(Ordering::Relaxed) {
            match self.random.random_range(0..10_u8) {
                0 => self.post_bare().await?,
                1..5 if !self.occurred.is_empty() => {
                    let known = self.random.random_range(0..self.occurred.len());
                    self.post_dated(known).await?;
                }
                _ => {
                    let occurred_at = instant(&mut self.random)?;
                    self.occurred.push((format!("i-{}", self.occurred.len()), occurred_at));
                    self.post_dated(self.occurred.len() - 1).await?;
                }
            }
            sleep(PAUSE).await;
        }
        for known in 0..self.occurred.len() {
            self.post_dated(known).await?;
        }
        Ok(self.dates)
    }

    async fn post_dated(&mut self, known: usize) -> anyhow::Result<()> {
        let (id, occurred_at) = self.occurred[known].clone();
        let body = json!({"id": id, "account": self.account, "occurred_at": occurred_at, "kind": "credit",
            "amount": "1.00", "currency": "BRL"});
        self.post(Some(&id), body.to_string()).await
    }

    async fn post_bare(&mut self) -> anyhow::Result<()> {
        let body = json!({"account": self.account, "kind": "credit", "amount": "1.00", "currency": "BRL"});
        self.post(None, body.to_string()).await
    }

    async fn post(&mut self, id: Option<&str>, body: String) -> anyhow::Result<()> {
        let sent_at = std::time::Instant::now();
        let answer = self.client.post_body("application/json", body).await;
        self.book.report().saw(label("POST", &answer), sent_at.elapsed());
        let answer = answer?;
        if answer.status == 422 {
            // Not to be confused with a launch that was taken before: that must always be known.
            ensure!(answer.body["type"] == "urn:saldo:problem:time_in_future", "unexpected: {answer:?}");
            ensure!(!id.is_some_and(|id| self.dates.contains_key(id)), "taken, and now to come: {answer:?}");
            return Ok(());
        }
        ensure!(matches!(answer.status, 200 | 201), "unexpected: {answer:?}");
        let text = |field: &str| answer.body[field].as_str().map(str::to_owned).context("an answer names id and date");
        let (id, date) = (text("id")?, text("date")?);
        let first = self.dates.entry(id).or_insert_with(|| date.clone());
        ensure!(*first == date, "a launch of {first} is answered as of {date}: {answer:?}");
        Ok(())
    }
}

/// An hour near midnight in one of the zones, from some days ago to some after the change.
fn instant(random: &mut impl Rng) -> anyhow::Result<String> {
    let (day, hour) =
        (random.random_range(-3..=CHANGE + 2), [0, 1, 9, 10, 11, 12, 15, 23][random.random_range(0..8_usize)]);
    Ok(format!("{}T{hour:02}:30:00Z", date(day)?))
}

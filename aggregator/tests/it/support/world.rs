//! Everything of one test.

use std::{fmt::Write, net::SocketAddr, sync::Arc, time::Duration};

use aggregator::{AggregatorConfig, Dependencies, Threads};
use ledger::{Balance, BusinessDate, Grain, Place, RowKey, Tenant, Totals};
use nats::{Changes, Client, ClientConfig, Log, LogSettings, NoticeEvent, Parked, ParkedSettings, subjects};
use retry::Shutdown;
use store::{AccountRead, Store};
use testkit::{NatsServer, NatsServerOptions, TempDir, wait_until_async};
use tokio::{net::TcpListener, task::JoinHandle};

use super::{Line, Model, RawNats, WatchedStore};

/// How long a test waits for what must happen.
pub const DEADLINE: Duration = Duration::from_secs(60);
/// Lanes of the log.
pub const PARTITIONS: u16 = 3;
/// How long an aggregator may take to stop.
const GRACE: Duration = Duration::from_secs(20);
/// All rows of a grain.
const EVER: (BusinessDate, BusinessDate) = (BusinessDate::MIN, BusinessDate::MAX);

/// A log, a store, and what was published so far.
pub struct World {
    pub server: NatsServer,
    pub store: Arc<WatchedStore>,
    pub client: Client,
    pub log: Log,
    pub parked: Parked,
    pub model: Model,
    pub config: AggregatorConfig,
    /// Where lanes work; none to choose from if not said.
    pub threads: Option<Threads>,
    /// The stream's last sequence once everything published is stored.
    pub published: u64,
    _folder: TempDir,
}

/// A running aggregator.
pub struct Running {
    task: JoinHandle<anyhow::Result<()>>,
    shutdown: Shutdown,
    address: SocketAddr,
}

impl World {
    pub async fn new() -> anyhow::Result<Self> {
        Self::with(NatsServer::options(), -1).await
    }

    /// With a server of these options, and so many bytes for parked messages.
    pub async fn with(options: NatsServerOptions, parked_bytes: i64) -> anyhow::Result<Self> {
        let folder = testkit::temp_folder()?;
        let store = WatchedStore::open(&folder.path().join("store"))?;
        Self::of(options, parked_bytes, store, folder).await
    }

    /// Over another store than the embedded one.
    pub async fn over(store: Arc<dyn Store>) -> anyhow::Result<Self> {
        Self::of(NatsServer::options(), -1, WatchedStore::over(store), testkit::temp_folder()?).await
    }

    async fn of(
        options: NatsServerOptions,
        parked_bytes: i64,
        store: WatchedStore,
        folder: TempDir,
    ) -> anyhow::Result<Self> {
        let server = options.start()?;
        let client = connect(&server.url()).await?;
        Ok(Self {
            log: Log::ensure(&client, &log_settings()).await?,
            parked: Parked::ensure(&client, &ParkedSettings { replicas: 1, max_bytes: parked_bytes }).await?,
            store: Arc::new(store),
            model: Model::default(),
            config: AggregatorConfig { refused_retry_ms: 200, ..AggregatorConfig::default() },
            threads: None,
            published: 0,
            client,
            server,
            _folder: folder,
        })
    }

    pub async fn raw(&self) -> anyhow::Result<RawNats> {
        RawNats::connect(self.server.port()).await
    }

    /// Publishes messages by hand, folds them into the model, and waits until the log has them.
    pub async fn publish(&mut self, messages: &[(u16, Vec<Line>)]) -> anyhow::Result<()> {
        let mut raw = self.raw().await?;
        for (lane, lines) in messages {
            let text: Vec<String> = lines.iter().map(Line::text).collect();
            raw.publish(&subjects::lane_subject(*lane), text.join("\n").as_bytes()).await?;
            self.model.add(*lane, lines);
        }
        self.wait_until_stored(messages.len()).await
    }

    /// Waits until the log has so many messages more.
    pub async fn wait_until_stored(&mut self, messages: usize) -> anyhow::Result<()> {
        self.published += u64::try_from(messages)?;
        wait_until_async("the log to have what was published", DEADLINE, async || {
            (self.log.usage().await.ok()?.last_sequence >= self.published).then_some(())
        })
        .await
    }

    /// Waits until the log answers: after the server was restarted.
    pub async fn wait_until_connected(&self) -> anyhow::Result<()> {
        let answers = async || self.log.usage().await.is_ok().then_some(());
        wait_until_async("the log to answer", DEADLINE, answers).await
    }

    /// Opens the log again: after its stream was made anew.
    pub async fn reopen_log(&mut self) -> anyhow::Result<()> {
        self.reopen_log_with(PARTITIONS).await
    }

    /// The same with another number of lanes.
    pub async fn reopen_log_with(&mut self, partitions: u16) -> anyhow::Result<()> {
        self.log = Log::ensure(&self.client, &LogSettings { partitions, ..log_settings() }).await?;
        self.published = 0;
        Ok(())
    }

    /// Starts an aggregator over log and store.
    pub async fn start(&self) -> anyhow::Result<Running> {
        self.start_over(Arc::clone(&self.store) as _).await
    }

    /// Starts an aggregator with its own view of the store.
    pub async fn start_over(&self, store: Arc<dyn Store>) -> anyhow::Result<Running> {
        let dependencies = Dependencies {
            log: self.log.clone(),
            changes: Changes::new(self.client.clone(), self.log.identity().epoch),
            parked: self.parked.clone(),
            store,
            leases: None,
            threads: self.threads.clone(),
        };
        Running::start(self.config.clone(), dependencies).await
    }

    /// Waits until everything on the log is applied.
    pub async fn wait_until_applied(&self) -> anyhow::Result<()> {
        for partition in 0..PARTITIONS {
            let end = self.log.lane_end(partition).await?.map_or(0, |message| message.sequence);
            wait_until_async("the lane's end to be applied", DEADLINE, async || {
                (self.applied(partition).await? >= end).then_some(())
            })
            .await?;
        }
        Ok(())
    }

    /// Waits until every lane has sent so many notices more: each sends one every second, whether or not it commits.
    pub async fn wait_for_heartbeats(&self, count: usize) -> anyhow::Result<()> {
        let mut notices = Changes::new(self.client.clone(), self.log.identity().epoch).subscribe().await?;
        let mut heard = vec![0; usize::from(PARTITIONS)];
        while heard.iter().any(|heard| *heard < count) {
            match tokio::time::timeout(DEADLINE, notices.next()).await? {
                Some(NoticeEvent::Notice(notice)) => heard[usize::from(notice.partition)] += 1,
                other => anyhow::bail!("{other:?}"),
            }
        }
        Ok(())
    }

    /// Up to where a lane is applied; `None` while the store says nothing.
    pub async fn applied(&self, partition: u16) -> Option<u64> {
        let state = self.store.partition_state(partition).await.ok()?;
        Some(state.progress.map_or(0, |progress| progress.sequence))
    }

    /// What is stored is what the model says, row by row and launch by launch.
    pub async fn check(&self) -> anyhow::Result<()> {
        self.check_rows().await?;
        let parked = self.parked.count().await?;
        anyhow::ensure!(parked == self.model.parked_messages, "{parked} parked, not {}", self.model.parked_messages);
        Ok(())
    }

    /// As [`World::check`], but for what is parked.
    pub async fn check_rows(&self) -> anyhow::Result<()> {
        self.check_accounts().await?;
        self.check_journals().await?;
        self.check_rollups().await?;
        anyhow::ensure!(self.store.contradictions() == 0, "a row was written twice with one stamp and other totals");
        Ok(())
    }

    /// Every row, every journal, and how far each lane is: as text, to be compared byte for byte. Without the rows' stamps: how
    /// the runs were cut is all that these tell, and two workers cut them as messages come.
    pub async fn everything(&self) -> anyhow::Result<String> {
        let mut text = String::new();
        let ranges = Grain::ALL.map(|grain| (grain, EVER.0, EVER.1)).to_vec();
        for key in self.model.rows.keys() {
            let view = self.store.account_view(&AccountRead { key: key.clone(), ranges: ranges.clone() }).await?;
            writeln!(text, "{key:?} {:?}", unstamped(view.rows))?;
        }
        for window in self.model.windows().keys() {
            writeln!(text, "{window:?} {:?}", self.store.launches(window, None, u64::MAX, 100_000).await?)?;
        }
        for partition in 0..PARTITIONS {
            writeln!(text, "{:?}", self.store.partition_state(partition).await?)?;
            for tenant in self.model.tenants() {
                let rows = self.store.rollup_view(&tenant, partition, &ranges).await?.rows;
                writeln!(text, "{tenant} {partition} {:?}", unstamped(rows))?;
            }
        }
        Ok(text)
    }

    async fn check_accounts(&self) -> anyhow::Result<()> {
        for (key, wanted) in &self.model.rows {
            let ranges = Grain::ALL.map(|grain| (grain, EVER.0, EVER.1)).to_vec();
            let view = self.store.account_view(&AccountRead { key: key.clone(), ranges }).await?;
            let found = view.rows.into_iter().map(|(row, balance)| (row, balance.totals)).collect();
            anyhow::ensure!(*wanted == found, "{key:?}: wanted {wanted:?}, found {found:?}");
        }
        for tenant in self.model.tenants() {
            let found = self.store.accounts(&tenant, None, 1_000).await?;
            let wanted = self.model.rows.keys().filter(|key| key.tenant == tenant).map(|key| key.account.clone());
            anyhow::ensure!(found.iter().cloned().eq(wanted), "accounts of {tenant}: {found:?}");
        }
        Ok(())
    }

    async fn check_journals(&self) -> anyhow::Result<()> {
        for (window, wanted) in self.model.windows() {
            let page = self.store.launches(&window, None, u64::MAX, 100_000).await?;
            anyhow::ensure!(page.facts.len() == wanted, "{window:?}: {} launches, not {wanted}", page.facts.len());
        }
        Ok(())
    }

    async fn check_rollups(&self) -> anyhow::Result<()> {
        for tenant in self.model.tenants() {
            let (found, wanted) = (self.lifetime_of_lanes(&tenant).await?, self.lifetime_of_accounts(&tenant));
            anyhow::ensure!(found == wanted, "{tenant}: the lanes have {found:?}, the accounts {wanted:?}");
        }
        Ok(())
    }

    async fn lifetime_of_lanes(&self, tenant: &Tenant) -> anyhow::Result<(i128, u64)> {
        let mut sum = (0, 0);
        for partition in 0..PARTITIONS {
            let range = (Grain::Lifetime, EVER.0, EVER.1);
            for (_, balance) in self.store.rollup_view(tenant, partition, &[range]).await?.rows {
                sum = (sum.0 + balance.totals.net(), sum.1 + balance.totals.count());
            }
        }
        Ok(sum)
    }

    fn lifetime_of_accounts(&self, tenant: &Tenant) -> (i128, u64) {
        let rows = self.model.rows.iter().filter(|(key, _)| key.tenant == *tenant).flat_map(|(_, rows)| rows);
        let lifetimes = rows.filter(|(row, _)| row.grain == Grain::Lifetime);
        lifetimes.fold((0, 0), |sum, (_, totals)| (sum.0 + totals.net(), sum.1 + totals.count()))
    }
}

impl Running {
    pub async fn start(config: AggregatorConfig, dependencies: Dependencies) -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let shutdown = Shutdown::new();
        let task = tokio::spawn(aggregator::run(config, listener, dependencies, shutdown.clone()));
        Ok(Self { task, shutdown, address })
    }

    /// Asks it to stop and waits until it has.
    pub async fn stop(self) -> anyhow::Result<()> {
        self.shutdown.begin(GRACE);
        tokio::time::timeout(GRACE + Duration::from_secs(5), self.task).await??
    }

    /// Waits until it ends by itself.
    pub async fn ended(self) -> anyhow::Result<()> {
        tokio::time::timeout(DEADLINE, self.task).await??
    }

    /// Drops its future, whatever it is doing.
    pub async fn kill(self) {
        self.task.abort();
        assert!(self.task.await.is_err_and(|error| error.is_cancelled()), "it runs until it is killed");
    }

    pub async fn get(&self, path: &str) -> anyhow::Result<(u16, String)> {
        let answer = reqwest::get(format!("http://{}{path}", self.address)).await?;
        Ok((answer.status().as_u16(), answer.text().await?))
    }

    /// Waits until `/health/ready` says no with a sentence that holds `part`.
    pub async fn wait_until_not_ready(&self, part: &str) -> anyhow::Result<()> {
        wait_until_async(&format!("not ready: {part}"), DEADLINE, async || {
            let (status, text) = self.get("/health/ready").await.ok()?;
            (status == 503 && text.contains(part)).then_some(())
        })
        .await
    }

    pub async fn wait_until_ready(&self) -> anyhow::Result<()> {
        wait_until_async("ready", DEADLINE, async || (self.get("/health/ready").await.ok()?.0 == 200).then_some(()))
            .await
    }

    /// The sum of a metric over all its labels; `None` when there is none of that name, or none with that label.
    pub async fn metric(&self, name: &str, label: &str) -> anyhow::Result<Option<f64>> {
        let (_, text) = self.get("/metrics").await?;
        let lines = text.lines().filter_map(|line| line.strip_prefix("saldo_aggregator_")?.strip_prefix(name));
        let values = lines.filter(|rest| rest.starts_with(['{', ' ']) && rest.contains(label));
        let numbers: Vec<f64> = values.filter_map(|rest| rest.rsplit(' ').next()?.parse().ok()).collect();
        Ok((!numbers.is_empty()).then(|| numbers.iter().sum()))
    }

    /// Waits until a metric has this value.
    pub async fn wait_for_metric(&self, name: &str, label: &str, wanted: f64) -> anyhow::Result<()> {
        wait_until_async(&format!("{name}{{{label}}} to be {wanted}"), DEADLINE, async || {
            (self.metric(name, label).await.ok()? == Some(wanted)).then_some(())
        })
        .await
    }
}

fn unstamped(rows: Vec<(RowKey, Balance)>) -> Vec<(RowKey, Totals, Place)> {
    rows.into_iter().map(|(key, balance)| (key, balance.totals, balance.changed)).collect()
}

pub async fn connect(url: &str) -> anyhow::Result<Client> {
    let config = ClientConfig {
        url: url.to_owned(),
        name: "aggregator-test".to_owned(),
        user: None,
        password: None,
        credentials_file: None,
        connect_timeout_ms: 5_000,
    };
    Ok(Client::connect(&config).await?)
}

fn log_settings() -> LogSettings {
    LogSettings { partitions: PARTITIONS, replicas: 1, max_bytes: -1, epoch: 1 }
}

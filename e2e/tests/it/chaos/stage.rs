//! The pipeline of a round, on ports that it keeps when it is started again.

use std::{
    path::Path,
    process::Command,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};

use super::{probes::Probes, report::Report, tested::Tested};
use crate::{
    client::Client,
    log::LogAt,
    pipeline::{Data, Pipeline, Setup},
};

/// How long anything may take on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(120);
/// Pause before something is asked again.
pub const PAUSE: Duration = Duration::from_millis(20);
/// The account of the launches that show that all is well again.
pub const PROBED: &str = "probe";

/// A pipeline that is broken and started again.
pub struct Stage {
    setup: Setup,
    running: Option<Pipeline>,
    data: Data,
    probes: Probes,
}

impl Stage {
    /// Starts a pipeline on an empty folder.
    pub async fn new() -> anyhow::Result<Self> {
        Self::with(Setup::default()).await
    }

    /// Starts one with a program or variables of one's choice, which later starts have, too. Its ports are chosen here.
    pub async fn with(setup: Setup) -> anyhow::Result<Self> {
        let setup = Setup { ports: testkit::lasting_ports()?, ..setup };
        let probes = Probes::of(vec![PROBED.to_owned()]);
        let mut stage = Self { setup, running: None, data: Arc::new(tempfile::tempdir()?), probes };
        stage.start().await?;
        Ok(stage)
    }

    /// What later starts are started with.
    pub fn setup(&mut self) -> &mut Setup {
        &mut self.setup
    }

    /// The running pipeline.
    pub fn pipeline(&self) -> anyhow::Result<&Pipeline> {
        self.running.as_ref().context("the pipeline does not run")
    }

    /// Its data folder, also while it does not run.
    pub fn data(&self) -> &Path {
        self.data.path()
    }

    /// A caller that finds it also after it was started again.
    pub fn client(&self) -> anyhow::Result<Client> {
        Client::new(self.pipeline()?)
    }

    /// Starts it on the data that is there.
    pub async fn start(&mut self) -> anyhow::Result<()> {
        ensure!(self.running.is_none(), "the pipeline runs already");
        self.running = Some(Pipeline::start_with(Arc::clone(&self.data), &self.setup).await?);
        Ok(())
    }

    /// SIGKILL.
    pub fn kill(&mut self) -> anyhow::Result<()> {
        self.running.take().context("the pipeline does not run")?.kill().map(drop)
    }

    /// SIGTERM, and a successful end.
    pub async fn stop(&mut self) -> anyhow::Result<()> {
        self.running.take().context("the pipeline does not run")?.stop().await
    }

    /// Starts it with a fail point, once, and waits until it has ended there: perhaps before it was up.
    pub async fn start_until_it_fails(&mut self, fail_point: String) -> anyhow::Result<()> {
        let mut setup = self.setup.clone();
        setup.variables.push(("SALDO_FAIL_POINT".to_owned(), fail_point));
        match Pipeline::start_with(Arc::clone(&self.data), &setup).await {
            Ok(running) => running.wait_for_end().await,
            Err(error) if format!("{error:#}").contains("aborting at a fail point") => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Posts a launch until it is acknowledged and reads it back: all is well, which is noted as that long after `since`.
    pub async fn wait_until_well(&mut self, since: Instant, report: &mut Report) -> anyhow::Result<()> {
        report.well_again_after(self.probes.pass(&self.clients()?, since).await?);
        Ok(())
    }
}

impl Tested for Stage {
    fn clients(&self) -> anyhow::Result<Vec<Client>> {
        Ok(vec![self.client()?])
    }

    fn log(&self) -> anyhow::Result<LogAt> {
        Ok(self.pipeline()?.log())
    }

    fn probes(&self) -> &Probes {
        &self.probes
    }

    async fn stop(&mut self) -> anyhow::Result<()> {
        Self::stop(self).await
    }
}

/// Sends a signal such as `KILL` to a process; one that is gone needs none.
pub fn signal(id: u32, name: &str) -> anyhow::Result<()> {
    Command::new("kill").args([format!("-{name}"), id.to_string()]).output()?;
    Ok(())
}

/// Whether a process with this id exists.
pub fn is_alive(id: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{id}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}

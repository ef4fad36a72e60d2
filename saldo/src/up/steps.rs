//! What a person sees while Saldo starts and stops: one line a step on standard output.

use std::{
    fmt::Display,
    io::{Write, stdout},
    net::SocketAddr,
    time::Instant,
};

/// Tells the steps. Nobody may be reading: that is no error.
pub struct Steps {
    since: Instant,
}

impl Steps {
    /// From here the time is counted.
    pub fn begin() -> Self {
        Self { since: Instant::now() }
    }

    /// Something is done.
    pub fn done(&self, what: &str, how: impl Display) {
        let _nobody_reads = writeln!(stdout(), "{what:<12} {how}");
    }

    /// Everything runs.
    pub fn up(&self, ingest: SocketAddr, query: SocketAddr) {
        let seconds = self.since.elapsed().as_secs_f64();
        let today = jiff::Timestamp::now().strftime("%Y-%m-%d");
        let _nobody_reads = writeln!(
            stdout(),
            "\nSaldo is up after {seconds:.1} s. Ctrl-C stops it.\n\n\
             Post a launch and read its day:\n\n  \
             curl http://{ingest}/v1/launches -H 'Saldo-Tenant: acme' -H 'Content-Type: application/json' \\\n    \
             -d '{{\"id\":\"first-1\",\"account\":\"store-1\",\"date\":\"{today}\",\"kind\":\"credit\",\"amount\":\"150.75\",\
             \"currency\":\"BRL\"}}'\n  \
             curl http://{query}/v1/accounts/store-1/days/{today} -H 'Saldo-Tenant: acme'\n",
        );
    }
}

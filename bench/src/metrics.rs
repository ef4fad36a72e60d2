//! What a service tells of itself.

use std::net::SocketAddr;

use anyhow::{Context, ensure};

use crate::http::Connection;

/// Counters and gauges of one service, as they were when it was asked.
#[derive(Clone, Debug, Default)]
pub struct Metrics(String);

impl Metrics {
    /// Asks `/metrics`.
    pub async fn of(address: SocketAddr) -> anyhow::Result<Self> {
        let mut connection = Connection::open(address).await?;
        let answer = connection.exchange(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n").await?;
        ensure!(answer.status == 200, "no metrics: status {}", answer.status);
        Ok(Self(String::from_utf8(answer.body.to_vec()).context("metrics are no text")?))
    }

    /// The sum over all series of a name, in whole numbers; 0 when there is none.
    pub fn sum(&self, name: &str) -> u64 {
        let series = self.0.lines().filter_map(|line| line.strip_prefix(name));
        let values = series.filter(|rest| rest.starts_with(['{', ' '])).filter_map(|rest| rest.rsplit(' ').next());
        values.filter_map(|value| value.split('.').next()?.parse::<u64>().ok()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_of_a_name_are_added_and_others_are_not() {
        let metrics = Metrics(
            "# TYPE a counter\na_total{partition=\"0\"} 3\na_total{partition=\"1\"} 4.0\na_total_b 9\nb 1\n".to_owned(),
        );
        assert_eq!(metrics.sum("a_total"), 7);
        assert_eq!(metrics.sum("b"), 1);
        assert_eq!(metrics.sum("c"), 0);
    }
}

//! How old the settings are, for operators.

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{MetricType, gauge::ConstGauge},
};
use tokio::time::Instant;

use super::Tenants;

/// Gauges that are read when somebody asks for them.
#[derive(Debug)]
pub struct TenantsGauges(pub Tenants);

impl Collector for TenantsGauges {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let age_s = self.0.age(Instant::now()).as_secs_f64();
        let help = "Since the settings of a tenant were last confirmed, of the one for which that is longest ago";
        let metric = encoder.encode_descriptor("tenants_age_seconds", help, None, MetricType::Gauge)?;
        ConstGauge::new(age_s).encode(metric)?;
        let rejected = u64::try_from(self.0.rejected()).unwrap_or(u64::MAX);
        let help = "Tenants whose change of settings is refused, or whose rule names other time-zone data";
        let metric = encoder.encode_descriptor("tenants_rejected", help, None, MetricType::Gauge)?;
        ConstGauge::new(rejected).encode(metric)
    }
}

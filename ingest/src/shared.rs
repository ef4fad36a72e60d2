//! What all requests share.

use ledger::{Account, AccountKey, BusinessDate, Draft, Invalid, NoDate, Reason, Tenant};
use nats::Log;
use protocol::{
    lane::partition_of,
    log::{LogIdentity, LogName},
    position::LanePosition,
};
use retry::Shutdown;
use service::{Authenticator, FairPool};
use tokio::{runtime::Handle, time::Instant};

use crate::{
    clock::Clock,
    config::IngestConfig,
    flight::{Cause, Failure},
    http::BodyRoom,
    probe::LogState,
    publish::Lanes,
    tenants::{Snapshot, Tenants},
};

/// The state of one ingest.
pub struct Shared {
    /// How to publish.
    pub lanes: Lanes,
    /// The log.
    pub log: Log,
    /// Which log.
    pub identity: LogIdentity,
    /// What positions name it by.
    pub name: LogName,
    /// What the probe last saw of it.
    pub log_state: LogState,
    /// Zones and cut-offs.
    pub tenants: Tenants,
    /// What time it is.
    pub clock: Clock,
    /// Who the caller is.
    pub authenticator: Authenticator,
    /// Places for bulks.
    pub bulk_places: FairPool,
    /// Room for bodies that are read as a whole.
    pub body_room: BodyRoom,
    /// Bulks that compute at once, by turns.
    pub turns: FairPool,
    /// Where bulks are read.
    pub bulks: Handle,
    /// When to stop.
    pub shutdown: Shutdown,
    /// All bounds.
    pub config: IngestConfig,
}

/// Why a launch cannot be taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It is wrong; repeating it changes nothing.
    Invalid(Invalid),
    /// Not now.
    Unavailable(Failure),
}

impl From<Invalid> for Refusal {
    fn from(invalid: Invalid) -> Self {
        Self::Invalid(invalid)
    }
}

impl Shared {
    /// The lane of an account.
    pub fn partition(&self, tenant: &Tenant, account: &Account) -> u16 {
        let key = AccountKey { tenant: tenant.clone(), account: account.clone() };
        partition_of(&key, self.identity.partitions)
    }

    /// The position of one message.
    pub fn position(&self, partition: u16, sequence: u64) -> LanePosition {
        LanePosition { log: self.name, partition, sequence }
    }

    /// Whether publishing makes sense at all.
    ///
    /// # Errors
    /// The stream is not the one that this service was started with, or lost its end, or nobody knows yet.
    pub async fn check_log(&self) -> Result<(), Failure> {
        let is_looked_at = self.log_state.looked_on(self.log.connections()).await;
        let is_ours = self.log_state.is_ours() && self.log.went_back().is_none();
        if is_looked_at && is_ours { Ok(()) } else { Err(Failure::new(Cause::LogUnavailable)) }
    }

    /// Whether what is remembered may be told: see [`LogState::confirms`].
    ///
    /// # Errors
    /// The log is not what is remembered of it, or does not answer: whether it has the launch is not known then.
    pub async fn check_memory(&self) -> Result<(), Failure> {
        if self.log_state.confirms().await { Ok(()) } else { Err(Failure::new(Cause::OutcomeUnknown)) }
    }
}

/// The business date that was given, or that `occurred_at` has in the tenant's calendar.
///
/// # Errors
/// There is neither, the instant is outside the bounds or so far ahead that its day may still be changed, or the settings
/// are stale.
pub fn date_of(draft: &Draft<'_>, settings: &Snapshot, tenant: &Tenant) -> Result<BusinessDate, Refusal> {
    match (draft.date, draft.occurred_at_ns) {
        (Some(date), _) => Ok(date),
        (None, Some(instant_ns)) if settings.is_settled(instant_ns) => date_at(instant_ns, settings, tenant),
        (None, Some(_)) => {
            let detail = "occurred_at lies in the future, where the day that it belongs to is not settled: give a date";
            Err(Invalid::new(Reason::TimeInFuture, detail).into())
        }
        (None, None) => {
            let detail = "a launch that has an id needs a date, or occurred_at, from which the date follows";
            Err(Invalid::new(Reason::MissingDate, detail).into())
        }
    }
}

/// The business date of an instant in the tenant's calendar.
///
/// # Errors
/// The instant is outside the bounds, the settings are stale, or the day follows from data of a time zone that this program does
/// not have.
pub fn date_at(instant_ns: i128, settings: &Snapshot, tenant: &Tenant) -> Result<BusinessDate, Refusal> {
    let stale = |_| Refusal::Unavailable(Failure::new(Cause::SettingsStale));
    let calendar = settings.calendar(tenant, Instant::now()).map_err(stale)?;
    calendar.business_date(instant_ns).map_err(|no_date| match no_date {
        NoDate::OutOfBounds => {
            Invalid::new(Reason::InvalidDate, "occurred_at lies outside 1900-01-01 to 2199-12-31").into()
        }
        NoDate::OtherVersion => Refusal::Unavailable(Failure::new(Cause::OtherZoneVersion)),
    })
}

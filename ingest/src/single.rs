//! One launch: parsed, given id and date where ingest makes them, claimed, published.

use bytes::Bytes;
use ledger::{Account, BusinessDate, Digest, Draft, Fingerprint, Invalid, LaunchId, Reason, Tenant, parse_posted};
use nats::{Batch, LaunchName, MessageId};
use protocol::{
    deduplication::{Claimed, Held},
    position::LanePosition,
};

use crate::{
    flight::{Cause, Failure, Outcome},
    key::LaunchKey,
    made_id::make_id,
    publish::Claims,
    recent::Claim,
    shared::{Refusal, Shared, date_at, date_of},
};

/// How often a launch is claimed anew after somebody else's publish of it was not sent.
const MAX_CLAIMS: usize = 3;

/// A launch with everything that the log wants.
#[derive(Clone, Debug)]
pub struct Complete {
    /// The organisation.
    pub tenant: Tenant,
    /// As given, as the idempotency key, or made.
    pub id: LaunchId,
    /// Its cash book.
    pub account: Account,
    /// As given, derived, or made.
    pub date: BusinessDate,
    content: Digest,
    fingerprint: Fingerprint,
    line: Bytes,
}

impl Complete {
    fn name(&self, key: Digest) -> LaunchName {
        let (tenant, account, id) = (self.tenant.clone(), self.account.clone(), self.id.clone());
        LaunchName { tenant, account, date: self.date, id, key, content: self.content }
    }
}

/// What became of a launch.
#[derive(Clone, Debug)]
pub enum Booked {
    /// On disk in the log.
    Accepted(LanePosition),
    /// It was there already.
    Duplicate(LanePosition),
    /// Another content was there already.
    Conflict(LanePosition),
    /// Not now, perhaps not ever known: see the cause.
    Unavailable(Failure),
}

/// Reads and completes a posted launch.
///
/// # Errors
/// It is no valid launch, its date can't be derived now, or (`Err(None)` inside) the key differs from its id.
pub fn complete(
    shared: &Shared,
    tenant: Tenant,
    text: &[u8],
    idempotency_key: Option<LaunchId>,
) -> Result<Complete, CompleteError> {
    let draft = parse_posted(text, &tenant).map_err(Refusal::from)?;
    if let (Some(key), Some(id)) = (&idempotency_key, &draft.id)
        && key != id
    {
        return Err(CompleteError::KeyDiffers);
    }
    let settings = shared.tenants.snapshot();
    let (id, date) = match idempotency_key.or_else(|| draft.id.clone()) {
        Some(id) => (id, date_of(&draft, &settings, &tenant)?),
        None => {
            let date = match has_date(&draft) {
                true => date_of(&draft, &settings, &tenant)?,
                false => date_at(shared.clock.now_ns(), &settings, &tenant)?,
            };
            (made(shared)?, date)
        }
    };
    let mut line = Vec::with_capacity(text.len() + 128);
    draft.write_line(&tenant, &id, date, &mut line).map_err(Refusal::from)?;
    line.push(b'\n');
    let content = draft.content_digest();
    let fingerprint = draft.content_fingerprint(shared.lanes.recent.secret());
    Ok(Complete { tenant, id, account: draft.account, date, content, fingerprint, line: line.into() })
}

/// Why a posted launch cannot be completed.
#[derive(Clone, Debug)]
pub enum CompleteError {
    /// `Idempotency-Key` and `id` are both given and differ.
    KeyDiffers,
    /// See [`Refusal`].
    Refused(Refusal),
}

impl From<Refusal> for CompleteError {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

fn has_date(draft: &Draft<'_>) -> bool {
    draft.date.is_some() || draft.occurred_at_ns.is_some()
}

fn made(shared: &Shared) -> Result<LaunchId, Refusal> {
    make_id(shared.clock.now_ms(), rand::random())
        .map_err(|error| Invalid::new(Reason::InvalidIdentifier, error.to_string()).into())
}

/// Publishes a launch, or finds out what became of the same one posted before.
pub async fn book(shared: &Shared, launch: &Complete) -> Booked {
    let partition = shared.partition(&launch.tenant, &launch.account);
    let key = LaunchKey::new(&launch.tenant, &launch.account, launch.date, &launch.id);
    let claimed = Claimed { key: key.fingerprint(shared.lanes.recent.secret()), content: launch.fingerprint };
    let mut failure = Failure::new(Cause::Overloaded);
    for _ in 0..MAX_CLAIMS {
        let mut claims = Claims::new(shared.lanes.recent.clone());
        let (flight, same_content) = match shared.lanes.recent.claim(claimed, claims.flight()) {
            Claim::Known { sequence } => {
                return remembered(shared, Booked::Duplicate(shared.position(partition, sequence))).await;
            }
            Claim::Conflict { sequence } => {
                return remembered(shared, Booked::Conflict(shared.position(partition, sequence))).await;
            }
            Claim::New { slot } => {
                claims.push(Held { launch: claimed, slot });
                return publish(shared, launch, key.digest(), partition, claims).await;
            }
            Claim::Pending { flight, same_content } => (flight, same_content),
        };
        if !same_content {
            return Booked::Unavailable(Failure::new(Cause::IdPending));
        }
        match flight.wait().await {
            Outcome::Published { sequence } => return Booked::Duplicate(shared.position(partition, sequence)),
            Outcome::Unknown(unknown) => return Booked::Unavailable(unknown),
            Outcome::NotSent(not_sent) => failure = not_sent,
        }
    }
    Booked::Unavailable(failure)
}

/// An answer from memory, unless the log is not what is remembered of it.
async fn remembered(shared: &Shared, booked: Booked) -> Booked {
    shared.check_memory().await.map_or_else(Booked::Unavailable, |()| booked)
}

async fn publish(shared: &Shared, launch: &Complete, key: Digest, partition: u16, claims: Claims) -> Booked {
    let (tenant, lines) = (launch.tenant.clone(), launch.line.clone());
    let batch = Batch { tenant, lines, entries: 1, message_id: MessageId::Launch(launch.name(key)) };
    match shared.lanes.submit(partition, batch, claims) {
        Err(failure) => Booked::Unavailable(failure),
        Ok(sent) => match sent.outcome().await {
            Outcome::Published { sequence } => Booked::Accepted(shared.position(partition, sequence)),
            Outcome::NotSent(failure) | Outcome::Unknown(failure) => Booked::Unavailable(failure),
        },
    }
}

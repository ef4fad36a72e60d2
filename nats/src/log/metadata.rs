//! What names the log: the stream's metadata, how they are read, changed, and put back when they
//! were damaged.
//!
//! A stream that has Saldo's description or takes Saldo's subjects is Saldo's, whatever its
//! metadata say: it holds launches, and no sentence about it may suggest that it be removed.

use protocol::{lane::MAX_PARTITIONS, log::LogIdentity, missing::AcceptedLoss};
use serde_json::{Map, Value, json};

use crate::{error::LogError, subjects};

/// Version of what stands on the log; another one is refused.
pub(crate) const WIRE_VERSION: &str = "1";
/// What the stream says of itself.
pub(crate) const DESCRIPTION: &str = "Saldo: launches, the source of truth";
/// Keys of the stream's metadata.
pub(crate) const META_WIRE: &str = "saldo.wire";
pub(crate) const META_PARTITIONS: &str = "saldo.partitions";
pub(crate) const META_EPOCH: &str = "saldo.epoch";
pub(crate) const META_STREAM: &str = "saldo.stream";
pub(crate) const META_ACCEPTED_LOSS: &str = "saldo.accepted_loss";
/// Highest epoch: stamps in the store leave room for no more.
pub(crate) const MAX_EPOCH: u8 = 200;

/// How an operator gives the log another name; see [`crate::Log::rename`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Renaming {
    /// The log was restored to an older state, or to another server: another incarnation of the
    /// same epoch.
    Restored,
    /// The epoch rises by one, or to the one given where nobody knows what it was, and with it the
    /// incarnation.
    RaisedEpoch(Option<u8>),
}

/// What a renaming has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Renamed {
    /// The epoch before; `None` where the metadata had lost it.
    pub epoch_before: Option<u8>,
    /// Which log it is from now on.
    pub identity: LogIdentity,
}

/// Random text that no other stream has.
pub(crate) fn new_stream_id() -> String {
    format!("{:032x}", rand::random::<u128>())
}

/// The four metadata of a log.
pub(crate) fn of(identity: &LogIdentity) -> Value {
    json!({
        META_WIRE: WIRE_VERSION,
        META_PARTITIONS: identity.partitions.to_string(),
        META_EPOCH: identity.epoch.to_string(),
        META_STREAM: identity.stream_id.as_str(),
    })
}

/// Reads the identity; each error says what puts the metadata right.
pub(crate) fn identity(stream: &str, config: &Value) -> Result<LogIdentity, LogError> {
    let damaged = |what: &str| unusable(stream, config, what);
    let wire = text(config, META_WIRE).ok_or_else(|| damaged("no wire version"))?;
    if wire != WIRE_VERSION {
        return Err(LogError::OtherWireVersion { found: wire.to_owned() });
    }
    let partitions = number(config, META_PARTITIONS).filter(|partitions| (1..=MAX_PARTITIONS).contains(partitions));
    Ok(LogIdentity {
        epoch: epoch(config).ok_or_else(|| damaged("no epoch of 1 to 200"))?,
        stream_id: text(config, META_STREAM).ok_or_else(|| damaged("no id"))?.into(),
        partitions: partitions.ok_or_else(|| damaged("no number of partitions"))?,
    })
}

/// The configuration with the metadata of another name, and what that changes. Other keys are kept;
/// of the four that are missing each is put back: the wire version is known, the number of
/// partitions follows from the subjects, the id is drawn.
pub(crate) fn renamed(stream: &str, config: &Value, renaming: Renaming) -> Result<(Value, Renamed), LogError> {
    if !is_saldos(config) {
        return Err(unusable(stream, config, "no metadata of Saldo's"));
    }
    if let Some(found) = text(config, META_WIRE).filter(|wire| *wire != WIRE_VERSION) {
        return Err(LogError::OtherWireVersion { found: found.to_owned() });
    }
    let epoch_before = epoch(config);
    let epoch = match renaming {
        Renaming::Restored => identity(stream, config)?.epoch,
        Renaming::RaisedEpoch(told) => raised(stream, epoch_before, told)?,
    };
    let partitions = partitions_of_subjects(config).ok_or_else(|| {
        let what = "its subjects are not those of a log, so that it cannot be told how many partitions it has";
        LogError::NotOurs(format!("the stream {stream} cannot be renamed: {what}; restore its subjects first"))
    })?;
    let identity = LogIdentity { epoch, stream_id: new_stream_id().into(), partitions };
    let mut metadata = config["metadata"].as_object().cloned().unwrap_or_default();
    metadata.extend(of(&identity).as_object().cloned().unwrap_or_else(Map::new));
    let mut config = config.clone();
    config["metadata"] = Value::Object(metadata);
    Ok((config, Renamed { epoch_before, identity }))
}

/// The configuration with this loss in the place of what was accepted before.
pub(crate) fn with_accepted_loss(config: &Value, accepted: &AcceptedLoss) -> Value {
    let mut config = config.clone();
    if let Some(metadata) = config["metadata"].as_object_mut() {
        metadata.remove(META_ACCEPTED_LOSS);
        if accepted.messages() > 0 {
            metadata.insert(META_ACCEPTED_LOSS.to_owned(), json!(accepted.to_string()));
        }
    }
    config
}

/// The epoch that follows, or the one told.
fn raised(stream: &str, before: Option<u8>, told: Option<u8>) -> Result<u8, LogError> {
    let refused = |what: String| Err(LogError::NotOurs(format!("the epoch of {stream} cannot be raised: {what}")));
    match (before, told) {
        (_, Some(told)) if !(1..=MAX_EPOCH).contains(&told) => refused(format!("{told} is not among 1 to {MAX_EPOCH}")),
        (Some(before), Some(told)) if told <= before => refused(format!("it is {before}, and {told} is no higher")),
        (_, Some(told)) => Ok(told),
        (Some(MAX_EPOCH), None) => refused(format!("it is {MAX_EPOCH}, which is the last")),
        (Some(before), None) => Ok(before + 1),
        (None, None) => refused(
            "its metadata have lost it. Name one that is higher than it ever was (positions and the subjects of \
             LAUNCHES_PARKED begin with it): `saldo log raise-epoch --epoch N`"
                .to_owned(),
        ),
    }
}

/// Why the stream cannot be worked with, and what to do: that depends on whose it is.
fn unusable(stream: &str, config: &Value, what: &str) -> LogError {
    if !is_saldos(config) {
        return LogError::NotOurs(format!(
            "the stream {stream} has {what} in its metadata and is not a log of Saldo's: give Saldo a NATS, or an account of \
             it, of its own"
        ));
    }
    let command = match epoch(config) {
        Some(_) => "saldo log raise-epoch",
        None => "saldo log raise-epoch --epoch N, where N is higher than the epoch ever was",
    };
    LogError::NotOurs(format!(
        "the stream {stream} is a log of Saldo's with every launch in it, but somebody has changed its metadata, which have \
         {what}. To put them back run: {command}"
    ))
}

/// Whether the stream was made by this program, metadata aside.
fn is_saldos(config: &Value) -> bool {
    let takes_launches = || config["subject_transform"]["src"] == subjects::INBOUND_PATTERN;
    config["description"] == DESCRIPTION || takes_launches() || partitions_of_subjects(config).is_some()
}

/// How many lanes the subjects name, if they are those of a log.
fn partitions_of_subjects(config: &Value) -> Option<u16> {
    let found: Vec<&str> = config["subjects"].as_array()?.iter().filter_map(Value::as_str).collect();
    let partitions = u16::try_from(found.len()).ok()?.checked_sub(1)?;
    let wanted = subjects::log_subjects(partitions);
    let is_log = (1..=MAX_PARTITIONS).contains(&partitions) && wanted.iter().all(|subject| found.contains(&&**subject));
    is_log.then_some(partitions)
}

fn epoch(config: &Value) -> Option<u8> {
    number(config, META_EPOCH).filter(|epoch| (1..=MAX_EPOCH).contains(epoch))
}

fn number<N: std::str::FromStr>(config: &Value, key: &str) -> Option<N> {
    text(config, key)?.parse().ok()
}

fn text<'a>(config: &'a Value, key: &str) -> Option<&'a str> {
    config["metadata"][key].as_str().filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::{LogSettings, stream::log_config};

    const KEYS: [&str; 4] = [META_WIRE, META_PARTITIONS, META_EPOCH, META_STREAM];

    fn made() -> Value {
        let settings = LogSettings { partitions: 3, replicas: 1, max_bytes: -1, epoch: 7 };
        let mut config = log_config(&settings, "abc");
        config["metadata"]["_nats.level"] = json!("1");
        config
    }

    fn without(keys: &[&str]) -> Value {
        let mut config = made();
        let metadata = config["metadata"].as_object_mut().unwrap();
        keys.iter().for_each(|key| drop(metadata.remove(*key)));
        config
    }

    fn message(outcome: Result<impl Sized, LogError>) -> String {
        outcome.err().unwrap().to_string()
    }

    #[test]
    fn a_renaming_changes_the_name_and_keeps_everything_else() {
        for (renaming, epoch) in
            [(Renaming::Restored, 7), (Renaming::RaisedEpoch(None), 8), (Renaming::RaisedEpoch(Some(9)), 9)]
        {
            let (mut config, renamed) = renamed("LAUNCHES", &made(), renaming).unwrap();
            assert_eq!(
                (renamed.epoch_before, renamed.identity.epoch, renamed.identity.partitions),
                (Some(7), epoch, 3)
            );
            assert_ne!(renamed.identity.stream_id, "abc", "{renaming:?}");
            assert_eq!(identity("LAUNCHES", &config), Ok(renamed.identity));
            config["metadata"][META_EPOCH] = json!("7");
            config["metadata"][META_STREAM] = json!("abc");
            assert_eq!(config, made());
        }
    }

    #[test]
    fn whatever_is_lost_the_sentence_names_the_command_that_puts_it_back_and_nothing_is_to_be_removed() {
        for bits in 1_u8..16 {
            let lost: Vec<&str> = (0..4).filter(|bit| bits & (1 << bit) != 0).map(|bit| KEYS[bit]).collect();
            let damaged = without(&lost);
            let said = message(identity("LAUNCHES", &damaged));
            assert!(said.contains("run: saldo log raise-epoch") && !said.contains("remove"), "{said}");
            let knows_epoch = !lost.contains(&META_EPOCH);
            assert_eq!(!said.contains("--epoch N"), knows_epoch, "{said}");
            let told = (!knows_epoch).then_some(8);
            let (mended, renamed) = renamed("LAUNCHES", &damaged, Renaming::RaisedEpoch(told)).unwrap();
            assert_eq!(identity("LAUNCHES", &mended), Ok(renamed.identity.clone()), "{lost:?}");
            assert_eq!((renamed.identity.epoch, renamed.identity.partitions), (8, 3));
        }
    }

    #[test]
    fn an_epoch_that_is_lost_or_nonsense_is_asked_for() {
        let mut config = made();
        for nonsense in ["0", "x", "", "201", "-1"] {
            config["metadata"][META_EPOCH] = json!(nonsense);
            let said = message(renamed("LAUNCHES", &config, Renaming::RaisedEpoch(None)));
            assert!(said.contains("saldo log raise-epoch --epoch N"), "{said}");
        }
        for (told, allowed) in [(6, false), (7, false), (8, true), (200, true), (201, false), (0, false)] {
            assert_eq!(renamed("LAUNCHES", &made(), Renaming::RaisedEpoch(Some(told))).is_ok(), allowed, "{told}");
        }
        config["metadata"][META_EPOCH] = json!("200");
        assert!(message(renamed("LAUNCHES", &config, Renaming::RaisedEpoch(None))).contains("the last"));
    }

    #[test]
    fn an_accepted_loss_takes_the_place_of_the_one_before_and_none_leaves_no_trace() {
        let accept = |config: &Value, text: &str| with_accepted_loss(config, &text.parse().unwrap());
        let accepted = accept(&made(), "3-4,7");
        assert_eq!(accepted["metadata"][META_ACCEPTED_LOSS], json!("3-4, 7"));
        assert_eq!(accept(&accepted, "9")["metadata"][META_ACCEPTED_LOSS], json!("9"));
        assert_eq!(accept(&accepted, ""), made());
    }

    #[test]
    fn a_stream_that_is_not_saldos_is_left_alone() {
        let foreign = json!({"name": "LAUNCHES", "subjects": ["launches.*"], "metadata": {}});
        for said in [
            message(identity("LAUNCHES", &foreign)),
            message(renamed("LAUNCHES", &foreign, Renaming::RaisedEpoch(Some(2)))),
        ] {
            assert!(said.contains("is not a log of Saldo's") && !said.contains("remove"), "{said}");
        }
        let mut later = made();
        later["metadata"][META_WIRE] = json!("2");
        for renaming in [Renaming::Restored, Renaming::RaisedEpoch(None)] {
            let refused = renamed("LAUNCHES", &later, renaming).unwrap_err();
            assert_eq!(refused, LogError::OtherWireVersion { found: "2".into() });
        }
    }
}

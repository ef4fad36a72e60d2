//! Names of streams and subjects.

/// First subject token of everything on the log.
pub const LOG_PREFIX: &str = "launches";
/// What `nats pub` may publish to: `launches.in.<tenant>.<account>`.
pub const INBOUND_PATTERN: &str = "launches.in.*.*";
/// Under these subjects nothing stays that the transform has matched: it leaves out tokens with wildcards, which a publisher may send.
pub const STRAY_PATTERN: &str = "launches.in.>";
/// The stream of parked messages.
pub const PARKED_STREAM: &str = "LAUNCHES_PARKED";
/// Its subjects: `parked.<epoch>.<partition>.<sequence>`.
pub const PARKED_PATTERN: &str = "parked.*.*.*";
/// The key-value bucket in which aggregators say which lanes they work on.
pub const LEASE_BUCKET: &str = "SALDO_LEASES";
/// The stream behind it, named as every bucket's is.
pub const LEASE_STREAM: &str = "KV_SALDO_LEASES";
/// Everything in it.
pub const LEASE_PATTERN: &str = "$KV.SALDO_LEASES.>";
/// The change notices of all lanes of every epoch.
pub const ALL_CHANGES: &str = "saldo.changes.*.*";
/// Name of the log's stream in epoch 1, and beginning of its name in later ones.
const STREAM: &str = "LAUNCHES";

/// The name of the log's stream: `LAUNCHES` in epoch 1, `LAUNCHES_<epoch>` later.
pub fn stream_name(epoch: u8) -> String {
    if epoch <= 1 { STREAM.to_owned() } else { format!("{STREAM}_{epoch}") }
}

/// Everything that the log's stream takes: its lanes, each by name, and [`INBOUND_PATTERN`]. No wildcard stands for the lanes:
/// what is published to one that is not there must not be acknowledged, for nobody would ever read it.
pub fn log_subjects(partitions: u16) -> Vec<String> {
    let lanes = (0..partitions).map(lane_subject);
    lanes.chain([INBOUND_PATTERN.to_owned()]).collect()
}

/// The subject of a lane.
pub fn lane_subject(partition: u16) -> String {
    format!("{LOG_PREFIX}.{partition}")
}

/// Where the server's transform sends what comes in by account.
pub fn lane_transform(partitions: u16) -> String {
    format!("{LOG_PREFIX}.{{{{partition({partitions},1,2)}}}}")
}

/// The subject of one parked message.
pub fn parked_subject(epoch: u8, partition: u16, sequence: u64) -> String {
    format!("parked.{epoch}.{partition}.{sequence}")
}

/// The subject of a lane's change notices.
pub fn changes_subject(epoch: u8, partition: u16) -> String {
    format!("saldo.changes.{epoch}.{partition}")
}

/// The change notices of all lanes.
pub fn changes_pattern(epoch: u8) -> String {
    format!("saldo.changes.{epoch}.*")
}

/// The subject of the lease of one aggregator: its key is `<epoch>.<instance>`.
pub fn lease_subject(epoch: u8, instance: &str) -> String {
    format!("$KV.{LEASE_BUCKET}.{epoch}.{instance}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_what_operators_type() {
        assert_eq!(stream_name(1), "LAUNCHES");
        assert_eq!(stream_name(7), "LAUNCHES_7");
        assert_eq!(lane_subject(3), "launches.3");
        assert_eq!(log_subjects(2), ["launches.0", "launches.1", "launches.in.*.*"]);
        assert_eq!(lane_transform(4), "launches.{{partition(4,1,2)}}");
        assert_eq!(parked_subject(1, 2, 30), "parked.1.2.30");
        assert_eq!(changes_subject(1, 0), "saldo.changes.1.0");
        assert_eq!(lease_subject(1, "a-7"), "$KV.SALDO_LEASES.1.a-7");
    }
}

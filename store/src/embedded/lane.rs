//! What a lane's commits leave for the next one: its buffers, and the partition's rows as they stand.

use super::owner::Owner;
use crate::encoding::ChunkEncoder;

/// Kept under the lane's lock. Several lanes may share one: the rows say whose they are.
pub(super) struct Lane {
    pub buffers: Buffers,
    rows: Option<(u16, PartitionRows)>,
}

/// Room in which keys and values are put together: they grow to the largest of the lane, a few hundred kilobytes at most, and
/// a commit of single launches needs no memory of its own for them.
pub(super) struct Buffers {
    pub key: Vec<u8>,
    pub value: Vec<u8>,
    pub chunk: ChunkEncoder,
    pub owner: Owner,
}

/// How far a partition's rows are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct PartitionRows {
    pub head: u64,
    /// `None` before the first commit.
    pub progress: Option<u64>,
    pub checkpoint: u64,
    /// The largest stamp of any row that the lane has written.
    pub highest: u64,
}

impl Lane {
    pub const fn new() -> Self {
        let buffers = Buffers { key: Vec::new(), value: Vec::new(), chunk: ChunkEncoder::new(), owner: Owner::new() };
        Self { buffers, rows: None }
    }

    /// Takes out how far the partition's rows are, if that is known. Who has written them puts in what they are then; a failed
    /// write or a panic leaves nothing here, and the next commit asks the database.
    pub fn take_rows(&mut self, partition: u16) -> Option<PartitionRows> {
        self.rows.take().filter(|(of, _)| *of == partition).map(|(_, rows)| rows)
    }

    pub fn put_rows(&mut self, partition: u16, rows: PartitionRows) {
        self.rows = Some((partition, rows));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_known_to_one_commit_of_their_partition() {
        let mut lane = Lane::new();
        let rows = PartitionRows { head: 3, progress: Some(2), checkpoint: 2, highest: 2 };
        assert_eq!(lane.take_rows(1), None);
        lane.put_rows(1, rows);
        assert_eq!(lane.take_rows(1), Some(rows));
        assert_eq!(lane.take_rows(1), None, "who has taken them may fail to write");
        lane.put_rows(1, rows);
        assert_eq!(lane.take_rows(65), None, "another partition shares the lock");
        assert_eq!(lane.take_rows(1), None, "by now they may be older");
    }
}

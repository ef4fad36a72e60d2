//! Which lanes an instance works on.

use std::collections::BTreeSet;

/// The lanes that one instance works on. Who chooses them decides on economy only: two instances on one lane write
/// identical or older rows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Workers {
    /// Every lane of the log.
    #[default]
    All,
    /// These lanes; those that the log does not have are ignored.
    Only(BTreeSet<u16>),
}

impl Workers {
    /// The lanes to work on in a log of `partitions` lanes, ascending.
    pub fn lanes(&self, partitions: u16) -> Vec<u16> {
        match self {
            Self::All => (0..partitions).collect(),
            Self::Only(lanes) => lanes.iter().copied().filter(|lane| *lane < partitions).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lanes_are_those_chosen_that_exist() {
        assert_eq!(Workers::All.lanes(3), [0, 1, 2]);
        assert_eq!(Workers::Only(BTreeSet::from([7, 2, 0])).lanes(3), [0, 2]);
    }
}

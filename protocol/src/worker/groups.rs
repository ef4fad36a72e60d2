//! Row groups by start.

use std::collections::BTreeMap;

use ledger::BusinessDate;

use super::{memory::ALLOCATION_BYTES, rows::RowGroup};

/// Places of a tree's node, and how many are taken at least.
const NODE_PLACES: usize = 11;
const NODE_LEAST: usize = 5;
/// A node of the tree; those with children are few.
const NODE_BYTES: usize =
    NODE_PLACES * size_of::<(BusinessDate, RowGroup)>() + 4 * size_of::<usize>() + ALLOCATION_BYTES;

/// The groups of one owner and grain. Most accounts have one month: it needs no tree, whose smallest has room for eleven.
#[derive(Clone, Debug, Default)]
pub(crate) struct GroupsByStart {
    first: Option<(BusinessDate, RowGroup)>,
    others: BTreeMap<BusinessDate, RowGroup>,
}

impl GroupsByStart {
    /// The group of a start; made, not loaded, where it is missing.
    pub(crate) fn of(&mut self, start: BusinessDate) -> &mut RowGroup {
        let first = self.first.get_or_insert_with(|| (start, RowGroup::default()));
        if first.0 == start { &mut first.1 } else { self.others.entry(start).or_default() }
    }

    /// Makes the group of a start where it is missing. Returns the bytes that this took outside.
    pub(crate) fn make(&mut self, start: BusinessDate) -> usize {
        let before = self.heap_bytes();
        self.of(start);
        self.heap_bytes() - before
    }

    /// The starts of the groups that are not loaded, in order.
    pub(crate) fn missing(&self) -> Vec<BusinessDate> {
        let first = self.first.iter().map(|(start, group)| (start, group));
        let missing = first.chain(&self.others).filter(|(_, group)| !group.is_loaded);
        let mut starts: Vec<BusinessDate> = missing.map(|(start, _)| *start).collect();
        starts.sort_unstable();
        starts
    }

    /// Bytes outside of it, but for those of the groups' rows.
    fn heap_bytes(&self) -> usize {
        self.others.len().div_ceil(NODE_LEAST) * NODE_BYTES
    }
}

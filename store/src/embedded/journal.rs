//! Journals: the union of a window's chunks, without repeats.

use std::collections::BTreeMap;

use fjall::{Readable, Snapshot};
use ledger::{Fact, Kind, Place, WindowKey};
use protocol::load::{JournalEntry, WindowLoaded};

use super::{keys, opened::Opened};
use crate::{
    LaunchesPage, StoreError,
    encoding::{Damaged, decode_entries, decode_facts},
};

/// A window's journal without its lines, as a worker loads it.
pub(super) fn load(opened: &Opened, snapshot: &Snapshot, window: &WindowKey) -> Result<WindowLoaded, StoreError> {
    let mut prefix = Vec::new();
    keys::window_prefix(&mut prefix, window);
    let mut entries: Vec<JournalEntry> = Vec::new();
    // Most windows that a replay asks for are new; the mark tells that by one read instead of a scan.
    if snapshot.contains_key(&opened.digests, &prefix)? {
        for item in snapshot.prefix(&opened.digests, &prefix) {
            let (key, digests) = item.into_inner()?;
            if key.len() > prefix.len() {
                decode_entries(&digests, &mut entries)?;
            }
        }
    }
    entries.sort_unstable_by_key(|entry| (entry.place, entry.kind));
    entries.dedup_by_key(|entry| (entry.place, entry.kind));
    Ok(WindowLoaded { window: window.clone(), entries })
}

/// Which part of a journal a reader wants.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted {
    pub after: Option<Place>,
    pub upto: u64,
    pub limit: usize,
}

impl Wanted {
    fn is_behind(&self, place: Place) -> bool {
        self.after.is_none_or(|after| place > after)
    }

    fn contains(&self, entry: &JournalEntry) -> bool {
        self.is_behind(entry.place) && entry.place.sequence <= self.upto
    }
}

/// A page of a window's launches.
pub(super) fn page(opened: &Opened, window: &WindowKey, wanted: Wanted) -> Result<LaunchesPage, StoreError> {
    let snapshot = opened.database.snapshot();
    let mut prefix = Vec::new();
    keys::window_prefix(&mut prefix, window);
    let mut page = Page::new(wanted);
    for class in keys::SPAN_CLASSES {
        collect_class(opened, &snapshot, &prefix, class, &mut page)?;
    }
    Ok(page.finish())
}

fn collect_class(
    opened: &Opened,
    snapshot: &Snapshot,
    prefix: &[u8],
    class: u8,
    page: &mut Page,
) -> Result<(), StoreError> {
    let (mut start, mut end) = (prefix.to_vec(), prefix.to_vec());
    keys::put_class_start(&mut start, class, page.wanted.after.unwrap_or_default());
    end.push(class + 1);
    for item in snapshot.range(&opened.lines, start..end) {
        let (key, lines) =
            item.into_inner_if(|key| keys::decode_chunk(key).is_ok_and(|(_, last)| page.wanted.is_behind(last)))?;
        let (first, _) = keys::decode_chunk(&key)?;
        if first.sequence > page.wanted.upto || page.is_full_before(first) {
            break;
        }
        let Some(lines) = lines else { continue };
        let digests = snapshot.get(&opened.digests, &key)?.ok_or(Damaged { what: "journal chunk" })?;
        page.add(&digests, &lines)?;
    }
    Ok(())
}

/// The lowest facts found, one place more than the limit.
struct Page {
    wanted: Wanted,
    facts: BTreeMap<(Place, Kind), Fact>,
}

impl Page {
    fn new(wanted: Wanted) -> Self {
        Self { wanted, facts: BTreeMap::new() }
    }

    /// Whether nothing from `place` on can be on this page, nor change whether there is more behind it.
    fn is_full_before(&self, place: Place) -> bool {
        self.facts.len() > self.wanted.limit && self.facts.last_key_value().is_some_and(|((last, _), _)| *last < place)
    }

    fn add(&mut self, digests: &[u8], lines: &[u8]) -> Result<(), StoreError> {
        let wanted = self.wanted;
        decode_facts(
            digests,
            lines,
            |entry| wanted.contains(entry),
            |fact| {
                self.facts.insert((fact.place, fact.kind), fact);
            },
        )?;
        self.trim();
        Ok(())
    }

    /// Drops what is behind the first place beyond the limit.
    fn trim(&mut self) {
        let beyond = self.facts.keys().nth(self.wanted.limit).map(|(place, _)| *place);
        while let (Some(beyond), Some(last)) = (beyond, self.facts.last_entry()) {
            if last.key().0 <= beyond {
                break;
            }
            last.remove();
        }
    }

    fn finish(self) -> LaunchesPage {
        let limit = self.wanted.limit;
        let last_place = limit.checked_sub(1).and_then(|last| self.facts.keys().nth(last)).map(|(place, _)| *place);
        let found = self.facts.len();
        let mut facts: Vec<Fact> = self.facts.into_values().collect();
        // Facts of one place stay together: the reader goes on behind a place.
        facts.retain(|fact| last_place.is_none_or(|last| fact.place <= last));
        let more = facts.len() < found;
        LaunchesPage { facts, more }
    }
}

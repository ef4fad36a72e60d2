//! Journals: the union of a window's chunks, without repeats. `chunks` has every chunk's digests; its lines stand there, too, if it
//! is short, and in `lines` otherwise.

use std::ops::ControlFlow;

use fjall::{Readable, Snapshot, UserValue};
use ledger::WindowKey;
use protocol::{
    load::{JournalEntry, WindowLoaded},
    store_reading::page::{ChunkFacts, Page, Wanted},
};

use super::{keys, opened::Opened};
use crate::{
    LaunchesPage, StoreError,
    encoding::{Damaged, columns, decode_entries},
    page::EncodedChunk,
};

/// A window's journal without its lines, as a worker loads it.
pub(super) fn load(opened: &Opened, snapshot: &Snapshot, window: &WindowKey) -> Result<WindowLoaded, StoreError> {
    let mut prefix = Vec::new();
    keys::window_prefix(&mut prefix, window);
    let mut entries: Vec<JournalEntry> = Vec::new();
    // Most windows that a replay asks for are new; the mark tells that by one read instead of a scan.
    if snapshot.contains_key(&opened.chunks, &prefix)? {
        for item in snapshot.prefix(&opened.chunks, &prefix) {
            let (key, value) = item.into_inner()?;
            if key.len() > prefix.len() {
                decode_entries(columns(&value)?.0, &mut entries)?;
            }
        }
    }
    entries.sort_unstable_by_key(|entry| (entry.place, entry.kind));
    entries.dedup_by_key(|entry| (entry.place, entry.kind));
    Ok(WindowLoaded { window: window.clone(), entries })
}

/// A page of a window's launches.
pub(super) fn page(opened: &Opened, window: &WindowKey, wanted: Wanted) -> Result<LaunchesPage, StoreError> {
    let snapshot = opened.database.snapshot();
    let mut prefix = Vec::new();
    keys::window_prefix(&mut prefix, window);
    let mut page = Page::new(wanted);
    for class in keys::SPAN_CLASSES.all() {
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
    let wanted = *page.wanted();
    keys::put_class_start(&mut start, class, wanted.after.unwrap_or_default());
    end.push(class + 1);
    for item in snapshot.range(&opened.chunks, start..end) {
        let (key, value) =
            item.into_inner_if(|key| keys::decode_chunk(key).is_ok_and(|(_, last)| wanted.is_behind(last)))?;
        if take(opened, snapshot, &key, value.as_deref(), page)?.is_break() {
            break;
        }
    }
    Ok(())
}

/// Takes a chunk, whose value is there if anything of it can be wanted; breaks when none behind it can.
fn take(
    opened: &Opened,
    snapshot: &Snapshot,
    key: &[u8],
    value: Option<&[u8]>,
    page: &mut Page,
) -> Result<ControlFlow<()>, StoreError> {
    let chunk = keys::decode_chunk(key)?;
    let Some(value) = value.filter(|_| !page.ends_before(chunk.0)) else {
        return page.take(chunk, None::<&dyn ChunkFacts<StoreError>>);
    };
    match columns(value)? {
        (digests, Some(lines)) => page.take(chunk, Some(&EncodedChunk { digests, lines })),
        (digests, None) => {
            let lines = separate_lines(opened, snapshot, key)?;
            page.take(chunk, Some(&EncodedChunk { digests, lines: &lines }))
        }
    }
}

fn separate_lines(opened: &Opened, snapshot: &Snapshot, key: &[u8]) -> Result<UserValue, StoreError> {
    Ok(snapshot.get(&opened.lines, key)?.ok_or(Damaged { what: "journal chunk" })?)
}

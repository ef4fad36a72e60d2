//! A list whose items keep their number until they are removed.

use std::ops::{Index, IndexMut};

/// Items of a page.
const PAGE_ITEMS: usize = 1_024;

/// Items by number; numbers of removed items are used again.
///
/// They stand in pages: a single list would double when it is full, and be held twice while it is copied.
#[derive(Debug)]
pub(crate) struct Slots<T> {
    pages: Vec<Vec<Option<T>>>,
    free: Vec<u32>,
}

impl<T> Default for Slots<T> {
    fn default() -> Self {
        Self { pages: Vec::new(), free: Vec::new() }
    }
}

impl<T> Slots<T> {
    pub(crate) fn insert(&mut self, item: T) -> u32 {
        if let Some(id) = self.free.pop() {
            let (page, index) = place(id);
            self.pages[page][index] = Some(item);
            return id;
        }
        let id = self.capacity();
        match self.pages.last_mut().filter(|page| page.len() < PAGE_ITEMS) {
            Some(page) => page.push(Some(item)),
            None => self.add_page(item),
        }
        // Memory ends long before four thousand million items.
        u32::try_from(id).unwrap_or(u32::MAX)
    }

    fn add_page(&mut self, first: T) {
        let mut page = Vec::with_capacity(PAGE_ITEMS);
        page.push(Some(first));
        self.pages.push(page);
    }

    pub(crate) fn remove(&mut self, id: u32) -> Option<T> {
        let (page, index) = place(id);
        let item = self.pages.get_mut(page)?.get_mut(index)?.take()?;
        self.free.push(id);
        Some(item)
    }

    pub(crate) fn get_mut(&mut self, id: u32) -> Option<&mut T> {
        let (page, index) = place(id);
        self.pages.get_mut(page)?.get_mut(index)?.as_mut()
    }

    /// Numbers in use are below this.
    pub(crate) fn capacity(&self) -> usize {
        self.pages.last().map_or(0, |last| (self.pages.len() - 1) * PAGE_ITEMS + last.len())
    }
}

/// Page and index of a number.
fn place(id: u32) -> (usize, usize) {
    (id as usize / PAGE_ITEMS, id as usize % PAGE_ITEMS)
}

impl<T> Index<u32> for Slots<T> {
    type Output = T;

    fn index(&self, id: u32) -> &T {
        let (page, index) = place(id);
        match self.pages.get(page).and_then(|page| page.get(index)) {
            Some(Some(item)) => item,
            _ => unreachable!("slot {id} is empty: a number outlived its item"),
        }
    }
}

impl<T> IndexMut<u32> for Slots<T> {
    fn index_mut(&mut self, id: u32) -> &mut T {
        match self.get_mut(id) {
            Some(item) => item,
            _ => unreachable!("slot {id} is empty: a number outlived its item"),
        }
    }
}

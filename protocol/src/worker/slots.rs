//! A list whose items keep their number until they are removed.

use std::ops::{Index, IndexMut};

/// Items by number; numbers of removed items are used again.
#[derive(Debug)]
pub(crate) struct Slots<T> {
    items: Vec<Option<T>>,
    free: Vec<u32>,
}

impl<T> Default for Slots<T> {
    fn default() -> Self {
        Self { items: Vec::new(), free: Vec::new() }
    }
}

impl<T> Slots<T> {
    pub(crate) fn insert(&mut self, item: T) -> u32 {
        if let Some(id) = self.free.pop() {
            self.items[id as usize] = Some(item);
            return id;
        }
        self.items.push(Some(item));
        // Memory ends long before four thousand million items.
        u32::try_from(self.items.len() - 1).unwrap_or(u32::MAX)
    }

    pub(crate) fn remove(&mut self, id: u32) -> Option<T> {
        let item = self.items.get_mut(id as usize)?.take()?;
        self.free.push(id);
        Some(item)
    }

    pub(crate) fn get_mut(&mut self, id: u32) -> Option<&mut T> {
        self.items.get_mut(id as usize)?.as_mut()
    }

    /// Numbers in use are below this.
    pub(crate) fn capacity(&self) -> usize {
        self.items.len()
    }
}

impl<T> Index<u32> for Slots<T> {
    type Output = T;

    fn index(&self, id: u32) -> &T {
        match self.items.get(id as usize) {
            Some(Some(item)) => item,
            _ => unreachable!("slot {id} is empty: a number outlived its item"),
        }
    }
}

impl<T> IndexMut<u32> for Slots<T> {
    fn index_mut(&mut self, id: u32) -> &mut T {
        match self.items.get_mut(id as usize) {
            Some(Some(item)) => item,
            _ => unreachable!("slot {id} is empty: a number outlived its item"),
        }
    }
}

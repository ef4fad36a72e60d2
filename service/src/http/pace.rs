//! How slowly a client may send its body.

/// A body that is held in memory must grow by this part of itself in each window, however long it is: what holds much may
/// not be slow.
const PART_A_WINDOW: usize = 16;

/// How slowly a client may send. Only the time in which the service waits for the client counts: back pressure is not the
/// client's fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// Milliseconds of waiting in which at least `min_bytes` must come.
    pub window_ms: u64,
    /// Bytes that must come in each window.
    pub min_bytes: usize,
    /// Milliseconds of waiting in which the whole body must come.
    pub whole_ms: u64,
}

impl Default for Pace {
    /// 1 KiB in 30 s, everything in five minutes.
    fn default() -> Self {
        Self { window_ms: 30_000, min_bytes: 1_024, whole_ms: 300_000 }
    }
}

impl Pace {
    /// The pace of a body of which `held_bytes` are in memory.
    #[must_use]
    pub fn holding(self, held_bytes: usize) -> Self {
        Self { min_bytes: self.min_bytes.max(held_bytes / PART_A_WINDOW), ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_holds_more_must_come_faster() {
        let pace = Pace::default();
        assert_eq!(pace.holding(16 * 1_024), pace);
        assert_eq!(pace.holding(8 << 20).min_bytes, 512 << 10);
    }
}

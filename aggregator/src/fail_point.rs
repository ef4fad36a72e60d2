//! Fail points: places where a child process of a test kills itself, armed by its environment.

use std::{
    fmt,
    str::FromStr,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
};

/// Where the process may die.
///
/// | name | what is done by then |
/// |---|---|
/// | `before_commit` | messages are folded and parked, nothing of the commit is written |
/// | `after_commit` | the store has acknowledged the commit, no notice was sent |
/// | `after_notice` | the notice of the commit is handed to the broker |
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailPoint {
    /// Before the store is asked to commit.
    BeforeCommit,
    /// After the store has acknowledged a commit.
    AfterCommit,
    /// After the notice of a commit.
    AfterNotice,
}

const NAMES: [(&str, FailPoint); 3] = [
    ("before_commit", FailPoint::BeforeCommit),
    ("after_commit", FailPoint::AfterCommit),
    ("after_notice", FailPoint::AfterNotice),
];

/// At most one armed fail point: the process aborts when it passes it for the given time. Clones count together.
#[derive(Clone, Debug, Default)]
pub struct FailPoints {
    armed: Option<Armed>,
}

#[derive(Clone, Debug)]
struct Armed {
    point: FailPoint,
    passes_left: Arc<AtomicU32>,
}

impl FailPoints {
    /// Nothing is armed.
    pub fn none() -> Self {
        Self::default()
    }

    /// To be called where `point` is; aborts the process without any clean-up if it is due.
    pub fn pass(&self, point: FailPoint) {
        if self.is_due(point) {
            tracing::error!(?point, "aborting at a fail point, as the environment asked");
            std::process::abort();
        }
    }

    fn is_due(&self, point: FailPoint) -> bool {
        let Some(armed) = self.armed.as_ref().filter(|armed| armed.point == point) else { return false };
        armed.passes_left.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(1)) == Ok(1)
    }
}

/// The text is no fail point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FailPointError;

impl fmt::Display for FailPointError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("expected name or name:count, with a name of")?;
        NAMES.iter().try_for_each(|(name, _)| write!(formatter, " {name}"))?;
        formatter.write_str(" and a count from 1")
    }
}

impl std::error::Error for FailPointError {}

impl FromStr for FailPoints {
    type Err = FailPointError;

    /// `name` or `name:count`; the count says at which pass the process dies, 1 if not given.
    fn from_str(text: &str) -> Result<Self, FailPointError> {
        let (name, count) = text.split_once(':').unwrap_or((text, "1"));
        let count: u32 = count.parse().ok().filter(|count| *count > 0).ok_or(FailPointError)?;
        let (_, point) = NAMES.iter().find(|(known, _)| *known == name).ok_or(FailPointError)?;
        Ok(Self { armed: Some(Armed { point: *point, passes_left: Arc::new(AtomicU32::new(count)) }) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_due_at_the_given_pass_only() {
        let points: FailPoints = "after_commit:3".parse().unwrap();
        let passes: Vec<bool> = (0..5).map(|_| points.clone().is_due(FailPoint::AfterCommit)).collect();
        assert_eq!(passes, [false, false, true, false, false]);
        assert!(!points.is_due(FailPoint::BeforeCommit));
    }

    #[test]
    fn without_a_count_it_is_the_first_pass() {
        let points: FailPoints = "before_commit".parse().unwrap();
        assert!(points.is_due(FailPoint::BeforeCommit));
        assert!(!FailPoints::none().is_due(FailPoint::BeforeCommit));
    }

    #[test]
    fn other_texts_are_refused() {
        for text in ["", "commit", "before_commit:", "before_commit:0", "before_commit:x", "before_commit:1:2"] {
            assert_eq!(text.parse::<FailPoints>().unwrap_err(), FailPointError, "{text}");
        }
    }
}

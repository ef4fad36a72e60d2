//! Waiting for a condition instead of hoping for a time.

use std::{
    future::Future,
    time::{Duration, Instant},
};

/// Pause between two looks at the condition.
const PAUSE: Duration = Duration::from_millis(10);

/// Looks again and again until `condition` gives a value; blocks the thread.
///
/// # Errors
/// After `within`, naming what was waited for.
pub fn wait_until<T>(what: &str, within: Duration, mut condition: impl FnMut() -> Option<T>) -> anyhow::Result<T> {
    let deadline = Instant::now() + within;
    loop {
        if let Some(value) = condition() {
            return Ok(value);
        }
        anyhow::ensure!(Instant::now() < deadline, "waited {within:?} in vain: {what}");
        std::thread::sleep(PAUSE);
    }
}

/// As [`wait_until`], inside a tokio runtime.
///
/// # Errors
/// After `within`, naming what was waited for.
pub async fn wait_until_async<T, F, Fut>(what: &str, within: Duration, mut condition: F) -> anyhow::Result<T>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Option<T>>,
{
    let looking = async {
        loop {
            if let Some(value) = condition().await {
                return value;
            }
            tokio::time::sleep(PAUSE).await;
        }
    };
    let waited = tokio::time::timeout(within, looking).await;
    waited.map_err(|_| anyhow::anyhow!("waited {within:?} in vain: {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_returns_the_value_or_says_what_was_missing() {
        let mut looks = 0;
        let value = wait_until("three looks", Duration::from_secs(5), || {
            looks += 1;
            (looks == 3).then_some(looks)
        });
        assert_eq!(value.unwrap(), 3);
        let error = wait_until::<()>("a miracle", Duration::from_millis(1), || None).unwrap_err();
        assert!(error.to_string().contains("a miracle"));
    }

    #[tokio::test]
    async fn a_condition_that_hangs_is_given_up_as_well() {
        let waited = wait_until_async::<(), _, _>("nothing", Duration::from_millis(20), std::future::pending).await;
        assert!(waited.is_err());
    }
}

//! Doing something until it works.

use std::{fmt, future::Future};

use tracing::warn;

use crate::{Backoff, Shutdown};

/// Why retrying ended without success.
#[derive(Debug, PartialEq, Eq)]
pub enum RetryError<E> {
    /// The operation failed in a way that another attempt cannot heal.
    Permanent(E),
    /// The shutdown began; the last failure, if an attempt was made.
    ShutDown(Option<E>),
}

impl<E: fmt::Display> fmt::Display for RetryError<E> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Permanent(error) => error.fmt(formatter),
            Self::ShutDown(None) => formatter.write_str("shut down before the first attempt ended"),
            Self::ShutDown(Some(error)) => write!(formatter, "shut down while retrying: {error}"),
        }
    }
}

impl<E: fmt::Debug + fmt::Display> std::error::Error for RetryError<E> {}

/// Calls `operation` until it succeeds, `retry_helps` says no, or the shutdown begins (then also an attempt in progress
/// is dropped). Each failure that is retried is logged as a warning that names `what`.
///
/// # Errors
/// [`RetryError`]; nothing else ends it, so that an attempt needs its own time limit.
pub async fn retry<T, E, F, Fut>(
    what: &str,
    backoff: &mut Backoff,
    shutdown: &Shutdown,
    retry_helps: impl Fn(&E) -> bool,
    mut operation: F,
) -> Result<T, RetryError<E>>
where
    E: fmt::Display,
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<T, E>>,
{
    let mut last = None;
    loop {
        let outcome = tokio::select! {
            biased;
            () = shutdown.begun() => return Err(RetryError::ShutDown(last)),
            outcome = operation() => outcome,
        };
        let error = match outcome {
            Ok(value) => return Ok(value),
            Err(error) if !retry_helps(&error) => return Err(RetryError::Permanent(error)),
            Err(error) => error,
        };
        let delay = backoff.next_delay();
        warn!(delay_ms = delay.as_millis(), %error, "{what} failed, trying again");
        last = Some(error);
        shutdown.sleep(delay).await;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_retries_until_success() {
        let mut attempts = 0;
        let result = retry(
            "counting",
            &mut Backoff::new(10, 100),
            &Shutdown::new(),
            |_: &&str| true,
            || {
                attempts += 1;
                std::future::ready(if attempts < 5 { Err("not yet") } else { Ok(attempts) })
            },
        )
        .await;
        assert_eq!(result, Ok(5));
    }

    #[tokio::test(start_paused = true)]
    async fn a_permanent_failure_ends_it_at_once() {
        let result: Result<(), _> = retry(
            "refusing",
            &mut Backoff::new(10, 100),
            &Shutdown::new(),
            |_| false,
            || std::future::ready(Err("refused")),
        )
        .await;
        assert_eq!(result, Err(RetryError::Permanent("refused")));
    }

    #[tokio::test(start_paused = true)]
    async fn the_shutdown_ends_it_even_in_the_middle_of_an_attempt() {
        let shutdown = Shutdown::new();
        let stopper = shutdown.clone();
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_secs(60)).await;
            stopper.begin(Duration::ZERO);
        });
        let result: Result<(), RetryError<&str>> =
            retry("hanging", &mut Backoff::new(10, 100), &shutdown, |_| true, std::future::pending).await;
        assert_eq!(result, Err(RetryError::ShutDown(None)));
    }
}

//! One connection to NATS, shared by everything that this process does there.

use std::{path::PathBuf, time::Duration};

use async_nats::{ConnectErrorKind, ConnectOptions, Event, connection::State};
use futures_util::StreamExt;
use tokio::sync::watch;

use crate::error::{NatsError, NatsErrorKind};

/// Silence after which the server is asked whether it is still there; after three of them the connection is given up.
const PING_INTERVAL: Duration = Duration::from_secs(5);
/// First and longest delay between attempts to reconnect.
const RECONNECT_INITIAL_MS: u64 = 20;
const RECONNECT_MAX_MS: u64 = 2_000;
/// Commands waiting for the connection task; beyond it publishers wait.
const COMMANDS_IN_FLIGHT: usize = 1_024;
/// Messages waiting in one subscription. Readers and notices bound theirs lower by what they ask for.
const SUBSCRIPTION_MESSAGES: usize = 64 * 1024;
/// How long a round trip to the server may take.
const ROUND_TRIP_TIMEOUT: Duration = Duration::from_secs(5);

/// Where NATS is and who we are.
#[derive(Clone, Debug)]
pub struct ClientConfig {
    /// `nats://host:port`, several separated by commas.
    pub url: String,
    /// The connection's name, as operators see it.
    pub name: String,
    /// User; its inboxes are then under `_INBOX.<user>`, so that permissions can keep users apart.
    pub user: Option<String>,
    /// The user's password.
    pub password: Option<String>,
    /// A NATS credentials file instead of user and password.
    pub credentials_file: Option<PathBuf>,
    /// How long one attempt to connect may take.
    pub connect_timeout_ms: u64,
}

/// What happened to the connection since it was made; each counter only grows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ConnectionEvents {
    /// Successful connections.
    pub(crate) connects: u64,
    /// Times that a subscription of this client was too slow and lost messages.
    pub(crate) overflows: u64,
}

/// A connection that reconnects by itself, for ever, with growing delay. Cheap to clone; closed when the last clone and
/// everything made from it is dropped.
#[derive(Clone)]
pub struct Client {
    inner: async_nats::Client,
    events: watch::Receiver<ConnectionEvents>,
}

/// For connections with TLS: a program that has more than one implementation compiled into it must say which, else the
/// client panics where a server asks for TLS. Another part of the program may have chosen before.
fn choose_cryptography() {
    let _chosen_before = async_nats::rustls::crypto::ring::default_provider().install_default();
}

impl Client {
    /// Connects once.
    ///
    /// # Errors
    /// `Refused` when the server does not accept the credentials or the configuration is wrong; otherwise `Unavailable`
    /// or `Timeout`: try again later.
    pub async fn connect(config: &ClientConfig) -> Result<Self, NatsError> {
        choose_cryptography();
        let (event_sender, mut events) = watch::channel(ConnectionEvents::default());
        let options = options(config).await?.event_callback(move |event| {
            event_sender.send_modify(|events| note(events, &event));
            std::future::ready(())
        });
        let servers: Vec<&str> = config.url.split(',').collect();
        let inner = options.connect(servers).await.map_err(|error| connect_error(config, &error))?;
        // This connection's own event comes from another task: waited for, so that it is not taken for a second connection.
        let noted = events.wait_for(|events| events.connects > 0).await.is_ok();
        if !noted {
            return Err(NatsError::unavailable("the connection to NATS was closed at once"));
        }
        Ok(Self { inner, events })
    }

    /// Whether the connection stands now, as far as this side knows.
    pub fn is_connected(&self) -> bool {
        self.inner.connection_state() == State::Connected
    }

    /// Waits until the server has processed everything that this client has sent so far.
    ///
    /// # Errors
    /// When the connection is lost or the server does not answer in time.
    pub async fn flush(&self) -> Result<(), NatsError> {
        let echo = self.inner.new_inbox();
        let mut answers = self.inner.subscribe(echo.clone()).await.map_err(NatsError::unavailable)?;
        self.inner.publish(echo, bytes::Bytes::new()).await.map_err(NatsError::unavailable)?;
        match tokio::time::timeout(ROUND_TRIP_TIMEOUT, answers.next()).await {
            Ok(Some(_)) => Ok(()),
            Ok(None) => Err(NatsError::unavailable("the connection to NATS is closed")),
            Err(_) => Err(NatsError::timeout("NATS did not answer in time")),
        }
    }

    /// The server's version, as it said when the connection was made.
    pub fn server_version(&self) -> String {
        self.inner.server_info().version
    }

    /// Counts the connections made so far: another number means another connection.
    pub(crate) fn connection_number(&self) -> u64 {
        self.events.borrow().connects
    }

    pub(crate) fn inner(&self) -> &async_nats::Client {
        &self.inner
    }

    pub(crate) fn events(&self) -> watch::Receiver<ConnectionEvents> {
        self.events.clone()
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Client").field("connected", &self.is_connected()).finish_non_exhaustive()
    }
}

fn note(events: &mut ConnectionEvents, event: &Event) {
    match event {
        Event::Connected => events.connects += 1,
        Event::SlowConsumer(_) => events.overflows += 1,
        _ => {}
    }
}

async fn options(config: &ClientConfig) -> Result<ConnectOptions, NatsError> {
    let mut options = ConnectOptions::new()
        .name(&config.name)
        .connection_timeout(Duration::from_millis(config.connect_timeout_ms))
        .ping_interval(PING_INTERVAL)
        .client_capacity(COMMANDS_IN_FLIGHT)
        .subscription_capacity(SUBSCRIPTION_MESSAGES)
        .reconnect_delay_callback(|attempt| retry::doubled_delay(attempt, RECONNECT_INITIAL_MS, RECONNECT_MAX_MS));
    if let Some(user) = &config.user {
        let password = config.password.clone().unwrap_or_default();
        options = options.user_and_password(user.clone(), password).custom_inbox_prefix(inbox_prefix(user));
    }
    if let Some(file) = &config.credentials_file {
        options = options.credentials_file(file).await.map_err(|error| {
            NatsError::refused(format!("cannot read the credentials file {}: {error}", file.display()))
        })?;
    }
    Ok(options)
}

/// `_INBOX.<user>`, or plain `_INBOX` when the user's name does not fit into a subject.
fn inbox_prefix(user: &str) -> String {
    let fits = !user.is_empty() && user.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
    if fits { format!("_INBOX.{user}") } else { "_INBOX".to_owned() }
}

fn connect_error(config: &ClientConfig, error: &async_nats::ConnectError) -> NatsError {
    let kind = match error.kind() {
        ConnectErrorKind::ServerParse
        | ConnectErrorKind::Authentication
        | ConnectErrorKind::AuthorizationViolation
        | ConnectErrorKind::Tls => NatsErrorKind::Refused,
        ConnectErrorKind::TimedOut => NatsErrorKind::Timeout,
        ConnectErrorKind::Dns | ConnectErrorKind::Io | ConnectErrorKind::MaxReconnects => NatsErrorKind::Unavailable,
    };
    NatsError::new(kind, format!("cannot connect to NATS at {}: {error}", without_password(&config.url)))
}

/// The address as it may be shown: without what stands before an `@`.
fn without_password(url: &str) -> String {
    let shown = |one: &str| match (one.find("://"), one.rfind('@')) {
        (Some(scheme), Some(at)) if at > scheme => format!("{}{}", &one[..scheme + 3], &one[at + 1..]),
        _ => one.to_owned(),
    };
    url.split(',').map(shown).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_not_shown() {
        assert_eq!(without_password("nats://me:secret@host:1,nats://b:2"), "nats://host:1,nats://b:2");
    }

    #[test]
    fn inboxes_of_users_are_apart() {
        assert_eq!(inbox_prefix("query"), "_INBOX.query");
        assert_eq!(inbox_prefix("a.>"), "_INBOX");
    }
}

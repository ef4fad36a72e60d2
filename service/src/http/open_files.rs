//! File handles: each connection needs one, and the usual soft limit of 1,024 is far below what is served. So the limit is
//! raised, and connections get what store, log and the rest leave of it.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::HttpLimits;

/// Handles for everything else: the store's files (at most some three hundred), NATS or CQL, and what the system needs.
const RESERVE: u64 = 512;
/// Where the limit is low, the part of it that is for everything else.
const RESERVED_PART: u64 = 2;
/// Connections that a listener has in any case.
const MIN_CONNECTIONS: u64 = 8;

/// How many files this process may have open, and for how many listeners.
#[derive(Clone, Copy, Debug)]
pub struct OpenFiles {
    /// `None` is no limit.
    limit: Option<u64>,
    listeners: u64,
}

impl OpenFiles {
    /// Raises this process's soft limit to its hard limit, for so many listeners. Called in `main` only. A refusal by the
    /// system leaves the limit as it was.
    pub fn raise(listeners: u64) -> Self {
        let limit = getrlimit(Resource::Nofile);
        let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
        if setrlimit(Resource::Nofile, raised).is_err() {
            tracing::warn!(open_files = limit.current, "cannot raise the limit of open files");
        }
        Self { limit: getrlimit(Resource::Nofile).current, listeners }
    }

    /// Lowers the bound of connections of one listener to what there are handles for.
    pub fn fit(self, limits: &mut HttpLimits) {
        limits.max_connections = self.connections(limits.max_connections);
    }

    /// Says so where the limit does not fit what is configured.
    pub fn warn_if_short(self, limits: &HttpLimits) {
        let (wanted, has) = (limits.max_connections, self.connections(limits.max_connections));
        let Some(limit) = self.limit.filter(|_| has < wanted) else { return };
        let needed = u64::try_from(wanted).unwrap_or(u64::MAX).saturating_mul(self.listeners).saturating_add(RESERVE);
        tracing::warn!(
            open_files = limit,
            connections = has,
            "each of {} listeners takes {has} connections and not SALDO_HTTP_MAX_CONNECTIONS={wanted}: that needs {needed} \
             open files, and the hard limit is {limit} (ulimit -Hn, LimitNOFILE=)",
            self.listeners,
        );
    }

    fn connections(self, wanted: usize) -> usize {
        let Some(limit) = self.limit else { return wanted };
        let reserve = RESERVE.min(limit / RESERVED_PART);
        let of_each = ((limit - reserve) / self.listeners.max(1)).max(MIN_CONNECTIONS);
        // One more is accepted before a quiet one makes room for it.
        wanted.min(usize::try_from(of_each - 1).unwrap_or(usize::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_soft_limit_becomes_the_hard_one() {
        assert_eq!(OpenFiles::raise(1).limit, getrlimit(Resource::Nofile).maximum);
    }

    #[test]
    fn connections_get_what_the_rest_leaves() {
        let connections = |limit, listeners| {
            let mut limits = HttpLimits { max_connections: 16_384, ..HttpLimits::default() };
            OpenFiles { limit, listeners }.fit(&mut limits);
            limits
        };
        assert_eq!(connections(None, 3).max_connections, 16_384);
        assert_eq!(connections(Some(1_048_576), 3).max_connections, 16_384);
        assert_eq!(connections(Some(20_000), 1).max_connections, 16_384);
        assert_eq!(connections(Some(20_000), 3).max_connections, (20_000 - 512) / 3 - 1);
        assert_eq!(connections(Some(256), 3).max_connections, 128 / 3 - 1);
        assert_eq!(connections(Some(10), 3).max_connections, 7);
    }
}

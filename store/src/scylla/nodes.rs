//! Whether every node is still the one that acknowledged what was written.
//!
//! A node that restarts may have lost the last seconds of what it acknowledged. It tells so: `gossip_generation` in
//! `system.local` is another one after each start. So the store's incarnation is the set of its nodes that are up, each with
//! its generation; when that set is another, so is the incarnation.
//!
//! | a node | |
//! |---|---|
//! | tells the generation that it had | nothing is lost, whatever became of connections meanwhile |
//! | tells another, is new, or is no member any more | another incarnation |
//! | cannot be reached, and was up | another incarnation |
//! | does not answer in time | unclear; for a whole period of the commit log: as one that cannot be reached |

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use scylla::{
    client::session::Session,
    cluster::Node,
    policies::load_balancing::{NodeIdentifier, SingleTargetLoadBalancingPolicy},
    statement::{Consistency, Statement},
};
use tokio::sync::Mutex;
use uuid::Uuid;

use super::{
    config::{ASK_TIMEOUT, ScyllaConfig},
    trouble::{Trouble, lost, unreadable},
};
use crate::{StoreError, StoreErrorKind};

const FIRST_INCARNATION: u64 = 1;
const ASK: &str = "SELECT gossip_generation FROM system.local WHERE key = 'local'";

/// What is known of the cluster's nodes.
pub(super) struct Nodes {
    incarnation: AtomicU64,
    datacenter: Option<String>,
    /// Silence for so long counts as being gone.
    patience: Duration,
    asking: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    nodes: BTreeMap<Uuid, Seen>,
    silent_since: BTreeMap<Uuid, Instant>,
    /// When the last round of questions began, and whether all was clear.
    last: Option<(Instant, bool)>,
}

/// How a node was seen last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Seen {
    is_up: bool,
    /// The last one that it told.
    generation: Option<i32>,
}

impl Seen {
    /// Whether acknowledged rows may be gone between the two. One that comes back as it went has only been out of reach.
    fn is_change(before: Option<Self>, now: Self) -> bool {
        before.is_none_or(|before| if now.is_up { now.generation != before.generation } else { before.is_up })
    }
}

/// What a node answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    Generation(i32),
    Down,
    Silent,
}

impl Nodes {
    pub(super) fn new(config: &ScyllaConfig) -> Self {
        Self {
            incarnation: AtomicU64::new(FIRST_INCARNATION),
            datacenter: config.datacenter.clone(),
            patience: config.commit_log_period(),
            asking: Mutex::default(),
        }
    }

    pub(super) fn incarnation(&self) -> u64 {
        self.incarnation.load(Ordering::Acquire)
    }

    /// Whether `incarnation` is the present one, as far as is known now.
    pub(super) fn check(&self, incarnation: u64) -> Result<(), StoreError> {
        if incarnation == self.incarnation() { Ok(()) } else { Err(lost()) }
    }

    /// Whether every node that is up has answered, after this was called, with the generation that it has in `incarnation`.
    pub(super) async fn confirm(&self, session: &Session, incarnation: u64) -> Result<(), StoreError> {
        self.check(incarnation)?;
        let is_clear = self.ask(session).await;
        self.check(incarnation)?;
        if is_clear {
            return Ok(());
        }
        let message =
            "a node of the CQL store does not tell whether it restarted; a retry helps once it answers, or is gone";
        Err(StoreError::new(StoreErrorKind::Unavailable, message))
    }

    /// Asks all nodes, unless somebody else began to after this call; says whether all have answered or are gone.
    pub(super) async fn ask(&self, session: &Session) -> bool {
        let called = Instant::now();
        let mut known = self.asking.lock().await;
        if let Some((began, is_clear)) = known.last
            && began >= called
        {
            return is_clear;
        }
        let began = Instant::now();
        let state = session.get_cluster_state();
        let ours = |node: &&Arc<Node>| self.datacenter.is_none() || node.datacenter == self.datacenter;
        let nodes: Vec<_> = state.get_nodes_info().iter().filter(ours).cloned().collect();
        let answers = join_all(nodes.iter().map(|node| ask_node(session, node))).await;
        let answers = nodes.iter().map(|node| node.host_id).zip(answers);
        let is_first = known.last.is_none();
        let (is_clear, has_changed) = known.note(answers, began, self.patience);
        if has_changed && !is_first {
            let incarnation = self.incarnation.fetch_add(1, Ordering::AcqRel) + 1;
            tracing::warn!(incarnation, nodes = known.nodes.len(), "a node of the CQL store restarted, came or went");
        }
        is_clear
    }
}

impl Known {
    /// Takes a round's answers; says whether all is clear, and whether anything is not as it was.
    fn note(
        &mut self,
        answers: impl Iterator<Item = (Uuid, Answer)>,
        began: Instant,
        patience: Duration,
    ) -> (bool, bool) {
        let (mut nodes, mut silent_since) = (BTreeMap::new(), BTreeMap::new());
        let (mut is_clear, mut has_changed) = (true, false);
        for (id, answer) in answers {
            let before = self.nodes.get(&id).copied();
            let down = Seen { is_up: false, generation: before.and_then(|before| before.generation) };
            let now = match answer {
                Answer::Generation(generation) => Seen { is_up: true, generation: Some(generation) },
                Answer::Down => down,
                Answer::Silent => {
                    let since = self.silent_since.get(&id).copied().unwrap_or(began);
                    silent_since.insert(id, since);
                    let is_patient = began.duration_since(since) < patience;
                    is_clear &= !is_patient;
                    if is_patient { before.unwrap_or(down) } else { down }
                }
            };
            has_changed |= Seen::is_change(before, now);
            nodes.insert(id, now);
        }
        has_changed |= self.nodes.keys().any(|id| !nodes.contains_key(id));
        *self = Self { nodes, silent_since, last: Some((began, is_clear)) };
        (is_clear, has_changed)
    }
}

async fn ask_node(session: &Session, node: &Arc<Node>) -> Answer {
    match generation_of(session, node).await {
        Ok(generation) => Answer::Generation(generation),
        Err(error) => {
            tracing::debug!(node = %node.address, %error, "a node does not tell its generation");
            if error.kind == StoreErrorKind::Lost { Answer::Down } else { Answer::Silent }
        }
    }
}

/// The node's generation; [`StoreErrorKind::Lost`] when it cannot be reached.
async fn generation_of(session: &Session, node: &Arc<Node>) -> Result<i32, StoreError> {
    let mut statement = Statement::new(ASK);
    let target = NodeIdentifier::Node(Arc::clone(node));
    statement.set_load_balancing_policy(Some(SingleTargetLoadBalancingPolicy::new(target, None)));
    statement.set_consistency(Consistency::One);
    statement.set_is_idempotent(true);
    statement.set_request_timeout(Some(ASK_TIMEOUT));
    let answer = session.query_unpaged(statement, &[]).await.map_err(|error| match Trouble::of(&error) {
        Trouble::ConnectionLost => StoreError::new(StoreErrorKind::Lost, error.to_string()),
        trouble => trouble.error(error),
    })?;
    let rows = answer.into_rows_result().map_err(unreadable)?;
    let (generation,) = rows.single_row::<(i32,)>().map_err(unreadable)?;
    Ok(generation)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(10);

    struct Cluster {
        known: Known,
        start: Instant,
    }

    impl Cluster {
        fn of(answers: &[Answer]) -> Self {
            let mut cluster = Self { known: Known::default(), start: Instant::now() };
            assert!(cluster.says(0, answers).1);
            cluster
        }

        /// The nodes 1, 2, … answer like this after so many seconds.
        fn says(&mut self, seconds: u64, answers: &[Answer]) -> (bool, bool) {
            let ids = (1..).map(Uuid::from_u128);
            let began = self.start + Duration::from_secs(seconds);
            self.known.note(ids.zip(answers.iter().copied()), began, PATIENCE)
        }
    }

    #[test]
    fn the_same_answers_are_the_same_incarnation() {
        use Answer::{Down, Generation};
        let mut cluster = Cluster::of(&[Generation(5), Down]);
        assert_eq!(cluster.says(1, &[Generation(5), Down]), (true, false));
    }

    #[test]
    fn a_restarted_a_lost_a_new_and_a_returned_node_are_changes() {
        use Answer::{Down, Generation};
        let mut cluster = Cluster::of(&[Generation(5), Generation(7)]);
        assert_eq!(cluster.says(1, &[Generation(5), Generation(8)]), (true, true));
        assert_eq!(cluster.says(2, &[Generation(5), Down]), (true, true));
        assert_eq!(cluster.says(3, &[Generation(5), Down]), (true, false));
        assert_eq!(cluster.says(4, &[Generation(5), Generation(9)]), (true, true));
        assert_eq!(cluster.says(5, &[Generation(5), Down]), (true, true));
        assert_eq!(cluster.says(5, &[Generation(5), Generation(9)]), (true, false), "it was only out of reach");
        assert_eq!(cluster.says(5, &[Generation(5), Generation(9), Generation(1)]), (true, true));
        assert_eq!(cluster.says(6, &[Generation(5)]), (true, true));
    }

    #[test]
    fn silence_is_unclear_and_a_long_one_is_a_loss() {
        use Answer::{Generation, Silent};
        let mut cluster = Cluster::of(&[Generation(5), Generation(7)]);
        assert_eq!(cluster.says(1, &[Generation(5), Silent]), (false, false));
        assert_eq!(cluster.says(10, &[Generation(5), Silent]), (false, false));
        assert_eq!(cluster.says(11, &[Generation(5), Silent]), (true, true));
        assert_eq!(cluster.says(12, &[Generation(5), Silent]), (true, false));
        assert_eq!(cluster.says(13, &[Generation(5), Generation(7)]), (true, false));
        assert_eq!(cluster.says(14, &[Silent, Generation(7)]), (false, false));
        assert_eq!(cluster.says(15, &[Generation(5), Generation(7)]), (true, false));
        assert_eq!(cluster.says(24, &[Silent, Generation(7)]), (false, false));
        assert_eq!(cluster.says(33, &[Silent, Generation(7)]), (false, false));
    }
}

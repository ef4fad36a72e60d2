//! Clients that post, what they are answered, and whether that is true.

use rand::RngExt;

use super::{
    Checked,
    launch::{Launch, packed},
    network::Sender,
    process::{Process, UNKNOWN_TTL_MS},
    publisher::Batch,
    violation,
    world::World,
};
use crate::{
    deduplication::{Claim, Settlement},
    publishing::{End, PublishFailure},
};

/// How often a launch is claimed anew after somebody else's publish of it was not sent.
const MAX_CLAIMS: u32 = 3;

/// A post without an answer.
#[derive(Clone, Debug)]
pub(super) struct Post {
    pub(super) sender: Sender,
    pub(super) launch: Launch,
    /// A number of a happening.
    begun: u64,
    claims: u32,
    waits: Wait,
}

/// Whose flight decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wait {
    /// It is not claimed yet.
    Nothing,
    Own(u64),
    Other {
        flight: u64,
        same_content: bool,
    },
    /// The next look at the log.
    Look(Verdict),
}

/// What a client is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// 201.
    Accepted(u64),
    /// 200.
    Duplicate(u64),
    /// 409.
    Conflict(u64),
    /// 503: not now, or nobody knows.
    Unavailable,
}

impl World {
    /// Some client posts one launch, or several of one partition together.
    pub(super) fn post(&mut self) -> Checked {
        let first = self.some_launch();
        let all = self.processes.len();
        let process = if self.by_id { usize::from(first.id) / 2 % all } else { self.rng.random_range(0..all) };
        if !self.processes[process].is_running {
            return Ok(());
        }
        let count = if self.rng.random_bool(0.3) { self.rng.random_range(2..5) } else { 1 };
        let mut launches: Vec<Launch> = (1..count).map(|_| self.some_launch()).chain([first]).collect();
        let is_alike = |launch: &Launch| !self.by_id || launch.id / 2 % 2 == first.id / 2 % 2;
        launches
            .retain(|launch| launch.partition(self.partitions) == first.partition(self.partitions) && is_alike(launch));
        let breaks_off = self.rng.random_bool(0.1);
        self.post_to(process, &launches, breaks_off)
    }

    pub(super) fn post_to(&mut self, process: usize, launches: &[Launch], breaks_off: bool) -> Checked {
        let sender = self.processes[process].sender;
        self.tell(|_| format!("{sender:?} gets {launches:?}"));
        let begun = self.happening;
        let post = |launch: &Launch| Post { sender, launch: *launch, begun, claims: 0, waits: Wait::Nothing };
        for launch in launches {
            self.posted_by.entry(launch.id).or_default().insert(sender);
        }
        self.book(launches.iter().map(post).collect(), breaks_off)
    }

    /// Claims launches for one flight, and publishes what is new.
    fn book(&mut self, posts: Vec<Post>, breaks_off: bool) -> Checked {
        let Some(Post { sender, .. }) = posts.first().cloned() else { return Ok(()) };
        let process = &mut self.processes[sender.process];
        let waits = !process.has_looked && self.switches.surroundings.looks_before_answering;
        if !process.has_looked && !waits && process.is_connected {
            process.could_see(&self.broker, self.happening);
        }
        if process.has_stopped || waits {
            return posts.iter().try_for_each(|post| self.answer(post, Verdict::Unavailable));
        }
        let is_bulk = posts.len() > 1;
        let flight = self.processes[sender.process].new_flight();
        let mut new = Vec::new();
        for mut post in posts {
            post.claims += 1;
            let process = &mut self.processes[sender.process];
            let claim = process.claim(post.launch, flight, self.now_ms);
            process.knowledge.check(post.launch, &claim, process.forgets())?;
            if !self.has_lost {
                process.check_warm(post.launch, &claim)?;
            }
            match claim {
                Claim::Known { sequence } => self.answer_from_memory(post, Verdict::Duplicate(sequence))?,
                Claim::Conflict { sequence } => self.answer_from_memory(post, Verdict::Conflict(sequence))?,
                Claim::Pending { flight, same_content } if same_content || is_bulk => {
                    post.waits = Wait::Other { flight: flight.0, same_content };
                    // What is of unknown outcome is decided already.
                    let is_live = self.processes[sender.process].live.contains_key(&flight.0);
                    if is_live { self.posts.push(post) } else { self.answer(&post, Verdict::Unavailable)? }
                }
                Claim::Pending { .. } => self.answer(&post, Verdict::Unavailable)?,
                Claim::New { .. } => {
                    new.push(post.launch);
                    post.waits = Wait::Own(flight);
                    self.posts.push(post);
                }
            }
        }
        self.publish(sender, flight, new, breaks_off)
    }

    /// What is remembered is told after the next look at the log.
    fn answer_from_memory(&mut self, mut post: Post, verdict: Verdict) -> Checked {
        if !self.switches.surroundings.looks_before_answering_from_memory {
            return self.tell_from_memory(&post, verdict);
        }
        post.waits = Wait::Look(verdict);
        self.posts.push(post);
        Ok(())
    }

    /// A process has looked at the log, or could not: those who waited for that are answered.
    pub(super) fn looked(&mut self, process: usize, is_answered: bool) -> Checked {
        let Process { sender, has_stopped, .. } = self.processes[process];
        let waits = |post: &mut Post| post.sender == sender && matches!(post.waits, Wait::Look(_));
        let waiting: Vec<Post> = self.posts.extract_if(.., waits).collect();
        waiting.iter().try_for_each(|post| match post.waits {
            Wait::Look(verdict) if is_answered && !has_stopped => self.tell_from_memory(post, verdict),
            _ => self.answer(post, Verdict::Unavailable),
        })
    }

    /// Whoever tells what is remembered could look at the log at that moment.
    fn tell_from_memory(&mut self, post: &Post, verdict: Verdict) -> Checked {
        let process = &mut self.processes[post.sender.process];
        if process.is_connected {
            process.could_see(&self.broker, self.happening);
        }
        self.answer(post, verdict)
    }

    fn publish(&mut self, sender: Sender, flight: u64, launches: Vec<Launch>, breaks_off: bool) -> Checked {
        if launches.is_empty() || breaks_off {
            // The client went away before its batch was handed over.
            self.posts.retain(|post| post.sender != sender || post.waits != Wait::Own(flight));
            if !launches.is_empty() && !self.switches.surroundings.broken_off_claims_end {
                return Ok(());
            }
            return self.settle_flight(sender, flight, Settlement::NotSent);
        }
        let covers_content = self.switches.surroundings.message_id_covers_content;
        let id = match launches.as_slice() {
            [launch] => launch.name(covers_content),
            launches => Some(packed(launches, covers_content)),
        };
        let Some(id) = id else { return violation("a launch has no name".to_owned()) };
        self.batches += 1;
        let partition = usize::from(launches[0].partition(self.partitions));
        let batch = Batch { number: self.batches, begun: self.happening, flight, launches, id };
        if self.processes[sender.process].publishers[partition].takes(&batch) {
            return Ok(());
        }
        self.end_batch(sender, &batch, End::Failed(PublishFailure::NotSent))
    }

    /// A batch ended: so do its claims.
    pub(super) fn end_batch(&mut self, sender: Sender, batch: &Batch, end: End) -> Checked {
        self.tell(|_| format!("{sender:?}: batch {} of flight {} ends: {end:?}", batch.number, batch.flight));
        let settlement = match end {
            End::Stored { sequence, .. } => Settlement::Published { sequence },
            End::Failed(PublishFailure::Unknown) => {
                for launch in &batch.launches {
                    self.unknown_since.entry(launch.id).or_insert(self.now_ms);
                }
                Settlement::Unknown { since_ms: self.now_ms }
            }
            End::Failed(_) => {
                self.broker.promise_absent(batch.number)?;
                Settlement::NotSent
            }
        };
        self.settle_flight(sender, batch.flight, settlement)
    }

    fn settle_flight(&mut self, sender: Sender, flight: u64, settlement: Settlement) -> Checked {
        self.processes[sender.process].settle(flight, settlement);
        let is_decided = |post: &mut Post| {
            let waits_for = match post.waits {
                Wait::Nothing | Wait::Look(_) => None,
                Wait::Own(flight) | Wait::Other { flight, .. } => Some(flight),
            };
            post.sender == sender && waits_for == Some(flight)
        };
        let decided: Vec<Post> = self.posts.extract_if(.., is_decided).collect();
        for post in decided {
            let same_content = match post.waits {
                Wait::Other { same_content, .. } => same_content,
                Wait::Own(_) | Wait::Nothing | Wait::Look(_) => true,
            };
            match (settlement, post.waits) {
                (Settlement::Published { sequence }, Wait::Own(_)) => {
                    self.answer(&post, Verdict::Accepted(sequence))?
                }
                (Settlement::Published { sequence }, _) if same_content => {
                    self.answer(&post, Verdict::Duplicate(sequence))?;
                }
                (Settlement::Published { sequence }, _) => self.answer(&post, Verdict::Conflict(sequence))?,
                (Settlement::NotSent, Wait::Other { same_content: true, .. }) if post.claims < MAX_CLAIMS => {
                    self.book(vec![post], false)?;
                }
                _ => self.answer(&post, Verdict::Unavailable)?,
            }
        }
        Ok(())
    }

    /// Is what a client is told true?
    fn answer(&mut self, post: &Post, verdict: Verdict) -> Checked {
        self.tell(|_| format!("{:?} answers {:?}: {verdict:?}", post.sender, post.launch));
        let launch = post.launch;
        let noticed = self.processes[post.sender.process].noticed.unwrap_or(0).min(post.begun);
        let is_true = match verdict {
            Verdict::Accepted(sequence) => {
                let is_stored = self.broker.stands(sequence, post.begun, |standing| standing == launch);
                is_stored && self.counts(post)
            }
            Verdict::Duplicate(sequence) => self.broker.stands(sequence, noticed, |standing| standing == launch),
            Verdict::Conflict(sequence) => {
                let is_other = |standing: Launch| standing.id == launch.id && standing.content != launch.content;
                self.broker.stands(sequence, noticed, is_other)
            }
            Verdict::Unavailable => true,
        };
        self.last_verdict = Some(verdict);
        if is_true { Ok(()) } else { violation(format!("{post:?} is answered {verdict:?}, which is not so")) }
    }

    /// A position of a message that is stored just now must not have been told of another one before the batch was made.
    pub(super) fn check_told_once(&mut self, sender: Sender, batch: &Batch, sequence: u64) -> Checked {
        let Some(serial) = self.broker.serial_at(sequence) else { return Ok(()) };
        let happening = self.happening;
        let (told, when) = *self.told.entry((sender, sequence)).or_insert((serial, happening));
        if told == serial || when >= batch.begun {
            return Ok(());
        }
        violation(format!("the position {sequence} of batch {} was told of another message", batch.number))
    }

    /// Whether an accepted launch is what counts of its id, if that can be asked of a process: all that was ever posted of
    /// the id came to it, and it forgets nothing, not even an unknown outcome when its time was over.
    fn counts(&self, post: &Post) -> bool {
        let is_alone = self.posted_by.get(&post.launch.id).is_some_and(|senders| senders.len() == 1);
        let is_over = |since_ms: &u64| self.now_ms - since_ms >= UNKNOWN_TTL_MS;
        let forgets = self.processes[post.sender.process].forgets()
            || self.unknown_since.get(&post.launch.id).is_some_and(is_over);
        let knows_all = is_alone && !self.has_lost && !forgets;
        !knows_all || self.broker.counting(post.launch.id) == Some(post.launch)
    }

    pub(super) fn some_launch(&mut self) -> Launch {
        let id = self.rng.random_range(0..self.ids);
        Launch { id, content: u8::from(self.rng.random_bool(0.3)) }
    }
}

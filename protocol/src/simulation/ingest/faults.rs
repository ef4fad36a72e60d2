//! What goes wrong around ingest.

use rand::RngExt;

use super::{
    Checked,
    network::{Reply, Request, Sender},
    process::Process,
    readers::Reader,
    world::World,
};
use crate::publishing::{Answer, End};

impl World {
    /// A message arrives at the broker, or is lost on the way; so is its answer.
    pub(super) fn arrive(&mut self, is_calm: bool) -> Checked {
        let Some(request) = self.network.arriving(&mut self.rng, self.now_ms) else { return Ok(()) };
        let luck = if is_calm { 100 } else { self.rng.random_range(0..100) };
        let answer = match luck {
            0..6 => return Ok(()),
            6..9 => Answer::Unclear,
            _ if self.broker.is_away && luck < 50 => return Ok(()),
            _ if self.broker.is_away => Answer::NotThere,
            9..12 => {
                self.broker.store(&request, self.now_ms)?;
                Answer::Unclear
            }
            12..15 => Answer::Refused,
            _ => self.broker.store(&request, self.now_ms)?,
        };
        self.tell(|_| format!("the log takes {request:?}: {answer:?}"));
        if luck >= 25 || matches!(answer, Answer::Refused | Answer::NotThere) || is_calm {
            let Request { sender, partition, number, .. } = request;
            self.network.replies.push(Reply { sender, partition, number, answer });
        }
        Ok(())
    }

    pub(super) fn be_answered(&mut self) -> Checked {
        let Some(reply) = self.network.answering(&mut self.rng) else { return Ok(()) };
        let Reply { sender, partition, number, answer } = reply;
        let process = &mut self.processes[sender.process];
        if process.sender != sender || !process.is_running || !process.is_connected {
            return Ok(());
        }
        let rules = self.switches.surroundings;
        let publisher = &mut process.publishers[usize::from(partition)];
        let ended = publisher.answered(&mut self.rng, (number, answer), &process.high_water, self.now_ms);
        let is_stored = ended.iter().any(|(_, end)| matches!(end, End::Stored { .. }));
        let fresh = match answer {
            Answer::Stored { sequence, duplicate: false } if is_stored => Some(sequence),
            _ => None,
        };
        if let Some(sequence) = fresh {
            process.knowledge.saw(sequence);
        }
        if process.high_water.went_back().is_some() {
            process.stop_answering(rules);
        }
        for (batch, sequence) in ended.iter().filter_map(|(batch, _)| Some((batch, fresh?))) {
            self.check_told_once(sender, batch, sequence)?;
        }
        ended.iter().try_for_each(|(batch, end)| self.end_batch(sender, batch, *end))
    }

    /// The process is killed: nobody is answered.
    pub(super) fn crash(&mut self, process: usize) {
        let sender = self.processes[process].sender;
        self.tell(|_| format!("{sender:?} crashes"));
        self.processes[process].is_running = false;
        self.posts.retain(|post| post.sender != sender);
        let reaches = self.rng.random_range(0.0..1.0);
        let rng = &mut self.rng;
        self.network.requests.retain(|request| request.sender != sender || rng.random_bool(reaches));
    }

    /// The process is asked to stop, and its time to do so is over: everybody is answered.
    pub(super) fn stop(&mut self, process: usize) -> Checked {
        let sender = self.processes[process].sender;
        self.tell(|_| format!("{sender:?} stops"));
        for partition in 0..usize::from(self.partitions) {
            let ended = self.processes[process].publishers[partition].finish();
            ended.iter().try_for_each(|(batch, end)| self.end_batch(sender, batch, *end))?;
        }
        // What was waited for elsewhere and was not sent came back to the queues.
        for partition in 0..usize::from(self.partitions) {
            let ended = self.processes[process].publishers[partition].finish();
            for (batch, _) in ended {
                self.broker.promise_absent(batch.number)?;
            }
        }
        self.processes[process].is_running = false;
        self.posts.retain(|post| post.sender != sender);
        Ok(())
    }

    pub(super) fn start(&mut self, process: usize) {
        self.lives += 1;
        let sender = Sender { process, life: self.lives };
        self.tell(|_| format!("{sender:?} starts"));
        let ways = (self.partitions, self.most_in_flight);
        self.processes[process] = Process::start(sender, self.memory, ways, &self.broker, &self.switches, self.now_ms);
    }

    pub(super) fn disconnect(&mut self, process: usize) {
        let sender = self.processes[process].sender;
        self.processes[process].is_connected = false;
        self.processes[process].warm.disconnect();
        let reaches = self.rng.random_range(0.0..1.0);
        let rng = &mut self.rng;
        self.network.requests.retain(|request| request.sender != sender || rng.random_bool(reaches));
        self.network.replies.retain(|reply| reply.sender != sender);
    }

    pub(super) fn connect(&mut self, process: usize) {
        if self.broker.is_away || self.processes[process].is_connected {
            return;
        }
        self.processes[process].is_connected = true;
        self.processes[process].has_looked = false;
        let Self { rng, network, processes, now_ms, .. } = self;
        let Process { sender, publishers, .. } = &mut processes[process];
        let connection = super::publisher::Connection { sender: *sender, is_up: true, now_ms: *now_ms };
        publishers.iter_mut().for_each(|publisher| publisher.send_all_again(rng, network, connection));
    }

    /// The broker goes away, and with it every connection.
    pub(super) fn go_away(&mut self) {
        self.tell(|_| "the log goes away".to_owned());
        self.broker.is_away = true;
        (0..self.processes.len()).for_each(|process| self.disconnect(process));
        self.readers.iter_mut().for_each(Reader::disconnect);
    }

    /// It comes back, perhaps as an older copy of itself, perhaps as another log.
    pub(super) fn come_back(&mut self) {
        self.broker.is_away = false;
        if self.may_lose && self.rng.random_bool(0.25) {
            self.lose();
        }
        self.tell(|world| format!("the log is back, its end is {}", world.broker.end()));
    }

    /// Another server of a cluster leads, and lacks the end of what the one before had acknowledged.
    pub(super) fn change_leader(&mut self) {
        self.network.replies.clear();
        if self.may_lose && self.rng.random_bool(0.3) {
            self.lose();
            let Self { readers, processes, broker, partitions, .. } = self;
            processes.iter_mut().for_each(|process| process.warm.log_went_back(broker, *partitions));
            readers.iter_mut().for_each(|reader| reader.log_went_back(broker, *partitions));
        }
    }

    fn lose(&mut self) {
        self.has_lost = true;
        self.network.replies.clear();
        if self.rng.random_bool(0.3) {
            self.broker.begin_anew(self.happening);
            return;
        }
        let length = self.broker.messages.len();
        let lost = self.rng.random_range(0..=length.min(6));
        self.has_lost_end |= lost > 0;
        self.broker.lose_end(length - lost, self.happening);
    }
}

//! Gathering: which messages go into the next commit, and which windows they touch.

use hashbrown::{HashMap, HashSet};
use ledger::{BusinessDate, Currency, Grain};

use super::{
    config::{Bounds, Rules, WorkerConfig},
    held::{Held, HeldAccount},
    parse::ParsedMessage,
    queue::ReadAhead,
};
use crate::log::LogMark;

/// Messages that are folded and committed together.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) number: u64,
    pub(crate) messages: Vec<ParsedMessage>,
    /// The window of every entry, in order: its index in `windows`.
    pub(crate) windows_of_entries: Vec<u32>,
    /// Windows, accounts and tenants touched, each once, in the order of the log.
    pub(crate) windows: Vec<u32>,
    pub(crate) accounts: Vec<u32>,
    pub(crate) tenants: Vec<u32>,
    rows: BatchRows,
    cost: usize,
}

impl Run {
    /// Takes what is read ahead, within the bounds of one commit; a message that alone exceeds them goes alone.
    pub(crate) fn gather(
        number: u64,
        queue: &mut ReadAhead,
        held: &mut Held,
        config: &WorkerConfig,
        bounds: &Bounds,
        rules: Rules,
    ) -> Self {
        let mut run = Self {
            number,
            messages: Vec::new(),
            windows_of_entries: Vec::new(),
            windows: Vec::new(),
            accounts: Vec::new(),
            tenants: Vec::new(),
            rows: BatchRows::default(),
            cost: 0,
        };
        while let Some(message) = queue.pop() {
            let room = config.commit_launches.saturating_sub(run.windows_of_entries.len());
            if !rules.whole_messages && message.entries.len() > room.max(1) {
                run.take_part(message, room.max(1), queue, held);
                break;
            }
            let fits = message.entries.len() <= room && run.cost + message.cost() <= config.commit_bytes;
            if !run.messages.is_empty() && !fits {
                queue.unpop(message);
                break;
            }
            let entries_before = run.windows_of_entries.len();
            let most_rows = run.resolve(&message, held);
            let is_too_wide = most_rows > bounds.batch_rows || run.windows.len() > config.commit_windows();
            if !run.messages.is_empty() && is_too_wide {
                // What it touches stays in the run's lists: it is loaded a little early.
                run.windows_of_entries.truncate(entries_before);
                queue.unpop(message);
                break;
            }
            run.cost += message.cost();
            run.messages.push(message);
        }
        run
    }

    /// The last message, and the log's time of it.
    pub(crate) fn end(&self) -> Option<(LogMark, i64)> {
        self.messages.last().map(|last| (last.mark(), last.message.time_ms))
    }

    /// Cuts a message in two, as no worker may.
    fn take_part(&mut self, mut message: ParsedMessage, entries: usize, queue: &mut ReadAhead, held: &mut Held) {
        let mut rest = message.clone();
        rest.entries = message.entries.split_off(entries);
        message.bad.clear();
        message.bad_lines = 0;
        self.resolve(&message, held);
        self.messages.push(message);
        queue.unpop(rest);
    }

    /// Finds the windows of a message's entries. Says how many rows the largest batch of the commit may get.
    fn resolve(&mut self, message: &ParsedMessage, held: &mut Held) -> usize {
        let mut last: Option<(usize, u32)> = None;
        for (index, entry) in message.entries.iter().enumerate() {
            let same = last.filter(|(known, _)| {
                let known = &message.entries[*known];
                known.date == entry.date && known.account == entry.account
            });
            let window = same.map_or_else(|| held.window(&entry.account, entry.date), |(_, window)| window);
            last = Some((index, window));
            let index = self.touch(window, entry.fact.currency, held);
            self.windows_of_entries.push(index);
        }
        self.rows.most
    }

    /// Says which of the run's windows it is.
    fn touch(&mut self, id: u32, currency: Currency, held: &mut Held) -> u32 {
        let window = &mut held.windows[id];
        if window.run != self.number {
            window.run = self.number;
            // Windows are numbered with as many bits.
            window.run_index = u32::try_from(self.windows.len()).unwrap_or(u32::MAX);
            window.currencies.clear();
            self.windows.push(id);
        }
        let index = window.run_index;
        if !window.currencies.contains(&currency) {
            window.currencies.push(currency);
            let (date, account) = (window.date, window.account);
            self.touch_owners(account, held);
            self.rows.add(&mut held.accounts[account], date, currency);
        }
        index
    }

    fn touch_owners(&mut self, id: u32, held: &mut Held) {
        let account = &mut held.accounts[id];
        if account.run != self.number {
            account.run = self.number;
            account.run_rows = 0;
            self.accounts.push(id);
        }
        let tenant = &mut held.tenants[account.tenant];
        if tenant.run != self.number {
            tenant.run = self.number;
            self.tenants.push(account.tenant);
        }
    }
}

/// Counts the rows that each batch of a commit may get.
#[derive(Debug, Default)]
struct BatchRows {
    /// Roll-up rows of each tenant: many accounts share them.
    rollups: HashSet<(u32, Grain, BusinessDate, Currency)>,
    rollups_by_tenant: HashMap<u32, usize>,
    most: usize,
}

impl BatchRows {
    /// A currency of a window that the run did not have. Of an account every one is taken for three rows, though months
    /// and lifetime are shared: the count is quick, and its bound far away.
    fn add(&mut self, account: &mut HeldAccount, date: BusinessDate, currency: Currency) {
        account.run_rows += Grain::ALL.len();
        self.most = self.most.max(account.run_rows);
        if !self.rollups.insert((account.tenant, Grain::Day, date, currency)) {
            return;
        }
        let wider = [Grain::Month, Grain::Lifetime].iter();
        let wider = wider.filter(|grain| self.rollups.insert((account.tenant, **grain, grain.start(date), currency)));
        let new = 1 + wider.count();
        let rows = self.rollups_by_tenant.entry(account.tenant).or_default();
        *rows += new;
        self.most = self.most.max(*rows);
    }
}

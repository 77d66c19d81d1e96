//! The idle survivor of a FIFO queue. It waits for no timer, and each of its loops has a bound.

use super::super::board::{Board, Entry, Fault, monotonic_ns, seeds, state};
use super::super::ground::{ONE, RUN, VISIBILITY, VISIBILITY_MS};
use super::super::stage::{seed_in, sound};
use super::super::survivor::index_is_free;
use super::ground::{Held, IDS, Orders, WINDOW_MS};
use super::image::Parts;
use super::ledger::{Orderly, each_id_once, is_gone, is_locked, send};
use ringmain::Error;
use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::Ordering::SeqCst;

/// From the seed of what the traced one sends to that of what a survivor sends with its id.
const AGAIN: u64 = 40;
/// What a survivor sends to the groups that the traced one is at.
const BEHIND: u64 = 80;
/// The group of what a survivor sends for itself.
const WORK_GROUP: u32 = 90;
/// Groups of what fills the queue.
const FILL_GROUPS: u32 = 1000;

pub struct Survivor<'s> {
    pub board: &'static Board,
    pub path: &'s Path,
    pub queue: &'s Orders,
    /// How many it receives at once.
    max: usize,
    pub orderly: RefCell<Orderly>,
    /// Ids of before are forgotten by now.
    window_over: Cell<bool>,
    /// So is the time of what it held all the while.
    time_over: Cell<bool>,
}

impl<'s> Survivor<'s> {
    pub fn new(board: &'static Board, path: &'s Path, queue: &'s Orders, max: usize) -> Self {
        Self {
            board,
            path,
            queue,
            max,
            orderly: RefCell::default(),
            window_over: Cell::new(false),
            time_over: Cell::new(false),
        }
    }

    fn fault(&self, fault: Fault, seed: u64, what: &'static str) {
        self.board.fault(fault, seed, what);
    }

    /// Asks who has died, until nobody has: a bounded number of times.
    pub fn tend(&self) {
        for _ in 0..3 {
            match self.queue.tend() {
                Ok(tended) if tended.dead == 0 => return,
                Ok(_) => {}
                Err(_) => self.fault(Fault::Stuck, 0, "tending failed"),
            }
        }
        self.fault(Fault::Leaked, 0, "the dead are found dead again and again");
    }

    /// Receives and deletes all that is visible. `late`: the time of all holds is over, so what
    /// comes now had nobody's death to bring it back.
    pub fn drain(&self, late: bool) {
        for _ in 0..self.queue.capacity() + 32 {
            match self.queue.receive_batch(self.max) {
                Ok(batch) if batch.is_empty() => return,
                Ok(batch) => batch.into_iter().for_each(|held| self.came(held, late)),
                Err(_) => return self.fault(Fault::Stuck, 0, "a receive failed"),
            }
        }
        self.fault(Fault::Stuck, 0, "the queue does not become empty");
    }

    /// One message has come: checks it against the ledger, and deletes it.
    fn came(&self, held: Held<'_>, late: bool) {
        let Some((entry, seed)) = self.orderly.borrow_mut().came(self.board, &held) else {
            let _ = held.delete(); // told as damaged
            return;
        };
        if entry.came_ns.load(SeqCst) == 0 {
            entry.came_ns.store(monotonic_ns(), SeqCst);
        }
        if is_locked(self.board, entry.group.load(SeqCst)) {
            self.fault(Fault::Reordered, seed, "came although its group is locked");
        }
        if late && !entry.has(state::DETACHED) {
            self.fault(Fault::Stuck, seed, "came back only when its time was over");
        }
        entry.add(state::CAME);
        match held.delete() {
            Ok(()) => entry.add(state::DELETED),
            Err(_) => self.fault(Fault::Taken, seed, "what it holds, it cannot delete"),
        }
    }

    /// What the traced one may have sent.
    fn traced(&self) -> impl Iterator<Item = (u64, &Entry)> {
        let traced = seeds::TRACED..seeds::TRACER;
        let entries = traced.map(|seed| (seed, self.board.known(seed)));
        entries.filter(|(_, entry)| entry.has(state::SENDING))
    }

    /// Sends with each id that the traced one has sent, and one more to each group that it was at.
    pub fn again(&self) {
        let mut groups: BTreeSet<u32> = BTreeSet::new();
        for (seed, entry) in self.traced() {
            let (group, id) = (entry.group.load(SeqCst), entry.id.load(SeqCst));
            groups.insert(group);
            self.must_send(seed + AGAIN, group, id, ONE);
            let again = self.board.known(seed + AGAIN);
            let known = entry.has(state::SENT | state::DUPLICATE) || entry.has(state::CAME);
            if known && !again.has(state::DUPLICATE) {
                self.fault(
                    Fault::Doubled,
                    seed,
                    "accepted, and its id is not remembered",
                );
            }
            if again.has(state::SENT) && !entry.has(state::SENT) {
                entry.add(state::REFUSED); // then that one was not accepted, and never is
            }
        }
        let at = |(seed, entry): (u64, &Entry)| {
            let there = seed < seeds::TRACED && entry.has(state::HELD | state::DELETING);
            there.then(|| entry.group.load(SeqCst))
        };
        groups.extend(self.board.named().filter_map(at));
        for (seed, group) in (BEHIND..seeds::MANY).zip(groups) {
            self.must_send(seed, group, seed as u32, ONE);
        }
    }

    fn must_send(&self, seed: u64, group: u32, id: u32, len: usize) {
        if send(self.board, self.queue, (seed, group, id), len).is_err() {
            self.fault(Fault::Leaked, seed, "no room for what the survivor sends");
        }
    }

    /// The time of all holds is over.
    pub fn time_is_over(&self) {
        self.time_over.set(true);
    }

    /// The window of all ids is over: what was refused for a second message may be sent.
    pub fn window_is_over(&self) {
        self.window_over.set(true);
        for (_, entry) in self.traced() {
            if !entry.has(state::DUPLICATE) {
                entry.take_away(state::REFUSED);
            }
        }
    }

    /// After a drain: what is told to be a duplicate had come before, or is here.
    pub fn firsts_are_there(&self) {
        for (seed, entry) in self.traced() {
            let again = self.board.known(seed + AGAIN);
            let id = entry.id.load(SeqCst);
            let first = |(_, entry): (u64, &Entry)| {
                let here =
                    entry.has(state::CAME | state::DELETED) || entry.holder.load(SeqCst) != 0;
                here && entry.id.load(SeqCst) == id
            };
            if again.has(state::DUPLICATE) && !self.board.named().any(first) {
                self.fault(Fault::Stuck, seed, "accepted, and nobody could receive it");
            }
        }
    }

    /// What a survivor may want to do; what it sends is there for the next drain.
    pub fn work(&self, first: u64) {
        for (seed, len) in (first..).zip([ONE, RUN, 8]) {
            self.must_send(seed, WORK_GROUP, seed as u32, len);
        }
        let again = send(
            self.board,
            self.queue,
            (first + 3, WORK_GROUP, first as u32),
            ONE,
        );
        if !again.is_ok_and(|sent| sent.is_duplicate) {
            self.fault(Fault::Doubled, first, "its own id is accepted twice");
        }
        let Ok(Some(held)) = self.queue.receive() else {
            let what = "what the survivor has just sent does not come";
            return self.fault(Fault::Lost, 0, what);
        };
        let Some((_, seed)) = sound(self.board, held.body()) else {
            return;
        };
        let group = self.board.known(seed).group.load(SeqCst);
        let others = self.queue.receive_batch(10);
        for other in others.into_iter().flatten() {
            let entry = self.board.entry(seed_in(other.body()));
            if entry.is_some_and(|entry| entry.group.load(SeqCst) == group) {
                self.fault(Fault::Reordered, seed, "two of a group by two receives");
            }
            self.gives_back(other);
        }
        self.gives_back(held);
    }

    fn gives_back(&self, mut held: Held<'_>) {
        let extended = held.extend(VISIBILITY).is_ok();
        if !extended || held.release().is_err() {
            self.fault(Fault::Taken, 0, "what the survivor holds, it cannot settle");
        }
    }

    /// Each message that was sent and not deleted has come.
    fn none_is_lost(&self) {
        let purged = self.board.purging.load(SeqCst) != 0;
        for (seed, entry) in self.board.named() {
            if entry.has(state::SENT) && !is_gone(entry) && !purged {
                self.fault(Fault::Lost, seed, "was sent, and did not come");
            }
        }
    }

    /// After a drain: nothing is there but what is held.
    pub fn is_at_rest(&self, held: u64) {
        match self.queue.stat() {
            Ok(stat) => {
                let taken = stat.slots - stat.slots_free;
                if taken != held {
                    self.fault(Fault::Leaked, taken, "slots are not free");
                }
                if stat.attachments != 1 {
                    self.fault(Fault::Leaked, stat.attachments, "attachments, and not one");
                }
                if stat.damaged != 0 {
                    self.fault(Fault::Damaged, stat.damaged, "set aside as damaged");
                }
            }
            Err(_) => self.fault(Fault::Stuck, 0, "no figures"),
        }
        let parts = Parts::of(self.path);
        if parts.claimed() != 0 {
            let what = "entries of groups and ids are somebody's";
            self.fault(Fault::Leaked, parts.claimed(), what);
        }
        if parts.has_unordered() {
            self.fault(Fault::Stuck, 0, "a message is in no order");
        }
    }

    /// Each slot can be used again, in a group of its own, and then each id.
    fn all_can_be_used(&self) {
        self.board.pass_ms(WINDOW_MS + 1);
        let slots = self.queue.capacity() as u64;
        let fill = |n: u64| {
            (
                seeds::FILL + n,
                FILL_GROUPS + n as u32,
                (seeds::FILL + n) as u32,
            )
        };
        let sent = (0..=slots).take_while(|&n| {
            let sent = send(self.board, self.queue, fill(n), ONE);
            if matches!(sent, Err(ref error) if *error != Error::Full) {
                self.fault(Fault::Leaked, n, "neither sent nor full");
            }
            sent.is_ok()
        });
        let sent = sent.count() as u64;
        if sent != slots {
            self.fault(
                Fault::Leaked,
                sent,
                "messages fill the queue, and not its capacity",
            );
        }
        self.drain(false);
        for n in sent..IDS {
            let (seed, _, id) = fill(n + 1);
            self.must_send(seed, WORK_GROUP, id, ONE);
            self.drain(false);
        }
        let more = send(self.board, self.queue, fill(IDS + 1), ONE);
        if !matches!(more, Err(Error::DeduplicationFull { .. })) {
            self.fault(
                Fault::Doubled,
                IDS,
                "more ids are remembered than there may be",
            );
        }
        for n in (0..sent).chain(sent + 1..=IDS) {
            if !self.board.known(seeds::FILL + n).has(state::CAME) {
                self.fault(
                    Fault::Lost,
                    seeds::FILL + n,
                    "filled the queue, and did not come",
                );
            }
        }
    }

    /// What the survivor held all the while is its own, and as it was.
    pub fn settle(&self, own: Vec<Held<'_>>) {
        let purged = self.board.purging.load(SeqCst) != 0;
        for mut held in own {
            let Some((entry, seed)) = sound(self.board, held.body()) else {
                continue;
            };
            entry.holder.store(0, SeqCst);
            let extended = held.extend(VISIBILITY).is_ok();
            let deleted = held.delete().is_ok();
            match extended && deleted {
                true => entry.add(state::DELETED | state::CAME),
                false if purged || self.time_over.get() => {}
                false => self.fault(Fault::Taken, seed, "it is no longer the survivor's"),
            }
        }
    }

    /// The last questions: time passes, and then everything is over.
    pub fn close(&self, own: Vec<Held<'_>>) {
        self.work(seeds::TRACER + 1);
        self.drain(false);
        self.settle(own);
        self.board.pass_ms(VISIBILITY_MS + 1);
        self.drain(true);
        self.none_is_lost();
        if !self.window_over.get() {
            each_id_once(self.board);
        }
        self.is_at_rest(0);
        self.all_can_be_used();
        self.is_at_rest(0);
        index_is_free(self.board, self.path);
    }
}

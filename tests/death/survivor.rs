//! The idle survivor: what the tracer does, by its own attachment, after a death. It waits for no
//! timer, and each of its loops has a bound.
//!
//! What may be true follows from the ledger. A message whose send returned `Ok` comes, once, with
//! its bytes, unless its delete has begun; one whose delete returned `Ok` does not; one whose send
//! did not return comes whole or not at all. At the end everything is free, which is shown by
//! filling the queue.

use super::board::{Board, Fault, monotonic_ns, seeds, state, who};
use super::ground::{BLOCKS, Held, Image, Jobs, ONE, RUN, VISIBILITY_MS, send};
use super::stage::sound;
use ringmain::{Error, Mapped};
use std::path::Path;
use std::sync::atomic::Ordering::SeqCst;

pub struct Survivor<'s> {
    pub board: &'static Board,
    pub path: &'s Path,
    pub queue: &'s Jobs,
    /// Its queue of dead letters.
    pub dead: Option<&'s Jobs>,
}

impl Survivor<'_> {
    fn fault(&self, fault: Fault, seed: u64, what: &'static str) {
        self.board.fault(fault, seed, what);
    }

    /// Asks who has died, until nobody has: a bounded number of times.
    pub fn tend(&self) -> u32 {
        if let Some(dead) = self.dead
            && (dead.tend().is_err() || dead.redrive(self.queue, 0).is_err())
        {
            self.fault(Fault::Stuck, 0, "tending failed");
        }
        let mut dead = 0;
        for _ in 0..3 {
            match self.queue.tend() {
                Ok(tended) if tended.dead == 0 => return dead,
                Ok(tended) => dead += tended.dead,
                Err(_) => self.fault(Fault::Stuck, 0, "tending failed"),
            }
        }
        self.fault(Fault::Leaked, 0, "the dead are found dead again and again");
        dead
    }

    /// Receives and deletes all that is visible. `late`: the time of all holds is over, so what
    /// comes now had nobody's death to bring it back.
    pub fn drain(&self, late: bool) {
        self.drain_one(self.queue, late);
        if let Some(dead) = self.dead {
            self.drain_one(dead, late);
        }
    }

    fn drain_one(&self, queue: &Jobs, late: bool) {
        for _ in 0..queue.capacity() + 32 {
            match queue.receive_batch(10) {
                Ok(batch) if batch.is_empty() => return,
                Ok(batch) => batch.into_iter().for_each(|held| self.came(held, late)),
                Err(_) => return self.fault(Fault::Stuck, 0, "a receive failed"),
            }
        }
        self.fault(Fault::Stuck, 0, "the queue does not become empty");
    }

    /// One message has come: checks it against the ledger, and deletes it.
    fn came(&self, held: Held<'_>, late: bool) {
        let Some((entry, seed)) = sound(self.board, held.body()) else {
            let _ = held.delete(); // told as damaged
            return;
        };
        entry.came_ns.store(monotonic_ns(), SeqCst);
        check_again(self.board, seed);
        if late && !entry.has(state::DETACHED) {
            self.fault(Fault::Stuck, seed, "came back only when its time was over");
        }
        entry.add(state::CAME);
        match held.delete() {
            Ok(()) => entry.add(state::DELETED),
            Err(_) => self.fault(
                Fault::Taken,
                seed,
                "what the survivor holds, it cannot delete",
            ),
        }
    }

    /// What a survivor may want to do, by three messages from seed `first` on; they are there for
    /// the next drain.
    pub fn work(&self, first: u64) {
        let lens = [(0, ONE), (1, RUN), (2, 8)];
        let sent = lens.map(|(n, len)| send(self.board, self.queue, first + n, len).is_ok());
        if sent.contains(&false) {
            self.fault(Fault::Leaked, 0, "no room for the survivor's own");
        }
        drop(self.queue.claim(RUN));
        match self.queue.receive() {
            Ok(Some(mut held)) => {
                let extended = held.extend(super::ground::VISIBILITY).is_ok();
                let released = held.release().is_ok();
                if !extended || !released {
                    self.fault(Fault::Taken, 0, "what the survivor holds, it cannot settle");
                }
            }
            _ => self.fault(
                Fault::Lost,
                0,
                "what the survivor has just sent does not come",
            ),
        }
    }

    /// What the survivor has read in place all the while is as it was.
    pub fn still_reads(&self, held: &[Held<'_>]) {
        for held in held {
            sound(self.board, held.body());
        }
    }

    /// Lets go of what the survivor held.
    pub fn settle(&self, held: Vec<Held<'_>>) {
        for held in held {
            let Some((entry, seed)) = sound(self.board, held.body()) else {
                continue;
            };
            let gone = entry.has(state::DELETED | state::LATE);
            match held.delete() {
                Ok(()) => entry.add(state::DELETED),
                Err(_) if gone => {}
                Err(_) => self.fault(Fault::Taken, seed, "it is no longer the survivor's"),
            }
        }
    }

    /// Each message that was sent and not deleted has come.
    pub fn none_is_lost(&self) {
        let purged = self.board.purging.load(SeqCst) != 0;
        for (seed, entry) in self.board.named() {
            let gone = state::CAME | state::DELETING | state::DELETED;
            if entry.has(state::SENT) && !entry.has(gone) && !purged {
                self.fault(Fault::Lost, seed, "was sent, and did not come");
            }
        }
    }

    /// Nothing is in the queue, nobody else is attached, and every slot can be used again.
    pub fn nothing_is_leaked(&self) {
        self.all_is_free(self.queue);
        if let Some(dead) = self.dead {
            self.all_is_free(dead);
        }
        let reserved = Image::of(self.path).reserved();
        if reserved != 0 {
            self.fault(Fault::Leaked, reserved, "cells of who peeked are not open");
        }
        index_is_free(self.board, self.path);
        self.each_bit_is_back();
        let seed = seeds::TRACER + 4;
        match send(self.board, self.queue, seed, BLOCKS) {
            Ok(()) => {
                self.drain(false);
                if !self.board.known(seed).has(state::CAME) {
                    self.fault(Fault::Lost, seed, "a run over whole blocks does not come");
                }
            }
            Err(_) => self.fault(Fault::Leaked, seed, "no room for a run over whole blocks"),
        }
    }

    fn all_is_free(&self, queue: &Jobs) {
        match queue.stat() {
            Ok(stat) => {
                if stat.slots_free != stat.slots {
                    self.fault(
                        Fault::Leaked,
                        stat.slots - stat.slots_free,
                        "slots are not free",
                    );
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
    }

    /// Fills the queue with messages of one slot, and empties it.
    fn each_bit_is_back(&self) {
        let mut sent = 0;
        while sent <= self.queue.capacity() {
            match send(self.board, self.queue, seeds::FILL + sent as u64, ONE) {
                Ok(()) => sent += 1,
                Err(Error::Full) => break,
                Err(_) => return self.fault(Fault::Stuck, 0, "a send failed"),
            }
        }
        if sent != self.queue.capacity() {
            self.fault(
                Fault::Leaked,
                sent as u64,
                "messages fill the queue, and not its capacity",
            );
        }
        self.drain(false);
        for seed in (seeds::FILL..).take(sent) {
            if !self.board.known(seed).has(state::CAME) {
                self.fault(Fault::Lost, seed, "filled the queue, and did not come");
            }
        }
    }

    /// The last questions: time passes, and then everything is over.
    pub fn close(&self, held: Vec<Held<'_>>) {
        self.work(seeds::TRACER + 1);
        self.drain(false);
        self.still_reads(&held);
        self.settle(held);
        self.board.pass_ms(VISIBILITY_MS + 1);
        self.drain(true);
        self.none_is_lost();
        self.nothing_is_leaked();
    }
}

/// Notes a message that may not come: deleted, refused, or held by one who lives.
pub fn check_again(board: &Board, seed: u64) {
    let entry = board.known(seed);
    if entry.has(state::DELETED) {
        board.fault(Fault::Doubled, seed, "came again after its delete");
    }
    if entry.has(state::REFUSED) {
        board.fault(Fault::Doubled, seed, "came although its send was refused");
    }
    let holder = entry.holder.load(SeqCst);
    let lives = holder == who::TRACER
        || holder == who::BUSY
        || (holder == who::TRACED && board.dead.load(SeqCst) == 0);
    if lives && !entry.has(state::LATE) {
        board.fault(Fault::Taken, seed, "came although somebody living holds it");
    }
}

/// The next one to attach gets the lowest index that nobody has, the dead one's included.
pub fn index_is_free(board: &Board, path: &Path) {
    let before = Image::of(path).attached();
    let lowest = (1..)
        .find(|index| !before.contains(index))
        .expect("there are many");
    match Mapped::open(path) {
        Ok(_region) => {
            if !Image::of(path).attached().contains(&lowest) {
                let what = "an index is not given out again";
                board.fault(Fault::Leaked, lowest as u64, what);
            }
        }
        Err(_) => board.fault(Fault::Stuck, 0, "the region does not open"),
    }
    if Image::of(path).attached() != before {
        board.fault(Fault::Leaked, lowest as u64, "an index is not given back");
    }
}

/// When the last of what the dead one held came; 0 if it held nothing.
pub fn came_ns(board: &Board) -> u64 {
    let held = board.named().filter(|(_, entry)| entry.has(state::HELD));
    let came = held.map(|(_, entry)| entry.came_ns.load(SeqCst));
    came.max().unwrap_or(0)
}

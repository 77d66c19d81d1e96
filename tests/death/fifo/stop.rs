//! A standstill in an operation on a FIFO queue. Groups that the stopped one holds nothing of go on
//! at once, the others when their visibility timeout is over; and an id that it was about to send
//! is accepted once, whoever else sends it meanwhile.

use super::super::board::{Board, Entry, Fault, seeds, state, who};
use super::super::ground::{Image, ONE, RUN, VISIBILITY, VISIBILITY_MS};
use super::super::stage::{seed_in, sound};
use super::super::stop::{Meanwhile, ends};
use super::super::tracer::{Pid, Way, go_on};
use super::super::world::{Row, World};
use super::ground::{Ground, Held, WINDOW_MS, open};
use super::image::Parts;
use super::ledger::{is_gone, is_locked, own, send};
use super::survivor::Survivor;
use super::{Grouped, advance, start};
use ringmain::Error;
use std::collections::HashSet;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

/// Each 100th tending mends; so many see it happen.
const TENDS: u32 = 101;
/// Groups of what uses every free slot again.
const REUSE_GROUPS: u32 = 3000;

pub fn once(
    world: &World,
    grouped: &Grouped,
    ground: &Ground,
    meanwhile: Meanwhile,
    (k, way): (usize, Way),
    row: &mut Row,
) {
    let board = world.board;
    world.begin_round(grouped.name);
    ground.lay(board, &world.path);
    let queue = open(board, &world.path);
    let own = own(board, &queue);
    let traced = start(world, grouped);
    let alone = u32::from(meanwhile == Meanwhile::Work);
    board.alone.store(alone, SeqCst);
    advance(grouped, &traced, way, row);
    let pid = traced.stop();
    let survivor = Survivor::new(board, &world.path, &queue, 10);
    let script = Script {
        survivor: &survivor,
        pid,
        meanwhile,
        k: k as u64,
    };
    script.work(grouped.sets_up);
    let taken = match meanwhile {
        Meanwhile::Work => Vec::new(),
        _ => script.time_passes(),
    };
    go_on(pid);
    ends(board, pid, &|| {});
    board.dead.store(1, SeqCst);
    keeps(board, taken);
    survivor.tend();
    survivor.drain(false);
    survivor.close(own);
}

/// What the survivor received when the stopped one's time was over is its own, whatever that one
/// did when it went on.
fn keeps(board: &Board, taken: Vec<Held<'_>>) {
    let purged = board.purging.load(SeqCst) != 0;
    for mut held in taken {
        let Some((entry, seed)) = sound(board, held.body()) else {
            continue;
        };
        entry.holder.store(0, SeqCst);
        if held.extend(VISIBILITY).is_err() && !purged {
            board.fault(
                Fault::Taken,
                seed,
                "who went on took what is another's by now",
            );
        }
        match held.delete() {
            Ok(()) => entry.add(state::DELETED),
            Err(_) => board.fault(Fault::Taken, seed, "it is no longer the survivor's"),
        }
    }
}

/// What the survivor does while the other one is stopped.
struct Script<'s, 'q> {
    survivor: &'s Survivor<'q>,
    pid: Pid,
    meanwhile: Meanwhile,
    /// After which instruction: what is of no matter goes by it.
    k: u64,
}

impl<'q> Script<'_, 'q> {
    fn board(&self) -> &'static Board {
        self.survivor.board
    }

    fn fault(&self, fault: Fault, seed: u64, what: &'static str) {
        self.board().fault(fault, seed, what);
    }

    fn group_of(&self, seed: u64) -> Option<u32> {
        let entry = self.board().entry(seed)?;
        Some(entry.group.load(SeqCst))
    }

    /// Every operation, in a bounded number of calls.
    fn work(&self, sets_up: bool) {
        let image = Image::of(self.survivor.path);
        let index = image.index_of(self.pid);
        let mine = image.index_of(std::process::id() as i32);
        let (mut locked, mut hidden) = (HashSet::new(), HashSet::new());
        for (owner, seed) in Parts::of(self.survivor.path).held() {
            let (Some(group), Some(entry)) = (self.group_of(seed), self.board().entry(seed)) else {
                continue;
            };
            // Who was dead before is repaired by this survivor, or by the stopped one when it goes
            // on; and a hold may be over, or about to be.
            let living = owner == 0 || [index, mine].contains(&Some(owner));
            match (living, entry.has(state::LATE)) {
                (true, false) => locked.insert(group),
                (true, true) if owner == 0 => false,
                _ => hidden.insert(group),
            };
        }
        self.survivor.tend();
        for _ in 1..TENDS {
            if self.survivor.queue.tend().is_err() {
                self.fault(Fault::Stuck, 0, "tending failed");
            }
        }
        if Image::of(self.survivor.path).index_of(self.pid) != index {
            self.fault(Fault::Taken, 0, "it lost its place in the registry");
        }
        self.receive(&locked, &hidden);
        self.survivor.again();
        self.receive(&locked, &hidden);
        self.survivor.work(seeds::TRACER + 11);
        self.look(sets_up);
    }

    /// All that may be received is, and settled.
    fn receive(&self, locked: &HashSet<u32>, hidden: &HashSet<u32>) {
        let all = self.hold_all(locked);
        let came = self.groups(&all);
        let may_hide = |group: u32| {
            let board = self.board();
            locked.contains(&group) || hidden.contains(&group) || is_locked(board, group)
        };
        if self.board().purging.load(SeqCst) == 0 {
            for (seed, entry) in self.board().named() {
                let group = entry.group.load(SeqCst);
                let waits = entry.has(state::SENT) && !is_gone(entry);
                if waits && !came.contains(&group) && !may_hide(group) {
                    self.fault(Fault::Stuck, seed, "hidden while another one is stopped");
                }
            }
            if locked.is_empty() && hidden.is_empty() {
                self.survivor.firsts_are_there();
            }
        }
        self.settle(all);
        if self.meanwhile != Meanwhile::Work {
            self.survivor.drain(false);
        }
    }

    fn groups(&self, all: &[Held<'_>]) -> HashSet<u32> {
        let group = |held: &Held<'_>| self.group_of(seed_in(held.body()));
        all.iter().filter_map(group).collect()
    }

    /// Receives all that is visible, and holds it; nothing of groups in `locked` may come.
    fn hold_all(&self, locked: &HashSet<u32>) -> Vec<Held<'q>> {
        let board = self.board();
        let mut all: Vec<Held<'q>> = Vec::new();
        for _ in 0..self.survivor.queue.capacity() + 32 {
            let Ok(batch) = self.survivor.queue.receive_batch(10) else {
                self.fault(Fault::Stuck, 0, "a receive failed");
                break;
            };
            if batch.is_empty() {
                return all;
            }
            let batch: Vec<_> = batch.into_iter().collect();
            for held in &batch {
                let mut orderly = self.survivor.orderly.borrow_mut();
                let Some((entry, seed)) = orderly.came(board, held) else {
                    continue;
                };
                entry.add(state::CAME);
                let group = entry.group.load(SeqCst);
                if locked.contains(&group) || is_locked(board, group) {
                    self.fault(Fault::Reordered, seed, "came although its group is locked");
                }
            }
            for held in &batch {
                if let Some(entry) = board.entry(seed_in(held.body())) {
                    entry.take_away(state::LATE);
                    entry.holder.store(who::TRACER, SeqCst);
                }
            }
            all.extend(batch);
        }
        self.fault(Fault::Stuck, 0, "the queue does not become empty");
        all
    }

    /// Releases what it received, or deletes it in one of the ways there are.
    fn settle(&self, all: Vec<Held<'_>>) {
        let queue = self.survivor.queue;
        for (number, held) in all.into_iter().enumerate() {
            let Some(entry) = self.board().entry(seed_in(held.body())) else {
                continue; // told as damaged
            };
            entry.holder.store(0, SeqCst);
            let done = if self.meanwhile == Meanwhile::Work {
                entry.take_away(state::CAME);
                let mut orderly = self.survivor.orderly.borrow_mut();
                orderly.goes_back(entry.group.load(SeqCst));
                held.release()
            } else {
                entry.add(state::DELETED);
                match number % 3 {
                    0 => held.delete(),
                    1 => queue.delete(&held.detach()),
                    _ => {
                        let (receipts, seed) = ([held.receipt()], seed_in(held.body()));
                        let outcomes = queue.delete_batch(&receipts).expect("one");
                        match outcomes.into_iter().collect() {
                            // Who reads it cannot be named: its own handle deletes it.
                            Err(Error::Pinned { .. })
                                if Parts::of(self.survivor.path).is_read_by_two(seed) =>
                            {
                                held.delete()
                            }
                            outcome => outcome,
                        }
                    }
                }
            };
            // One who purges and is stopped may have begun with it: gone is gone.
            if done.is_err() && self.board().purging.load(SeqCst) == 0 {
                let seed = u64::from(entry.id.load(SeqCst));
                self.fault(
                    Fault::Taken,
                    seed,
                    "what the survivor holds, it cannot settle",
                );
            }
        }
    }

    /// Looks at the queue in all ways; opens it again, unless the stopped one may be about to.
    fn look(&self, sets_up: bool) {
        let queue = self.survivor.queue;
        if queue.stat().is_err() || queue.peek().is_err() {
            self.fault(Fault::Stuck, 0, "no figures");
        }
        match queue.receive_timeout(Duration::ZERO) {
            Ok(Some(held)) => drop(held.release()),
            Ok(None) => {}
            Err(_) => self.fault(Fault::Stuck, 0, "a receive failed"),
        }
        if !sets_up {
            drop(open(self.board(), self.survivor.path));
        }
    }

    /// The time of all holds is over: the groups of what the stopped one held go on. Returns what
    /// came, or uses its slots and ids again.
    fn time_passes(&self) -> Vec<Held<'q>> {
        let board = self.board();
        let in_flight = Parts::of(self.survivor.path).held();
        self.survivor.time_is_over();
        board.pass_ms(2 * VISIBILITY_MS + 1); // the longest that an operation asks for
        let holds = |(_, entry): (u64, &Entry)| entry.holder.load(SeqCst) != 0;
        let held = board.named().filter(|&named| holds(named));
        held.for_each(|(_, entry)| entry.add(state::LATE));
        for &(_, seed) in &in_flight {
            if let Some(entry) = board.entry(seed) {
                entry.add(state::LATE);
            }
        }
        let old = |seed| board.entry(seed).is_some_and(|entry| entry.has(state::OLD));
        let all = self.hold_all(&HashSet::new());
        let came = self.groups(&all);
        for (_, seed) in in_flight {
            let goes_on = self
                .group_of(seed)
                .is_some_and(|group| came.contains(&group));
            if !goes_on && !old(seed) {
                self.fault(
                    Fault::Stuck,
                    seed,
                    "its time is over, and its group does not go on",
                );
            }
        }
        if self.meanwhile == Meanwhile::Redelivered {
            return all;
        }
        self.settle(all);
        self.survivor.drain(false);
        self.reuse();
        Vec::new()
    }

    /// The window of every id is over, and what is free is used.
    fn reuse(&self) {
        let board = self.board();
        board.pass_ms(WINDOW_MS + 1);
        self.survivor.window_is_over();
        for number in 0..=self.survivor.queue.capacity() as u64 {
            let len = if (number + self.k) % 8 == 7 { RUN } else { ONE };
            let seed = seeds::REUSE + number;
            let group = REUSE_GROUPS + (number / 2) as u32;
            match send(board, self.survivor.queue, (seed, group, seed as u32), len) {
                Ok(_) => {}
                Err(Error::Full) => break,
                Err(_) => self.fault(Fault::Stuck, 0, "a send failed"),
            }
        }
    }
}

//! Moves between two queues: a message is in exactly one of them, wherever the mover dies, whoever
//! finishes what it left, and if its hold is lost on the way.

use crate::fixture::{LATER_MS, Memory};
use crate::twin::{check, must_fail};
use loom::sync::Arc;
use loom::thread;
use ringmain::internals::arena::Hold;
use ringmain::internals::moving::{Cargo, Landing, tag_of};
use ringmain::internals::word::{Phase, Word};
use ringmain::sync::Ordering;

const SOURCE: u64 = 11;
const TARGET: u64 = 22;
const VALUE: u64 = 7;
/// Who moves, and who goes on.
const MOVER: u32 = 2;
const OTHER: u32 = 1;

/// What is broken.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Twin {
    Sound,
    LeavesFirst,
    DepartsUnsealed,
    RepairFrees,
    OrphansLand,
}

struct Both {
    source: Arc<Memory>,
    target: Arc<Memory>,
    twin: Twin,
}

impl Both {
    fn new(twin: Twin) -> Arc<Self> {
        let both = Self {
            source: Memory::new(1),
            target: Memory::new(1),
            twin,
        };
        assert!(both.source.send(VALUE, OTHER));
        Arc::new(both)
    }

    /// Moves a held message; dies after `steps` steps.
    fn move_on(&self, hold: &Hold, mut steps: usize) {
        let mut dies = || {
            steps = steps.saturating_sub(1);
            steps == 0
        };
        let (source, target) = (self.source.store(), self.target.store());
        let Some((_, _)) = target.take_free(1) else {
            return self.source.store().unborrow(hold, MOVER);
        };
        if dies() {
            return;
        }
        let Some(claimed) = target.claim(0, 1, MOVER) else {
            return self.source.store().unborrow(hold, MOVER);
        };
        if dies() {
            return;
        }
        let value = self.source.read(hold);
        // SAFETY: the run is claimed; the model checker watches that this is so.
        target.value(0).with_mut(|body| unsafe { *body = value });
        let cargo = Cargo {
            size: 8,
            attributes: 0,
            stamp: claimed.moved_stamp(hold.sent_ms(), 1),
            first_ms: 0,
            nonce: SOURCE,
            slot: 0,
        };
        let tag = tag_of(TARGET);
        if self.twin == Twin::DepartsUnsealed {
            if let Some(departed) = source.depart(hold, tag, 0) {
                if dies() {
                    return;
                }
                let _ = target.seal(claimed, &cargo);
                target.land(0, SOURCE, 0);
                source.leave(0, departed, MOVER);
            }
            return;
        }
        let arrival = target.seal(claimed, &cargo);
        if dies() {
            return;
        }
        let Some(departed) = source.depart(hold, tag, arrival.index) else {
            target.break_up(arrival);
            return source.unborrow(hold, MOVER);
        };
        if dies() {
            return;
        }
        if self.twin != Twin::LeavesFirst {
            target.land(0, SOURCE, 0);
            if dies() {
                return;
            }
        }
        source.leave(0, departed, MOVER);
        if dies() {
            return;
        }
        target.land(0, SOURCE, 0);
    }

    /// Finishes what is left, as whoever has both queues does; `dead` is proven.
    fn finish(&self, dead: bool, owner: u32) {
        let (source, target) = (self.source.store(), self.target.store());
        if dead {
            source.repair(&|owner| owner == MOVER, owner);
            target.repair(&|owner| owner == MOVER, owner);
            if self.twin == Twin::RepairFrees {
                let seen = Word(self.target.words[0].load(Ordering::SeqCst));
                if seen.is_arrival() {
                    let free = Word::free(seen.generation() + 1).0;
                    self.target.words[0].store(free, Ordering::SeqCst);
                }
            }
        }
        let tag = tag_of(TARGET);
        source.finish_departed(owner, &mut |seen, slot, from| {
            assert_eq!((seen, slot, from), (tag, 0, 0));
            match target.land(slot, SOURCE, from) {
                true => Landing::Landed,
                false => Landing::Before,
            }
        });
        if self.twin == Twin::OrphansLand {
            target.land(0, SOURCE, 0);
        }
        target.settle_orphans(owner, tag, SOURCE, &source);
    }

    /// The message is in exactly one queue, once and whole, and both have all their slots when it
    /// is deleted there.
    fn audit(&self) {
        let mut found = 0;
        for memory in [&self.source, &self.target] {
            memory.store().repair(&|_| false, OTHER); // bits that a death has left out
            while let Some(hold) = memory.receive(OTHER, 3 * LATER_MS) {
                assert_eq!(memory.read(&hold), VALUE);
                assert!(memory.delete(&hold, OTHER));
                found += 1;
            }
            let word = Word(memory.words[0].load(Ordering::SeqCst));
            assert_eq!((word.phase(), word.pins()), (Phase::Free, 0), "leaked");
            assert_eq!(memory.free_bits(), 1, "leaked");
        }
        assert_eq!(found, 1, "lost or doubled");
    }
}

/// The mover dies after `steps` steps, or comes to its end; somebody may receive the message when
/// its time is over; then two finish what is left, side by side.
fn death(twin: Twin, steps: usize) {
    let both = Both::new(twin);
    let hold = both.source.receive(MOVER, 0).expect("sent");
    let mover = {
        let both = Arc::clone(&both);
        thread::spawn(move || both.move_on(&hold, steps))
    };
    if let Some(hold) = both.source.receive(OTHER, LATER_MS) {
        assert_eq!(both.source.read(&hold), VALUE);
        both.source.store().unborrow(&hold, OTHER);
    }
    mover.join().unwrap();
    let second = {
        let both = Arc::clone(&both);
        thread::spawn(move || both.finish(true, 3))
    };
    both.finish(true, OTHER);
    second.join().unwrap();
    both.audit();
}

/// Beside a living mover somebody finishes moves, since he has seen another one's death.
fn beside(twin: Twin) {
    let both = Both::new(twin);
    let hold = both.source.receive(MOVER, 0).expect("sent");
    let mover = {
        let both = Arc::clone(&both);
        thread::spawn(move || both.move_on(&hold, usize::MAX))
    };
    both.finish(false, OTHER);
    mover.join().unwrap();
    both.finish(false, OTHER);
    both.audit();
}

const STEPS: usize = 6;

#[test]
fn a_death_at_each_step_of_a_move() {
    for steps in 1..=STEPS + 1 {
        check(move || death(Twin::Sound, steps));
    }
}

#[test]
fn a_finisher_beside_a_living_mover() {
    check(|| beside(Twin::Sound));
}

#[test]
fn twin_leaves_before_it_has_landed() {
    must_fail(
        "moves: the source is freed before the copy is a message",
        || {
            // Who lands the copy afterwards may die.
            death(Twin::LeavesFirst, 5);
        },
    );
}

#[test]
fn twin_departs_before_it_has_sealed() {
    must_fail("moves: a departure before the copy is complete", || {
        death(Twin::DepartsUnsealed, 3);
    });
}

#[test]
fn twin_repair_frees_arrivals() {
    must_fail("moves: repair frees an arrival like any claim", || {
        death(Twin::RepairFrees, 4);
    });
}

#[test]
fn twin_every_orphan_lands() {
    must_fail(
        "moves: an orphan lands whose source has not departed",
        || {
            death(Twin::OrphansLand, 3);
        },
    );
}

//! Waiting for records of a log: nobody is asleep beside one that is there, whoever dies where.

use crate::event::Futex;
use crate::log::{ME, Memory, OTHER};
use crate::twin::{check, must_fail};
use loom::sync::{Arc, Mutex};
use loom::thread;
use ringmain::internals::layout::EventSide;
use ringmain::internals::log::{Position, Step};
use ringmain::sync::{AtomicU32, AtomicU64, Ordering};

/// A shard: its log, and whoever waits for records.
struct Shard {
    memory: std::sync::Arc<Memory>,
    event: EventSide,
    futex: Futex,
}

impl Shard {
    /// Perhaps with a flag that a dead waiter left.
    fn new(flag: bool) -> Arc<Self> {
        Arc::new(Self {
            memory: Memory::new(),
            event: EventSide {
                sequence: AtomicU32::new(0),
                reserved: AtomicU32::new(0),
                sleepers: AtomicU64::new(flag.into()),
            },
            futex: Futex {
                asleep: Mutex::new(false),
            },
        })
    }

    fn wake(&self) {
        if self.event.has_sleepers_behind_stores() {
            self.event.wake(|_| self.futex.wake());
        }
    }

    /// As the shards of a twin that has no fence.
    fn wake_unfenced(&self) {
        if self.event.sleepers.load(Ordering::Relaxed) & 1 != 0 {
            self.event.wake(|_| self.futex.wake());
        }
    }

    /// What a waiter looks at: whether there is something at its boundary, over padding.
    fn has_more(&self, mut at: Position) -> bool {
        loop {
            match self.memory.log().step(at) {
                Step::Skip(next) => at = next,
                step => return !matches!(step, Step::Empty | Step::Claimed(_)),
            }
        }
    }

    /// A waiter at a boundary goes to sleep, unless there is something.
    fn wait(&self, at: Position) {
        let sequence = self.event.prepare();
        if !self.has_more(at) {
            self.futex.wait(&self.event.sequence, sequence);
        }
    }

    /// At the end, when all who act have acted.
    fn assert_awake(&self, at: Position) {
        let asleep = *self.futex.asleep.lock().unwrap();
        assert!(!asleep || !self.has_more(at), "asleep beside a record");
    }
}

fn spawn(shard: &Arc<Shard>, act: impl FnOnce(&Shard) + 'static) -> thread::JoinHandle<()> {
    let shard = Arc::clone(shard);
    thread::spawn(move || act(&shard))
}

/// A commit while a reader goes to sleep.
fn a_commit(wake: fn(&Shard)) {
    let shard = Shard::new(false);
    let committer = spawn(&shard, move |shard| {
        shard.memory.put(OTHER, 1, 7).unwrap();
        wake(shard);
    });
    shard.wait(Position::FIRST);
    committer.join().unwrap();
    shard.assert_awake(Position::FIRST);
}

#[test]
fn a_commit_wakes() {
    check(|| a_commit(Shard::wake));
}

#[test]
fn twin_a_commit_wakes() {
    must_fail(
        "log: a committer that asks who sleeps without a fence",
        || a_commit(Shard::wake_unfenced),
    );
}

/// Two commits, the first of which finds a flag and no sleeper, and clears it, while a reader goes
/// to sleep for the second.
#[test]
fn a_flag_that_is_cleared_hides_nobody() {
    check(|| {
        let shard = Shard::new(true);
        let second = Position(Position::FIRST.0 + 1);
        let committer = spawn(&shard, |shard| {
            for value in [7, 8] {
                shard.memory.put(OTHER, 1, value).unwrap();
                shard.wake();
            }
        });
        shard.wait(second);
        committer.join().unwrap();
        shard.assert_awake(second);
    });
}

/// A record behind a claim, which is given up while a reader goes to sleep before it.
fn a_claim_given_up(wakes: bool) {
    let shard = Shard::new(false);
    let claim = shard.memory.claim(OTHER, 1).unwrap();
    shard.memory.put(ME, 1, 7).unwrap();
    let claimant = spawn(&shard, move |shard| {
        shard.memory.log().abandon(claim);
        if wakes {
            shard.wake();
        }
    });
    shard.wait(Position::FIRST);
    claimant.join().unwrap();
    shard.assert_awake(Position::FIRST);
}

#[test]
fn a_claim_that_is_given_up_wakes() {
    check(|| a_claim_given_up(true));
}

#[test]
fn twin_a_claim_that_is_given_up_wakes() {
    must_fail("log: who gives a claim up wakes nobody", || {
        a_claim_given_up(false)
    });
}

/// An end while a reader goes to sleep.
fn an_end(wake: fn(&Shard)) {
    let shard = Shard::new(false);
    let closer = spawn(&shard, move |shard| {
        let closed = shard.memory.log().close(Position::FIRST, || true);
        assert_eq!(closed, Ok(Position::FIRST));
        wake(shard);
    });
    shard.wait(Position::FIRST);
    closer.join().unwrap();
    shard.assert_awake(Position::FIRST);
    assert!(shard.has_more(Position::FIRST));
}

#[test]
fn an_end_wakes() {
    check(|| an_end(Shard::wake));
}

#[test]
fn twin_an_end_wakes() {
    must_fail("log: a closer that asks who sleeps without a fence", || {
        an_end(Shard::wake_unfenced)
    });
}

/// Repairs after the committer's death. One that `dies` does so before it wakes; one that wakes
/// `only_for_claims` has not understood what it is for.
fn repair(shard: &Shard, dies: bool, only_for_claims: bool) {
    let found = shard.memory.log().repair(OTHER);
    if !dies && (found != 0 || !only_for_claims) {
        shard.wake();
    }
}

/// A committer that dies after `steps` of its steps: claiming, committing, reading the flag, moving
/// the sequence. The kernel tells of the death; the first who repairs may die too, and then the
/// next one is told of two.
fn a_death(steps: u32, first_dies: bool, only_for_claims: bool) {
    let shard = Shard::new(false);
    // A record behind what the dead one had claimed.
    let claim = shard.memory.claim(OTHER, 1).unwrap();
    shard.memory.put(ME, 1, 7).unwrap();
    let others = spawn(&shard, move |shard| {
        if steps > 1 {
            shard.memory.log().commit(claim);
        }
        if steps > 2 && shard.event.has_sleepers_behind_stores() && steps > 3 {
            shard.event.wake(|_| 1); // dies before the system call, which would have woken one
        }
        if first_dies {
            repair(shard, true, only_for_claims);
        }
        repair(shard, false, only_for_claims);
    });
    shard.wait(Position::FIRST);
    others.join().unwrap();
    shard.assert_awake(Position::FIRST);
    assert!(shard.has_more(Position::FIRST));
}

#[test]
fn a_committer_dies_here() {
    for steps in 1..=4 {
        for first_dies in [false, true] {
            check(move || a_death(steps, first_dies, false));
        }
    }
}

#[test]
fn twin_a_committer_dies_here() {
    must_fail(
        "log: a repair that wakes only for claims, of a committer",
        || a_death(2, false, true),
    );
    must_fail(
        "log: a repair that wakes only for claims, done again",
        || a_death(1, true, true),
    );
}

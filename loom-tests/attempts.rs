//! Receive attempts: one id by two at once, a repetition against the former holder and against the
//! end of its time, and a death.

use crate::fixture::{LATER_MS, Memory};
use crate::groups::turn;
use crate::twin::{check_within, must_fail_within};
use loom::sync::Arc;
use loom::thread;
use ringmain::internals::arena::Hold;
use ringmain::internals::fifo::attempts::{Begun, WAYS};
use ringmain::internals::fifo::ids::IdKey;
use ringmain::internals::word::{Phase, Word};
use ringmain::sync::Ordering;

const UNTIL_MS: u64 = 100 * LATER_MS;

impl Memory {
    fn attempt_id(number: u64) -> IdKey {
        IdKey {
            hash: 0, // one set
            ..Self::id(number)
        }
    }

    /// A receive of up to `max` with an attempt id, as `queue::fifo::attempt` does it.
    fn attempt(&self, id: u64, owner: u32, now_ms: u64, max: usize) -> Vec<Hold> {
        let store = self.store();
        let Begun::Claimed(claim) = store.begin_attempt(&Self::attempt_id(id), now_ms, owner)
        else {
            return Vec::new();
        };
        let mut holds = Vec::new();
        for former in &store.recorded(&claim) {
            match store.take_over(former, &turn(owner, now_ms)) {
                Ok(Some(hold)) => holds.push(hold),
                _ => break,
            }
        }
        let mut until_ms = None;
        if holds.is_empty() {
            holds = self.turn(owner, now_ms, max);
            until_ms = Some(UNTIL_MS);
        }
        store.end_attempt(claim, holds.iter().copied(), until_ms);
        holds
    }

    /// Whether a hold is that of its message now.
    fn is_current(&self, hold: &Hold) -> bool {
        let word = Word(self.words[hold.index as usize].load(Ordering::SeqCst));
        word.phase() == Phase::Held && word.generation() == hold.word.generation()
    }

    /// Two messages of two groups.
    fn with_two_groups() -> Arc<Self> {
        let memory = Self::fifo_with_attempts(2);
        memory.send_to(1, 11, 1);
        memory.send_to(2, 12, 1);
        memory
    }
}

/// One id by two at once: one of them receives, or the second takes over what the first has
/// received. Never has the id two messages.
fn one_id(first: fn(&Memory) -> Vec<Hold>) {
    let memory = Memory::with_two_groups();
    let other = {
        let memory = Arc::clone(&memory);
        thread::spawn(move || memory.attempt(7, 2, 0, 1))
    };
    let mine = first(&memory);
    let theirs = other.join().unwrap();
    let all: Vec<_> = mine.iter().chain(&theirs).collect();
    assert!(!all.is_empty(), "neither has received");
    let current = all.iter().filter(|hold| memory.is_current(hold)).count();
    assert_eq!(current, 1, "two messages of one id, or two holds");
    // And the next one takes that over.
    let next = memory.attempt(7, 3, 0, 1);
    assert_eq!(next.len(), 1);
    assert!(!all.iter().any(|hold| memory.is_current(hold)));
}

#[test]
fn one_id_by_two() {
    check_within(2, || one_id(|memory| memory.attempt(7, 1, 0, 1)));
}

/// The second brings its id into the set without a look at what has entered meanwhile.
#[test]
fn twin_one_id_by_two() {
    must_fail_within(2, "attempts: an entry without the set's word", || {
        one_id(|memory| {
            let store = memory.store();
            let key = Memory::attempt_id(7);
            let entry = &store.attempts().entries[WAYS - 1];
            for (word, key) in entry.key.iter().zip(key.words) {
                word.store(key, Ordering::SeqCst);
            }
            let found = store.attempts().sets[0].load(Ordering::SeqCst) & 1 != 0;
            if found {
                return memory.attempt(7, 1, 0, 1);
            }
            store.attempts().sets[0].fetch_or(1 << (WAYS - 1), Ordering::SeqCst);
            memory.turn(1, 0, 1)
        })
    });
}

/// A repetition against the former holder's delete, and its look at what it has: one of them has
/// the message, and its bytes stay while they are read.
#[test]
fn a_repetition_against_a_delete() {
    check_within(2, || {
        let memory = Memory::fifo_with_attempts(2);
        memory.send_to(1, 11, 1);
        let first = memory.attempt(7, 1, 0, 1);
        let other = {
            let memory = Arc::clone(&memory);
            thread::spawn(move || {
                let again = memory.attempt(7, 2, 0, 1);
                again.iter().for_each(|hold| {
                    memory.read(hold);
                });
                again
            })
        };
        assert_eq!(memory.read(&first[0]), 11);
        let deleted = memory.settle(&first[0], 0, 1);
        let again = other.join().unwrap();
        assert!(deleted == again.is_empty(), "both have it, or neither");
        for hold in &again {
            assert!(memory.settle(hold, 0, 2));
        }
        assert!(memory.drain(1, 0).is_empty());
        assert_eq!(memory.free_bits(), 0b11, "a slot has leaked");
    });
}

/// A repetition against the end of the time: it takes the message over, or another one receives it.
#[test]
fn a_repetition_against_expiry() {
    check_within(2, || {
        let memory = Memory::fifo_with_attempts(2);
        memory.send_to(1, 11, 1);
        memory.attempt(7, 1, 0, 1);
        let other = {
            let memory = Arc::clone(&memory);
            thread::spawn(move || {
                let store = memory.store();
                let group = store.find_group([1, 0]).expect("an entry");
                store.take_turn(group, &turn(3, LATER_MS), 1)
            })
        };
        let again = memory.attempt(7, 2, LATER_MS - 1, 1);
        let received = other.join().unwrap();
        let current = again.iter().chain(&received);
        let current = current.filter(|hold| memory.is_current(hold)).count();
        assert_eq!(current, 1, "two have it, or none");
    });
}

/// A caller dies in its attempt, with what it has received; another one repeats it while a third
/// repairs. Once the repair has been, the id is to be had, and no message is lost.
fn survived(dies: fn(&Memory), repair: fn(&Memory)) {
    let memory = Memory::fifo_with_attempts(2);
    memory.send_to(1, 11, 1);
    dies(&memory);
    let other = {
        let memory = Arc::clone(&memory);
        thread::spawn(move || memory.attempt(7, 3, 0, 1))
    };
    repair(&memory);
    let mut again = other.join().unwrap();
    memory.repair_groups(2, 1, 0);
    if !again.iter().any(|hold| memory.is_current(hold)) {
        again = memory.attempt(7, 3, 0, 1);
    }
    assert_eq!(again.len(), 1, "the id is a dead one's");
    assert_eq!(memory.read(&again[0]), 11);
    let next = memory.attempt(7, 4, 0, 1);
    assert_eq!(next.len(), 1, "the attempt is forgotten");
    memory.store().unborrow(&again[0], 3);
    assert!(memory.settle(&next[0], 0, 4));
    assert_eq!(memory.free_bits(), 0b11, "a slot has leaked");
}

fn dies_at_once(memory: &Memory) {
    let claimed = memory.store().begin_attempt(&Memory::attempt_id(7), 0, 2);
    assert!(matches!(claimed, Begun::Claimed(_)));
}

fn dies_with_holds(memory: &Memory) {
    dies_at_once(memory);
    assert_eq!(memory.turn(2, 0, 1).len(), 1);
}

fn dies_afterwards(memory: &Memory) {
    assert_eq!(memory.attempt(7, 2, 0, 1).len(), 1);
}

fn dies_taking_over(memory: &Memory) {
    let first = memory.attempt(7, 1, 0, 1)[0];
    let store = memory.store();
    let Begun::Claimed(claim) = store.begin_attempt(&Memory::attempt_id(7), 0, 2) else {
        panic!("another one's");
    };
    let former = store.recorded(&claim)[0];
    assert!(matches!(store.take_over(&former, &turn(2, 0)), Ok(Some(_))));
    store.unborrow(&first, 1); // who has received it first is done
}

#[test]
fn a_caller_dies() {
    for dies in [
        dies_at_once,
        dies_with_holds,
        dies_afterwards,
        dies_taking_over,
    ] {
        check_within(2, move || {
            survived(dies, |memory| memory.repair_groups(2, 1, 0))
        });
    }
}

/// A repair that frees the dead one's entry without making it its own, and ends late.
#[test]
fn twin_a_caller_dies() {
    must_fail_within(2, "attempts: a repair that owns nothing", || {
        survived(dies_at_once, |memory| {
            let store = memory.store();
            // Another repair has seen the death before, and is done.
            memory.repair_groups(2, 1, 0);
            store.attempts().sets[0].store(0, Ordering::SeqCst);
            store.attempts().entries[0].state.store(0, Ordering::SeqCst);
        })
    });
}

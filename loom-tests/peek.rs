//! Peeking: bytes that are read without a receive, against receivers, deleters and senders, against
//! those who name former holders, two of one owner at once, and deaths.

use crate::fixture::{LATER_MS, Memory};
use crate::twin::{check, must_fail};
use loom::sync::Arc;
use loom::thread;
use ringmain::internals::peek::{Found, Pin};
use ringmain::internals::word::{Phase, Word};
use ringmain::sync::Ordering;

/// The message that somebody finds in the first slot without receiving it.
fn peek(memory: &Memory, owner: u32) -> Option<Pin> {
    match memory.store().peek(0, owner) {
        Found::Message(pin) => Some(pin),
        Found::Nothing | Found::Busy(_) => None,
    }
}

/// Nobody reads: the slot is free, and each cell is open.
fn at_rest(memory: &Memory) {
    assert_eq!(memory.free_bits(), 1, "a pin was left behind");
    let word = Word(memory.words[0].load(Ordering::SeqCst));
    assert_eq!((word.phase(), word.pins()), (Phase::Free, 0));
    for cell in 0..2 {
        let former = memory.notes[0].former.load(Ordering::SeqCst);
        assert_eq!(former >> (32 * cell + 28) & 1, 0, "cell {cell} is reserved");
    }
}

/// One looks while another receives, deletes, and sends into the slot.
fn against_reuse(pinned: bool) {
    let memory = Memory::new(1);
    assert!(memory.send(7, 1));
    let other = {
        let memory = Arc::clone(&memory);
        thread::spawn(move || {
            let hold = memory.receive(2, 0).expect("who peeks hides nothing");
            assert_eq!((memory.read(&hold), hold.receive_count()), (7, 1));
            assert!(memory.delete(&hold, 2));
            memory.send(9, 2)
        })
    };
    if let Some(pin) = peek(&memory, 1) {
        if !pinned {
            memory.store().end_peek(&pin, 1); // the twin: reads on without a pin
        }
        let value = memory.read(&pin.hold);
        assert!(value == 7 || value == 9);
        if pinned {
            memory.store().end_peek(&pin, 1);
        }
    }
    if other.join().unwrap() {
        let hold = memory.receive(2, 0).expect("sent");
        assert_eq!(memory.read(&hold), 9);
        assert!(memory.delete(&hold, 2));
    }
    at_rest(&memory);
}

#[test]
fn a_peek_against_reuse() {
    check(|| against_reuse(true));
}

#[test]
fn twin_a_peek_against_reuse() {
    must_fail("peek: bytes read without a pin", || against_reuse(false));
}

/// Two of one owner look at once, and a third deletes.
#[test]
fn two_peeks_of_one_owner() {
    check(|| {
        let memory = Memory::new(1);
        assert!(memory.send(7, 1));
        let second = {
            let memory = Arc::clone(&memory);
            thread::spawn(move || {
                if let Some(pin) = peek(&memory, 1) {
                    assert_eq!(memory.read(&pin.hold), 7);
                    memory.store().end_peek(&pin, 1);
                }
            })
        };
        let first = peek(&memory, 1);
        let hold = memory.receive(1, 0).expect("it waits");
        assert!(memory.delete(&hold, 1));
        if let Some(pin) = first {
            assert_eq!(memory.read(&pin.hold), 7);
            memory.store().end_peek(&pin, 1);
        }
        second.join().unwrap();
        at_rest(&memory);
    });
}

/// One looks at a message that is read in place while another takes it on from its holder: the
/// holder and the one who peeks each find their own pin.
fn beside_a_namer(looks_at_names: bool) {
    let memory = Memory::new(1);
    assert!(memory.send(7, 1));
    let holder = memory.receive(1, 0).unwrap();
    let peeker = {
        let memory = Arc::clone(&memory);
        thread::spawn(move || {
            let pin = if looks_at_names {
                peek(&memory, 3)
            } else {
                reserve_blindly(&memory, 3)
            };
            if let Some(pin) = pin {
                assert_eq!(memory.read(&pin.hold), 7);
                memory.store().end_peek(&pin, 3);
            }
        })
    };
    let taken_on = memory.receive(2, LATER_MS); // the first one's time is over
    let deleted = taken_on.map(|hold| assert!(memory.delete(&hold, 2)));
    peeker.join().unwrap();
    assert_eq!(memory.read(&holder), 7);
    memory.store().unborrow(&holder, 1);
    if deleted.is_none() {
        let hold = memory.receive(2, 2 * LATER_MS).expect("its time is over");
        assert!(memory.delete(&hold, 2));
    }
    at_rest(&memory);
}

/// The twin: takes the first cell without a pin, whoever is about to be named there.
fn reserve_blindly(memory: &Memory, owner: u64) -> Option<Pin> {
    let seen = Word(memory.words[0].load(Ordering::SeqCst));
    if seen.pins() & 1 != 0 || !matches!(seen.phase(), Phase::Ready | Phase::Held) {
        return None;
    }
    let former = &memory.notes[0].former;
    let was = former.load(Ordering::SeqCst);
    let next = (was & !0xffff_ffff) | 1 << 28 | owner << 18;
    let (done, failed) = (Ordering::SeqCst, Ordering::SeqCst);
    former.compare_exchange(was, next, done, failed).ok()?;
    match memory.store().pin_reserved(0, 0, seen) {
        Found::Message(pin) => Some(pin),
        Found::Nothing | Found::Busy(_) => None,
    }
}

#[test]
fn a_peek_beside_a_namer() {
    check(|| beside_a_namer(true));
}

#[test]
fn twin_a_peek_beside_a_namer() {
    must_fail("peek: a cell reserved over a holder's name", || {
        beside_a_namer(false)
    });
}

/// One who peeks dies after each of its steps, while another deletes and sends; repair opens its
/// cell and frees the slot.
fn death(steps: usize, repaired: bool) {
    let memory = Memory::new(1);
    assert!(memory.send(7, 1));
    let dying = {
        let memory = Arc::clone(&memory);
        thread::spawn(move || {
            let seen = Word(memory.words[0].load(Ordering::SeqCst));
            if !matches!(seen.phase(), Phase::Ready | Phase::Held) {
                return;
            }
            let Ok(Some(cell)) = memory.store().reserve(0, seen, 2) else {
                return;
            };
            if steps == 0 {
                return;
            }
            let Found::Message(pin) = memory.store().pin_reserved(0, cell, seen) else {
                return;
            };
            if steps == 1 {
                return;
            }
            let value = memory.read(&pin.hold);
            assert!(value == 7 || value == 9);
            memory.store().end_peek(&pin, 2);
        })
    };
    let hold = memory.receive(1, 0).expect("who peeks hides nothing");
    assert!(memory.delete(&hold, 1));
    let sent = memory.send(9, 1);
    dying.join().unwrap();
    if repaired {
        memory.store().repair(&|owner| owner == 2, 1);
    }
    if sent {
        let hold = memory.receive(1, 0).expect("sent");
        assert_eq!(memory.read(&hold), 9);
        assert!(memory.delete(&hold, 1));
    }
    at_rest(&memory);
}

#[test]
fn who_peeks_dies_here() {
    for steps in 0..=2 {
        check(move || death(steps, true));
    }
}

#[test]
fn twin_who_peeks_dies_here() {
    for steps in 0..=1 {
        must_fail("peek: no repair after a death", move || death(steps, false));
    }
}

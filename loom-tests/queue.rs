//! The queue's memory: laps of the swept blocks, the life of a slot's word, pins against reuse, the
//! least due time, and deaths.

use crate::fixture::{LATER_MS, Memory};
use crate::twin::{check, must_fail};
use loom::sync::Arc;
use loom::thread;
use ringmain::internals::blocks;
use ringmain::internals::due::DUE_NONE_MS;
use ringmain::internals::word::{Phase, Word};
use ringmain::sync::Ordering;

/// Two senders and a receiver go round a block of two slots. `free` is how a slot is given back.
fn laps(free: fn(&Memory, &ringmain::internals::arena::Hold)) {
    let memory = Memory::new(2);
    let sender = {
        let memory = Arc::clone(&memory);
        thread::spawn(move || {
            (1..=2)
                .map(|value| memory.send(value, 2) as u64 * value)
                .sum::<u64>()
        })
    };
    let mut sent = 0;
    let mut received = 0;
    for round in 0..3u64 {
        if round == 0 {
            sent += memory.send(10, 1) as u64 * 10;
        }
        if let Some(hold) = memory.receive(1, 0) {
            received += memory.read(&hold);
            free(&memory, &hold);
        }
    }
    sent += sender.join().unwrap();
    while let Some(hold) = memory.receive(1, 0) {
        received += memory.read(&hold);
        free(&memory, &hold);
    }
    assert_eq!(received, sent);
    assert_eq!(memory.free_bits(), 0b11);
}

#[test]
fn blocks_over_laps() {
    check(|| laps(|memory, hold| assert!(memory.delete(hold, 1))));
}

#[test]
fn twin_blocks_over_laps() {
    must_fail("blocks: a slot freed without release", || {
        laps(|memory, hold| {
            let index = hold.index as usize;
            memory.words[index].store(Word::free(hold.word.generation()).0, Ordering::Relaxed);
            memory.blocks[0]
                .free
                .fetch_or(1 << index, Ordering::Relaxed);
        })
    });
}

/// Two receivers, an expiry and a late delete by `delete_late`: a message is deleted once, nobody's
/// hold is deleted under him, and everybody is told the truth.
fn life(delete_late: fn(&Memory, &ringmain::internals::arena::Hold) -> bool) {
    let memory = Memory::new(1);
    assert!(memory.send(7, 1));
    let late = memory.receive(1, 0).unwrap();
    let other = {
        let memory = Arc::clone(&memory);
        thread::spawn(move || {
            let hold = memory.receive(2, LATER_MS)?; // the first one's time is over
            assert_eq!(memory.read(&hold), 7);
            assert_eq!(hold.receive_count(), 2);
            let word = Word(memory.words[0].load(Ordering::SeqCst));
            assert_eq!(
                (word.phase(), word.owner()),
                (Phase::Held, 2),
                "deleted under its holder"
            );
            Some(memory.delete(&hold, 2))
        })
    };
    let deleted = delete_late(&memory, &late);
    let again = other.join().unwrap();
    // Either the late delete came first, or it was refused, or the message was gone by then.
    match again {
        None => assert!(deleted),
        Some(by_other) => assert!(by_other),
    }
    assert!(memory.receive(1, 2 * LATER_MS).is_none());
    assert_eq!(memory.free_bits(), 1);
    let word = Word(memory.words[0].load(Ordering::SeqCst));
    assert_eq!((word.phase(), word.pins()), (Phase::Free, 0));
}

#[test]
fn life_of_a_word() {
    check(|| life(|memory, late| memory.delete(late, 1)));
}

#[test]
fn twin_life_of_a_word() {
    must_fail(
        "life: a delete that does not look at the generation",
        || {
            life(|memory, late| {
                let seen = Word(memory.words[0].load(Ordering::SeqCst));
                let free = Word::free(seen.generation() + 1);
                let (done, failed) = (Ordering::SeqCst, Ordering::SeqCst);
                let held = matches!(seen.phase(), Phase::Held | Phase::Ready);
                let won = held
                    && memory.words[0]
                        .compare_exchange(seen.0, free.0, done, failed)
                        .is_ok();
                if won {
                    memory.store().put_free(late.index as usize, 1);
                }
                won
            })
        },
    );
}

/// A reads on while its time is over, B receives and deletes, and a sender wants the slot.
fn pins(expire_without_pin: bool) {
    let memory = Memory::new(1);
    assert!(memory.send(7, 1));
    let reader = memory.receive(1, 0).unwrap();
    let other = {
        let memory = Arc::clone(&memory);
        thread::spawn(move || {
            if expire_without_pin {
                let seen = Word(memory.words[0].load(Ordering::SeqCst));
                let ready = Word::ready(seen.generation(), 0);
                let (done, failed) = (Ordering::SeqCst, Ordering::SeqCst);
                let _ = memory.words[0].compare_exchange(seen.0, ready.0, done, failed);
                blocks::put(&memory.blocks[0].ready, 1);
            }
            if let Some(hold) = memory.receive(2, LATER_MS) {
                assert!(memory.delete(&hold, 2));
            }
            memory.send(9, 2)
        })
    };
    assert_eq!(memory.read(&reader), 7);
    memory.store().unborrow(&reader, 1);
    let reused = other.join().unwrap();
    // What is left: the new message, or the old one if its expiry ran into the reader's end.
    let left = memory.receive(1, 2 * LATER_MS);
    assert!(left.is_some() || !reused);
    if let Some(hold) = left {
        assert_eq!(memory.read(&hold), if reused { 9 } else { 7 });
        assert!(memory.delete(&hold, 1));
    }
    assert_eq!(memory.free_bits(), 1);
}

#[test]
fn pins_against_reuse() {
    check(|| pins(false));
}

#[test]
fn twin_pins_against_reuse() {
    must_fail("pins: an expiry that forgets the reader", || pins(true));
}

/// Somebody has seen that the first holder's time is over, stops, and goes on to name it when the
/// slot has another message with a pin of its own.
fn stopped_namer(looks_again: bool) {
    let memory = Memory::new(1);
    assert!(memory.send(7, 1));
    let first = memory.receive(1, 0).unwrap();
    let namer = {
        let memory = Arc::clone(&memory);
        thread::spawn(move || {
            if looks_again {
                if memory.store().expire(0, first.word) {
                    blocks::put(&memory.blocks[0].ready, 1);
                }
                return;
            }
            // The twin: names the holder that it saw, whatever the word says by now.
            let name = (1 << 18) | first.word.generation();
            let was = memory.notes[0].former.load(Ordering::SeqCst);
            let named = (was & !0xfff_ffff) | name;
            let (done, failed) = (Ordering::SeqCst, Ordering::SeqCst);
            let _ = memory.notes[0]
                .former
                .compare_exchange(was, named, done, failed);
        })
    };
    assert!(memory.delete(&first, 1));
    assert!(memory.send(9, 1));
    let second = memory.receive(2, 0).unwrap();
    // The namer may come between, once; then the expiry looks again, as the next sweep would.
    let expired = (0..2).any(|_| memory.store().expire(0, second.word));
    assert!(expired);
    blocks::put(&memory.blocks[0].ready, 1);
    let third = memory.receive(3, LATER_MS).unwrap();
    assert!(memory.delete(&third, 3));
    assert_eq!(memory.read(&second), 9);
    namer.join().unwrap();
    memory.store().unborrow(&second, 2);
    assert_eq!(memory.free_bits(), 1, "a reader's pin was lost");
}

#[test]
fn a_stopped_namer_names_nobody() {
    check(|| stopped_namer(true));
}

#[test]
fn twin_a_stopped_namer_names_nobody() {
    must_fail("pins: a name written without a second look", || {
        stopped_namer(false)
    });
}

/// One raises the block's bound while another receives: what is held stays under the bound.
fn due(two_steps: bool) {
    let memory = Memory::new(1);
    assert!(memory.send(7, 1));
    memory.store().lower_due(0, 1);
    let raiser = {
        let memory = Arc::clone(&memory);
        thread::spawn(move || {
            if two_steps {
                memory.store().expire_block(0, 2, 0, 2);
                return;
            }
            // The twin: looks, then raises, in one step over what it read before.
            let seen = memory.blocks[0].due.0.load(Ordering::SeqCst);
            let word = Word(memory.words[0].load(Ordering::SeqCst));
            let least = if word.phase() == Phase::Held {
                2 + LATER_MS
            } else {
                DUE_NONE_MS
            };
            let (done, failed) = (Ordering::SeqCst, Ordering::SeqCst);
            let due = &memory.blocks[0].due.0;
            let _ = due.compare_exchange(seen, least, done, failed);
        })
    };
    let hold = memory.store().hold(0, 1, true, 2 + LATER_MS);
    if hold.is_some() {
        memory.store().lower_due(0, 2 + LATER_MS);
    }
    raiser.join().unwrap();
    assert!(hold.is_none() || memory.blocks[0].due.ms() <= 2 + LATER_MS);
}

#[test]
fn least_due_time() {
    check(|| due(true));
}

#[test]
fn twin_least_due_time() {
    must_fail("due: a bound raised in one step", || due(false));
}

/// A sender dies after each of its steps while another works on; repair brings everything back.
fn death_of_a_sender(steps: usize, repair: bool) {
    let memory = Memory::new(2);
    let dying = {
        let memory = Arc::clone(&memory);
        thread::spawn(move || memory.send_until(7, 2, steps))
    };
    let mut seen = 0;
    if memory.send(9, 1)
        && let Some(hold) = memory.receive(1, 0)
    {
        seen += memory.read(&hold);
        assert!(memory.delete(&hold, 1));
    }
    let acknowledged = dying.join().unwrap();
    if repair {
        memory.store().repair(&|owner| owner == 2, 1);
    }
    while let Some(hold) = memory.receive(1, 0) {
        seen += memory.read(&hold);
        assert!(memory.delete(&hold, 1));
    }
    assert!(seen == 16 || (seen == 9 && !acknowledged), "saw {seen}");
    assert_eq!(memory.free_bits(), 0b11, "a slot leaked");
}

#[test]
fn sender_dies_here() {
    for steps in 0..=4 {
        check(move || death_of_a_sender(steps, true));
    }
}

#[test]
fn twin_sender_dies_here() {
    must_fail("death: no repair", || death_of_a_sender(1, false));
}

/// A receiver dies holding a message, while the survivor repairs and another sends.
fn death_of_a_receiver(proof: u32) {
    let memory = Memory::new(2);
    assert!(memory.send(7, 1));
    assert!(memory.receive(2, 0).is_some()); // and here it dies
    let sender = {
        let memory = Arc::clone(&memory);
        thread::spawn(move || memory.send(9, 3))
    };
    memory.store().repair(&|owner| owner == proof, 1);
    let sent = sender.join().unwrap();
    let mut seen = 0;
    while let Some(hold) = memory.receive(1, 1) {
        seen += memory.read(&hold);
        assert!(memory.delete(&hold, 1));
    }
    assert_eq!(seen, 7 + sent as u64 * 9);
    assert_eq!(memory.free_bits(), 0b11);
}

#[test]
fn receiver_dies_here() {
    check(|| death_of_a_receiver(2));
}

#[test]
fn twin_receiver_dies_here() {
    must_fail("death: repair after the wrong owner", || {
        death_of_a_receiver(3)
    });
}

/// Two repairs after one death, side by side with a sender that reuses what they free.
#[test]
fn two_repairs() {
    check(|| {
        let memory = Memory::new(2);
        memory.send_until(7, 2, 2); // claimed, and dead
        let other = {
            let memory = Arc::clone(&memory);
            thread::spawn(move || {
                memory.store().repair(&|owner| owner == 2, 3);
            })
        };
        memory.store().repair(&|owner| owner == 2, 1);
        let sent = memory.send(9, 1);
        other.join().unwrap();
        let hold = memory.receive(1, 0);
        assert_eq!(hold.is_some(), sent);
        if let Some(hold) = hold {
            assert_eq!(memory.read(&hold), 9);
            assert!(memory.delete(&hold, 1));
        }
        assert_eq!(memory.free_bits(), 0b11);
    });
}

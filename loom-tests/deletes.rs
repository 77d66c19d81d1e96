//! The only message of a group is deleted: while the next one is sent, while others take it out and
//! send into its slot, and by one who dies.

use crate::fixture::Memory;
use crate::twin::{check, check_within, must_fail};
use loom::sync::Arc;
use loom::thread;
use ringmain::internals::arena::Hold;
use ringmain::internals::fifo::layout::{Next, NextWord};
use ringmain::internals::fifo::send::Sent;
use ringmain::internals::word::Word;
use ringmain::sync::Ordering;

/// How the only message of the only group is deleted, with what others do as soon as it is a
/// tombstone.
type Delete = fn(&Memory, &Hold, &dyn Fn());

fn delete(memory: &Memory, hold: &Hold, between: &dyn Fn()) {
    memory.store().delete_around(hold, 1, between);
}

/// A broken delete: it goes by an arrow that is read `late`, when the message is a tombstone; or it
/// does not look, as it closes it, whether something was appended.
fn broken_delete(memory: &Memory, hold: &Hold, between: &dyn Fn(), late: bool) {
    let (done, failed) = (Ordering::SeqCst, Ordering::SeqCst);
    let (store, index) = (memory.store(), hold.index as usize);
    let (word, arrow) = (&memory.words[index], &store.links()[index].next);
    let first = &store.groups().elements[hold.group as usize].first;
    let before = NextWord(arrow.load(Ordering::SeqCst));
    let tombstone = Word::tombstone(hold.word.generation(), 0, 1);
    let won = word.compare_exchange(hold.word.0, tombstone.0, done, failed);
    assert!(won.is_ok(), "nobody else deletes it");
    between();
    let seen = NextWord(first.load(Ordering::SeqCst));
    let next = match late {
        true => NextWord(arrow.load(Ordering::SeqCst)),
        false => before,
    };
    let (closed, empty) = (next.then_closed().0, seen.then(Next::End).0);
    let closes = || match late {
        true => arrow.compare_exchange(next.0, closed, done, failed).is_ok(),
        false => {
            arrow.store(closed, Ordering::SeqCst);
            true
        }
    };
    let won = next.is_open()
        && seen.plain() == Some(index)
        && closes()
        && first.compare_exchange(seen.0, empty, done, failed).is_ok();
    if !won {
        store.oldest(hold.group as usize, 1);
        store.offer(hold.group as usize, 0, 1);
        return;
    }
    let free = Word::free(hold.word.generation() + 1);
    let freed = word.compare_exchange(tombstone.0, free.0, done, failed);
    if freed.is_ok() {
        store.put_free(index, 1);
    }
}

/// The next message is sent meanwhile: it is received, once.
fn beside_a_send(delete: Delete) {
    let memory = Memory::fifo(2);
    memory.send_to(1, 1, 1);
    let hold = memory.turn(1, 0, 1)[0];
    let sender = {
        let memory = Arc::clone(&memory);
        thread::spawn(move || assert!(matches!(memory.send_to(1, 2, 2), Sent::New(..))))
    };
    delete(&memory, &hold, &|| {});
    sender.join().unwrap();
    assert_eq!(memory.drain(3, 0), [2]);
    assert_eq!(memory.free_bits(), 0b11, "a slot has leaked");
}

#[test]
fn the_only_one_is_deleted_beside_a_send() {
    check(|| beside_a_send(delete));
}

#[test]
fn twin_the_only_one_is_deleted_beside_a_send() {
    must_fail("deletes: a close that does not look", || {
        beside_a_send(|memory, hold, between| broken_delete(memory, hold, between, false))
    });
}

/// As soon as it is a tombstone another one takes it out, and sends into its slot: that is
/// received, once.
fn beside_a_reuse(delete: Delete) {
    let memory = Memory::fifo(1);
    memory.send_to(1, 1, 1);
    let hold = memory.turn(1, 0, 1)[0];
    delete(&memory, &hold, &|| {
        memory.store().oldest(hold.group as usize, 2);
        assert!(matches!(memory.send_to(1, 2, 2), Sent::New(..)));
    });
    assert_eq!(memory.drain(3, 0), [2]);
    assert_eq!(memory.free_bits(), 1, "a slot has leaked");
}

#[test]
fn the_slot_of_the_only_one_is_used_again() {
    check(|| beside_a_reuse(delete));
}

#[test]
fn twin_the_slot_of_the_only_one_is_used_again() {
    must_fail("deletes: an arrow that is read too late", || {
        beside_a_reuse(|memory, hold, between| broken_delete(memory, hold, between, true))
    });
}

/// The deleter dies after some of its steps, while the next message is sent.
#[test]
fn a_deleter_of_the_only_one_dies() {
    for steps in 0..=2 {
        check_within(2, move || match steps {
            0 => beside_a_send(|memory, hold, _| die_deleting(memory, hold, 0)),
            1 => beside_a_send(|memory, hold, _| die_deleting(memory, hold, 1)),
            _ => beside_a_send(|memory, hold, _| die_deleting(memory, hold, 2)),
        });
    }
}

fn die_deleting(memory: &Memory, hold: &Hold, steps: usize) {
    memory.store().die_deleting(&[*hold], 1, steps);
    memory.repair_groups(1, 4, 0);
}

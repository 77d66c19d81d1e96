//! The only message of a group is deleted: while the next one is sent, while others take it out and
//! send into its slot, while others mend, and by one who dies.

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

/// The same of one whose tombstone names it.
#[test]
fn a_named_deleter_dies() {
    for steps in 0..=2 {
        check_within(2, move || match steps {
            0 => beside_a_send(|memory, hold, _| die_named(memory, hold, 0)),
            1 => beside_a_send(|memory, hold, _| die_named(memory, hold, 1)),
            _ => beside_a_send(|memory, hold, _| die_named(memory, hold, 2)),
        });
    }
}

fn die_named(memory: &Memory, hold: &Hold, steps: usize) {
    memory.store().die_deleting_only(hold, 1, steps);
    memory.repair_groups(1, 4, 0);
}

/// Another one mends meanwhile, and sends into the slot as soon as that is free: its message is
/// received, once.
fn beside_a_mending(delete: Delete, mend: fn(&Memory)) {
    let memory = Memory::fifo(1);
    memory.send_to(1, 1, 1);
    let hold = memory.turn(1, 0, 1)[0];
    let send_if_free = |memory: &Memory| {
        let free = memory.free_bits() != 0;
        if free {
            assert!(matches!(memory.send_to(1, 2, 2), Sent::New(..)));
        }
        free
    };
    let mender = {
        let memory = Arc::clone(&memory);
        thread::spawn(move || {
            mend(&memory);
            send_if_free(&memory)
        })
    };
    delete(&memory, &hold, &|| {});
    if !mender.join().unwrap() {
        mend(&memory);
        assert!(send_if_free(&memory), "a slot has leaked");
    }
    assert_eq!(memory.drain(3, 0), [2]);
    assert_eq!(memory.free_bits(), 1, "a slot has leaked");
}

fn mend(memory: &Memory) {
    memory.store().mend_sends(0..usize::MAX, 2);
}

/// A broken mending: what is a tombstone and in no list is freed, whomever it names.
fn broken_mend(memory: &Memory) {
    let store = memory.store();
    let word = Word(memory.words[0].load(Ordering::SeqCst));
    let first = NextWord(store.groups().elements[0].first.load(Ordering::SeqCst));
    let free = Word::free(word.generation() + 1);
    let (done, failed) = (Ordering::SeqCst, Ordering::SeqCst);
    let frees = || memory.words[0].compare_exchange(word.0, free.0, done, failed);
    if word.is_tombstone() && first.next() == Next::End && frees().is_ok() {
        store.put_free(0, 1);
    }
}

#[test]
fn the_only_one_is_deleted_beside_a_mending() {
    check(|| beside_a_mending(delete, mend));
}

#[test]
fn twin_the_only_one_is_deleted_beside_a_mending() {
    must_fail(
        "deletes: a mending that frees what names the living",
        || beside_a_mending(delete, broken_mend),
    );
}

/// The deleter dies after some of its steps: one repairs, and another one mends.
#[test]
fn a_named_deleter_dies_beside_a_mending() {
    for steps in 0..=2 {
        check_within(2, move || match steps {
            0 => beside_a_mending(|memory, hold, _| die_named(memory, hold, 0), mend),
            1 => beside_a_mending(|memory, hold, _| die_named(memory, hold, 1), mend),
            _ => beside_a_mending(|memory, hold, _| die_named(memory, hold, 2), mend),
        });
    }
}

#[test]
fn twin_a_named_deleter_dies_beside_a_mending() {
    must_fail("deletes: a repair that leaves the name of the dead", || {
        beside_a_mending(
            |memory, hold, _| memory.store().die_deleting_only(hold, 1, 2),
            mend,
        )
    });
}

/// The steps of one who takes out the only place of the only group, and dies before it frees it.
fn die_taking_out(memory: &Memory) {
    let store = memory.store();
    let (arrow, first) = (&store.links()[0].next, &store.groups().elements[0].first);
    let (done, failed) = (Ordering::SeqCst, Ordering::SeqCst);
    let seen = NextWord(first.load(Ordering::SeqCst));
    let next = NextWord(arrow.load(Ordering::SeqCst));
    let word = Word(memory.words[0].load(Ordering::SeqCst));
    let closed = next.then_closed().0;
    if word.is_tombstone()
        && seen.plain() == Some(0)
        && next.is_open()
        && arrow.compare_exchange(next.0, closed, done, failed).is_ok()
    {
        let _ = first.compare_exchange(seen.0, seen.then(Next::End).0, done, failed);
    }
}

/// As soon as it is a tombstone another one takes it out, and dies.
#[test]
fn who_takes_out_the_only_one_dies() {
    check(|| {
        let delete: Delete = |memory, hold, _| {
            let die = || die_taking_out(memory);
            memory.store().delete_around(hold, 1, &die);
        };
        beside_a_mending(delete, mend);
    });
}

#[test]
fn twin_who_takes_out_the_only_one_dies() {
    must_fail("deletes: a name that is not given up", || {
        let delete: Delete = |memory, hold, _| {
            memory.store().die_deleting_only(hold, 1, 0);
            die_taking_out(memory);
        };
        beside_a_mending(delete, mend);
    });
}

//! Sends into groups, step by step: one who helps beside the sender, numbers that were reserved,
//! and a purge before the last step.

use crate::fixture::Memory;
use crate::twin::{check_within, must_fail_within};
use loom::sync::Arc;
use loom::thread;
use ringmain::internals::arena::stamp_generation;
use ringmain::internals::fifo::layout::{Next, NextWord, UNORDERED};
use ringmain::internals::fifo::own::Own;
use ringmain::internals::fifo::send::Sent;
use ringmain::internals::word::Word;
use ringmain::sync::AtomicU64;
use ringmain::sync::Ordering::SeqCst;

const ID: u64 = 5;

fn number(sent: Sent) -> u64 {
    match sent {
        Sent::New(_, sequence) => sequence,
        other => panic!("{other:?}"),
    }
}

/// One helps with a send, while the sender goes on: the message is there once.
fn helped(help: fn(&Memory)) {
    let memory = Memory::fifo(2);
    let sender = {
        let memory = Arc::clone(&memory);
        thread::spawn(move || memory.send_to_group(1, ID, 2))
    };
    help(&memory);
    let sent = sender.join().unwrap();
    assert!(matches!(sent, Sent::New(..)), "its own was first");
    let again = memory.send_to_group(2, ID, 1);
    let Sent::Duplicate(first) = again else {
        panic!("accepted twice");
    };
    assert_eq!(first.sequence, number(sent));
    let store = memory.store();
    store.mend_tickets(0..usize::MAX, 0, 1);
    let holds = memory.turn(1, 0, 2);
    let numbers = holds.iter().map(|hold| store.sequence_of(hold));
    assert!(
        numbers.eq([Some(first.sequence)]),
        "its number is another one"
    );
    assert!(memory.settle(&holds[0], 0, 1));
    assert_eq!(memory.free_bits(), 0b11, "a slot has leaked");
}

/// Whether the id is in its chain, so that others than the sender find its message. The look is a
/// read-modify-write, here and below, so that the model checker tries all orders of it and the
/// sender's steps.
fn is_remembered(memory: &Memory) -> bool {
    let ids = memory.store().ids_table();
    ids.entries.buckets[0].fetch_or(0, SeqCst);
    ids.absent(&Memory::id(ID)).is_none()
}

fn help(memory: &Memory) {
    if is_remembered(memory) {
        assert!(memory.store().help_sender(0, 1), "it was sent");
    }
}

#[test]
fn one_helps_beside_the_sender() {
    check_within(4, || helped(help));
}

/// The steps of a helper that does not change the end of the list: the sender may link after it
/// has seen that it had not.
fn help_without_stirring(memory: &Memory) {
    if !is_remembered(memory) {
        return;
    }
    let store = memory.store();
    let (word, link) = (&memory.words[0], &store.links()[0]);
    let seen = Word(word.fetch_or(0, SeqCst));
    let helped = seen.helped_by(1);
    let change =
        |word: &AtomicU64, seen, next| word.compare_exchange(seen, next, SeqCst, SeqCst).is_ok();
    if seen.is_coming() && change(word, seen.0, helped.0) {
        let number = link.sequence.load(SeqCst);
        let first = &store.groups().elements[0].first;
        let linked = NextWord(first.fetch_or(0, SeqCst)).next() == Next::Slot(0);
        if !linked {
            let generation = stamp_generation(memory.notes[0].stamp.load(SeqCst));
            change(&link.sequence, number, UNORDERED | generation);
        }
    }
    help(memory);
}

#[test]
fn twin_one_helps_beside_the_sender() {
    must_fail_within(4, "sends: a helper that does not stir the end", || {
        helped(help_without_stirring);
    });
}

/// A sender has to take a later number, since another message is there, while one helps with its
/// send by the number that it had. What the helper has received and deleted is a duplicate.
fn renumbered(help: fn(&Memory)) {
    let memory = Memory::fifo_with(3, 3);
    let store = memory.store();
    let mut own = Own::new(&store, 1, 0, 1);
    let number = store.fifo_head().sequence.fetch_add(1, SeqCst) + 1;
    memory.send_of(1, 1, &mut own);
    own.finish(&store);
    let sender = {
        let memory = Arc::clone(&memory);
        thread::spawn(move || {
            let store = memory.store();
            let mut own = Own::with_number(&store, 2, number);
            memory.send_of(1, ID, &mut own);
            own.finish(&store);
        })
    };
    if is_remembered(&memory) {
        help(&memory);
        assert_eq!(memory.drain_group(1, 1), [1, ID]);
        let first = store.ids_table().look_up(&Memory::id(ID), 0);
        assert!(first.is_some(), "it has left, and is not accepted");
    }
    sender.join().unwrap();
}

#[test]
fn one_helps_with_a_message_that_is_numbered_anew() {
    check_within(4, || {
        renumbered(|memory| assert!(memory.store().help_sender(1, 1)))
    });
}

/// The helper seals what had another number when it walked, and is not accepted.
#[test]
fn twin_one_helps_with_a_message_that_is_numbered_anew() {
    must_fail_within(4, "sends: a helper that seals under an old number", || {
        renumbered(|memory| {
            let (word, store) = (&memory.words[1], memory.store());
            let seen = Word(word.fetch_or(0, SeqCst));
            let helped = seen.helped_by(1);
            let exchange = |from: u64, to: u64| word.compare_exchange(from, to, SeqCst, SeqCst);
            if seen.is_coming() && exchange(seen.0, helped.0).is_ok() {
                let first = NextWord(memory.store().links()[0].next.fetch_or(0, SeqCst));
                if first.next() == Next::Slot(1) {
                    let generation = stamp_generation(memory.notes[1].stamp.load(SeqCst));
                    let _ = exchange(helped.0, Word::ready(generation, 0).0);
                }
            }
            assert!(store.help_sender(1, 1));
        });
    });
}

/// A call has reserved numbers for two messages. While it sends the second one, another sends to
/// that group, and receives: what is received has growing numbers.
fn reserved(meanwhile: fn(&Memory) -> (u64, Vec<u64>)) {
    let memory = Memory::fifo_with(3, 3);
    let store = memory.store();
    store.group_of([2, 0], 1).expect("an entry");
    let mut own = Own::new(&store, 1, 0, 2);
    memory.send_of(1, 1, &mut own);
    let other = {
        let memory = Arc::clone(&memory);
        thread::spawn(move || meanwhile(&memory))
    };
    let mine = memory.send_of(2, 2, &mut own);
    own.finish(&store);
    let (theirs, mut received) = other.join().unwrap();
    received.extend(memory.drain_group(2, 1));
    assert_eq!(received.len(), 2);
    assert_eq!(
        received[0] == 2,
        mine < theirs,
        "not in the order of the numbers"
    );
}

fn send_and_receive(memory: &Memory) -> (u64, Vec<u64>) {
    let store = memory.store();
    let mut own = Own::new(&store, 2, 0, 1);
    let number = memory.send_of(2, 3, &mut own);
    own.finish(&store);
    (number, memory.drain_group(2, 2))
}

#[test]
fn numbers_are_reserved() {
    check_within(2, || reserved(send_and_receive));
}

#[test]
fn twin_numbers_are_reserved() {
    must_fail_within(
        2,
        "sends: an old number in a group that is empty again",
        || {
            reserved(|memory| {
                let done = send_and_receive(memory);
                memory.store().fifo_head().sequence.store(2, SeqCst); // as if nobody had been there
                done
            });
        },
    );
}

/// A purge before a message is sealed that has its number: either it is purged and its id is
/// forgotten, or neither.
fn purged(drain: fn(&Memory) -> Vec<u64>) {
    let memory = Memory::fifo(2);
    let sender = {
        let memory = Arc::clone(&memory);
        thread::spawn(move || memory.send_to_group(1, ID, 2))
    };
    memory.store().purge_groups(0, 1);
    number(sender.join().unwrap());
    let left = drain(&memory);
    let again = memory.send_to_group(2, ID, 1);
    let is_new = matches!(again, Sent::New(..));
    assert_eq!(left.is_empty(), is_new, "{left:?}, {again:?}");
}

#[test]
fn a_purge_beside_a_send() {
    check_within(3, || purged(|memory| memory.drain(1, 0)));
}

#[test]
fn twin_a_purge_beside_a_send() {
    must_fail_within(3, "sends: a receive of what a purge has forgotten", || {
        purged(|memory| {
            let forgotten = &memory.store().fifo_head().forgotten;
            let until = forgotten.swap(0, SeqCst);
            let left = memory.drain(1, 0);
            forgotten.store(until, SeqCst);
            left
        });
    });
}

/// A purge forgets the number of a message whose id is remembered; then its sender links it, and
/// stands still. Who sends its id after that is not told that it is a duplicate: the first message
/// does not come.
#[test]
fn a_purge_forgets_what_is_coming() {
    check_within(1, || {
        let memory = Memory::fifo(2);
        memory.die_sending(1, ID, 2, 0);
        let store = memory.store();
        store.purge_groups(0, 1);
        let first = &store.groups().elements[0].first;
        let seen = NextWord(first.load(SeqCst));
        first.store(seen.then(Next::Slot(0)).0, SeqCst);
        assert!(matches!(memory.send_to_group(2, ID, 1), Sent::New(..)));
        store.mend_tickets(0..usize::MAX, 0, 1);
        assert_eq!(memory.drain(1, 0), [2]);
    });
}

/// A message is linked, and its sender stands still; somebody meets it in its list. Once it is
/// gone, its id is a duplicate.
fn met(complete: fn(&Memory)) {
    let memory = Memory::fifo(2);
    memory.die_sending(1, ID, 2, 1);
    complete(&memory);
    memory.store().mend_tickets(0..usize::MAX, 0, 1);
    assert_eq!(memory.drain(1, 0), [1]);
    let again = memory.send_to_group(2, ID, 1);
    assert!(matches!(again, Sent::Duplicate(_)), "accepted twice");
}

#[test]
fn who_meets_it_accepts_it_first() {
    check_within(1, || {
        met(|memory| assert!(memory.store().oldest(0, 1).is_some()))
    });
}

#[test]
fn twin_who_meets_it_accepts_it_first() {
    must_fail_within(
        1,
        "sends: a message that is sealed and not accepted",
        || {
            met(|memory| {
                let seen = Word(memory.words[0].load(SeqCst));
                let ready = Word::ready(seen.generation() + 1, 0);
                memory.words[0].store(ready.0, SeqCst);
            });
        },
    );
}

//! What a commit tells of a FIFO queue: a message with its number and its id, and the id alone when
//! the message has gone; against sends, deletes and deaths.

use crate::fixture::Memory;
use crate::twin::{check_within, must_fail_within};
use loom::sync::Arc;
use loom::thread;
use ringmain::internals::arena::stamp_generation;
use ringmain::internals::fifo::send::Sent;
use ringmain::internals::word::Word;
use ringmain::sync::Ordering;

const ME: u32 = 1;
const OTHER: u32 = 2;
const ID: u64 = 5;

/// What commits have told.
#[derive(Debug, Clone, Copy, Default)]
struct Told {
    /// The message, in order, and with it its id.
    message: bool,
    /// The id by itself.
    alone: bool,
}

/// How a commit is made.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Way {
    Right,
    /// Twin: ids are looked at before slots.
    IdsFirst,
    /// Twin: marks of ids whose message is there are dropped.
    MarksDropped,
    /// Twin: slots whose message has no number are not marked again.
    Once,
}

fn tell_slots(memory: &Memory, way: Way, told: &mut Told) {
    let store = memory.store();
    let slots = store.take_marks(0);
    store.copy_slots(0, slots, |index, look| {
        let skipped = way == Way::Once && memory.is_unordered(index);
        if let Some(look) = look.filter(|_| !skipped)
            && let Some(order) = store.kept_order(index, look.stamp)
        {
            assert!(order.id.is_some(), "[id-with-message]");
            told.message = true;
        }
        true
    });
    store.settle_marks(0, slots);
}

fn tell_ids(memory: &Memory, way: Way, told: &mut Told) {
    let store = memory.store();
    let ids = store.take_id_marks(0);
    let (mut there, mut left) = (0, ids);
    while left != 0 {
        let bit = left & left.wrapping_neg();
        match store.kept_id(left.trailing_zeros() as usize) {
            Some(id) if store.has_message(&id) => there |= bit,
            Some(_) => told.alone = true,
            None => {}
        }
        left ^= bit;
    }
    if way != Way::MarksDropped {
        store.put_id_marks(0, there);
    }
    store.settle_id_marks(0, ids & !there);
}

fn commit(memory: &Memory, way: Way) -> Told {
    let mut told = Told::default();
    if way == Way::IdsFirst {
        tell_ids(memory, way, &mut told);
        tell_slots(memory, way, &mut told);
    } else {
        tell_slots(memory, way, &mut told);
        tell_ids(memory, way, &mut told);
    }
    told
}

/// How far one who deletes comes.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Deletes {
    All,
    /// It dies when the message is deleted.
    Dies,
    /// The same, when it has taken it out of the list.
    DiesNamed,
    /// Twin: it deletes, and dies before it marks.
    DiesUnmarked,
}

/// One deletes the only message, and another one commits, once at the same time and once later.
/// `before`: a commit has told the message.
fn delete(before: bool, deletes: Deletes, way: Way) {
    let memory = Memory::fifo_kept(2);
    memory.send_to_group(7, ID, ME);
    let hold = memory.turn(OTHER, 0, 1).pop().unwrap();
    if before {
        assert!(commit(&memory, Way::Right).message);
    }
    let committer = {
        let memory = Arc::clone(&memory);
        thread::spawn(move || commit(&memory, way))
    };
    let store = memory.store();
    match deletes {
        Deletes::All => assert_eq!(store.delete_in_turn(&hold, 1, 1, OTHER), Ok(true)),
        Deletes::Dies => store.die_deleting(&[hold], OTHER, 0),
        Deletes::DiesNamed => store.die_deleting_only(&hold, OTHER, 2),
        Deletes::DiesUnmarked => {
            let tombstone = Word::tombstone(hold.word.generation(), 0, 1);
            memory.words[0].store(tombstone.0, Ordering::SeqCst);
        }
    }
    let first = committer.join().unwrap();
    assert!(
        before || first.message || first.alone,
        "sent before this commit, and the id is not in it"
    );
    let second = commit(&memory, Way::Right);
    assert!(
        first.alone || second.alone,
        "the message has gone, and its id is not told by itself"
    );
}

#[test]
fn an_id_is_told_by_itself_when_its_message_goes() {
    for before in [false, true] {
        for deletes in [Deletes::All, Deletes::Dies, Deletes::DiesNamed] {
            check_within(3, move || delete(before, deletes, Way::Right));
        }
    }
}

#[test]
fn twin_an_id_is_not_marked_before_its_message_goes() {
    must_fail_within(3, "fifo kept: a death before the mark", || {
        delete(true, Deletes::DiesUnmarked, Way::Right)
    });
}

#[test]
fn twin_ids_before_slots() {
    must_fail_within(3, "fifo kept: ids before slots", || {
        delete(false, Deletes::All, Way::IdsFirst)
    });
}

#[test]
fn twin_a_mark_is_dropped_while_the_message_is_there() {
    must_fail_within(3, "fifo kept: a mark that is dropped", || {
        delete(true, Deletes::All, Way::MarksDropped)
    });
}

/// One sends, or dies after some of its steps; another one commits, at the same time and when the
/// send is over.
fn send(dies: Option<usize>, way: Way) {
    let memory = Memory::fifo_kept(2);
    let committer = {
        let memory = Arc::clone(&memory);
        thread::spawn(move || commit(&memory, way))
    };
    match dies {
        Some(steps) => memory.die_sending(7, ID, ME, steps),
        None => drop(memory.send_to_group(7, ID, ME)),
    }
    let first = committer.join().unwrap();
    if dies.is_some() {
        memory.repair_groups(ME, OTHER, 0);
    }
    let second = commit(&memory, Way::Right);
    assert!(first.message || second.message, "sent, and in no commit");
}

#[test]
fn a_message_is_told_once_it_is_in_order() {
    for dies in [None, Some(1), Some(2), Some(3), Some(6)] {
        check_within(2, move || send(dies, Way::Right));
    }
}

/// A repair puts in order what a dead one has sealed, while another one commits.
fn put_in_order(way: Way) {
    let memory = Memory::fifo_kept(2);
    memory.die_sending(7, ID, ME, 6);
    let committer = {
        let memory = Arc::clone(&memory);
        thread::spawn(move || commit(&memory, way))
    };
    memory.repair_groups(ME, OTHER, 0);
    let first = committer.join().unwrap();
    let second = commit(&memory, Way::Right);
    assert!(first.message || second.message, "sent, and in no commit");
}

#[test]
fn a_message_that_gets_its_number_is_told() {
    check_within(2, || put_in_order(Way::Right));
}

#[test]
fn twin_a_message_without_a_number_is_not_marked_again() {
    must_fail_within(2, "fifo kept: a slot that is not marked again", || {
        put_in_order(Way::Once)
    });
}

/// A sender stands still when its message is sealed, before it has marked that; another one sends
/// the same id, and so finishes it, while somebody commits. Whether the message is told once the
/// second has returned. Twin: the mark that it has made is taken away.
fn finish(steps: usize, unmarked: bool) {
    let memory = Memory::fifo_kept(2);
    memory.die_sending(7, ID, ME, steps);
    let stamp = memory.notes[0].stamp.load(Ordering::SeqCst);
    let ready = Word::ready(stamp_generation(stamp), 0);
    memory.words[0].store(ready.0, Ordering::SeqCst);
    let committer = {
        let memory = Arc::clone(&memory);
        thread::spawn(move || commit(&memory, Way::Right))
    };
    let sent = memory.send_to_group(8, ID, OTHER);
    assert!(matches!(sent, Sent::Duplicate(_)));
    if unmarked {
        memory.blocks[0].dirty.fetch_and(!1, Ordering::SeqCst);
    }
    let first = committer.join().unwrap();
    let second = commit(&memory, Way::Right);
    assert!(
        first.message || second.message,
        "a duplicate of what is in no commit"
    );
}

#[test]
fn who_finishes_a_send_marks_it() {
    // In no order, and accepted.
    for steps in [5, 2] {
        check_within(2, move || finish(steps, false));
    }
}

#[test]
fn twin_who_finishes_a_send_does_not_mark_it() {
    must_fail_within(2, "fifo kept: a helper that does not mark", || {
        finish(5, true);
    });
    must_fail_within(2, "fifo kept: a duplicate that does not mark", || {
        finish(2, true);
    });
}

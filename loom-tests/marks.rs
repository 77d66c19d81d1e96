//! The journal's marks: a copy against reuse of its slot, positions, the timed committer's word,
//! and a committer that dies.

use crate::fixture::Memory;
use crate::twin::{check, must_fail};
use loom::sync::Arc;
use loom::thread;
use ringmain::internals::store::Store;
use ringmain::sync::Ordering;

/// What a commit wrote for the only slot: the generation of its send and its body.
type Wrote = Option<Option<(u64, u64)>>;

/// Takes the marks of the only block and copies its slots.
fn commit(memory: &Memory, store: &Store<'_>) -> Wrote {
    let slots = store.take_marks(0);
    let mut wrote = None;
    if slots != 0 {
        store.copy_slots(0, slots, |index, look| {
            wrote = Some(look.map(|look| (look.stamp >> 44, memory.read_slot(index))));
            true
        });
        store.settle_marks(0, slots);
    }
    wrote
}

/// One copies a slot for the journal while its message is deleted and another one sent into it.
fn copy(sender_looks: bool) {
    let memory = Memory::new(1);
    assert!(memory.send(7, 1));
    let first = memory.notes[0].stamp.load(Ordering::SeqCst) >> 44;
    let committer = {
        let memory = Arc::clone(&memory);
        thread::spawn(move || commit(&memory, &memory.store()))
    };
    let hold = memory.receive(1, 0).unwrap();
    assert!(memory.delete(&hold, 1));
    let sent = memory.send_marked(9, 1, sender_looks);
    let wrote = committer.join().unwrap();
    if let Some(Some((generation, body))) = wrote {
        assert_eq!(body, if generation == first { 7 } else { 9 });
    }
    // What the next commit writes is the last word about the slot, if there is one to be said.
    let last = commit(&memory, &memory.store()).or(wrote);
    let there = last.flatten().is_some_and(|(_, body)| body == 9);
    assert_eq!(there, sent, "the journal says something else");
    if sent {
        let hold = memory.receive(1, 0).unwrap();
        assert!(memory.delete(&hold, 1));
    }
    assert_eq!(memory.free_bits(), 1, "the slot was not given back");
    assert_eq!(memory.blocks[0].copying.load(Ordering::SeqCst), 0);
}

#[test]
fn copy_against_reuse() {
    check(|| copy(true));
}

#[test]
fn twin_copy_against_reuse() {
    must_fail("marks: a claimant that does not look who copies", || {
        copy(false)
    });
}

/// One sends and reads the position, another commits: what is before a position is in its commit.
fn position(begin_first: bool) {
    let memory = Memory::new(1);
    let committer = {
        let memory = Arc::clone(&memory);
        thread::spawn(move || {
            let store = memory.store();
            let begun = begin_first.then(|| store.begin_commit());
            let wrote = commit(&memory, &store);
            let number = begun.unwrap_or_else(|| store.begin_commit());
            store.end_commit(number);
            wrote
        })
    };
    let store = memory.store();
    assert!(memory.send(7, 1));
    let position = store.position();
    let durable = store.durable_position() >= position;
    let wrote = committer.join().unwrap();
    let in_time = store.durable_position() >= position;
    assert!(!in_time || wrote == Some(Some((1, 7))), "{wrote:?}");
    assert!(in_time || !durable);
}

#[test]
fn positions() {
    check(|| position(true));
}

#[test]
fn twin_positions() {
    must_fail("marks: a commit that begins after it has looked", || {
        position(false)
    });
}

/// One marks and tells the timed committer, which clears the word and takes the marks.
fn pending(clears_first: bool) {
    let memory = Memory::new(1);
    let word = &memory.store().head().seldom.pending;
    word.swap(1, Ordering::SeqCst); // something came before
    let committer = {
        let memory = Arc::clone(&memory);
        thread::spawn(move || {
            let store = memory.store();
            let pending = &store.head().seldom.pending;
            let taken = (!clears_first).then(|| store.take_marks(0));
            let was = pending.swap(0, Ordering::SeqCst);
            taken.unwrap_or_else(|| if was == 1 { store.take_marks(0) } else { 0 })
        })
    };
    let store = memory.store();
    assert!(memory.send(7, 1));
    if !store.is_pending() {
        store.head().seldom.pending.swap(1, Ordering::SeqCst);
    }
    let taken = committer.join().unwrap();
    let told = store.head().seldom.pending.load(Ordering::SeqCst) == 1;
    assert!(taken != 0 || told, "a mark that nobody will take");
}

#[test]
fn the_timed_committer_is_told() {
    check(|| pending(true));
}

#[test]
fn twin_the_timed_committer_is_told() {
    must_fail("marks: a committer that looks and then clears", || {
        pending(false)
    });
}

/// A committer dies with the slot's copy begun; a sender wants the slot while another restores.
fn death_of_a_committer(restore: fn(&Memory)) {
    let memory = Memory::new(1);
    assert!(memory.send(7, 1));
    let store = memory.store();
    let slots = store.take_marks(0);
    memory.blocks[0].copying.fetch_or(slots, Ordering::SeqCst); // and here it dies
    let hold = memory.receive(1, 0).unwrap();
    assert!(memory.delete(&hold, 1));
    let restorer = {
        let memory = Arc::clone(&memory);
        thread::spawn(move || restore(&memory))
    };
    let sent = memory.send(9, 1);
    restorer.join().unwrap();
    // A bit may stand though the slot is taken; it may not be missing.
    assert!(
        sent || memory.free_bits() == 1,
        "the slot was not given back"
    );
    let wrote = commit(&memory, &store);
    assert_eq!(wrote, Some(sent.then_some((memory.generation(), 9))));
}

#[test]
fn committer_dies_here() {
    check(|| death_of_a_committer(|memory| memory.store().restore_marks(1)));
}

#[test]
fn twin_committer_dies_here() {
    must_fail("marks: a restorer that does not look who gave way", || {
        death_of_a_committer(|memory| {
            let block = &memory.blocks[0];
            block
                .dirty
                .fetch_or(block.unsynced.swap(0, Ordering::SeqCst), Ordering::SeqCst);
            block.copying.store(0, Ordering::SeqCst);
        })
    });
}

//! Groups of FIFO queues: order of sends, turns, the last delete against the next send, one id sent
//! twice at once, and deaths between the steps.

use crate::fixture::{LATER_MS, Memory};
use crate::twin::{check, check_within, must_fail, must_fail_within};
use loom::sync::Arc;
use loom::thread;
use ringmain::internals::arena::{Claimed, Hold};
use ringmain::internals::fifo::ids::IdKey;
use ringmain::internals::fifo::layout::{Next, NextWord};
use ringmain::internals::fifo::own::Own;
use ringmain::internals::fifo::send::{Ordered, Sent};
use ringmain::internals::fifo::settle::Settling;
use ringmain::internals::fifo::turn::Turn;
use ringmain::internals::word::{Phase, Word};
use ringmain::sync::Ordering;

const GROUP: [u64; 2] = [8, 9];

impl Memory {
    pub fn id(number: u64) -> IdKey {
        let mut words = [0; ringmain::internals::fifo::layout::ID_WORDS];
        words[0] = number;
        IdKey {
            words,
            hash: number,
        }
    }

    /// Sends `value` to the group, with `id` for its deduplication id.
    pub fn send_to_group(&self, value: u64, id: u64, owner: u32) -> Sent {
        let store = self.store();
        let claimed = self.fill_slot(value, owner);
        store.send_in_order(claimed, &message(&Self::id(id)), owner)
    }

    /// Sends `value` to another group; the id's window is over at once.
    pub fn send_to(&self, group: u64, value: u64, owner: u32) -> Sent {
        let claimed = self.fill_slot(value, owner);
        let id = Self::id(value);
        let message = Ordered {
            group: [group, 0],
            until_ms: 0,
            ..message(&id)
        };
        self.store().send_in_order(claimed, &message, owner)
    }

    /// Sends `value` to another group as one of the messages of a call; its number.
    pub fn send_of(&self, group: u64, value: u64, own: &mut Own<'_>) -> u64 {
        let (store, group) = (self.store(), [group, 0]);
        let claimed = self.fill_slot(value, own.owner());
        let id = &Self::id(value);
        let message = Ordered {
            group,
            ..message(id)
        };
        let known = store.look_up(group, id);
        let number = store.send_known(claimed, &message, &known, None, own);
        number.unwrap_or_else(|| sequence(own.instead()))
    }

    /// The same by one who dies after `steps`.
    pub fn die_sending(&self, value: u64, id: u64, owner: u32, steps: usize) {
        let claimed = self.fill_slot(value, owner);
        let store = self.store();
        store.die_sending(claimed, &message(&Self::id(id)), owner, steps);
    }

    /// What repair does after the death of `dead`.
    pub fn repair_groups(&self, dead: u32, owner: u32, now_ms: u64) {
        let store = self.store();
        let is_dead = move |owner| owner == dead;
        store.repair(&is_dead, owner);
        store.mend_groups(&is_dead);
        store.ids_table().repair(&is_dead);
        store.mend_attempts(&is_dead, owner);
        store.mend_sends(0..usize::MAX, owner);
        store.mend_tickets(0..usize::MAX, now_ms, owner);
    }

    fn fill_slot(&self, value: u64, owner: u32) -> Claimed {
        let store = self.store();
        let claimed = store.claim_free(1, owner).expect("a free slot");
        // SAFETY: the run is claimed; the model checker watches that this is so.
        store
            .value(claimed.index as usize)
            .with_mut(|body| unsafe { *body = value });
        claimed
    }

    /// Receives up to `max` messages of the first group that is free, by its ticket.
    pub fn turn(&self, owner: u32, now_ms: u64, max: usize) -> Vec<Hold> {
        let mut holds = Vec::new();
        let turn = turn(owner, now_ms);
        self.store().receive_in_turn(&turn, max, |hold| {
            holds.push(hold);
            true
        });
        holds
    }

    /// What one group has, received and deleted, whatever the tickets say.
    pub fn drain_group(&self, group: u64, owner: u32) -> Vec<u64> {
        let store = self.store();
        let index = store.find_group([group, 0]).expect("an entry");
        let holds = store.take_turn(index, &turn(owner, 0), 10);
        let values = holds.iter().map(|hold| self.read(hold)).collect();
        for hold in &holds {
            assert!(self.settle(hold, 0, owner));
        }
        values
    }

    pub fn settle(&self, hold: &Hold, now_ms: u64, owner: u32) -> bool {
        self.store().delete_in_turn(hold, 1, now_ms, owner) == Ok(true)
    }

    /// All that is left, in order, received one by one and deleted.
    pub fn drain(&self, owner: u32, now_ms: u64) -> Vec<u64> {
        let mut values = Vec::new();
        loop {
            let holds = self.turn(owner, now_ms, 1);
            let Some(hold) = holds.first() else {
                return values;
            };
            values.push(self.read(hold));
            assert!(self.settle(hold, now_ms, owner));
        }
    }
}

fn message(id: &IdKey) -> Ordered<'_> {
    Ordered {
        size: 8,
        attributes: 0,
        sent_ms: 0,
        delay_ms: 0,
        group: GROUP,
        id,
        until_ms: LATER_MS * 1000,
    }
}

pub fn turn(owner: u32, now_ms: u64) -> Turn {
    Turn {
        owner,
        borrowed: true,
        now_ms,
        due_at_ms: now_ms + LATER_MS,
    }
}

fn sequence(sent: Sent) -> u64 {
    match sent {
        Sent::New(_, sequence) => sequence,
        Sent::Duplicate(first) => first.sequence,
        other => panic!("{other:?}"),
    }
}

/// Two who send to a group that has no message: one order, that of the numbers, and none is lost.
#[test]
fn sends_have_one_order() {
    check(|| {
        let memory = Memory::fifo(2);
        let other = {
            let memory = Arc::clone(&memory);
            thread::spawn(move || sequence(memory.send_to_group(1, 1, 2)))
        };
        let mine = sequence(memory.send_to_group(2, 2, 1));
        let theirs = other.join().unwrap();
        let expected = if mine < theirs { [2, 1] } else { [1, 2] };
        assert_eq!(memory.drain(1, 0), expected);
    });
}

/// The last message is deleted while the next one is sent: that is received, once.
#[test]
fn last_delete_against_send() {
    check(|| {
        let memory = Memory::fifo(2);
        memory.send_to_group(1, 1, 1);
        let hold = memory.turn(1, 0, 1)[0];
        let sender = {
            let memory = Arc::clone(&memory);
            thread::spawn(move || sequence(memory.send_to_group(2, 2, 2)))
        };
        assert!(memory.settle(&hold, 0, 1));
        sender.join().unwrap();
        assert_eq!(memory.drain(1, 0), [2]);
        assert_eq!(memory.free_bits(), 0b11, "a slot has leaked");
    });
}

/// A receiver is slow, and its time runs out while it takes its messages: the next turn and this
/// one are not both at the group.
fn handed_over(second: fn(&Memory) -> Vec<Hold>) {
    let memory = Memory::fifo(2);
    memory.send_to_group(1, 1, 1);
    memory.send_to_group(2, 2, 1);
    let slow = {
        let memory = Arc::clone(&memory);
        thread::spawn(move || {
            let holds = memory.turn(2, 0, 2);
            // What it has and may still extend.
            let store = memory.store();
            let alive = holds
                .iter()
                .filter(|hold| store.extend(hold, 0, 9_000).is_ok());
            alive.copied().collect::<Vec<_>>()
        })
    };
    let later = second(&memory);
    let slow = slow.join().unwrap();
    if slow.is_empty() || later.is_empty() {
        return;
    }
    // Both have messages: then the slow one had extended none when the later one began.
    let kept = slow.iter().any(|hold| {
        let word = Word(memory.words[hold.index as usize].load(Ordering::SeqCst));
        word.phase() == Phase::Held && word.generation() == hold.word.generation()
    });
    assert!(!kept, "two turns at one group");
}

#[test]
fn a_turn_is_handed_over() {
    check(|| handed_over(|memory| memory.turn(1, LATER_MS, 2)));
}

#[test]
fn twin_a_turn_is_handed_over() {
    must_fail(
        "groups: a turn that looks at the oldest message alone",
        || {
            handed_over(|memory| {
                let store = memory.store();
                let wide = &store.groups().elements[0].wide;
                let seen = wide.load(Ordering::SeqCst);
                wide.store(seen & !1, Ordering::SeqCst);
                memory.turn(1, LATER_MS, 1)
            })
        },
    );
}

/// A turn makes the group wide while another one looks whether it is; it gives its oldest message
/// back and keeps the other one: then the group is locked.
fn narrowed(look: fn(&Memory) -> usize) {
    let memory = Memory::fifo(2);
    memory.send_to_group(1, 1, 1);
    memory.send_to_group(2, 2, 1);
    let holder = {
        let memory = Arc::clone(&memory);
        thread::spawn(move || {
            let holds = memory.turn(2, 0, 2);
            if let [first, _] = holds[..] {
                memory.store().release_in_turn(&first, 0, 2).unwrap();
            }
            holds.len()
        })
    };
    let mut seen = look(&memory);
    if holder.join().unwrap() == 2 {
        seen += memory.turn(1, 0, 2).len();
        assert_eq!(seen, 0, "received beside a message in flight");
    }
}

/// A look with its parts laid open: whether `wide` is read before the oldest message. Each read is
/// a read-modify-write, so that the model checker tries all orders of these and the turn's.
fn open_look(memory: &Memory, wide_first: bool) -> usize {
    let order = Ordering::SeqCst;
    let ready = |index: usize| {
        let word = Word(memory.words[index].fetch_or(0, order));
        word.phase() == Phase::Ready
    };
    let wide = &memory.store().groups().elements[0].wide;
    let before = wide_first.then(|| wide.fetch_or(0, order));
    let oldest = ready(0);
    let seen = before.unwrap_or_else(|| wide.fetch_or(0, order));
    if oldest && seen & 1 != 0 && ready(1) {
        let narrow = ((seen >> 1) + 1) << 1;
        let _ = wide.compare_exchange(seen, narrow, order, order);
    }
    0
}

#[test]
fn a_group_is_narrowed() {
    check(|| narrowed(|memory| memory.turn(1, 0, 1).len()));
    check(|| {
        narrowed(|memory| {
            memory.store().offer(0, 0, 1);
            0
        })
    });
    check(|| narrowed(|memory| open_look(memory, true)));
}

#[test]
fn twin_a_group_is_narrowed() {
    must_fail("groups: a look at the oldest before wide is read", || {
        narrowed(|memory| open_look(memory, false))
    });
}

/// Both messages of a group are deleted at once while another one is sent: that is received, once.
fn deleted_in_a_row(delete: fn(&Memory, &[Hold])) {
    let memory = Memory::fifo(3);
    for value in [1, 2] {
        sequence(memory.send_to(1, value, 1));
    }
    let holds = memory.turn(1, 0, 2);
    assert_eq!(holds.len(), 2);
    let sender = {
        let memory = Arc::clone(&memory);
        thread::spawn(move || sequence(memory.send_to(1, 3, 2)))
    };
    delete(&memory, &holds);
    sender.join().unwrap();
    assert_eq!(memory.drain(3, 0), [3]);
    assert_eq!(memory.free_bits(), 0b111, "a slot has leaked");
}

fn delete_both(memory: &Memory, holds: &[Hold]) {
    let mut settling = Settling::new(memory.store(), 0, 1);
    for hold in holds {
        assert_eq!(settling.delete(hold, 1), Ok(true));
    }
    settling.finish();
}

#[test]
fn a_row_is_deleted_beside_a_send() {
    check_within(2, || deleted_in_a_row(delete_both));
}

#[test]
fn twin_a_row_is_deleted_beside_a_send() {
    must_fail_within(2, "groups: a row whose last place is not closed", || {
        deleted_in_a_row(|memory, holds| {
            let store = memory.store();
            let first = &store.groups().elements[0].first;
            let seen = NextWord(first.load(Ordering::SeqCst));
            let last = &store.links()[holds[1].index as usize].next;
            if NextWord(last.load(Ordering::SeqCst)).next() != Next::End {
                return delete_both(memory, holds);
            }
            first.store(seen.then(Next::End).0, Ordering::SeqCst);
            for hold in holds {
                let free = Word::free(hold.word.generation() + 1).0;
                memory.words[hold.index as usize].store(free, Ordering::SeqCst);
                store.put_free(hold.index as usize, 1);
            }
        })
    });
}

/// One who deletes both messages of a group dies after some of its steps, while another one is
/// sent.
#[test]
fn a_deleter_dies() {
    for steps in 0..=2 {
        check_within(2, move || match steps {
            0 => deleted_in_a_row(|memory, holds| die_deleting(memory, holds, 0)),
            1 => deleted_in_a_row(|memory, holds| die_deleting(memory, holds, 1)),
            _ => deleted_in_a_row(|memory, holds| die_deleting(memory, holds, 2)),
        });
    }
}

fn die_deleting(memory: &Memory, holds: &[Hold], steps: usize) {
    memory.store().die_deleting(holds, 1, steps);
    memory.repair_groups(1, 4, 0);
}

/// The same id by two at once: one message, and both have its number.
#[test]
fn one_of_two_is_accepted() {
    check_within(2, || {
        let memory = Memory::fifo(2);
        let other = {
            let memory = Arc::clone(&memory);
            thread::spawn(move || memory.send_to_group(1, 1, 2))
        };
        let mine = memory.send_to_group(2, 1, 1);
        let theirs = other.join().unwrap();
        let new = [mine, theirs].map(|sent| matches!(sent, Sent::New(..)));
        assert!(
            new[0] != new[1],
            "accepted twice or never: {mine:?} {theirs:?}"
        );
        assert_eq!(sequence(mine), sequence(theirs));
        assert_eq!(memory.drain(1, 0).len(), 1);
        assert_eq!(memory.free_bits(), 0b11, "a slot has leaked");
    });
}

/// A sender stands still before it reads its message's number, while another one who sends the same
/// id finishes it for it, and it is received, deleted, and its slot used again: it is told the
/// number of its own message.
#[test]
fn a_late_sender_is_told_its_own_number() {
    check_within(2, || {
        let memory = Memory::fifo_with(3, 3);
        let send = |memory: &Memory, value, owner| {
            let claimed = memory.fill_slot(value, owner);
            let id = Memory::id(value);
            let message = Ordered {
                group: [1, 0],
                ..message(&id)
            };
            memory.store().send_in_order(claimed, &message, owner)
        };
        let late = {
            let memory = Arc::clone(&memory);
            thread::spawn(move || send(&memory, 11, 2))
        };
        let mine = send(&memory, 11, 1);
        assert_eq!(memory.drain_group(1, 1), [11]);
        let cursor = &memory.store().head().send.cursor;
        cursor.store(0, Ordering::Relaxed); // the first slot once more
        sequence(send(&memory, 12, 1));
        assert_eq!(sequence(late.join().unwrap()), sequence(mine));
    });
}

/// Redelivery against delete: one of them.
#[test]
fn delete_against_redelivery() {
    check(|| {
        let memory = Memory::fifo(1);
        memory.send_to_group(1, 1, 1);
        let hold = memory.turn(1, 0, 1)[0];
        let next = {
            let memory = Arc::clone(&memory);
            thread::spawn(move || memory.turn(2, LATER_MS, 1).len())
        };
        let deleted = memory.settle(&hold, LATER_MS - 1, 1);
        let again = next.join().unwrap();
        assert!(!deleted || again == 0, "deleted, and received again");
    });
}

/// A sender dies after some of its steps; another one sends the same id while a third repairs. The
/// message is there once, whoever of them has sent it.
pub fn survived(steps: usize, repair: fn(&Memory)) {
    let memory = Memory::fifo(2);
    memory.die_sending(1, 1, 2, steps);
    let again = {
        let memory = Arc::clone(&memory);
        thread::spawn(move || memory.send_to_group(2, 1, 3))
    };
    repair(&memory);
    let sent = again.join().unwrap();
    memory.repair_groups(2, 1, 0);
    let new = matches!(sent, Sent::New(..));
    assert!(new || sequence(sent) != 0);
    assert_eq!(memory.drain(1, 0), [if new { 2 } else { 1 }], "{steps}");
    assert_eq!(memory.free_bits(), 0b11, "a slot has leaked");
    let later = memory.send_to_group(3, 1, 1);
    assert_eq!(sequence(later), sequence(sent), "accepted twice");
}

#[test]
fn a_sender_dies() {
    for steps in 0..=6 {
        check_within(2, move || {
            survived(steps, |memory| memory.repair_groups(2, 1, 0))
        });
    }
}

/// The dead one's sealed message is freed as if it were a claim.
#[test]
fn twin_a_sender_dies() {
    must_fail("groups: a repair that frees what is sealed", || {
        survived(1, |memory| {
            let store = memory.store();
            let word = Word(memory.words[0].load(Ordering::SeqCst));
            let free = Word::free(word.generation() + 1).0;
            let (done, failed) = (Ordering::SeqCst, Ordering::SeqCst);
            let freed = memory.words[0].compare_exchange(word.0, free, done, failed);
            if freed.is_ok() {
                store.put_free(0, 1);
            }
        })
    });
}

/// A receiver dies with its turn, while another one waits for the next: it gets the messages, in
/// order, once the repair has been.
#[test]
fn a_receiver_dies() {
    check_within(2, || {
        let memory = Memory::fifo(2);
        memory.send_to_group(1, 1, 1);
        memory.send_to_group(2, 2, 1);
        assert_eq!(memory.turn(2, 0, 2).len(), 2);
        let other = {
            let memory = Arc::clone(&memory);
            thread::spawn(move || {
                let holds = memory.turn(3, 0, 1);
                holds
                    .iter()
                    .map(|hold| memory.read(hold))
                    .collect::<Vec<_>>()
            })
        };
        memory.repair_groups(2, 1, 0);
        let mut values = other.join().unwrap();
        if values.is_empty() {
            values = memory.drain(1, 0);
            assert_eq!(values, [1, 2]);
        } else {
            assert_eq!(values, [1], "not the oldest");
            assert!(memory.drain(1, 0).is_empty(), "the group is locked");
        }
    });
}

/// An entry is evicted for another group while its own group gets a message: neither is lost.
fn evicted(evict: fn(&Memory)) {
    let memory = Memory::fifo(2);
    for group in [1, 2] {
        memory.send_to(group, group, 1); // so that both entries are groups, and empty
        memory.drain(1, 0);
    }
    let sender = {
        let memory = Arc::clone(&memory);
        thread::spawn(move || sequence(memory.send_to(1, 11, 2)))
    };
    evict(&memory);
    sequence(memory.send_to(3, 13, 1));
    sender.join().unwrap();
    let mut values = memory.drain(1, 0);
    values.sort_unstable();
    assert_eq!(values, [11, 13]);
    assert_eq!(memory.free_bits(), 0b11, "a slot has leaked");
    let groups = memory.store().groups();
    for (index, group) in groups.elements.iter().enumerate() {
        let open = NextWord(group.first.load(Ordering::SeqCst)).next() != Next::Closed;
        let key = group.key[0].load(Ordering::SeqCst);
        assert!(
            !open || groups.is_chained(key, index),
            "a list that nobody finds"
        );
    }
}

#[test]
fn an_entry_is_evicted() {
    check_within(1, || evicted(|_| {}));
}

#[test]
fn twin_an_entry_is_evicted() {
    must_fail_within(
        1,
        "groups: an eviction that does not close the list",
        || {
            evicted(|memory| {
                let groups = memory.store().groups();
                for (index, group) in groups.elements.iter().enumerate() {
                    if group.key[0].load(Ordering::SeqCst) == 1 {
                        groups.remove(1, index, groups.life(index));
                    }
                }
            })
        },
    );
}

/// A sender stands still before it inserts its id, longer than the window is, while its entry would
/// be the next to be used: it is not used by another one, and each of the two ids has its message.
#[test]
fn a_late_inserter() {
    check_within(1, || {
        let memory = Memory::fifo(2);
        let late = {
            let memory = Arc::clone(&memory);
            thread::spawn(move || sequence(memory.send_to(1, 11, 2)))
        };
        for value in [21, 22] {
            sequence(memory.send_to(2, value, 1));
            assert_eq!(memory.drain_group(2, 1), [value]);
        }
        late.join().unwrap();
        assert_eq!(memory.drain(1, 0), [11]);
        assert_eq!(memory.free_bits(), 0b11, "a slot has leaked");
        let chains = memory.store().ids();
        for index in 0..2 {
            chains.find(0, |_| false);
            assert!(chains.is_chained(0, index), "an id has left its chain");
        }
    });
}

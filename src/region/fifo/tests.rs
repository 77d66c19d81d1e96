//! Random histories of one FIFO queue's memory against a plain model: what is sent, received,
//! deleted, released, extended, expired and returned after a death, with one participant after the
//! other. What they do at once is the models' affair.

mod damage;

use super::due::Now;
use super::ids::{IdKey, Named, Remember};
use super::layout::ID_WORDS;
use super::send::{Ordered, Sent};
use super::turn::Turn;
use crate::region::arena::Hold;
use crate::region::layout::{FifoShape, Offsets, Settings, Shape};
use crate::region::memory::{Place, format};
use crate::region::store::Store;
use crate::sync::{AtomicU64, Ordering};
use std::collections::HashMap;
use std::vec::Vec;

const SLOTS: usize = 96;
const IDS: usize = 256;
const WINDOW_MS: u64 = 1000;
const VISIBILITY_MS: u64 = 100;
const GROUPS: u64 = 12;

/// 128 bytes, aligned to as many.
#[derive(Clone, Copy)]
#[repr(align(128))]
struct Line {
    _bytes: [u8; 128],
}

/// The memory of a queue, and where its parts are.
struct Memory {
    lines: Vec<Line>,
    place: Place,
}

impl Memory {
    fn new() -> Self {
        let shape = Shape {
            slot_bytes: 32,
            slots: SLOTS,
            body_bytes_max: 16,
            fifo: FifoShape::of(SLOTS, IDS),
        };
        let settings = Settings {
            policy: [VISIBILITY_MS, 60_000, 0, 120_000, 0, 0, 0, 0],
            flags: 0,
            nonce: 1,
            durability: 0,
            window: WINDOW_MS << 32 | IDS as u64,
        };
        let offsets = Offsets::of(shape).expect("no overflow");
        let mut lines = std::vec![Line { _bytes: [0; 128] }; offsets.end.div_ceil(128)];
        // SAFETY: aligned, zeroed, long enough, and nobody else's.
        unsafe { format(lines.as_mut_ptr().cast(), shape, settings, true) };
        let place = Place {
            offset: 0,
            offsets,
            blocks: shape.blocks(),
            groups: shape.groups(),
            shape,
            checksum: false,
            flags: 0,
            window: WINDOW_MS << 32 | IDS as u64,
            durability: 0,
        };
        Self { lines, place }
    }

    /// Where FIFO parts, words and notes are, as words that anything may be written into.
    fn words(&mut self) -> &[AtomicU64] {
        let (from, to) = (self.place.offsets.words, self.place.offsets.slots);
        // SAFETY: inside the memory, aligned, and all of it is reached by atomics alone.
        unsafe {
            let at = self.lines.as_mut_ptr().cast::<u8>().add(from);
            core::slice::from_raw_parts(at.cast(), (to - from) / 8)
        }
    }

    fn store(&mut self) -> Store<'_> {
        // SAFETY: the memory was laid out for this place, and is borrowed with the store.
        unsafe { Store::new(self.lines.as_mut_ptr().cast(), &self.place) }
    }
}

/// One message of the model.
struct Message {
    slot: u32,
    held: Option<(Hold, u32)>,
}

/// What a queue is, plainly.
#[derive(Default)]
struct Model {
    groups: HashMap<u64, Vec<Message>>,
    ids: HashMap<u64, (u64, u64)>,
    /// Groups in the order in which they became free.
    free: Vec<u64>,
    latest: u64,
}

impl Model {
    fn is_locked(&self, group: u64) -> bool {
        self.groups[&group]
            .iter()
            .any(|message| message.held.is_some())
    }

    /// Notes a group that may have become free.
    fn look_at(&mut self, group: u64) {
        let has = self.groups.get(&group).is_some_and(|list| !list.is_empty());
        let free = has && !self.is_locked(group);
        if free && !self.free.contains(&group) {
            self.free.push(group);
        } else if !free {
            self.free.retain(|other| *other != group);
        }
    }

    fn len(&self) -> usize {
        self.groups.values().map(Vec::len).sum()
    }

    fn held(&self) -> Vec<(u64, usize)> {
        let each = self.groups.iter().flat_map(|(group, list)| {
            let held = list.iter().enumerate().filter(|(_, m)| m.held.is_some());
            held.map(|(at, _)| (*group, at))
        });
        let mut held: Vec<_> = each.collect();
        held.sort_unstable();
        held
    }
}

fn id(number: u64) -> IdKey {
    let mut words = [0; ID_WORDS];
    words[0] = number;
    IdKey {
        words,
        hash: number.wrapping_mul(0x9e37_79b9_7f4a_7c15),
    }
}

struct Run<'m> {
    store: Store<'m>,
    model: Model,
    random: u64,
    now_ms: u64,
    next_id: u64,
}

impl Run<'_> {
    fn below(&mut self, n: u64) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        (self.random >> 11) % n
    }

    fn send(&mut self) {
        let group = self.below(GROUPS);
        let again = self.below(4) == 0 && self.next_id > 1;
        let number = match again {
            true => self.next_id - self.below(self.next_id.min(40)),
            false => {
                self.next_id += 1;
                self.next_id
            }
        };
        // The last place of a list may be a deleted message's.
        let full = self.model.len() + GROUPS as usize >= SLOTS;
        let Some(claimed) = self.store.claim_free(1, 1) else {
            assert!(full, "a slot has leaked");
            return;
        };
        let key = id(number);
        let message = Ordered {
            size: 8,
            attributes: 0,
            sent_ms: self.now_ms,
            delay_ms: 0,
            group: [group + 100, group],
            id: &key,
            until_ms: self.now_ms + WINDOW_MS,
        };
        let slot = claimed.index;
        let known = self.model.ids.get(&number).copied();
        let known = known.filter(|(_, until_ms)| *until_ms > self.now_ms);
        let in_window = self
            .model
            .ids
            .values()
            .filter(|(_, until)| *until > self.now_ms);
        let in_window = in_window.count();
        match (self.store.send_in_order(claimed, &message, 1), known) {
            (Sent::New(_, sequence), None) => {
                assert!(sequence > self.model.latest, "numbers grow");
                self.model.latest = sequence;
                self.model
                    .ids
                    .insert(number, (sequence, self.now_ms + WINDOW_MS));
                let list = self.model.groups.entry(group).or_default();
                list.push(Message { slot, held: None });
                self.model.look_at(group);
            }
            (Sent::Duplicate(first), Some((sequence, _))) => assert_eq!(first.sequence, sequence),
            (Sent::IdsFull, None) => assert_eq!(in_window, IDS, "full too early"),
            (sent, known) => panic!("{sent:?}, but known is {known:?}"),
        }
    }

    fn receive(&mut self) {
        let max = 1 + self.below(10) as usize;
        let owner = 1 + self.below(2) as u32;
        let turn = Turn {
            owner,
            borrowed: false,
            now_ms: self.now_ms,
            due_at_ms: self.now_ms + VISIBILITY_MS,
        };
        let mut holds = Vec::new();
        self.store.receive_in_turn(&turn, max, |hold| {
            holds.push(hold);
            true
        });
        let mut holds = holds.into_iter();
        let mut left = max;
        while left > 0 && !self.model.free.is_empty() {
            let group = self.model.free.remove(0);
            let list = self
                .model
                .groups
                .get_mut(&group)
                .expect("a free group has messages");
            for message in list.iter_mut().take(left) {
                let hold = holds.next().expect("fewer messages than there are");
                assert_eq!(hold.index, message.slot, "out of order");
                message.held = Some((hold, owner));
                left -= 1;
            }
        }
        assert!(holds.next().is_none(), "more messages than there are");
    }

    fn settle(&mut self) {
        let held = self.model.held();
        if held.is_empty() {
            return;
        }
        let (group, at) = held[self.below(held.len() as u64) as usize];
        let list = self.model.groups.get_mut(&group).expect("it is held");
        let (hold, owner) = list[at].held.expect("it is held");
        match self.random % 8 {
            0 | 1 => {
                let released = self.store.release_in_turn(&hold, self.now_ms, owner);
                assert_eq!(released, Ok(()));
                list[at].held = None;
            }
            2 => {
                let due_at_ms = self.now_ms + 3 * VISIBILITY_MS;
                let word = self.store.extend(&hold, self.now_ms, due_at_ms);
                let extended = Hold {
                    word: word.expect("in flight"),
                    ..hold
                };
                self.store.lower_due(hold.index as usize / 64, due_at_ms);
                list[at].held = Some((extended, owner));
            }
            _ => {
                let deleted = self.store.delete_in_turn(&hold, 1, self.now_ms, owner);
                assert_eq!(deleted, Ok(true));
                list.remove(at);
            }
        }
        self.model.look_at(group);
    }

    /// Time goes on, and what is due becomes ready.
    fn wait(&mut self) {
        self.now_ms += 1 + self.below(80);
        let now = Now {
            now_ms: self.now_ms,
            oldest_ms: 0,
            owner: 1,
        };
        self.store.expire_groups(&now);
        // In the order of slots, as the look at them has it.
        let mut over: Vec<(u32, u64)> = Vec::new();
        for (group, list) in &self.model.groups {
            for message in list {
                if message
                    .held
                    .is_some_and(|(hold, _)| hold.due_ms() <= self.now_ms)
                {
                    over.push((message.slot, *group));
                }
            }
        }
        over.sort_unstable();
        for (slot, group) in over {
            let list = self.model.groups.get_mut(&group).expect("its group");
            let message = list.iter_mut().find(|message| message.slot == slot);
            message.expect("its message").held = None;
            self.model.look_at_time(group, self.now_ms);
        }
    }

    /// Participant 2 dies, and another one repairs.
    fn die(&mut self) {
        self.store.repair(&|owner| owner == 2, 1);
        self.store.mend_groups(&|owner| owner == 2);
        self.store.ids_table().repair(&|owner| owner == 2);
        self.store.mend_sends(0..usize::MAX, 1);
        let mut groups: Vec<u64> = self.model.groups.keys().copied().collect();
        for list in self.model.groups.values_mut() {
            for message in list.iter_mut() {
                if message.held.is_some_and(|(_, owner)| owner == 2) {
                    message.held = None;
                }
            }
        }
        self.store.mend_tickets(0..usize::MAX, self.now_ms, 1);
        // By the entries' order.
        groups.sort_by_key(|group| self.store.find_group([group + 100, *group]));
        for group in groups {
            self.model.look_at(group);
        }
    }

    fn end(&mut self) {
        while self.model.len() != 0 {
            self.receive();
            let held = self.model.held();
            for _ in 0..held.len() {
                self.settle();
            }
            if held.is_empty() {
                self.wait();
            }
        }
        let free = self
            .store
            .blocks()
            .iter()
            .map(|block| block.free.load(Ordering::SeqCst));
        let free: u32 = free.map(u64::count_ones).sum();
        assert_eq!(free as usize, SLOTS, "a slot has leaked");
    }
}

impl Model {
    /// As `look_at`, when a message's time was over: a group is free if all that were in flight are
    /// over by now, though some of them are yet to be made ready.
    fn look_at_time(&mut self, group: u64, now_ms: u64) {
        let list = &self.groups[&group];
        let in_flight = |m: &Message| m.held.is_some_and(|(hold, _)| hold.due_ms() > now_ms);
        let free = !list.is_empty() && !list.iter().any(in_flight);
        if free && !self.free.contains(&group) {
            self.free.push(group);
        }
    }
}

fn run(seed: u64, steps: usize) {
    let mut memory = Memory::new();
    let mut run = Run {
        store: memory.store(),
        model: Model::default(),
        random: seed,
        now_ms: 5000,
        next_id: 1,
    };
    for _ in 0..steps {
        match run.below(40) {
            0..=13 => run.send(),
            14..=22 => run.receive(),
            23..=36 => run.settle(),
            37 | 38 => run.wait(),
            _ => run.die(),
        }
    }
    run.end();
}

#[test]
fn random_histories_are_those_of_the_model() {
    for seed in 1..=60 {
        run(0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(seed), 2500);
    }
}

/// After 2^31 sends to other groups a group's hint looks as if it were ahead of its messages. It is
/// replaced, or each send would walk the whole list.
#[test]
fn a_hint_from_long_ago_is_replaced() {
    let mut memory = Memory::new();
    let store = memory.store();
    let send = |number: u64| {
        let claimed = store.claim_free(1, 1).expect("a slot");
        let key = id(number);
        let message = Ordered {
            size: 8,
            attributes: 0,
            sent_ms: 1,
            delay_ms: 0,
            group: [5, 6],
            id: &key,
            until_ms: 1 + WINDOW_MS,
        };
        match store.send_in_order(claimed, &message, 1) {
            Sent::New(_, sequence) => sequence,
            other => panic!("{other:?}"),
        }
    };
    let behind = |sequence: u64| {
        let group = store.find_group([5, 6]).expect("an entry");
        let last = store.groups().elements[group].last.load(Ordering::Relaxed);
        (sequence as u32).wrapping_sub((last >> 32) as u32)
    };
    let sequence = (1..=10).fold(0, |_, number| send(number));
    assert!(behind(sequence) <= 4, "the hint is near the end");
    let turn = Turn {
        owner: 1,
        borrowed: false,
        now_ms: 1,
        due_at_ms: 1 + VISIBILITY_MS,
    };
    let mut holds = Vec::new();
    store.receive_in_turn(&turn, 10, |hold| {
        holds.push(hold);
        true
    });
    assert_eq!(holds.len(), 10);
    for hold in &holds {
        assert_eq!(store.delete_in_turn(hold, 1, 1, 1), Ok(true));
    }
    let latest = &store.fifo_head().sequence;
    latest.fetch_add((1 << 31) + 5, Ordering::Relaxed);
    let sequence = (11..=30).fold(0, |_, number| send(number));
    assert!(behind(sequence) <= 4, "the hint is near the end once more");
}

/// Messages that a receive refuses make room for those behind them if they are gone; behind one
/// that stays nothing is received.
#[test]
fn what_is_refused_makes_room() {
    let mut memory = Memory::new();
    let store = memory.store();
    let groups = [(1, 1..=23), (2, 24..=26), (3, 27..=28)];
    for (group, number) in groups
        .into_iter()
        .flat_map(|(group, numbers)| numbers.map(move |number| (group, number)))
    {
        let message = Ordered {
            size: 8,
            attributes: 0,
            sent_ms: 1,
            delay_ms: 0,
            group: [group, 0],
            id: &id(number),
            until_ms: 1,
        };
        let claimed = store.claim_free(1, 1).expect("room");
        let sent = store.send_in_order(claimed, &message, 1);
        assert!(matches!(sent, Sent::New(_, sequence) if sequence == number));
    }
    let turn = Turn {
        owner: 1,
        borrowed: false,
        now_ms: 1,
        due_at_ms: 1 + VISIBILITY_MS,
    };
    let receive = |is_bad: fn(u64) -> bool| {
        let (mut good, mut bad) = (Vec::new(), Vec::new());
        store.receive_in_turn(&turn, 10, |hold| {
            let number = store.sequence_of(&hold).expect("a number");
            match is_bad(number) {
                true if number < 24 => {
                    let gone = store.delete_in_turn(&hold, 1, 0, 1);
                    assert_eq!(gone, Ok(true));
                }
                true => bad.push(hold),
                false => good.push(hold),
            }
            !is_bad(number)
        });
        (good, bad)
    };
    let numbers = |holds: &[Hold]| -> Vec<u64> {
        let number = |hold| store.sequence_of(hold).expect("a number");
        holds.iter().map(number).collect()
    };
    let (good, bad) = receive(|number| number < 22 || number == 25);
    assert_eq!(numbers(&good), [22, 23, 24, 27, 28]);
    assert_eq!(numbers(&bad), [25]);
    assert_eq!(receive(|_| false).0, []);
    for hold in &good {
        assert_eq!(store.delete_in_turn(hold, 1, 1, 1), Ok(true));
    }
    assert_eq!(receive(|_| false).0, []);
    assert_eq!(store.release_in_turn(&bad[0], 1, 1), Ok(()));
    assert_eq!(numbers(&receive(|_| false).0), [25, 26]);
}

/// Numbers from a seed.
fn next(random: &mut u64) -> u64 {
    *random ^= *random << 13;
    *random ^= *random >> 7;
    *random ^= *random << 17;
    *random >> 11
}

/// Several calls at once, each with a count of its own, and some that end before they move the
/// cursor: the table is full when all its ids are in their windows, not before.
#[test]
fn calls_side_by_side_fill_the_table() {
    let mut memory = Memory::new();
    let store = memory.store();
    let ids = store.ids_table();
    let (mut random, mut now_ms) = (1, 1);
    let (mut refused, mut taken) = (0, Vec::new());
    let mut calls = [1, 2, 3].map(|owner| (0, ids.cursor(owner)));
    for number in 1..40_000_u64 {
        now_ms += next(&mut random) % 8;
        let at = next(&mut random) as usize % calls.len();
        let (claims, cursor) = &mut calls[at];
        let (slot, until_ms) = (number as u32 % SLOTS as u32, now_ms + WINDOW_MS);
        let named = Named::new(slot, number);
        let remembered = cursor.remember(&id(number), &named, (now_ms, until_ms), None);
        taken.retain(|until_ms| *until_ms > now_ms);
        match remembered {
            Remember::New(mine) => {
                ids.accept(u64::from(mine.index) + 1, slot, number, number);
                mine.settle();
                taken.push(until_ms);
            }
            Remember::Full => {
                assert_eq!(taken.len(), IDS, "full too early");
                refused += 1;
            }
            other => panic!("{other:?}"),
        }
        *claims += 1;
        if *claims == 10 {
            if next(&mut random) % 4 < 3 {
                cursor.move_on();
            }
            calls[at] = (0, ids.cursor(1 + at as u32));
        }
    }
    assert!(taken.len() <= IDS && (1000..39_000).contains(&refused));
}

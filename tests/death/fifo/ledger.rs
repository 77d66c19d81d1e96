//! The ledger of a FIFO queue: which message is of which group and id, and what a receive and a
//! send may say.

use super::super::board::{Board, Entry, Fault, state, who};
use super::super::common::body;
use super::super::stage::{seed_in, sound};
use super::super::survivor::check_again;
use super::ground::{Held, OWN, Orders};
use ringmain::{Error, FifoSent};
use std::collections::HashMap;
use std::sync::atomic::Ordering::SeqCst;

/// Ids whose numbers differ by this have one name: a window lies between them.
pub const SAME_NAME: u32 = 10_000;

pub fn group_name(group: u32) -> String {
    format!("group-{group}")
}

pub fn id_name(id: u32) -> String {
    format!("id-{}", id % SAME_NAME)
}

/// Seed, group and id of a message.
pub type Named = (u64, u32, u32);

/// Enters a message whose send is about to begin.
pub fn sending(board: &Board, (seed, group, id): Named, len: usize) {
    let entry = board.known(seed);
    entry.len.store(len as u32, SeqCst);
    entry.group.store(group, SeqCst);
    entry.id.store(id, SeqCst);
    entry.add(state::SENDING);
}

/// Enters what came of a send.
pub fn sent(board: &Board, seed: u64, sent: &Result<FifoSent, Error>) {
    let entry = board.known(seed);
    let came_of_it = match sent {
        Ok(sent) => {
            let sequence = sent.sequence.as_u128() as u64;
            let known = match sequence {
                0 => 0, // nobody knows it any more
                _ => entry.sequence.swap(sequence, SeqCst),
            };
            if known != 0 && known != sequence {
                board.fault(Fault::Damaged, seed, "its sender is told another's number");
            }
            match sent.is_duplicate {
                true => state::DUPLICATE | state::REFUSED,
                false => state::SENT,
            }
        }
        Err(_) => state::REFUSED,
    };
    entry.add(came_of_it);
}

/// Sends a message and keeps the ledger: it comes after all of its group whose sends had returned.
pub fn send(board: &Board, queue: &Orders, named: Named, len: usize) -> Result<FifoSent, Error> {
    let (seed, group, id) = named;
    sending(board, named, len);
    let before = |(_, entry): (u64, &Entry)| {
        let counts = entry.group.load(SeqCst) == group && entry.has(state::SENT);
        counts.then(|| entry.sequence.load(SeqCst))
    };
    let before = board.named().filter_map(before).max().unwrap_or(0);
    let done = queue.send(&group_name(group), &*id_name(id), &body(seed, len));
    sent(board, seed, &done);
    let sequence = done
        .as_ref()
        .map_or(0, |sent| sent.sequence.as_u128() as u64);
    if done.as_ref().is_ok_and(|sent| !sent.is_duplicate) && sequence <= before {
        board.fault(
            Fault::Reordered,
            seed,
            "its number is not beyond those before",
        );
    }
    done
}

/// Receives what the survivor holds all the while, if the ground has it.
pub fn own<'q>(board: &Board, queue: &'q Orders) -> Vec<Held<'q>> {
    if !board.known(OWN).has(state::SENT) {
        return Vec::new();
    }
    let mut others = Vec::new();
    for _ in 0..4 {
        let held = queue.receive().expect("received");
        let held = held.expect("the ground has it");
        if seed_in(held.body()) == OWN {
            board.known(OWN).holder.store(who::TRACER, SeqCst);
            for other in others {
                Held::release(other).expect("released");
            }
            return vec![held];
        }
        others.push(held);
    }
    panic!("the survivor's own does not come");
}

/// Whether it may come no more, or need not.
pub fn is_gone(entry: &Entry) -> bool {
    entry.has(state::CAME | state::DELETING | state::DELETED | state::REFUSED)
}

/// The order in which groups come, for one who receives.
#[derive(Default)]
pub struct Orderly {
    /// The latest number of each group that has come.
    last: HashMap<u32, u64>,
}

impl Orderly {
    /// Checks a message that has come, against the ledger and those before it.
    pub fn came<'b>(&mut self, board: &'b Board, held: &Held<'_>) -> Option<(&'b Entry, u64)> {
        let (entry, seed) = sound(board, held.body())?;
        let group = entry.group.load(SeqCst);
        let names = (group_name(group), id_name(entry.id.load(SeqCst)));
        if held.group() != Some(&names.0) || held.deduplication_id() != Some(&names.1) {
            board.fault(Fault::Damaged, seed, "its group or id is not what was sent");
        }
        check_again(board, seed);
        let number = held.sequence_number().map_or(0, |n| n.as_u128() as u64);
        let known = entry.sequence.swap(number, SeqCst);
        if number == 0 || (known != 0 && known != number) {
            board.fault(Fault::Damaged, seed, "its sequence number is another's");
        }
        if self.last.get(&group).is_some_and(|&last| last >= number) {
            board.fault(
                Fault::Reordered,
                seed,
                "comes after a later one of its group",
            );
        }
        self.last.insert(group, number);
        let purged = board.purging.load(SeqCst) != 0;
        for (_, other) in board.named() {
            let earlier = other.sequence.load(SeqCst) < number && other.has(state::SENT);
            if earlier && other.group.load(SeqCst) == group && !is_gone(other) && !purged {
                board.fault(
                    Fault::Reordered,
                    seed,
                    "an earlier one of its group has not come",
                );
            }
        }
        Some((entry, seed))
    }

    /// Forgets a group: some of it goes back.
    pub fn goes_back(&mut self, group: u32) {
        self.last.remove(&group);
    }
}

/// Whether somebody living holds a message of this group, before its time is over.
pub fn is_locked(board: &Board, group: u32) -> bool {
    let dead = board.dead.load(SeqCst) != 0;
    board.named().any(|(_, entry)| {
        let holder = entry.holder.load(SeqCst);
        let lives = holder != 0 && !(dead && holder == who::TRACED);
        lives && entry.group.load(SeqCst) == group && !entry.has(state::LATE | state::DELETED)
    })
}

/// Each id has been accepted once, and its duplicates name that message.
pub fn each_id_once(board: &Board) {
    let mut by_id: HashMap<u32, (Vec<u64>, Vec<u64>)> = HashMap::new();
    for (_, entry) in board.named() {
        let of_id = by_id.entry(entry.id.load(SeqCst)).or_default();
        let number = entry.sequence.load(SeqCst);
        if entry.has(state::DUPLICATE) {
            of_id.1.push(number);
        } else if entry.has(state::SENT | state::CAME) {
            of_id.0.push(number);
        }
    }
    for (id, (accepted, duplicates)) in by_id {
        let id = u64::from(id);
        if accepted.len() > 1 {
            board.fault(Fault::Doubled, id, "one id, accepted more than once");
        }
        if accepted.is_empty() && !duplicates.is_empty() {
            board.fault(Fault::Lost, id, "duplicates of a message that is not there");
        }
        if let Some(first) = accepted.first()
            && duplicates.iter().any(|number| number != first)
        {
            board.fault(Fault::Damaged, id, "a duplicate names another message");
        }
    }
}

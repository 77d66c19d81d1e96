//! The parts of a FIFO queue in the bytes of a region, as `docs/file-format.md` tells them.

use super::super::ground::{BLOCKS_AT, Image, PARTS_BEGIN_AT_MULTIPLE_OF, SECTION};
use std::path::Path;

const HEAD_BYTES: usize = 7 * 128;
const LINK_BYTES: usize = 64;
const GROUP_BYTES: usize = 64;
const ID_BYTES: usize = 128;
const ATTEMPT_BYTES: usize = 256;
/// Attempts of a set.
const WAYS: usize = 8;
/// Of a sequence word: the message is not in order yet.
const UNORDERED: u64 = 1 << 63;
/// Of a claim: somebody helps with the send.
const HELPED: u64 = 1 << 29;
/// Of a deleted message's word: it is in its list.
const LINKED: u64 = 1 << 30;
/// Slots that an arrow can name.
const SLOTS: u64 = 1 << 31;
/// Phases of an id's entry.
const CLAIMED: u64 = 1;
const PENDING: u64 = 2;
/// In place of the slot of an entry that is claimed and not written yet.
const NO_SLOT: u32 = u32::MAX;

pub struct Parts {
    image: Image,
    slots: usize,
    slot_bytes: usize,
    words: usize,
    links: usize,
    groups: (usize, usize),
    ids: (usize, usize),
    /// Where chains of ids begin, and how many.
    chains: (usize, usize),
    bodies: usize,
}

impl Parts {
    pub fn of(path: &Path) -> Self {
        let image = Image::of(path);
        let config = |field: usize| image.word(SECTION + 8 * field) as usize;
        let (slot_bytes, slots, blocks) = (config(0), config(1), config(2));
        let ids = config(8) & 0xffff_ffff;
        let groups = slots + slots / 8 + 64;
        let part = |at: usize| at.next_multiple_of(PARTS_BEGIN_AT_MULTIPLE_OF);
        let words = part(SECTION + BLOCKS_AT + 64 * blocks);
        let notes = part(words + 8 * slots);
        let head = part(notes + 32 * slots);
        let links = part(head + HEAD_BYTES);
        let groups_at = part(links + LINK_BYTES * slots);
        let chains = part(groups_at + GROUP_BYTES * groups);
        let ids_at = part(chains + 8 * groups.next_power_of_two());
        let chains = part(ids_at + ID_BYTES * ids);
        let id_chains = (4 * ids).next_power_of_two();
        let tickets = part(chains + 8 * id_chains);
        let attempt_sets = config(4) >> 16 & 0xffff;
        let sets = part(tickets + 8 * (2 * groups).next_power_of_two());
        let attempts = part(sets + 8 * attempt_sets);
        let marks = match config(6) {
            0 => 0,
            _ => 16 * ids.div_ceil(64),
        };
        let marks_at = part(attempts + ATTEMPT_BYTES * WAYS * attempt_sets);
        Self {
            slots,
            slot_bytes,
            words,
            links,
            groups: (groups_at, groups),
            ids: (ids_at, ids),
            chains: (chains, id_chains),
            bodies: part(marks_at + marks),
            image,
        }
    }

    /// How many groups there may be at once.
    pub fn groups(&self) -> usize {
        self.groups.1
    }

    fn word_of(&self, slot: usize) -> u64 {
        self.image.word(self.words + 8 * slot)
    }

    /// The messages in flight: holder's index, and seed.
    pub fn held(&self) -> Vec<(u32, u64)> {
        let held = (0..self.slots).filter(|&slot| self.word_of(slot) >> 62 == 3);
        held.map(|slot| {
            let owner = self.word_of(slot) >> 49 & 1023;
            let body = self.bodies + self.slot_bytes * slot + 16;
            (owner as u32, self.image.word(body))
        })
        .collect()
    }

    /// Whether two former holders read the message that is held and has this seed.
    pub fn is_read_by_two(&self, seed: u64) -> bool {
        let both =
            |slot: &usize| self.word_of(*slot) >> 62 == 3 && self.word_of(*slot) >> 59 & 3 == 3;
        let body = |slot| self.bodies + self.slot_bytes * slot + 16;
        let mut read = (0..self.slots).filter(both);
        read.any(|slot| self.image.word(body(slot)) == seed)
    }

    /// Entries of ids in this phase whose message has no number: each one's number, and state.
    fn ids_in(&self, phase: u64) -> impl Iterator<Item = (usize, u64)> {
        let (at, len) = self.ids;
        let word = move |id: usize, offset| self.image.word(at + ID_BYTES * id + offset);
        let states = (0..len).map(move |id| (id, word(id, 8)));
        states.filter(move |&(id, state)| {
            let numbered = word(id, 24) < UNORDERED && state as u32 != NO_SLOT;
            state >> 62 == phase && !numbered
        })
    }

    /// Entries of groups and of ids that somebody has claimed, whoever, and is not done with.
    pub fn claimed(&self) -> u64 {
        let (at, len) = self.groups;
        let groups = (0..len).filter(|group| self.image.word(at + GROUP_BYTES * group) >> 62 == 1);
        (groups.count() + self.ids_in(CLAIMED).count()) as u64
    }

    /// Entries of ids that are pending, for a message that is in no order.
    pub fn pending(&self) -> u64 {
        self.ids_in(PENDING).count() as u64
    }

    /// Whether an id's entry is the first of its chain, and its message is not sealed yet.
    pub fn has_pending_unsealed(&self) -> bool {
        let (at, len) = self.chains;
        let first = |id: usize| {
            let mut starts = (0..len).map(|chain| self.image.word(at + 8 * chain));
            starts.any(|start| start as u32 as usize == id + 1)
        };
        let phase = |state: u64| match state as u32 {
            NO_SLOT => 0,
            slot => self.word_of(slot as usize) >> 62,
        };
        let mut claimed = self.ids_in(CLAIMED);
        claimed.any(|(id, state)| phase(state) == 1 && first(id))
    }

    /// Whether the first message of a group is not sealed; `accepted`: and its id is accepted.
    fn has_linked(&self, accepted: bool) -> bool {
        let (at, len) = self.groups;
        let first = |group| self.image.word(at + GROUP_BYTES * group + 32);
        let linked = (0..len).map(first).filter(|first| first >> 62 == 1);
        linked.into_iter().any(|first| {
            let slot = (first & (SLOTS - 1)) as usize;
            let id = self.image.word(self.links + LINK_BYTES * slot + 16) as usize;
            let is_accepted = id
                .checked_sub(1)
                .is_some_and(|id| self.image.word(self.ids.0 + ID_BYTES * id + 24) < UNORDERED);
            self.is_claim(slot) && is_accepted == accepted
        })
    }

    /// Whether the first message of a group is not sealed, and its id is not accepted.
    pub fn has_linked_unaccepted(&self) -> bool {
        self.has_linked(false)
    }

    /// Whether the first message of a group is not sealed, and its id is accepted.
    pub fn has_accepted_unsealed(&self) -> bool {
        self.has_linked(true)
    }

    /// Whether a slot is somebody's who is about to send it, or helps with that.
    fn is_claim(&self, slot: usize) -> bool {
        let word = self.word_of(slot);
        word >> 62 == 1 && word >> 61 & 1 == 0 && word >> 49 & 1023 != 0 && word & LINKED == 0
    }

    /// Whether somebody helps with another one's send.
    pub fn has_helped(&self) -> bool {
        (0..self.slots).any(|slot| self.is_claim(slot) && self.word_of(slot) & HELPED != 0)
    }

    /// Whether a message is ready and in no order.
    pub fn has_unordered(&self) -> bool {
        let sequence = |slot: usize| self.image.word(self.links + LINK_BYTES * slot + 8);
        (0..self.slots).any(|slot| self.word_of(slot) >> 62 == 2 && sequence(slot) >= UNORDERED)
    }
}

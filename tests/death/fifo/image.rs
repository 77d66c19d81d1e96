//! The parts of a FIFO queue in the bytes of a region, as `docs/file-format.md` tells them.

use super::super::ground::{BLOCKS_AT, Image, PARTS_BEGIN_AT_MULTIPLE_OF, SECTION};
use std::path::Path;

const HEAD_BYTES: usize = 7 * 128;
const LINK_BYTES: usize = 64;
const GROUP_BYTES: usize = 64;
const ID_BYTES: usize = 128;
/// Of a sequence word: the message is not in order yet.
const UNORDERED: u64 = 1 << 63;
/// Phases of an id's entry.
const CLAIMED: u64 = 1;
const PENDING: u64 = 2;

pub struct Parts {
    image: Image,
    slots: usize,
    slot_bytes: usize,
    words: usize,
    links: usize,
    groups: (usize, usize),
    ids: (usize, usize),
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
        let tickets = part(chains + 8 * ids.next_power_of_two());
        Self {
            slots,
            slot_bytes,
            words,
            links,
            groups: (groups_at, groups),
            ids: (ids_at, ids),
            bodies: part(tickets + 8 * (2 * groups).next_power_of_two()),
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

    fn ids_in(&self, phase: u64) -> impl Iterator<Item = u64> {
        let (at, len) = self.ids;
        let states = (0..len).map(move |id| self.image.word(at + ID_BYTES * id + 8));
        states.filter(move |state| state >> 62 == phase)
    }

    /// Entries of groups and of ids that somebody has claimed, whoever.
    pub fn claimed(&self) -> u64 {
        let (at, len) = self.groups;
        let groups = (0..len).filter(|group| self.image.word(at + GROUP_BYTES * group) >> 62 == 1);
        (groups.count() + self.ids_in(CLAIMED).count()) as u64
    }

    /// Entries of ids that are pending.
    pub fn pending(&self) -> u64 {
        self.ids_in(PENDING).count() as u64
    }

    /// Whether a pending id's message is not sealed yet.
    pub fn has_pending_unsealed(&self) -> bool {
        let phase = |slot: u64| self.word_of(slot as u32 as usize) >> 62;
        self.ids_in(PENDING).any(|state| phase(state) == 1)
    }

    /// Whether a message is ready and in no order.
    pub fn has_unordered(&self) -> bool {
        let sequence = |slot: usize| self.image.word(self.links + LINK_BYTES * slot + 8);
        (0..self.slots).any(|slot| self.word_of(slot) >> 62 == 2 && sequence(slot) >= UNORDERED)
    }
}

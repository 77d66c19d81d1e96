//! FIFO queues: groups in exact order, and ids that are accepted once.
//!
//! A message lives in a slot as in a standard queue, and its state word is the truth about it. What
//! a FIFO queue has beside: an order of the messages of each group ([`list`]), entries by which
//! groups are found ([`group`]), who may receive from a group and when ([`turn`], [`free`]), what
//! ends that ([`settle`], and [`only`] for a group's only message), ids that were sent lately
//! ([`ids`], [`cursor`]), receives that may be repeated ([`attempts`]), and the way of a message
//! from its sender into its group ([`send`], [`own`] where nobody else is at it, and `help` where
//! its sender stands still).

pub mod attempts;
pub mod cursor;
pub mod due;
mod entry;
#[cfg(feature = "fifo")]
mod fetch;
#[cfg(all(feature = "fifo", not(ringmain_loom)))]
pub(super) mod fixed;
pub mod free;
pub mod group;
mod help;
pub mod ids;
#[cfg(feature = "mapped")]
pub mod kept;
mod key;
pub mod layout;
pub mod list;
pub mod only;
pub mod own;
pub mod purge;
pub mod send;
pub mod settle;
pub mod shape;
pub mod turn;

#[cfg(all(test, feature = "std", not(ringmain_loom)))]
mod tests;

use super::store::Store;
use crate::sync::Ordering;
#[cfg(feature = "mapped")]
use {super::repair::extent, crate::ring::blocks::BLOCK_SLOTS, core::ops::Range};

/// Slots, and entries of groups, that one mending looks at.
#[cfg(feature = "mapped")]
const MENDED: usize = 4096;

impl Store<'_> {
    /// What a FIFO queue's repair has to do after [`repair`](Store::repair): ends what the owners
    /// whom `dead` names were at, puts in order what is not, and issues the tickets that are
    /// missing. Twins leave a step out each: see [`repair`](super::repair).
    #[cfg(feature = "mapped")]
    pub fn repair_groups(&self, dead: &dyn Fn(u32) -> bool, owner: u32) {
        self.mend_groups(dead);
        self.mark_theirs(dead);
        self.ids_table().repair(dead);
        self.mend_attempts(dead, owner);
        self.mend_both(
            0..self.words().len(),
            0..self.groups().elements.len(),
            owner,
        );
    }

    /// The same with nobody dead, for those who stand still: what `turn`, which counts the calls,
    /// has come to, so that no call takes long.
    #[cfg(feature = "mapped")]
    pub fn mend_in_turn(&self, turn: u64, owner: u32) {
        let part = |len: usize| {
            let parts = len.div_ceil(MENDED).max(1) as u64;
            let from = (turn % parts) as usize * MENDED;
            from..(from + MENDED).min(len)
        };
        let used = (extent(self) * BLOCK_SLOTS).min(self.words().len());
        self.mend_both(part(used), part(self.groups().elements.len()), owner);
    }

    #[cfg(feature = "mapped")]
    fn mend_both(&self, slots: Range<usize>, groups: Range<usize>, owner: u32) {
        if !crate::sync::left_out!("sends") {
            self.mend_sends(slots, owner);
        }
        if !crate::sync::left_out!("tickets") {
            self.mend_tickets(groups, self.latest_ms(), owner);
        }
    }

    /// The latest time that anybody has seen, ms.
    pub(super) fn latest_ms(&self) -> u64 {
        self.head().seldom.time_high_ms.load(Ordering::Relaxed)
    }
}

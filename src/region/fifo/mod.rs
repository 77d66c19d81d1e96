//! FIFO queues: groups in exact order, and ids that are accepted once.
//!
//! A message lives in a slot as in a standard queue, and its state word is the truth about it. What
//! a FIFO queue has beside: an order of the messages of each group ([`list`]), entries by which
//! groups are found ([`group`]), who may receive from a group and when ([`turn`]), ids that were
//! sent lately ([`ids`]), and the way of a message from its sender into its group ([`send`]).

pub mod due;
pub mod group;
pub mod ids;
pub mod layout;
pub mod list;
pub mod purge;
pub mod send;
pub mod turn;

#[cfg(all(test, feature = "std", not(ringmain_loom)))]
mod tests;

use super::store::Store;
use crate::sync::Ordering;

impl Store<'_> {
    /// What a FIFO queue's repair has to do after [`repair`](Store::repair): ends what the owners
    /// whom `dead` names were at, puts in order what is not, and issues the tickets that are
    /// missing. With nobody dead it does so for those who stand still.
    ///
    /// Twins leave a step out each: see [`repair`](super::repair).
    #[cfg(feature = "mapped")]
    pub fn repair_groups(&self, dead: &dyn Fn(u32) -> bool, owner: u32) {
        self.mend_groups(dead);
        self.ids_table().repair(dead);
        if !cfg!(ringmain_twin = "sends") {
            self.mend_sends(owner);
        }
        if !cfg!(ringmain_twin = "tickets") {
            let now_ms = self.head().seldom.time_high_ms.load(Ordering::Relaxed);
            self.mend_tickets(now_ms, owner);
        }
    }
}

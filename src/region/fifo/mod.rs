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
pub mod send;
pub mod turn;

#[cfg(all(test, feature = "std", not(ringmain_loom)))]
mod tests;

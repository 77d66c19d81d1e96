//! FIFO queues: exact order in each group, each deduplication id accepted once.
//!
//! What happens in memory is told in `region::fifo`. Here are the rules over it: what ids may be
//! ([`entry`], [`key`]), how messages are sent ([`send`]), received and settled ([`turn`]),
//! receives that may be repeated ([`attempt`]), and the quota of who wants that of SQS ([`quota`]).

mod attempt;
mod dead;
#[cfg(feature = "mapped")]
mod durability;
mod entry;
mod fixed;
mod key;
mod options;
mod outcome;
mod queue;
mod quota;
mod send;
mod settle;
mod stat;
mod turn;

pub use entry::{FifoEntry, FifoSent, SequenceNumber};
pub(super) use key::group_key;
pub use options::{DedupScope, FifoOptions};
pub use queue::FifoQueue;
#[cfg(feature = "async")]
pub(super) use quota::Call;
pub use stat::FifoStats;

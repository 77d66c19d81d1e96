//! Large messages: bodies of up to 2 GiB, in a directory beside a queue.
//!
//! A body that is longer than the threshold goes to a file, and the queue carries a pointer: a
//! record of 64 bytes ([`pointer`]) for a body, and the attribute `ringmain.large`. The file is
//! called after the message: queue, slot, stamp (`region::mapped::side`).
//!
//! # Protocol
//!
//! ```text
//!   send      claim the slots, settle the send time: the name is known
//!             make the file, write it, sync it if the queue has a journal
//!             publish with that send time
//!   receive   hold the message, open the file
//!   delete    take the message out; wait for the disk if the queue has a journal
//!             remove the file
//!   collect   tend; list the files; look at the word of each; sync if the queue has a journal;
//!             remove those whose message is not there
//! ```
//!
//! So a message that can be received has its whole body in the side store, and what a death leaves
//! is always a file without a message:
//!
//! - The sender dies before it publishes: the claim goes with it, and the file's name is dead.
//! - The deleter dies before it removes the file; or somebody purges, deletes through the plain
//!   queue, or the message grows too old: the same.
//! - The receiver dies: the message comes back, its body is where it was.
//!
//! Which names live is told by the words of the queue alone (`region::names`, with the races), so
//! the collector needs no timer and takes nothing from a sender who is slow.
//!
//! # The machine
//!
//! With a journal the order holds over a power loss too: the body is on the disk before the message
//! can be, and it is removed after the message's end is on the disk. Both wait for the disk,
//! whatever the level of the handle.
//!
//! # Messages that move
//!
//! A message that goes on to a queue of dead letters gets another slot and stamp there. Its pointer
//! goes with it, unchanged, and names the file by the message's first place; so the other queue
//! finds it, if it uses the same directory. But its words say nothing of it: who looks at the first
//! queue alone can't tell a message that has moved from one that is gone. So, if a queue sends
//! dead letters on,
//!
//! - a delete that did not free the message itself leaves the file;
//! - the collector leaves a file whose message is not in its place, until no queue can keep such a
//!   message any more: 15 days and 12 hours after it was sent.
//!
//! What is deleted through a `LargeQueue` is removed at once in either queue.

mod collect;
mod options;
mod pointer;
mod queue;
mod received;
mod send;

pub use collect::Collected;
pub use options::LargeOptions;
pub use queue::LargeQueue;
pub use received::{LargeBatch, LargeReader, LargeReceived};

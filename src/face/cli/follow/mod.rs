//! `ringmain follow`: lines of files become records of a stream as they are written, each once.
//!
//! # Protocol
//!
//! Lines are put in batches of one file. Of a batch, what goes to one shard is one claim, which is
//! there at once or never ([`Stream::prepare`](crate::Stream::prepare)). A round is: prepare, write
//! down where the file is, which lines are meant and at which place of which shard each claim
//! begins ([`state`]), commit. Lines that a round has left are in the next one.
//!
//! # Deaths
//!
//! The program may die between any two instructions. Who comes after it asks the stream what became
//! of the claims that are written down:
//!
//! - *Before they were written down*: they were given up, and nobody has noted anything.
//! - *Behind that, before the commit of a shard*: given up, as soon as the kernel has told of the
//!   death; those lines are put again.
//! - *Behind it*: a record, though perhaps nothing further was written down. Those lines are done.
//!
//! The place of a claim can be asked until its ring has come round and something else begins at the
//! same granule. Then nobody can tell: the lines are put again, and that is told. When there is
//! nothing to be read, it is written down that all is done, so that can only befall who died at
//! work.
//!
//! # Order
//!
//! A line waits for those before it: while a shard is full, so does all behind it in its file, and
//! the files beside it. So the lines of a key keep their order in each file.

mod agent;
mod args;
mod batch;
mod mark;
mod names;
mod source;
mod state;
mod watch;

pub(super) use agent::run;
pub(super) use args::FollowArgs;

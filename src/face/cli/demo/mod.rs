//! `ringmain demo`: the main job, with an audit.
//!
//! ```text
//!   producer 0 ──┐                           ┌── worker 0
//!   producer 1 ──┤── one queue, one file ────┤── worker 1      five processes, killed and
//!        │       │                           │── worker 2      replaced all the time
//!        │ sent: seq, hash       received: ids; processed: seq, hash
//!        └──────────── journals: pipes ──────┴──────► conductor (the parent): audit
//! ```
//!
//! **What is sent** is this machine's telemetry, read from `/proc` over and over; each reading is a
//! JSON body that names its producer, the producer's incarnation and a sequence number.
//!
//! **The journals** are pipes, one a child. A record is one `write` of less than `PIPE_BUF` bytes,
//! so it is whole or absent, and what was written outlives its writer. A producer writes `sent`
//! after its send returned `Ok`. A worker writes `received` as soon as it has a batch, works,
//! writes `processed`, and only then deletes.
//!
//! **What counts.** A message is sent when a `sent` names it, processed when a `processed` does.
//! Lost: sent and never processed. Damaged: the bytes processed hash to something else than the
//! bytes sent, or are no reading at all. A producer killed between `Ok` and its journal leaves at
//! most one batch that is processed and not counted as sent.
//!
//! **With a FIFO queue** each metric is a group, and a message's deduplication id is its author and
//! sequence number. A producer has an [`outbox`]: whoever takes its place sends its last batch
//! again, and journals it; so no batch is left that nobody vouches for, and each is accepted once.
//! A worker journals where its messages stand in their groups, and [`order`] checks that. That a
//! message is in the group, and has the id, that its body says is part of its bytes: else it is
//! damaged. When the table of ids is full, producers wait as they do when the queue is.
//!
//! **With a stream** each metric is a partition key, and two readers take the workers' place. Each
//! reads all shards, journals as a worker does, and then writes down where its successor goes on
//! ([`progress`]): so a successor reads again what its predecessor had in hand. The conductor
//! splits and merges shards meanwhile. [`keys`] checks that each reader reads each key in order,
//! and all readers the same. A record counts as processed when both have read it.
//!
//! **A kill while holding.** The conductor finds a worker whose journal ends with `received`, stops
//! it (SIGSTOP), reads its journal to the end, and kills it only if the last record still is
//! `received`: then it holds a batch that it has not deleted. Otherwise it goes on (SIGCONT) and
//! the conductor looks further. When none is found for 100 ms (workers of a quiet queue have empty
//! hands most of the time), it asks one to be slow with its next batch (SIGUSR1). Redelivery is
//! measured from just before SIGKILL to the `received` time of whoever gets the messages next.
//!
//! **Nothing stays behind.** The file of the queue loses its name as soon as it is made; children
//! reach it through an inherited descriptor, and die with their parent.

mod audit;
mod board;
mod child;
mod conductor;
mod in_order;
mod keys;
mod ledger;
mod order;
mod outbox;
mod place;
mod producer;
mod progress;
mod reader;
mod reading;
mod report;
mod stream;
mod telemetry;
mod wire;
mod worker;

pub(super) use conductor::run;
pub(super) use producer::run as producer;
pub(super) use reader::run as reader;
pub(super) use worker::run as worker;

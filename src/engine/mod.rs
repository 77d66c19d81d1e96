//! Floor 6: named queues and streams, in a directory or in memory, and the policies over them.
//!
//! A queue knows nothing of names and of other queues. Here is what does: which queues and streams
//! there are and what they are called ([`Engine`]), where the dead letters of each go, its tags,
//! and what is left when somebody dies while these are changed ([`Report`]). None of it is on the
//! data path: a queue that an engine has opened is a plain [`Queue`](crate::Queue). Beside them,
//! and of any queue's figures: alarms ([`Alarm`], [`Monitor`]).
#![forbid(unsafe_code)]

mod alarm;
mod create;
mod dead;
mod describe;
mod handle;
#[cfg(feature = "mapped")]
mod large;
mod meta;
mod redrive;
mod report;
mod shared;
mod spec;
#[cfg(feature = "stream")]
mod streams;
mod task;
mod verify;

pub use alarm::{
    Alarm, AlarmOptions, AlarmState, Comparison, Metric, MissingData, Monitor, Statistic,
    Transition,
};
pub use dead::DeadLetterPolicy;
pub use describe::QueueDescription;
#[cfg(feature = "fifo")]
pub use handle::EngineFifoQueue;
#[cfg(feature = "stream")]
pub use handle::EngineStream;
pub use handle::{DefaultHome, Engine, EngineQueue};
#[cfg(feature = "mapped")]
pub use large::{Collected, LargeBatch, LargeOptions, LargeQueue, LargeReader, LargeReceived};
pub use redrive::RedriveOptions;
pub use report::{Finding, Problem, Report};
pub use spec::QueueSpec;
#[cfg(feature = "stream")]
pub use streams::{StreamDescription, StreamSpec};
pub use task::{RedriveState, RedriveStatus};

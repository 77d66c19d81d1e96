//! A machine whose disk has a journaled queue.

use crate::common::machine::{self, Content};
pub use crate::common::machine::{SECTION_OFFSET, open};
use ringmain::{Mapped, Queue, QueueOptions};
use std::ops::Range;
use std::path::PathBuf;

/// The waiters' line of a queue, and the seldom line.
pub const ZEROED: Range<u64> = SECTION_OFFSET + 384..SECTION_OFFSET + 640;
/// The settings.
pub const WHOLE: Range<u64> = SECTION_OFFSET + 640..SECTION_OFFSET + 768;

pub enum Journaled {}

impl Content for Journaled {
    type Options = QueueOptions;
    const NAMES: [&'static str; 2] = ["q.ring", "q.ring.journal"];
    const ZEROED: Range<u64> = ZEROED;
    const WHOLE: Range<u64> = WHOLE;

    fn create(region: &Mapped, options: QueueOptions) {
        Queue::create(region, options).expect("a queue");
    }
}

pub type Machine = machine::Machine<Journaled>;

impl Machine {
    pub fn journal(&self) -> PathBuf {
        self.companion()
    }
}

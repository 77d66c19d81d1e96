//! A machine whose disk has a journaled queue.

use crate::common::machine::{self, Content};
pub use crate::common::machine::{SECTION_OFFSET, open};
use ringmain::{Mapped, Queue, QueueOptions};
use std::ops::Range;
use std::path::PathBuf;

pub enum Journaled {}

impl Content for Journaled {
    type Options = QueueOptions;
    const NAMES: [&'static str; 2] = ["q.ring", "q.ring.journal"];
    /// The waiters' line, and the seldom line.
    const ZEROED: Range<u64> = SECTION_OFFSET + 384..SECTION_OFFSET + 640;
    /// The settings.
    const WHOLE: Range<u64> = SECTION_OFFSET + 640..SECTION_OFFSET + 768;

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

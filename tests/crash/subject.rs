//! What the harness does not know: what is worked on, what is told of it, and how it is checked.

use crate::image::{Image, Looker};
use crate::plan::{Level, Plan};
use crate::tale::{self, Note};
use std::path::Path;
use std::time::Duration;

/// What the broken twin leaves out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Twin {
    None,
    /// Every third sync.
    Syncs,
    /// The sync behind a ledger: what is under it is written while it may be gone.
    #[cfg(feature = "stream")]
    Ledgers,
}

pub type Event<S> = tale::Event<<S as Subject>::Note, <<S as Subject>::Eye as Eye>::Sight>;

/// What survives the machine: a queue with its journal, or a stream with its mirror.
pub trait Subject: Sized {
    /// What the names of its trials begin with.
    const NAME: &'static str;
    /// What the name of its companion ends with.
    const END: &'static str;
    /// At one write or sync in so many a child is killed.
    const DEATHS: u64;
    /// Images of a boot in a thinned run: short histories, so that each trial has one.
    const FEW: u64;
    /// The longest that a look at an image may take.
    const LIMIT: Duration;
    /// What of the table cannot be here.
    const NEVER: &'static str;
    /// The broken twins that have to be found.
    const TWINS: &'static [Twin];
    /// Looks at what processes have left that are gone, on a machine that has not stopped.
    const ALIVE: Option<fn(&mut Looker<'_>, &Self::Ledger)> = None;
    /// Its sizes, and what is sent or put.
    type Form: Copy + Sync;
    type Note: Note;
    type Eye: Eye<Form = Self::Form>;
    /// What is known at some moment.
    type Ledger: Clone;

    /// The forms that a history may have.
    fn forms() -> Vec<Self::Form>;
    /// Makes the region of a history; in a child of its own, since it may start threads.
    fn make(path: &Path, level: Level, form: Self::Form);
    /// The child: exits with 0 if all went as it should.
    fn work(plan: &Plan<Self::Form>) -> i32;
    /// What is known when it was made.
    fn ledger(form: Self::Form) -> Self::Ledger;
    /// The machine has started again, and a child has told what is there.
    fn boot(ledger: &mut Self::Ledger, notes: &[&Self::Note]);
    /// Takes in what a child said.
    fn note(ledger: &mut Self::Ledger, note: &Self::Note);
    /// Takes in what was seen.
    fn see(ledger: &mut Self::Ledger, sight: &<Self::Eye as Eye>::Sight);
    /// Looks at an image.
    fn look(looker: &mut Looker<'_>, image: &Image, ledger: &Self::Ledger);
}

/// What the tracer sees beside the calls, while children work.
pub trait Eye {
    type Form;
    /// What is seen.
    type Sight;

    /// For a region, before the first child.
    fn new(region: &Path, form: Self::Form) -> Self;
    /// Something is written to the companion.
    fn write(&mut self, offset: u64);
    /// Faults come once in `often` times; more often where they hurt.
    fn often(&self, often: u64) -> u64 {
        often
    }
    /// Whether the broken twin swallows this sync, the `nth`.
    fn swallows(&self, twin: Twin, nth: u64) -> bool {
        twin == Twin::Syncs && nth.is_multiple_of(3)
    }
    /// What is seen behind a call.
    fn sight(&self) -> Option<Self::Sight> {
        None
    }
    /// What is seen when a child has ended.
    fn end(&self) -> Option<Self::Sight> {
        None
    }
}

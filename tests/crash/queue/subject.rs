//! Queues with a journal, as what is worked on.

use super::check;
use super::tale::{Ended, Ledger, Note};
use super::work::{self, FORMS, Form};
use crate::image::{Image, Looker};
use crate::plan::{Level, Plan};
use crate::subject::{Eye, Subject, Twin};
use std::collections::HashSet;
use std::path::Path;
use std::time::Duration;

/// Where the journal's ring begins.
const RING: u64 = 4096;

pub enum Queues {}

impl Subject for Queues {
    const NAME: &'static str = "";
    const END: &'static str = ".journal";
    const DEATHS: u64 = 80;
    const FEW: u64 = 14;
    const LIMIT: Duration = Duration::from_secs(20);
    const NEVER: &'static str = "holes";
    const TWINS: &'static [Twin] = &[Twin::Syncs];
    type Form = Form;
    type Note = Note;
    type Eye = RingEye;
    type Ledger = Ledger;

    fn forms() -> Vec<Form> {
        FORMS.to_vec()
    }

    fn make(path: &Path, level: Level, form: Form) {
        work::make(path, level, form);
    }

    fn work(plan: &Plan<Form>) -> i32 {
        work::run(plan)
    }

    fn ledger(_form: Form) -> Ledger {
        Ledger::default()
    }

    fn boot(ledger: &mut Ledger, notes: &[&Note]) {
        let seen = notes.iter().filter_map(|note| match note {
            Note::Seen(seeds) => Some(seeds),
            _ => None,
        });
        let seen: HashSet<u64> = seen.flatten().copied().collect();
        ledger.boot(&seen);
    }

    fn note(ledger: &mut Ledger, note: &Note) {
        ledger.note(note);
    }

    fn see(ledger: &mut Ledger, _ended: &Ended) {
        ledger.end();
    }

    fn look(looker: &mut Looker<'_>, image: &Image, ledger: &Ledger) {
        check::look(looker, image, &ledger.expected());
    }
}

/// Looks where the ring of the journal begins anew.
pub struct RingEye {
    /// Whether the last write was the first of a round.
    wrapped: bool,
}

impl Eye for RingEye {
    type Form = Form;
    type Sight = Ended;

    fn new(_region: &Path, _form: Form) -> Self {
        Self { wrapped: false }
    }

    fn write(&mut self, offset: u64) {
        self.wrapped = offset == RING;
    }

    fn often(&self, often: u64) -> u64 {
        if self.wrapped { 3 } else { often }
    }

    fn end(&self) -> Option<Ended> {
        Some(Ended)
    }
}

//! Streams with a mirror, as what is worked on.

use super::check;
use super::tale::{Ledger, NAMES, Note, Told};
use super::work::{self, Form};
use crate::image::{Image, Looker};
use crate::plan::{Level, Plan};
use crate::subject::{Eye, Subject, Twin};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::Duration;

/// Where the heads of places begin in a region, how long each is, and where its floor and its name
/// are.
const HEADS: u64 = 20_480 + 384;
const HEAD_BYTES: u64 = 384;
const FLOOR: u64 = 8;
const NAME: u64 = 128;
/// Where the ledgers begin in a mirror.
const LEDGERS: u64 = 4096;

pub enum Streams {}

impl Subject for Streams {
    const NAME: &'static str = "stream, ";
    const END: &'static str = ".mirror";
    const DEATHS: u64 = 60;
    const FEW: u64 = 12;
    const LIMIT: Duration = Duration::from_secs(60);
    const NEVER: &'static str = "resurrected";
    const TWINS: &'static [Twin] = &[Twin::Syncs, Twin::Ledgers];
    const ALIVE: Option<fn(&mut Looker<'_>, &Ledger)> = Some(check::look_alive);
    type Form = Form;
    type Note = Note;
    type Eye = PlacesEye;
    type Ledger = Ledger;

    fn forms() -> Vec<Form> {
        work::forms()
    }

    fn make(path: &Path, level: Level, form: Form) {
        work::make(path, level, form);
    }

    fn work(plan: &Plan<Form>) -> i32 {
        work::run(plan)
    }

    fn ledger(form: Form) -> Ledger {
        let mut ledger = Ledger::default();
        ledger.places.resize(form.places as usize, (0, 0));
        ledger
    }

    fn boot(ledger: &mut Ledger, notes: &[&Note]) {
        let (mut seen, mut there): (Vec<Told>, Vec<u64>) = (Vec::new(), Vec::new());
        for note in notes {
            match note {
                Note::Seen(records) => seen.extend(records),
                Note::Looked(names) => there.clone_from(names),
                _ => {}
            }
        }
        ledger.boot(&seen, &there);
    }

    fn note(ledger: &mut Ledger, note: &Note) {
        ledger.note(note);
    }

    fn see(ledger: &mut Ledger, places: &Vec<(u64, u64)>) {
        ledger.places.clone_from(places);
    }

    fn look(looker: &mut Looker<'_>, image: &Image, ledger: &Ledger) {
        check::look(looker, image, ledger);
    }
}

/// Looks at the places of shards in the region, and for ledgers in what is written.
pub struct PlacesEye {
    file: File,
    places: u64,
    /// Whether the last write was a ledger's.
    is_ledger: bool,
    /// Where the first place's slots begin.
    places_at: u64,
}

impl Eye for PlacesEye {
    type Form = Form;
    /// Which shard each place has by now, and where that begins: what is before was given up.
    type Sight = Vec<(u64, u64)>;

    fn new(region: &Path, form: Form) -> Self {
        work::Fast::begin(); // for the children that come
        Self {
            file: File::open(region).expect("the region"),
            places: u64::from(form.places),
            is_ledger: false,
            places_at: LEDGERS + 2 * ledger_bytes(form),
        }
    }

    fn write(&mut self, offset: u64) {
        self.is_ledger = (LEDGERS..self.places_at).contains(&offset);
    }

    fn swallows(&self, twin: Twin, nth: u64) -> bool {
        match twin {
            Twin::None => false,
            Twin::Syncs => nth.is_multiple_of(3),
            Twin::Ledgers => self.is_ledger,
        }
    }

    fn sight(&self) -> Option<Self::Sight> {
        let word = |place: u64, at: u64| {
            let mut word = [0; 8];
            let at = HEADS + place * HEAD_BYTES + at;
            self.file.read_exact_at(&mut word, at).expect("a word");
            u64::from_le_bytes(word)
        };
        let place = |place| (word(place, NAME) >> 2, word(place, FLOOR));
        Some((0..self.places).map(place).collect())
    }

    /// What it did last may have given records up, and nothing was told after that.
    fn end(&self) -> Option<Self::Sight> {
        self.sight()
    }
}

/// How long a ledger of a stream of this form is: head, places, seats and days.
fn ledger_bytes(form: Form) -> u64 {
    let len = 64 + u64::from(form.places) * 128 + NAMES as u64 * 144 + 31 * 8;
    len.next_multiple_of(4096)
}

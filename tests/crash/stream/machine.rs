//! A machine that stops again and again: children work on a stream of its disk, and each time
//! images are made of what a crash might have left. The machine goes on from one of them.

use super::check::{Image, Tally, check, check_alive};
use super::tale::{Event, Ledger, Note, Told};
use super::work::{self, Plan};
use crate::common::{Dir, Numbers};
use crate::disk::{Disk, Tear, mixed, restart};
use crate::trace::{self, Call, End, Fate, Watcher};
use crate::work::Level;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::time::Duration;

/// The longest that a child may take.
const CHILD: Duration = Duration::from_secs(120);
/// Where the heads of places begin in a region, how long each is, and where its floor and its name
/// are.
const HEADS: u64 = 20_480 + 384;
const HEAD_BYTES: u64 = 384;
const FLOOR: u64 = 8;
const NAME: u64 = 128;
/// Where the ledgers begin in a mirror.
const LEDGERS: u64 = 4096;

/// What the broken twin leaves out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Twin {
    None,
    /// Every third sync.
    Syncs,
    /// The sync behind a ledger: what is under it is written while it may be gone.
    Ledgers,
}

/// What a machine has to go through.
#[derive(Debug, Clone, Copy)]
pub struct Trial {
    pub name: &'static str,
    pub level: Level,
    /// Threads, each with an attachment of its own.
    pub threads: u64,
    /// Whether the disk fails now and then.
    pub errors: bool,
    /// Whether children are killed while they write.
    pub deaths: bool,
    pub twin: Twin,
}

/// What the tracer enters while a child works.
struct Recorder {
    trial: Trial,
    region: PathBuf,
    mirror: PathBuf,
    file: File,
    places: u64,
    numbers: Numbers,
    events: Vec<Event>,
    /// Faults come, and floors are believed, once the child has looked at what is there.
    ready: bool,
    syncs: u64,
    /// Whether the last write was a ledger's.
    is_ledger: bool,
    /// Where the first place's slots begin.
    places_at: u64,
}

impl Recorder {
    fn is_mirror(&self, pid: i32, fd: i32) -> bool {
        let link = std::fs::read_link(format!("/proc/{pid}/fd/{fd}"));
        link.is_ok_and(|path| path == self.mirror)
    }

    /// Once in `often` times.
    fn strikes(&mut self, wished: bool, often: u64) -> bool {
        wished && self.ready && self.numbers.below(often) == 0
    }

    fn write_fate(&mut self, len: usize) -> Fate {
        if self.strikes(self.trial.deaths, 60) {
            Fate::Kill
        } else if self.strikes(self.trial.errors, 40) {
            match self.numbers.below(3) {
                0 => Fate::Fail(libc::EIO),
                1 => Fate::Fail(libc::ENOSPC),
                _ => Fate::Short(1 + self.numbers.below(len as u64) as usize),
            }
        } else {
            Fate::Done
        }
    }

    fn sync_fate(&mut self) -> Fate {
        self.syncs += 1;
        let swallowed = match self.trial.twin {
            Twin::None => false,
            Twin::Syncs => self.syncs.is_multiple_of(3),
            Twin::Ledgers => self.is_ledger,
        };
        if swallowed {
            Fate::Swallow
        } else if self.strikes(self.trial.deaths, 60) {
            Fate::Kill
        } else if self.strikes(self.trial.errors, 25) {
            Fate::Fail(libc::EIO)
        } else {
            Fate::Done
        }
    }

    /// Which shards the places have now, and where they begin.
    fn places(&self) -> Vec<(u64, u64)> {
        let word = |place: u64, at: u64| {
            let mut word = [0; 8];
            let at = HEADS + place * HEAD_BYTES + at;
            self.file.read_exact_at(&mut word, at).expect("a word");
            u64::from_le_bytes(word)
        };
        let place = |place| (word(place, NAME) >> 2, word(place, FLOOR));
        (0..self.places).map(place).collect()
    }
}

impl Watcher for Recorder {
    fn fate(&mut self, pid: i32, call: &Call) -> Fate {
        match call {
            Call::Write { fd, offset, bytes } => {
                assert!(self.is_mirror(pid, *fd), "a write to another file");
                self.is_ledger = (LEDGERS..self.places_at).contains(offset);
                self.write_fate(bytes.len())
            }
            Call::Sync => self.sync_fate(),
            Call::Note(_) | Call::Other(_) => Fate::Done,
        }
    }

    fn returned(&mut self, call: Call, fate: Fate, result: i64) {
        // Before what was written: it may have them.
        if self.ready {
            self.events.push(Event::Places(self.places()));
        }
        match call {
            Call::Write {
                offset, mut bytes, ..
            } => {
                bytes.truncate(result.max(0) as usize);
                self.events.push(Event::Write(offset as usize, bytes));
            }
            Call::Sync => match (fate, result) {
                (Fate::Done, 0) => self.events.push(Event::Synced),
                (Fate::Swallow, _) => {}
                _ => self.events.push(Event::SyncFailed),
            },
            Call::Note(words) => {
                let note = Note::read(&words);
                self.ready |= matches!(note, Note::Looked(_));
                self.events.push(Event::Note(note));
            }
            Call::Other(_) => {}
        }
        if self.numbers.below(60) == 0 {
            let copy = std::fs::read(&self.region).expect("the region");
            self.events.push(Event::Copy(copy));
        }
    }
}

/// What came of a machine's life.
#[derive(Debug, Default)]
pub struct Life {
    pub tally: Tally,
    /// Calls that were made to fail, and children that were killed.
    pub strikes: u64,
    /// What was wrong, for people.
    pub words: Vec<String>,
}

/// A machine and its disk.
pub struct Machine<'d> {
    trial: Trial,
    dir: &'d Dir,
    images: &'d Dir,
    numbers: Numbers,
    ledger: Ledger,
    child: u64,
    life: Life,
}

/// Where a machine goes on.
struct Start {
    image: Image,
    ledger: Ledger,
}

impl<'d> Machine<'d> {
    pub fn new(trial: Trial, dir: &'d Dir, images: &'d Dir, seed: u64) -> Self {
        Self {
            trial,
            dir,
            images,
            numbers: Numbers(seed),
            ledger: Ledger::default(),
            child: 0,
            life: Life::default(),
        }
    }

    /// Works, stops and starts again `boots` times; `each` images a boot.
    pub fn live(mut self, boots: u64, each: u64) -> Life {
        let forms = work::forms();
        let form = forms[self.numbers.below(forms.len() as u64) as usize];
        let pid = trace::fork(|| {
            work::make(self.dir, self.trial.level, form);
            0
        });
        let made = trace::reap(pid, CHILD);
        assert_eq!(made, End::Exited(0), "a stream could not be made");
        let mut image = Image {
            region: std::fs::read(self.dir.file("s.ring")).expect("the region"),
            mirror: std::fs::read(self.dir.file("s.ring.mirror")).expect("the mirror"),
        };
        self.ledger.places = vec![(0, 0); form.places as usize];
        for boot in 0..boots {
            let Some(events) = self.work(form, boot != 0) else {
                break;
            };
            match self.crash(boot, each, &image, &events) {
                Some(start) => {
                    image = start.image;
                    self.ledger = start.ledger;
                    image.put(self.dir);
                }
                None => break,
            }
        }
        self.life
    }

    /// Children work, one after the other. `None` if one of them failed.
    fn work(&mut self, form: work::Form, restarted: bool) -> Option<Vec<Event>> {
        let path = self.dir.file("s.ring");
        let mirror = self.dir.file("s.ring.mirror");
        let file = File::open(&path).expect("the region");
        let mut recorder = Recorder {
            trial: self.trial,
            mirror: mirror.canonicalize().expect("it"),
            region: path.clone(),
            file,
            places: u64::from(form.places),
            numbers: Numbers(self.numbers.next()),
            events: Vec::new(),
            ready: !restarted,
            syncs: 0,
            is_ledger: false,
            places_at: LEDGERS + 2 * ledger_bytes(form),
        };
        work::Fast::begin();
        let children = if self.trial.deaths { 6 } else { 2 };
        for nth in 0..children {
            self.child += 1;
            let plan = Plan {
                path: path.clone(),
                level: self.trial.level,
                form,
                threads: self.trial.threads,
                steps: (200 + self.numbers.below(500)) / self.trial.threads,
                child: self.child,
                look: restarted && nth == 0,
                seed: self.numbers.next(),
            };
            let calls = [libc::SYS_pwrite64, libc::SYS_fdatasync];
            let end = trace::run(|| work::run(&plan), &calls, &mut recorder, CHILD);
            match end {
                End::Exited(0) => {}
                End::Signal(libc::SIGKILL) if self.trial.deaths => self.life.strikes += 1,
                other => {
                    self.life.tally.stuck += 1;
                    let words = format!("child {} of {:?}: {other:?}", self.child, self.trial);
                    self.life.words.push(words);
                    return None;
                }
            }
        }
        Some(recorder.events)
    }

    /// Makes images and checks them. Returns one to go on from, unless something is wrong.
    fn crash(&mut self, boot: u64, each: u64, image: &Image, events: &[Event]) -> Option<Start> {
        let mut ledger = std::mem::take(&mut self.ledger);
        if boot != 0 {
            let (mut seen, mut there): (Vec<Told>, Vec<u64>) = (Vec::new(), Vec::new());
            for event in events {
                match event {
                    Event::Note(Note::Seen(records)) => seen.extend(records),
                    Event::Note(Note::Looked(names)) => there.clone_from(names),
                    _ => {}
                }
            }
            ledger.boot(&seen, &there);
        }
        let points = self.points(each, events);
        let next = self.numbers.below(each);
        let mut disk = Disk::new(image.mirror.clone());
        let mut copies = vec![image.region.clone()];
        let mut start = None;
        let mut at = 0;
        for (nth, point) in points.into_iter().enumerate() {
            for event in &events[at..=point] {
                self.apply(event, &mut ledger, &mut disk, &mut copies);
            }
            at = point + 1;
            let made = self.image(&disk, &copies);
            let place = format!("boot {boot}, event {point} of {}", events.len());
            let (tally, words) = check(self.images, &made, &ledger, self.numbers.next());
            self.life.tally.add(&tally);
            if !words.is_empty() {
                self.life.words.push(format!("{place}: {words}"));
            }
            if nth as u64 == next {
                let ledger = ledger.clone();
                start = Some(Start {
                    image: made,
                    ledger,
                });
            }
        }
        for event in &events[at..] {
            self.apply(event, &mut ledger, &mut disk, &mut copies);
        }
        let found = std::fs::read(self.dir.file("s.ring.mirror")).expect("the mirror");
        assert!(found == disk.cached(), "the tracer missed a write");
        // While the machine runs the region is believed, whoever has died.
        ledger.all_safe();
        let alive = Image {
            region: std::fs::read(self.dir.file("s.ring")).expect("the region"),
            mirror: found,
        };
        let (tally, words) = check_alive(self.images, &alive, &ledger);
        self.life.tally.add(&tally);
        if !words.is_empty() {
            self.life.words.push(format!("boot {boot}, alive: {words}"));
        }
        start.filter(|_| self.life.words.is_empty())
    }

    /// Events after which the power goes, in their order: most often while a write is on its way.
    fn points(&mut self, each: u64, events: &[Event]) -> Vec<usize> {
        let writes: Vec<usize> = (0..events.len())
            .filter(|&at| matches!(events[at], Event::Write(..)))
            .collect();
        let mut points: Vec<usize> = (0..each)
            .map(|_| match self.numbers.below(3) {
                1 | 2 if !writes.is_empty() => {
                    writes[self.numbers.below(writes.len() as u64) as usize]
                }
                _ => self.numbers.below(events.len() as u64) as usize,
            })
            .collect();
        points.sort_unstable();
        points
    }

    fn apply(
        &mut self,
        event: &Event,
        ledger: &mut Ledger,
        disk: &mut Disk,
        copies: &mut Vec<Vec<u8>>,
    ) {
        match event {
            Event::Write(offset, bytes) => disk.write(*offset, bytes),
            Event::Synced => disk.synced(),
            Event::SyncFailed => {
                self.life.strikes += 1;
                disk.failed();
            }
            Event::Note(note) => ledger.note(note),
            Event::Places(places) => ledger.places.clone_from(places),
            Event::Copy(copy) => copies.push(copy.clone()),
        }
    }

    fn image(&mut self, disk: &Disk, copies: &[Vec<u8>]) -> Image {
        let tears = [Tear::Whole, Tear::Torn, Tear::Torn, Tear::Garbage];
        let tear = tears[self.numbers.below(4) as usize];
        let mut region = mixed(copies, &mut self.numbers);
        restart(&mut region, &mut self.numbers);
        Image {
            region,
            mirror: disk.image(&mut self.numbers, tear),
        }
    }
}

/// How long a ledger of a stream of this form is: head, places, seats and days.
fn ledger_bytes(form: work::Form) -> u64 {
    let len = 64 + u64::from(form.places) * 128 + super::tale::NAMES as u64 * 144 + 31 * 8;
    len.next_multiple_of(4096)
}

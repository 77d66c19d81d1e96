//! A machine that stops again and again: children work on a queue of its disk, and each time images
//! are made of what a crash might have left. The machine goes on from one of them.

use crate::check::{Image, Tally, check};
use crate::common::{Dir, Numbers};
use crate::disk::{Disk, Tear, mixed, restart};
use crate::tale::{Event, Expected, Ledger, Note};
use crate::trace::{self, Call, End, Fate, Watcher};
use crate::work::{self, FORMS, Level, Plan};
use std::collections::HashSet;
use std::path::PathBuf;
use std::time::Duration;

/// The longest that a child may take.
const CHILD: Duration = Duration::from_secs(120);
/// Where the journal's ring begins.
const RING: u64 = 4096;

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
    /// Whether every third sync is swallowed.
    pub twin: bool,
}

/// What the tracer enters while a child works.
struct Recorder {
    trial: Trial,
    region: PathBuf,
    journal: PathBuf,
    numbers: Numbers,
    events: Vec<Event>,
    /// Faults come once the child has looked at what is there.
    ready: bool,
    /// Whether the last write was the first of a round of the ring.
    wrapped: bool,
    syncs: u64,
}

impl Recorder {
    fn is_journal(&self, pid: i32, fd: i32) -> bool {
        let link = std::fs::read_link(format!("/proc/{pid}/fd/{fd}"));
        link.is_ok_and(|path| path == self.journal)
    }

    /// Once in `often` times; much more often where the ring begins anew.
    fn strikes(&mut self, wished: bool, often: u64) -> bool {
        let often = if self.wrapped { 3 } else { often };
        wished && self.ready && self.numbers.below(often) == 0
    }

    fn write_fate(&mut self, offset: u64, len: usize) -> Fate {
        self.wrapped = offset == RING;
        if self.strikes(self.trial.deaths, 80) {
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
        if self.trial.twin && self.syncs.is_multiple_of(3) {
            Fate::Swallow
        } else if self.strikes(self.trial.deaths, 80) {
            Fate::Kill
        } else if self.strikes(self.trial.errors, 25) {
            Fate::Fail(libc::EIO)
        } else {
            Fate::Done
        }
    }
}

impl Watcher for Recorder {
    fn fate(&mut self, pid: i32, call: &Call) -> Fate {
        match call {
            Call::Write { fd, offset, bytes } => {
                assert!(self.is_journal(pid, *fd), "a write to another file");
                self.write_fate(*offset, bytes.len())
            }
            Call::Sync => self.sync_fate(),
            Call::Note(_) | Call::Other(_) => Fate::Done,
        }
    }

    fn returned(&mut self, call: Call, fate: Fate, result: i64) {
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
                self.ready |= note == Note::Looked;
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
        let form = FORMS[self.numbers.below(FORMS.len() as u64) as usize];
        let pid = trace::fork(|| {
            work::make(self.dir, self.trial.level, form);
            0
        });
        let made = trace::reap(pid, CHILD);
        assert_eq!(made, End::Exited(0), "a queue could not be made");
        let mut image = Image {
            region: std::fs::read(self.dir.file("q.ring")).expect("the region"),
            journal: std::fs::read(self.dir.file("q.ring.journal")).expect("the journal"),
        };
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
        let path = self.dir.file("q.ring");
        let mut recorder = Recorder {
            trial: self.trial,
            journal: self.dir.file("q.ring.journal").canonicalize().expect("it"),
            region: path.clone(),
            numbers: Numbers(self.numbers.next()),
            events: Vec::new(),
            ready: !restarted,
            wrapped: false,
            syncs: 0,
        };
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
            recorder.events.push(Event::End);
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
        let seen = events.iter().filter_map(|event| match event {
            Event::Note(Note::Seen(seeds)) => Some(seeds),
            _ => None,
        });
        let seen: HashSet<u64> = seen.flatten().copied().collect();
        if boot != 0 {
            ledger.boot(&seen);
        }
        let points = self.points(each, events);
        let next = self.numbers.below(each);
        let mut disk = Disk::new(image.journal.clone());
        let mut copies = vec![image.region.clone()];
        let mut start = None;
        let mut at = 0;
        for (nth, point) in points.into_iter().enumerate() {
            for event in &events[at..=point] {
                self.apply(event, &mut ledger, &mut disk, &mut copies);
            }
            at = point + 1;
            let expected = ledger.expected();
            let made = self.image(&disk, &copies);
            let place = format!("boot {boot}, event {point} of {}", events.len());
            self.look(&made, &expected, &place);
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
        let found = std::fs::read(self.dir.file("q.ring.journal")).expect("the journal");
        assert!(found == disk.cached(), "the tracer missed a write");
        start.filter(|_| self.life.words.is_empty())
    }

    fn look(&mut self, image: &Image, expected: &Expected, place: &str) {
        let (tally, words) = check(self.images, image, expected, self.numbers.next());
        self.life.tally.add(&tally);
        if !words.is_empty() {
            self.life.words.push(format!("{place}: {words}"));
        }
    }

    /// Events after which the power goes, in their order: most often while a write is on its way.
    fn points(&mut self, each: u64, events: &[Event]) -> Vec<usize> {
        let writes: Vec<usize> = (0..events.len())
            .filter(|&at| matches!(events[at], Event::Write(..)))
            .collect();
        let mut points: Vec<usize> = (0..each)
            .map(|_| {
                if self.numbers.below(3) == 0 || writes.is_empty() {
                    self.numbers.below(events.len() as u64) as usize
                } else {
                    writes[self.numbers.below(writes.len() as u64) as usize]
                }
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
            Event::Copy(copy) => copies.push(copy.clone()),
            Event::End => ledger.end(),
        }
    }

    fn image(&mut self, disk: &Disk, copies: &[Vec<u8>]) -> Image {
        let tears = [Tear::Whole, Tear::Torn, Tear::Torn, Tear::Garbage];
        let tear = tears[self.numbers.below(4) as usize];
        let mut region = mixed(copies, &mut self.numbers);
        restart(&mut region, &mut self.numbers);
        Image {
            region,
            journal: disk.image(&mut self.numbers, tear),
        }
    }
}

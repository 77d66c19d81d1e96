//! A machine that stops again and again: children work on a queue or stream of its disk, and each
//! time images are made of what a crash might have left. The machine goes on from one of them.

use crate::common::{Dir, Numbers};
use crate::disk::{Disk, Tear, mixed, restart};
use crate::image::{Files, Image, Looker, Tally, check};
use crate::plan::{Level, Plan};
use crate::subject::{Event, Eye, Subject, Twin};
use crate::tale::Note;
use crate::trace::{self, Call, End, Fate, Watcher};
use std::path::PathBuf;
use std::time::Duration;

/// The longest that a child may take.
const CHILD: Duration = Duration::from_secs(120);

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
struct Recorder<S: Subject> {
    trial: Trial,
    region: PathBuf,
    companion: PathBuf,
    numbers: Numbers,
    events: Vec<Event<S>>,
    /// Faults come, and what is seen is believed, once the child has looked at what is there.
    ready: bool,
    syncs: u64,
    eye: S::Eye,
}

impl<S: Subject> Recorder<S> {
    fn is_companion(&self, pid: i32, fd: i32) -> bool {
        let link = std::fs::read_link(format!("/proc/{pid}/fd/{fd}"));
        link.is_ok_and(|path| path == self.companion)
    }

    /// Once in `often` times, or as the eye says.
    fn strikes(&mut self, wished: bool, often: u64) -> bool {
        wished && self.ready && self.numbers.below(self.eye.often(often)) == 0
    }

    fn write_fate(&mut self, len: usize) -> Fate {
        if self.strikes(self.trial.deaths, S::DEATHS) {
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
        if self.eye.swallows(self.trial.twin, self.syncs) {
            Fate::Swallow
        } else if self.strikes(self.trial.deaths, S::DEATHS) {
            Fate::Kill
        } else if self.strikes(self.trial.errors, 25) {
            Fate::Fail(libc::EIO)
        } else {
            Fate::Done
        }
    }
}

impl<S: Subject> Watcher for Recorder<S> {
    fn fate(&mut self, pid: i32, call: &Call) -> Fate {
        match call {
            Call::Write { fd, offset, bytes } => {
                assert!(self.is_companion(pid, *fd), "a write to another file");
                self.eye.write(*offset);
                self.write_fate(bytes.len())
            }
            Call::Sync => self.sync_fate(),
            Call::Note(_) | Call::Other(_) => Fate::Done,
        }
    }

    fn returned(&mut self, call: Call, fate: Fate, result: i64) {
        // Before what was written: it may have what is seen.
        if self.ready {
            self.events.extend(self.eye.sight().map(Event::<S>::Seen));
        }
        match call {
            Call::Write {
                offset, mut bytes, ..
            } => {
                bytes.truncate(result.max(0) as usize);
                self.events.push(Event::<S>::Write(offset as usize, bytes));
            }
            Call::Sync => match (fate, result) {
                (Fate::Done, 0) => self.events.push(Event::<S>::Synced),
                (Fate::Swallow, _) => {}
                _ => self.events.push(Event::<S>::SyncFailed),
            },
            Call::Note(words) => {
                let note = S::Note::read(&words);
                self.ready |= note.has_looked();
                self.events.push(Event::<S>::Note(note));
            }
            Call::Other(_) => {}
        }
        if self.numbers.below(60) == 0 {
            let copy = std::fs::read(&self.region).expect("the region");
            self.events.push(Event::<S>::Copy(copy));
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
pub struct Machine<'d, S: Subject> {
    trial: Trial,
    files: Files<'d>,
    images: Files<'d>,
    numbers: Numbers,
    form: S::Form,
    ledger: S::Ledger,
    child: u64,
    life: Life,
}

/// Where a machine goes on.
struct Start<S: Subject> {
    image: Image,
    ledger: S::Ledger,
}

impl<'d, S: Subject> Machine<'d, S> {
    pub fn new(trial: Trial, dir: &'d Dir, images: &'d Dir, seed: u64) -> Self {
        let mut numbers = Numbers(seed);
        let forms = S::forms();
        let form = forms[numbers.below(forms.len() as u64) as usize];
        Self {
            trial,
            files: Files::new(dir, S::END),
            images: Files::new(images, S::END),
            numbers,
            form,
            ledger: S::ledger(form),
            child: 0,
            life: Life::default(),
        }
    }

    /// Works, stops and starts again `boots` times; `each` images a boot.
    pub fn live(mut self, boots: u64, each: u64) -> Life {
        let pid = trace::fork(|| {
            S::make(&self.files.region(), self.trial.level, self.form);
            0
        });
        let made = trace::reap(pid, CHILD);
        assert_eq!(made, End::Exited(0), "it could not be made");
        let mut image = self.files.image();
        for boot in 0..boots {
            let Some(events) = self.work(boot != 0) else {
                break;
            };
            match self.crash(boot, each, &image, &events) {
                Some(start) => {
                    image = start.image;
                    self.ledger = start.ledger;
                    self.files.put(&image);
                }
                None => break,
            }
        }
        self.life
    }

    /// Children work, one after the other. `None` if one of them failed.
    fn work(&mut self, restarted: bool) -> Option<Vec<Event<S>>> {
        let path = self.files.region();
        let mut recorder = Recorder::<S> {
            trial: self.trial,
            companion: self.files.companion().canonicalize().expect("it"),
            region: path.clone(),
            numbers: Numbers(self.numbers.next()),
            events: Vec::new(),
            ready: !restarted,
            syncs: 0,
            eye: S::Eye::new(&path, self.form),
        };
        let children = if self.trial.deaths { 6 } else { 2 };
        for nth in 0..children {
            self.child += 1;
            let plan = Plan {
                path: path.clone(),
                level: self.trial.level,
                form: self.form,
                threads: self.trial.threads,
                steps: (200 + self.numbers.below(500)) / self.trial.threads,
                child: self.child,
                look: restarted && nth == 0,
                seed: self.numbers.next(),
            };
            let calls = [libc::SYS_pwrite64, libc::SYS_fdatasync];
            let end = trace::run(|| S::work(&plan), &calls, &mut recorder, CHILD);
            let last = recorder.eye.end();
            recorder.events.extend(last.map(Event::<S>::Seen));
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
    fn crash(
        &mut self,
        boot: u64,
        each: u64,
        image: &Image,
        events: &[Event<S>],
    ) -> Option<Start<S>> {
        let mut ledger = self.ledger.clone();
        if boot != 0 {
            let notes = events.iter().filter_map(|event| match event {
                Event::<S>::Note(note) => Some(note),
                _ => None,
            });
            S::boot(&mut ledger, &notes.collect::<Vec<_>>());
        }
        let points = self.points(each, events);
        let next = self.numbers.below(each);
        let mut disk = Disk::new(image.companion.clone());
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
            let numbers = self.numbers.next();
            self.look(&made, &place, numbers, |looker| {
                S::look(looker, &made, &ledger);
            });
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
        let alive = self.files.image();
        assert!(
            alive.companion == disk.cached(),
            "the tracer missed a write"
        );
        if let Some(look) = S::ALIVE {
            // While the machine runs the region is believed, whoever has died.
            let place = format!("boot {boot}, alive");
            self.look(&alive, &place, 0, |looker| look(looker, &ledger));
        }
        start.filter(|_| self.life.words.is_empty())
    }

    fn look(
        &mut self,
        image: &Image,
        place: &str,
        numbers: u64,
        look: impl FnOnce(&mut Looker<'_>),
    ) {
        let (tally, words) = check::<S>(self.images, image, numbers, look);
        self.life.tally.add(&tally);
        if !words.is_empty() {
            self.life.words.push(format!("{place}: {words}"));
        }
    }

    /// Events after which the power goes, in their order: most often while a write is on its way.
    fn points(&mut self, each: u64, events: &[Event<S>]) -> Vec<usize> {
        let writes: Vec<usize> = (0..events.len())
            .filter(|&at| matches!(events[at], Event::<S>::Write(..)))
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
        event: &Event<S>,
        ledger: &mut S::Ledger,
        disk: &mut Disk,
        copies: &mut Vec<Vec<u8>>,
    ) {
        match event {
            Event::<S>::Write(offset, bytes) => disk.write(*offset, bytes),
            Event::<S>::Synced => disk.synced(),
            Event::<S>::SyncFailed => {
                self.life.strikes += 1;
                disk.failed();
            }
            Event::<S>::Note(note) => S::note(ledger, note),
            Event::<S>::Seen(sight) => S::see(ledger, sight),
            Event::<S>::Copy(copy) => copies.push(copy.clone()),
        }
    }

    fn image(&mut self, disk: &Disk, copies: &[Vec<u8>]) -> Image {
        let tears = [Tear::Whole, Tear::Torn, Tear::Torn, Tear::Garbage];
        let tear = tears[self.numbers.below(4) as usize];
        let mut region = mixed(copies, &mut self.numbers);
        restart(&mut region, &mut self.numbers);
        Image {
            region,
            companion: disk.image(&mut self.numbers, tear),
        }
    }
}

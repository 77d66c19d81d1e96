//! An engine's directory under deaths and standstills: each operation that changes what there is,
//! stopped for good or for a while after an instruction.
//!
//! Two engines survive: one that was opened before, and one that is opened afterwards. What they
//! find is the state before the operation or the one after it, or something half-done that the
//! first of them who needs it finishes; after a tend `verify` has nothing to say, and no file is
//! there that is no queue's. The queue `other`, which the operation does not name, is as it was.

use super::board::{Board, Fault, Time, seeds, state};
use super::ground::{ONE, RUN, send};
use super::path::Path as Way;
use super::stage::{seed_in, sound};
use super::stop::ends;
use super::tracer::{self, Pid, Stop, Traced, told};
use super::world::{Row, World};
use ringmain::{Engine, EngineQueue, Error, Mapped, Problem, QueueOptions, QueueSpec};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

pub type Service = Engine<Mapped, Time>;
pub type Handle = EngineQueue<Mapped, Time>;

/// The queue that an operation changes, the one that takes dead letters, and one that nobody names.
pub const JOBS: &str = "jobs";
pub const DEAD: &str = "dead";
pub const OTHER: &str = "other";
/// What a process makes that comes while another one is stopped.
const LATER: &str = "later";

/// An operation on an engine.
#[derive(Clone, Copy)]
pub struct Change {
    pub name: &'static str,
    /// Makes what there is before, beside [`OTHER`] and [`DEAD`].
    pub prepare: fn(&Service, &'static Board),
    /// What the traced process does, between `begin` and `end`.
    pub operate: fn(&Service, &'static Board),
    /// Looks at what has become of it, by an engine that was there before and has [`JOBS`] open, if
    /// that was there, or by one that came afterwards.
    pub look: fn(&Check<'_>, &Service),
    /// Whether it opens every queue there is, so that others who open one may have to wait.
    pub opens_all: bool,
}

pub fn spec() -> QueueSpec {
    let options = QueueOptions::new().typical_body(32);
    QueueSpec::new()
        .bytes(super::ground::REGION_BYTES)
        .options(options)
}

/// What the survivors know.
pub struct Check<'c> {
    pub board: &'static Board,
    /// The handle of [`JOBS`] that was open before.
    pub jobs: Option<&'c Handle>,
}

impl Check<'_> {
    pub fn fault(&self, fault: Fault, number: u64, what: &'static str) {
        self.board.fault(fault, number, what);
    }

    /// Says that `right` has to be.
    pub fn must(&self, right: bool, what: &'static str) {
        if !right {
            self.fault(Fault::Stuck, 0, what);
        }
    }

    /// Whether there is a queue of this name; it opens, or nobody says that it is there.
    pub fn is_there(&self, engine: &Service, name: &str) -> bool {
        let opened = engine.open_queue(name).map(drop);
        let listed = engine.queues(name).map(|names| names == [name]);
        match opened {
            Ok(()) => self.must(listed == Ok(true), "a queue that opens is not listed"),
            Err(Error::NoQueue) => {
                self.must(listed == Ok(false), "a queue is listed and not there")
            }
            Err(_) => self.fault(Fault::Stuck, 0, "a queue neither opens nor is gone"),
        }
        opened.is_ok()
    }

    /// Whether a new queue does all that a queue does.
    pub fn is_usable(&self, queue: &Handle) {
        let free = queue.stat().map(|stat| stat.slots_free == stat.slots);
        if free != Ok(true) {
            self.fault(Fault::Leaked, 0, "a new queue is not empty");
        }
        for (seed, len) in (seeds::TRACER..).zip([ONE, RUN]) {
            self.must(
                send(self.board, queue, seed, len).is_ok(),
                "a new queue takes nothing",
            );
        }
        let mut came = self.drain(queue);
        came.retain(|_, times| *times == 1);
        self.must(came.len() == 2, "a new queue gives nothing back");
        let free = queue.stat().map(|stat| stat.slots_free == stat.slots);
        if free != Ok(true) {
            self.fault(Fault::Leaked, 0, "a new queue does not get empty again");
        }
    }

    /// Receives and deletes all that is visible; each message with how often it came here.
    fn drain(&self, queue: &Handle) -> BTreeMap<u64, u32> {
        let mut came = BTreeMap::new();
        for _ in 0..queue.capacity() + 32 {
            match queue.receive_batch(10) {
                Ok(batch) if batch.is_empty() => return came,
                Ok(batch) => {
                    for held in batch {
                        if let Some((_, seed)) = sound(self.board, held.body()) {
                            *came.entry(seed).or_insert(0) += 1;
                        }
                        self.must(held.delete().is_ok(), "what is received is not deleted");
                    }
                }
                Err(_) => break,
            }
        }
        self.fault(Fault::Stuck, 0, "the queue does not become empty");
        came
    }

    /// Every message of the ledger that is not deleted is in one queue, once; and nothing is left.
    fn all_is_there(&self, engine: &Service) {
        let mut came: BTreeMap<u64, u32> = BTreeMap::new();
        // Twice, since what is received too often goes to another queue.
        let names = engine.queues("").unwrap_or_default();
        for (turn, name) in names.iter().chain(&names).enumerate() {
            let Ok(queue) = engine.open_queue(name) else {
                self.fault(Fault::Stuck, 0, "a queue does not open");
                continue;
            };
            let here = self.drain(&queue);
            if name == OTHER && turn < names.len() && here.keys().copied().ne(OTHERS) {
                self.fault(
                    Fault::Lost,
                    0,
                    "the queue that nobody named is not as it was",
                );
            }
            for (seed, times) in here {
                *came.entry(seed).or_insert(0) += times;
            }
            let free = queue.stat().map(|stat| stat.slots_free == stat.slots);
            if free != Ok(true) {
                self.fault(Fault::Leaked, 0, "slots are not free");
            }
        }
        for (seed, entry) in self.board.named() {
            let times = came.get(&seed).copied().unwrap_or(0);
            let gone = entry.has(state::DELETED);
            if seed >= seeds::TRACER {
                continue; // the survivors' own
            }
            if times == 0 && !gone {
                self.fault(Fault::Lost, seed, "was sent, and did not come");
            } else if times > u32::from(!gone) {
                self.fault(Fault::Doubled, seed, "came more often than it was sent");
            }
        }
    }
}

/// The messages of [`OTHER`].
const OTHERS: std::ops::Range<u64> = 1..4;

/// What may be found between a death and a tend.
fn may_be_left(problem: &Problem) -> bool {
    matches!(
        problem,
        Problem::HalfMade
            | Problem::HalfDeleted
            | Problem::HalfChanged
            | Problem::MetadataAlone
            | Problem::JournalAlone
            | Problem::Unnamed
    )
}

/// The files of an engine before an operation.
pub struct Ground {
    dir: PathBuf,
    files: Vec<(String, Vec<u8>)>,
    messages: Vec<(u64, u32, u32)>,
    has_jobs: bool,
}

fn names(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).expect("the directory is there");
    let name = |entry: std::io::Result<std::fs::DirEntry>| {
        let name = entry.expect("an entry").file_name();
        name.into_string().expect("a name of ours")
    };
    let mut names: Vec<String> = entries.map(name).collect();
    names.sort();
    names
}

fn clear(dir: &Path) {
    for name in names(dir) {
        std::fs::remove_file(dir.join(name)).expect("removed");
    }
}

impl Ground {
    pub fn new(world: &World, change: &Change) -> Self {
        let board = world.board;
        board.clear();
        let dir = world.dir.file("engine");
        std::fs::create_dir_all(&dir).expect("a directory");
        clear(&dir);
        let engine = Engine::create_with(&dir, Time(board)).expect("an engine");
        let other = engine.create_queue(OTHER, &spec()).expect("a queue");
        for seed in OTHERS {
            send(board, &other, seed, ONE).expect("room");
        }
        drop(other);
        drop(engine.create_queue(DEAD, &spec()).expect("a queue"));
        (change.prepare)(&engine, board);
        let has_jobs = engine.open_queue(JOBS).is_ok();
        drop(engine);
        let read = |name: String| {
            let bytes = std::fs::read(dir.join(&name)).expect("a file");
            (name, bytes)
        };
        let told = |(seed, entry): (u64, &super::board::Entry)| {
            (seed, entry.state.load(SeqCst), entry.len.load(SeqCst))
        };
        Self {
            files: names(&dir).into_iter().map(read).collect(),
            messages: board.named().map(told).collect(),
            has_jobs,
            dir,
        }
    }

    fn lay(&self, board: &Board) {
        board.clear();
        for &(seed, state, len) in &self.messages {
            board.known(seed).state.store(state, SeqCst);
            board.known(seed).len.store(len, SeqCst);
        }
        clear(&self.dir);
        for (name, bytes) in &self.files {
            std::fs::write(self.dir.join(name), bytes).expect("room in shared memory");
        }
    }

    fn open(&self, board: &'static Board) -> Service {
        Engine::open_with(&self.dir, Time(board)).expect("the engine opens")
    }

    fn start(&self, board: &'static Board, change: &Change) -> Traced {
        let started = Traced::start(|| {
            (change.operate)(&self.open(board), board);
            0
        });
        started.unwrap_or_else(|status| panic!("{}: the traced one {}", change.name, told(status)))
    }

    /// Records the path of an operation. The traced one is killed at its end.
    pub fn record(&self, world: &World, change: &Change) -> Vec<u64> {
        world.begin_round(change.name);
        self.lay(world.board);
        let traced = self.start(world.board, change);
        let path = traced.record(None);
        path.unwrap_or_else(|status| panic!("{}: the traced one {}", change.name, told(status)))
    }

    /// One death, or with `stops` one standstill, after `k` instructions.
    pub fn round(
        &self,
        world: &World,
        change: &Change,
        stops: bool,
        (k, path): (usize, &Way),
        row: &mut Row,
    ) {
        let board = world.board;
        world.begin_round(change.name);
        row.rounds += 1;
        self.lay(board);
        let before = self.open(board);
        let jobs = self.has_jobs.then(|| before.open_queue(JOBS));
        let jobs = jobs.map(|jobs| jobs.expect("the queue opens"));
        let held = jobs
            .as_ref()
            .and_then(|jobs| jobs.receive().expect("received"));
        let traced = self.start(board, change);
        board.alone.store(u32::from(stops), SeqCst);
        let stop = traced.advance(path.way(k), None);
        if let Stop::Astray(status) = stop {
            panic!("{}: the traced one {}", change.name, told(status));
        }
        row.elsewhere += usize::from(!stop.is_at_end_of(path.way(k)));
        let check = Check {
            board,
            jobs: jobs.as_ref(),
        };
        if stops {
            self.meanwhile(&check, &before, change, traced.stop());
        } else {
            traced.kill();
        }
        board.dead.store(1, SeqCst);
        if let Some(held) = held {
            // It is read in place, whatever becomes of the queue; and then it is there again.
            sound(board, held.body());
            let gone = board.known(seed_in(held.body())).has(state::DELETED);
            let released = held.release();
            let deleted = released == Err(Error::Deleted);
            check.must(
                released.is_ok() || deleted || gone,
                "what is held is not released",
            );
        }
        self.after(&check, &before, change);
        row.take_faults(board, k);
    }

    /// What the others do while one is stopped: all that needs no turn, at once; and what needs
    /// one, until it goes on.
    fn meanwhile(&self, check: &Check<'_>, before: &Service, change: &Change, pid: Pid) {
        let board = check.board;
        let other = before.queues(OTHER);
        check.must(other.is_ok_and(|names| names == [OTHER]), "no list");
        if !change.opens_all {
            let another = self.open(board);
            let other = another.open_queue(OTHER);
            let received = other
                .as_ref()
                .map(|other| other.receive().map(|held| held.is_some()));
            check.must(received == Ok(Ok(true)), "another queue cannot be used");
        }
        if let Some(jobs) = check.jobs {
            let sent = send(board, jobs, seeds::TRACER + 5, ONE);
            check.must(
                matches!(sent, Ok(()) | Err(Error::Deleted)),
                "a handle is stuck",
            );
            board.known(seeds::TRACER + 5).add(state::DELETED);
            let taken = jobs.receive_timeout(Duration::ZERO);
            let taken = taken.and_then(|held| held.map_or(Ok(()), |held| held.release()));
            check.must(
                matches!(taken, Ok(()) | Err(Error::Deleted)),
                "a handle is stuck",
            );
        }
        let waiter = tracer::fork(|| {
            let made = self.open(board).create_queue(LATER, &spec());
            i32::from(made.is_err())
        });
        std::thread::yield_now();
        tracer::go_on(pid);
        for pid in [pid, waiter] {
            ends(board, pid, &|| {});
        }
    }

    fn after(&self, check: &Check<'_>, before: &Service, change: &Change) {
        let board = check.board;
        match before.verify() {
            Ok(report) => {
                for finding in report.findings {
                    let of_other = finding.file.starts_with(OTHER);
                    if of_other || !may_be_left(&finding.problem) {
                        eprintln!("{}: {finding}", change.name);
                        check.fault(Fault::Damaged, 0, "a file is not as it should be");
                    }
                }
            }
            Err(_) => check.fault(Fault::Stuck, 0, "no verification"),
        }
        let after = self.open(board);
        // Now one of them comes first, now the other.
        (change.look)(check, &after);
        (change.look)(check, before);
        check.must(before.tend().is_ok(), "tending failed");
        let again = after.tend().and_then(|_| after.tend());
        check.must(again.is_ok_and(|tended| tended.dead == 0), "the dead stay");
        match after.verify() {
            Ok(report) if report.is_clean() => {}
            report => {
                eprintln!("{}: {report:?}", change.name);
                check.fault(Fault::Leaked, 0, "a tend leaves something");
            }
        }
        check.all_is_there(&after);
        let there = after.queues("").unwrap_or_default();
        let mut files: BTreeSet<String> = ["ringmain.engine".into()].into();
        for name in there {
            let journal = format!("{name}.queue.journal");
            files.extend(after.describe(&name).ok().and_then(|queue| {
                let journaled =
                    queue.options != queue.options.durability(ringmain::Durability::Process);
                journaled.then_some(journal)
            }));
            files.extend([format!("{name}.queue"), format!("{name}.meta")]);
        }
        if names(&self.dir).into_iter().ne(files) {
            check.fault(Fault::Leaked, 0, "a file is left behind");
        }
    }
}

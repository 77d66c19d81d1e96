//! The demo's parent: starts, kills, replaces, stops and counts.

use std::io::{self, IsTerminal};
use std::os::unix::process::ExitStatusExt;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::super::args::DemoArgs;
use super::super::exit::{Exit, Trouble};
use super::super::output::{note, say};
use super::super::stop::Stop;
use super::audit::Audit;
use super::board::Board;
use super::child::{Child, Role};
use super::place::{Kind, Place, Subject};
use super::report::Report;
use super::stream::{self, Changes, PRODUCERS, READERS};
use super::wire::Author;
use super::worker::HOLD;

const WORKERS: u32 = 3;
const WORKER_KILL_EVERY: Duration = Duration::from_secs(1);
const PRODUCER_KILL_EVERY: Duration = Duration::from_secs(2);
/// A stream is split, or merged, at least so often.
const CHANGE_EVERY_MAX: Duration = Duration::from_secs(20);
/// How often journals are read.
const LOOK_EVERY: Duration = Duration::from_millis(4);
/// How long a worker is sought that holds messages of its own accord.
const PATIENCE: Duration = Duration::from_millis(100);
/// A queue that is not empty by then has something wrong with it.
const DRAIN_MAX: Duration = Duration::from_secs(60);

/// Runs the demo to its summary.
pub(in super::super) fn run(args: &DemoArgs) -> Result<Exit, Trouble> {
    let stop = Stop::on_signals()?;
    let kind = match (args.fifo, args.stream) {
        (true, _) => Kind::Fifo(PRODUCERS),
        (_, true) => Kind::Stream,
        _ => Kind::Standard,
    };
    let (place, subject) = Place::create(args.keep, kind)?;
    let mut conductor = Conductor {
        audit: Audit::new(kind).map_err(Trouble::new)?,
        place,
        subject,
        stop,
        children: Vec::new(),
        incarnations: 0,
        kills: Kills::default(),
        changes: Changes::default(),
        board: io::stderr().is_terminal().then(Board::new),
        next_victim: 0,
        asked: None,
        started: Instant::now(),
    };
    let outcome = conductor.perform(Duration::from_secs(args.seconds.into()));
    // Also on trouble: no child outlives this line, and the table leaves the terminal clean.
    conductor.children.clear();
    if let Some(board) = conductor.board.take() {
        board.clear();
    }
    let took = outcome?;
    let report = Report::of(&conductor.audit, conductor.kills, conductor.changes, took);
    if args.json {
        say(report.json()?)?;
    } else {
        say(&report)?;
    }
    if let Some(path) = &conductor.place.kept {
        note(format_args!("kept {}", path.display()));
    }
    Ok(if report.is_clean() {
        Exit::Done
    } else {
        Exit::Failed
    })
}

/// How many children were killed.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Kills {
    pub(super) workers: u64,
    pub(super) producers: u64,
}

struct Conductor {
    audit: Audit,
    place: Place,
    subject: Subject,
    stop: Stop,
    children: Vec<Child>,
    incarnations: u32,
    kills: Kills,
    changes: Changes,
    board: Option<Board>,
    next_victim: usize,
    /// When a worker was asked to hold its next batch.
    asked: Option<Instant>,
    started: Instant,
}

impl Conductor {
    /// Produces for `time`, then drains. Returns how long it all took.
    fn perform(&mut self, time: Duration) -> Result<Duration, Trouble> {
        let (consumer, consumers) = match self.subject {
            Subject::Queue(_) => (Role::Worker, WORKERS),
            Subject::Stream(_) => (Role::Reader, READERS),
        };
        for (role, count) in [(Role::Producer, PRODUCERS), (consumer, consumers)] {
            for index in 0..count {
                self.start(role, index)?;
            }
        }
        self.started = Instant::now();
        // Half a period in, so that the last kill is not a race with the end.
        let mut worker_due = WORKER_KILL_EVERY / 2;
        let mut producer_due = PRODUCER_KILL_EVERY / 2;
        let change_every = (time / 4).min(CHANGE_EVERY_MAX);
        let mut change_due = change_every;
        while self.started.elapsed() < time {
            self.look()?;
            let now = self.started.elapsed();
            if now >= worker_due && self.kill_consumer(consumer, now - worker_due)? {
                worker_due += WORKER_KILL_EVERY;
            }
            if now >= producer_due {
                self.kill_producer()?;
                producer_due += PRODUCER_KILL_EVERY;
            }
            if let (true, Subject::Stream(stream)) = (now >= change_due, &self.subject) {
                stream::change(stream, &mut self.changes)?;
                change_due += change_every;
            }
            thread::sleep(LOOK_EVERY);
        }
        self.finish(Role::Producer)?;
        self.drain()?;
        let took = self.started.elapsed();
        self.finish(consumer)?;
        Ok(took)
    }

    fn start(&mut self, role: Role, index: u32) -> Result<(), Trouble> {
        let author = Author {
            producer: index,
            incarnation: self.incarnations,
        };
        self.incarnations += 1;
        self.children.push(Child::start(role, author, &self.place)?);
        Ok(())
    }

    /// Reads all journals, redraws, and sees to it that nobody ended who should not have.
    fn look(&mut self) -> Result<(), Trouble> {
        if self.stop.asked() {
            return Err(Trouble::new("interrupted"));
        }
        for child in &mut self.children {
            if child.read_journal(&mut self.audit)? {
                let status = child
                    .ended()?
                    .map_or_else(String::new, |status| status.to_string());
                let role = child.role;
                return Err(Trouble::new(format_args!(
                    "a {role:?} ended by itself: {status}"
                )));
            }
        }
        if let Some(board) = &mut self.board {
            let waiting = match &self.subject {
                Subject::Queue(queue) => {
                    let stat = queue.stat()?;
                    (stat.visible, stat.in_flight)
                }
                Subject::Stream(_) => (self.place.unread()?, 0),
            };
            board.draw(self.started.elapsed(), &self.audit, self.kills, waiting)?;
        }
        Ok(())
    }

    /// Kills a worker or reader that holds messages, if there is one now, and replaces it. When
    /// none was found for a while, asks one to hold its next batch.
    fn kill_consumer(&mut self, role: Role, overdue: Duration) -> Result<bool, Trouble> {
        for _ in 0..WORKERS {
            let Some(at) = self.pick(role) else {
                return Ok(false);
            };
            if self.children[at].kill_if_holding(&mut self.audit)? {
                self.kills.workers += 1;
                self.asked = None;
                return self.replace(at).map(|()| true);
            }
        }
        let waiting = self.asked.is_some_and(|asked| asked.elapsed() < 2 * HOLD);
        if overdue > PATIENCE && !waiting {
            let Some(at) = self.pick(role) else {
                return Ok(false);
            };
            if self.children[at].ask_to_hold()? {
                self.asked = Some(Instant::now());
            }
        }
        Ok(false)
    }

    fn kill_producer(&mut self) -> Result<(), Trouble> {
        let Some(at) = self.pick(Role::Producer) else {
            return Ok(());
        };
        self.children[at].kill(&mut self.audit)?;
        self.kills.producers += 1;
        self.replace(at)
    }

    fn replace(&mut self, at: usize) -> Result<(), Trouble> {
        let dead = self.children.remove(at);
        self.start(dead.role, dead.author.producer)
    }

    /// The children of a role in turn.
    fn pick(&mut self, role: Role) -> Option<usize> {
        let of_role = |&at: &usize| self.children[at].role == role;
        let candidates: Vec<usize> = (0..self.children.len()).filter(of_role).collect();
        self.next_victim += 1;
        candidates
            .get(self.next_victim % candidates.len().max(1))
            .copied()
    }

    /// Asks the children of a role to stop, and reads their journals to the end.
    fn finish(&mut self, role: Role) -> Result<(), Trouble> {
        // A producer of a FIFO queue has begun when it has sent again what it found in its outbox.
        let must_begin = role == Role::Producer && self.audit.fifo.is_some();
        while let Some(at) = self.children.iter().position(|child| child.role == role) {
            for child in self.children.iter_mut().filter(|child| child.role == role) {
                if !child.asked && (child.heard || !must_begin) {
                    child.ask_to_stop()?;
                }
            }
            // The others go on meanwhile, and must not wait for their journals to be read.
            let mut gone = false;
            for (index, child) in self.children.iter_mut().enumerate() {
                gone |= child.read_journal(&mut self.audit)? && index == at;
            }
            if gone {
                let mut child = self.children.remove(at);
                let status = child.wait()?;
                // One that was just started may be asked before it listens, and has done nothing.
                let not_begun = status.signal() == Some(Signal::TERM.as_raw());
                if !status.success() && !not_begun {
                    return Err(Trouble::new(format_args!("a {role:?} failed: {status}")));
                }
            }
            thread::sleep(LOOK_EVERY);
        }
        Ok(())
    }

    /// Waits until the queue is empty and nothing is in flight, or the stream is read.
    fn drain(&mut self) -> Result<(), Trouble> {
        let start = Instant::now();
        loop {
            self.look()?;
            let (is_empty, left) = match &self.subject {
                Subject::Queue(queue) => {
                    let stat = queue.stat()?;
                    let (visible, in_flight) = (stat.visible, stat.in_flight);
                    let left = format!("{visible} visible, {in_flight} in flight");
                    (visible == 0 && in_flight == 0, left)
                }
                Subject::Stream(stream) => {
                    let progress = self.place.progress.as_ref();
                    let is_read = progress.map_or(Ok(true), |p| stream::is_read(stream, p))?;
                    (
                        is_read,
                        format!("{} records not read", self.place.unread()?),
                    )
                }
            };
            if is_empty {
                return Ok(());
            }
            if start.elapsed() > DRAIN_MAX {
                let text = format!("not drained after {DRAIN_MAX:?}: {left}");
                return Err(Trouble::new(text));
            }
            thread::sleep(LOOK_EVERY);
        }
    }
}

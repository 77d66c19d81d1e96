//! Redrive as a task: the messages of a queue of dead letters go back to where they came from, or
//! to another queue, at a rate, until all that were there are moved.
//!
//! # Protocol
//!
//! A task is a line in the queue's card, and *running* until a turn of the shelf says otherwise.
//! Who runs it has the *duty* of that queue (`region::shelf`), which ends with its life; so when it
//! has died, whoever takes the duty on goes on with the task. Each message is moved by itself, and
//! a death in that is finished first (`region::moving`).
//!
//! What the task has moved is the queue's counter of moved messages less what it was at the
//! beginning, so nobody writes down how far it is; it becomes a number in the card at the end.
//!
//! Who runs it reads the card before each message: a task that is cancelled, in whatever process,
//! moves at most one more.

use super::handle::Engine;
use super::shared::Shared;
use super::task::{RATE_MAX, RedriveState, RedriveStatus, TASKS_MAX, Task};
use crate::error::Error;
use crate::queue::{Moved, Queue, Received};
use crate::region::named::Named;
use crate::region::shelf::{Held, Home, Shelf, check_name, is_fifo_name};
use crate::region::{Neighbour, Region};
use crate::time::{Clock, Deadline, wall_ms};
use core::time::Duration;
use std::sync::Arc;

/// How long to wait for room in a full destination before looking again.
const FULL_WAIT: Duration = Duration::from_millis(50);

/// How a redrive is done; a `const` builder.
///
/// | option | default | range |
/// |---|---|---|
/// | [`to`](Self::to) | each message to its source | a queue of the engine |
/// | [`rate`](Self::rate) | 500 | 1 to 500 messages a second |
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct RedriveOptions {
    destination: Option<String>,
    rate: u32,
}

impl Default for RedriveOptions {
    fn default() -> Self {
        Self::new()
    }
}

impl RedriveOptions {
    /// The defaults.
    pub const fn new() -> Self {
        Self {
            destination: None,
            rate: RATE_MAX as u32,
        }
    }

    /// The queue to which all messages go.
    pub fn to(mut self, queue: &str) -> Self {
        self.destination = Some(queue.into());
        self
    }

    /// At most so many messages a second.
    pub const fn rate(mut self, messages: u32) -> Self {
        self.rate = messages;
        self
    }
}

/// Keeps messages apart in time.
struct Pace {
    every: Duration,
    next: Deadline,
}

impl Pace {
    fn new(rate: u64) -> Self {
        Self {
            every: Duration::from_secs(1) / rate.clamp(1, RATE_MAX) as u32,
            next: Deadline::after(Duration::ZERO),
        }
    }

    /// Waits until the next message may go.
    fn wait(&mut self) {
        std::thread::sleep(self.next.left());
        self.next = Deadline::after(self.every);
    }
}

/// The duty of who runs a redrive. Ends with this value.
struct Duty<'s, H: Home> {
    shared: &'s Shared<H>,
    id: u64,
}

impl<H: Home> Drop for Duty<'_, H> {
    fn drop(&mut self) {
        self.shared.shelf.resign(self.id);
    }
}

/// See [`Shared::all`].
struct All<H: Home> {
    queues: Vec<Arc<Named<H>>>,
    complete: bool,
}

fn refused<T>(problem: &'static str) -> Result<T, Error> {
    Err(Error::Redrive { problem })
}

impl<H: Home> Shared<H> {
    /// The redrive of a queue that is running.
    fn running(&self, name: &str) -> Result<Option<Task>, Error> {
        let tasks = self.meta(name)?.redrives;
        let last = tasks.into_iter().next_back();
        Ok(last.filter(|task| task.state == RedriveState::Running))
    }

    /// Ends the redrive `id`, unless it has ended.
    fn end(&self, name: &str, id: u64, end: impl FnOnce(&mut Task)) -> Result<(), Error> {
        self.shelf.turn(|| {
            if !self.finish(Held::Queue, name)? {
                return Err(Error::NoQueue);
            }
            let mut meta = self.meta(name)?;
            let task = meta.redrives.iter_mut().find(|task| task.id == id);
            match task.filter(|task| task.state == RedriveState::Running) {
                Some(task) => end(task),
                None => return Ok(()),
            }
            self.set_meta(Held::Queue, name, &meta)
        })
    }

    /// The queues of the engine that can be opened, and whether those are all.
    fn all(&self) -> Result<All<H>, Error> {
        let names = self.names("")?;
        let opened = names.iter().map(|name| self.attach(name));
        let queues: Vec<_> = opened.flatten().collect();
        let complete = queues.len() == names.len();
        Ok(All { queues, complete })
    }
}

impl<H: Home, C: Clock + Clone> Engine<H, C> {
    /// Begins a redrive of a queue of dead letters. It is written down, and goes on when somebody
    /// runs it ([`run_redrive`](Engine::run_redrive)), in whatever process.
    ///
    /// Each message that is in the queue now, in flight and delayed included, is moved once it is
    /// visible: it is a new message in its destination, with an id, a send time and a receive count
    /// of its own. Those of a FIFO queue keep the order of their groups.
    ///
    /// # Errors
    ///
    /// [`Error::Redrive`]: it is no queue's queue of dead letters, it is being redriven already, or
    /// the destination is itself, of the other kind or not there; [`Error::OutOfRange`] (rate);
    /// [`Error::NoQueue`], [`Error::Name`], [`Error::MetadataDamaged`].
    ///
    /// # Progress
    ///
    /// Waits for other changes of the engine, and for the disk.
    ///
    /// # Examples
    ///
    /// ```
    /// use ringmain::{Engine, Heap, QueueSpec, RedriveOptions, RedriveState};
    ///
    /// let engine = Engine::<Heap>::in_memory();
    /// let dead = engine.create_queue("orders-dead", &QueueSpec::new())?;
    /// let spec = QueueSpec::new().dead_letters("orders-dead", 1);
    /// let orders = engine.create_queue("orders", &spec)?;
    /// orders.send(b"two apples")?;
    /// orders.receive()?.expect("an order").release()?;
    /// assert!(orders.receive()?.is_none()); // and it is a dead letter
    ///
    /// engine.start_redrive("orders-dead", &RedriveOptions::new().rate(100))?;
    /// let redrive = engine.run_redrive("orders-dead")?;
    /// assert_eq!((redrive.state, redrive.moved), (RedriveState::Completed, 1));
    /// assert!(orders.receive()?.is_some());
    /// # drop(dead);
    /// # Ok::<(), ringmain::Error>(())
    /// ```
    pub fn start_redrive(
        &self,
        name: &str,
        options: &RedriveOptions,
    ) -> Result<RedriveStatus, Error> {
        check_name(name)?;
        if let Some(destination) = &options.destination {
            check_name(destination)?;
        }
        let rate = u64::from(options.rate);
        if !(1..=RATE_MAX).contains(&rate) {
            return Err(Error::OutOfRange {
                what: "redrive rate (messages/s)",
                value: rate,
                min: 1,
                max: RATE_MAX,
            });
        }
        let queue = self.either(self.shared.find(name)?)?;
        if self.shared.sources(name)?.is_empty() {
            return refused("it is no queue's queue of dead letters");
        }
        self.shared.shelf.turn(|| {
            if !self.shared.finish(Held::Queue, name)? {
                return Err(Error::NoQueue);
            }
            match &options.destination {
                Some(to) if to == name => return refused("a queue is not redriven to itself"),
                Some(to) if is_fifo_name(to) != is_fifo_name(name) => {
                    return refused("its destination is of another kind: FIFO and standard");
                }
                Some(to) if !self.shared.finish(Held::Queue, to)? => {
                    return refused("its destination is gone");
                }
                _ => {}
            }
            let mut meta = self.shared.meta(name)?;
            let last = meta.redrives.last();
            if last.is_some_and(|task| task.state == RedriveState::Running) {
                return refused("one of this queue is under way");
            }
            let stats = queue.stat()?;
            let task = Task {
                id: last.map_or(1, |task| task.id.wrapping_add(1)),
                started_ms: wall_ms(),
                rate,
                total: stats.visible + stats.in_flight + stats.delayed,
                moved_before: stats.moved,
                moved: 0,
                skipped: 0,
                state: RedriveState::Running,
                destination: options.destination.clone(),
            };
            if meta.redrives.len() == TASKS_MAX {
                meta.redrives.remove(0);
            }
            meta.redrives.push(task.clone());
            self.shared.set_meta(Held::Queue, name, &meta)?;
            Ok(RedriveStatus::of(name, task, stats.moved))
        })
    }

    /// Runs the redrive of a queue until it ends: until it has come to as many messages as there
    /// were, or to the end of what is visible, or is cancelled. It paces itself by sleeping, and
    /// waits while its destination is full. What somebody who has died had begun it goes on with.
    ///
    /// Messages of no known source, those whose source is gone, and those too long for their
    /// destination are left: they are visible again when their visibility timeout runs out.
    ///
    /// # Errors
    ///
    /// [`Error::Redrive`]: none is under way, or somebody else who lives runs it;
    /// [`Error::NoQueue`], [`Error::Name`], [`Error::MetadataDamaged`], [`Error::Deleted`],
    /// [`Error::Forked`].
    ///
    /// # Progress
    ///
    /// Blocks for as long as the redrive takes.
    pub fn run_redrive(&self, name: &str) -> Result<RedriveStatus, Error> {
        check_name(name)?;
        let named = self.shared.find(name)?;
        let Some(task) = self.shared.running(name)? else {
            return refused("none of this queue is under way");
        };
        let duty = named.id();
        if !self.shared.shelf.take_on(duty)? {
            return refused("somebody runs it already");
        }
        let _duty = Duty {
            shared: &self.shared,
            id: duty,
        };
        let queue = self.either(Arc::clone(&named))?;
        queue.tend()?; // what one who ran it held when it died is visible again
        self.finish_moves(&named)?;
        let mut skipped = task.skipped;
        let state = self.redrive_all(&queue, &task, &mut skipped)?;
        let moved = queue.stat()?.moved;
        self.shared.end(name, task.id, |task| {
            task.state = state;
            task.moved = moved.saturating_sub(task.moved_before);
            task.skipped = skipped;
        })?;
        let redrives = self.redrives(name)?.into_iter();
        let own = redrives.rev().find(|status| status.id == task.id);
        own.ok_or(Error::Redrive {
            problem: "its card is gone",
        })
    }

    /// Moves what there is; what has become of the task.
    fn redrive_all(
        &self,
        queue: &Queue<Arc<Named<H>>, &C>,
        task: &Task,
        skipped: &mut u64,
    ) -> Result<RedriveState, Error> {
        let mut pace = Pace::new(task.rate);
        let mut done = queue.stat()?.moved.saturating_sub(task.moved_before) + *skipped;
        while done < task.total {
            let running = self.shared.running(queue.region().name())?;
            if running.is_none_or(|running| running.id != task.id) {
                return Ok(RedriveState::Cancelled);
            }
            pace.wait();
            let Some(received) = queue.receive_to_move()? else {
                break;
            };
            let to = self.destination(task, &received);
            if to.is_none() && task.destination.is_some() {
                received.stays(true);
                return Ok(RedriveState::Failed);
            }
            let moved = match &to {
                Some(to) => received.move_on(&Neighbour {
                    region: to,
                    place: to.place_here(),
                }),
                None => Err((Moved::Unfit, received)),
            };
            match moved {
                Ok(Moved::Away) => done += 1,
                Ok(_) => {} // its time was over
                Err((Moved::Full, received)) => {
                    received.stays(true);
                    std::thread::sleep(FULL_WAIT);
                }
                Err((_, received)) => {
                    received.stays(false);
                    *skipped += 1;
                    done += 1;
                }
            }
        }
        Ok(RedriveState::Completed)
    }

    /// The queue to which a message goes, if it is there and is another one.
    fn destination<R: Region, K: Clock>(
        &self,
        task: &Task,
        received: &Received<'_, R, K>,
    ) -> Option<Arc<Named<H>>> {
        let name = match &task.destination {
            Some(name) => name,
            None => received.source()?,
        };
        self.shared.find(name).ok()
    }

    /// Ends the redrive of a queue that is under way, whoever runs it. What it has moved stays
    /// where it is.
    ///
    /// # Errors
    ///
    /// [`Error::Redrive`]: none is under way; [`Error::NoQueue`], [`Error::Name`],
    /// [`Error::MetadataDamaged`].
    ///
    /// # Progress
    ///
    /// Waits for other changes of the engine, and for the disk.
    pub fn cancel_redrive(&self, name: &str) -> Result<RedriveStatus, Error> {
        check_name(name)?;
        let queue = self.either(self.shared.find(name)?)?;
        let Some(mut task) = self.shared.running(name)? else {
            return refused("none of this queue is under way");
        };
        let moved = queue.stat()?.moved;
        self.shared.end(name, task.id, |running| {
            running.state = RedriveState::Cancelled;
            running.moved = moved.saturating_sub(running.moved_before);
            task = running.clone();
        })?;
        Ok(RedriveStatus::of(name, task, moved))
    }

    /// The latest redrives of a queue, up to 10, the newest last.
    ///
    /// # Errors
    ///
    /// [`Error::NoQueue`], [`Error::Name`], [`Error::MetadataDamaged`].
    pub fn redrives(&self, name: &str) -> Result<Vec<RedriveStatus>, Error> {
        let queue = self.either(self.shared.find(name)?)?;
        let (tasks, moved) = (self.shared.meta(name)?.redrives, queue.stat()?.moved);
        let status = |task| RedriveStatus::of(name, task, moved);
        Ok(tasks.into_iter().map(status).collect())
    }

    /// Runs every redrive of the engine that is under way and that nobody runs: those whose
    /// runners have died. Returns what has become of them.
    ///
    /// # Errors
    ///
    /// Those of [`run_redrive`](Engine::run_redrive), but for that somebody runs it.
    pub fn resume_redrives(&self) -> Result<Vec<RedriveStatus>, Error> {
        let mut ended = Vec::new();
        for name in self.queues("")? {
            if self.shared.running(&name)?.is_some() {
                match self.run_redrive(&name) {
                    Ok(status) => ended.push(status),
                    Err(Error::Redrive { .. }) => {} // somebody does
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(ended)
    }

    /// [`finish_moves`](Self::finish_moves), if something is left.
    pub(super) fn finish_moves_if_any(&self, named: &Arc<Named<H>>) -> Result<(), Error> {
        let queue = self.either(Arc::clone(named))?;
        match queue.has_unfinished_moves() {
            true => self.finish_moves(named),
            false => Ok(()),
        }
    }

    /// Finishes what deaths have left of moves from this queue to any other, and of moves to this
    /// queue from queues that are gone.
    pub(super) fn finish_moves(&self, named: &Arc<Named<H>>) -> Result<(), Error> {
        let queue = self.either(Arc::clone(named))?;
        let All { queues, complete } = self.shared.all()?;
        let targets: Vec<_> = queues
            .iter()
            .filter(|other| !Arc::ptr_eq(other, named))
            .map(|other| Neighbour {
                region: other,
                place: other.place_here(),
            })
            .collect();
        queue.finish_moves_to(&targets, complete);
        if complete {
            let nonce = |other: &Arc<Named<H>>| {
                let other = self.either(Arc::clone(other));
                other.map(|other| other.nonce())
            };
            let nonces = queues.iter().map(nonce).collect::<Result<Vec<_>, _>>()?;
            queue.adopt_orphans(&nonces);
        }
        Ok(())
    }
}

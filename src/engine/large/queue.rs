//! A queue that takes large messages: how one is made, how it receives, and how it deletes.

use super::options::LargeOptions;
use super::received::{LargeBatch, LargeReceived};
use crate::error::Error;
use crate::queue::{MessageId, Outcomes, Queue, Receipt, Received};
use crate::region::Region;
use crate::region::mapped::side::{SideDir, SideKeeper, SideName};
use crate::time::{Clock, DefaultClock};
use core::time::Duration;
use std::path::Path;

/// A queue together with a directory for the bodies that are too long for it.
///
/// It is made from any [`Queue`], over files or in memory, by each participant who sends or
/// receives large messages; several queues may use one directory. Who uses the plain queue sees
/// pointers: messages of 64 bytes with the attribute `ringmain.large`.
///
/// | operation | when the caller dies in it |
/// |---|---|
/// | `send` and its kin | sent or not; a part of a body is the collector's |
/// | `receive` and its kin | the messages come back, their bodies are where they were |
/// | `delete` and its kin | deleted or not; the body of a deleted message is the collector's |
/// | `collect` | a part is done |
///
/// # Orphans
///
/// A body without a message is an orphan. [`new`](LargeQueue::new) and
/// [`collect`](LargeQueue::collect) remove those that deaths leave, and those of messages that
/// went without a `LargeQueue`: by [`Queue::purge`], by the retention, and by
/// [`Queue::delete`](Queue::delete). A queue that takes large messages and is used so should be
/// collected now and then.
///
/// # Examples
///
/// ```
/// # let dir = std::env::temp_dir().join(format!("ringmain-doc-large-{}", std::process::id()));
/// # std::fs::create_dir_all(&dir).unwrap();
/// # let (path, bodies) = (dir.join("films.ring"), dir.join("films.bodies"));
/// use ringmain::{LargeQueue, Mapped, Message, Queue, QueueOptions};
/// use std::io::Read;
///
/// let region = Mapped::create(&path, 1 << 20)?;
/// let queue = Queue::create(&region, QueueOptions::new())?;
/// let films = LargeQueue::new(&queue, &bodies)?;
/// let title = Message::new("").string("title", "Metropolis")?;
/// films.send_message_reader(&title, &mut std::io::repeat(7).take(3 << 20), None)?;
///
/// if let Some(film) = films.receive()? {
///     assert_eq!((film.len(), film.is_large()), (3 << 20, true));
///     let mut reader = film.reader()?;
///     let copied = std::io::copy(&mut reader, &mut std::io::sink());
///     assert_eq!(copied.ok(), Some(3 << 20));
///     film.delete()?; // and its file
/// }
/// # std::fs::remove_dir_all(&dir).unwrap();
/// # Ok::<(), ringmain::Error>(())
/// ```
#[derive(Debug)]
pub struct LargeQueue<'q, R: Region, C: Clock = DefaultClock> {
    pub(super) queue: &'q Queue<R, C>,
    pub(super) dir: SideDir,
    pub(super) keeper: SideKeeper,
    pub(super) threshold: usize,
    pub(super) longest: u64,
    pid: u32,
}

impl<'q, R: Region, C: Clock> LargeQueue<'q, R, C> {
    /// A queue with a directory, which is made if it is not there (mode 0700; the one that it is
    /// in must exist), and collects what earlier deaths have left.
    ///
    /// In private memory this process then keeps one file of the directory open until it ends:
    /// that tells others whether the queue is still there.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`], [`Error::Permission`], [`Error::ReadOnly`], [`Error::NoSpace`],
    /// [`Error::SideStore`], [`Error::Forked`], [`Error::Deleted`].
    pub fn new(queue: &'q Queue<R, C>, dir: impl AsRef<Path>) -> Result<Self, Error> {
        Self::with_options(queue, dir, LargeOptions::new())
    }

    /// [`new`](LargeQueue::new) with options.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfRange`], and those of [`new`](LargeQueue::new).
    pub fn with_options(
        queue: &'q Queue<R, C>,
        dir: impl AsRef<Path>,
        options: LargeOptions,
    ) -> Result<Self, Error> {
        let (threshold, longest) = options.checked(queue.max_body())?;
        let dir = SideDir::open(dir.as_ref())?;
        let keeper = if queue.region().is_shared() {
            SideKeeper::Queue(queue.whole_name())
        } else {
            dir.process()?
        };
        let large = Self {
            queue,
            dir,
            keeper,
            threshold,
            longest,
            pid: std::process::id(),
        };
        large.collect()?;
        Ok(large)
    }

    /// The queue.
    pub fn queue(&self) -> &'q Queue<R, C> {
        self.queue
    }

    /// The directory.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// A message that is longer than this goes to the side store, bytes.
    pub fn threshold(&self) -> usize {
        self.threshold
    }

    /// The longest body that is sent, bytes.
    pub fn longest(&self) -> u64 {
        self.longest
    }

    /// An error if nothing may be done here.
    pub(super) fn check(&self) -> Result<(), Error> {
        // Private memory does not notice a fork; but the child's copy of a queue must not remove
        // the parent's bodies.
        if std::process::id() != self.pid {
            return Err(Error::Forked);
        }
        self.queue.is_usable()
    }

    /// The name of the body of a message that was first sent here.
    pub(super) fn name_of(&self, id: MessageId) -> SideName {
        SideName {
            place: id.place(),
            stamp: id.stamp(),
            keeper: self.keeper,
        }
    }

    /// Receives one message, if one is visible now, and opens its body.
    ///
    /// A body that is missing or damaged is told by [`LargeReceived::reader`], not here: the
    /// message is received all the same, so that it can be deleted, as a queue does with what is
    /// damaged, or left to come back.
    ///
    /// # Errors
    ///
    /// Those of [`Queue::receive`].
    ///
    /// # Progress
    ///
    /// A short message: as [`Queue::receive`]. A large one waits for the file system.
    pub fn receive(&self) -> Result<Option<LargeReceived<'_, R, C>>, Error> {
        Ok(self.queue.receive()?.map(|received| self.resolve(received)))
    }

    /// Receives up to `max` (1 to 10) messages that are visible now; maybe none.
    ///
    /// # Errors
    ///
    /// Those of [`Queue::receive_batch`].
    ///
    /// # Progress
    ///
    /// As [`receive`](LargeQueue::receive).
    pub fn receive_batch(&self, max: usize) -> Result<LargeBatch<'_, R, C>, Error> {
        let batch = self.queue.receive_batch(max)?;
        Ok(LargeBatch::new(self, batch))
    }

    /// [`receive`](LargeQueue::receive) that waits up to `timeout` (0 to 20 s) for a message.
    ///
    /// # Errors
    ///
    /// Those of [`Queue::receive_timeout`].
    ///
    /// # Progress
    ///
    /// Waits for a message, and then as [`receive`](LargeQueue::receive).
    pub fn receive_timeout(
        &self,
        timeout: Duration,
    ) -> Result<Option<LargeReceived<'_, R, C>>, Error> {
        let received = self.queue.receive_timeout(timeout)?;
        Ok(received.map(|received| self.resolve(received)))
    }

    /// [`receive_batch`](LargeQueue::receive_batch) that waits up to `timeout` (0 to 20 s) for the
    /// first message.
    ///
    /// # Errors
    ///
    /// Those of [`Queue::receive_batch_timeout`].
    pub fn receive_batch_timeout(
        &self,
        max: usize,
        timeout: Duration,
    ) -> Result<LargeBatch<'_, R, C>, Error> {
        let batch = self.queue.receive_batch_timeout(max, timeout)?;
        Ok(LargeBatch::new(self, batch))
    }

    /// A message that was received from the plain queue, by `receive_async` for example, with its
    /// body opened.
    pub fn resolve<'l>(&'l self, received: Received<'l, R, C>) -> LargeReceived<'l, R, C> {
        LargeReceived::new(self, received)
    }

    /// Deletes the message of a receive, and its body. If it is gone already, that is `Ok`.
    ///
    /// A message that has come here from another queue is deleted, but a receipt does not tell
    /// where its body is: that is left to the collector. [`LargeReceived::delete`] removes it.
    ///
    /// # Errors
    ///
    /// Those of [`Queue::delete`]. [`Error::SideStore`] and [`Error::NotDurable`]: the message is
    /// deleted, and its body left to the collector.
    ///
    /// # Progress
    ///
    /// Waits for the file system; for a large message of a queue with a journal for the disk.
    pub fn delete(&self, receipt: &Receipt) -> Result<(), Error> {
        self.check()?;
        let outcome = self.queue.delete_telling(receipt);
        let mut deleted = Deleted::new();
        let _ = deleted.push((Some(self.name_of(receipt.id())), outcome)); // one of ten
        self.finish(deleted).pop().unwrap_or(Ok(()))
    }

    /// [`delete`](LargeQueue::delete) for 1 to 10 receipts, each with its own outcome. They wait
    /// for the disk together.
    ///
    /// # Errors
    ///
    /// [`Error::BatchSize`], [`Error::Forked`]: then nothing is done.
    pub fn delete_batch(&self, receipts: &[Receipt]) -> Result<Outcomes<()>, Error> {
        self.check()?;
        let one = |receipt: &Receipt| {
            let name = self.name_of(receipt.id());
            (Some(name), self.queue.delete_telling(receipt))
        };
        let mut deleted = Deleted::new();
        if receipts.is_empty() || receipts.len() > deleted.capacity() {
            return Err(Error::BatchSize {
                len: receipts.len(),
            });
        }
        deleted.extend(receipts.iter().map(one));
        Ok(self.finish(deleted))
    }

    /// Ends deletes: waits for the disk as it is needed, and then removes the bodies.
    pub(super) fn finish(&self, deleted: Deleted) -> Outcomes<()> {
        let removable = |entry: &(Option<SideName>, Result<bool, Error>)| match entry {
            (Some(name), Ok(freed)) => (*freed || !self.may_be_elsewhere(*name)).then_some(*name),
            _ => None,
        };
        let mut bodies = deleted.iter().filter_map(removable);
        // In a journal the message must have ended before its body does.
        let ended = if deleted.iter().all(|(_, outcome)| outcome.is_err()) {
            Ok(())
        } else if self.queue.is_journaled() && bodies.any(|name| self.dir.has(name)) {
            self.queue.sync().map(|_| ())
        } else {
            self.queue.end_at_level()
        };
        let outcome = |entry: &(Option<SideName>, Result<bool, Error>)| {
            entry.1.clone()?;
            ended.clone()?;
            removable(entry).map_or(Ok(()), |name| self.dir.remove(name).map(|_| ()))
        };
        deleted.iter().map(outcome).collect()
    }

    /// Whether a message that is not where this queue looks may be in another queue.
    fn may_be_elsewhere(&self, name: SideName) -> bool {
        let is_own = self.is_own(name);
        !is_own || self.queue.sends_on()
    }

    /// Whether the words of this queue say whether the message of this name is there.
    pub(super) fn is_own(&self, name: SideName) -> bool {
        let number = self.queue.whole_name() & u64::from(u32::MAX);
        name.keeper == self.keeper && name.place >> 32 == number
    }
}

/// What became of each delete, and the body that belongs to it: whether the message was freed.
pub(super) type Deleted = heapless::Vec<(Option<SideName>, Result<bool, Error>), 10>;

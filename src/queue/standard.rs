//! The standard queue: how one is made, and what all its operations share.

use super::batch::Outcomes;
use super::options::QueueOptions;
use crate::error::Error;
use crate::region::layout::DURABILITY_PROCESS;
use crate::region::memory::Place;
use crate::region::policy::{DELETED, OPTIONS, RETENTION_MS};
use crate::region::store::Store;
use crate::region::{Fixed, Intent, Region, Tended, Wish};
use crate::sync::Ordering;
use crate::time::{Clock, DefaultClock};
use crate::trace::event;

/// A standard queue: competing consumers, at least once, best-effort order.
///
/// A received message stays invisible to others until it is deleted, released, or its visibility
/// timeout runs out; then it may be received again. The same code runs over [`Fixed`],
/// [`Heap`](crate::Heap) and [`Mapped`](crate::Mapped) memory. All methods take `&self`; a queue is
/// shared between threads by reference, and between processes by opening the same file.
///
/// | operation | progress | when the caller dies in it |
/// |---|---|---|
/// | `send`, `send_batch` | lock-free; over 64 slots obstruction-free | sent or not; part of a batch |
/// | `claim`, `commit` | as `send` | not sent before `commit` |
/// | `receive`, `receive_batch`, `receive_into` | lock-free | the messages come back |
/// | `delete`, `extend`, `release`, and batches | lock-free | done or not done |
/// | `receive_timeout`, `receive_async` | wait for a message | the messages come back |
/// | `peek`, `peeks`, `peek_at` | lock-free | nothing is left |
/// | `purge`, `stat`, `tend` | lock-free, a scan | a part is done |
///
/// "Comes back" happens when the kernel confirms the death (see [`tend`](Queue::tend)), else when
/// the visibility timeout runs out. None of these operations waits for another participant.
///
/// # Examples
///
/// ```
/// use ringmain::{Heap, Queue, QueueOptions};
///
/// let region = Heap::new(1 << 20)?;
/// let jobs = Queue::create(&region, QueueOptions::new())?;
/// jobs.send(b"resize 17.png")?;
/// if let Some(job) = jobs.receive()? {
///     assert_eq!(job.body(), b"resize 17.png");
///     job.delete()?;
/// }
/// assert!(jobs.receive()?.is_none());
/// # Ok::<(), ringmain::Error>(())
/// ```
#[derive(Debug)]
pub struct Queue<R: Region, C: Clock = DefaultClock> {
    pub(super) region: R,
    pub(super) place: Place,
    pub(super) clock: C,
    pub(super) nonce: u64,
    pub(super) tends: bool,
    #[cfg(feature = "mapped")]
    pub(super) durability: u64,
}

/// The latest time that fits a stamp, ms: 557 years.
pub(super) const TIME_MS_MAX: u64 = (1 << 44) - 2;
/// A busy receiver asks the kernel at most this often who has died, ms. With the clock's tick it is
/// at most 10 ms from one question to the next.
pub(super) const TEND_EVERY_MS: u64 = 8;

/// The name of a queue in a `static`, made of its address.
fn name_by_address(store: &Store<'_>) -> u64 {
    let address = core::ptr::from_ref(store.head()).addr() as u64;
    (address.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 30) | 1
}

/// The name of any queue in ids and receipts.
pub(super) fn name_of(store: &Store<'_>) -> u64 {
    match store.head().config.nonce.load(Ordering::Relaxed) {
        0 => name_by_address(store),
        nonce => nonce,
    }
}

/// Wakes whoever waits at a queue for `count` new messages.
#[inline(always)]
pub(super) fn notify<R: Region + ?Sized>(region: &R, store: &Store<'_>, count: u32) {
    #[cfg(feature = "std")]
    if store.head().event.has_sleepers() {
        wake_sleepers(store, count, region.is_shared());
    }
    #[cfg(feature = "async")]
    region.wakers().wake(count);
    let _ = (region, store, count);
}

#[cfg(feature = "std")]
#[cold]
fn wake_sleepers(store: &Store<'_>, count: u32, shared: bool) {
    store
        .head()
        .event
        .wake(|word| crate::region::futex_wake(word, count, shared));
}

impl<const N: usize, const B: usize, const BLOCKS: usize, C: Clock> Queue<Fixed<N, B, BLOCKS>, C> {
    /// A queue that comes with its memory, for a `static`: no heap, no initialising call.
    ///
    /// `Fixed` says how many messages and how long: `typical_body` and `max_body` do not apply. Ids
    /// and receipts name the queue by its address: do not move it while there are any.
    ///
    /// # Panics
    ///
    /// At compile time, in a `static` or `const`, if an option is outside its range.
    pub const fn fixed(clock: C, options: QueueOptions) -> Self {
        let settings = match options.settings() {
            Ok(settings) => settings,
            Err(_) => panic!("an option of the queue is outside its range"),
        };
        if settings.durability != DURABILITY_PROCESS {
            panic!("a queue in a static has no journal");
        }
        let place = Fixed::<N, B, BLOCKS>::place_of(settings);
        Self::in_place(Fixed::with(settings), place, settings.nonce, clock)
    }
}

impl<R: Region, C: Clock> Queue<R, C> {
    /// The handle of a queue whose place is known.
    pub(super) const fn in_place(region: R, place: Place, nonce: u64, clock: C) -> Self {
        Self {
            region,
            place,
            clock,
            nonce,
            tends: true,
            #[cfg(feature = "mapped")]
            durability: place.durability,
        }
    }
}

#[cfg(feature = "std")]
impl<R: Region> Queue<R> {
    /// Makes a queue in a region.
    ///
    /// # Errors
    ///
    /// [`Error::Occupied`] if there is one, [`Error::RegionTooSmall`], [`Error::OutOfRange`].
    pub fn create(region: R, options: QueueOptions) -> Result<Self, Error> {
        Self::create_with(region, options, DefaultClock::default())
    }

    /// Opens the queue of a region.
    ///
    /// # Errors
    ///
    /// [`Error::Vacant`] if there is none, [`Error::Kind`], [`Error::Damaged`].
    pub fn open(region: R) -> Result<Self, Error> {
        Self::open_with(region, DefaultClock::default())
    }

    /// Opens the queue of a region, or makes one.
    ///
    /// # Errors
    ///
    /// [`Error::OptionsDiffer`] if it exists with other options, and those of
    /// [`create`](Queue::create) and [`open`](Queue::open).
    pub fn open_or_create(region: R, options: QueueOptions) -> Result<Self, Error> {
        Self::open_or_create_with(region, options, DefaultClock::default())
    }
}

impl<R: Region, C: Clock> Queue<R, C> {
    /// [`create`](Queue::create) with another clock.
    ///
    /// # Errors
    ///
    /// Those of [`create`](Queue::create).
    pub fn create_with(region: R, options: QueueOptions, clock: C) -> Result<Self, Error> {
        Self::with(region, Intent::Create, options, clock)
    }

    /// [`open`](Queue::open) with another clock.
    ///
    /// # Errors
    ///
    /// Those of [`open`](Queue::open).
    pub fn open_with(region: R, clock: C) -> Result<Self, Error> {
        Self::with(region, Intent::Open, QueueOptions::new(), clock)
    }

    /// [`open_or_create`](Queue::open_or_create) with another clock.
    ///
    /// # Errors
    ///
    /// Those of [`open_or_create`](Queue::open_or_create).
    pub fn open_or_create_with(region: R, options: QueueOptions, clock: C) -> Result<Self, Error> {
        Self::with(region, Intent::OpenOrCreate, options, clock)
    }

    fn with(region: R, intent: Intent, options: QueueOptions, clock: C) -> Result<Self, Error> {
        Self::wished(region, intent, &options.wish()?, clock)
    }

    /// The queue that is wished for, of either kind.
    pub(crate) fn wished(region: R, intent: Intent, wish: &Wish, clock: C) -> Result<Self, Error> {
        let place = region.place(intent, wish)?;
        let slots = place.shape.slots;
        event!(
            DEBUG, "queue opened", slots = slots;
            queue = region.label(), intent = format_args!("{intent:?}")
        );
        let nonce = region
            .store(&place)
            .head()
            .config
            .nonce
            .load(Ordering::Relaxed);
        Ok(Self {
            region,
            place,
            clock,
            nonce,
            tends: true,
            #[cfg(feature = "mapped")]
            durability: place.durability,
        })
    }

    /// A handle to the same queue that borrows this one's region and clock.
    pub fn by_ref(&self) -> Queue<&R, &C> {
        Queue {
            region: &self.region,
            place: self.place,
            clock: &self.clock,
            nonce: self.nonce,
            tends: self.tends,
            #[cfg(feature = "mapped")]
            durability: self.durability,
        }
    }

    /// The region that the queue is in.
    pub fn region(&self) -> &R {
        &self.region
    }

    /// An error if nothing may be done here: the queue is deleted, or this is a forked child.
    #[inline(always)]
    pub(super) fn check(&self) -> Result<(), Error> {
        self.region.check()?;
        if self.store().head().policy.is_set(DELETED) {
            return Err(Error::Deleted);
        }
        Ok(())
    }

    #[inline(always)]
    pub(super) fn store(&self) -> Store<'_> {
        self.region.store(&self.place)
    }

    /// Makes visible what is due, and drops what is too old, in some of the blocks in which that
    /// may be so. Returns how many became visible.
    #[cold]
    pub(super) fn expire(&self, store: &Store<'_>, now_ms: u64) -> u32 {
        #[cfg(feature = "fifo")]
        if self.place.is_fifo() {
            return self.expire_groups(store, now_ms);
        }
        store.expire_some(now_ms, self.oldest_ms(store), self.region.owner())
    }

    /// The region's time, ms: the clock's, moved to the region's origin, never backwards.
    #[inline(always)]
    pub(super) fn now_ms(&self, store: &Store<'_>) -> u64 {
        self.later_ms(store, self.own_ms())
    }

    /// The region's time by this participant's clock alone, ms.
    #[inline(always)]
    pub(super) fn own_ms(&self) -> u64 {
        let base = self.region.time_base_ms();
        self.clock.now_ms().saturating_add(base).min(TIME_MS_MAX)
    }

    /// The own time, or the latest one that anybody has seen.
    #[inline(always)]
    pub(super) fn later_ms(&self, store: &Store<'_>, now: u64) -> u64 {
        let high = &store.head().seldom.time_high_ms;
        let seen = high.load(Ordering::Relaxed);
        if now < seen {
            return seen.min(TIME_MS_MAX);
        }
        if now > seen {
            high.fetch_max(now, Ordering::Relaxed);
        }
        now
    }

    /// The queue's name in ids and receipts. A queue in a `static` has its address for one.
    #[inline(always)]
    pub(super) fn name(&self, store: &Store<'_>) -> u64 {
        if self.nonce != 0 {
            return self.nonce;
        }
        name_by_address(store)
    }

    /// Without mapped files there is no disk to wait for.
    #[cfg(not(feature = "mapped"))]
    #[inline(always)]
    pub(super) fn make_durable(&self) -> Result<(), Error> {
        Ok(())
    }

    #[cfg(not(feature = "mapped"))]
    #[inline(always)]
    pub(super) fn rouse(&self, _store: &Store<'_>) {}

    /// [`make_durable`](Queue::make_durable) for a batch: entries that were done and are not known
    /// to be on the disk say so.
    #[inline(always)]
    pub(super) fn make_all_durable<T>(&self, outcomes: &mut Outcomes<T>) {
        if let Err(error) = self.make_durable() {
            for outcome in outcomes.iter_mut().filter(|outcome| outcome.is_ok()) {
                *outcome = Err(error.clone());
            }
        }
    }

    /// Wakes whoever waits for `count` new messages.
    #[inline(always)]
    pub(super) fn notify(&self, store: &Store<'_>, count: u32) {
        notify(&self.region, store, count);
    }

    /// [`notify`](Queue::notify), if there are any.
    #[inline(always)]
    pub(super) fn notify_if(&self, store: &Store<'_>, count: u32) {
        if count != 0 {
            self.notify(store, count);
        }
    }

    /// Asks the kernel which participants have died, and makes what they held visible again. In a
    /// mapped region it also asks whether the file is still as long as it was.
    ///
    /// Nobody has to call this: who waits does it, and a busy receiver does it once in 8 ms. A
    /// timer or a supervisor may call it to be faster than that on a queue nobody receives from.
    ///
    /// # Errors
    ///
    /// [`Error::Truncated`]: the file was cut short. Nothing of it is touched any more, and each
    /// later call on this attachment says the same. [`Error::Forked`].
    ///
    /// # Progress
    ///
    /// Lock-free; one system call, another for each attachment, and a scan after a death.
    pub fn tend(&self) -> Result<Tended, Error> {
        self.region.check()?;
        let tended = self.region.tend();
        // Now it is known whether the file is cut short: nothing of it was touched before.
        self.check()?;
        let store = self.store();
        let now_ms = self.now_ms(&store);
        store
            .head()
            .receive
            .tended_ms
            .store(now_ms, Ordering::Relaxed);
        self.finish_moves();
        if tended.dead != 0 {
            let (dead, returned) = (tended.dead, tended.returned);
            let queue = self.region.label();
            event!(INFO, "queue tended", dead = dead, returned = returned; queue = queue);
        }
        Ok(tended)
    }

    /// The same handle, whose receives never ask who has died: they make no system call at all.
    /// Somebody then has to call [`tend`](Queue::tend), or wait with another handle.
    #[must_use]
    pub fn leave_tending(mut self) -> Self {
        self.tends = false;
        self
    }

    /// Tends if nobody has for a while.
    #[inline(always)]
    pub(super) fn tend_sometimes(&self, store: &Store<'_>, now_ms: u64) {
        if !self.region.is_shared() || !self.tends {
            return;
        }
        let tended = &store.head().receive.tended_ms;
        let last = tended.load(Ordering::Relaxed);
        if now_ms >= last.saturating_add(TEND_EVERY_MS) || last > now_ms.saturating_add(1000) {
            self.tend_now(store, last, now_ms);
        }
    }

    #[cold]
    fn tend_now(&self, store: &Store<'_>, last: u64, now_ms: u64) {
        let tended = &store.head().receive.tended_ms;
        let mine = tended.compare_exchange(last, now_ms, Ordering::Relaxed, Ordering::Relaxed);
        if mine.is_ok() {
            self.region.tend();
            self.finish_moves_if_bereaved(store);
        }
    }

    /// What the queue was created with, as changed since.
    pub fn options(&self) -> QueueOptions {
        let store = self.store();
        QueueOptions::of(&self.place, store.head().policy.numbers())
    }

    /// Changes what may be changed while the queue lives: visibility timeout, retention, delay and
    /// the two bounds. `change` gets the options as they are, and returns them as they should be;
    /// what it leaves alone is not written, so two who change different options at once both have
    /// their way. If somebody else has changed the first of its options meanwhile, `change` is
    /// called again with what he has left; of the others the later wins.
    ///
    /// Every participant goes by the new values from its next call on; messages that are held or
    /// delayed already keep their time.
    ///
    /// # Errors
    ///
    /// [`Error::OptionsDiffer`] for an option that is fixed at creation and not what it is;
    /// [`Error::OutOfRange`], [`Error::Forked`]. Then nothing has changed. With a journal
    /// [`Error::NotDurable`]: then everything has, and is not known to be on the disk.
    ///
    /// # Examples
    ///
    /// ```
    /// # use ringmain::{Heap, Queue, QueueOptions};
    /// # use std::time::Duration;
    /// # let queue = Queue::create(Heap::new(1 << 16)?, QueueOptions::new())?;
    /// queue.reconfigure(|options| options.visibility(Duration::from_secs(5)))?;
    /// assert_eq!(queue.options().get_visibility(), Duration::from_secs(5));
    /// # Ok::<(), ringmain::Error>(())
    /// ```
    ///
    /// # Progress
    ///
    /// Lock-free; a scan of the blocks if the retention changes.
    pub fn reconfigure(
        &self,
        mut change: impl FnMut(QueueOptions) -> QueueOptions,
    ) -> Result<(), Error> {
        self.check()?;
        let store = self.store();
        let policy = &store.head().policy;
        let options = loop {
            let numbers = policy.numbers();
            let found = QueueOptions::of(&self.place, numbers);
            let options = change(found);
            let wanted = options.policy()?;
            options.agree(&found, &self.place)?;
            let (mut changed, mut again) = (false, false);
            for (setting, value) in wanted.into_iter().enumerate().take(OPTIONS) {
                let sound = policy.is_sound(setting);
                if value == numbers[setting] && sound {
                    continue;
                }
                if !changed && sound && !policy.exchange(setting, numbers[setting], value) {
                    again = true; // and nothing has changed yet
                    break;
                }
                // A word that was damaged is written anew, whatever it says.
                policy.set(setting, value);
                changed = true;
            }
            if again {
                continue;
            }
            if wanted[RETENTION_MS] != numbers[RETENTION_MS] {
                store.forget_dues(); // they were reckoned with the other retention
            }
            break options;
        };
        event!(
            INFO, "queue reconfigured";
            queue = self.region.label(), options = format_args!("{options:?}")
        );
        self.region.keep_settings(&self.place)
    }

    /// The longest body that the queue takes, bytes.
    pub fn max_body(&self) -> usize {
        self.place.shape.body_bytes_max
    }

    /// How many slots the queue has. A message takes one, or several if its body is longer than
    /// the typical one.
    pub fn capacity(&self) -> usize {
        self.place.shape.slots
    }
}

//! The warden: the thread that watches for the deaths of others while anybody of this attachment
//! waits, so that whoever waits can sleep.
//!
//! # Protocol
//!
//! The first wait that really sleeps puts a watch on the region's file ([`Watch`]) and starts the
//! thread. An event may be a death. The warden then *looks*: it asks the kernel who has died and
//! takes back what they held, and wakes as many sleepers as there are messages visible. It looks at
//! once, and since the locks of the dead are freed shortly after the event, again after 1, 2, 4 ms
//! and so on, each pause twice the one before, up to its *rest*. At rest it looks every four
//! seconds, or as often as the queue's visibility timeout runs out, if that is sooner.
//!
//! Each attachment that waits has a warden of its own. None is chosen among them, so there is none
//! whose death would have to be noticed by another way: the death of a participant that repairs, or
//! that has been woken and has not received yet, posts an event like any other.
//!
//! What each look is for:
//!
//! - *A participant has died*: it is repaired, and what comes back is told to sleepers.
//! - *A sender has died between publishing and waking*, or one that was woken, before it received.
//!   Nothing is repaired: the message is visible, and nobody is awake for it. So the looks count
//!   visible messages, whosever they are.
//! - *A sender stands still between publishing and waking.* There is no event. The look at rest
//!   finds the message.
//! - *A message becomes due* that was received while everybody slept: each look finds the least due
//!   time, and the next pause ends there. A hold of the queue's own timeout cannot begin and end
//!   within one rest.
//! - *Somebody has stopped with bits in hand*: a warden at rest tends now and then, and mends.
//! - *The file was cut short*: the sleepers are woken, and are told.
//!
//! A stream has no due times, and what its sleepers stand before is theirs to know. There the looks
//! are for deaths alone: the repair after one wakes all (`mapped::streams`).
//!
//! An event for another reason (a participant detaches in order, a tool closes the file) costs
//! these looks. While they are close together, events are left to gather, so a flood of them makes
//! one look in 4 ms.
//!
//! When it is there and when it is not, [`Duty`] tells.
//!
//! Race: a participant dies before the watch is on. Its locks are free when the first look is made,
//! or its event came shortly before, and the looks after the first one find it.

use super::attachment::Attachment;
use super::watch::{Seen, Watch};
use crate::region::duty::Duty;
use crate::region::futex_wake;
use crate::region::policy::VISIBILITY_MS;
use crate::region::section::Section;
use crate::region::store::Store;
use crate::sync::{AtomicBool, Ordering};
use crate::time::{Clock, SystemClock};
use crate::trace::event;
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::Duration;

/// The longest pause between two looks, ms.
const REST_MS: u64 = 4096;
/// The shortest rest, and the shortest pause before a due time, ms.
const PAUSE_MS_MIN: u64 = 8;
/// Up to this pause events are left to gather, ms.
const DEAF_MS: u64 = 4;
/// After a longer pause than this an event is the first of its kind, ms.
const CALM_MS: u64 = 32;
/// So many attachments are few.
const ATTACHED_FEW: u64 = 16;
/// Up to this pause after an event each look asks who has died, ms; then as at rest.
const SOON_MS: u64 = 64;
/// How long it stays when nobody waits any more, ms.
const LINGER_MS: u64 = 1000;

/// Starts the thread when somebody waits, and ends it.
#[derive(Debug)]
pub struct Warden {
    shared: Arc<Shared>,
    thread: Mutex<Option<Running>>,
}

#[derive(Debug)]
struct Running {
    thread: JoinHandle<()>,
    /// In a box of its own: the thread looks at it where it is.
    watch: Arc<Watch>,
}

#[derive(Debug)]
struct Shared {
    attachment: Arc<Attachment>,
    duty: Duty,
    stop: AtomicBool,
}

/// The thread's way to what it shares. It counts for nothing, so that a forked child, which has no
/// such thread, frees all of it and closes what its parent has open.
struct Lent(*const Shared, *const Watch);

// SAFETY: both are Sync, and `Warden` waits for the thread's end before it lets go of them.
unsafe impl Send for Lent {}

impl Warden {
    pub fn new(attachment: &Arc<Attachment>) -> Self {
        let shared = Shared {
            attachment: Arc::clone(attachment),
            duty: Duty::default(),
            stop: AtomicBool::new(false),
        };
        Self {
            shared: Arc::new(shared),
            thread: Mutex::new(None),
        }
    }

    /// A thread begins to wait. It calls [`wait_ends`](Warden::wait_ends) afterwards.
    pub fn wait_begins(&self) {
        if !self.shared.duty.wait_begins() {
            self.start();
        }
    }

    /// A thread that had begun to wait is done with it.
    pub fn wait_ends(&self) {
        self.shared.duty.wait_ends();
    }

    /// Whether deaths are noticed. If not, whoever waits asks for itself.
    pub fn is_watching(&self) -> bool {
        self.shared.duty.is_on()
    }

    fn running(&self) -> MutexGuard<'_, Option<Running>> {
        let locked = self.thread.lock();
        locked.unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Puts the watch on and starts the thread, unless somebody else just has.
    #[cold]
    fn start(&self) {
        let mut running = self.running();
        if !self.shared.duty.starts() {
            return; // it runs, or one that was about to end has gone on
        }
        if let Some(old) = running.take() {
            let _ = old.thread.join(); // it has ended or is about to
        }
        *running = self.spawn();
        self.shared.duty.started(running.is_some());
    }

    fn spawn(&self) -> Option<Running> {
        let watch = Arc::new(Watch::new(&self.shared.attachment.file)?);
        let lent = Lent(Arc::as_ptr(&self.shared), Arc::as_ptr(&watch));
        let run = move || {
            let Lent(shared, watch) = { lent };
            // SAFETY: `Warden` keeps both, and joins this thread before it lets go.
            unsafe { (*shared).run(&*watch) };
        };
        let named = std::thread::Builder::new().name("ringmain-warden".into());
        let thread = named.spawn(run).ok()?;
        Some(Running { thread, watch })
    }
}

impl Drop for Warden {
    fn drop(&mut self) {
        if self.shared.attachment.fork.is_child() {
            return; // the thread is the parent's
        }
        self.shared.stop.store(true, Ordering::SeqCst);
        if let Some(running) = self.running().take() {
            running.watch.end();
            let _ = running.thread.join(); // it does not panic; if it did, nothing is left to save
        }
    }
}

impl Shared {
    fn run(&self, watch: &Watch) {
        let mut eye = Eye::default();
        let (mut pause, mut idle_ms) = (1, 0);
        while !self.stop.load(Ordering::SeqCst) {
            let rest = self.rest_ms();
            let due = eye.look(&self.attachment, pause, pause >= rest.min(SOON_MS));
            let mut wait = due.unwrap_or(u64::MAX).max(PAUSE_MS_MIN).min(pause);
            if self.duty.is_needed() {
                idle_ms = 0;
            } else if idle_ms >= LINGER_MS {
                if self.duty.ends() {
                    return;
                }
            } else {
                wait = wait.min(LINGER_MS);
                idle_ms += wait;
            }
            match watch.wait(pause > DEAF_MS, Duration::from_millis(wait)) {
                Seen::Event if !watch.drain(&self.attachment.file) => return self.lost(),
                Seen::Event if pause > CALM_MS => pause = 1,
                Seen::Event => pause = DEAF_MS,
                Seen::Time if wait == pause => pause = (pause * 2).min(rest),
                Seen::Time | Seen::End => {}
            }
        }
    }

    fn rest_ms(&self) -> u64 {
        let place = self.attachment.existing().ok().flatten();
        let visibility_ms = place.map_or(REST_MS, |place| {
            let store = self.attachment.store_at(&place);
            store.head().policy.get(VISIBILITY_MS)
        });
        visibility_ms.clamp(PAUSE_MS_MIN, REST_MS)
    }

    /// Without a watch whoever sleeps has to look for itself: all are woken.
    fn lost(&self) {
        self.duty.is_lost();
        event!(WARN, "the watch for deaths is lost"; path = self.attachment.path.display());
        if self.attachment.check().is_err() {
            return;
        }
        match self.attachment.section() {
            Ok(Some(Section::Queue(place))) => {
                let event = &self.attachment.store_at(&place).head().event;
                event.sequence.fetch_add(1, Ordering::SeqCst);
                futex_wake(&event.sequence, u32::MAX, true);
            }
            #[cfg(feature = "stream")]
            Ok(Some(Section::Stream(place))) => self.attachment.shake_stream(&place),
            _ => {}
        }
    }
}

/// How a warden sees its region.
#[derive(Default)]
struct Eye {
    /// How far the queue's clock was seen to be ahead of the system's, ms.
    ahead_ms: u64,
    /// Looks at rest so far.
    rests: u64,
}

impl Eye {
    /// Looks who has died and what is visible, and wakes whom it concerns. Returns how long it is
    /// until something is due, ms.
    fn look(&mut self, attachment: &Attachment, pause: u64, at_rest: bool) -> Option<u64> {
        let section = attachment.section().ok().flatten()?;
        if attachment.look_at_file().is_err() {
            wake_all_of_cut(attachment, &section);
            return None;
        }
        #[cfg_attr(not(feature = "stream"), expect(irrefutable_let_patterns))]
        let Section::Queue(place) = section else {
            // Of a stream nothing comes due; whoever takes back what was a dead one's wakes.
            self.tend(attachment, pause, at_rest);
            return None;
        };
        let store = attachment.store_at(&place);
        let now_ms = self.now_ms(attachment, &store);
        self.tend(attachment, pause, at_rest);
        if attachment.check().is_err() {
            return None; // cut short in between: the next look wakes the sleepers
        }
        let visible = store.visible(now_ms);
        if visible != 0 {
            attachment.rouse_sleepers(&store, visible);
        }
        store.next_due_ms(now_ms).map(|due| due - now_ms)
    }

    /// Asks who has died.
    fn tend(&mut self, attachment: &Attachment, pause: u64, at_rest: bool) {
        if !at_rest {
            attachment.tend_owners();
        } else if self.is_turn(attachment) {
            attachment.tend_at_rest(pause);
        }
    }

    /// Whether to tend at rest: always where few are attached, else now and then, since the
    /// question costs a system call for each of them.
    fn is_turn(&mut self, attachment: &Attachment) -> bool {
        self.rests += 1;
        let turns = attachment.attached() / ATTACHED_FEW + 1;
        (self.rests + u64::from(attachment.owner)).is_multiple_of(turns)
    }

    /// The region's time: by the system's clock, or by the queue's where that was seen to be ahead.
    fn now_ms(&mut self, attachment: &Attachment, store: &Store<'_>) -> u64 {
        let own_ms = SystemClock.now_ms().saturating_add(attachment.time_base_ms);
        let high_ms = store.head().seldom.time_high_ms.load(Ordering::Relaxed);
        self.ahead_ms = self.ahead_ms.max(high_ms.saturating_sub(own_ms));
        own_ms.saturating_add(self.ahead_ms)
    }
}

/// Wakes all sleepers of a file that was cut short, without touching it. If the queue's first page
/// is gone, so is the way to wake a thread: it is told when its wait is over.
fn wake_all_of_cut(attachment: &Attachment, section: &Section) {
    match section {
        Section::Queue(place) => {
            let event = &attachment.store_at(place).head().event;
            futex_wake(&event.sequence, u32::MAX, true);
            #[cfg(feature = "async")]
            attachment.wakers.wake(u32::MAX);
        }
        #[cfg(feature = "stream")]
        Section::Stream(place) => attachment.wake_cut_stream(place),
    }
}

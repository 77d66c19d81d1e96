//! The thread that sleeps on the region's futex for the futures of an attachment.
//!
//! A future cannot sleep on a futex, and nothing that executors can poll is woken by another
//! process without a file or a privilege that a region does not have. So the first future that
//! waits at a mapped region starts this thread. While no future waits it is not there; it ends by
//! itself shortly after the last one, and at once when the region is dropped.
//!
//! # Protocol
//!
//! While futures wait it sleeps as any waiting thread does, under the eyes of the
//! [`Warden`]: it prepares, looks, and sleeps on the sequence. What it finds it tells the futures.
//! When the last of them has gone, a wake-up may have come to it that nobody here will use: so it
//! looks once more and passes it on to other sleepers. Then it waits away from the futex, where it
//! takes no wake-up from anybody, and after a while it ends.
//!
//! Over a stream it sleeps for each future on that one's shard: the future has prepared itself, and
//! has noted the sequence that it has read. One that comes while the thread sleeps *calls* it.
//!
//! `[sleeper-thread]`: a future's waker is put, and then `running` and `parked` are read; the
//! thread sets `parked`, or clears `running`, and then looks for waiting futures once more. One of
//! the two sees the other.

use super::attachment::Attachment;
use super::warden::Warden;
use crate::region::policy::DELETED;
#[cfg(feature = "stream")]
use crate::region::{
    Futex, futex_wait_any,
    section::Section,
    stream::{self, StreamPlace},
};
use crate::region::{futex_wait, futex_wake};
use crate::sync::{AtomicBool, Ordering};
#[cfg(feature = "stream")]
use crate::sync::{AtomicU32, AtomicU64, WAKERS};
use crate::time::{Clock, SystemClock};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

/// How long it sleeps at most: where the warden cannot see deaths, the time in which it asks.
const NAP: Duration = Duration::from_millis(8);
/// How long it sleeps at most under a warden: the longest time that a drop waits for it, if the
/// file was cut short so that nobody can wake it. Also how long it stays without a waiting future.
const SLEEP: Duration = Duration::from_secs(1);
/// When nothing has come for so long over a stream, its futures look for themselves, ms.
#[cfg(feature = "stream")]
const QUIET_MS_MAX: u64 = 4000;

/// Starts the thread when it is needed, and ends it.
#[derive(Debug)]
pub struct Sleeper {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Debug)]
struct Shared {
    attachment: Arc<Attachment>,
    warden: Arc<Warden>,
    running: AtomicBool,
    parked: AtomicBool,
    stop: AtomicBool,
    /// Grows with each future that the thread is to take in, over a stream.
    #[cfg(feature = "stream")]
    calls: AtomicU32,
    /// For how long nothing has come, over a stream, ms.
    #[cfg(feature = "stream")]
    quiet_ms: AtomicU64,
}

impl Sleeper {
    pub fn new(attachment: &Arc<Attachment>, warden: &Arc<Warden>) -> Self {
        let shared = Shared {
            attachment: Arc::clone(attachment),
            warden: Arc::clone(warden),
            running: AtomicBool::new(false),
            parked: AtomicBool::new(false),
            stop: AtomicBool::new(false),
            #[cfg(feature = "stream")]
            calls: AtomicU32::new(0),
            #[cfg(feature = "stream")]
            quiet_ms: AtomicU64::new(0),
        };
        Self {
            shared: Arc::new(shared),
            thread: Mutex::new(None),
        }
    }

    /// [`start`](Sleeper::start), once a future of a stream has prepared: the thread takes it in.
    #[cfg(feature = "stream")]
    pub fn start_at_stream(&self) {
        self.shared.call();
        self.start();
    }

    /// Starts the thread unless it runs. If none can be had, futures are woken by this process
    /// only.
    pub fn start(&self) {
        // ORDERING: SeqCst; [sleeper-thread].
        let running = self.shared.running.swap(true, Ordering::SeqCst);
        if running && !self.shared.parked.swap(false, Ordering::SeqCst) {
            return;
        }
        let mut thread = self
            .thread
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner());
        if running {
            if let Some(thread) = &*thread {
                thread.thread().unpark();
            }
            return;
        }
        if let Some(old) = thread.take() {
            let _ = old.join(); // it has ended or is about to
        }
        let shared = Arc::clone(&self.shared);
        let named = std::thread::Builder::new().name("ringmain-sleeper".into());
        let started = named.spawn(move || shared.run());
        if started.is_err() {
            self.shared.running.store(false, Ordering::SeqCst);
        }
        *thread = started.ok();
    }
}

impl Drop for Sleeper {
    fn drop(&mut self) {
        let thread = self
            .thread
            .get_mut()
            .unwrap_or_else(|poisoned| poisoned.into_inner());
        if self.shared.attachment.fork.is_child() {
            return; // the thread is the parent's
        }
        self.shared.stop.store(true, Ordering::SeqCst);
        if let Some(thread) = thread.take() {
            self.shared.nudge();
            thread.thread().unpark();
            let _ = thread.join(); // it does not panic; if it did, there is nothing to save
        }
    }
}

impl Shared {
    fn run(&self) {
        while !self.stop.load(Ordering::SeqCst) {
            self.warden.wait_begins();
            let mut told = 0;
            while !self.stop.load(Ordering::SeqCst) && !self.attachment.wakers.is_empty() {
                told = self.nap();
            }
            self.warden.wait_ends();
            self.pass_on(told);
            self.parked.store(true, Ordering::SeqCst);
            // ORDERING: [sleeper-thread]
            if self.attachment.wakers.is_empty() && !self.stop.load(Ordering::SeqCst) {
                std::thread::park_timeout(SLEEP);
            }
            self.parked.store(false, Ordering::SeqCst);
            if !self.attachment.wakers.is_empty() {
                continue;
            }
            self.running.store(false, Ordering::SeqCst);
            // ORDERING: [sleeper-thread]
            if self.attachment.wakers.is_empty() || self.running.swap(true, Ordering::SeqCst) {
                return;
            }
        }
    }

    /// Looks, wakes futures if there is something for them, and sleeps while others wait. Returns
    /// how many it has woken last.
    fn nap(&self) -> u32 {
        let attachment = &self.attachment;
        #[cfg(feature = "stream")]
        if let (Ok(()), Ok(Some(Section::Stream(place)))) =
            (attachment.look_at_file(), attachment.section())
        {
            self.nap_at_stream(&place);
            return 0;
        }
        let place = match (attachment.look_at_file(), attachment.existing()) {
            (Ok(()), Ok(Some(place))) => place,
            (sound, _) => {
                let all = if sound.is_err() { u32::MAX } else { 0 };
                attachment.wakers.wake(all); // each is told by its next look
                std::thread::park_timeout(NAP);
                return 0;
            }
        };
        let store = attachment.store_at(&place);
        let sequence = store.head().event.prepare();
        // ORDERING: [warden-lost] read after the sequence.
        let watched = self.warden.is_watching();
        if !watched {
            attachment.tend_owners();
        }
        let now_ms = self.now_ms();
        let deleted = store.head().policy.get(DELETED) != 0; // then each is told by its next look
        let count = if deleted {
            u32::MAX
        } else {
            store.visible(now_ms)
        };
        let told = attachment.wakers.wake(count);
        if attachment.wakers.is_empty() {
            return told;
        }
        let longest = if watched { SLEEP } else { NAP };
        let due = store
            .next_due_ms(now_ms)
            .map_or(longest, |due| Duration::from_millis(due - now_ms));
        futex_wait(
            &store.head().event.sequence,
            sequence,
            longest.min(due),
            true,
        );
        0
    }

    /// Sleeps for futures that wait at a stream, on the sequences that they have noted. Those whose
    /// sequence has moved are woken; how far each has read is theirs to know.
    #[cfg(feature = "stream")]
    fn nap_at_stream(&self, place: &StreamPlace) {
        let attachment = &self.attachment;
        // ORDERING: SeqCst; read before the notes are: a future notes and then calls.
        let calls = self.calls.load(Ordering::SeqCst);
        // ORDERING: [warden-lost] read before the sequences are looked at, which move after it.
        let watched = self.warden.is_watching();
        if !watched {
            attachment.tend_owners();
        }
        let mut futexes = [Futex::NONE; WAKERS + 1];
        futexes[0] = Futex::new(&self.calls, calls, false);
        let mut len = 1;
        let mut moved = false;
        for note in attachment.wakers.notes() {
            let (number, sequence) = stream::parts(note);
            let word = attachment
                .shard_of(place, number)
                .map(|shard| &shard.event().sequence)
                .filter(|word| word.load(Ordering::SeqCst) == sequence);
            match word {
                Some(word) if len < futexes.len() => {
                    futexes[len] = Futex::new(word, sequence, true);
                    len += 1;
                }
                _ => {
                    moved = true;
                    attachment.wakers.wake_noted(|other| other == note);
                }
            }
        }
        if moved {
            return self.quiet_ms.store(0, Ordering::Relaxed);
        }
        let (begun, longest) = (self.now_ms(), if watched { SLEEP } else { NAP });
        if !futex_wait_any(&futexes[..len], longest) {
            futex_wait(&self.calls, calls, NAP, false);
        }
        let slept = self.now_ms().saturating_sub(begun);
        if self.quiet_ms.fetch_add(slept, Ordering::Relaxed) + slept >= QUIET_MS_MAX {
            // Somebody may stand still between commit and wake.
            self.quiet_ms.store(0, Ordering::Relaxed);
            attachment.wakers.wake(u32::MAX);
        }
    }

    /// Lets the thread look at the notes again.
    #[cfg(feature = "stream")]
    fn call(&self) {
        self.calls.fetch_add(1, Ordering::SeqCst);
        futex_wake(&self.calls, 1, false);
    }

    /// Wakes others for what is visible beyond what the futures were `told` of. A future that was
    /// told and does not receive passes it on itself.
    fn pass_on(&self, told: u32) {
        let attachment = &self.attachment;
        if let (Ok(()), Ok(Some(place))) = (attachment.look_at_file(), attachment.existing()) {
            let store = attachment.store_at(&place);
            let visible = store.visible(self.now_ms());
            if visible > told {
                attachment.rouse_sleepers(&store, visible - told);
            }
        }
    }

    fn now_ms(&self) -> u64 {
        let base = self.attachment.time_base_ms;
        SystemClock.now_ms().saturating_add(base)
    }

    /// Wakes the thread, and whoever else sleeps there: they look and sleep again.
    fn nudge(&self) {
        #[cfg(feature = "stream")]
        self.call();
        if let (Ok(()), Ok(Some(place))) = (self.attachment.check(), self.attachment.existing()) {
            let event = &self.attachment.store_at(&place).head().event;
            event.sequence.fetch_add(1, Ordering::SeqCst);
            futex_wake(&event.sequence, u32::MAX, true);
        }
    }
}

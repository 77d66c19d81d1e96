//! A region under a name: one queue of an engine, and its way to its queue of dead letters.
//!
//! # Protocol
//!
//! The source's setting `DEAD_LETTERS` has the low bits of the target's nonce. Who moves a message
//! reads it and asks for the queue of that id ([`Region::dead_letters`]). The *link* keeps the
//! target that was shown last, so that nobody has to look for it each time. It is believed as long
//! as its id is the one that is asked for and the queue is not deleted; else the engine is asked
//! ([`Resolver`]). One that was not found is not asked for again within a second.
//!
//! Who holds a link's target keeps it open. So links must not go round in a circle, or the queues
//! of that circle would never be closed. Links are set by the resolver alone, one at a time, and
//! before it sets one it cuts the link that would close a circle. Settings in which targets go
//! round are refused, so such a link is an old one, of a policy that has changed since.
//!
//! Race: thread A is shown target T while thread B deletes T. A holds T's region, so its memory
//! stays; what A does there fails with `Deleted`, or is done before. Either way the next who asks
//! finds the mark in T and looks again.

use super::memory::Place;
use super::policy::{DEAD_LETTERS, DELETED, PolicyNumbers, RECEIVES_MAX};
use super::shelf::{Home, Shelf, State, lock};
use super::store::Store;
use super::{Intent, Neighbour, Region, Tended, Wish};
use crate::error::Error;
use crate::sync::store_load;
use crate::time::{Clock, SystemClock};
use core::fmt;
use std::sync::{Arc, Mutex};

/// How long a target that was not found is not looked for again, ms.
const MISSED_MS: u64 = 1000;

/// Who finds queues by what others say of them.
pub trait Resolver<H: Home>: Send + Sync {
    /// Finds the queue of dead letters of `source`, whose id has to be `id`, and links it.
    fn resolve(&self, source: &Named<H>, id: u64) -> Option<Arc<Named<H>>>;
}

/// A queue's region with its name. See [`EngineQueue`](crate::EngineQueue).
pub struct Named<H: Home> {
    region: H::Region,
    place: Place,
    /// What settings call this queue: low bits of its nonce.
    id: u64,
    name: Box<str>,
    resolver: Arc<dyn Resolver<H>>,
    link: Mutex<Link<H>>,
}

/// What is known of the target.
enum Link<H: Home> {
    Unknown,
    To(Arc<Named<H>>),
    Missed { id: u64, until_ms: u64 },
}

impl<H: Home> Named<H> {
    /// A region with the queue at `place`.
    pub(crate) fn new(
        region: H::Region,
        place: Place,
        name: &str,
        resolver: Arc<dyn Resolver<H>>,
    ) -> Self {
        let id = region.store(&place).head().id();
        Self {
            region,
            place,
            id,
            name: name.into(),
            resolver,
            link: Mutex::new(Link::Unknown),
        }
    }

    /// The queue's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Bytes of the region.
    pub fn bytes(&self) -> u64 {
        H::Shelf::bytes(&self.region)
    }

    /// What settings call this queue.
    pub(crate) fn id(&self) -> u64 {
        self.id
    }

    /// Where the queue lies.
    pub(crate) fn place_here(&self) -> &Place {
        &self.place
    }

    /// Its longest body, bytes.
    pub(crate) fn body_bytes_max(&self) -> usize {
        self.place.shape.body_bytes_max
    }

    /// Its settings now.
    pub(crate) fn policy(&self) -> PolicyNumbers {
        self.region.store(&self.place).head().policy.numbers()
    }

    /// Whether it is marked as deleted.
    pub(crate) fn is_deleted(&self) -> bool {
        let head = self.region.store(&self.place).head();
        self.region.check().is_ok() && head.policy.get(DELETED) != 0
    }

    /// Says where dead letters go, to every participant at once: `{ id, receives }`, or nowhere.
    ///
    /// The id comes last: while it is not what the card says, the change is half-done, and whoever
    /// tends does it again. Who meets a dead letter in between holds it back and tries again.
    pub(crate) fn set_dead_letters(&self, policy: Option<(u64, u32)>) -> Result<(), Error> {
        self.region.check()?;
        let words = &self.region.store(&self.place).head().policy;
        match policy {
            Some((id, receives)) => {
                words.set(RECEIVES_MAX, u64::from(receives));
                words.set(DEAD_LETTERS, id);
            }
            None => {
                words.set(RECEIVES_MAX, 0);
                words.set(DEAD_LETTERS, 0);
            }
        }
        *lock(&self.link) = Link::Unknown;
        self.region.keep_settings(&self.place)
    }

    /// Marks the queue as deleted, and wakes all who wait at it: each of them, in every process,
    /// finds the mark. May be done again.
    pub(crate) fn mark_deleted(&self) -> Result<(), Error> {
        self.region.check()?;
        mark_deleted(&self.region, &self.place);
        *lock(&self.link) = Link::Unknown;
        Ok(())
    }

    /// The target that is linked.
    fn linked(&self) -> Option<Arc<Self>> {
        match &*lock(&self.link) {
            Link::To(target) => Some(Arc::clone(target)),
            _ => None,
        }
    }

    /// Links `target`. The caller lets nobody else link meanwhile.
    pub(crate) fn link_to(&self, target: &Arc<Self>) {
        let mut at = Arc::clone(target);
        while let Some(next) = at.linked() {
            if core::ptr::eq(&*next, self) {
                *lock(&at.link) = Link::Unknown; // it would close a circle
                break;
            }
            at = next;
        }
        *lock(&self.link) = Link::To(Arc::clone(target));
    }

    /// The queue of dead letters of this id.
    fn target(&self, id: u64) -> Option<Arc<Self>> {
        if id == 0 {
            return None;
        }
        match &*lock(&self.link) {
            Link::To(target) if target.is_sound(id) => return Some(Arc::clone(target)),
            Link::Missed {
                id: missed,
                until_ms,
            } if *missed == id && SystemClock.now_ms() < *until_ms => return None,
            _ => {}
        }
        let found = self.resolver.resolve(self, id);
        if found.is_none() {
            let until_ms = SystemClock.now_ms() + MISSED_MS;
            *lock(&self.link) = Link::Missed { id, until_ms };
        }
        found
    }

    /// Whether messages can be moved here that are meant for the queue of this id.
    pub(crate) fn is_sound(&self, id: u64) -> bool {
        self.id == id && self.region.check().is_ok() && !self.is_deleted()
    }
}

/// See [`Named::mark_deleted`].
pub fn mark_deleted<R: Region>(region: &R, place: &Place) {
    let store = region.store(place);
    let head = store.head();
    head.policy.set(DELETED, 1);
    let _ = region.keep_settings(place); // its files are about to go: the disk need not know
    // ORDERING: [sleeper-flag], [waiting-bit]: the mark is set before it is asked who sleeps. Who
    // goes to sleep says so and then looks at the mark.
    store_load();
    head.event
        .wake(|word| super::futex_wake(word, u32::MAX, region.is_shared()));
    #[cfg(feature = "async")]
    region.wakers().wake(u32::MAX);
}

impl State {
    /// Of a queue with these settings.
    pub fn of(policy: &PolicyNumbers) -> Self {
        match policy[DELETED] {
            0 => Self::Ready {
                dead_letters: policy[DEAD_LETTERS],
            },
            _ => Self::Deleted,
        }
    }
}

impl<H: Home> fmt::Debug for Named<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Named")
            .field("name", &self.name)
            .field("region", &self.region)
            .finish_non_exhaustive()
    }
}

// SAFETY: forwards to the region inside, which keeps the promise.
unsafe impl<H: Home> Region for Named<H> {
    fn label(&self) -> &str {
        &self.name
    }

    #[cold]
    fn dead_letters(&self, id: u64, act: &mut dyn FnMut(Neighbour<'_>)) -> bool {
        let Some(target) = self.target(id) else {
            return false;
        };
        act(Neighbour {
            region: &*target,
            place: &target.place,
        });
        true
    }

    super::home::forward_methods!(self, self.region);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::region::Heap;
    use crate::sync::{AtomicU32, Ordering};

    /// Knows of no queue, and counts how often it is asked.
    struct Nobody(AtomicU32);

    impl Resolver<Heap> for Nobody {
        fn resolve(&self, _source: &Named<Heap>, _id: u64) -> Option<Arc<Named<Heap>>> {
            self.0.fetch_add(1, Ordering::Relaxed);
            None
        }
    }

    #[test]
    fn a_target_that_is_missed_is_not_looked_for_at_each_receive() {
        let region = Arc::new(Heap::new(1 << 16).expect("memory"));
        let mut wish = Wish::NONE;
        wish.policy = [1, 60_000, 0, 1, 0, 0, 0, 0];
        let place = region.place(Intent::Create, &wish).expect("a queue");
        let nobody = Arc::new(Nobody(AtomicU32::new(0)));
        let asked = || nobody.0.load(Ordering::Relaxed);
        let named = Named::<Heap>::new(region, place, "q", nobody.clone());
        for _ in 0..100 {
            assert!(!named.dead_letters(7, &mut |_| {}));
        }
        assert!(asked() < 5, "asked {} times", asked()); // or this takes seconds
        let before = asked();
        assert!(!named.dead_letters(8, &mut |_| {}), "another id");
        assert_eq!(asked(), before + 1);
        assert!(!named.dead_letters(0, &mut |_| {}), "there is none");
        assert_eq!(asked(), before + 1);
    }
}

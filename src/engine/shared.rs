//! What all values of one engine share: its shelf, and the queues and streams that it has open.
//!
//! # Protocol
//!
//! A queue is attached once, for all handles of one engine: `open` has a weak reference to each
//! that somebody uses, and who opens a queue again gets the same. The last handle closes it. So it
//! is with streams (`super::streams`), which have a lock of their own for that.
//!
//! A queue and a stream do not have one name: who makes one looks for the other in the same turn.
//!
//! Locks, in the order in which they are taken: a *turn* of the shelf (`region::shelf`), `linking`,
//! `open`, and the link of a queue (`region::named`). A turn is for changes of what there is, and
//! only the operations of [`Engine`](super::Engine) take one; no closure of a caller runs in it.
//! Receivers that meet a dead letter and have no link take `linking` and `open`, open the target as
//! anybody would, and read cards, which are replaced whole.
//!
//! What an operation meets half-made or half-deleted it finishes ([`Shared::finish`]), in a turn:
//! so its creator or deleter has died.

use super::meta::Meta;
#[cfg(feature = "stream")]
use super::streams::Streams;
use crate::error::Error;
use crate::region::memory::Place;
use crate::region::named::{Named, Resolver, mark_deleted};
use crate::region::shelf::{Held, Home, Shelf, State, lock};
#[cfg(feature = "stream")]
use crate::region::stream;
use crate::region::{Intent, Region, Wish};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, Weak};

/// See the text above.
pub struct Shared<H: Home> {
    pub(super) shelf: H::Shelf,
    open: Mutex<BTreeMap<String, Weak<Named<H>>>>,
    #[cfg(feature = "stream")]
    pub(super) streams: Streams<H>,
    /// Those of them that are open for reading only, by attachments of their own.
    #[cfg(feature = "stream")]
    pub(super) read_streams: Streams<H>,
    linking: Mutex<()>,
    /// Itself, for the queues that it opens.
    me: Weak<Self>,
}

/// What is said of a queue that was deleted between two steps of an operation on its name.
pub fn gone(error: Error) -> Error {
    match error {
        Error::Deleted => Error::NoQueue,
        other => other,
    }
}

impl<H: Home> Shared<H> {
    /// An engine over this shelf.
    pub fn new(shelf: H::Shelf) -> Arc<Self> {
        Arc::new_cyclic(|me| Self {
            shelf,
            open: Mutex::default(),
            #[cfg(feature = "stream")]
            streams: Mutex::default(),
            #[cfg(feature = "stream")]
            read_streams: Mutex::default(),
            linking: Mutex::default(),
            me: me.clone(),
        })
    }

    /// The queue of this name, opened once. Its state may be any.
    ///
    /// # Errors
    ///
    /// Those of opening a region; [`Error::Vacant`] and [`Error::Deleted`].
    pub fn attach(&self, name: &str) -> Result<Arc<Named<H>>, Error> {
        let mut open = lock(&self.open);
        let known = open.get(name).and_then(Weak::upgrade);
        if let Some(named) = known.filter(|named| !named.is_deleted()) {
            return Ok(named);
        }
        let region = self.shelf.open(Held::Queue, name)?;
        let place = region.place(Intent::Open, &Wish::open(name))?;
        let named = self.named(name, region, place)?;
        if named.is_deleted() {
            return Err(Error::Deleted);
        }
        open.retain(|_, named| named.strong_count() != 0);
        open.insert(name.into(), Arc::downgrade(&named));
        Ok(named)
    }

    /// Notes a queue that was made just now.
    pub fn made(
        &self,
        name: &str,
        region: H::Region,
        place: Place,
    ) -> Result<Arc<Named<H>>, Error> {
        let named = self.named(name, region, place)?;
        lock(&self.open).insert(name.into(), Arc::downgrade(&named));
        Ok(named)
    }

    fn named(&self, name: &str, region: H::Region, place: Place) -> Result<Arc<Named<H>>, Error> {
        // Whoever calls has a reference to this engine.
        let resolver = self.me.upgrade().ok_or(Error::NoQueue)?;
        Ok(Arc::new(Named::new(region, place, name, resolver)))
    }

    /// The queue of this name.
    ///
    /// # Errors
    ///
    /// [`Error::NoQueue`], [`Error::Name`], [`Error::Kind`] for a stream's name, and those of
    /// opening a region.
    pub fn find(&self, name: &str) -> Result<Arc<Named<H>>, Error> {
        self.check_name(Held::Queue, name)?;
        match self.attach(name) {
            Ok(named) => Ok(named),
            Err(Error::NotFound) => Err(self.nothing(Held::Queue, name)),
            // Perhaps somebody is making or deleting it. In a turn nobody is.
            Err(_) => self.shelf.turn(|| self.present(name)),
        }
    }

    /// In a turn: the queue of this name.
    pub fn present(&self, name: &str) -> Result<Arc<Named<H>>, Error> {
        if self.finish(Held::Queue, name)? {
            self.attach(name)
        } else {
            Err(self.nothing(Held::Queue, name))
        }
    }

    /// Refuses what is no name of such a thing, and who may not use the shelf.
    pub(super) fn check_name(&self, held: Held, name: &str) -> Result<(), Error> {
        held.check_name(name)
            .map_err(|error| match self.nothing(held, name) {
                kind @ Error::Kind { .. } => kind,
                _ => error,
            })?;
        self.shelf.check()
    }

    /// What is said if there is no such thing of this name: perhaps there is another.
    pub(super) fn nothing(&self, held: Held, name: &str) -> Error {
        let other = held.other();
        let absent = |state| matches!(state, Ok(State::Absent | State::Vacant | State::Deleted));
        if other.check_name(name).is_ok() && !absent(self.shelf.state(other, name)) {
            return Error::Kind {
                found: other.kind(name),
                expected: held.kind(name),
            };
        }
        match held {
            Held::Queue => Error::NoQueue,
            Held::Stream => Error::NoStream,
        }
    }

    /// In a turn: an error if something else has this name.
    pub(super) fn is_not_other(&self, held: Held, name: &str) -> Result<(), Error> {
        let other = held.other();
        if other.check_name(name).is_ok() && self.finish(other, name)? {
            return Err(self.nothing(held, name));
        }
        Ok(())
    }

    /// In a turn: finishes what a death has left half-made or half-deleted under this name. Whether
    /// there is something. What is damaged is there: who opens it is told.
    pub fn finish(&self, held: Held, name: &str) -> Result<bool, Error> {
        match self.shelf.state(held, name) {
            Ok(State::Ready { .. }) | Err(_) => return Ok(true),
            Ok(State::Absent) => return Ok(false),
            Ok(State::Vacant) => {}
            Ok(State::Deleted) => self.wake_deleted(held, name),
        }
        self.shelf.remove(held, name)?;
        Ok(false)
    }

    /// Wakes who waits at what its deleter has marked, who may have died before it did. If the
    /// region cannot be opened, its files are going already, and those are woken before they go.
    fn wake_deleted(&self, held: Held, name: &str) {
        let Ok(region) = self.shelf.open(held, name) else {
            return;
        };
        match held {
            Held::Queue => {
                if let Ok(place) = region.place(Intent::Open, &Wish::open(name)) {
                    mark_deleted(&region, &place);
                }
            }
            #[cfg(feature = "stream")]
            Held::Stream => {
                let _ = stream::mark_deleted(&region);
            }
            #[cfg(not(feature = "stream"))]
            Held::Stream => {}
        }
    }

    /// Deletes a queue.
    pub fn delete(&self, name: &str) -> Result<(), Error> {
        self.check_name(Held::Queue, name)?;
        self.shelf.turn(|| {
            self.present(name)?.mark_deleted()?;
            lock(&self.open).remove(name);
            self.shelf.remove(Held::Queue, name)
        })
    }

    /// The names of queues that begin with `prefix`, sorted.
    pub fn names(&self, prefix: &str) -> Result<Vec<String>, Error> {
        self.names_of(Held::Queue, prefix)
    }

    /// The names of such things that begin with `prefix`, sorted.
    pub(super) fn names_of(&self, held: Held, prefix: &str) -> Result<Vec<String>, Error> {
        self.shelf.check()?;
        let mut names = self.shelf.names(held)?;
        names.retain(|name| name.starts_with(prefix));
        let half = |name: &String| {
            let state = self.shelf.state(held, name);
            matches!(state, Ok(State::Vacant | State::Deleted | State::Absent))
        };
        if names.iter().any(half) {
            self.shelf.turn(|| {
                let mut there = Vec::new();
                for name in names.drain(..) {
                    if self.finish(held, &name)? {
                        there.push(name);
                    }
                }
                names = there;
                Ok(())
            })?;
        }
        Ok(names)
    }

    /// The queues that are open.
    pub fn opened(&self) -> Vec<Arc<Named<H>>> {
        let open = lock(&self.open);
        open.values().filter_map(Weak::upgrade).collect()
    }

    /// The metadata of a queue that is there.
    pub fn meta(&self, name: &str) -> Result<Meta, Error> {
        self.meta_of(Held::Queue, name)
    }

    /// The metadata of what is there.
    pub(super) fn meta_of(&self, held: Held, name: &str) -> Result<Meta, Error> {
        match self.shelf.card(held, name)? {
            Some(card) => Meta::parse(held, &card),
            None => Ok(Meta::default()), // somebody has removed it
        }
    }

    /// In a turn: sets them.
    pub(super) fn set_meta(&self, held: Held, name: &str, meta: &Meta) -> Result<(), Error> {
        self.shelf.set_card(held, name, &meta.seal(held))
    }

    /// In a turn: finishes everything, and removes what belongs to nothing.
    pub fn settle(&self) -> Result<(), Error> {
        for name in self.shelf.names(Held::Stream)? {
            self.finish(Held::Stream, &name)?;
        }
        for name in self.shelf.names(Held::Queue)? {
            if !self.finish(Held::Queue, &name)? {
                continue;
            }
            if let (Ok(State::Ready { dead_letters }), Ok(meta)) =
                (self.shelf.state(Held::Queue, &name), self.meta(&name))
                && meta.dead_letters.as_ref().map_or(0, |target| target.id) != dead_letters
            {
                let policy = meta.dead_letters.map(|target| (target.id, target.receives));
                self.attach(&name)?.set_dead_letters(policy)?; // who changed it died half-way
            }
        }
        self.shelf.clean()
    }
}

impl<H: Home> Resolver<H> for Shared<H> {
    fn resolve(&self, source: &Named<H>, id: u64) -> Option<Arc<Named<H>>> {
        let _linking = lock(&self.linking);
        let policy = self.meta(source.name()).ok()?.dead_letters?;
        let target = Some(policy).filter(|policy| policy.id == id)?;
        let target = self.attach(&target.name).ok()?;
        if !target.is_sound(id) {
            return None;
        }
        source.link_to(&target);
        Some(target)
    }
}

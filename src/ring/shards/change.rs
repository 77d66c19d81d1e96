//! Changes: how they are begun, prepared, announced and completed.

use super::card::{Card, Known, Name, State, ids, pair, rename};
use super::{Shards, Table};
use crate::ring::log::{Kept, Refusal};
use crate::sync::{AtomicU64, Ordering, store_load};

/// The greatest id.
const ID_MAX: u32 = u32::MAX - 1;

/// The change that is made, or the last one.
#[derive(Debug)]
#[repr(C)]
pub struct Change {
    /// `{ ticket:52, owner:10, step:2 }`
    pub word: AtomicU64,
    /// The ids of its parents, as in a card.
    pub parents: AtomicU64,
    /// Those of its children.
    pub children: AtomicU64,
}

/// What a change is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Idle,
    Preparing,
    Closing,
}

/// Whether this is the word of a change that anybody can complete.
pub(super) fn is_closing(word: u64) -> bool {
    Word(word).step() == Some(Step::Closing)
}

/// The ticket of a word, unless its change is closing.
pub(super) fn version(word: u64) -> Option<u64> {
    (!is_closing(word)).then_some(word >> 12)
}

const OWNER_MASK: u64 = (1 << 10) - 1;

/// A change: `{ ticket:52, owner:10, step:2 }`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Word(u64);

impl Word {
    const fn step(self) -> Option<Step> {
        match self.0 & 3 {
            0 => Some(Step::Idle),
            1 => Some(Step::Preparing),
            2 => Some(Step::Closing),
            _ => None,
        }
    }

    const fn owner(self) -> u32 {
        (self.0 >> 2 & OWNER_MASK) as u32
    }

    /// The same change, a step on.
    const fn at(self, owner: u32, step: Step) -> Self {
        Self(self.0 & !(OWNER_MASK << 2 | 3) | (owner as u64 & OWNER_MASK) << 2 | step as u64)
    }

    /// Idle, with the next ticket.
    const fn over(self) -> Self {
        Self((self.0 | OWNER_MASK << 2 | 3).wrapping_add(1))
    }
}

/// Why there is no change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// Another is prepared: by whom.
    Busy(u32),
    /// This shard is not open.
    NotOpen(u32),
    /// The hash is not inside the shard.
    Point,
    /// The shards are no neighbours.
    Apart,
    /// No place for a child.
    NoPlace,
    /// Somebody has reserved the tail of a parent: who.
    Reserved(u32),
    /// A word is impossible.
    Damaged,
}

fn refused(refusal: Refusal) -> Refused {
    match refusal {
        Refusal::Reserved(owner) => Refused::Reserved(owner),
        _ => Refused::Damaged,
    }
}

impl<'t, T: Table> Shards<'t, T> {
    fn card(&self, id: u32) -> Result<&'t Card, Refused> {
        self.0.card(self.place_of(id)).ok_or(Refused::Damaged)
    }

    /// Goes on with a change that is closing, to its end. Whether there was one.
    pub fn complete(&self) -> Result<bool, Refusal> {
        let change = self.0.change();
        // ORDERING: [reserved], behind an announcement or a release of the caller.
        store_load();
        // ORDERING: Acquire; [announced].
        let word = Word(change.word.load(Ordering::Acquire));
        if word.step() != Some(Step::Closing) {
            return Ok(false);
        }
        // ORDERING: Acquire; [change-read].
        let parents = ids(change.parents.load(Ordering::Acquire));
        let children = ids(change.children.load(Ordering::Acquire));
        if change.word.load(Ordering::Acquire) != word.0 {
            return Ok(true); // it is over
        }
        for parent in parents.into_iter().flatten() {
            self.close(parent)?;
        }
        for child in children.into_iter().flatten() {
            let place = self.place_of(child);
            for parent in parents.into_iter().flatten() {
                self.0.inherit(place, self.place_of(parent));
            }
            let card = self.0.card(place).ok_or(Refusal::Damaged)?;
            rename(card, child, State::Prepared, State::Open);
        }
        let over = word.over();
        // ORDERING: AcqRel; who begins the next change knows what this one has made.
        let _ = change
            .word
            .compare_exchange(word.0, over.0, Ordering::AcqRel, Ordering::Relaxed);
        Ok(true)
    }

    /// Closes the log of a parent, if the place still is the parent's, and names it closed.
    pub fn close(&self, parent: u32) -> Result<(), Refusal> {
        let place = self.place_of(parent);
        let card = self.0.card(place).ok_or(Refusal::Damaged)?;
        let log = self.0.log(place).ok_or(Refusal::Damaged)?;
        match log.close(log.hint(), || card.name().id() == parent) {
            Ok(_) => {}
            Err(Refusal::Moved) => return Ok(()), // long closed
            Err(refusal) => return Err(refusal),
        }
        rename(card, parent, State::Open, State::Closed);
        Ok(())
    }

    /// Splits an open shard: the second child begins at `point`. `is_over` says of a closed shard
    /// in a place that none of its records is kept any more.
    pub fn split(
        &self,
        owner: u32,
        parent: u32,
        point: u128,
        is_over: impl Fn(usize) -> bool,
    ) -> Result<[u32; 2], Refused> {
        let word = self.begin(owner)?;
        let prepared = self.prepare_split(parent, point, is_over);
        self.finish(word, prepared)
    }

    /// Prepares a split that has begun: its children.
    pub fn prepare_split(
        &self,
        parent: u32,
        point: u128,
        is_over: impl Fn(usize) -> bool,
    ) -> Result<[u32; 2], Refused> {
        let known = self.open(parent)?;
        let (first, last) = known.range;
        if point >= last || point.checked_sub(2).is_none_or(|before| before < first) {
            return Err(Refused::Point);
        }
        let parents = pair(Some(parent), None);
        let low = self.prepare((first, point - 1), parents, None, &is_over)?;
        let high = self.prepare((point, last), parents, Some(low), &is_over)?;
        self.enter([Some(parent), None], pair(Some(low), Some(high)))?;
        Ok([low, high])
    }

    /// Merges two open shards that are neighbours, in either order.
    pub fn merge(
        &self,
        owner: u32,
        one: u32,
        other: u32,
        is_over: impl Fn(usize) -> bool,
    ) -> Result<u32, Refused> {
        let word = self.begin(owner)?;
        let prepared = self.prepare_merge(one, other, is_over);
        self.finish(word, prepared)
    }

    /// Prepares a merge that has begun: its child.
    pub fn prepare_merge(
        &self,
        one: u32,
        other: u32,
        is_over: impl Fn(usize) -> bool,
    ) -> Result<u32, Refused> {
        let (one, other) = (self.open(one)?, self.open(other)?);
        let (low, high) = match one.range.0 < other.range.0 {
            true => (one, other),
            false => (other, one),
        };
        if low.range.1.checked_add(1) != Some(high.range.0) {
            return Err(Refused::Apart);
        }
        let parents = [Some(low.id), Some(high.id)];
        let range = (low.range.0, high.range.1);
        let child = self.prepare(range, pair(parents[0], parents[1]), None, &is_over)?;
        self.enter(parents, pair(Some(child), None))?;
        Ok(child)
    }

    /// Begins a change: its word. A change that is closing is completed before.
    pub fn begin(&self, owner: u32) -> Result<Word, Refused> {
        let change = self.0.change();
        loop {
            // ORDERING: Acquire; [opened].
            let word = Word(change.word.load(Ordering::Acquire));
            match word.step().ok_or(Refused::Damaged)? {
                Step::Preparing => return Err(Refused::Busy(word.owner())),
                Step::Closing => {
                    self.complete().map_err(refused)?;
                    continue;
                }
                Step::Idle => {}
            }
            let mine = word.at(owner, Step::Preparing);
            // ORDERING: AcqRel; one prepares, and knows what was made before.
            if change
                .word
                .compare_exchange(word.0, mine.0, Ordering::AcqRel, Ordering::Relaxed)
                .is_ok()
            {
                return Ok(mine);
            }
        }
    }

    /// Completes what is prepared; or ends the change, if that was refused.
    fn finish<C>(&self, word: Word, prepared: Result<C, Refused>) -> Result<C, Refused> {
        match prepared {
            Ok(children) => {
                self.announce(word)?;
                match self.complete() {
                    // Whoever has reserved a parent meanwhile gives it back and completes.
                    Ok(_) | Err(Refusal::Reserved(_)) => Ok(children),
                    Err(refusal) => Err(refused(refusal)),
                }
            }
            Err(refused) => {
                self.step_on(word, word.over())?;
                Err(refused)
            }
        }
    }

    /// Lets anybody complete what is prepared.
    pub fn announce(&self, word: Word) -> Result<(), Refused> {
        self.step_on(word, word.at(word.owner(), Step::Closing))
    }

    /// It fails only if somebody took the owner of the change for dead.
    fn step_on(&self, from: Word, to: Word) -> Result<(), Refused> {
        let word = &self.0.change().word;
        // ORDERING: AcqRel; [announced], [opened].
        match word.compare_exchange(from.0, to.0, Ordering::AcqRel, Ordering::Relaxed) {
            Ok(_) => Ok(()),
            Err(_) => Err(Refused::Damaged),
        }
    }

    /// Whether a change has begun: for who has just reserved the tail of a shard. Then it gives
    /// that back, and [completes](Self::complete).
    pub fn is_changing(&self) -> bool {
        // ORDERING: [reserved], behind the reservation.
        store_load();
        let word = Word(self.0.change().word.load(Ordering::Acquire));
        word.step() != Some(Step::Idle)
    }

    /// A shard that is open.
    fn open(&self, id: u32) -> Result<Known, Refused> {
        let known = self.card(id)?.known();
        known
            .filter(|known| known.id == id && known.is_open)
            .ok_or(Refused::NotOpen(id))
    }

    /// Takes a place for a child, other than that of its sibling.
    fn prepare(
        &self,
        range: (u128, u128),
        parents: u64,
        sibling: Option<u32>,
        is_over: &impl Fn(usize) -> bool,
    ) -> Result<u32, Refused> {
        let places = self.0.places();
        let sibling = sibling.map(|id| self.place_of(id));
        for place in (0..places).filter(|place| Some(*place) != sibling) {
            let card = self.0.card(place).ok_or(Refused::Damaged)?;
            let log = self.0.log(place).ok_or(Refused::Damaged)?;
            let name = card.name();
            let id = match name.state() {
                State::Open => continue,
                State::Vacant => Some(place as u32),
                State::Closed if !is_over(place) => continue,
                State::Closed | State::Prepared => name.id().checked_add(places as u32),
            };
            let Some(id) = id.filter(|id| *id <= ID_MAX) else {
                continue;
            };
            // ORDERING: Release; [renamed] is what follows.
            card.name
                .store(Name::new(id, State::Prepared).0, Ordering::Release);
            match log.reopen() {
                Ok(begin) => card.describe(range, parents, begin),
                Err(Kept::Damaged) => return Err(Refused::Damaged),
                Err(_) => continue, // somebody reads there still
            }
            return Ok(id);
        }
        Err(Refused::NoPlace)
    }

    /// Writes who is in the change, unless somebody has reserved a parent.
    fn enter(&self, parents: [Option<u32>; 2], children: u64) -> Result<(), Refused> {
        // ORDERING: [reserved], behind the begin.
        store_load();
        for parent in parents.into_iter().flatten() {
            let card = self.card(parent)?;
            let log = self.0.log(self.place_of(parent)).ok_or(Refused::Damaged)?;
            if let Some(owner) = log.reserved(log.hint()).map_err(refused)? {
                return Err(Refused::Reserved(owner));
            }
            // ORDERING: Release; by [announced] it is there when the parent is closed.
            card.children.store(children, Ordering::Release);
        }
        let change = self.0.change();
        // ORDERING: Release; [change-read].
        let parents = pair(parents[0], parents[1]);
        change.parents.store(parents, Ordering::Release);
        change.children.store(children, Ordering::Release);
        Ok(())
    }

    /// Ends or completes the change of an owner that is dead: the caller has proof of it.
    #[cfg(any(feature = "mapped", ringmain_loom))] // elsewhere nobody dies alone
    pub fn repair(&self, owner: u32) {
        let change = self.0.change();
        // ORDERING: Acquire; [announced].
        let word = Word(change.word.load(Ordering::Acquire));
        if word.owner() != owner {
            return;
        }
        match word.step() {
            // Another repairer may be faster.
            Some(Step::Preparing) => drop(self.step_on(word, word.over())),
            // Whoever meets it next says what is damaged.
            Some(Step::Closing) => drop(self.complete()),
            _ => {}
        }
    }
}

//! The shards of a stream: to which one a hash belongs, and how they are split and merged.
//!
//! A stream has *places* for shards, a fixed number. Each shard has an *id*, which names its place:
//! `id % places`. The ids of a place grow, so none is used twice.
//!
//! # States of a place
//!
//! Its *name* is `{ id:32, state:2 }`:
//!
//! - *vacant*: nobody has used it yet.
//! - *prepared*: a shard that takes no records yet, or never will.
//! - *open*: a shard that takes records.
//! - *closed*: a shard that takes none any more. They can be read as long as they are kept.
//!
//! # A change
//!
//! A split or a merge is a *change*: it closes its *parents* and opens its *children*. There is one
//! at a time, in a word `{ ticket:52, owner:10, step:2 }`:
//!
//! - *Begin*: idle to preparing, by one exchange of who wants the change, its owner.
//! - *Prepare*: the owner alone. It sees that the parents are open; takes a place for each child,
//!   which is vacant, or prepared and left, or closed with all its records over; names it prepared;
//!   and then writes what it is and [reopens](Log::reopen) its log.
//! - *Announce*: preparing to closing, by the owner. From here on anybody can go on.
//! - *Complete*: each parent's log is closed, and then it is named closed. Then each child gets the
//!   time of its parents, and is named open. Then the change is idle, with the next ticket.
//!
//! # What holds
//!
//! - A child is open only after the logs of all its parents are closed. So a record that is put in
//!   a child was put after all of its key that are in a parent, and who reads parents to the end
//!   before children reads each key in order.
//! - While a change is idle or preparing, the ranges of the open shards are all hashes, each once.
//! - A record is claimed only in a shard that was open when it was chosen, and only while the place
//!   still has its name: `claim` asks once more between finding the tail and the exchange. If what
//!   it has found was a boundary of a later shard of the place, it knows that shard's name,
//!   `[renamed]`; and then it is refused and chosen anew. So each record is in a shard whose range
//!   has its hash.
//!
//! # Races
//!
//! - *Several who complete*: each step is an exchange from what the change has made to what it
//!   makes, with the id in it. Who is late fails at each, also when the place has another shard by
//!   now: a log is closed only while its place has the parent's name, asked as `claim` does.
//! - *Who completes reads parents and children of a change that is over*: it looks at the word
//!   again after it has read them; the next change writes them only after it has begun,
//!   `[change-read]`.
//! - *A reader against a later shard of the place*: a place that a reader has found in its shard stays
//!   its shard's. Before the log is reopened its floor moves beyond the end; so the reader is
//!   refused as one that has fallen behind, or its pin is seen and the place is not taken. Whatever
//!   it finds anew, by the floor or the tail, is its shard's if the name is the same afterwards.
//! - *A writer finds the log closed, and nobody has opened the children*: it completes the change
//!   itself, and chooses again.
//!
//! # Deaths
//!
//! - While preparing: nothing has changed for anybody. Who has proof of the death makes the change
//!   idle; what was prepared is left, and the next change takes such places.
//! - While closing: whoever meets a closed log, repairs or begins the next change completes it.
//!
//! # Edges
//!
//! - `[renamed]`: a place's name is stored before the rest of its card and before its log is
//!   reopened, each of which releases; who sees one of these acquires it, and then sees the name.
//! - `[announced]`: the announcement releases, who completes acquires: what was prepared is there.
//! - `[opened]`: naming a child open releases, who chooses it acquires: its card, its log, and that
//!   its parents' logs are closed.
//! - `[change-read]`: the begin of a change is stored before its parents and children, which
//!   release; who reads these acquires them, and then the word.
//!
//! # Progress
//!
//! Choosing and completing are lock-free. Begin is refused while another prepares, which is bounded
//! work unless its owner dies; it holds up no record.

use super::log::{Kept, Log, Position, Refusal};
use crate::sync::{AtomicU64, Ordering};

/// The most ids.
const ID_MAX: u32 = u32::MAX - 1;

/// What is known of a place.
#[derive(Debug)]
#[repr(C)]
pub struct Card {
    /// `{ id:32, state:2 }`
    pub name: AtomicU64,
    /// Where the shard's log begins.
    pub begin: AtomicU64,
    /// The first and the last hash, each low half first.
    pub range: [AtomicU64; 4],
    /// The ids of up to two parents, each and one, the first one in the low half.
    pub parents: AtomicU64,
    /// Those of up to two children, once it is closed; the first one has the lower hashes.
    pub children: AtomicU64,
}

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

/// What a place is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Never used.
    Vacant,
    /// Takes no records yet.
    Prepared,
    /// Takes records.
    Open,
    /// Takes none any more.
    Closed,
}

/// `{ id:32, state:2 }`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Name(pub u64);

impl Name {
    /// The name of a shard in a state.
    pub const fn new(id: u32, state: State) -> Self {
        Self((id as u64) << 2 | state as u64)
    }

    /// The shard.
    #[inline(always)]
    pub const fn id(self) -> u32 {
        (self.0 >> 2) as u32
    }

    /// What it is.
    #[inline(always)]
    pub const fn state(self) -> State {
        match self.0 & 3 {
            0 => State::Vacant,
            1 => State::Prepared,
            2 => State::Open,
            _ => State::Closed,
        }
    }
}

/// What a change is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Idle,
    Preparing,
    Closing,
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

/// Up to two ids as a word.
const fn pair(first: Option<u32>, second: Option<u32>) -> u64 {
    const fn half(id: Option<u32>) -> u64 {
        match id {
            Some(id) => id as u64 + 1,
            None => 0,
        }
    }
    half(first) | half(second) << 32
}

/// The ids in a word.
fn ids(pair: u64) -> [Option<u32>; 2] {
    [pair as u32, (pair >> 32) as u32].map(|half| half.checked_sub(1))
}

/// The words of a stream's places.
pub trait Table {
    /// How many there are; at least 1.
    fn places(&self) -> usize;
    /// The word of the change, and who is in it.
    fn change(&self) -> &Change;
    /// The card of a place.
    fn card(&self, place: usize) -> Option<&Card>;
    /// The log of a place.
    fn log(&self, place: usize) -> Option<Log<'_>>;
    /// Makes the time of the records of one place no earlier than that of another's.
    fn inherit(&self, child: usize, parent: usize);
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
    /// A word is impossible.
    Damaged,
}

/// A shard that is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known {
    /// Which one.
    pub id: u32,
    /// Whether it takes records.
    pub is_open: bool,
    /// Its first and last hash.
    pub range: (u128, u128),
    /// Its parents.
    pub parents: [Option<u32>; 2],
    /// Its children, if it is closed.
    pub children: [Option<u32>; 2],
    /// Where its log begins.
    pub begin: Position,
}

impl Card {
    /// The name.
    #[inline(always)]
    pub fn name(&self) -> Name {
        // ORDERING: Acquire; [opened].
        Name(self.name.load(Ordering::Acquire))
    }

    /// The first and the last hash.
    #[inline(always)]
    fn range(&self) -> (u128, u128) {
        // ORDERING: Acquire; [renamed].
        let half = |n: usize| u128::from(self.range[n].load(Ordering::Acquire));
        (half(0) | half(1) << 64, half(2) | half(3) << 64)
    }

    /// The open shard that is here, if the hash is in its range.
    #[inline(always)]
    pub fn takes(&self, hash: u128) -> Option<u32> {
        let name = self.name();
        let (first, last) = self.range();
        let takes = name.state() == State::Open && first <= hash && hash <= last;
        takes.then_some(name.id())
    }

    /// What is here, unless it is becoming something else.
    pub fn known(&self) -> Option<Known> {
        let name = self.name();
        if matches!(name.state(), State::Vacant | State::Prepared) {
            return None;
        }
        let is_open = name.state() == State::Open;
        // ORDERING: Acquire; [renamed].
        let load = |word: &AtomicU64| word.load(Ordering::Acquire);
        let known = Known {
            id: name.id(),
            is_open,
            range: self.range(),
            parents: ids(load(&self.parents)),
            children: match is_open {
                true => [None; 2],
                false => ids(load(&self.children)),
            },
            begin: Position(load(&self.begin)),
        };
        (self.name().id() == known.id).then_some(known)
    }

    /// Makes one of this place in memory that nobody else uses.
    pub fn first(id: Option<u32>, (first, last): (u128, u128)) -> Self {
        let word = AtomicU64::new;
        let name = id.map_or(Name(0), |id| Name::new(id, State::Open));
        Self {
            name: word(name.0),
            begin: word(Position::FIRST.0),
            range: [
                word(first as u64),
                word((first >> 64) as u64),
                word(last as u64),
                word((last >> 64) as u64),
            ],
            parents: word(0),
            children: word(0),
        }
    }

    /// Writes what a prepared shard is.
    fn describe(&self, range: (u128, u128), parents: u64, begin: Position) {
        let (first, last) = range;
        let halves = [first, first >> 64, last, last >> 64];
        // ORDERING: Release; [renamed].
        for (word, half) in self.range.iter().zip(halves) {
            word.store(half as u64, Ordering::Release);
        }
        self.parents.store(parents, Ordering::Release);
        self.children.store(0, Ordering::Release);
        self.begin.store(begin.0, Ordering::Release);
    }
}

/// The places of a stream.
#[derive(Debug, Clone, Copy)]
pub struct Shards<'t, T: Table>(pub &'t T);

impl<'t, T: Table> Shards<'t, T> {
    /// The place of a shard.
    #[inline(always)]
    pub fn place_of(&self, id: u32) -> usize {
        id as usize % self.0.places()
    }

    fn card(&self, id: u32) -> Result<&'t Card, Refused> {
        self.0.card(self.place_of(id)).ok_or(Refused::Damaged)
    }

    /// The open shard to which a hash belongs: its place and id. A look at all places, again if the
    /// shards change meanwhile; it completes a change that is closing.
    #[cold]
    pub fn find(&self, hash: u128) -> Result<(usize, u32), Refusal> {
        let table: &'t T = self.0;
        loop {
            // ORDERING: Acquire; [opened]: what the change before has made is there.
            let before = table.change().word.load(Ordering::Acquire);
            let takes = |place| Some((place, table.card(place)?.takes(hash)?));
            if let Some(found) = (0..table.places()).find_map(takes) {
                return Ok(found);
            }
            let completed = self.complete()?;
            // ORDERING: Acquire, behind the loads of all cards; [opened].
            if !completed && table.change().word.load(Ordering::Acquire) == before {
                return Err(Refusal::Damaged);
            }
        }
    }

    /// Goes on with a change that is closing, to its end. Whether there was one.
    pub fn complete(&self) -> Result<bool, Refusal> {
        let change = self.0.change();
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
                    self.complete().map_err(|_| Refused::Damaged)?;
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
                self.complete().map_err(|_| Refused::Damaged)?;
                Ok(children)
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

    /// Writes who is in the change.
    fn enter(&self, parents: [Option<u32>; 2], children: u64) -> Result<(), Refused> {
        for parent in parents.into_iter().flatten() {
            let card = self.card(parent)?;
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

/// Names a shard anew, unless somebody has.
fn rename(card: &Card, id: u32, from: State, to: State) {
    // ORDERING: AcqRel; [opened].
    let _ = card.name.compare_exchange(
        Name::new(id, from).0,
        Name::new(id, to).0,
        Ordering::AcqRel,
        Ordering::Relaxed,
    );
}

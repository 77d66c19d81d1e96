//! Receive attempts: what a call received that has an id, so that the same call again gets it too.
//!
//! # Protocol
//!
//! The table is made of sets of [`WAYS`] entries; an id's hash says which set may have it. One word
//! a set, `{ version:56, members:8 }`, says which of its entries count.
//!
//! ```text
//!            claim                    enter, receive, record
//!   Free ------------> Claimed ---------------------------------> Live
//!    ^                  |  ^                                       |
//!    | leave, give up   |  |  the same id again; or it is over     |
//!    +------------------+  +---------------------------------------+
//! ```
//!
//! - *Claimed* names its owner, who alone writes the entry. Who finds the id in a member that is
//!   Claimed receives nothing: another call with it is under way.
//! - *Live* is a member. It has the holds of the latest call with its id, each as its slot, the
//!   message's stamp and the generation of the receive.
//!
//! An entry becomes a member by one compare-exchange on the set's word, from what it was before the
//! members were searched for the id. So of two calls that bring an id at once one enters, and the
//! other finds it, `[entered-once]`. An entry leaves before its id is written anew. Its state has a
//! version, so who claims what was Live claims the id that was compared.
//!
//! A call that finds its id *takes over* the holds, in their order, as long as they stand: a hold
//! stands while its message is held under that generation and its time is not over. Whether its
//! receiver still reads it, has extended or detached it, does not matter. Each takeover is one
//! compare-exchange from Held to Held: a new receive, with a generation of its own. The former
//! holder is named in a cell as if its time were over (`region::pins`), so of two handles of a
//! message one alone is that of its hold. The message is never ready in between, so its group stays
//! locked, and to those who look for a turn it is what an extension is (`turn`). A hold is recorded
//! when its turn has been looked at for the last time, so none is taken away from a turn that has
//! just begun.
//!
//! An entry whose first hold stands no longer is over, as one is after [`KEPT_MS`]: it gives what
//! no entry would, and may be used for another id. So a table is full only of attempts whose
//! messages are in flight.
//!
//! # Deaths
//!
//! What a dead owner held comes back by repair, recorded or not. An entry that it had claimed
//! leaves its set and is free: who repairs makes the entry its own before, so that of two repairs
//! the later one lets the entry's next life alone.

use super::ids::IdKey;
use super::layout::ID_WORDS;
use super::turn::{TURN_MAX, Turn};
use crate::error::Error;
use crate::region::arena::{Hold, NO_GROUP, stamp_generation};
use crate::region::pins::Unnamed;
use crate::region::store::Store;
use crate::region::word::{GENERATIONS, PIN_CELLS, Word};
use crate::sync::{AtomicU64, Ordering};
use heapless::Vec;

/// Entries of a set.
pub const WAYS: usize = if cfg!(ringmain_loom) { 2 } else { 8 };
/// For how long an attempt is kept, ms.
pub const KEPT_MS: u64 = 300_000;

/// A receive, as an attempt keeps it.
#[derive(Debug)]
#[repr(C)]
pub struct Recorded {
    /// `{ 0:14, generation:18, slot:32 }`
    pub place: AtomicU64,
    /// The message's stamp.
    pub stamp: AtomicU64,
}

/// An attempt.
#[derive(Debug)]
#[cfg_attr(all(not(ringmain_loom), not(target_os = "none")), repr(C, align(128)))]
#[cfg_attr(any(ringmain_loom, target_os = "none"), repr(C))]
pub struct Attempt {
    /// `{ phase:2, owner:10, count:4, version:48 }`
    pub state: AtomicU64,
    /// Until when it is kept, ms.
    pub until_ms: AtomicU64,
    /// Its id, or the digest of it.
    pub key: [AtomicU64; ID_WORDS],
    /// What it received: as many as the state counts.
    pub holds: [Recorded; TURN_MAX],
}

#[cfg(all(not(ringmain_loom), not(target_os = "none")))]
const _: () = assert!(size_of::<Attempt>() == 256);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Free,
    Claimed,
    Live,
}

/// `{ phase:2, owner:10, count:4, version:48 }`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct State(u64);

const VERSION_MASK: u64 = (1 << 48) - 1;

impl State {
    const fn phase(self) -> Phase {
        match self.0 >> 62 {
            0 => Phase::Free,
            1 => Phase::Claimed,
            _ => Phase::Live,
        }
    }

    const fn owner(self) -> u32 {
        ((self.0 >> 52) & 1023) as u32
    }

    const fn count(self) -> usize {
        ((self.0 >> 48) & 15) as usize
    }

    const fn then(self, phase: Phase, owner: u32, count: usize) -> Self {
        let version = self.0.wrapping_add(1) & VERSION_MASK;
        let (owner, count) = ((owner & 1023) as u64, (count & 15) as u64);
        Self((phase as u64) << 62 | owner << 52 | count << 48 | version)
    }
}

impl Attempt {
    /// One that was never used.
    #[cfg(ringmain_loom)]
    pub fn new() -> Self {
        Self {
            state: AtomicU64::new(0),
            until_ms: AtomicU64::new(0),
            key: core::array::from_fn(|_| AtomicU64::new(0)),
            holds: core::array::from_fn(|_| Recorded {
                place: AtomicU64::new(0),
                stamp: AtomicU64::new(0),
            }),
        }
    }

    /// One that was never used.
    #[cfg(all(feature = "fifo", not(ringmain_loom)))]
    pub const fn new() -> Self {
        Self {
            state: AtomicU64::new(0),
            until_ms: AtomicU64::new(0),
            key: [const { AtomicU64::new(0) }; ID_WORDS],
            holds: [const {
                Recorded {
                    place: AtomicU64::new(0),
                    stamp: AtomicU64::new(0),
                }
            }; TURN_MAX],
        }
    }

    fn state(&self) -> State {
        State(self.state.load(Ordering::Acquire))
    }

    /// Changes the state if it is still `seen`; the new one.
    fn change(&self, seen: State, next: State) -> Option<State> {
        // ORDERING: AcqRel; a claim acquires what the owner before it wrote.
        let (done, failed) = (Ordering::AcqRel, Ordering::Relaxed);
        let changed = self.state.compare_exchange(seen.0, next.0, done, failed);
        changed.is_ok().then_some(next)
    }

    fn is(&self, key: &IdKey) -> bool {
        let mut words = self.key.iter().zip(key.words);
        words.all(|(word, key)| word.load(Ordering::Acquire) == key)
    }

    fn write_key(&self, key: &IdKey) {
        for (word, key) in self.key.iter().zip(key.words) {
            // ORDERING: Release; who reads it of a set's old members sees that the entry has left.
            word.store(key, Ordering::Release);
        }
    }

    /// Whether its time is over. One that lies further ahead than any may is damage.
    fn is_over(&self, now_ms: u64) -> bool {
        let until_ms = self.until_ms.load(Ordering::Relaxed);
        until_ms <= now_ms || until_ms - now_ms > 2 * KEPT_MS
    }

    fn hold(&self, at: usize, slots: usize) -> Option<Hold> {
        let recorded = self.holds.get(at)?;
        let place = recorded.place.load(Ordering::Relaxed);
        let stamp = recorded.stamp.load(Ordering::Relaxed);
        let (index, generation) = (place as u32, (place >> 32) & (GENERATIONS - 1));
        // A hold of the message's send is no receive: both are damage.
        let sound = (index as usize) < slots && generation != stamp_generation(stamp);
        sound.then_some(Hold {
            index,
            group: NO_GROUP,
            word: Word::held(0, generation, 0, false, 0),
            stamp,
        })
    }
}

/// The table.
#[derive(Debug, Clone, Copy)]
pub struct Attempts<'a> {
    /// One word a set.
    pub sets: &'a [AtomicU64],
    /// The entries of all sets.
    pub entries: &'a [Attempt],
}

/// A set of the table.
#[derive(Debug, Clone, Copy)]
struct Set<'a> {
    word: &'a AtomicU64,
    entries: &'a [Attempt],
}

/// An entry that the caller has claimed. It ends with [`end_attempt`](Store::end_attempt) or
/// [`resume_attempt`](Store::resume_attempt).
#[derive(Debug, Clone, Copy)]
#[must_use]
pub struct Claim<'a> {
    set: Set<'a>,
    way: usize,
    state: State,
    /// How many holds it has that may stand.
    count: usize,
}

/// What came of beginning an attempt.
#[derive(Debug)]
pub enum Begun<'a> {
    /// It is the caller's.
    Claimed(Claim<'a>),
    /// Another call with this id is under way.
    Busy,
    /// All entries in which it may be are those of attempts that others may repeat.
    Full,
}

impl<'a> Attempts<'a> {
    fn set(&self, index: usize) -> Option<Set<'a>> {
        let entries = self.entries.get(index * WAYS..)?.get(..WAYS)?;
        let word = self.sets.get(index)?;
        Some(Set { word, entries })
    }

    fn set_of(&self, hash: u64) -> Option<Set<'a>> {
        let sets = self.sets.len().max(1) as u64;
        self.set((hash % sets) as usize)
    }
}

impl Set<'_> {
    fn exchange(&self, seen: u64, members: u64) -> bool {
        let next = (seen >> WAYS).wrapping_add(1) << WAYS | members;
        // ORDERING: AcqRel; [entered-once] who sees a member sees its id.
        let (done, failed) = (Ordering::AcqRel, Ordering::Relaxed);
        self.word.compare_exchange(seen, next, done, failed).is_ok()
    }

    /// The member with this id, and its state before it was compared.
    fn find(&self, seen: u64, key: &IdKey) -> Option<(usize, State)> {
        for (way, entry) in self.entries.iter().enumerate() {
            let state = entry.state();
            if seen & (1 << way) != 0 && state.phase() != Phase::Free && entry.is(key) {
                return Some((way, state));
            }
        }
        None
    }

    /// Makes an entry, which the caller has claimed, no member.
    fn leave(&self, way: usize) {
        loop {
            let seen = self.word.load(Ordering::Acquire);
            let members = seen & ((1 << WAYS) - 1);
            if seen & (1 << way) == 0 || self.exchange(seen, members & !(1 << way)) {
                return;
            }
        }
    }

    /// Makes an entry free that the caller has claimed.
    fn free(&self, way: usize, state: State) {
        self.leave(way);
        self.entries[way].change(state, state.then(Phase::Free, 0, 0));
    }
}

impl<'a> Store<'a> {
    /// Begins an attempt, or another one with the same id.
    ///
    /// # Progress
    ///
    /// Lock-free: it begins anew when another id has entered the set, or left it.
    pub fn begin_attempt(&self, key: &IdKey, now_ms: u64, owner: u32) -> Begun<'a> {
        let Some(set) = self.attempts().set_of(key.hash) else {
            return Begun::Full;
        };
        let mut made: Option<(usize, State)> = None;
        loop {
            // ORDERING: Acquire; [entered-once] what the members were when they entered is seen.
            let seen = set.word.load(Ordering::Acquire);
            if let Some((way, state)) = set.find(seen, key) {
                if let Some((way, state)) = made.take() {
                    set.free(way, state);
                }
                let entry = &set.entries[way];
                if state.phase() == Phase::Claimed {
                    return Begun::Busy;
                }
                let over = entry.is_over(now_ms);
                let claimed = state.then(Phase::Claimed, owner, 0);
                let Some(claimed) = entry.change(state, claimed) else {
                    continue;
                };
                return Begun::Claimed(Claim {
                    set,
                    way,
                    state: claimed,
                    count: if over { 0 } else { state.count() },
                });
            }
            let Some((way, state)) = made.or_else(|| self.claim_way(&set, key, now_ms, owner))
            else {
                return Begun::Full;
            };
            made = Some((way, state));
            let members = seen & ((1 << WAYS) - 1);
            if set.exchange(seen, members | 1 << way) {
                return Begun::Claimed(Claim {
                    set,
                    way,
                    state,
                    count: 0,
                });
            }
        }
    }

    /// Claims an entry that nobody needs, and writes the id into it.
    fn claim_way(
        &self,
        set: &Set<'_>,
        key: &IdKey,
        now_ms: u64,
        owner: u32,
    ) -> Option<(usize, State)> {
        for (way, entry) in set.entries.iter().enumerate() {
            let seen = entry.state();
            let usable = match seen.phase() {
                Phase::Free => true,
                Phase::Claimed => false,
                Phase::Live => entry.is_over(now_ms) || !self.is_standing(entry, now_ms),
            };
            // What was looked at is that of this state, if it is still the same.
            let claimed = seen.then(Phase::Claimed, owner, 0);
            if usable && let Some(claimed) = entry.change(seen, claimed) {
                set.leave(way);
                entry.write_key(key);
                return Some((way, claimed));
            }
        }
        None
    }

    /// Whether the first hold of an attempt stands.
    fn is_standing(&self, entry: &Attempt, now_ms: u64) -> bool {
        let first = entry.hold(0, self.words().len());
        first.is_some_and(|first| self.in_flight(&first, now_ms).is_ok())
    }

    /// What the latest call of an attempt received.
    pub fn recorded(&self, claim: &Claim<'_>) -> Vec<Hold, TURN_MAX> {
        let entry = &claim.set.entries[claim.way];
        let slots = self.words().len();
        (0..claim.count.min(TURN_MAX))
            .map_while(|at| entry.hold(at, slots))
            .collect()
    }

    /// Receives a message that is in flight in place of its holder. `None`: that hold stands no
    /// longer. The block's bound is the caller's to lower.
    ///
    /// # Errors
    ///
    /// [`Error::Pinned`]: its holder reads it, and both cells of former holders are in use.
    ///
    /// # Progress
    ///
    /// Lock-free.
    pub fn take_over(&self, former: &Hold, turn: &Turn) -> Result<Option<Hold>, Error> {
        let index = former.index as usize;
        let last = stamp_generation(former.stamp).wrapping_sub(1) & (GENERATIONS - 1);
        loop {
            let Ok(seen) = self.in_flight(former, turn.now_ms) else {
                return Ok(None);
            };
            if seen.generation() == last {
                return Ok(None); // the count has stopped: two receives could not be told apart
            }
            let mut pins = seen.pins();
            if seen.is_borrowed() {
                match self.pin_former(index, seen) {
                    Ok(pin) => pins |= pin,
                    Err(Unnamed::Changed) => continue,
                    Err(Unnamed::Full) => return Err(Error::Pinned { max: PIN_CELLS }),
                }
            }
            let due_ms = turn.due_at_ms.saturating_sub(former.sent_ms());
            let generation = seen.generation() + 1;
            let held = Word::held(turn.owner, generation, pins, turn.borrowed, due_ms);
            // ORDERING: SeqCst: as in `extend`, and publishes the former holder's cell.
            let word = &self.words()[index];
            let won = word.compare_exchange(seen.0, held.0, Ordering::SeqCst, Ordering::Relaxed);
            if won.is_ok() {
                return Ok(Some(Hold {
                    word: held,
                    ..*former
                }));
            }
        }
    }

    /// Ends a call: records what it received, for the next one with its id. With `until_ms` it was
    /// the first. Nothing is kept of a call that received nothing.
    pub fn end_attempt(
        &self,
        claim: Claim<'_>,
        holds: impl Iterator<Item = Hold>,
        until_ms: Option<u64>,
    ) {
        let entry = &claim.set.entries[claim.way];
        let mut count = 0;
        for (hold, recorded) in holds.zip(&entry.holds) {
            let place = hold.word.generation() << 32 | u64::from(hold.index);
            recorded.place.store(place, Ordering::Relaxed);
            recorded.stamp.store(hold.stamp, Ordering::Relaxed);
            count += 1;
        }
        if count == 0 {
            return claim.set.free(claim.way, claim.state);
        }
        if let Some(until_ms) = until_ms {
            entry.until_ms.store(until_ms, Ordering::Relaxed);
        }
        entry.change(claim.state, claim.state.then(Phase::Live, 0, count));
    }

    /// Ends a call that has taken nothing over: the attempt is as it was.
    pub fn resume_attempt(&self, claim: Claim<'_>) {
        let entry = &claim.set.entries[claim.way];
        entry.change(claim.state, claim.state.then(Phase::Live, 0, claim.count));
    }

    /// Forgets the attempts that nobody is at: a purge.
    pub fn forget_attempts(&self, owner: u32) {
        self.end_attempts(owner, &|state| state.phase() == Phase::Live);
    }

    /// Ends what dead owners were at. The caller has proof that they are dead.
    pub fn mend_attempts(&self, dead: &dyn Fn(u32) -> bool, owner: u32) {
        let theirs = |state: State| state.phase() == Phase::Claimed && dead(state.owner());
        self.end_attempts(owner, &theirs);
    }

    fn end_attempts(&self, owner: u32, which: &dyn Fn(State) -> bool) {
        let table = self.attempts();
        for set in (0..table.sets.len()).filter_map(|index| table.set(index)) {
            for (way, entry) in set.entries.iter().enumerate() {
                let seen = entry.state();
                let claimed = seen.then(Phase::Claimed, owner, 0);
                if which(seen)
                    && let Some(claimed) = entry.change(seen, claimed)
                {
                    set.free(way, claimed);
                }
            }
        }
    }
}

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
//! - *A reader against a later shard of the place*: a position that a reader has found in its shard
//!   stays its shard's. Before the log is reopened its floor moves beyond the end; so the reader is
//!   refused as one that has fallen behind, or its pin is seen and the place is not taken. What it
//!   finds anew, by the floor or the tail, is its shard's if the name is the same afterwards.
//! - *A writer finds the log closed, and nobody has opened the children*: it completes the change
//!   itself, and chooses again.
//!
//! - *A change against who [reserves](Log::reserve) the tail of a parent*: the one begins a
//!   change and then looks whether the tail is reserved, the other reserves and then looks whether
//!   a change has begun. One of the two sees the other, `[reserved]`: the change is refused, or the
//!   tail is given back, or both. So no parent of an announced change is reserved but by one that
//!   is about to give it back, and then completes.
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
//! - `[reserved]`: `SeqCst` fences, of "begin, look at the tail" and "reserve, look at the change";
//!   and of "announce, look at the tail" and "release, look at the change".
//! - `[change-read]`: the begin of a change is stored before its parents and children, which
//!   release; who reads these acquires them, and then the word.
//!
//! # Progress
//!
//! Choosing and completing are lock-free. Begin is refused while another prepares, which is bounded
//! work unless its owner dies; it holds up no record.

mod card;
mod change;

pub use card::Card;
#[cfg(any(feature = "mapped", ringmain_loom))]
pub use card::{Name, State};
pub use change::{Change, Refused};

use super::log::{Log, Refusal};
use crate::sync::Ordering;

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

/// The places of a stream.
#[derive(Debug, Clone, Copy)]
pub struct Shards<'t, T: Table>(pub &'t T);

impl<'t, T: Table> Shards<'t, T> {
    /// The place of a shard.
    #[inline(always)]
    pub fn place_of(&self, id: u32) -> usize {
        id as usize % self.0.places()
    }

    /// What the open shards are, as a number that grows with each change: as long as it is the
    /// same, so are they. `None` while a change is closing: [`complete`](Self::complete) it.
    #[inline(always)]
    pub fn version(&self) -> Option<u64> {
        // ORDERING: Acquire; [opened]: what the change before has made is there. Who has seen what
        // a later one has made sees, behind that, that it was announced at least.
        change::version(self.0.change().word.load(Ordering::Acquire))
    }

    /// The open shard to which a hash belongs: its place and id, by a look at all places. `None` if
    /// the shards have changed meanwhile, or are changing: [`complete`](Self::complete), and look
    /// again.
    #[cold]
    pub fn find(&self, hash: u128) -> Result<Option<(usize, u32)>, Refusal> {
        let table: &'t T = self.0;
        let word = &table.change().word;
        // ORDERING: Acquire; [opened]: what the change before has made is there.
        let before = word.load(Ordering::Acquire);
        let takes = |place| Some((place, table.card(place)?.takes(hash)?));
        let found = (0..table.places()).find_map(takes);
        // ORDERING: Acquire, behind the loads of all cards; [opened].
        let is_still = word.load(Ordering::Acquire) == before && !change::is_closing(before);
        match found {
            None if is_still => Err(Refusal::Damaged),
            found => Ok(found),
        }
    }
}

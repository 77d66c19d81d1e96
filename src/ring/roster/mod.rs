//! The roster of a stream: who is registered there by name, each name once.
//!
//! A fixed number of *seats*, each for one name. A seat's *word* is
//! `{ generation:52, owner:10, state:2 }`; beside it lie the name, and what else is told of it.
//!
//! # States of a seat
//!
//! - *vacant*: nobody's; the next one who wants a seat may have it.
//! - *claimed*: its owner writes a name there, which nobody looks at.
//! - *registered*: the name counts. Nothing of the seat changes but its word.
//!
//! # A change
//!
//! The registered names change at one point: the *roster's word*, `{ ticket:54, seat:8, step:2 }`.
//! It is idle, adding or removing; each change has a ticket of its own, and they grow.
//!
//! - *Register*: see that the roster is idle, by which ticket; look that no registered seat has the
//!   name; claim a vacant seat, write the name; and *announce*: one exchange of the roster's word
//!   from idle, with that ticket, to adding this seat.
//! - *Remove*: see that the roster is idle; find the seat; announce that it is removed.
//! - *Complete*: what is announced is done by anybody, and first of all by who announced it: the
//!   seat's word becomes registered, or vacant with the next generation; then the roster is idle,
//!   with the next ticket.
//!
//! An announcement that fails has been overtaken by another: look again, and announce anew. The
//! announcement is the moment at which a name comes or goes, since whoever looks for a name
//! completes what is announced before.
//!
//! # What holds
//!
//! - No name is registered twice: who announces one has looked at all seats since the change before
//!   was complete, and no change came between, or the ticket would be another.
//! - A registered name is whole: only claimed seats are written, by their owners alone, before they
//!   announce.
//! - A generation is that of one name. It goes up whenever a seat becomes vacant, so whoever knows
//!   seat and generation knows whether that very registration still stands, by one load.
//!
//! # Races
//!
//! - *Two who register one name.* Both look, and write it, each in a seat of its own. One
//!   announces; the other's exchange fails, and its next look finds the name.
//! - *A late completer.* It reads the change, then the seat, then the change again. If that is
//!   still the same, what it read of the seat was of this change, `[change-stands]`; and its
//!   exchange is from exactly that word. If others complete meanwhile, the word is another, and
//!   never again that one.
//! - *A reader of a name against a removal and the next claim.* It reads the word, the name and the
//!   word again; a name is stored after its seat was claimed, `[claimed-before]`.
//!
//! # Deaths
//!
//! Before it claims, a participant has nothing. With a claim and no announcement, whoever has proof
//! of the death makes the seat vacant. It completes what is announced first: then a claimed seat of
//! the dead one is none that will become registered, since the dead announce nothing. After the
//! announcement the change is complete whoever comes next. One who is slow keeps its seat, and
//! holds up nobody.
//!
//! # Edges
//!
//! - `[registered]`: the exchange of a seat's word to registered releases, who reads the word
//!   acquires: the name is there. The same at removal: what was registered is over.
//! - `[roster-idle]`: the exchange of the roster's word to idle releases, who begins a change
//!   acquires: what the seats became by the change before.
//! - `[roster-announced]`: the announcement releases, who completes acquires: the claim, and the
//!   name.
//! - `[change-stands]`: a seat's word is changed after the roster's became idle, or by this change;
//!   who reads the seat acquires it, and then reads the roster's word.
//! - `[claimed-before]`: names are stored after the claim, which they release; who reads one
//!   acquires it, and then reads the word.
//!
//! # Progress
//!
//! Lock-free: who has to look again was overtaken by a change that was made. A look is a scan of
//! the seats.
//!
//! # Damage
//!
//! A change that cannot be is `Refused::Damaged`. A seat whose word cannot be is nobody's, and
//! stays so. What a name says is for the caller to check.

mod change;
mod feed;
mod seat;

#[cfg(ringmain_loom)]
pub use change::Change;
pub use change::{Refused, Roster};
pub use feed::{Fed, Feed, HELD_MS, Held, Taken};
#[cfg(all(feature = "mapped", not(ringmain_loom)))]
pub use seat::State as SeatState;
pub use seat::{Seat, Word};

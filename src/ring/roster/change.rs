//! Changes of a roster: how names come and go.

use super::seat::{Seat, State, Word};
use crate::sync::{AtomicU64, Ordering};

/// Why a roster is as it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// The name is registered.
    There,
    /// The name is not registered.
    Absent,
    /// No seat is vacant. Whether one of them is only claimed, perhaps by somebody who has died.
    Full {
        /// One is.
        claimed: bool,
    },
    /// A word is impossible.
    Damaged,
}

/// What a change does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Idle,
    Adding,
    Removing,
}

const SEAT_MASK: u64 = (1 << 8) - 1;

/// The roster's word: `{ ticket:54, seat:8, step:2 }`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Change(u64);

impl Change {
    const fn step(self) -> Option<Step> {
        match self.0 & 3 {
            0 => Some(Step::Idle),
            1 => Some(Step::Adding),
            2 => Some(Step::Removing),
            _ => None,
        }
    }

    const fn seat(self) -> usize {
        (self.0 >> 2 & SEAT_MASK) as usize
    }

    /// The same ticket, a step on.
    const fn at(self, seat: usize, step: Step) -> Self {
        let ticket = self.0 & !(SEAT_MASK << 2 | 3);
        Self(ticket | (seat as u64 & SEAT_MASK) << 2 | step as u64)
    }

    /// Idle, with the next ticket.
    const fn over(self) -> Self {
        Self((self.0 | SEAT_MASK << 2 | 3).wrapping_add(1))
    }
}

/// A roster over borrowed words: at most 256 seats.
#[derive(Debug, Clone, Copy)]
pub struct Roster<'a, const N: usize> {
    /// The roster's word.
    pub change: &'a AtomicU64,
    /// The seats.
    pub seats: &'a [Seat<N>],
}

impl<'a, const N: usize> Roster<'a, N> {
    /// Registers a name: in which seat, as which word.
    pub fn register(
        &self,
        owner: u32,
        name: &[u64; N],
        about: u64,
    ) -> Result<(usize, Word), Refused> {
        let mut mine = None;
        let refused = loop {
            let change = match self.idle() {
                Ok(change) => change,
                Err(refused) => break refused,
            };
            if self.find_now(name).is_some() {
                break Refused::There;
            }
            let (seat, word) = match mine {
                Some(mine) => mine,
                None => match self.claim(owner) {
                    Ok(claimed) => claimed,
                    Err(refused) => break refused,
                },
            };
            if mine.is_none() {
                self.seats[seat].write(name, about);
                mine = Some((seat, word));
            }
            if let Some(adding) = self.announce(change, seat) {
                self.complete(adding)?;
                return Ok((seat, word.registered()));
            }
        };
        if let Some((seat, word)) = mine {
            self.seats[seat].exchange(word, word.vacated());
        }
        Err(refused)
    }

    /// Removes a registered name: which seat it had, as which word.
    pub fn remove(&self, name: &[u64; N]) -> Result<(usize, Word), Refused> {
        loop {
            let change = self.idle()?;
            let (seat, word) = self.find_now(name).ok_or(Refused::Absent)?;
            let removing = change.at(seat, Step::Removing);
            if self.exchange(change, removing) {
                self.complete(removing)?;
                return Ok((seat, word));
            }
        }
    }

    /// Announces that the name in a claimed seat counts, unless there was a change since the roster
    /// was idle as this word.
    pub fn announce(&self, idle: Change, seat: usize) -> Option<Change> {
        let adding = idle.at(seat, Step::Adding);
        self.exchange(idle, adding).then_some(adding)
    }

    /// Where a name is registered: its seat, and as which word.
    pub fn find(&self, name: &[u64; N]) -> Result<(usize, Word), Refused> {
        self.idle()?;
        self.find_now(name).ok_or(Refused::Absent)
    }

    /// The seats, once all that was announced is complete.
    pub fn settled(&self) -> Result<&'a [Seat<N>], Refused> {
        self.idle()?;
        Ok(self.seats)
    }

    /// Completes what is announced, until nothing is: the roster's word then.
    pub fn idle(&self) -> Result<Change, Refused> {
        loop {
            // ORDERING: Acquire; [roster-idle], [roster-announced].
            let change = Change(self.change.load(Ordering::Acquire));
            match change.step() {
                Some(Step::Idle) => return Ok(change),
                Some(_) => self.complete(change)?,
                None => return Err(Refused::Damaged),
            }
        }
    }

    /// Completes this change, if it still stands.
    pub fn complete(&self, change: Change) -> Result<(), Refused> {
        let seat = self.seats.get(change.seat()).ok_or(Refused::Damaged)?;
        let word = seat.word();
        // ORDERING: Acquire, behind the load of the seat's; [change-stands].
        if self.change.load(Ordering::Acquire) != change.0 {
            return Ok(());
        }
        let to = match (change.step(), word.state()) {
            (Some(Step::Adding), State::Claimed) => Some(word.registered()),
            (Some(Step::Removing), State::Registered) => Some(word.vacated()),
            _ => None, // it is done
        };
        if let Some(to) = to {
            seat.exchange(word, to);
        }
        self.exchange(change, change.over());
        Ok(())
    }

    /// Changes the roster's word, if it is still `from`. Whether it did.
    fn exchange(&self, from: Change, to: Change) -> bool {
        // ORDERING: AcqRel; [roster-announced], [roster-idle].
        let changed =
            self.change
                .compare_exchange(from.0, to.0, Ordering::AcqRel, Ordering::Relaxed);
        changed.is_ok()
    }

    /// Where a name is registered, by a look at all seats.
    pub fn find_now(&self, name: &[u64; N]) -> Option<(usize, Word)> {
        let mut seats = self.seats.iter().enumerate();
        seats.find_map(|(n, seat)| Some((n, seat.has(name)?)))
    }

    /// Claims a vacant seat.
    pub fn claim(&self, owner: u32) -> Result<(usize, Word), Refused> {
        let mut claimed = false;
        for (n, seat) in self.seats.iter().enumerate().take(1 << 8) {
            let word = seat.word();
            claimed |= word.state() == State::Claimed;
            if word.state() != State::Vacant {
                continue;
            }
            let mine = word.claimed(owner);
            if seat.exchange(word, mine) {
                return Ok((n, mine));
            }
            claimed = true; // somebody was faster
        }
        Err(Refused::Full { claimed })
    }

    /// Completes what is announced, and makes vacant what an owner has claimed that is dead: the
    /// caller has proof of it.
    #[cfg(any(feature = "mapped", ringmain_loom))] // elsewhere nobody dies alone
    pub fn repair(&self, owner: u32) {
        // ORDERING: Acquire; [roster-announced].
        let change = Change(self.change.load(Ordering::Acquire));
        if matches!(change.step(), Some(Step::Adding | Step::Removing)) {
            let _ = self.complete(change); // whoever meets it next says what is damaged
        }
        self.vacate(owner);
    }

    /// Makes vacant what this owner has claimed. What it has announced is complete.
    #[cfg(any(feature = "mapped", ringmain_loom))]
    pub fn vacate(&self, owner: u32) {
        for seat in self.seats {
            let word = seat.word();
            if word.state() == State::Claimed && word.owner() == owner {
                seat.exchange(word, word.vacated());
            }
        }
    }
}

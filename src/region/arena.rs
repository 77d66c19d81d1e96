//! The arena: how slots are claimed, filled, held and freed.
//!
//! # States of a slot's word (see [`word`](super::word))
//!
//! ```text
//!            claim                publish                 hold
//!   Free ------------> Claimed ------------> Ready -------------------> Held
//!    ^                  |  ^                  ^ |                       | | ^
//!    |      abort       |  |   late delete    | |    release, expiry,   | | | extend
//!    +------------------+  +------------------|-+    death of holder    | +-+
//!    ^                  ^                     +-------------------------+
//!    |   last unpin     |   delete of a run, or delete under pins       |
//!    +------------------+-----------------------------------------------+
//!    +------------------------ delete ----------------------------------+
//! ```
//!
//! Each arrow is one compare-exchange on the word, but for *publish* and *abort*, which are release
//! stores by the only one who may touch a claimed word: its owner, or, after the kernel has
//! confirmed its death, whoever repairs (who first makes the word its own).
//!
//! # Runs
//!
//! A message longer than a slot takes a run of adjacent slots. The first word speaks for the run;
//! each later one is *interior* and says how far back the first is. A claimant wins the first word,
//! then marks the interior; who frees takes the first word as Claimed, frees the interior, and
//! frees the first word last. So an interior word always has a live first word, or an owner who
//! died and whose first word names the run's length.
//!
//! # Bits
//!
//! Bits of [`Block`] follow the words: a bit is put after its word has changed. A death
//! in between leaves a bit missing, which repair puts again; a bit that stands although its slot is
//! somebody's is refused by the word.
//!
//! Former holders, who read on when their time is over: see [`pins`](super::pins). Those who look
//! without receiving: [`peek`](super::peek). What a journal is told, and why a claim may give way
//! to it: see `region::marks`.
//!
//! # Edges
//!
//! - `[slot-freed]`: freeing a word releases, claiming it acquires: the last reader's reads come
//!   before the next writer's writes.
//! - `[slot-filled]`: publishing releases, holding acquires: head and body are seen whole.
//! - `[slot-returned]`: releasing or expiring a hold releases, the next hold acquires.

use super::layout::Note;
use super::pins::Unnamed;
use super::store::Store;
use super::word::{GENERATIONS, PIN_CELLS, Phase, Word};
use crate::error::Error;
use crate::ring::blocks::BLOCK_SLOTS;
use crate::sync::{AtomicU64, Ordering};

/// A run of slots that this owner writes. Not dropped by itself: publish it or abort it.
#[derive(Debug)]
#[must_use]
pub struct Claimed {
    /// First slot.
    pub index: u32,
    /// Length in slots.
    pub run: u32,
    generation: u64,
}

/// One receive of one message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hold {
    /// First slot.
    pub index: u32,
    /// The entry of the group in whose list it was received; [`NO_GROUP`] if that is not known.
    pub group: u32,
    /// The state word as the receive (or its last extension) left it.
    pub word: Word,
    /// The message's stamp: `{ generation:18, sent_ms:44 }`.
    pub stamp: u64,
}

/// Of a hold that is none of a group's, or not known to be.
pub const NO_GROUP: u32 = u32::MAX;

const SENT_MS_MASK: u64 = (1 << 44) - 1;

/// A message's stamp: send time and send generation.
#[inline(always)]
pub const fn stamp(sent_ms: u64, generation: u64) -> u64 {
    (sent_ms & SENT_MS_MASK) | ((generation & (GENERATIONS - 1)) << 44)
}

/// The send time in a stamp, ms.
#[inline(always)]
pub const fn stamp_sent_ms(stamp: u64) -> u64 {
    stamp & SENT_MS_MASK
}

/// The send generation in a stamp.
#[inline(always)]
pub const fn stamp_generation(stamp: u64) -> u64 {
    (stamp >> 44) & (GENERATIONS - 1)
}

impl Claimed {
    /// Stands for a claim that was used up.
    pub const EMPTY: Self = Self {
        index: 0,
        run: 0,
        generation: 0,
    };

    /// The generation that the message will have.
    #[inline(always)]
    pub const fn next_generation(&self) -> u64 {
        self.generation + 1
    }
}

impl Hold {
    /// How often the message has been received, this time included.
    pub const fn receive_count(&self) -> u32 {
        (self
            .word
            .generation()
            .wrapping_sub(stamp_generation(self.stamp))
            & (GENERATIONS - 1)) as u32
    }

    /// The send time, ms.
    pub const fn sent_ms(&self) -> u64 {
        stamp_sent_ms(self.stamp)
    }

    /// When the visibility runs out, ms.
    pub const fn due_ms(&self) -> u64 {
        self.sent_ms() + self.word.due_ms()
    }
}

/// Receives the message at `index` if its word is still `seen`, which is ready. `how`: the owner,
/// whether it reads in place, and when its time is over. `group`: in whose list it is.
///
/// # Progress
///
/// Wait-free.
#[inline(always)]
pub(super) fn hold_word(
    word: &AtomicU64,
    note: &Note,
    index: usize,
    seen: Word,
    (owner, borrowed, due_at_ms): (u32, bool, u64),
    group: u32,
) -> Option<Hold> {
    let stamp = note.stamp.load(Ordering::Relaxed);
    let due_ms = due_at_ms.saturating_sub(stamp_sent_ms(stamp));
    let last = stamp_generation(stamp).wrapping_sub(1) & (GENERATIONS - 1);
    let generation = seen.generation() + (seen.generation() != last) as u64;
    let held = Word::held(owner, generation, seen.pins(), borrowed, due_ms);
    // ORDERING: SeqCst: acquires [slot-filled]; [due-closing]; and `fifo`'s [turn-seen].
    let won = word.compare_exchange(seen.0, held.0, Ordering::SeqCst, Ordering::Relaxed);
    won.is_ok().then_some(Hold {
        index: index as u32,
        group,
        word: held,
        stamp,
    })
}

impl Store<'_> {
    /// Wins the words of `run` slots from `index` on, whose free bits the caller has taken.
    ///
    /// `None`: somebody owns one of them (a bit stood although its slot was taken). What had been
    /// won is free again and its bits are put.
    ///
    /// # Progress
    ///
    /// Wait-free: one compare-exchange a slot.
    #[inline(always)]
    pub fn claim(&self, index: usize, run: usize, owner: u32) -> Option<Claimed> {
        let word = self.words().get(index)?; // a bit of no slot stands in damaged memory only
        let first = Word(word.load(Ordering::Relaxed));
        if first.phase() != Phase::Free {
            return None;
        }
        let claimed = Word::claimed(owner, first.generation(), run as u64);
        // ORDERING: SeqCst: acquires [slot-freed], the last reader is done; and comes before the
        // look at who copies, [copy-seen].
        word.compare_exchange(first.0, claimed.0, Ordering::SeqCst, Ordering::Relaxed)
            .ok()?;
        if run > 1 && !self.claim_interior(index, run) {
            return None;
        }
        #[cfg(feature = "mapped")]
        if self.is_copied(index, run) {
            self.give_way(index, run);
            return None;
        }
        let generation = first.generation();
        Some(Claimed {
            index: index as u32,
            run: run as u32,
            generation,
        })
    }

    fn claim_interior(&self, index: usize, run: usize) -> bool {
        for back in 1..run {
            let won = self.words().get(index + back).is_some_and(|word| {
                let seen = Word(word.load(Ordering::Relaxed));
                let interior = Word::interior(seen.generation(), back as u64).0;
                // ORDERING: SeqCst; [slot-freed], [copy-seen] as for the first word.
                let (done, failed) = (Ordering::SeqCst, Ordering::Relaxed);
                seen.phase() == Phase::Free
                    && word
                        .compare_exchange(seen.0, interior, done, failed)
                        .is_ok()
            });
            if !won {
                self.give_up(index, back);
                self.put_free(index, back);
                return false;
            }
        }
        true
    }

    /// Publishes a claimed run as a message: head first, then the word. The ready bit is the
    /// caller's to put, and the bound of the retention his to lower. Returns the message's stamp.
    ///
    /// # Progress
    ///
    /// Wait-free.
    #[inline(always)]
    pub fn publish(&self, claimed: Claimed, size: u64, attributes: u64, sent_ms: u64) -> u64 {
        let generation = claimed.next_generation();
        let (index, stamp) = self.write_head(claimed, size, attributes, sent_ms);
        // ORDERING: Release; [slot-filled] publishes head and bytes. Pairs in `hold`.
        self.words()[index].store(Word::ready(generation, 0).0, Ordering::Release);
        #[cfg(feature = "mapped")]
        self.mark(index);
        stamp
    }

    /// Publishes a claimed run as a message that nobody may receive for `delay_ms`: held by nobody,
    /// with the generation of its send. The bounds are the caller's to lower.
    ///
    /// # Progress
    ///
    /// Wait-free where the target has a swap.
    pub fn publish_delayed(
        &self,
        claimed: Claimed,
        size: u64,
        attributes: u64,
        sent_ms: u64,
        delay_ms: u64,
    ) -> u64 {
        let held = Word::held(0, claimed.next_generation(), 0, false, delay_ms);
        let (index, stamp) = self.write_head(claimed, size, attributes, sent_ms);
        // ORDERING: SeqCst: Release for [slot-filled], and before the caller's look at the bounds
        // ([due-closing]).
        self.words()[index].swap(held.0, Ordering::SeqCst);
        #[cfg(feature = "mapped")]
        self.mark(index);
        stamp
    }

    #[inline(always)]
    pub(super) fn write_head(
        &self,
        claimed: Claimed,
        size: u64,
        attributes: u64,
        sent_ms: u64,
    ) -> (usize, u64) {
        let index = claimed.index as usize;
        let stamp = stamp(sent_ms, claimed.next_generation());
        let (head, note) = (self.slot(index), &self.notes()[index]);
        self.count_send(note, claimed.generation);
        note.stamp.store(stamp, Ordering::Relaxed);
        head.size.store(size, Ordering::Relaxed);
        if attributes != 0 {
            head.attributes.store(attributes, Ordering::Relaxed);
        }
        (index, stamp)
    }

    /// Gives a claimed run back unused.
    pub fn abort(&self, claimed: Claimed) {
        if claimed.run == 0 {
            return;
        }
        self.give_up(claimed.index as usize, claimed.run as usize);
        self.put_free(claimed.index as usize, claimed.run as usize);
    }

    /// Frees the words of a run whose first word the caller owns (Claimed) and whose message is
    /// gone: interior first, so that an interior word never lacks its first.
    pub(super) fn free_claimed(&self, index: usize, run: usize) {
        let first = Word(self.words()[index].load(Ordering::Relaxed));
        self.free_words(index, run, first.generation() + 1);
    }

    /// The same for a claim that is given up. The generation stays: no message was there, and what
    /// [`tally`](super::tally) takes from generations is unchanged.
    pub(super) fn give_up(&self, index: usize, run: usize) {
        let first = Word(self.words()[index].load(Ordering::Relaxed));
        self.free_words(index, run, first.generation());
    }

    /// The same for a claim whose message was named: see `region::names`, and `region::fifo::send`.
    pub(super) fn free_spoiled(&self, index: usize, run: usize) {
        let first = Word(self.words()[index].load(Ordering::Relaxed));
        self.free_words(index, run, first.generation() + 2);
    }

    fn free_words(&self, index: usize, run: usize, generation: u64) {
        for back in 1..run.min(self.words().len() - index) {
            let word = &self.words()[index + back];
            let seen = Word(word.load(Ordering::Relaxed));
            if !seen.is_interior() || seen.back() != back as u64 {
                break; // the claimant died before it got here
            }
            // ORDERING: Release; [slot-freed].
            word.store(Word::free(seen.generation()).0, Ordering::Release);
        }
        // ORDERING: Release; [slot-freed].
        self.words()[index].store(Word::free(generation).0, Ordering::Release);
    }

    /// Receives the message at `index`, if there is one that waits.
    ///
    /// # Progress
    ///
    /// Lock-free: a failed compare-exchange means that another one received or deleted it.
    #[inline(always)]
    pub fn hold(&self, index: usize, owner: u32, borrowed: bool, due_at_ms: u64) -> Option<Hold> {
        let word = self.words().get(index)?;
        // ORDERING: Acquire; [slot-filled], [slot-returned]: the head belongs to this word.
        let mut seen = Word(word.load(Ordering::Acquire));
        while seen.phase() == Phase::Ready {
            let stamp = self.notes()[index].stamp.load(Ordering::Relaxed);
            let due_ms = due_at_ms.saturating_sub(stamp_sent_ms(stamp));
            let last = stamp_generation(stamp).wrapping_sub(1) & (GENERATIONS - 1);
            // The receive count stops at its greatest value instead of starting anew.
            let generation = seen.generation() + (seen.generation() != last) as u64;
            let held = Word::held(owner, generation, seen.pins(), borrowed, due_ms);
            // ORDERING: SeqCst: acquires [slot-filled], and comes before the caller's look at the
            // block's due time ([due-closing]). A failure acquires as the load does.
            match word.compare_exchange(seen.0, held.0, Ordering::SeqCst, Ordering::Acquire) {
                Ok(_) => {
                    return Some(Hold {
                        index: index as u32,
                        group: NO_GROUP,
                        word: held,
                        stamp,
                    });
                }
                // Perhaps only a former reader who is done: the bit is ours, so look again.
                Err(now) => seen = Word(now),
            }
        }
        None
    }

    /// Whether the slot still has the message of `hold`, and its word.
    #[inline(always)]
    pub(super) fn current(&self, hold: &Hold) -> Option<Word> {
        // ORDERING: Acquire, so that the stamp read next is not older than the word.
        let word = Word(self.words()[hold.index as usize].load(Ordering::Acquire));
        let stamp = self.notes()[hold.index as usize]
            .stamp
            .load(Ordering::Relaxed);
        let lives = match word.phase() {
            Phase::Ready | Phase::Held => true,
            Phase::Free | Phase::Claimed => false,
        };
        (lives && stamp == hold.stamp).then_some(word)
    }

    /// Deletes the message of `hold`, which takes `run` slots. `Ok(Some(run))`: freed; the free
    /// bits of `run` slots are the caller's to put. `Ok(None)`: gone already, or kept for a
    /// former reader.
    ///
    /// A hold whose visibility has run out still deletes, until the message is received again; then
    /// this is [`Error::StaleReceipt`].
    ///
    /// # Progress
    ///
    /// Lock-free.
    #[inline(always)]
    pub fn delete(&self, hold: &Hold, run: usize, owner: u32) -> Result<Option<usize>, Error> {
        let index = hold.index as usize;
        let plain = run == 1 && hold.word.pins() == 0;
        if plain && self.notes()[index].stamp.load(Ordering::Relaxed) == hold.stamp {
            let free = Word::free(hold.word.generation() + 1);
            // ORDERING: Release; [slot-freed].
            let freed = self.words()[index].compare_exchange(
                hold.word.0,
                free.0,
                Ordering::Release,
                Ordering::Relaxed,
            );
            if freed.is_ok() {
                #[cfg(feature = "mapped")]
                self.mark(index);
                return Ok(Some(1));
            }
        }
        self.delete_slow(hold, run, owner)
    }

    #[cold]
    fn delete_slow(&self, hold: &Hold, run: usize, owner: u32) -> Result<Option<usize>, Error> {
        let index = hold.index as usize;
        let generation = hold.word.generation();
        loop {
            let Some(seen) = self.current(hold) else {
                self.unpin(hold, owner);
                // Whoever deleted it may have died before it said so.
                #[cfg(feature = "mapped")]
                self.mark(index);
                return Ok(None);
            };
            if seen.generation() != generation {
                self.unpin(hold, owner);
                return Err(Error::StaleReceipt);
            }
            let own = self.own_pin(hold);
            let other_reads = seen.is_borrowed() && !hold.word.is_borrowed();
            if let Some(freed) = self.remove(index, seen, run, own, other_reads, owner)? {
                return Ok(freed.then_some(run));
            }
        }
    }

    /// Takes a message that is ready or held out of the queue, without the pins in `own`; a present
    /// holder who reads it in place (`reader`) keeps its bytes. `None`: the word has changed, look
    /// again. `Some(true)`: the words of the run are free; the bits are the caller's to put.
    ///
    /// # Errors
    ///
    /// [`Error::Pinned`] if there is a reader and both cells of former holders are in use.
    pub fn remove(
        &self,
        index: usize,
        seen: Word,
        run: usize,
        own: u64,
        reader: bool,
        owner: u32,
    ) -> Result<Option<bool>, Error> {
        let Some(pins) = self.pins_left(index, seen, own, reader)? else {
            return Ok(None);
        };
        let next = if pins == 0 {
            Word::claimed(owner, seen.generation(), run as u64)
        } else {
            Word::retired(seen.generation(), pins, run as u64)
        };
        // ORDERING: AcqRel: Release for [slot-freed] (through the free that follows) and for the
        // former holder's cell; Acquire since another holder's reads may have ended by
        // [slot-returned].
        let word = &self.words()[index];
        if word
            .compare_exchange(seen.0, next.0, Ordering::AcqRel, Ordering::Relaxed)
            .is_err()
        {
            return Ok(None);
        }
        #[cfg(feature = "mapped")]
        self.mark(index);
        if pins == 0 {
            // The word is ours until it is freed, so this takes nobody else's bit away. A retired
            // word is not: there the bit stays, and who takes it is refused by the word.
            if seen.phase() == Phase::Ready {
                self.unset_ready(index);
            }
            self.free_claimed(index, run);
        }
        Ok(Some(pins == 0))
    }

    /// The pins of a message that is removed: those there are but `own`, and one for its present
    /// holder if that is a `reader`. `None`: the word has changed, look again.
    ///
    /// # Errors
    ///
    /// [`Error::Pinned`] if there is a reader and both cells of former holders are in use.
    pub(super) fn pins_left(
        &self,
        index: usize,
        seen: Word,
        own: u64,
        reader: bool,
    ) -> Result<Option<u64>, Error> {
        let pins = seen.pins() & !own;
        if !reader {
            return Ok(Some(pins));
        }
        match self.pin_former(index, seen) {
            Ok(pin) => Ok(Some(pins | pin)),
            Err(Unnamed::Changed) => Ok(None),
            Err(Unnamed::Full) => Err(Error::Pinned { max: PIN_CELLS }),
        }
    }

    /// Takes away the ready bit of a slot that the caller has just made its own.
    pub(super) fn unset_ready(&self, index: usize) {
        let bit = 1u64 << (index % BLOCK_SLOTS);
        self.blocks()[index / BLOCK_SLOTS]
            .ready
            .fetch_and(!bit, Ordering::Relaxed);
    }

    /// The word of `hold` if it is in flight: the latest receive, and its time not over.
    pub(super) fn in_flight(&self, hold: &Hold, now_ms: u64) -> Result<Word, Error> {
        let seen = self.current(hold).ok_or(Error::NotInFlight)?;
        if seen.generation() != hold.word.generation() {
            return Err(Error::StaleReceipt);
        }
        let over = hold.sent_ms() + seen.due_ms() <= now_ms;
        if seen.phase() != Phase::Held || over {
            return Err(Error::NotInFlight);
        }
        Ok(seen)
    }

    /// Makes the message of `hold` visible. The ready bit is the caller's to put. A failure ends
    /// the reading as well.
    pub fn release(&self, hold: &Hold, now_ms: u64, owner: u32) -> Result<(), Error> {
        loop {
            let seen = match self.in_flight(hold, now_ms) {
                Ok(seen) => seen,
                Err(error) => {
                    self.unborrow(hold, owner);
                    return Err(error);
                }
            };
            let index = hold.index as usize;
            let mut pins = seen.pins();
            if seen.is_borrowed() && !hold.word.is_borrowed() {
                match self.pin_former(index, seen) {
                    Ok(pin) => pins |= pin,
                    Err(Unnamed::Changed) => continue, // another names the same holder
                    Err(Unnamed::Full) => return Err(Error::Pinned { max: PIN_CELLS }),
                }
            }
            let ready = Word::ready(seen.generation(), pins);
            // ORDERING: SeqCst: Release; [slot-returned], and the former holder's cell; and
            // before the caller's look at its group, `fifo`'s [freed-seen].
            let word = &self.words()[index];
            let won = word.compare_exchange(seen.0, ready.0, Ordering::SeqCst, Ordering::Relaxed);
            if won.is_ok() {
                return Ok(());
            }
        }
    }

    /// Gives the hold another due time; returns its new word.
    pub fn extend(&self, hold: &Hold, now_ms: u64, due_at_ms: u64) -> Result<Word, Error> {
        loop {
            let seen = self.in_flight(hold, now_ms)?;
            let next = seen.with_due_ms(due_at_ms.saturating_sub(hold.sent_ms()));
            // ORDERING: SeqCst: comes before the caller's look at the block's due time.
            let word = &self.words()[hold.index as usize];
            let won = word.compare_exchange(seen.0, next.0, Ordering::SeqCst, Ordering::Relaxed);
            if won.is_ok() {
                return Ok(next);
            }
        }
    }

    /// Whether the later slots of a run belong to it: others could be reused while it is read.
    pub(super) fn is_whole(&self, index: usize, run: usize) -> bool {
        let Some(words) = self.words().get(index..index + run) else {
            return false;
        };
        words.iter().enumerate().skip(1).all(|(back, word)| {
            let word = Word(word.load(Ordering::Relaxed));
            word.is_interior() && word.back() == back as u64
        })
    }

    /// Length of the run at `index` by its interior words: what a damaged head cannot lie about.
    pub fn measured_run(&self, index: usize) -> usize {
        let mut run = 1;
        while index + run < self.words().len() {
            let word = Word(self.words()[index + run].load(Ordering::Relaxed));
            if !word.is_interior() || word.back() != run as u64 {
                break;
            }
            run += 1;
        }
        run
    }
}

//! Ledgers: the table of shards with their floors, who is registered, and the days of demand. Two
//! copies, written in turn.

use super::layout::Sizes;
use super::{Ground, Mirror};
use crate::error::Error;
use crate::hash::xxh3_64_seeded;
use crate::pod::{bytes_of, pod_read_unaligned};
use crate::region::stream::{LedgerHead, LedgerPlace, LedgerSeat};
use crate::ring::log::Position;
use crate::sync::Ordering;

/// How often a table is read anew that is changed meanwhile.
const TRIES: usize = 100;
/// Words of demand: when it was measured, and the days.
const DAYS: usize = 31;

fn put(bytes: &mut [u8], at: usize, part: &[u8]) {
    bytes[at..at + part.len()].copy_from_slice(part);
}

/// Writes ledger `number` of what is there now: `[number, begun]`. Each word of it was there at one
/// moment between two looks at the word of the change.
pub fn fill(
    bytes: &mut Vec<u8>,
    sizes: &Sizes,
    ground: &Ground<'_>,
    [number, begun]: [u64; 2],
    seed: u64,
) -> Result<(), Error> {
    let places = &ground.places;
    let damaged = Error::Damaged {
        field: "shards of the stream",
    };
    bytes.clear();
    bytes.resize(sizes.ledger_len, 0);
    let [at_places, at_seats, at_days] = sizes.ledger_parts();
    for _ in 0..TRIES {
        if places.complete().is_ok_and(|was| was) {
            (ground.rouse)();
        }
        let (change, roster) = (places.change_word(), places.roster_word());
        let shards = places.keep().map_or(0, |keep| keep.shards.len());
        for number in 0..shards {
            let place = places.ledger_place(number).ok_or(damaged.clone())?;
            let at = at_places + number * size_of::<LedgerPlace>();
            put(bytes, at, bytes_of(&place));
        }
        let mut at = at_seats;
        let mut seat = 0;
        while let Some(ledger) = places.ledger_seat(seat).filter(|_| at < at_days) {
            put(bytes, at, bytes_of(&ledger));
            (seat, at) = (seat + 1, at + size_of::<LedgerSeat>());
        }
        let days = places.days();
        for (n, word) in days[1..].iter().enumerate() {
            let day = word.load(Ordering::Relaxed);
            put(bytes, at_days + n * 8, &day.to_le_bytes());
        }
        let is_same = places.change_word() == change && places.roster_word() == roster;
        if is_same && change & 3 != CLOSING && roster & 3 == 0 {
            let mut head = LedgerHead {
                check: 0,
                number,
                begun,
                change,
                roster,
                measured_ms: days[0].load(Ordering::Relaxed),
                reserved: [0; 2],
            };
            put(bytes, 0, bytes_of(&head));
            head.check = xxh3_64_seeded(&bytes[8..], seed);
            put(bytes, 0, bytes_of(&head));
            return Ok(());
        }
        crate::sync::spin_hint();
    }
    // Somebody changes them all the time, or has reserved a parent for now.
    Err(Error::NotDurable {
        errno: libc::EAGAIN,
    })
}

/// The step of a change of shards that anybody can complete.
const CLOSING: u64 = 2;

/// A sum of the days that the words of demand have.
pub fn days_of(ground: &Ground<'_>) -> u64 {
    let words = ground.places.days()[1..].iter();
    words.fold(0_u64, |sum, word| {
        (sum ^ word.load(Ordering::Relaxed))
            .wrapping_mul(0x9e37_79b9_7f4a_7c15)
            .rotate_left(23)
    })
}

/// The head of a ledger.
pub fn head_of(bytes: &[u8]) -> LedgerHead {
    pod_read_unaligned(&bytes[..size_of::<LedgerHead>()])
}

/// A place in a ledger.
pub fn place_in(bytes: &[u8], sizes: &Sizes, number: usize) -> LedgerPlace {
    let at = sizes.ledger_parts()[0] + number * size_of::<LedgerPlace>();
    pod_read_unaligned(&bytes[at..at + size_of::<LedgerPlace>()])
}

/// Notes in the region that a ledger is on the disk.
///
/// The commit lock is the caller's, or nobody else uses the stream.
pub fn publish(bytes: &[u8], sizes: &Sizes, ground: &Ground<'_>) {
    let Some(keep) = ground.places.keep() else {
        return;
    };
    let (head, notes) = (head_of(bytes), &keep.head.notes);
    notes.begin_ledger(head.number);
    for (number, kept) in keep.shards.iter().enumerate() {
        let place = place_in(bytes, sizes, number);
        kept.note_ledger(Position(place.floor), place.card[0]);
    }
    notes.end_ledger(head.roster, head.change);
}

impl Mirror {
    /// Writes the next ledger to the disk.
    pub(super) fn write_ledger(
        &self,
        bytes: &mut Vec<u8>,
        ground: &Ground<'_>,
        begun: u64,
    ) -> Result<(), Error> {
        let Some(keep) = ground.places.keep() else {
            return Err(Error::NoJournal);
        };
        let days = days_of(ground);
        let notes = &keep.head.notes;
        let number = notes.ledger().wrapping_add(1);
        fill(bytes, &self.sizes, ground, [number, begun], self.seed)?;
        self.write(bytes, self.sizes.ledger_at(number))?;
        self.sync()?;
        publish(bytes, &self.sizes, ground);
        // ORDERING: Release; [mirror-ledger].
        notes.days.store(days, Ordering::Release);
        Ok(())
    }

    /// The latest whole ledger.
    pub(super) fn read_ledger(&self) -> Result<Vec<u8>, Error> {
        let mut latest: Option<Vec<u8>> = None;
        for number in 0..2 {
            let mut bytes = vec![0; self.sizes.ledger_len];
            if !self.is_read(&mut bytes, self.sizes.ledger_at(number))? {
                continue;
            }
            let head = head_of(&bytes);
            let whole = head.check == xxh3_64_seeded(&bytes[8..], self.seed)
                && head.number % 2 == number
                && head.number != 0;
            let newer = latest
                .as_ref()
                .is_none_or(|other| head_of(other).number < head.number);
            if whole && newer {
                latest = Some(bytes);
            }
        }
        latest.ok_or(Error::Mirror {
            problem: "is damaged: both of its ledgers",
        })
    }

    /// Puts back what a ledger says beside places: who is registered, and the days of demand.
    pub(super) fn restore_rest(&self, bytes: &[u8], ground: &Ground<'_>) {
        let places = &ground.places;
        let head = head_of(bytes);
        places.restore_head(&head);
        let [_, at_seats, at_days] = self.sizes.ledger_parts();
        for (n, seat) in bytes[at_seats..at_days]
            .chunks_exact(size_of::<LedgerSeat>())
            .enumerate()
        {
            places.restore_seat(n, &pod_read_unaligned(seat));
        }
        let days = places.days();
        days[0].store(head.measured_ms, Ordering::Relaxed);
        let kept = bytes[at_days..].chunks_exact(8);
        for (word, day) in days[1..=DAYS].iter().zip(kept) {
            word.store(pod_read_unaligned(day), Ordering::Relaxed);
        }
    }
}

/// A position, as a ledger has it, that begins a segment of the log; the first one if it does not.
pub fn floor_in(place: &LedgerPlace, shape: &crate::ring::log::Shape) -> Position {
    let floor = Position(place.floor);
    match shape.has(floor) && shape.start(floor) == floor {
        true => floor,
        false => Position::FIRST,
    }
}

//! The roster of a stream's consumers: names that come and go, late completers, and who dies.

use std::sync::Arc;

use loom::thread;
use ringmain::internals::roster::{Change, Refused, Roster, Seat, Word};
use ringmain::sync::{AtomicU64, Ordering};

use crate::twin::{check_within, must_fail_within};

pub const ME: u32 = 1;
pub const OTHER: u32 = 2;
pub const DEAD: u32 = 3;

/// Names of two words; in one that is half made they differ.
pub type Name = [u64; 2];
pub const FIRST: Name = [5, 5];
pub const SECOND: Name = [7, 7];

pub struct Memory {
    change: AtomicU64,
    pub seats: Vec<Seat<2>>,
}

impl Memory {
    fn new(seats: usize) -> Arc<Self> {
        let word = AtomicU64::new;
        let seat = |_| Seat {
            word: word(0),
            about: word(0),
            name: [word(0), word(0)],
        };
        Arc::new(Self {
            change: word(0),
            seats: (0..seats).map(seat).collect(),
        })
    }

    /// One in which a name is registered already.
    pub fn with(seats: usize, name: &Name) -> Arc<Self> {
        let memory = Self::new(seats);
        memory.roster().register(ME, name, 1).unwrap();
        memory
    }

    pub fn roster(&self) -> Roster<'_, 2> {
        Roster {
            change: &self.change,
            seats: &self.seats,
        }
    }

    /// The names that are registered; each is whole.
    fn names(&self) -> Vec<Name> {
        let seats = self.roster().settled().unwrap();
        let names: Vec<Name> = seats.iter().filter_map(|s| Some(s.read()?.1)).collect();
        let halves = names
            .iter()
            .filter(|name| name[0] != name[1] || name[0] == 0);
        assert_eq!(halves.count(), 0, "a name is half made");
        names
    }

    fn count(&self, name: &Name) -> usize {
        self.names().iter().filter(|other| *other == name).count()
    }

    /// No seat is left claimed.
    fn is_at_rest(&self) {
        for seat in &self.seats {
            assert_ne!(seat.word.load(Ordering::SeqCst) & 3, 1, "a seat is leaked");
        }
    }
}

/// How a name is registered.
type Registers = fn(&Memory, u32, &Name) -> Result<(usize, Word), Refused>;

fn soundly(memory: &Memory, owner: u32, name: &Name) -> Result<(usize, Word), Refused> {
    memory.roster().register(owner, name, 1)
}

/// A twin: it looks for the name, and then sees which ticket it is.
fn with_the_ticket_too_late(
    memory: &Memory,
    owner: u32,
    name: &Name,
) -> Result<(usize, Word), Refused> {
    let roster = memory.roster();
    roster.idle()?;
    if roster.find_now(name).is_some() {
        return Err(Refused::There);
    }
    let (seat, word) = roster.claim(owner)?;
    roster.seats[seat].write(name, 1);
    loop {
        let idle = roster.idle()?;
        if let Some(adding) = roster.announce(idle, seat) {
            roster.complete(adding)?;
            return Ok((seat, word.registered()));
        }
    }
}

/// Two register one name.
fn one_name(registers: Registers) {
    let memory = Memory::new(2);
    let other = {
        let memory = Arc::clone(&memory);
        thread::spawn(move || registers(&memory, OTHER, &FIRST).is_ok())
    };
    let mine = registers(&memory, ME, &FIRST);
    assert!(mine.is_ok() || mine == Err(Refused::There));
    let others = other.join().unwrap();
    assert!(mine.is_ok() != others, "one of them registers it");
    assert_eq!(memory.count(&FIRST), 1, "a name is there twice");
    memory.is_at_rest();
}

#[test]
fn two_register_one_name() {
    check_within(3, || one_name(soundly));
}

#[test]
fn twin_two_register_one_name() {
    must_fail_within(3, "roster: the ticket is seen after the look", || {
        one_name(with_the_ticket_too_late)
    });
}

/// Who completes what is announced, as everybody does before a look.
type Completes = fn(&Memory);

/// A twin: it does not look again whether the change stands.
fn without_a_second_look(memory: &Memory) {
    let change = memory.change.load(Ordering::Acquire);
    let seat = &memory.seats[(change >> 2) as usize & 255];
    let word = Word(seat.word.load(Ordering::Acquire));
    let to = match (change & 3, word.0 & 3) {
        (1, 1) => word.registered().0,
        (2, 2) => ((word.0 >> 12) + 1) << 12,
        _ => return,
    };
    let (acquire, relaxed) = (Ordering::AcqRel, Ordering::Relaxed);
    let _ = seat.word.compare_exchange(word.0, to, acquire, relaxed);
    let over = (change | 1023) + 1;
    let _ = memory
        .change
        .compare_exchange(change, over, acquire, relaxed);
}

/// A name goes, and another comes into its seat, while somebody completes what he sees.
fn late_completer(completes: Completes) {
    let memory = Memory::with(1, &FIRST);
    let completer = {
        let memory = Arc::clone(&memory);
        thread::spawn(move || completes(&memory))
    };
    let roster = memory.roster();
    roster.remove(&FIRST).unwrap();
    let (seat, word) = roster.register(ME, &SECOND, 1).unwrap();
    completer.join().unwrap();
    assert_eq!(memory.seats[seat].word().0, word.0, "what came is gone");
    assert_eq!(memory.names(), [SECOND]);
}

#[test]
fn a_late_completer_harms_nobody() {
    check_within(3, || late_completer(|memory| drop(memory.names())));
}

#[test]
fn twin_a_late_completer_harms_nobody() {
    must_fail_within(3, "roster: a completer that looks once", || {
        late_completer(without_a_second_look)
    });
}

/// One removes a name and registers another; another removes the first, and registers it anew.
#[test]
fn names_come_and_go() {
    check_within(2, || {
        let memory = Memory::with(2, &FIRST);
        let other = {
            let memory = Arc::clone(&memory);
            thread::spawn(move || {
                let removed = memory.roster().remove(&FIRST).is_ok();
                let anew = memory.roster().register(OTHER, &FIRST, 2).is_ok();
                (removed, anew)
            })
        };
        let removed = memory.roster().remove(&FIRST).is_ok();
        let second = memory.roster().register(ME, &SECOND, 1);
        let (others, anew) = other.join().unwrap();
        assert!(removed || others, "it was there");
        assert!(second.is_ok() && anew, "there is room for both");
        // Both may have removed it: the second one what was registered anew.
        let left = 1 + usize::from(anew) - usize::from(removed) - usize::from(others);
        assert_eq!(memory.count(&FIRST), left);
        assert_eq!(memory.count(&SECOND), 1);
        memory.is_at_rest();
    });
}

/// What a registrant does until it dies after so many steps.
fn dies_registering(memory: &Memory, steps: u32) {
    let roster = memory.roster();
    let Ok(idle) = roster.idle() else { return };
    if steps == 0 {
        return;
    }
    let Ok((seat, _)) = roster.claim(DEAD) else {
        return;
    };
    if steps == 1 {
        return;
    }
    roster.seats[seat].name[0].store(FIRST[0], Ordering::Release);
    if steps == 2 {
        return;
    }
    roster.seats[seat].write(&FIRST, 1);
    if steps == 3 {
        return;
    }
    let announced: Option<Change> = roster.announce(idle, seat);
    if steps == 4 {
        return;
    }
    if let Some(adding) = announced {
        let _ = roster.complete(adding);
    }
}

/// One dies while it registers, and is repaired, while another registers and a third looks.
fn death(steps: u32, repair: fn(&Memory)) {
    let memory = Memory::new(1);
    let dying = {
        let memory = Arc::clone(&memory);
        thread::spawn(move || {
            dies_registering(&memory, steps);
            repair(&memory); // the proof of its death is what comes between
        })
    };
    let other = {
        let memory = Arc::clone(&memory);
        thread::spawn(move || memory.roster().register(OTHER, &SECOND, 1).is_ok())
    };
    memory.names();
    dying.join().unwrap();
    let registered = other.join().unwrap();
    assert_eq!(memory.count(&SECOND), usize::from(registered));
    memory.is_at_rest();
    let count = memory.count(&FIRST);
    assert!(count == 0 || steps >= 4, "it was not announced");
    if count + usize::from(registered) == 0 {
        // The seat can be had.
        memory.roster().register(ME, &SECOND, 1).unwrap();
    }
}

#[test]
fn a_registrant_dies_at_each_step() {
    for steps in 0..=5 {
        check_within(2, move || {
            death(steps, |memory| memory.roster().repair(DEAD))
        });
    }
}

#[test]
fn twin_a_registrant_dies_at_each_step() {
    must_fail_within(
        3,
        "roster: a repair that does not complete what is announced",
        || death(4, |memory| memory.roster().vacate(DEAD)),
    );
}

/// A remover dies behind its announcement: whoever comes next has removed it.
#[test]
fn a_remover_dies() {
    check_within(3, || {
        let memory = Memory::with(1, &FIRST);
        let word = &memory.change;
        let idle = word.load(Ordering::SeqCst);
        word.store(idle & !1023 | 2, Ordering::SeqCst); // and here it dies
        let repairer = {
            let memory = Arc::clone(&memory);
            thread::spawn(move || memory.roster().repair(DEAD))
        };
        let registered = memory.roster().register(ME, &FIRST, 1);
        assert!(registered.is_ok(), "{registered:?}");
        repairer.join().unwrap();
        assert_eq!(memory.names(), [FIRST]);
    });
}

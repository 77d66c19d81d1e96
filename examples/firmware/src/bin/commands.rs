//! A FIFO queue in a `static` between a timer interrupt and the main loop.
//!
//! SysTick sends commands to four valves into [`COMMANDS`], now and then one twice, as one does who
//! has not heard that it was sent; the main loop carries them out and deletes them, gives some back
//! with `release`, and drops some so that their visibility timeout runs out. At the end an audit
//! says whether each command was carried out once, and each valve's in order; the exit status goes
//! out over semihosting.
#![no_std]
#![no_main]

use core::panic::PanicInfo;
use core::time::Duration;
use cortex_m::peripheral::syst::SystClkSource;
use cortex_m_rt::{entry, exception};
use cortex_m_semihosting::{debug, hprintln};
use portable_atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use ringmain::{Clock, Error, FifoOptions, FifoQueue, FixedFifo};

/// The groups: commands to one valve are carried out in order.
const VALVES: [&str; 4] = ["valve-0", "valve-1", "valve-2", "valve-3"];
/// How many commands the run has.
const COMMANDS_TOTAL: u32 = 1000;

/// 16 commands of 4 bytes, and the ids of the last 256; no init call, usable in an interrupt.
static COMMANDS: FifoQueue<FixedFifo<16, 4, 256>, Uptime> = FifoQueue::fixed(
    Uptime,
    FifoOptions::new()
        .visibility(Duration::from_millis(50))
        .dedup_interval(Duration::from_secs(1)),
);

/// Cycles of a tick: 1 ms at the 12.5 MHz that the chip starts with.
const TICK_CYCLES: u32 = 12_500;

static TICKS: AtomicU32 = AtomicU32::new(0);
static ACCEPTED: AtomicU32 = AtomicU32::new(0);
static DUPLICATES: AtomicU32 = AtomicU32::new(0);
static REFUSED: AtomicU32 = AtomicU32::new(0);
static FAILED: AtomicU32 = AtomicU32::new(0);
static OPERATING: AtomicBool = AtomicBool::new(false);
static IN_OPERATION: AtomicU32 = AtomicU32::new(0);

/// The chip's clock: milliseconds since it was started.
struct Uptime;

impl Clock for Uptime {
    fn now_ms(&self) -> u64 {
        u64::from(TICKS.load(Relaxed))
    }
}

/// The timer interrupt: the producer.
#[exception]
fn SysTick() {
    TICKS.fetch_add(1, Relaxed);
    if OPERATING.load(Relaxed) {
        IN_OPERATION.fetch_add(1, Relaxed);
    }
    let number = ACCEPTED.load(Relaxed);
    if number == COMMANDS_TOTAL {
        return;
    }
    match send(number) {
        Ok(false) => ACCEPTED.store(number + 1, Relaxed),
        Err(Error::Full | Error::DeduplicationFull { .. }) => {
            REFUSED.fetch_add(1, Relaxed); // the same command again at the next tick
            return;
        }
        Ok(true) | Err(_) => {
            FAILED.fetch_add(1, Relaxed);
            return;
        }
    }
    if number.is_multiple_of(5) {
        match send(number) {
            Ok(true) => DUPLICATES.fetch_add(1, Relaxed),
            Ok(false) | Err(_) => FAILED.fetch_add(1, Relaxed),
        };
    }
}

/// Sends a command; whether it was sent before.
fn send(number: u32) -> Result<bool, Error> {
    let digits = [12, 8, 4, 0].map(|shift| b'a' + (number >> shift & 15) as u8);
    let Ok(id) = core::str::from_utf8(&digits) else {
        return Err(Error::NoDeduplicationId);
    };
    let valve = VALVES[number as usize % VALVES.len()];
    let sent = COMMANDS.send(valve, id, &number.to_le_bytes())?;
    Ok(sent.is_duplicate)
}

/// Calls `f` with the mark up by which the interrupt knows that it came in the middle.
fn operating<T>(f: impl FnOnce() -> T) -> T {
    OPERATING.store(true, Relaxed);
    let result = f();
    OPERATING.store(false, Relaxed);
    result
}

/// What was carried out, and what went wrong.
#[derive(Default)]
struct Audit {
    /// Commands to each valve that were carried out.
    done: [u32; VALVES.len()],
    /// Commands that were not the next one of their valve.
    out_of_order: u32,
    /// Operations that failed although they must not.
    failed: u32,
    /// Commands given back by `release`.
    released: u32,
    /// Commands left to their visibility timeout.
    left: u32,
}

/// Receives up to ten commands and settles them; returns how many there were.
fn work(audit: &mut Audit) -> usize {
    let Ok(batch) = operating(|| COMMANDS.receive_batch(10)) else {
        audit.failed += 1;
        return 0;
    };
    let count = batch.len();
    // Behind a command that is not carried out the others of its valve are not, either.
    let mut behind = [false; VALVES.len()];
    for command in batch {
        let valve = VALVES
            .iter()
            .position(|valve| command.group() == Some(valve));
        let number = command.body().try_into().map(u32::from_le_bytes);
        let (Some(valve), Ok(number)) = (valve, number) else {
            audit.failed += 1;
            continue;
        };
        if behind[valve] {
            audit.failed += u32::from(operating(|| command.release()).is_err());
            continue;
        }
        let next = audit.done[valve] * VALVES.len() as u32 + valve as u32;
        audit.out_of_order += u32::from(number != next);
        match (number % 14, command.receive_count()) {
            (3, 1) => {
                audit.released += 1;
                behind[valve] = true;
                audit.failed += u32::from(operating(|| command.release()).is_err());
            }
            (10, 1) => {
                audit.left += 1;
                behind[valve] = true;
                drop(command); // in flight until its visibility timeout runs out
            }
            _ => {
                audit.done[valve] += 1;
                audit.failed += u32::from(operating(|| command.delete()).is_err());
            }
        }
    }
    count
}

/// Receives until everything was sent and nothing has come for twice the visibility timeout.
fn run(audit: &mut Audit) {
    let mut last = TICKS.load(Relaxed);
    loop {
        if work(audit) > 0 || ACCEPTED.load(Relaxed) < COMMANDS_TOTAL {
            last = TICKS.load(Relaxed);
        } else if TICKS.load(Relaxed).wrapping_sub(last) > 100 {
            return;
        }
    }
}

/// Prints the books; true if they are in order.
fn report(audit: &Audit) -> bool {
    let Ok(stats) = COMMANDS.stat() else {
        return false;
    };
    let (done, accepted) = (audit.done.iter().sum::<u32>(), ACCEPTED.load(Relaxed));
    let failed = audit.failed + FAILED.load(Relaxed);
    let refused = REFUSED.load(Relaxed);
    let (duplicates, between) = (DUPLICATES.load(Relaxed), IN_OPERATION.load(Relaxed));
    hprintln!("accepted {}, carried out {}", accepted, done);
    hprintln!("out of order {}, failed {}", audit.out_of_order, failed);
    hprintln!("released {}, left to expire {}", audit.released, audit.left);
    hprintln!(
        "sent twice {}, refused for want of room {}",
        duplicates,
        refused
    );
    hprintln!("interrupts in mid-operation {}", between);
    hprintln!("slots free {} of {}", stats.slots_free, stats.slots);
    hprintln!("{} ms", TICKS.load(Relaxed));
    let clean = (done, accepted) == (COMMANDS_TOTAL, COMMANDS_TOTAL)
        && audit.out_of_order + failed == 0
        && stats.slots_free == stats.slots;
    let shown = [audit.released, audit.left, duplicates, refused, between];
    let covered = shown.iter().all(|count| *count > 0);
    if !covered {
        hprintln!("the run did not show all that it should");
    }
    hprintln!("audit: {}", if clean { "in order" } else { "NOT in order" });
    clean && covered
}

#[entry]
fn main() -> ! {
    let Some(core) = cortex_m::Peripherals::take() else {
        fail()
    };
    let mut timer = core.SYST;
    timer.set_reload(TICK_CYCLES - 1);
    timer.set_clock_source(SystClkSource::Core);
    timer.clear_current();
    timer.enable_counter();
    timer.enable_interrupt();

    let mut audit = Audit::default();
    run(&mut audit);
    if !report(&audit) {
        fail();
    }
    loop {
        debug::exit(debug::EXIT_SUCCESS);
    }
}

fn fail() -> ! {
    loop {
        debug::exit(debug::EXIT_FAILURE);
    }
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    hprintln!("{}", info);
    fail()
}

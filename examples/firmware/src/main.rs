//! A queue in a `static` between a timer interrupt and the main loop.
//!
//! SysTick sends three readings a millisecond into [`READINGS`]; the main loop receives by tens and
//! deletes, gives some back with `release`, drops some so that their visibility timeout runs out,
//! and now and then is too slow, so that the queue fills. At the end an audit says whether each
//! reading that the queue accepted was processed; the exit status goes out over semihosting.
#![no_std]
#![no_main]

mod audit;
mod reading;

use audit::{Audit, READINGS_TOTAL, Sent};
use core::panic::PanicInfo;
use core::time::Duration;
use cortex_m::peripheral::syst::SystClkSource;
use cortex_m_rt::{entry, exception};
use cortex_m_semihosting::{debug, hprintln};
use portable_atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use reading::Reading;
use ringmain::{Claim, Clock, Error, Fixed, Queue, QueueOptions, Received};

/// 32 messages of at most 16 bytes in static memory; no init call, usable in an interrupt.
static READINGS: Queue<Fixed<32, 16>, Uptime> = Queue::fixed(
    Uptime,
    QueueOptions::new().visibility(Duration::from_millis(50)),
);

/// Cycles of a tick: 1 ms at the 12.5 MHz that the chip starts with.
const TICK_CYCLES: u32 = 12_500;
/// Readings that the interrupt tries to send in a tick.
const READINGS_A_TICK: u32 = 3;

// All of these are 32 bits wide: what the chip's own instructions do.
static TICKS: AtomicU32 = AtomicU32::new(0);
static ACCEPTED: AtomicU32 = AtomicU32::new(0);
static REFUSED: AtomicU32 = AtomicU32::new(0);
static ABORTED: AtomicU32 = AtomicU32::new(0);
static FAILED: AtomicU32 = AtomicU32::new(0);
static OPERATING: AtomicBool = AtomicBool::new(false);
static IN_OPERATION: AtomicU32 = AtomicU32::new(0);

/// The chip's clock: milliseconds since it was started. The count wraps after 49 days; a product
/// keeps 64 bits.
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
    for _ in 0..READINGS_A_TICK {
        let sequence = ACCEPTED.load(Relaxed);
        if sequence == READINGS_TOTAL {
            return;
        }
        match send(Reading::take(sequence)) {
            Ok(()) => ACCEPTED.store(sequence + 1, Relaxed),
            Err(Error::Full) => {
                REFUSED.fetch_add(1, Relaxed);
                return; // the same reading again at the next tick
            }
            Err(_) => {
                FAILED.fetch_add(1, Relaxed);
                return;
            }
        }
    }
}

/// Sends by copy and in place by turns; every 64th time a claim is dropped first.
fn send(reading: Reading) -> Result<(), Error> {
    let bytes = reading.to_bytes();
    if reading.sequence % 64 == 63 {
        let abandoned: Claim<'_, _, _> = READINGS.claim(Reading::BYTES)?;
        drop(abandoned);
        ABORTED.fetch_add(1, Relaxed);
    }
    if reading.sequence % 2 == 0 {
        READINGS.send(&bytes)?;
    } else {
        let mut claim = READINGS.claim(Reading::BYTES)?;
        claim.copy_from_slice(&bytes);
        claim.commit();
    }
    Ok(())
}

/// Calls `f` with the mark up by which the interrupt knows that it came in the middle.
fn operating<T>(f: impl FnOnce() -> T) -> T {
    OPERATING.store(true, Relaxed);
    let result = f();
    OPERATING.store(false, Relaxed);
    result
}

/// Receives up to ten readings and settles them; returns how many there were.
fn work(audit: &mut Audit) -> usize {
    let Ok(batch) = operating(|| READINGS.receive_batch(10)) else {
        audit.failed += 1;
        return 0;
    };
    let count = batch.len();
    let mut readings = [None; 10];
    for (reading, received) in readings.iter_mut().zip(&batch) {
        *reading = audit.receive(received.body(), received.receive_count());
    }
    let trouble = batch.iter().zip(&readings).any(|(received, reading)| {
        received.receive_count() == 1 && reading.is_some_and(|r| r.sequence % 7 == 3)
    });
    if trouble {
        for (received, reading) in batch.into_iter().zip(readings) {
            settle(received, reading, audit);
        }
        return count;
    }
    let outcomes = operating(|| batch.delete());
    for (outcome, reading) in outcomes.iter().zip(readings) {
        match (outcome, reading) {
            (Ok(()), Some(reading)) => audit.delete(reading),
            _ => audit.failed += 1,
        }
    }
    count
}

/// Settles one reading of a batch that had trouble: releases it, leaves it, or deletes it.
fn settle<R: ringmain::Region, C: Clock>(
    received: Received<'_, R, C>,
    reading: Option<Reading>,
    audit: &mut Audit,
) {
    let Some(reading) = reading else { return };
    let again = received.receive_count() > 1;
    let outcome = match reading.sequence % 14 {
        3 if !again => {
            audit.released += 1;
            operating(|| received.release())
        }
        10 if !again => {
            audit.left += 1;
            drop(received); // in flight until its visibility timeout runs out
            Ok(())
        }
        _ => operating(|| received.delete()).map(|()| audit.delete(reading)),
    };
    audit.failed += u32::from(outcome.is_err());
}

/// Does nothing for that many ticks: work that takes longer than the queue is deep.
fn idle(ticks: u32) {
    let start = TICKS.load(Relaxed);
    while TICKS.load(Relaxed).wrapping_sub(start) < ticks {
        cortex_m::asm::wfi();
    }
}

/// Receives until everything was sent and nothing has come for twice the visibility timeout.
fn run(audit: &mut Audit) {
    let (mut rounds, mut last) = (0u32, TICKS.load(Relaxed));
    loop {
        rounds += 1;
        if work(audit) > 0 {
            last = TICKS.load(Relaxed);
            if rounds % 100 == 0 {
                idle(20);
            }
        } else if ACCEPTED.load(Relaxed) < READINGS_TOTAL {
            // Polls on, so that the interrupt comes in the middle of a receive, too.
        } else if TICKS.load(Relaxed).wrapping_sub(last) > 100 {
            return;
        }
    }
}

/// Prints the books; true if they are in order.
fn report(audit: &Audit) -> bool {
    let sent = Sent {
        accepted: ACCEPTED.load(Relaxed),
        refused: REFUSED.load(Relaxed),
        aborted: ABORTED.load(Relaxed),
        in_operation: IN_OPERATION.load(Relaxed),
        failed: FAILED.load(Relaxed),
    };
    let Ok(stats) = READINGS.stat() else {
        return false;
    };
    hprintln!(
        "accepted {}, processed {}",
        sent.accepted,
        audit.processed()
    );
    hprintln!(
        "processed twice {}, damaged {}",
        audit.doubled(),
        audit.damaged
    );
    hprintln!(
        "receive count wrong {}, failed {}",
        audit.miscounted,
        audit.failed + sent.failed
    );
    hprintln!("released {}, left to expire {}", audit.released, audit.left);
    hprintln!(
        "refused for want of room {}, claims dropped {}",
        sent.refused,
        sent.aborted
    );
    hprintln!("interrupts in mid-operation {}", sent.in_operation);
    hprintln!("slots free {} of {}", stats.slots_free, stats.slots);
    hprintln!("{} ms", TICKS.load(Relaxed));
    let (clean, covered) = (audit.is_clean(&sent, &stats), audit.is_covered(&sent));
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

    let mut audit = Audit::new();
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

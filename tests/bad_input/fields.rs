//! Each field of a region, set to each value that means something in it: before the region is
//! opened, and while somebody uses it. Opening tells what is wrong; or whatever can be proved is
//! kept: each message whose own slots were left alone is delivered with its bytes, no body is
//! delivered that nobody sent, no slot is lost to damage elsewhere, and the queue works on.

use crate::field::{Field, fields};
use crate::ground::body::{is_sealed, sealed};
use crate::ground::{Ground, START_MS, Template};
use ringmain::{Error, ManualClock, Mapped, Queue};
use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc;
use std::time::Duration;

type Hands<'q> = Queue<&'q Mapped, &'q ManualClock>;
type Bodies = HashSet<Vec<u8>>;

/// After so many calls of `tend`, missing bits have been put and every block has had its turn.
const TENDS: usize = 101;
/// Longer than any delay.
const DELAY_MAX: Duration = Duration::from_secs(901);
/// How many failures are printed.
const SHOWN: usize = 12;
/// What hangs for so long is told by name.
const HANG: Duration = Duration::from_secs(60);

/// Receives and deletes whatever comes, and looks at each body.
fn drain(queue: &Hands<'_>, seen: &mut Bodies) -> Result<(), String> {
    // A message comes again only when its time is over, so this has an end.
    for _ in 0..2 * queue.capacity() {
        let batch = queue
            .receive_batch(10)
            .map_err(|e| format!("receive: {e}"))?;
        if batch.is_empty() {
            return Ok(());
        }
        for received in &batch {
            let body = received.body();
            if !is_sealed(body) {
                return Err(format!("{} bytes delivered that nobody sent", body.len()));
            }
            if received.first_received_ms() < received.sent_ms() {
                return Err("first received before it was sent".into());
            }
            seen.insert(body.to_vec());
        }
        batch.delete();
    }
    Err("receives without an end".into())
}

/// Repairs, lets all timeouts run out, takes everything out, and sends once more. Returns the free
/// slots at the end.
fn use_up(queue: &Hands<'_>, clock: &ManualClock, seen: &mut Bodies) -> Result<u64, String> {
    let told = |e: Error| e.to_string();
    drain(queue, seen)?;
    for _ in 0..TENDS {
        queue.tend().map_err(told)?;
    }
    drain(queue, seen)?;
    clock.advance(Duration::from_secs(13 * 3600));
    drain(queue, seen)?;
    for _ in 0..TENDS {
        queue.tend().map_err(told)?;
    }
    drain(queue, seen)?;
    let last = sealed(999, 300);
    queue
        .send(&last)
        .map_err(|e| format!("the last send: {e}"))?;
    clock.advance(DELAY_MAX); // what a damaged setting may say
    drain(queue, seen)?;
    if !seen.contains(&last) {
        return Err("the last message does not come".into());
    }
    queue.stat().map(|stat| stat.slots_free).map_err(told)
}

/// What must have come came, and no slot is missing that damage has no claim to.
fn judge(
    ground: &Ground,
    field: &Field,
    seen: &Bodies,
    (free, whole): (u64, u64),
) -> Result<(), String> {
    let touched = |first: usize, run: usize| {
        field
            .slot
            .is_some_and(|s| (first..first + run).contains(&s))
    };
    for message in &ground.template.messages {
        if !touched(message.slot, message.run) && !seen.contains(&message.body) {
            let (slot, run, state) = (message.slot, message.run, message.state);
            return Err(format!(
                "the message of slots {slot} + {run}, {state:?}, is lost"
            ));
        }
    }
    let may_miss = field.may_miss as u64;
    if free + may_miss < whole {
        return Err(format!(
            "{} slots are lost; {may_miss} may be",
            whole - free
        ));
    }
    Ok(())
}

/// The region is damaged while nobody has it open.
fn at_rest(ground: &Ground, field: &Field, value: u64, whole: u64) -> Result<bool, String> {
    ground.reset();
    field.set(ground, value);
    let clock = ManualClock::new(START_MS);
    let (mut seen, mut free) = (Bodies::new(), 0);
    // Opened twice: what a dead participant had whose entry was damaged comes back when its index
    // is given back.
    for _ in 0..2 {
        let region = match ground.open() {
            Ok(region) => region,
            Err(error) => return field.may_refuse(&error).map(|()| false),
        };
        let queue = match Queue::open_with(&region, &clock) {
            Ok(queue) => queue,
            Err(error) => return field.may_refuse(&error).map(|()| false),
        };
        if field.must_refuse {
            return Err("it was opened".into());
        }
        free = use_up(&queue, &clock, &mut seen)?;
    }
    judge(ground, field, &seen, (free, whole)).map(|()| true)
}

/// What a user of the region has in hand when damage strikes.
fn at_work<'q>(
    queue: &'q Hands<'q>,
    seen: &mut Bodies,
) -> Vec<ringmain::Received<'q, &'q Mapped, &'q ManualClock>> {
    queue.tend().expect("a sound region");
    let mut held = Vec::new();
    for _ in 0..3 {
        let received = queue.receive().expect("a sound region").expect("a message");
        seen.insert(received.body().to_vec());
        held.push(received);
    }
    held
}

/// The region is damaged while an attachment uses it.
fn in_use(ground: &Ground, field: &Field, value: u64, whole: u64) -> Result<bool, String> {
    ground.reset();
    let clock = ManualClock::new(START_MS);
    let region = ground.open().expect("a sound region");
    let queue = Queue::open_with(&region, &clock).expect("a sound queue");
    let mut seen = Bodies::new();
    let mut held = at_work(&queue, &mut seen);
    let claim = queue.claim(40).expect("room");
    field.set(ground, value);
    // Another one comes: it is told, or works beside.
    let other = ground.open().map(|region| {
        let opened = Queue::open_with(&region, &clock).map(|queue| queue.stat());
        opened.and_then(|stat| stat)
    });
    if let Err(error) | Ok(Err(error)) = &other {
        field.may_refuse(error)?;
    } else if field.must_refuse {
        return Err("another one could open it".into());
    }
    // Of what is in hand one is deleted, one released, one left to its timeout; errors are fine
    // where its own slot was damaged.
    let _ = held.pop().map(|received| received.delete());
    let _ = held.pop().map(|received| received.release());
    drop(held);
    drop(claim);
    let _ = queue
        .send(&sealed(500, 24))
        .map_err(|e| format!("send: {e}"))?;
    let free = use_up(&queue, &clock, &mut seen)?;
    judge(ground, field, &seen, (free, whole)).map(|()| matches!(other, Ok(Ok(_))))
}

type Check = fn(&Ground, &Field, u64, u64) -> Result<bool, String>;

/// Tries each value of each field; returns how many were refused, and how many used.
fn all(name: &str, template: Template, check: Check) -> (usize, usize) {
    let ground = Ground::with(template);
    let nothing = Field::nothing();
    let whole = free_when_sound(&ground, check);
    // What hangs is told by name.
    let (alive, watched) = mpsc::channel::<String>();
    let watchdog = std::thread::spawn(move || {
        let mut last = String::new();
        loop {
            match watched.recv_timeout(HANG) {
                Ok(now) => last = now,
                Err(mpsc::RecvTimeoutError::Disconnected) => return,
                Err(mpsc::RecvTimeoutError::Timeout) => {
                    eprintln!("hangs: {last}");
                    std::process::exit(101);
                }
            }
        }
    });
    let (mut faults, mut refused, mut used) = (Vec::new(), 0, 0);
    check(&ground, &nothing, 0, whole).expect("a sound region is in order");
    for field in fields(&ground) {
        for value in field.values(&ground) {
            let what = format!("{name}: {} = {value:#x}", field.name);
            alive.send(what.clone()).expect("the watchdog lives");
            match catch_unwind(AssertUnwindSafe(|| check(&ground, &field, value, whole))) {
                Ok(Ok(true)) => used += 1,
                Ok(Ok(false)) => refused += 1,
                Ok(Err(error)) => faults.push(format!("{what}: {error}")),
                Err(_) => faults.push(format!("{what}: a panic")),
            }
        }
    }
    drop(alive);
    watchdog.join().expect("no panic");
    println!(
        "{name}: {used} used, {refused} refused, {} faults",
        faults.len()
    );
    assert!(
        faults.is_empty(),
        "{} faults:\n{}",
        faults.len(),
        faults[..faults.len().min(SHOWN)].join("\n")
    );
    (refused, used)
}

/// How many slots are free at the end when nothing was damaged: those of the participant that lives
/// are not.
fn free_when_sound(ground: &Ground, check: Check) -> u64 {
    let mut free = ground.template.layout.slots as u64;
    while check(ground, &Field::nothing(), 0, free).is_err() {
        free = free
            .checked_sub(1)
            .expect("a sound region loses no message");
    }
    free
}

/// What is damaged in a wide region, which has maps, and in a narrow one, which has none.
fn tried(name: &str, template: Template, check: Check) {
    let (refused, used) = all(name, template, check);
    assert!(
        refused > 1000 && used > 2000,
        "{refused} refused, {used} used"
    );
}

#[test]
fn each_field_damaged_at_rest() {
    tried("at rest", Template::of_today(), at_rest);
}

#[test]
fn each_field_damaged_at_rest_narrow() {
    tried("at rest, narrow", Template::narrow_of_today(), at_rest);
}

#[test]
fn each_field_damaged_in_use() {
    tried("in use", Template::of_today(), in_use);
}

#[test]
fn each_field_damaged_in_use_narrow() {
    tried("in use, narrow", Template::narrow_of_today(), in_use);
}

//! The cycle in one thread, the same for each store.

use std::{
    cell::RefCell,
    rc::Rc,
    time::{Duration, Instant},
};

use super::message::{Body, TEN, Tally, bodies, check};
use crate::{
    machine::Cores,
    sample::{Failure, Measure, Row},
};

/// Cycles between two looks at the clock.
const STRIDE: usize = 8;

/// A store with a queue on top.
pub trait Store {
    /// Sends the bodies, in one call or transaction.
    ///
    /// # Errors
    ///
    /// The store's own.
    fn send(&mut self, bodies: &[Body]) -> Result<(), Failure>;

    /// Receives up to `max`, counts them in `tally`, deletes them, and says how many.
    ///
    /// # Errors
    ///
    /// The store's own.
    fn take(&mut self, max: usize, tally: &mut Tally) -> Result<usize, Failure>;
}

/// Sends, receives and deletes, `each` messages at a time, for `time`.
///
/// It pins the calling thread. By then all stores are open and have started their own threads and
/// processes, which are free to run anywhere.
pub fn cycle(store: &mut impl Store, each: usize, time: Duration) -> Result<Measure, Failure> {
    Cores::get().pin(0);
    let mut bodies = bodies();
    let bodies = &mut bodies[..each];
    let (mut sent, mut received) = (Tally::default(), Tally::default());
    let start = Instant::now();
    while start.elapsed() < time {
        for _ in 0..STRIDE {
            sent.number(bodies);
            store.send(bodies)?;
            for body in &*bodies {
                sent.add(body);
            }
            let mut left = each;
            while left > 0 {
                let taken = store.take(left, &mut received)?;
                if taken == 0 {
                    return Err(format!("{left} messages are missing").into());
                }
                left = left.saturating_sub(taken);
            }
        }
    }
    let elapsed = start.elapsed();
    check(sent, received)?;
    Ok(Measure::new(received.count, elapsed))
}

/// A peer's row: the two columns with one thread.
pub fn row(name: &str, store: impl Store + 'static) -> Row {
    let tens = Rc::new(RefCell::new(store));
    let single = Rc::clone(&tens);
    Row {
        name: name.into(),
        family: "queue",
        against: &[],
        jobs: vec![
            Some(Box::new(move |time| {
                cycle(&mut *tens.borrow_mut(), TEN, time)
            })),
            Some(Box::new(move |time| {
                cycle(&mut *single.borrow_mut(), 1, time)
            })),
            None,
            None,
        ],
    }
}

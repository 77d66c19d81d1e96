//! An executor of a few lines.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::{Duration, Instant};

/// Counts wake-ups, and unparks.
pub struct Woken(thread::Thread, Mutex<usize>);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        *self.1.lock().expect("a count") += 1;
        self.0.unpark();
    }
}

impl Woken {
    pub fn new() -> Arc<Self> {
        Arc::new(Self(thread::current(), Mutex::new(0)))
    }

    pub fn count(&self) -> usize {
        *self.1.lock().expect("a count")
    }
}

pub fn poll<F: Future>(future: Pin<&mut F>, woken: &Arc<Woken>) -> Poll<F::Output> {
    let waker = Waker::from(Arc::clone(woken));
    future.poll(&mut Context::from_waker(&waker))
}

/// Waits for a future, which has to be woken within `patience`.
pub fn block_on<F: Future>(future: F, patience: Duration) -> F::Output {
    let mut future = pin!(future);
    let (woken, begun) = (Woken::new(), Instant::now());
    loop {
        if let Poll::Ready(output) = poll(future.as_mut(), &woken) {
            return output;
        }
        thread::park_timeout(patience);
        assert!(begun.elapsed() < patience, "nobody woke this future");
    }
}

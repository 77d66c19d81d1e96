//! Peers with many producers and consumers that a stopped one does not stop: rings of indices with
//! fetch-and-add tickets (SCQ).

use super::drive;
use crate::sample::Row;

/// Adds them all.
pub fn add(rows: &mut Vec<Row>, capacity: usize) {
    drive::mpmc::<lfqueue_scq::Lfqueue>(rows, "SCQ", capacity, &[]);
    drive::mpmc::<parkring_scq::Parkring>(rows, "SCQ", capacity, &[]);
}

mod lfqueue_scq {
    use lfqueue::AllocBoundedQueue;

    crate::shared_peer!(
        Lfqueue,
        "lfqueue 0.8.1 `*`",
        AllocBoundedQueue<u64>,
        |capacity| AllocBoundedQueue::new(capacity),
        |queue, value| queue.enqueue(value).is_ok(),
        |queue| queue.dequeue()
    );
}

mod parkring_scq {
    use parkring::ScqQueue;

    crate::shared_peer!(
        Parkring,
        "parkring 1.0.0 ScqQueue `*`",
        ScqQueue<u64>,
        |capacity| ScqQueue::new(capacity),
        |queue, value| queue.try_push(value).is_ok(),
        |queue| queue.try_pop().ok()
    );
}

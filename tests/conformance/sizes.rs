//! Bodies of mixed sizes, and the memory they take and give back.

use super::common::{Numbers, SLOT_HEAD_BYTES, body, seed_of};
use super::ground::Ground;
use ringmain::{Error, Region};

/// Slots that a body of `len` bytes takes.
fn run<R: Region>(on: &Ground<'_, R>, len: usize) -> u64 {
    ((len + SLOT_HEAD_BYTES) as u64).div_ceil(on.queue.stat().expect("figures").slot_bytes)
}

pub fn sizes_mix_and_memory_comes_back<R: Region>(on: &Ground<'_, R>) {
    let mut numbers = Numbers(42);
    let max = on.queue.max_body();
    let sizes = [8, 40, 88, 96, 97, 300, 1000, 5000, 12_000];
    let mut waiting = 0;
    for step in 0..600u64 {
        let len = sizes[numbers.below(9) as usize].min(max);
        let free = on.slots_free();
        match on.queue.send(&body(step, len)) {
            Ok(_) => {
                assert_eq!(on.slots_free(), free - run(on, len), "{len} bytes");
                waiting += 1;
            }
            Err(error) => assert_eq!((error, on.slots_free()), (Error::Full, free)),
        }
        if numbers.below(2) == 0 {
            continue;
        }
        let Some(received) = on.queue.receive().expect("a receive") else {
            continue;
        };
        assert!(
            seed_of(received.body()).is_some(),
            "its bytes are those sent"
        );
        let (free, slots) = (on.slots_free(), run(on, received.body().len()));
        received.delete().expect("a delete");
        assert_eq!(on.slots_free(), free + slots);
        waiting -= 1;
    }
    while let Some(received) = on.queue.receive().expect("a receive") {
        assert!(seed_of(received.body()).is_some());
        received.delete().expect("a delete");
        waiting -= 1;
    }
    assert_eq!(waiting, 0);
}

pub fn long_bodies_take_runs<R: Region>(on: &Ground<'_, R>) {
    let max = on.queue.max_body();
    let slot = on.queue.stat().expect("figures").slot_bytes as usize;
    let around = |slots: usize| {
        let whole = slots * slot - SLOT_HEAD_BYTES;
        [whole - 1, whole, whole + 1]
    };
    let runs = [1, 2, 3, 63, 64, 65, 128, 129, 1000];
    for len in runs.iter().flat_map(|&slots| around(slots)).chain([max]) {
        if len > max {
            continue;
        }
        let bytes = body(len as u64, len);
        let free = on.slots_free();
        let id = on.send(&bytes);
        assert_eq!(on.slots_free(), free - run(on, len), "{len} bytes");
        let received = on.receive();
        assert_eq!((received.id(), received.body()), (id, &bytes[..]));
        received.release().expect("a release");
        if len < max / 3 {
            on.queue.claim(len).expect("room").fill(9);
        }
        on.receive().delete().expect("a delete");
        assert_eq!(on.slots_free(), free);
    }
}

pub fn runs_fit_where_others_left<R: Region>(on: &Ground<'_, R>) {
    // One slot of each third is left; a body of three slots has no room, one of one slot has.
    let capacity = on.queue.capacity();
    let mut kept = Vec::new();
    for _ in 0..capacity {
        on.send(b"slot");
    }
    for number in 0..capacity {
        let received = on.receive();
        if number % 3 == 0 {
            received.delete().expect("a delete");
        } else {
            kept.push(received.detach());
        }
    }
    let three = 300.min(on.queue.max_body());
    if run(on, three) > 1 {
        assert_eq!(on.queue.send(&body(1, three)), Err(Error::Full));
    }
    let free = on.slots_free();
    for _ in 0..free {
        on.send(b"one");
    }
    assert_eq!(on.queue.send(b"one"), Err(Error::Full));
    for receipt in kept {
        on.queue.delete(&receipt).expect("a delete");
    }
    assert_eq!(on.queue.purge(), Ok(free));
    let large = body(2, on.queue.max_body());
    on.send(&large);
    assert_eq!(on.receive().delete(), Ok(()));
}

pub fn a_small_buffer_leaves_the_message<R: Region>(on: &Ground<'_, R>) {
    on.send(b"12345678");
    for count in 0..3 {
        let mut small = [0xaa; 7];
        let error = Error::BufferTooSmall { needed: 8, len: 7 };
        assert_eq!(on.queue.receive_into(&mut small), Err(error.clone()));
        assert_eq!(small, [0xaa; 7]);
        assert!(error.to_string().contains('8') && error.to_string().contains('7'));
        assert_eq!(on.counts(), (1, 0), "after {count}");
    }
    let mut empty = [];
    assert!(on.queue.receive_into(&mut empty).is_err());
    let mut exact = [0; 8];
    let copied = on
        .queue
        .receive_into(&mut exact)
        .expect("a receive")
        .expect("a message");
    assert_eq!((copied.len, &exact), (8, b"12345678"));
    assert_eq!(copied.receive_count, 5);
    on.queue.delete(&copied.receipt).expect("a delete");
}

pub fn copies_are_whole<R: Region>(on: &Ground<'_, R>) {
    let max = on.queue.max_body();
    let mut buffer = vec![0; max];
    for len in [8, 41, max / 2, max] {
        on.send(&body(len as u64, len));
        let copied = on
            .queue
            .receive_into(&mut buffer)
            .expect("a receive")
            .expect("a message");
        assert_eq!(copied.len, len);
        assert_eq!(seed_of(&buffer[..len]), Some(len as u64));
        // Nothing is read in place: deleted, the slots are free at once.
        let free = on.slots_free();
        on.queue.delete(&copied.receipt).expect("a delete");
        assert_eq!(on.slots_free(), free + run(on, len));
    }
    assert_eq!(on.queue.receive_into(&mut buffer), Ok(None));
}

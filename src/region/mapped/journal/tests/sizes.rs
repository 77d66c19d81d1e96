//! The lengths that follow from a shape, and how far the sweep has to be.

use super::super::file::sizes_of;
use super::super::frame::{ALIGN, HEAD_BYTES, record_bytes};
use crate::region::layout::{FifoShape, Shape};

const SHAPES: [[usize; 3]; 12] = [
    [128, 1, 96],
    [128, 300, 3000],
    [128, 8192, 256 << 10],
    [128, 1 << 24, 256 << 10],
    [192, 64, 12_000],
    [1024, 40, 992],
    [4096, 64, 4064],
    [4096, 90, 64],
    [65_536, 3, 100_000],
    [(1 << 20) + 64, 64, 256 << 10],
    [(1 << 20) + 64, 1, 1 << 20],
    [(1 << 20) + 64, 5000, 1 << 30],
];

#[test]
fn lengths_keep_their_promises() {
    for [slot_bytes, slots, body_bytes_max] in SHAPES {
        let shape = Shape {
            slot_bytes,
            slots,
            body_bytes_max,
            fifo: FifoShape::NONE,
        };
        let sizes = sizes_of(&shape).expect("no overflow");
        let (frame_max, align) = (sizes.frame_max as u64, ALIGN as u64);
        for len in [frame_max, sizes.period, sizes.ring] {
            assert_eq!(len % align, 0, "{shape:?} {sizes:?}");
        }
        assert!(HEAD_BYTES + record_bytes(body_bytes_max) <= sizes.frame_max);
        // The most that a message takes in a frame, for each of its slots.
        let record = |len: usize| record_bytes(len).div_ceil(shape.run(len));
        let lens = [1, shape.single_bytes(), shape.stored_bytes_max()];
        let most = lens.into_iter().map(record).max().expect("some");
        let block = (slots.min(64) * most) as u64;
        let live = (slots * most) as u64;
        assert!(sizes.period >= 2 * live, "{shape:?} {sizes:?}");
        // Before a message is recorded again, two blocks and four frames may come.
        assert!(
            sizes.window() >= sizes.period + 2 * block + 4 * frame_max,
            "{shape:?}"
        );
        // What is being written, with the end that was skipped, reaches no frame that counts.
        assert!(
            sizes.ring >= sizes.window() + 2 * frame_max,
            "{shape:?} {sizes:?}"
        );
    }
}

#[test]
fn lengths_that_overflow_are_none() {
    let shape = |slot_bytes, slots, body_bytes_max| Shape {
        slot_bytes,
        slots,
        body_bytes_max,
        fifo: FifoShape::NONE,
    };
    let huge = usize::MAX & !7;
    for shape in [
        shape(128, huge, 96),
        shape(huge, 2, 96),
        shape(huge, 1, 96),
        shape(huge / 2, 1, 96),
        shape(huge / 4, 2, 96),
    ] {
        assert_eq!(sizes_of(&shape), None, "{shape:?}");
    }
}

#[test]
fn visits_go_round_once_a_period() {
    let shape = Shape {
        slot_bytes: 128,
        slots: 1000,
        body_bytes_max: 3000,
        fifo: FifoShape::NONE,
    };
    let sizes = sizes_of(&shape).expect("no overflow");
    let blocks = shape.blocks() as u64;
    assert_eq!(sizes.visits_at(0, blocks), 0);
    assert_eq!(sizes.visits_at(sizes.period - 1, blocks), blocks - 1);
    let mut last = 0;
    for position in (0..3 * sizes.period).step_by(ALIGN) {
        let visits = sizes.visits_at(position, blocks);
        assert!(visits >= last && visits - last <= 1 + blocks * ALIGN as u64 / sizes.period);
        assert_eq!(
            visits + blocks,
            sizes.visits_at(position + sizes.period, blocks)
        );
        last = visits;
    }
    // No position is too great: a clock's worth of writes at any speed.
    let most = sizes.visits_at(u64::MAX, blocks);
    let exact = u128::from(u64::MAX) * u128::from(blocks) / u128::from(sizes.period);
    assert_eq!(u128::from(most), exact);
}

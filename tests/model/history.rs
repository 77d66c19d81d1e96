//! Histories, drawn at random.

use crate::op::Op;
use proptest::collection::vec;
use proptest::prelude::*;

const HOURS_12_MS: u64 = 43_200_000;
const MINUTES_15_MS: u64 = 900_000;

fn len() -> impl Strategy<Value = usize> {
    prop_oneof![
        12 => 1usize..89,
        3 => 89usize..400,
        1 => 8_000usize..9_000, // more than 64 slots
        1 => Just(0usize),
    ]
}

fn visibility_ms() -> impl Strategy<Value = u64> {
    prop_oneof![
        3 => Just(0u64),
        3 => 1u64..20,
        3 => Just(1_000u64),
        1 => Just(HOURS_12_MS),
        1 => Just(HOURS_12_MS + 1),
    ]
}

fn delay_ms() -> impl Strategy<Value = u64> {
    prop_oneof![
        3 => Just(0u64),
        4 => 1u64..20,
        3 => Just(100u64),
        2 => Just(1_000u64),
        1 => Just(MINUTES_15_MS),
        1 => Just(MINUTES_15_MS + 1),
    ]
}

fn send_message() -> impl Strategy<Value = Op> {
    let delay_ms = prop_oneof![1 => Just(None), 2 => delay_ms().prop_map(Some)];
    (len(), delay_ms, 0usize..11).prop_map(|(len, delay_ms, attributes)| Op::SendMessage {
        len,
        delay_ms,
        attributes,
    })
}

/// Most often back to what the queue began with: histories go on as usual.
fn reconfigure() -> impl Strategy<Value = Op> {
    let visibility_ms = prop_oneof![4 => Just(100u64), 1 => visibility_ms()];
    let delay_ms = prop_oneof![3 => Just(0u64), 1 => delay_ms()];
    (visibility_ms, delay_ms).prop_map(|(visibility_ms, delay_ms)| Op::Reconfigure {
        visibility_ms,
        delay_ms,
    })
}

/// Steps that meet and just miss the timeouts.
fn step_ms() -> impl Strategy<Value = u64> {
    prop_oneof![
        4 => 0u64..4,
        3 => Just(10u64),
        2 => Just(99u64),
        2 => Just(100u64),
        2 => Just(900u64),
        1 => Just(1_000u64),
        1 => Just(59_999u64),
        1 => Just(60_000u64),
    ]
}

/// Few receives, so that there are dead letters, or none; and what is refused.
fn max_receives() -> impl Strategy<Value = Op> {
    let receives = prop_oneof![
        8 => (1u32..4).prop_map(Some),
        2 => (4u32..8).prop_map(Some),
        6 => Just(None),
        1 => prop_oneof![Just(1_000u32), Just(1_001), Just(0)].prop_map(Some),
    ];
    receives.prop_map(|receives| Op::MaxReceives { receives })
}

/// What is done to the queue of dead letters: mostly less than comes there.
fn on_dead_letters() -> impl Strategy<Value = Op> {
    let pick = || 0usize..64;
    let op = prop_oneof![
        2 => len().prop_map(|len| Op::Send { len }),
        1 => send_message(),
        6 => Just(Op::ReceiveOne),
        4 => (1usize..11, visibility_ms())
            .prop_map(|(max, visibility_ms)| Op::ReceiveFor { max, visibility_ms }),
        5 => pick().prop_map(|pick| Op::DeleteHeld { pick }),
        3 => pick().prop_map(|pick| Op::Delete { pick }),
        2 => pick().prop_map(|pick| Op::Release { pick }),
        3 => pick().prop_map(|pick| Op::ReleaseHeld { pick }),
        2 => pick().prop_map(|pick| Op::Drop { pick }),
        1 => (pick(), visibility_ms())
            .prop_map(|(pick, visibility_ms)| Op::Extend { pick, visibility_ms }),
        1 => Just(Op::Purge),
        1 => Just(Op::Peek),
        1 => reconfigure(),
    ];
    op.prop_map(Op::on_dead_letters)
}

fn redrive() -> impl Strategy<Value = Op> {
    let max = prop_oneof![3 => 0u64..4, 1 => Just(u64::MAX)];
    max.prop_map(|max| Op::Redrive { max })
}

fn op() -> impl Strategy<Value = Op> {
    let pick = || 0usize..64;
    prop_oneof![
        10 => len().prop_map(|len| Op::Send { len }),
        4 => vec(len(), 0..12).prop_map(|lens| Op::SendBatch { lens }),
        4 => (len(), any::<bool>()).prop_map(|(len, commit)| Op::Claim { len, commit }),
        10 => Just(Op::ReceiveOne),
        6 => (0usize..12).prop_map(|max| Op::Receive { max }),
        4 => (1usize..11, visibility_ms())
            .prop_map(|(max, visibility_ms)| Op::ReceiveFor { max, visibility_ms }),
        2 => Just(Op::ReceiveInto),
        6 => pick().prop_map(|pick| Op::Delete { pick }),
        8 => pick().prop_map(|pick| Op::DeleteHeld { pick }),
        3 => vec(pick(), 0..12).prop_map(|picks| Op::DeleteBatch { picks }),
        3 => (pick(), visibility_ms())
            .prop_map(|(pick, visibility_ms)| Op::Extend { pick, visibility_ms }),
        3 => (pick(), visibility_ms())
            .prop_map(|(pick, visibility_ms)| Op::ExtendHeld { pick, visibility_ms }),
        3 => pick().prop_map(|pick| Op::Release { pick }),
        3 => pick().prop_map(|pick| Op::ReleaseHeld { pick }),
        3 => pick().prop_map(|pick| Op::Detach { pick }),
        4 => pick().prop_map(|pick| Op::Drop { pick }),
        14 => step_ms().prop_map(|ms| Op::Advance { ms }),
        1 => prop_oneof![5 => Just(Op::Advance { ms: 1 }), 5 => Just(Op::Purge)],
        4 => Just(Op::Turn),
        8 => send_message(),
        3 => reconfigure(),
        3 => max_receives(),
        10 => on_dead_letters(),
        2 => redrive(),
        2 => Just(Op::Peek),
    ]
}

/// The shortest of the histories of about `ops` operations.
pub const fn least(ops: usize) -> usize {
    ops - ops / 10
}

/// Histories of about `ops` operations.
pub fn histories(ops: usize) -> impl Strategy<Value = Vec<Op>> {
    vec(op(), least(ops)..ops + ops / 10)
}

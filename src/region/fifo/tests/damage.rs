//! Whatever the words of a queue say: every call comes back.

use super::*;

/// Whatever is in its memory, each call comes back.
#[test]
fn damage_holds_nobody_up() {
    for seed in 1..=400u64 {
        let mut random = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mut memory = Memory::new();
        some_calls(&memory.store(), &mut random, 60);
        for _ in 0..3 {
            for _ in 0..1 + next(&mut random) % 12 {
                let words = memory.words();
                let at = next(&mut random) as usize % words.len();
                let was = words[at].load(Ordering::SeqCst);
                let is = match next(&mut random) % 6 {
                    0 => u64::MAX,
                    1 => 0,
                    2 => was ^ 1 << (next(&mut random) % 64),
                    3 => words[next(&mut random) as usize % words.len()].load(Ordering::SeqCst),
                    4 => was.wrapping_add(next(&mut random) % 7),
                    _ => next(&mut random) << (next(&mut random) % 12),
                };
                words[at].store(is, Ordering::SeqCst);
            }
            some_calls(&memory.store(), &mut random, 40);
        }
    }
}

fn some_calls(store: &Store<'_>, random: &mut u64, count: usize) {
    let mut holds: Vec<Hold> = Vec::new();
    for _ in 0..count {
        let now_ms = 5000 + next(random) % 300;
        match next(random) % 8 {
            0..=2 => {
                let key = id(next(random) % 50);
                let group = next(random) % GROUPS;
                let message = Ordered {
                    size: 8,
                    attributes: 0,
                    sent_ms: now_ms,
                    delay_ms: 0,
                    group: [group + 100, group],
                    id: &key,
                    until_ms: now_ms + 50,
                };
                if let Some(claimed) = store.claim_free(1, 1) {
                    store.send_in_order(claimed, &message, 1);
                }
            }
            3 | 4 => {
                let turn = Turn {
                    owner: 1,
                    borrowed: next(random) & 1 == 0,
                    now_ms,
                    due_at_ms: now_ms + VISIBILITY_MS,
                };
                let refused = next(random) & 3 == 0;
                store.receive_in_turn(&turn, 10, |hold| {
                    holds.push(hold);
                    !refused
                });
            }
            5 | 6 => {
                if let Some(hold) = holds.pop() {
                    let _ = match next(random) % 2 {
                        0 => store.delete_in_turn(&hold, 1, now_ms, 1).map(|_| ()),
                        _ => store.release_in_turn(&hold, now_ms, 1),
                    };
                }
            }
            _ => {
                let now = Now {
                    now_ms,
                    oldest_ms: 0,
                    owner: 1,
                };
                store.expire_groups(&now);
                store.repair(&|owner| owner == 2, 1);
                store.mend_groups(&|owner| owner == 2);
                store.ids_table().repair(&|owner| owner == 2);
                store.mend_sends(0..usize::MAX, 1);
                store.mend_tickets(0..usize::MAX, now_ms, 1);
            }
        }
    }
}

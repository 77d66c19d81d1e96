//! Producers: new ids, ids that their predecessor left open, ids that all send at once, duplicates
//! within the window, and ids whose window ends just now.

use super::board::Record;
use super::common::body;
use super::hand::{GROUPS, Hand, Queue, name};
use super::history::{Place, Reply, Send};
use super::os;
use ringmain::{Error, FifoEntry, FifoSent};
use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// Of ids that all send: not an own one of any life.
const RALLY: u64 = 1 << 60;

/// Group and id of what is to be sent.
type Wish = (u32, u64);

/// What the producer in this place has left open: intents without an outcome.
fn left_open(hand: &Hand, predecessor: usize) -> Vec<Wish> {
    let mut open = HashMap::new();
    for record in hand.tools.board.lives[predecessor].read() {
        match record {
            Record::Intent(send) => {
                open.insert(send.token, (send.group, send.id));
            }
            Record::Outcome(token, ..) => {
                open.remove(&token);
            }
            _ => {}
        }
    }
    open.into_values().collect()
}

/// Sends until it is stopped, or its log is full.
pub fn produce(mut hand: Hand, predecessor: Option<usize>) {
    let queue = hand.open();
    let mut open = predecessor.map_or(Vec::new(), |place| left_open(&hand, place));
    // At once, or when what was sent may be received and deleted.
    let later = Duration::from_millis(if hand.once_in(2) { 0 } else { 100 });
    let begun = Instant::now();
    let (mut recent, mut made) = (Vec::<Wish>::new(), 0);
    let mut rally = hand.tools.board.rally.load(Ordering::SeqCst);
    while hand.goes_on() {
        let now = hand.tools.board.rally.load(Ordering::SeqCst);
        if now != rally {
            rally = now;
            let group = rally % GROUPS;
            send(&mut hand, &queue, &[(group as u32, RALLY | rally)]);
            continue;
        }
        if !open.is_empty() && begun.elapsed() >= later {
            let some = open.split_off(open.len().saturating_sub(10));
            send(&mut hand, &queue, &some);
            continue;
        }
        let board = hand.tools.board;
        let before_ms = os::now_ns() / 1_000_000 + 2;
        let due = before_ms.saturating_sub(hand.tools.window_ms);
        let renews = hand.once_in(2); // not each, or they would multiply
        if let Some((id, group)) = board.past.pop(due).filter(|_| renews) {
            send(&mut hand, &queue, &[(group, id)]);
            continue;
        }
        if board.permits.load(Ordering::Relaxed) <= 0 {
            std::thread::sleep(Duration::from_micros(500));
            continue;
        }
        if hand.once_in(100) {
            board.rally.fetch_add(1, Ordering::SeqCst);
        }
        let many = if hand.once_in(3) {
            hand.below(9) + 2
        } else {
            1
        };
        board.permits.fetch_sub(many as i64, Ordering::Relaxed);
        let group = hand.group();
        let wishes: Vec<Wish> = (0..many)
            .map(|_| {
                let again = hand.below(recent.len().max(1) as u64 * 20) as usize;
                if let Some((group, id)) = recent.get(again) {
                    // Also to another group: the id counts in the queue.
                    let other = hand.once_in(4);
                    return (if other { hand.group() } else { *group }, *id);
                }
                made += 1;
                let group = if hand.once_in(2) { group } else { hand.group() };
                (group, hand.number << 24 | made)
            })
            .collect();
        recent.extend(&wishes);
        recent.drain(..recent.len().saturating_sub(30));
        if !send(&mut hand, &queue, &wishes) {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
    hand.close(queue);
}

fn entry((group, id, body): &(String, String, Vec<u8>)) -> FifoEntry<'_> {
    FifoEntry::new(group, body).id(id)
}

/// Sends, and logs what came of it. Whether all were accepted.
fn send(hand: &mut Hand, queue: &Queue, wishes: &[Wish]) -> bool {
    hand.calls += 1;
    let first = hand.tokens;
    let from = os::now_ns();
    let texts: Vec<_> = wishes
        .iter()
        .map(|(group, id)| {
            let token = hand.number << 24 | hand.tokens;
            hand.tokens += 1;
            let len = match hand.below(10) {
                0..=5 => 8 + hand.below(60),
                6..=8 => 60 + hand.below(300),
                _ => 300 + hand.below(1500),
            };
            let send = Send::new((hand.calls, *group, *id), token, from);
            hand.life.append(&Record::Intent(send));
            (name(*group as u64), name(*id), body(token, len as usize))
        })
        .collect();
    let outcomes: Vec<Result<FifoSent, Error>> = match texts.as_slice() {
        [(group, id, body)] => vec![hand.inside(|| queue.send(group, id.as_str(), body))],
        many => {
            let entries: Vec<_> = many.iter().map(entry).collect();
            let outcomes = hand.inside(|| queue.send_batch(&entries));
            outcomes.expect("a batch").into_iter().collect()
        }
    };
    let to = os::now_ns();
    let mut accepted = true;
    for ((at, outcome), (group, id)) in (first..).zip(outcomes).zip(wishes) {
        let reply = match outcome {
            Ok(sent) => {
                let place = Place {
                    id: sent.id.as_u128(),
                    sequence: sent.sequence.as_u128() as u64,
                };
                if !sent.is_duplicate && hand.once_in(hand.tools.renewed) {
                    let sent_ms = from / 1_000_000;
                    hand.tools.board.past.push(*id, *group, sent_ms);
                }
                match sent.is_duplicate {
                    true => Reply::Duplicate(place),
                    false => Reply::New(place),
                }
            }
            Err(Error::Full | Error::DeduplicationFull { .. }) => Reply::Refused,
            Err(error) => panic!("a send: {error}"),
        };
        accepted &= reply != Reply::Refused;
        let token = hand.number << 24 | at;
        hand.life.append(&Record::Outcome(token, reply, to));
    }
    accepted
}

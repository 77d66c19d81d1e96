//! What is large, and what is too large; attributes.

use super::{files, heap, is_empty, large, large_with};
use crate::common::{Dir, body};
use ringmain::{Error, Heap, LargeOptions, LargeQueue, ManualClock, Message, Queue, QueueOptions};
use std::io::{self, Read};

/// Reads nothing: nobody may ask.
struct Untouched;

impl Read for Untouched {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        panic!("the body was read")
    }
}

#[test]
fn what_the_queue_takes_goes_into_the_queue() {
    let (dir, clock) = (Dir::new("large-threshold"), ManualClock::new(5000));
    let queue = heap(&clock);
    for (threshold, expected) in [(None, 1000), (Some(0), 0), (Some(400), 400)] {
        let options = LargeOptions::new();
        let options = threshold.map_or(options, |bytes| options.threshold(bytes));
        let large = large_with(&queue, &dir, options);
        assert_eq!(large.threshold(), expected);
        for len in [1, 399, 400, 401, 999, 1000, 1001, 5000] {
            let sent = body(len as u64, len);
            for way in 0..3 {
                match way {
                    0 => large.send(&sent),
                    1 => large.send_reader(&mut &sent[..], Some(len as u64)),
                    _ => large.send_reader(&mut &sent[..], None),
                }
                .expect("sent");
                let is_large = len > expected;
                assert_eq!(files(&dir), usize::from(is_large), "{len} over {expected}");
                let received = large.receive().expect("received").expect("there");
                assert_eq!(
                    (received.len(), received.is_large()),
                    (len as u64, is_large)
                );
                assert_eq!(received.body().is_some(), !is_large);
                assert_eq!(received.read_to_vec(len), Ok(sent.clone()));
                let short = Error::BufferTooSmall {
                    needed: len,
                    len: len - 1,
                };
                assert_eq!(received.read_to_vec(len - 1), Err(short));
                received.delete().expect("deleted");
                is_empty(&queue, &dir);
            }
        }
    }
}

#[test]
fn attributes_count_against_the_threshold() {
    let (dir, clock) = (Dir::new("large-sum"), ManualClock::new(5000));
    let queue = heap(&clock);
    let large = large(&queue, &dir);
    for (len, is_large) in [(900, false), (901, true)] {
        let sent = body(7, len);
        let text = "v".repeat(100 - 4 - 6);
        let message = Message::new(&sent).string("name", &text).expect("text");
        large.send_message(&message).expect("sent");
        let empty = Message::new("").string("name", &text).expect("text");
        for whole in [None, Some(len as u64)] {
            let sent = large.send_message_reader(&empty, &mut &sent[..], whole);
            sent.expect("sent");
        }
        for _ in 0..3 {
            let received = large.receive().expect("received").expect("there");
            assert_eq!(received.is_large(), is_large, "{len}");
            assert_eq!(received.read_to_vec(1000), Ok(sent.clone()));
            let attribute = received.attribute("name");
            assert_eq!(attribute.and_then(|value| value.as_str()), Some(&text[..]));
            received.delete().expect("deleted");
        }
    }
    is_empty(&queue, &dir);
}

#[test]
fn two_gib_and_a_byte_are_refused_and_nothing_is_read_or_written() {
    let (dir, clock) = (Dir::new("large-longest"), ManualClock::new(5000));
    let queue = heap(&clock);
    let large = large(&queue, &dir);
    assert_eq!(large.longest(), 2 << 30);
    let refused = Error::BodyTooLong {
        len: (2 << 30) + 1,
        max: 2 << 30,
    };
    let sent = large.send_reader(&mut Untouched, Some((2 << 30) + 1));
    assert_eq!(sent, Err(refused));
    let sent = large.send_reader(&mut Untouched, Some(u64::MAX));
    assert!(matches!(sent, Err(Error::BodyTooLong { .. })), "{sent:?}");
    assert_eq!(
        large.send_reader(&mut Untouched, Some(0)),
        Err(Error::BodyEmpty)
    );
    is_empty(&queue, &dir);
}

#[test]
fn the_longest_body_is_sent_and_one_byte_more_is_not() {
    const LONGEST: usize = 200_000;
    let (dir, clock) = (Dir::new("large-longer"), ManualClock::new(5000));
    let queue = heap(&clock);
    let large = large_with(&queue, &dir, LargeOptions::new().longest(LONGEST as u64));
    let whole = body(1, LONGEST + 1);
    let refused = Error::BodyTooLong {
        len: LONGEST + 1,
        max: LONGEST,
    };
    assert_eq!(large.send(&whole), Err(refused.clone()));
    // Nobody knows how long it is before it has been read.
    assert_eq!(large.send_reader(&mut &whole[..], None), Err(refused));
    is_empty(&queue, &dir);
    let longest = &whole[..LONGEST];
    for len in [None, Some(LONGEST as u64)] {
        large.send_reader(&mut &longest[..], len).expect("sent");
        // A length that is given is all that is read.
        let sent = large.send_reader(&mut &whole[..], Some(LONGEST as u64));
        sent.expect("sent");
    }
    while let Some(received) = large.receive().expect("received") {
        assert_eq!(received.read_to_vec(LONGEST).expect("whole"), longest);
        received.delete().expect("deleted");
    }
    is_empty(&queue, &dir);
}

#[test]
fn an_empty_body_and_one_that_ends_early_are_refused() {
    let (dir, clock) = (Dir::new("large-short"), ManualClock::new(5000));
    let queue = heap(&clock);
    let large = large(&queue, &dir);
    assert_eq!(large.send(b""), Err(Error::BodyEmpty));
    assert_eq!(large.send_reader(&mut &[][..], None), Err(Error::BodyEmpty));
    for (len, expected) in [(0, 1), (9, 10), (5000, 5001), (0, 70_000)] {
        let short = large.send_reader(&mut &body(1, len)[..], Some(expected));
        let len = len as u64;
        assert_eq!(short, Err(Error::BodyShort { len, expected }));
    }
    is_empty(&queue, &dir);
}

#[test]
fn options_have_ranges() {
    let (dir, clock) = (Dir::new("large-options"), ManualClock::new(5000));
    let queue = heap(&clock);
    let given = |options| LargeQueue::with_options(&queue, dir.file("bodies"), options).map(|_| ());
    let out = |what, value, min, max| {
        Err(Error::OutOfRange {
            what,
            value,
            min,
            max,
        })
    };
    let options = LargeOptions::new();
    let what = "threshold of large messages (bytes)";
    assert_eq!(given(options.threshold(1001)), out(what, 1001, 0, 1000));
    let what = "longest body (bytes)";
    for longest in [0, (2 << 30) + 1, u64::MAX] {
        let expected = out(what, longest, 1, 2 << 30);
        assert_eq!(given(options.longest(longest)), expected);
    }
    assert!(!dir.file("bodies").exists(), "nothing was made");
    assert_eq!(given(options.longest(2 << 30).threshold(1000)), Ok(()));
    assert_eq!(given(options.longest(1)), Ok(()));
}

#[test]
fn nine_attributes_are_the_senders_and_the_name_is_not() {
    const NAMES: [&str; 10] = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"];
    let (dir, clock) = (Dir::new("large-attributes"), ManualClock::new(5000));
    let queue = heap(&clock);
    let large = large(&queue, &dir);
    let (short, long) = (body(1, 10), body(2, 5000));
    let with = |body, count: usize| {
        let mut names = NAMES[..count].iter();
        names.try_fold(Message::new(body), |message, name| message.integer(name, 7))
    };
    let refused = Error::LargeAttributes { count: 10, max: 9 };
    let ten = with(&long, 10).expect("ten");
    assert_eq!(large.send_message(&ten), Err(refused.clone()));
    let text = refused.to_string();
    assert!(text.contains("10") && text.contains("at most 9"), "{text}");
    large
        .send_message(&with(&short, 10).expect("ten"))
        .expect("short");
    large
        .send_message(&with(&long, 9).expect("nine"))
        .expect("long");
    for (count, is_large) in [(10, false), (9, true)] {
        let received = large.receive().expect("received").expect("there");
        assert_eq!(received.is_large(), is_large);
        let names: Vec<&str> = received.attributes().map(|(name, _)| name).collect();
        assert_eq!(names, NAMES[..count]);
        assert_eq!(received.attribute("ringmain.large"), None);
        received.delete().expect("deleted");
    }
    for body in [&short, &long] {
        let message = Message::new(body)
            .string("ringmain.large", "mine")
            .expect("text");
        let sent = large.send_message(&message);
        assert!(matches!(sent, Err(Error::AttributeName { .. })), "{sent:?}");
        let sent = large.send_message_reader(&message, &mut Untouched, None);
        assert!(matches!(sent, Err(Error::AttributeName { .. })), "{sent:?}");
    }
    is_empty(&queue, &dir);
}

#[test]
fn a_queue_that_has_no_room_for_a_pointer_says_so() {
    let dir = Dir::new("large-tiny");
    let options = QueueOptions::new().max_body(80);
    let queue = Queue::create(Heap::new(1 << 14).expect("memory"), options).expect("a queue");
    let large = large(&queue, &dir);
    large.send(&body(1, 80)).expect("it fits");
    let sent = large.send(&body(1, 81));
    assert_eq!(sent, Err(Error::BodyTooLong { len: 85, max: 80 }));
    while large.send(b"full").is_ok() {}
    assert_eq!(large.send(b"x"), Err(Error::Full));
    assert_eq!(files(&dir), 0);
}

#[test]
fn a_full_queue_takes_no_body() {
    let (dir, clock) = (Dir::new("large-full"), ManualClock::new(5000));
    let queue = heap(&clock);
    let large = large(&queue, &dir);
    let long = body(3, 3000);
    let mut sent = 0;
    while large.send(&long).is_ok() {
        sent += 1;
    }
    assert_eq!(sent, queue.capacity());
    assert_eq!(
        large.send_reader(&mut Untouched, Some(3000)),
        Err(Error::Full)
    );
    assert_eq!(files(&dir), sent);
    queue.purge().expect("purged");
    assert_eq!(large.collect().map(|found| found.removed), Ok(sent as u64));
    is_empty(&queue, &dir);
}

//! The times from send to receive, exact to their bucket while nobody competes.

use super::ground::{Ground, VISIBILITY};
use ringmain::{LatencyHistogram, Message, Region};
use std::time::Duration;

const MS: Duration = Duration::from_millis(1);

/// What has been added since `before`: `(bucket, receives)` of those that are not empty.
fn added<R: Region>(on: &Ground<'_, R>, before: &LatencyHistogram) -> Vec<(usize, u64)> {
    let since = on.queue.latency().expect("figures").since(before);
    let counts = since.buckets().map(|bucket| bucket.count);
    counts
        .enumerate()
        .filter(|(_, count)| *count != 0)
        .collect()
}

fn now<R: Region>(on: &Ground<'_, R>) -> LatencyHistogram {
    on.queue.latency().expect("figures")
}

/// One by one: the bucket is that of the time since the send, also after a release, and a delay is
/// part of it.
pub fn each_receive_has_a_bucket<R: Region>(on: &Ground<'_, R>) {
    let before = now(on);
    let times = [
        (0, 0),
        (1, 1),
        (2, 2),
        (3, 2),
        (4, 3),
        (1000, 10),
        (1024, 11),
    ];
    let mut sum = Duration::ZERO;
    for (ms, bucket) in times {
        let before = now(on);
        on.send(b"x");
        on.pass_ms(ms);
        on.receive().delete().expect("a delete");
        assert_eq!(added(on, &before), [(bucket, 1)], "{ms} ms");
        sum += MS * ms as u32;
    }
    on.send(b"again");
    on.receive().release().expect("a release");
    on.pass_ms(5);
    on.receive().delete().expect("a delete");
    let late = Message::new("late").delay(MS * 100);
    on.send_message(&late);
    on.pass_ms(100);
    on.receive().delete().expect("a delete");
    let since = now(on).since(&before);
    assert_eq!(since.count(), times.len() as u64 + 3);
    assert_eq!(since.sum(), sum + MS * 105);
    assert_eq!(now(on).count(), on.stat().received);
    on.settled();
}

/// By tens, and those that come back among others that are new.
pub fn batches_count_each_of_their_messages<R: Region>(on: &Ground<'_, R>) {
    let before = now(on);
    on.send(b"old");
    let old = on.receive();
    on.pass(VISIBILITY);
    for number in 0..3u8 {
        on.send(&[number]);
        on.pass_ms(3);
    }
    let mut left = 4;
    while left != 0 {
        let batch = on.queue.receive_batch(10).expect("a batch");
        left -= batch.len();
        assert!(batch.delete().iter().all(Result::is_ok));
    }
    drop(old);
    let visibility_ms = VISIBILITY.as_millis() as u64;
    let bucket = (u64::BITS - (visibility_ms + 9).leading_zeros()) as usize;
    // 9, 6 and 3 ms; the old one at once, and then late.
    let expected = [(0, 1), (2, 1), (3, 1), (4, 1), (bucket, 1)];
    assert_eq!(added(on, &before), expected);
    let since = now(on).since(&before);
    assert_eq!(since.sum(), VISIBILITY + MS * (9 + 9 + 6 + 3));
    let before = now(on);
    for number in 0..3u8 {
        on.send(&[number]);
    }
    on.queue.receive_batch(3).expect("a batch").delete();
    assert_eq!(added(on, &before), [(0, 3)]);
    on.settled();
}

/// Neither a receive that finds nothing, nor a message that is dropped for its age, nor a purge.
pub fn what_nobody_gets_has_no_latency<R: Region>(on: &Ground<'_, R>) {
    let before = now(on);
    on.nothing();
    let retention = on.queue.options();
    on.set(|options| options.retention(Duration::from_secs(60)));
    on.send(b"too old");
    on.pass(Duration::from_secs(61));
    on.nothing();
    assert_eq!(on.stat().received, before.count());
    on.send(b"purged");
    on.pass_ms(5);
    on.queue.purge().expect("a purge");
    assert_eq!(added(on, &before), []);
    assert_eq!(now(on).since(&before).sum(), Duration::ZERO);
    on.set(|_| retention);
    on.settled();
}

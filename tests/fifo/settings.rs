//! Options, what of them may be changed, kinds of regions, and how things show themselves.

use super::common::Dir;
use super::homes::{Ground, OPTIONS, delete};
use ringmain::{
    DedupScope, Error, FifoEntry, FifoOptions, FifoQueue, Heap, ManualClock, Mapped, Queue,
    QueueOptions, Region,
};
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);

pub fn options_are_told<R: Region>(on: &Ground<'_, R>) {
    let wanted = FifoOptions::new()
        .visibility(Duration::from_millis(1500))
        .retention(MINUTE)
        .delay(Duration::from_secs(2))
        .max_in_flight(7)
        .max_receives(3)
        .typical_body(200)
        .max_body(2000)
        .checksum(true)
        .content_dedup(true)
        .dedup_scope(DedupScope::Group)
        .dedup_interval(Duration::from_secs(9))
        .dedup_ids(33)
        .quota(true);
    on.with(wanted.no_max_receives(), |on| {
        let found = on.queue.options();
        assert_eq!(
            found.get_queue().get_visibility(),
            Duration::from_millis(1500)
        );
        assert_eq!(found.get_queue().get_delay(), Duration::from_secs(2));
        assert!(found.get_content_dedup() && found.get_quota());
        assert_eq!(found.get_dedup_scope(), DedupScope::Group);
        assert_eq!(found.get_dedup_interval(), Duration::from_secs(9));
        assert_eq!(found.get_dedup_ids(), Some(33));
        assert_eq!(on.queue.max_body(), 2000);
        let stat = on.stat();
        assert_eq!(
            (stat.retention, stat.slots),
            (MINUTE, on.queue.capacity() as u64)
        );
        assert_eq!(stat.slot_bytes % 64, 0);
    });
    let found = on.queue.options();
    assert!(!found.get_content_dedup() && !found.get_quota());
    assert_eq!(found.get_dedup_scope(), DedupScope::Queue);
    assert_eq!(found.get_dedup_interval(), Duration::from_secs(300));
    on.with(FifoOptions::default(), |on| {
        let ids = on.queue.options().get_dedup_ids().expect("a number");
        assert_eq!(ids, 2 * on.stat().slots, "the default");
    });
}

pub fn some_may_be_changed<R: Region>(on: &Ground<'_, R>) {
    let second = Duration::from_secs(1);
    on.queue
        .reconfigure(|options| options.visibility(second).max_in_flight(9))
        .expect("may be changed");
    assert_eq!(on.stat().visibility, second);
    type Change = fn(FifoOptions) -> FifoOptions;
    let fixed: [(Change, &str); 7] = [
        (|options| options.content_dedup(true), "content_dedup"),
        (
            |options| options.dedup_scope(DedupScope::Group),
            "dedup_scope",
        ),
        (|options| options.quota(true), "quota"),
        (
            |options| options.dedup_interval(MINUTE),
            "dedup_interval (ms)",
        ),
        (|options| options.dedup_ids(511), "dedup_ids"),
        (|options| options.max_body(77), "max_body"),
        (|options| options.typical_body(1000), "typical_body"),
    ];
    for (change, name) in fixed {
        let both = |options: FifoOptions| change(options.visibility(MINUTE));
        let refused = on.queue.reconfigure(both).expect_err(name);
        assert!(
            matches!(refused, Error::OptionsDiffer { .. }),
            "{refused:?}"
        );
        assert!(refused.to_string().contains(name), "{refused}");
        assert_eq!(
            on.stat().visibility,
            second,
            "and nothing is changed: {name}"
        );
    }
    let refused = on.queue.reconfigure(|options| options.delay(16 * MINUTE));
    assert!(matches!(refused, Err(Error::OutOfRange { .. })));
    on.send("g", "1");
    drop(on.receive_these(1, &["1"]));
    on.pass(second);
    delete(on.receive_these(1, &["1"]));
}

#[test]
fn ranges_are_told() {
    let create = |options: FifoOptions| {
        let region = Heap::new(1 << 18).expect("memory");
        FifoQueue::create(region, options).map(|_| ())
    };
    let out_of_range = [
        (
            OPTIONS.dedup_ids(0),
            "dedup_ids is 0; it must be 1 to 2147483648",
        ),
        (OPTIONS.dedup_ids((1 << 31) + 1), "dedup_ids is 2147483649"),
        (OPTIONS.visibility(721 * MINUTE), "visibility"),
        (OPTIONS.retention(Duration::from_secs(59)), "retention"),
        (OPTIONS.max_receives(1001), "max_receives"),
        (OPTIONS.max_in_flight(0), "max_in_flight"),
        (OPTIONS.delay(16 * MINUTE), "delay"),
    ];
    for (options, said) in out_of_range {
        let refused = create(options).expect_err(said);
        assert!(matches!(refused, Error::OutOfRange { .. }), "{refused:?}");
        assert!(refused.to_string().contains(said), "{refused}");
    }
    let refused = create(OPTIONS.dedup_ids(1 << 31));
    assert!(matches!(refused, Err(Error::RegionTooSmall { .. })));
}

#[test]
fn what_exists_is_opened_with_its_options() {
    let dir = Dir::new("fifo-options");
    let region = Mapped::create(dir.file("q.ring"), 1 << 20).expect("a region");
    assert_eq!(FifoQueue::open(&region).map(|_| ()), Err(Error::Vacant));
    let wanted = OPTIONS.content_dedup(true).quota(true);
    let queue = FifoQueue::open_or_create(&region, wanted).expect("a new one");
    assert!(FifoQueue::open_or_create(&region, wanted).is_ok());
    let opened = FifoQueue::open(&region).expect("it is there");
    assert_eq!(opened.options(), queue.options());
    let occupied = FifoQueue::create(&region, wanted).map(|_| ());
    assert_eq!(occupied, Err(Error::Occupied));
    let others = [
        (
            wanted.content_dedup(false),
            "content_dedup is 0; the queue was created with 1",
        ),
        (wanted.quota(false), "quota is 0"),
        (
            wanted.dedup_scope(DedupScope::Group),
            "dedup_scope (1: group) is 1",
        ),
        (
            wanted.dedup_interval(MINUTE),
            "dedup_interval (ms) is 60000",
        ),
        (wanted.dedup_ids(513), "dedup_ids is 513"),
        (wanted.visibility(MINUTE), "visibility"),
        (wanted.typical_body(1000), "typical_body"),
    ];
    for (options, said) in others {
        let refused = FifoQueue::open_or_create(&region, options).expect_err(said);
        assert!(
            matches!(refused, Error::OptionsDiffer { .. }),
            "{refused:?}"
        );
        assert!(refused.to_string().contains(said), "{refused}");
    }
}

fn both_kinds_are_told(error: Error, found: u64) {
    let expected = 3 - found;
    assert_eq!(error, Error::Kind { found, expected });
    let said = error.to_string();
    assert!(
        said.contains("a FIFO queue") && said.contains("a standard queue"),
        "{said}"
    );
}

#[test]
fn a_region_is_of_one_kind() {
    let dir = Dir::new("fifo-kinds");
    let region = |name: &str| Mapped::create(dir.file(name), 1 << 20).expect("a region");
    let (fifo, standard) = (region("fifo"), region("standard"));
    let _ordered = FifoQueue::create(&fifo, OPTIONS).expect("a queue");
    let _plain = Queue::create(&standard, QueueOptions::new()).expect("a queue");
    let plain = QueueOptions::new();
    both_kinds_are_told(
        Queue::open(&fifo).map(|_| ()).expect_err("of another kind"),
        2,
    );
    let made = Queue::open_or_create(&fifo, plain).map(|_| ());
    both_kinds_are_told(made.expect_err("of another kind"), 2);
    let opened = FifoQueue::open(&standard).map(|_| ());
    both_kinds_are_told(opened.expect_err("of another kind"), 1);
    let made = FifoQueue::open_or_create(&standard, OPTIONS).map(|_| ());
    both_kinds_are_told(made.expect_err("of another kind"), 1);
    // So does one who opens the file anew.
    let again = Mapped::open(dir.file("fifo")).expect("a region of either kind");
    both_kinds_are_told(
        Queue::open(&again)
            .map(|_| ())
            .expect_err("of another kind"),
        2,
    );
    assert!(FifoQueue::open(&again).is_ok());
}

#[test]
fn all_show_themselves() {
    let clock = ManualClock::new(5000);
    let region = Heap::new(1 << 18).expect("memory");
    let queue = FifoQueue::create_with(region, OPTIONS, &clock).expect("a queue");
    let entry = FifoEntry::new("g", "body").id("1");
    let sent = queue.send_batch(&[entry]).expect("a batch").remove(0);
    let sent = sent.expect("room");
    let by_ref = queue.by_ref();
    let received = by_ref.receive().expect("a receive").expect("a message");
    for (shown, part) in [
        (format!("{queue:?}"), "FifoQueue"),
        (format!("{OPTIONS:?}"), "dedup_ids: Some(512)"),
        (format!("{:?}", DedupScope::Group), "Group"),
        (
            format!("{entry:?}"),
            "FifoEntry { group: \"g\", id: Some(\"1\")",
        ),
        (format!("{sent:?}"), "is_duplicate: false"),
        (format!("{received:?}"), "Received"),
        (format!("{}", sent.sequence), "00000000000000000001"),
    ] {
        assert!(shown.contains(part), "{shown}");
    }
}

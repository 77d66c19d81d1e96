//! Figures for monitoring: the text is read back by a strict reader of the format, which has to
//! refuse what is wrong, and the facade's calls are collected by a recorder of this test.
#![cfg(all(feature = "metrics", not(ringmain_loom)))]

#[path = "metrics/exposition.rs"]
mod exposition;
#[path = "metrics/recorder.rs"]
mod recorder;

use exposition::Exposition;
use recorder::Collector;
use ringmain::metrics::{CONTENT_TYPE, Exporter, describe, record, render};
use ringmain::{Heap, LatencyHistogram, ManualClock, Queue, QueueOptions, QueueStats};
use std::time::Duration;

const NAME: &str = "ringmain_send_to_receive_seconds";

/// Figures of a queue in which each of them is something else: all but one.
fn figures() -> (QueueStats, LatencyHistogram) {
    let clock = ManualClock::new(1_000_000);
    let region = Heap::new(1 << 16).expect("memory");
    let queue = Queue::create_with(region, QueueOptions::new(), &clock).expect("a queue");
    for number in 0..9u8 {
        queue.send(&[number]).expect("room");
    }
    let batch = queue.receive_batch(2).expect("a batch");
    assert!(batch.delete().iter().all(Result::is_ok));
    clock.advance(Duration::from_millis(1500));
    let held = [queue.receive(), queue.receive(), queue.receive()];
    assert!(held.iter().all(|held| matches!(held, Ok(Some(_)))));
    let later = ringmain::Message::new("later").delay(Duration::from_secs(10));
    queue.send_message(&later).expect("room");
    let (stats, latency) = (queue.stat(), queue.latency());
    (stats.expect("figures"), latency.expect("figures"))
}

/// The figures of shards, as text and by the facade.
#[cfg(feature = "stream")]
#[test]
fn shards_are_told_by_their_names() {
    use ringmain::metrics::{describe_shards, record_shards, render_shards};
    use ringmain::{FullPolicy, Start, Stream, StreamEntry, StreamOptions};
    let clock = ManualClock::new(1_000_500);
    let region = Heap::new(1 << 18).expect("memory");
    let options = StreamOptions::new().shards(2).full(FullPolicy::Evict);
    let stream = Stream::create_with(region, options, &clock).expect("a stream");
    let ids: Vec<_> = stream.shards().collect();
    let held = stream.cursor(ids[1], Start::Oldest).expect("a cursor");
    let entry = StreamEntry::new("k", &[7; 1000]).hash(0);
    for _ in 0..300 {
        stream.put_entry(&entry).expect("room");
    }
    let shards = ids.iter().map(|id| stream.stat(*id).expect("figures"));
    let shards: Vec<_> = shards.collect();
    drop(held);
    let looks = [("a \"b\"", &shards[..]), ("a \"b\"", &shards[..1])];
    let said = Exposition::read(&render_shards(looks)).expect("the format");
    assert_eq!(said.samples.len(), 10, "five of each shard, once");
    let of = |name: &str, shard: &str| {
        let mut samples = said.samples.iter();
        let found = samples.find(|sample| sample.name == name && sample.label("shard") == shard);
        let found = found.unwrap_or_else(|| panic!("{name} of {shard}"));
        assert_eq!(found.label("stream"), "a \"b\"");
        found.value
    };
    let (full, empty) = ("shardId-000000000000", "shardId-000000000001");
    assert_eq!(of("ringmain_shard_bytes", empty), 0.0);
    assert_eq!(of("ringmain_shard_bytes", full), shards[0].bytes as f64);
    let capacity = of("ringmain_shard_capacity_bytes", full);
    assert_eq!(capacity, shards[0].capacity_bytes as f64);
    assert!(of("ringmain_shard_bytes", full) > capacity / 2.0);
    assert_eq!(of("ringmain_shard_readers", full), 0.0);
    assert_eq!(of("ringmain_shard_readers", empty), 1.0);
    let latest = "ringmain_shard_latest_timestamp_seconds";
    assert_eq!((of(latest, full), of(latest, empty)), (1000.5, 0.0));
    let evicted = "ringmain_shard_evicted_segments_total";
    assert_eq!(of(evicted, full), shards[0].evicted_segments as f64);
    assert!(of(evicted, full) > 0.0 && of(evicted, empty) == 0.0);
    assert_eq!(said.kinds[evicted].0, "counter");
    assert_eq!(render_shards([]), "");

    let collector = Collector::default();
    ::metrics::with_local_recorder(&collector, || {
        describe_shards();
        record_shards([("s", &shards[..])]);
    });
    let (told, described) = (collector.told(), collector.described());
    assert_eq!((told.len(), described.len()), (10, 5));
    for sample in &said.samples {
        let (name, shard) = (&sample.name, sample.label("shard"));
        let series = format!("{name} stream=s shard={shard}");
        assert_eq!(told.get(&series), Some(&sample.value), "{series}");
        assert!(described.contains(name.as_str()));
    }
}

/// The figures of consumers, as text and by the facade: one that has read nothing has no lag.
#[cfg(feature = "stream")]
#[test]
fn consumers_are_told_by_their_names() {
    use ringmain::metrics::{describe_consumers, record_consumers, render_consumers};
    use ringmain::{Start, Stream, StreamOptions};
    let clock = ManualClock::new(1_000_500);
    let region = Heap::new(1 << 18).expect("memory");
    let stream = Stream::create_with(region, StreamOptions::new(), &clock).expect("a stream");
    let [audit, index] = ["audit", "index"].map(|name| stream.register_consumer(name));
    let [audit, index] = [audit.expect("a seat"), index.expect("a seat")];
    let shard = stream.put("k", &[7; 40]).expect("room").shard;
    let mut subscription = audit.subscribe(shard, Start::Oldest).expect("one");
    assert_eq!(subscription.read(10).expect("a read").len(), 1);
    for _ in 0..3 {
        stream.put("k", &[7; 40]).expect("room");
    }
    clock.advance(Duration::from_millis(2500));
    let [one, two] = [audit.stat(shard), index.stat(shard)].map(|told| [told.expect("figures")]);
    let looks = [
        ("s", audit.name(), &one[..]),
        ("s", index.name(), &two[..]),
        ("s", index.name(), &one[..]),
    ];
    let said = Exposition::read(&render_consumers(looks)).expect("the format");
    let told = said.samples.iter().map(|sample| {
        assert_eq!(sample.label("stream"), "s");
        assert_eq!(sample.label("shard"), "shardId-000000000000");
        (&*sample.name, sample.label("consumer"), sample.value)
    });
    let expected = [
        ("ringmain_consumer_subscribed", "audit", 1.0),
        ("ringmain_consumer_subscribed", "index", 0.0),
        ("ringmain_consumer_lag_records", "audit", 3.0),
        ("ringmain_consumer_lag_bytes", "audit", 192.0),
        ("ringmain_consumer_lag_seconds", "audit", 2.5),
    ];
    assert_eq!(told.collect::<Vec<_>>(), expected);
    assert_eq!(render_consumers([]), "");

    let collector = Collector::default();
    ::metrics::with_local_recorder(&collector, || {
        describe_consumers();
        record_consumers(looks.into_iter().take(2));
    });
    let (told, described) = (collector.told(), collector.described());
    assert_eq!((told.len(), described.len()), (5, 4));
    for (name, consumer, value) in expected {
        let series = format!("{name} stream=s consumer={consumer} shard=shardId-000000000000");
        assert_eq!(told.get(&series), Some(&value), "{series}");
        assert!(described.contains(name));
    }
}

/// The figures of groups, as text and by the facade.
#[cfg(feature = "fifo")]
#[test]
fn groups_are_told_by_their_names() {
    use ringmain::metrics::{describe_groups, record_groups, render_groups};
    let clock = ManualClock::new(1_000_000);
    let region = Heap::new(1 << 18).expect("memory");
    let options = ringmain::FifoOptions::new().dedup_ids(100);
    let orders = ringmain::FifoQueue::create_with(region, options, &clock).expect("a queue");
    for (group, id) in [("a", "1"), ("a", "2"), ("b", "3"), ("c", "4")] {
        orders.send(group, id, b"order").expect("room");
    }
    let held = orders.receive().expect("a receive");
    clock.advance(Duration::from_secs(1));
    assert!(held.is_some());
    let stats = orders.groups().expect("figures");
    let text = render_groups([("orders", &stats), ("orders", &stats)]);
    let said = Exposition::read(&text).expect("the format");
    let expected = [
        ("ringmain_groups_ready", 2.0),
        ("ringmain_groups_locked", 1.0),
        ("ringmain_groups_delayed", 0.0),
        ("ringmain_dedup_ids", 4.0),
        ("ringmain_dedup_ids_max", 100.0),
    ];
    let collector = Collector::default();
    ::metrics::with_local_recorder(&collector, || {
        describe_groups();
        record_groups([("orders", &stats)]);
    });
    let told = collector.told();
    assert_eq!(told.len(), expected.len());
    for (name, value) in expected {
        assert_eq!(said.value(name, "orders"), value, "{name}");
        let series = format!("{name} queue=orders");
        assert_eq!(told.get(&series), Some(&value), "{name}");
        assert!(collector.described().contains(name));
    }
    assert!(render_groups([]).is_empty());
}

#[test]
fn each_figure_is_told_once_by_its_name() {
    let (stats, latency) = figures();
    assert_eq!(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8");
    let text = render([("jobs", &stats, Some(&latency)), ("other", &stats, None)]);
    let said = Exposition::read(&text).expect("the format");
    let expected = [
        ("ringmain_visible", "gauge", 4.0),
        ("ringmain_in_flight", "gauge", 3.0),
        ("ringmain_delayed", "gauge", 1.0),
        ("ringmain_oldest_age_seconds", "gauge", 1.5),
        ("ringmain_slots", "gauge", stats.slots as f64),
        ("ringmain_slots_free", "gauge", stats.slots as f64 - 8.0),
        ("ringmain_attachments", "gauge", stats.attachments as f64),
        ("ringmain_sent_total", "counter", 10.0),
        ("ringmain_received_total", "counter", 5.0),
        ("ringmain_deleted_total", "counter", 2.0),
        ("ringmain_empty_receives_total", "counter", 0.0),
        ("ringmain_damaged_total", "counter", 0.0),
        ("ringmain_expired_total", "counter", 0.0),
        ("ringmain_purged_total", "counter", 0.0),
        ("ringmain_moved_total", "counter", 0.0),
    ];
    for (name, kind, value) in expected {
        assert_eq!(said.kinds[name].0, kind, "{name}");
        assert!(!said.kinds[name].1.is_empty(), "{name} has no help");
        for queue in ["jobs", "other"] {
            assert_eq!(said.value(name, queue), value, "{name} of {queue}");
        }
    }
    assert_eq!(said.kinds.len(), expected.len() + 1);
    assert_eq!(said.kinds[NAME].0, "histogram");
    let buckets: Vec<_> = said.named(&format!("{NAME}_bucket")).collect();
    assert_eq!(buckets.len(), 24, "of the queue whose latencies were given");
    for bucket in buckets {
        let le: f64 = bucket.label("le").parse().expect("a number");
        let expected = if le <= 1.024 { 2.0 } else { 5.0 };
        assert_eq!(bucket.value, expected, "{bucket:?}");
    }
    assert_eq!(said.value(&format!("{NAME}_sum"), "jobs"), 4.5);
    assert_eq!(said.value(&format!("{NAME}_count"), "jobs"), 5.0);
    assert_eq!(render([]), "");
}

#[test]
fn names_of_any_kind_come_through() {
    let (stats, latency) = figures();
    let names = [
        "",
        "\\",
        "\"",
        "\n",
        "a\\nb",
        "}\" 1\n# x",
        "ü \u{1f980}",
        "\\\\\"\"\n\n",
    ];
    let looks = names.map(|name| (name, &stats, Some(&latency)));
    let text = render(looks.into_iter().chain(looks)); // and each name twice
    let said = Exposition::read(&text).expect("the format");
    let read = said.named("ringmain_sent_total");
    let read: Vec<_> = read.map(|sample| sample.label("queue")).collect();
    assert_eq!(read, names);
}

/// The reader can say no.
#[test]
fn what_is_wrong_is_refused() {
    let head = "# HELP a b\n# TYPE a counter\n";
    let wrong = [
        "a 1\n".to_string(),
        format!("{head}a 1"),
        format!("{head}a one\n"),
        format!("{head}a  1\n"),
        format!("{head}a NaN\n"),
        format!("{head}a{{q=\"x\"}} 1\na{{q=\"x\"}} 2\n"),
        format!("{head}a{{q=\"x}} 1\n"),
        format!("{head}a{{q=\"\\x\"}} 1\n"),
        format!("{head}a{{1=\"x\"}} 1\n"),
        format!("{head}b 1\n"),
        format!("{head}a 1\n{head}"),
        "# TYPE a gouge\na 1\n".to_string(),
        format!("{head}# HELP c d\n# TYPE c gauge\nc 1\na 1\n"),
        "# TYPE a histogram\na_bucket{le=\"1\"} 1\na_sum 1\na_count 1\n".to_string(),
        "# TYPE a histogram\na_bucket{le=\"+Inf\"} 1\na_sum 1\na_count 2\n".to_string(),
        "# TYPE a histogram\na_bucket{le=\"+Inf\"} 1\na_count 1\n".to_string(),
        "# TYPE a histogram\na_bucket{le=\"1\"} 2\na_bucket{le=\"+Inf\"} 1\na_sum 1\na_count 1\n"
            .to_string(),
    ];
    for text in wrong {
        assert!(Exposition::read(&text).is_err(), "{text}");
    }
    assert!(Exposition::read(&format!("{head}a{{q=\"x\"}} 1e3\n")).is_ok());
}

#[test]
fn an_exporter_lets_no_counter_go_back_while_the_queue_lives() {
    let (stats, latency) = figures();
    let mut exporter = Exporter::new();
    let mut told = |name: &str, change: &dyn Fn(&mut QueueStats)| {
        let mut stats = stats;
        change(&mut stats);
        let text = exporter.render([(name, &stats, Some(&latency))]);
        let said = Exposition::read(&text).expect("the format");
        let value = |metric| said.value(metric, name);
        [value("ringmain_deleted_total"), value("ringmain_visible")]
    };
    assert_eq!(told("q", &|_| {}), [2.0, 4.0]);
    let noise = |stats: &mut QueueStats| (stats.deleted, stats.visible) = (1, 3);
    assert_eq!(told("q", &noise), [2.0, 3.0], "a gauge may fall");
    assert_eq!(told("q", &|stats| stats.deleted = 7), [7.0, 4.0]);
    let anew = |stats: &mut QueueStats| (stats.sent, stats.deleted) = (1, 0);
    assert_eq!(told("q", &anew), [0.0, 4.0], "made anew");
    assert_eq!(told("other", &noise), [1.0, 3.0]);
    assert_eq!(told("q", &noise), [1.0, 3.0], "not remembered");
}

#[test]
fn the_facade_is_told_the_same() {
    let (stats, latency) = figures();
    let looks = [("jobs", &stats, Some(&latency)), ("other", &stats, None)];
    let collector = Collector::default();
    metrics::with_local_recorder(&collector, || {
        describe();
        record(looks);
        record(looks); // absolute: twice is no more
    });
    let text = render(looks);
    let said = Exposition::read(&text).expect("the format");
    let (told, described) = (collector.told(), collector.described());
    let mut compared = 0;
    for sample in &said.samples {
        let queue = sample.label("queue");
        let (name, expected) = match sample.name.strip_suffix("seconds_sum") {
            Some(base) => (
                format!("{base}seconds_sum_milliseconds"),
                sample.value * 1000.0,
            ),
            None => (sample.name.clone(), sample.value),
        };
        let mut key = format!("{name} queue={queue}");
        if !sample.label("le").is_empty() {
            key += &format!(" le={}", sample.label("le"));
        }
        assert_eq!(told.get(&key), Some(&expected), "{key}");
        assert!(described.contains(&name), "{name}");
        compared += 1;
    }
    assert_eq!((compared, told.len()), (2 * 15 + 26, 2 * 15 + 26));
}

//! Sensor readings that a service keeps while its uplink is down.
//!
//! Three threads sample a sensor each. Their readings go into a queue on the heap, with sensor and
//! unit as attributes, and one uplink sends them on by tens. For two seconds it is down. The queue
//! fills; when it is full, the samplers keep fewer and fewer of their readings, and more again once
//! there is room. What has become older than the queue's retention is dropped. When the uplink is
//! back it works off the backlog, and at the end every reading is accounted for.
//!
//! A batch is deleted after the server has acknowledged it. Every twentieth acknowledgement gets
//! lost, so that batch is sent again: delivery is *at least once*, and the server bears repeats.
//!
//! The least retention is 60 s. The queue's clock runs 50 times as fast as ours: 1.2 s here.
//!
//! ```sh
//! cargo run --example sensors   # 4 seconds
//! ```

use ringmain::{Clock, Error, Heap, Message, Queue, QueueOptions, SystemClock};
use std::collections::BTreeSet;
use std::thread;
use std::time::{Duration, Instant};

/// Sensor and unit, and what it shows at first.
const SENSORS: [(&str, &str, f64); 3] = [
    ("boiler", "Cel", 71.5),
    ("inlet", "kPa", 240.0),
    ("hall", "%RH", 44.0),
];
/// How often each is sampled, and for how long.
const EVERY: Duration = Duration::from_millis(4);
const SAMPLING: Duration = Duration::from_millis(3500);
/// When the uplink is down.
const DOWN: std::ops::Range<Duration> = Duration::from_millis(500)..Duration::from_millis(2500);
/// At least one of so many readings is kept.
const THIN_MAX: i32 = 8;

/// The system's clock, 50 times as fast.
struct Fast;

impl Clock for Fast {
    fn now_ms(&self) -> u64 {
        SystemClock.now_ms() * 50
    }
}

type Readings = Queue<Heap, Fast>;

/// What became of a sampler's readings. Each is one of the three.
#[derive(Debug, Default, Clone, Copy)]
struct Sampled {
    /// In the queue.
    sent: u64,
    /// Not even tried: one of several is kept.
    thinned: u64,
    /// The queue was full.
    refused: u64,
}

/// Samples a sensor, and never waits: a reading that does not find room is dropped.
fn sample(readings: &Readings, sensor: usize) -> Result<Sampled, Error> {
    let (name, unit, mut value) = SENSORS[sensor];
    let (begin, mut due) = (Instant::now(), Duration::ZERO);
    let (mut sampled, mut one_of, mut row) = (Sampled::default(), 1, 0);
    for number in 0.. {
        due += EVERY;
        if due > SAMPLING {
            break;
        }
        thread::sleep(due.saturating_sub(begin.elapsed()));
        value += f64::from(number % 7 - 3) / 10.0;
        if number % one_of != 0 {
            sampled.thinned += 1;
            continue;
        }
        let text = format!("{value:.1}");
        let reading = Message::new(&text)
            .string("sensor", name)?
            .string("unit", unit)?
            .integer("number", number.into())?;
        match readings.send_message(&reading) {
            Ok(_) => {
                sampled.sent += 1;
                row += 1;
                if row == 5 && one_of > 1 {
                    (row, one_of) = (0, one_of / 2); // there is room again
                }
            }
            Err(Error::Full) => {
                sampled.refused += 1;
                (row, one_of) = (0, (one_of * 2).min(THIN_MAX));
            }
            Err(error) => return Err(error),
        }
    }
    Ok(sampled)
}

/// The other end of the uplink. It knows a reading again by sensor and number.
#[derive(Default)]
struct Server {
    readings: BTreeSet<(String, i64)>,
    requests: u64,
    again: u64,
}

impl Server {
    /// Takes some readings: whether the acknowledgement arrived.
    fn put<'r>(&mut self, readings: impl Iterator<Item = (&'r str, i64)>) -> bool {
        for (sensor, number) in readings {
            let is_new = self.readings.insert((sensor.into(), number));
            self.again += u64::from(!is_new);
        }
        self.requests += 1;
        !self.requests.is_multiple_of(20)
    }
}

/// Sends what there is, until `is_over` says so and nothing is left; how many were acknowledged.
fn send_on(
    readings: &Readings,
    server: &mut Server,
    is_over: impl Fn() -> bool,
) -> Result<u64, Error> {
    let (begin, mut delivered) = (Instant::now(), 0);
    let mut was_down = false;
    loop {
        let ending = is_over(); // before the look: what was sent until then is found
        if DOWN.contains(&begin.elapsed()) {
            was_down = true;
            thread::sleep(DOWN.end.saturating_sub(begin.elapsed()));
            continue;
        }
        if std::mem::take(&mut was_down) {
            let stats = readings.stat()?;
            let (waiting, dropped) = (stats.visible, stats.expired);
            println!("the uplink is back: {waiting} readings wait, {dropped} were too old");
        }
        let batch = readings.receive_batch_timeout(10, Duration::from_millis(100))?;
        if batch.is_empty() {
            if ending {
                return Ok(delivered);
            }
            continue;
        }
        let acknowledged = server.put(batch.iter().map(|reading| {
            let sensor = reading.attribute("sensor").and_then(|value| value.as_str());
            let number = reading.attribute("number").and_then(|value| value.as_i64());
            let sensor = sensor.expect("the sampler's attribute");
            (sensor, number.expect("the sampler's attribute"))
        }));
        if acknowledged {
            let outcomes = batch.delete().into_iter();
            delivered += outcomes.filter(Result::is_ok).count() as u64;
        } else {
            // Without this it would come back when its visibility timeout is over.
            batch.release().into_iter().collect::<Result<(), _>>()?;
        }
    }
}

fn main() -> Result<(), Error> {
    let options = QueueOptions::new()
        .retention(Duration::from_secs(60))
        .visibility(Duration::from_secs(600)) // 12 s here: far longer than a request
        .typical_body(112);
    let readings = Queue::create_with(Heap::new(64 << 10)?, options, Fast)?;
    println!("room for {} readings", readings.stat()?.slots);

    let (sampled, delivered, server) = thread::scope(|scope| {
        let samplers: Vec<_> = (0..SENSORS.len())
            .map(|sensor| {
                scope.spawn({
                    let readings = &readings;
                    move || sample(readings, sensor)
                })
            })
            .collect();
        let mut server = Server::default();
        let is_over = || samplers.iter().all(|sampler| sampler.is_finished());
        let delivered = send_on(&readings, &mut server, is_over)?;
        let sampled = samplers.into_iter().map(|sampler| sampler.join());
        let sampled = sampled.map(|one| one.expect("a sampler does not panic"));
        let sampled = sampled.collect::<Result<Vec<_>, _>>()?;
        Ok::<_, Error>((sampled, delivered, server))
    })?;

    for ((sensor, unit, _), one) in SENSORS.iter().zip(&sampled) {
        println!("{sensor} ({unit}): {one:?}");
    }
    let sum = |count: fn(&Sampled) -> u64| sampled.iter().map(count).sum::<u64>();
    let (sent, thinned, refused) = (sum(|s| s.sent), sum(|s| s.thinned), sum(|s| s.refused));
    let stats = readings.stat()?;
    let expired = stats.expired;
    println!("{sent} sent = {delivered} delivered + {expired} too old");
    let all = sent + refused + thinned;
    println!("{all} readings = {sent} sent + {refused} refused + {thinned} thinned");
    println!(
        "{} requests; {} readings came twice",
        server.requests, server.again
    );

    let due = SENSORS.len() as u64 * (SAMPLING.as_millis() / EVERY.as_millis()) as u64;
    assert_eq!(all, due, "each sample is counted");
    assert_eq!(
        sent,
        delivered + expired,
        "and what was sent is accounted for"
    );
    assert_eq!((stats.visible, stats.in_flight), (0, 0), "nothing is left");
    // A reading whose acknowledgement got lost may have become too old before it came again.
    let arrived = server.readings.len() as u64;
    assert!((delivered..=delivered + expired).contains(&arrived));
    assert!(
        refused > 0 && thinned > 0 && expired > 0 && server.again > 0,
        "all of it was seen"
    );
    Ok(())
}

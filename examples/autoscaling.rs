//! Workers that come and go with the load, by alarms over one queue.
//!
//! A producer sends a trickle, then a burst, then a trickle again. One alarm watches the backlog
//! per worker, and clears well below the value at which it begins; another says when there is
//! nothing to do. A callback hears their changes; while one of them is an alarm a worker comes, or
//! one is retired, every 250 ms: between 1 and 8. At the end every message was handled, once.
//!
//! ```sh
//! cargo run --release --example autoscaling        # 10 seconds
//! cargo run --release --example autoscaling -- 30
//! ```
#![allow(clippy::disallowed_types)] // counts of this program; the rule is for the library

use ringmain::{
    AlarmOptions, AlarmState, Comparison, Error, Heap, Metric, Monitor, Queue, QueueOptions,
    SystemClock, Transition,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{Scope, ScopedJoinHandle};
use std::time::{Duration, Instant};

const WORKERS_MAX: usize = 8;
/// What one message costs: a worker handles fewer than 500 a second.
const WORK: Duration = Duration::from_millis(2);
/// How often the figures are looked at.
const LOOK: Duration = Duration::from_millis(50);
/// The least time between two changes of the crew.
const COOLDOWN: Duration = Duration::from_millis(250);
/// The load: until which tenth of the time, and messages a second.
const LOAD: [(u32, u64); 3] = [(2, 100), (5, 2000), (10, 100)];

type Jobs = Queue<Heap>;

/// What was sent and handled: how many, and the sum of their numbers.
#[derive(Default)]
struct Count {
    messages: AtomicU64,
    sum: AtomicU64,
}

impl Count {
    fn add(&self, number: u64) {
        self.messages.fetch_add(1, Ordering::Relaxed);
        self.sum.fetch_add(number, Ordering::Relaxed);
    }

    fn get(&self) -> (u64, u64) {
        let get = |count: &AtomicU64| count.load(Ordering::Relaxed);
        (get(&self.messages), get(&self.sum))
    }
}

/// What the alarms say.
#[derive(Debug, Default)]
struct Said {
    behind: bool,
    idle: bool,
}

impl Said {
    fn hear(&mut self, alarm: &str, change: &Transition) {
        let place = match alarm {
            "behind" => &mut self.behind,
            _ => &mut self.idle,
        };
        *place = change.to == AlarmState::Alarm;
    }
}

/// The workers at work, each with the word that ends it.
struct Crew<'scope, 'env> {
    scope: &'scope Scope<'scope, 'env>,
    jobs: &'env Jobs,
    handled: &'env Count,
    workers: Vec<(ScopedJoinHandle<'scope, ()>, Arc<AtomicBool>)>,
    /// How many there are, for the metric.
    size: Arc<AtomicU64>,
}

impl Crew<'_, '_> {
    fn grow(&mut self) {
        let (jobs, handled) = (self.jobs, self.handled);
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let worker = self.scope.spawn(move || work(jobs, handled, &stopped));
        self.workers.push((worker, stop));
        self.size
            .store(self.workers.len() as u64, Ordering::Relaxed);
    }

    fn shrink(&mut self) {
        if let Some((worker, stop)) = self.workers.pop() {
            stop.store(true, Ordering::Relaxed);
            worker.join().expect("a worker does not panic");
        }
        self.size
            .store(self.workers.len() as u64, Ordering::Relaxed);
    }
}

fn work(jobs: &Jobs, handled: &Count, stop: &AtomicBool) {
    while !stop.load(Ordering::Relaxed) {
        let received = jobs.receive_timeout(LOOK).expect("a queue that lives");
        let Some(received) = received else {
            continue;
        };
        let number = received.body().try_into().map(u64::from_le_bytes);
        std::thread::sleep(WORK); // the work itself
        received
            .delete()
            .expect("well within the visibility timeout");
        handled.add(number.expect("the producer's eight bytes"));
    }
}

/// Sends by the load, for so long.
fn produce(jobs: &Jobs, sent: &Count, time: Duration) {
    let (begin, mut due) = (Instant::now(), Duration::ZERO);
    for number in 1.. {
        let tenth = |tenths: u32| time * tenths / 10;
        let Some((_, rate)) = LOAD.iter().find(|(until, _)| due < tenth(*until)) else {
            return;
        };
        due += Duration::from_secs(1) / *rate as u32;
        std::thread::sleep(due.saturating_sub(begin.elapsed()));
        while let Err(error) = jobs.send(&u64::to_le_bytes(number)) {
            assert_eq!(error, Error::Full, "what the producer meets");
            std::thread::sleep(LOOK);
        }
        sent.add(number);
    }
}

/// The alarms: the backlog is too long, and there is nothing to do.
fn monitor(size: Arc<AtomicU64>) -> Result<Monitor<SystemClock>, Error> {
    let per_worker =
        move |visible: u64| visible as f64 / size.load(Ordering::Relaxed).max(1) as f64;
    let backlog = Metric::of(move |stats| Some(per_worker(stats.visible)));
    let behind = AlarmOptions::new(Comparison::Greater, 25.0)
        .clear_at(5.0)
        .period(LOOK * 2);
    let idle = AlarmOptions::new(Comparison::Less, 1.0)
        .clear_at(2.0)
        .period(LOOK * 4)
        .evaluation_periods(4)
        .datapoints_to_alarm(3);
    let mut monitor = Monitor::new(SystemClock);
    monitor.add("behind", backlog, behind)?;
    monitor.add("idle", Metric::Visible, idle)?;
    Ok(monitor)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let seconds = std::env::args()
        .nth(1)
        .map_or(Ok(10), |word| word.parse())?;
    let time = Duration::from_secs(seconds);
    let jobs = Queue::create(Heap::new(4 << 20)?, QueueOptions::new().typical_body(8))?;
    let (sent, handled) = (Count::default(), Count::default());
    let size = Arc::new(AtomicU64::new(0));
    let mut monitor = monitor(Arc::clone(&size))?;
    let (begin, mut most) = (Instant::now(), 1);

    std::thread::scope(|scope| -> Result<(), Error> {
        let producer = scope.spawn(|| produce(&jobs, &sent, time));
        let mut crew = Crew {
            scope,
            jobs: &jobs,
            handled: &handled,
            workers: Vec::new(),
            size,
        };
        crew.grow();
        let (mut said, mut changed) = (Said::default(), begin);
        loop {
            let stats = jobs.stat()?;
            if producer.is_finished() && stats.visible + stats.in_flight == 0 {
                break;
            }
            let at = begin.elapsed().as_secs_f64();
            monitor.look(&stats, |alarm, change| {
                said.hear(alarm, change);
                let value = change.datapoint.unwrap_or_default();
                println!("{at:6.2} s  {alarm}: {} ({value:.1})", change.to);
            });
            let before = crew.workers.len();
            if changed.elapsed() >= COOLDOWN {
                if said.behind && before < WORKERS_MAX {
                    crew.grow();
                } else if said.idle && before > 1 {
                    crew.shrink();
                }
            }
            let now = crew.workers.len();
            if now != before {
                changed = Instant::now();
                most = most.max(now);
                let waiting = stats.visible;
                println!("{at:6.2} s  workers: {before} -> {now}, {waiting} messages wait");
            }
            std::thread::sleep(LOOK);
        }
        while !crew.workers.is_empty() {
            crew.shrink();
        }
        Ok(())
    })?;

    let (stats, latency) = (jobs.stat()?, jobs.latency()?);
    println!("{} sent and handled; at most {most} workers", sent.get().0);
    println!("send to receive: {latency}");
    assert_eq!(sent.get(), handled.get(), "each message was handled, once");
    let counts = [stats.sent, stats.received, stats.deleted, latency.count()];
    assert_eq!(counts, [sent.get().0; 4], "and the queue counts the same");
    assert_eq!((stats.visible, stats.in_flight, stats.delayed), (0, 0, 0));
    Ok(())
}

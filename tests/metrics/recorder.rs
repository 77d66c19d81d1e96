//! A recorder for the `metrics` crate that remembers what it is told.

use metrics::{
    Counter, CounterFn, Gauge, GaugeFn, Histogram, Key, KeyName, Metadata, Recorder, SharedString,
    Unit,
};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

type Values = Arc<Mutex<BTreeMap<String, f64>>>;

/// What it was told: values by `name label=value ...`, and the described names.
#[derive(Default)]
pub struct Collector {
    values: Values,
    described: Mutex<BTreeSet<String>>,
}

impl Collector {
    pub fn told(&self) -> BTreeMap<String, f64> {
        self.values.lock().expect("no panic").clone()
    }

    pub fn described(&self) -> BTreeSet<String> {
        self.described.lock().expect("no panic").clone()
    }

    fn place(&self, key: &Key) -> Place {
        let labels = key
            .labels()
            .map(|label| format!(" {}={}", label.key(), label.value()));
        Place(
            Arc::clone(&self.values),
            key.name().to_string() + &labels.collect::<String>(),
        )
    }

    fn describe(&self, name: &KeyName) {
        let mut described = self.described.lock().expect("no panic");
        assert!(
            described.insert(name.as_str().to_string()),
            "described twice"
        );
    }
}

struct Place(Values, String);

impl Place {
    fn put(&self, value: f64) {
        self.0
            .lock()
            .expect("no panic")
            .insert(self.1.clone(), value);
    }
}

impl CounterFn for Place {
    fn increment(&self, _: u64) {
        panic!("counters are absolute");
    }

    fn absolute(&self, value: u64) {
        self.put(value as f64);
    }
}

impl GaugeFn for Place {
    fn increment(&self, _: f64) {
        panic!("gauges are set");
    }

    fn decrement(&self, _: f64) {
        panic!("gauges are set");
    }

    fn set(&self, value: f64) {
        self.put(value);
    }
}

impl Recorder for Collector {
    fn describe_counter(&self, name: KeyName, unit: Option<Unit>, _: SharedString) {
        assert!(unit.is_some());
        self.describe(&name);
    }

    fn describe_gauge(&self, name: KeyName, unit: Option<Unit>, _: SharedString) {
        let seconds = name.as_str().ends_with("_seconds");
        assert_eq!(unit == Some(Unit::Seconds), seconds);
        self.describe(&name);
    }

    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {
        panic!("there are no histograms");
    }

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(Arc::new(self.place(key)))
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(Arc::new(self.place(key)))
    }

    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        panic!("there are no histograms");
    }
}

//! A strict reader of Prometheus's text format 0.0.4, written from its specification and apart from
//! the library: what it does not know is a fault.

use std::collections::{BTreeMap, HashSet};

/// What a text says.
#[derive(Debug, Default)]
pub struct Exposition {
    /// By name, its kind and its help.
    pub kinds: BTreeMap<String, (String, String)>,
    /// Samples in order: name, labels, value.
    pub samples: Vec<Sample>,
}

/// A line of a value.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    pub name: String,
    pub labels: Vec<(String, String)>,
    pub value: f64,
}

impl Sample {
    pub fn label(&self, name: &str) -> &str {
        let label = self.labels.iter().find(|(known, _)| known == name);
        label.map_or("", |(_, value)| value)
    }
}

type Read<T> = Result<T, String>;

impl Exposition {
    /// Reads a text; what is wrong with it, and where.
    pub fn read(text: &str) -> Read<Self> {
        let mut all = Self::default();
        if !text.is_empty() && !text.ends_with('\n') {
            return Err("the last line has no end".into());
        }
        let mut group: Option<String> = None;
        let (mut done, mut series) = (HashSet::new(), HashSet::new());
        for (number, line) in text.lines().enumerate() {
            let fault = |what: String| format!("line {}: {what}: {line}", number + 1);
            if let Some(comment) = line.strip_prefix("# ") {
                let name = all.comment(comment).map_err(fault)?;
                if group.as_ref() != Some(&name) {
                    if !done.insert(name.clone()) {
                        return Err(fault("a metric's lines lie apart".into()));
                    }
                    group = Some(name);
                }
                continue;
            }
            let sample = sample(line).map_err(fault)?;
            let family = all.family(&sample.name).map_err(fault)?;
            if group.as_ref() != Some(&family) {
                return Err(fault("a sample outside of its metric's group".into()));
            }
            let mut labels = sample.labels.clone();
            labels.sort();
            if !series.insert((sample.name.clone(), labels)) {
                return Err(fault("a series stands there twice".into()));
            }
            all.samples.push(sample);
        }
        all.histograms()?;
        Ok(all)
    }

    fn comment(&mut self, comment: &str) -> Read<String> {
        let mut words = comment.splitn(3, ' ');
        let (what, name) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
        let rest = words.next().ok_or("a comment without its text")?;
        check_name(name, true)?;
        if what == "TYPE" && !["gauge", "counter", "histogram"].contains(&rest) {
            return Err(format!("no kind of metric: {rest}"));
        }
        let (kind, help) = self.kinds.entry(name.to_string()).or_default();
        let place = match what {
            "HELP" => help,
            "TYPE" => kind,
            _ => return Err("neither HELP nor TYPE".into()),
        };
        if !place.is_empty() || self.samples.iter().any(|sample| sample.name == name) {
            return Err("a second one, or after samples".into());
        }
        *place = rest.to_string();
        Ok(name.to_string())
    }

    /// The metric that a sample belongs to.
    fn family(&self, name: &str) -> Read<String> {
        let kind = |name: &str| self.kinds.get(name).map(|(kind, _)| kind.as_str());
        if matches!(kind(name), Some("gauge" | "counter")) {
            return Ok(name.to_string());
        }
        let base = ["_bucket", "_sum", "_count"]
            .iter()
            .find_map(|end| name.strip_suffix(end));
        let base = base.ok_or("a sample of a metric without a TYPE")?;
        match kind(base) {
            Some("histogram") => Ok(base.to_string()),
            _ => Err("a part of no histogram".into()),
        }
    }

    /// Buckets ascend, do not fall, and the last one is all of them.
    fn histograms(&self) -> Read<()> {
        for (name, (kind, _)) in &self.kinds {
            if kind != "histogram" {
                continue;
            }
            for count in self.named(&format!("{name}_count")) {
                let queue = count.label("queue");
                let of = |sample: &&Sample| sample.label("queue") == queue;
                let (mut end, mut below) = (f64::NEG_INFINITY, 0.0);
                for bucket in self.named(&format!("{name}_bucket")).filter(of) {
                    let le = bucket.label("le").parse::<f64>();
                    let le = le.map_err(|error| format!("{bucket:?}: {error}"))?;
                    if le <= end || bucket.value < below {
                        return Err(format!("{bucket:?} after {end} and {below}"));
                    }
                    (end, below) = (le, bucket.value);
                }
                if end != f64::INFINITY || below != count.value {
                    return Err(format!("{name} of {queue}: {below} in buckets to {end}"));
                }
                if self.named(&format!("{name}_sum")).filter(of).count() != 1 {
                    return Err(format!("{name} of {queue} has no sum"));
                }
            }
        }
        Ok(())
    }

    /// The samples of one name.
    pub fn named(&self, name: &str) -> impl Iterator<Item = &Sample> {
        self.samples
            .iter()
            .filter(move |sample| sample.name == name)
    }

    /// The value of a metric of one queue.
    #[track_caller]
    pub fn value(&self, name: &str, queue: &str) -> f64 {
        let mut found = self
            .named(name)
            .filter(|sample| sample.label("queue") == queue);
        let value = found
            .next()
            .unwrap_or_else(|| panic!("no {name} of {queue}"));
        value.value
    }
}

fn check_name(name: &str, colons: bool) -> Read<()> {
    let good = |c: char| c.is_ascii_alphanumeric() || c == '_' || (colons && c == ':');
    let begins_well = name.starts_with(|c: char| good(c) && !c.is_ascii_digit());
    if begins_well && name.chars().all(good) {
        return Ok(());
    }
    Err(format!("no name: {name:?}"))
}

fn sample(line: &str) -> Read<Sample> {
    let end = line.find(['{', ' ']).ok_or("no value")?;
    let (name, mut rest) = line.split_at(end);
    check_name(name, true)?;
    let mut labels = Vec::new();
    if let Some(inside) = rest.strip_prefix('{') {
        rest = inside;
        loop {
            let (label, after) = rest.split_once("=\"").ok_or("a label without a value")?;
            check_name(label, false)?;
            let (value, after) = quoted(after)?;
            labels.push((label.to_string(), value));
            match after.strip_prefix(',') {
                Some(after) => rest = after,
                None => {
                    rest = after.strip_prefix('}').ok_or("labels without an end")?;
                    break;
                }
            }
        }
    }
    let value = rest.strip_prefix(' ').ok_or("no space before the value")?;
    let known = value == "+Inf"
        || value
            .bytes()
            .all(|b| b.is_ascii_digit() || b".e-".contains(&b));
    let value = value.parse().map_err(|error| format!("{value}: {error}"))?;
    if !known {
        return Err("no number as it is written there".into());
    }
    Ok(Sample {
        name: name.to_string(),
        labels,
        value,
    })
}

/// A label's value up to its quote, and what follows.
fn quoted(text: &str) -> Read<(String, &str)> {
    let (mut value, mut chars) = (String::new(), text.char_indices());
    while let Some((at, char)) = chars.next() {
        match char {
            '"' => return Ok((value, &text[at + 1..])),
            '\\' => value.push(match chars.next() {
                Some((_, 'n')) => '\n',
                Some((_, escaped @ ('\\' | '"'))) => escaped,
                other => return Err(format!("no escape: {other:?}")),
            }),
            char => value.push(char),
        }
    }
    Err("a value without an end".into())
}

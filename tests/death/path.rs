//! The recorded path of an operation, and the short way to each of its instructions.

use super::tracer::Way;
use std::collections::HashMap;

impl Way {
    /// One instruction further.
    fn and_one(self) -> Self {
        if self.repeats == 0 {
            Self {
                steps: self.steps + 1,
                ..self
            }
        } else {
            Self {
                then: self.then + 1,
                ..self
            }
        }
    }

    /// How many stops it takes, about.
    fn cost(self) -> u32 {
        self.hits + self.steps + self.repeats.min(2) + self.then
    }
}

/// The addresses of an operation's instructions in order, with the way to each.
pub struct Path {
    ways: Vec<Way>,
    /// Which instructions a whole run leaves out: see [`ALIKE_FROM`].
    alike: Vec<bool>,
}

/// An address that has been passed this often belongs to a loop over the registry's 1022 entries
/// (loops over slots are shorter here); from then on each [`ALIKE_EVERY`]th passing is taken.
pub const ALIKE_FROM: u32 = 160;
/// The same for operations that do much by the same code, system calls among it.
pub const ALIKE_FROM_EARLY: u32 = 8;
const ALIKE_EVERY: u32 = 16;

impl Path {
    /// `addresses[k]`: what comes after k instructions; the last is the end's. `alike_from`: see
    /// [`ALIKE_FROM`].
    pub fn new(addresses: &[u64], alike_from: u32) -> Self {
        let first = addresses.first().copied().unwrap_or(0);
        let mut passed: HashMap<u64, u32> = HashMap::new();
        let mut ways: Vec<Way> = Vec::with_capacity(addresses.len());
        let mut alike = Vec::with_capacity(addresses.len());
        let mut streak = 0; // where the present repetition of one address began
        for (at, &address) in addresses.iter().enumerate() {
            let is_on = at != 0 && addresses[at - 1] == address;
            if !is_on {
                streak = at;
                *passed.entry(address).or_insert(0) += 1;
            }
            let on = match ways.last() {
                None => Way::default(),
                Some(&last) => last.and_one(),
            };
            // The child stands at the first address already: a breakpoint there would not count.
            let hits = passed[&address];
            alike.push(hits > alike_from && !hits.is_multiple_of(ALIKE_EVERY));
            let usable = at != 0 && address != first && !is_on;
            let here = Way {
                address,
                hits,
                ..Way::default()
            };
            let way = if is_on {
                // Inside a repeated string instruction: its count is cut short.
                let after = addresses[at..].iter().find(|after| **after != address);
                Way {
                    repeats: (at - streak) as u32,
                    after: after.copied().unwrap_or(0),
                    ..ways[streak]
                }
            } else if usable && here.cost() < on.cost() {
                here
            } else {
                on
            };
            ways.push(Way { to: address, ..way });
        }
        Self { ways, alike }
    }

    /// How many instructions.
    pub fn len(&self) -> usize {
        self.ways.len() - 1
    }

    /// Whether a whole run takes the moment after `k` instructions.
    pub fn is_taken(&self, k: usize) -> bool {
        k >= self.len() || !self.alike[k]
    }

    /// The way to the moment after `k` instructions.
    pub fn way(&self, k: usize) -> Way {
        self.ways[k.min(self.len())]
    }
}

/// Instructions in the order in which a thinned run takes them: the first, the last, and then ever
/// closer spread, moved a little by chance.
pub struct Spread {
    len: usize,
    whole: bool,
    next: usize,
    seed: u64,
}

impl Spread {
    pub fn new(len: usize, whole: bool, seed: u64) -> Self {
        Self {
            len,
            whole,
            next: 0,
            seed,
        }
    }
}

impl Iterator for Spread {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        let at = self.next;
        self.next += 1;
        if at > self.len {
            return None;
        }
        if self.whole {
            return Some(at);
        }
        Some(match at {
            0 => 0,
            1 => self.len,
            _ => {
                // A half, a quarter, three quarters, an eighth, ...: the bits of `at` reversed.
                let even = ((at as u64 - 1).reverse_bits() >> 11) as f64 / (1u64 << 53) as f64;
                let step = self.len as f64 / at as f64;
                let mut numbers = super::common::Numbers(self.seed ^ at as u64);
                let chance = numbers.below(1000) as f64 / 1000.0 - 0.5;
                let k = even * self.len as f64 + chance * step;
                (k.max(0.0) as usize).min(self.len)
            }
        })
    }
}

//! How long to wait after a refusal: exponential back-off with full jitter, as the SDKs of AWS do
//! it: a random time below `base * 2^refusals`, and below a bound.

/// Random numbers: splitmix64 (Steele, Lea and Flood 2014).
#[derive(Debug)]
pub(super) struct Jitter(u64);

impl Jitter {
    /// Numbers that another seed has not.
    pub(super) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    /// The wait after so many refusals in a row, from 1 on, ms: at least 1.
    pub(super) fn wait_ms(&mut self, refusals: u32, (base_ms, max_ms): (u64, u64)) -> u64 {
        let doubled = base_ms << (refusals.saturating_sub(1)).min(24); // an hour is below 2^22 ms
        let below = doubled.min(max_ms);
        1 + ((u128::from(self.next()) * u128::from(below)) >> 64) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::Jitter;

    #[test]
    fn a_wait_is_anything_up_to_a_bound_that_doubles() {
        let mut jitter = Jitter::new(7);
        for (refusals, bound) in [
            (1, 100),
            (2, 200),
            (5, 1600),
            (9, 20_000),
            (u32::MAX, 20_000),
        ] {
            let waits = (0..4000).map(|_| jitter.wait_ms(refusals, (100, 20_000)));
            let (least, most, sum) = waits.fold((u64::MAX, 0, 0), |(least, most, sum), ms| {
                (ms.min(least), ms.max(most), sum + ms)
            });
            assert!(least <= 1 + bound / 100, "{refusals}: {least}");
            assert!(
                (bound - bound / 100..=bound).contains(&most),
                "{refusals}: {most}"
            );
            let mean = sum / 4000;
            assert!(
                mean.abs_diff(bound / 2) <= bound / 20 + 1,
                "{refusals}: {mean}"
            );
        }
    }
}

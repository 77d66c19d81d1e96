//! Whether the records of each partition key came in order, and the same to each reader.
//!
//! What a reader reads for the first time of a key comes in the order in which each producer and
//! its successors have put it. And all readers see one order of a key, whoever has put it: that is
//! compared at the end, by a hash over who put what.

use std::collections::HashMap;

use super::reading::fingerprint;
use super::wire::Place;

/// What is known of the order of all keys.
#[derive(Debug, Default)]
pub(super) struct Keys {
    /// By reader and key: a hash of all that was read for the first time.
    chains: HashMap<(u32, u64), u64>,
    /// By reader, key and producer: incarnation and number of the latest.
    latest: HashMap<(u32, u64, u32), (u32, u64)>,
    reordered: u64,
}

impl Keys {
    /// A reader has read a record for the first time.
    pub(super) fn note(&mut self, reader: u32, place: &Place) {
        let (group, author) = (place.group, place.author);
        let at = (author.incarnation, place.seq);
        let latest = self.latest.entry((reader, group, author.producer));
        match latest {
            std::collections::hash_map::Entry::Occupied(mut latest) => {
                self.reordered += u64::from(*latest.get() >= at);
                latest.insert(at);
            }
            std::collections::hash_map::Entry::Vacant(latest) => {
                latest.insert(at);
            }
        }
        let chain = self.chains.entry((reader, group)).or_default();
        let words = [
            *chain,
            author.producer.into(),
            author.incarnation.into(),
            place.seq,
        ];
        let bytes: Vec<u8> = words.into_iter().flat_map(u64::to_le_bytes).collect();
        *chain = fingerprint(&bytes);
    }

    /// First readings that were out of order, and keys that not all readers saw the same.
    pub(super) fn reordered(&self) -> u64 {
        let differs = |(of, chain): (&(u32, u64), &u64)| {
            let (reader, key) = *of;
            reader != 0 && self.chains.get(&(0, key)) != Some(chain)
        };
        let different = self.chains.iter().filter(|entry| differs(*entry)).count();
        self.reordered + different as u64
    }
}

#[cfg(test)]
mod tests {
    use super::super::wire::Author;
    use super::*;

    fn place(group: u64, producer: u32, incarnation: u32, seq: u64) -> Place {
        let author = Author {
            producer,
            incarnation,
        };
        Place {
            group,
            sequence: 0,
            author,
            seq,
        }
    }

    fn reordered(read: &[(u32, Place)]) -> u64 {
        let mut keys = Keys::default();
        for (reader, place) in read {
            keys.note(*reader, place);
        }
        keys.reordered()
    }

    #[test]
    fn what_is_out_of_order_is_found() {
        let of_one = [place(1, 0, 0, 0), place(1, 0, 0, 4), place(1, 0, 2, 1)];
        let both = [0, 1].map(|reader| of_one.map(|place| (reader, place)));
        assert_eq!(reordered(&both.concat()), 0);
        let swapped = [of_one[1], of_one[0], of_one[2]];
        assert_eq!(reordered(&swapped.map(|place| (0, place))), 1);
        let late = [of_one[2], of_one[1]];
        assert_eq!(reordered(&late.map(|place| (0, place))), 1);
    }

    #[test]
    fn readers_that_see_different_orders_are_found() {
        let (mine, theirs) = (place(1, 0, 0, 0), place(1, 1, 1, 0));
        let same = [(0, mine), (1, mine), (0, theirs), (1, theirs)];
        assert_eq!(reordered(&same), 0);
        let other = [(0, mine), (1, theirs), (0, theirs), (1, mine)];
        assert_eq!(reordered(&other), 1);
        assert_eq!(reordered(&[(0, mine)]), 0, "lost, not reordered");
    }
}

//! The homes: each gives a check regions of its own, and streams in them.

use crate::common::Dir;
use ringmain::{Borrowed, Heap, ManualClock, Mapped, Region, Stream, StreamOptions};
use std::cell::Cell;

/// Where the section of a mapped region begins.
pub const SECTION: usize = 20_480;

/// A stream under test.
pub type Tested<'c, R> = Stream<R, &'c ManualClock>;

/// A home.
pub struct Home<'h, R: Region> {
    /// Makes a region with so many bytes for a stream: as one who opens it sees it, and perhaps as
    /// a second one does.
    regions: &'h dyn Fn(usize) -> Vec<R>,
}

impl<R: Region> Home<'_, R> {
    /// A new region with so many bytes for a stream.
    pub fn region(&self, bytes: usize) -> R {
        (self.regions)(bytes).remove(0)
    }

    /// A new stream, as each who has opened its region sees it.
    pub fn streams<'c>(
        &self,
        bytes: usize,
        options: StreamOptions,
        clock: &'c ManualClock,
    ) -> Vec<Tested<'c, R>> {
        let open = |(n, region)| match n {
            0 => Stream::create_with(region, options, clock).expect("a stream"),
            _ => Stream::open_with(region, clock).expect("the same stream"),
        };
        let regions = (self.regions)(bytes);
        regions.into_iter().enumerate().map(open).collect()
    }

    /// A new stream.
    pub fn stream<'c>(
        &self,
        bytes: usize,
        options: StreamOptions,
        clock: &'c ManualClock,
    ) -> Tested<'c, R> {
        self.streams(bytes, options, clock).remove(0)
    }
}

pub fn in_borrowed_bytes(check: fn(&Home<'_, Borrowed<'static>>)) {
    let regions = |bytes: usize| {
        let bytes = vec![0xa5; bytes + 127].leak(); // not clean
        let skip = bytes.as_ptr().align_offset(128);
        let len = bytes.len() - 127;
        vec![Borrowed::new(&mut bytes[skip..skip + len])]
    };
    check(&Home { regions: &regions });
}

pub fn in_the_heap(check: fn(&Home<'_, Heap>)) {
    let regions = |bytes| vec![Heap::new(bytes).expect("memory")];
    check(&Home { regions: &regions });
}

fn mapped(dir: &Dir, times: usize, check: fn(&Home<'_, Mapped>)) {
    let count = Cell::new(0);
    let regions = |bytes: usize| {
        count.set(count.get() + 1);
        let path = dir.file(&format!("{}.ring", count.get()));
        let mut regions = vec![Mapped::create(&path, (bytes + SECTION) as u64).expect("a region")];
        regions.extend((1..times).map(|_| Mapped::open(&path).expect("the region")));
        regions
    };
    check(&Home { regions: &regions });
}

pub fn in_a_file(check: fn(&Home<'_, Mapped>)) {
    mapped(&Dir::new("stream"), 1, check);
}

pub fn in_shared_memory(check: fn(&Home<'_, Mapped>)) {
    mapped(&Dir::shm("stream"), 1, check);
}

pub fn in_a_region_opened_twice(check: fn(&Home<'_, Mapped>)) {
    mapped(&Dir::shm("stream"), 2, check);
}

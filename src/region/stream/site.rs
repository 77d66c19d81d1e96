//! A stream's region with the stream in it, and its shards as references.

use super::layout::{
    BLOCK_GRANULES, GRANULE_BYTES, ShardHead, StreamHead, StreamShape, TIME_MS_MAX,
};
use super::memory::{StreamPlace, StreamWish};
use crate::error::Error;
use crate::region::home::{Intent, Region};
#[cfg(any(feature = "std", feature = "async"))]
use crate::region::layout::EventSide;
use crate::ring::log::{Log, Pin, Refusal};
use crate::ring::shards::{Card, Change, Shards, Table};
use crate::sync::{AtomicU64, Ordering};
use core::marker::PhantomData;

/// A region, and where the stream lies in it.
#[derive(Debug)]
pub struct Site<R> {
    region: R,
    place: StreamPlace,
}

/// One shard, or a place for one. Copying it copies references.
#[derive(Debug, Clone, Copy)]
pub struct Shard<'a> {
    place: &'a StreamPlace,
    number: usize,
    id: u32,
    memory: PhantomData<&'a [AtomicU64]>,
}

/// All places for shards.
#[derive(Debug, Clone, Copy)]
pub struct Places<'a> {
    place: &'a StreamPlace,
    memory: PhantomData<&'a [AtomicU64]>,
}

impl<R: Region> Site<R> {
    /// Finds or makes a stream in a region.
    pub fn new(region: R, intent: Intent, wish: &StreamWish) -> Result<Self, Error> {
        let place = region.stream_place(intent, wish)?;
        Ok(Self { region, place })
    }

    /// The region.
    pub fn region(&self) -> &R {
        &self.region
    }

    /// The same over a reference to the region.
    #[cfg(feature = "mapped")]
    pub fn by_ref(&self) -> Site<&R> {
        Site {
            region: &self.region,
            place: self.place,
        }
    }

    /// Where the stream lies, and how it is made.
    #[inline(always)]
    pub fn place(&self) -> &StreamPlace {
        &self.place
    }

    /// The head of the stream.
    #[inline(always)]
    pub fn head(&self) -> &StreamHead {
        // SAFETY: the region has said that the stream lies here for as long as it lives itself, and
        // it lives as long as `self`. The head consists of atomics.
        unsafe { &*(self.place.base as *const StreamHead) }
    }

    /// A place for a shard, by its number, in which there should be the shard `id`.
    #[inline(always)]
    pub fn shard(&self, number: usize, id: u32) -> Option<Shard<'_>> {
        // SAFETY: as above.
        unsafe { Shard::new(&self.place, number, id) }
    }

    /// All places.
    #[inline(always)]
    pub fn places(&self) -> Places<'_> {
        // SAFETY: as above.
        unsafe { Places::new(&self.place) }
    }

    /// Goes on with a split or merge that is closing, to its end: whether there was one. It closes
    /// logs, for which who only reads needs a place to write.
    pub fn complete(&self) -> Result<Result<bool, Refusal>, Error> {
        let places = self.places();
        if !self.place.is_for_reading() {
            return Ok(Shards(&places).complete());
        }
        let mut completed = Ok(false);
        if !Shards(&places).is_changing() {
            return Ok(completed);
        }
        self.region.with_writable(&self.place, &mut |place| {
            // SAFETY: the region shows the stream, and shows it as long as this lasts.
            let places = unsafe { Places::new(place) };
            completed = Shards(&places).complete();
        })?;
        Ok(completed)
    }
}

impl<'a> Places<'a> {
    /// The places of the stream at a place.
    ///
    /// # Safety
    ///
    /// That of [`Shard::new`].
    #[inline(always)]
    pub(in crate::region) unsafe fn new(place: &'a StreamPlace) -> Self {
        Self {
            place,
            memory: PhantomData,
        }
    }

    /// Where the stream lies.
    pub(super) fn place(&self) -> &'a StreamPlace {
        self.place
    }

    #[inline(always)]
    fn at(&self, place: usize) -> Option<Shard<'a>> {
        // SAFETY: by the promise of `new`.
        unsafe { Shard::new(self.place, place, 0) }
    }
}

impl Table for Places<'_> {
    #[inline(always)]
    fn places(&self) -> usize {
        self.place.shape.places
    }

    fn change(&self) -> &Change {
        // SAFETY: by the promise of `new`; the head is first, and consists of atomics.
        unsafe { &(*(self.place.base as *const StreamHead)).change }
    }

    #[inline(always)]
    fn card(&self, place: usize) -> Option<&Card> {
        Some(&self.at(place)?.head().card)
    }

    fn log(&self, place: usize) -> Option<Log<'_>> {
        Some(self.at(place)?.log())
    }

    fn inherit(&self, child: usize, parent: usize) {
        if let (Some(child), Some(parent)) = (self.at(child), self.at(parent)) {
            let latest_ms = parent.head().writers.latest_ms.load(Ordering::Relaxed);
            let latest_ms = latest_ms.min(TIME_MS_MAX);
            // ORDERING: Relaxed; [opened] orders it before claims in the child.
            let writers = &child.head().writers;
            writers.latest_ms.fetch_max(latest_ms, Ordering::Relaxed);
        }
    }
}

impl<'a> Shard<'a> {
    /// A shard of the stream at a place.
    ///
    /// # Safety
    ///
    /// The memory of the stream stays valid during `'a`, and nobody uses it but through shards.
    #[inline(always)]
    pub(in crate::region) unsafe fn new(
        place: &'a StreamPlace,
        number: usize,
        id: u32,
    ) -> Option<Self> {
        (number < place.shape.places).then_some(Self {
            place,
            number,
            id,
            memory: PhantomData,
        })
    }

    /// This shard's elements of a part that has `len` for each.
    ///
    /// # Safety
    ///
    /// `offset` is that of a part whose elements are `T`, and `T` consists of atomics.
    #[inline(always)]
    pub(super) unsafe fn part<T>(&self, offset: usize, len: usize) -> &'a [T] {
        // SAFETY: by the promises of `new` and of the caller; the number is one of a shard.
        unsafe {
            let first = self.place.base.add(offset) as *const T;
            core::slice::from_raw_parts(first.add(self.number * len), len)
        }
    }

    /// The number of its place.
    #[inline(always)]
    pub fn number(&self) -> usize {
        self.number
    }

    /// Which shard.
    #[inline(always)]
    pub fn id(&self) -> u32 {
        self.id
    }

    /// Whether its place is still its own.
    #[inline(always)]
    pub fn is_there(&self) -> bool {
        self.head().card.name().id() == self.id
    }

    /// The verified layout.
    #[inline(always)]
    pub fn shape(&self) -> &'a StreamShape {
        &self.place.shape
    }

    /// The place.
    #[inline(always)]
    pub(super) fn place(&self) -> &'a StreamPlace {
        self.place
    }

    /// What it has once.
    #[inline(always)]
    pub fn head(&self) -> &'a ShardHead {
        // SAFETY: where the heads are.
        unsafe { &self.part::<ShardHead>(self.place.offsets.heads, 1)[0] }
    }

    /// Whoever waits for its records.
    #[cfg(any(feature = "std", feature = "async"))]
    #[inline(always)]
    pub fn event(&self) -> &'a EventSide {
        &self.head().writers.0.event
    }

    /// Pins of readers.
    #[inline(always)]
    pub fn pins(&self) -> &'a [Pin] {
        &self.all_pins()[..self.place.shape.pins]
    }

    /// Pins of readers, and that of who reads for the mirror if there is one: the last.
    #[inline(always)]
    pub(super) fn all_pins(&self) -> &'a [Pin] {
        // SAFETY: where the pins are.
        unsafe { self.part(self.place.offsets.pins, self.place.shape.pins_of_shard()) }
    }

    /// Its log.
    #[inline(always)]
    pub fn log(&self) -> Log<'a> {
        let (shape, offsets) = (&self.place.shape, &self.place.offsets);
        Log {
            shape: shape.ring,
            positions: &self.head().writers.positions,
            // SAFETY: where the headers are.
            headers: unsafe { self.part(offsets.headers, shape.ring.granules as usize) },
            pins: self.all_pins(),
        }
    }

    /// One word for each block of granules.
    #[inline(always)]
    pub(super) fn index(&self) -> &'a [AtomicU64] {
        let blocks = self.place.shape.ring.granules / BLOCK_GRANULES;
        // SAFETY: where the index is.
        unsafe { self.part(self.place.offsets.index, blocks as usize) }
    }

    /// The bytes of so many granules, from this one on.
    #[inline(always)]
    pub(super) fn address(&self, index: u32, granules: u32) -> *mut u8 {
        let all = self.place.shape.ring.granules;
        assert!(index < all && granules <= all - index);
        let first = self.number * all as usize + index as usize;
        // SAFETY: just checked to lie inside the shard's granules.
        unsafe {
            let granules = self.place.base.add(self.place.offsets.granules);
            granules.add(first * GRANULE_BYTES)
        }
    }
}

//! Floor 2: memory. The only place where bytes become typed references.
//!
//! [`Fixed`] is a static home, `FixedFifo` that of FIFO queues, [`Borrowed`] a caller's bytes,
//! `Heap` one allocation, `Mapped` a file that processes share. All give a queue the same
//! [`Store`](store::Store), so everything above is written once.

pub mod arena;
#[cfg(not(ringmain_loom))]
pub mod body;
#[cfg(feature = "mapped")]
pub mod duty;
pub mod event;
pub mod fifo;
#[cfg(feature = "stream")]
pub mod kept;
#[cfg(all(feature = "std", not(ringmain_loom)))]
pub mod latency;
pub mod layout;
#[cfg(all(feature = "mapped", not(ringmain_loom)))]
mod level;
pub mod look;
#[cfg(feature = "mapped")]
pub mod marks;
pub mod moving;
#[cfg(all(feature = "mapped", not(ringmain_loom)))]
pub mod names;
pub mod peek;
pub mod pins;
pub mod policy;
pub mod repair;
pub mod sets;
pub mod store;
#[cfg(all(feature = "stream", not(ringmain_loom)))]
pub(crate) mod stream;
mod tally;
pub mod word;

#[cfg(not(ringmain_loom))]
mod borrowed;
#[cfg(all(feature = "std", not(ringmain_loom)))]
pub(crate) mod card;
#[cfg(not(ringmain_loom))]
mod fixed;
#[cfg(all(feature = "alloc", not(ringmain_loom)))]
mod heap;
#[cfg(not(ringmain_loom))]
mod linked;
#[cfg(all(feature = "mapped", not(ringmain_loom)))]
pub(crate) mod mapped;
#[cfg(not(ringmain_loom))]
pub(crate) mod memory;
#[cfg(all(feature = "std", not(ringmain_loom)))]
pub(crate) mod named;
#[cfg(all(feature = "std", not(ringmain_loom)))]
mod park;
#[cfg(not(ringmain_loom))]
mod section;
#[cfg(all(feature = "std", not(ringmain_loom)))]
pub(crate) mod shelf;
#[cfg(all(feature = "mapped", not(ringmain_loom)))]
mod verify;

#[cfg(not(ringmain_loom))]
pub use borrowed::Borrowed;
#[cfg(all(feature = "fifo", not(ringmain_loom)))]
pub use fifo::fixed::FixedFifo;
#[cfg(not(ringmain_loom))]
pub use fixed::Fixed;
#[cfg(all(feature = "alloc", not(ringmain_loom)))]
pub use heap::Heap;
#[cfg(all(feature = "mapped", not(ringmain_loom)))]
pub use level::{Durability, Position};
#[cfg(not(ringmain_loom))]
pub use linked::{Linked, id_of};
#[cfg(all(feature = "mapped", not(ringmain_loom)))]
pub use mapped::Mapped;

#[cfg(not(ringmain_loom))]
mod home {
    use super::memory::Place;
    use super::store::Store;
    use crate::error::Error;

    /// What [`Region::place`] should do.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub enum Intent {
        /// Make a queue; an error if there is one.
        Create,
        /// Use the queue that is there; an error if there is none.
        Open,
        /// Use the queue that is there, else make one.
        OpenOrCreate,
    }

    /// A queue's wishes for its memory, before the region says what it can give.
    #[derive(Debug, Clone, Copy)]
    pub struct Wish {
        /// A body that should take one slot, bytes.
        pub body_bytes_typical: usize,
        /// Longest body, bytes; `None`: 256 KiB or what the region allows.
        pub body_bytes_max: Option<usize>,
        /// Checksums over bodies; `None`: if the region is shared.
        pub checksum: Option<bool>,
        /// What may be changed later.
        pub policy: super::policy::PolicyNumbers,
        /// See `Config::durability`.
        pub durability: u64,
        /// What a FIFO queue wants beside; `None`: a standard queue.
        pub fifo: Option<FifoWish>,
    }

    /// A FIFO queue's own wishes.
    #[derive(Debug, Clone, Copy)]
    pub struct FifoWish {
        /// How many deduplication ids are remembered; `None`: twice as many as there are slots.
        pub ids: Option<usize>,
        /// How many receive attempts are remembered; `None`: by the slots.
        pub attempts: Option<usize>,
        /// For how long an id is remembered, ms.
        pub interval_ms: u64,
        /// See `Config::flags`.
        pub flags: u64,
    }

    /// What came of asking the kernel about the other participants.
    #[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
    pub struct Tended {
        /// Participants found dead, whose holdings were taken back.
        pub dead: u32,
        /// Messages that became visible again.
        pub returned: u64,
    }

    /// Another queue, as one sees it who moves messages there.
    #[derive(Clone, Copy)]
    pub struct Neighbour<'a> {
        /// Its region.
        pub region: &'a dyn Region,
        /// Where it lies there.
        pub place: &'a Place,
    }

    /// Memory in which a queue can live. See the implementors.
    ///
    /// # Safety
    ///
    /// [`store`](Region::store) returns the same memory for the same place for as long as the
    /// region lives, and nobody else uses that memory but through such stores. So it is with
    /// streams and their places.
    pub unsafe trait Region {
        /// Finds or makes a queue in this region.
        #[doc(hidden)]
        fn place(&self, intent: Intent, wish: &Wish) -> Result<Place, Error>;

        /// Finds or makes a stream in this region. It lies where the place says for as long as the
        /// region lives, though that be moved.
        #[cfg(feature = "stream")]
        #[doc(hidden)]
        fn stream_place(
            &self,
            _intent: Intent,
            _wish: &super::stream::StreamWish,
        ) -> Result<super::stream::StreamPlace, Error> {
            Err(Error::Unsupported {
                what: "this kind of memory has no room for a stream",
            })
        }

        /// Shows `act` a stream of this region where all of it can be written: its place, unless
        /// this participant has the records read-only.
        #[cfg(feature = "stream")]
        #[doc(hidden)]
        fn with_writable(
            &self,
            place: &super::stream::StreamPlace,
            act: &mut dyn FnMut(&super::stream::StreamPlace),
        ) -> Result<(), Error> {
            act(place);
            Ok(())
        }

        /// The memory of a queue that [`place`](Region::place) verified.
        #[doc(hidden)]
        fn store<'s>(&'s self, place: &'s Place) -> Store<'s>;

        /// The index that names this participant in state words.
        #[doc(hidden)]
        fn owner(&self) -> u32 {
            1
        }

        /// What to add to a clock's time to get the region's, ms.
        #[doc(hidden)]
        fn time_base_ms(&self) -> u64 {
            0
        }

        /// Whether other processes may take part.
        #[doc(hidden)]
        fn is_shared(&self) -> bool {
            false
        }

        /// An error if this participant may not go on (a forked child).
        #[doc(hidden)]
        #[inline(always)]
        fn check(&self) -> Result<(), Error> {
            Ok(())
        }

        /// Asks the kernel who has died, and takes back what they held.
        #[doc(hidden)]
        fn tend(&self) -> Tended {
            Tended::default()
        }

        /// A thread begins to sleep here; it calls `wait_ends` afterwards.
        #[cfg(feature = "std")]
        #[doc(hidden)]
        fn wait_begins(&self) {}

        /// A thread that had begun to sleep here goes on.
        #[cfg(feature = "std")]
        #[doc(hidden)]
        fn wait_ends(&self) {}

        /// Whether those who sleep are woken when others die.
        #[cfg(feature = "std")]
        #[doc(hidden)]
        fn is_watched(&self) -> bool {
            false
        }

        /// Waits until commit `until` is on the disk.
        #[doc(hidden)]
        fn commit(&self, _place: &Place, _until: u64) -> Result<(), Error> {
            Err(Error::NoJournal)
        }

        /// Waits until the settings of a queue with a journal are on the disk.
        #[doc(hidden)]
        fn keep_settings(&self, _place: &Place) -> Result<(), Error> {
            Ok(())
        }

        /// Tells who commits from time to time that there is something to commit.
        #[doc(hidden)]
        fn rouse(&self, _place: &Place) {}

        /// Waits until what was put into a stream is on the disk.
        #[cfg(all(feature = "mapped", feature = "stream"))]
        #[doc(hidden)]
        fn commit_stream(
            &self,
            _place: &super::stream::StreamPlace,
            _until: super::mapped::Until,
        ) -> Result<(), Error> {
            Err(Error::NoJournal)
        }

        /// Tells who commits a stream from time to time that there is something to commit.
        #[cfg(all(feature = "mapped", feature = "stream"))]
        #[doc(hidden)]
        fn rouse_stream(&self, _place: &super::stream::StreamPlace) {}

        /// The futures of this process that wait for a message.
        #[cfg(feature = "async")]
        #[doc(hidden)]
        fn wakers(&self) -> &crate::sync::WakerSet;

        /// Sees to it that futures are woken by what happens in other processes.
        #[cfg(feature = "async")]
        #[doc(hidden)]
        fn arm(&self, _place: &Place) {}

        /// [`arm`](Region::arm) for those of a stream, once one of them has prepared.
        #[cfg(all(feature = "async", feature = "stream"))]
        #[doc(hidden)]
        fn arm_stream(&self) {}

        /// How many participants are attached.
        #[doc(hidden)]
        fn attachments(&self) -> u64 {
            1
        }

        /// What the queue is called, if it has a name.
        #[doc(hidden)]
        fn label(&self) -> &str {
            ""
        }

        /// Shows `act` the queue to which this one's dead letters go, if this participant can
        /// reach it; whether it did. `id` is the setting `DEAD_LETTERS` as it is now: what is
        /// shown has to be the queue whose nonce has these low bits.
        #[doc(hidden)]
        fn dead_letters(&self, _id: u64, _act: &mut dyn FnMut(Neighbour<'_>)) -> bool {
            false
        }
    }

    /// The methods by which a region forwards to another one, which `$get` borrows: all but
    /// `label` and `dead_letters`.
    macro_rules! forward_methods {
        ($self:ident, $get:expr) => {
            #[inline(always)]
            fn check(&$self) -> Result<(), Error> {
                $get.check()
            }
            crate::region::home::forward_but_check!($self, $get);
        };
    }
    pub(super) use forward_methods;

    /// The same without `check`.
    macro_rules! forward_but_check {
        ($self:ident, $get:expr) => {
            fn place(&$self, intent: Intent, wish: &Wish) -> Result<Place, Error> {
                $get.place(intent, wish)
            }
            #[cfg(feature = "stream")]
            fn stream_place(
                &$self,
                intent: Intent,
                wish: &crate::region::stream::StreamWish,
            ) -> Result<crate::region::stream::StreamPlace, Error> {
                $get.stream_place(intent, wish)
            }
            #[cfg(feature = "stream")]
            fn with_writable(
                &$self,
                place: &crate::region::stream::StreamPlace,
                act: &mut dyn FnMut(&crate::region::stream::StreamPlace),
            ) -> Result<(), Error> {
                $get.with_writable(place, act)
            }
            #[inline(always)]
            fn store<'s>(&'s $self, place: &'s Place) -> Store<'s> {
                $get.store(place)
            }
            #[inline(always)]
            fn owner(&$self) -> u32 {
                $get.owner()
            }
            #[inline(always)]
            fn time_base_ms(&$self) -> u64 {
                $get.time_base_ms()
            }
            #[inline(always)]
            fn is_shared(&$self) -> bool {
                $get.is_shared()
            }
            fn tend(&$self) -> Tended {
                $get.tend()
            }
            #[cfg(feature = "std")]
            fn wait_begins(&$self) {
                $get.wait_begins()
            }
            #[cfg(feature = "std")]
            fn wait_ends(&$self) {
                $get.wait_ends()
            }
            #[cfg(feature = "std")]
            fn is_watched(&$self) -> bool {
                $get.is_watched()
            }
            fn attachments(&$self) -> u64 {
                $get.attachments()
            }
            fn commit(&$self, place: &Place, until: u64) -> Result<(), Error> {
                $get.commit(place, until)
            }
            fn keep_settings(&$self, place: &Place) -> Result<(), Error> {
                $get.keep_settings(place)
            }
            fn rouse(&$self, place: &Place) {
                $get.rouse(place)
            }
            #[cfg(all(feature = "mapped", feature = "stream"))]
            fn commit_stream(
                &$self,
                place: &crate::region::stream::StreamPlace,
                until: crate::region::mapped::Until,
            ) -> Result<(), Error> {
                $get.commit_stream(place, until)
            }
            #[cfg(all(feature = "mapped", feature = "stream"))]
            fn rouse_stream(&$self, place: &crate::region::stream::StreamPlace) {
                $get.rouse_stream(place)
            }
            #[cfg(feature = "async")]
            fn wakers(&$self) -> &crate::sync::WakerSet {
                $get.wakers()
            }
            #[cfg(feature = "async")]
            fn arm(&$self, place: &Place) {
                $get.arm(place)
            }
            #[cfg(all(feature = "async", feature = "stream"))]
            fn arm_stream(&$self) {
                $get.arm_stream()
            }
        };
    }
    pub(super) use forward_but_check;

    macro_rules! forward {
        ($type:ty) => {
            // SAFETY: forwards to a region that keeps the promise.
            unsafe impl<R: Region + ?Sized> Region for $type {
                fn dead_letters(&self, id: u64, act: &mut dyn FnMut(Neighbour<'_>)) -> bool {
                    (**self).dead_letters(id, act)
                }
                fn label(&self) -> &str {
                    (**self).label()
                }
                forward_methods!(self, (**self));
            }
        };
    }

    forward!(&R);
    #[cfg(feature = "alloc")]
    forward!(alloc::sync::Arc<R>);
}

#[cfg(all(feature = "fifo", not(ringmain_loom)))]
pub(crate) use home::FifoWish;
#[cfg(not(ringmain_loom))]
pub use home::{Intent, Neighbour, Region, Tended, Wish};
#[cfg(all(feature = "std", not(ringmain_loom)))]
pub use named::Named;
#[cfg(all(feature = "std", not(ringmain_loom)))]
pub(crate) use park::{Futex, futex_wait, futex_wait_any, futex_wake};
#[cfg(all(feature = "std", not(ringmain_loom)))]
pub use shelf::Home;
#[cfg(all(feature = "std", feature = "stream", not(ringmain_loom)))]
pub use stream::NamedStream;

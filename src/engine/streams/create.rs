//! Making, opening, listing and deleting streams.

use super::spec::StreamSpec;
use crate::engine::handle::{Engine, EngineStream};
use crate::error::Error;
#[cfg(feature = "mapped")]
use crate::region::Mapped;
use crate::region::shelf::{Held, Home};
use crate::stream::Stream;
use crate::time::Clock;

impl<H: Home, C: Clock> Engine<H, C> {
    /// The names of the streams that begin with `prefix`, sorted.
    ///
    /// # Errors
    ///
    /// [`Error::Forked`], and what the operating system says.
    ///
    /// # Complexity
    ///
    /// Linear in the streams of that prefix; a few small reads each.
    ///
    /// # Examples
    ///
    /// ```
    /// use ringmain::{Engine, Heap, StreamSpec};
    ///
    /// let engine = Engine::<Heap>::in_memory();
    /// engine.create_stream("plant.north", &StreamSpec::new())?;
    /// engine.create_stream("plant.south", &StreamSpec::new())?;
    /// assert_eq!(engine.streams("plant.")?, ["plant.north", "plant.south"]);
    /// assert!(engine.queues("")?.is_empty());
    /// # Ok::<(), ringmain::Error>(())
    /// ```
    pub fn streams(&self, prefix: &str) -> Result<Vec<String>, Error> {
        self.shared.names_of(Held::Stream, prefix)
    }
}

impl<H: Home, C: Clock + Clone> Engine<H, C> {
    /// Makes a stream, or opens the one of that name if it has been made with the same options. Its
    /// name has 1 to 128 of `A-Za-z0-9_.-`; a queue and a stream do not have one name.
    ///
    /// Of many who create one name at the same time, in whatever processes, one makes the stream,
    /// and all get it. Who dies while making one leaves nothing that the next could not make anew.
    /// Tags are given to a new stream only.
    ///
    /// # Errors
    ///
    /// [`Error::OptionsDiffer`] with the option that differs, region bytes included;
    /// [`Error::Kind`]: there is a queue of that name; [`Error::Name`], [`Error::OutOfRange`],
    /// [`Error::Tag`], [`Error::TagCount`]; those of `Mapped::create` and of
    /// [`Stream::create`](crate::Stream::create). Then nothing has changed.
    ///
    /// # Progress
    ///
    /// Waits for other changes of the engine, and for the disk.
    ///
    /// # Examples
    ///
    /// ```
    /// use ringmain::{Engine, Heap, Start, StreamOptions, StreamSpec};
    ///
    /// let engine = Engine::<Heap>::in_memory();
    /// let spec = StreamSpec::new().options(StreamOptions::new().shards(2)).bytes(1 << 20);
    /// let put = engine.create_stream("telemetry", &spec)?.put("boiler-7", b"81.5")?;
    /// let again = engine.create_stream("telemetry", &spec)?; // the same stream
    /// let mut cursor = again.cursor(put.shard, Start::Oldest)?;
    /// assert_eq!(cursor.read(10)?.len(), 1);
    /// # Ok::<(), ringmain::Error>(())
    /// ```
    pub fn create_stream(
        &self,
        name: &str,
        spec: &StreamSpec,
    ) -> Result<EngineStream<H, C>, Error> {
        let stream = self.shared.create_stream(name, spec)?;
        Stream::open_with(stream, self.clock.clone())
    }

    /// Opens a stream. Within one engine value and its clones a stream is attached once, however
    /// often it is opened.
    ///
    /// # Errors
    ///
    /// [`Error::NoStream`], [`Error::Name`], [`Error::Kind`] if it is a queue, [`Error::Forked`];
    /// those of `Mapped::open`.
    ///
    /// # Progress
    ///
    /// Lock-free towards other processes, unless the stream is being made or deleted: then it waits
    /// for who does it.
    ///
    /// # Examples
    ///
    /// ```
    /// use ringmain::{Engine, Error, Heap, QueueSpec, StreamSpec};
    ///
    /// let engine = Engine::<Heap>::in_memory();
    /// assert!(matches!(engine.open_stream("telemetry"), Err(Error::NoStream)));
    /// engine.create_stream("telemetry", &StreamSpec::new())?;
    /// engine.open_stream("telemetry")?.put("boiler-7", b"81.5")?;
    /// assert!(matches!(engine.open_queue("telemetry"), Err(Error::Kind { .. })));
    /// let queue = engine.create_queue("telemetry", &QueueSpec::new());
    /// assert!(matches!(queue, Err(Error::Kind { .. })));
    /// # Ok::<(), ringmain::Error>(())
    /// ```
    pub fn open_stream(&self, name: &str) -> Result<EngineStream<H, C>, Error> {
        let stream = self.shared.find_stream(name)?;
        Stream::open_with(stream, self.clock.clone())
    }

    /// Deletes a stream with all its records. Every handle and cursor of it, in whatever process,
    /// fails with [`Error::Deleted`] from now on, if it came by the name; records that somebody has
    /// read stay in place until he drops them. The name may be used again at once.
    ///
    /// A death in it leaves a stream that is whole, or one that is marked as deleted: the next
    /// operation that meets it finishes the deletion.
    ///
    /// # Errors
    ///
    /// [`Error::NoStream`], [`Error::Name`], [`Error::Kind`] if it is a queue; those of
    /// `Mapped::open`.
    ///
    /// # Progress
    ///
    /// Waits for other changes of the engine, and for the disk.
    ///
    /// # Examples
    ///
    /// ```
    /// use ringmain::{Engine, Error, Heap, StreamSpec};
    ///
    /// let engine = Engine::<Heap>::in_memory();
    /// let telemetry = engine.create_stream("telemetry", &StreamSpec::new())?;
    /// engine.delete_stream("telemetry")?;
    /// assert_eq!(telemetry.put("boiler-7", b"too late"), Err(Error::Deleted));
    /// # Ok::<(), ringmain::Error>(())
    /// ```
    pub fn delete_stream(&self, name: &str) -> Result<(), Error> {
        self.shared.delete_stream(name)
    }
}

#[cfg(feature = "mapped")]
impl<C: Clock + Clone> Engine<Mapped, C> {
    /// Opens a stream to read it, with its records mapped read-only: a wild store of this process
    /// into them is a fault, and changes nothing. What
    /// [`Mapped::open_for_reading`](crate::Mapped::open_for_reading) says holds: cursors, waits,
    /// consumers and help after a death work as ever, and whatever would put, split or merge is
    /// [`Error::OpenedForReading`].
    ///
    /// Within one engine value and its clones there is one such attachment to a stream, beside that
    /// of [`open_stream`](Engine::open_stream).
    ///
    /// # Errors
    ///
    /// Those of [`open_stream`](Engine::open_stream).
    ///
    /// # Progress
    ///
    /// As [`open_stream`](Engine::open_stream).
    ///
    /// # Examples
    ///
    /// ```
    /// # let dir = std::env::temp_dir().join(format!("ringmain-reader-{}", std::process::id()));
    /// use ringmain::{Engine, Error, Start, StreamSpec};
    ///
    /// let engine = Engine::open_or_create(&dir)?;
    /// let put = engine.create_stream("telemetry", &StreamSpec::new())?.put("boiler-7", b"81.5")?;
    /// let reader = engine.open_stream_for_reading("telemetry")?;
    /// let mut cursor = reader.cursor(put.shard, Start::Oldest)?;
    /// assert_eq!(cursor.read(10)?.len(), 1);
    /// assert_eq!(reader.put("boiler-7", b"81.7"), Err(Error::OpenedForReading));
    /// # std::fs::remove_dir_all(&dir).unwrap();
    /// # Ok::<(), ringmain::Error>(())
    /// ```
    pub fn open_stream_for_reading(&self, name: &str) -> Result<EngineStream<Mapped, C>, Error> {
        let stream = self.shared.find_stream_for_reading(name)?;
        Stream::open_with(stream, self.clock.clone())
    }
}

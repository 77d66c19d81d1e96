//! The streams that the values of one engine have open, and the steps of making and deleting one.

use super::spec::StreamSpec;
use crate::engine::meta::{Meta, check_tags};
use crate::engine::shared::Shared;
use crate::error::Error;
#[cfg(feature = "mapped")]
use crate::region::Mapped;
use crate::region::shelf::{Held, Home, Shelf, lock};
use crate::region::stream::NamedStream;
use crate::time::wall_ms;
use crate::trace::event;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, Weak};

/// Streams that are open, by their names.
pub(in crate::engine) type Streams<H> = Mutex<BTreeMap<String, Weak<NamedStream<H>>>>;

/// A way to take part in a stream.
type Attach<'a, H> = &'a dyn Fn() -> Result<Arc<NamedStream<H>>, Error>;

impl<H: Home> Shared<H> {
    /// The stream of this name, opened once.
    fn attach_stream(&self, name: &str) -> Result<Arc<NamedStream<H>>, Error> {
        self.attach_by(&self.streams, name, |shelf| shelf.open(Held::Stream, name))
    }

    /// The stream of this name, opened once by `attach`.
    fn attach_by(
        &self,
        open: &Streams<H>,
        name: &str,
        attach: impl FnOnce(&H::Shelf) -> Result<H::Region, Error>,
    ) -> Result<Arc<NamedStream<H>>, Error> {
        let mut open = lock(open);
        let known = open.get(name).and_then(Weak::upgrade);
        if let Some(named) = known.filter(|named| !named.is_deleted()) {
            return Ok(named);
        }
        let named = Arc::new(NamedStream::new(attach(&self.shelf)?, name)?);
        if named.is_deleted() {
            return Err(Error::Deleted);
        }
        open.retain(|_, named| named.strong_count() != 0);
        open.insert(name.into(), Arc::downgrade(&named));
        Ok(named)
    }

    /// The stream of this name.
    ///
    /// # Errors
    ///
    /// [`Error::NoStream`], [`Error::Name`], [`Error::Kind`] for a queue's name, and those of
    /// opening a region.
    pub(super) fn find_stream(&self, name: &str) -> Result<Arc<NamedStream<H>>, Error> {
        self.find_by(name, &|| self.attach_stream(name))
    }

    fn find_by(&self, name: &str, attach: Attach<'_, H>) -> Result<Arc<NamedStream<H>>, Error> {
        self.check_name(Held::Stream, name)?;
        match attach() {
            Ok(named) => Ok(named),
            Err(Error::NotFound) => Err(self.nothing(Held::Stream, name)),
            // Perhaps somebody is making or deleting it. In a turn nobody is.
            Err(_) => self.shelf.turn(|| self.present_stream(name, attach)),
        }
    }

    /// In a turn: the stream of this name.
    fn present_stream(
        &self,
        name: &str,
        attach: Attach<'_, H>,
    ) -> Result<Arc<NamedStream<H>>, Error> {
        match self.finish(Held::Stream, name)? {
            true => attach(),
            false => Err(self.nothing(Held::Stream, name)),
        }
    }

    /// The stream that `spec` describes.
    pub(super) fn create_stream(
        &self,
        name: &str,
        spec: &StreamSpec,
    ) -> Result<Arc<NamedStream<H>>, Error> {
        self.check_name(Held::Stream, name)?;
        check_tags(&spec.tags)?;
        let wish = spec.options.wish()?;
        self.shelf.turn(|| {
            self.is_not_other(Held::Stream, name)?;
            if self.finish(Held::Stream, name)? {
                let stream = self.attach_stream(name)?;
                if stream.bytes() != spec.bytes {
                    return Err(Error::OptionsDiffer {
                        option: "bytes",
                        found: stream.bytes(),
                        given: spec.bytes,
                    });
                }
                stream.place_here().agree(&wish)?;
                return Ok(stream);
            }
            let meta = Meta {
                created_ms: wall_ms(),
                tags: spec.tags.clone(),
                ..Meta::default()
            };
            self.set_meta(Held::Stream, name, &meta)?;
            let made = self.shelf.create_stream(name, spec.bytes, &wish);
            let region = made.inspect_err(|_| {
                let _ = self.shelf.remove(Held::Stream, name); // a card alone goes the next time
            })?;
            let named = Arc::new(NamedStream::new(region, name)?);
            lock(&self.streams).insert(name.into(), Arc::downgrade(&named));
            event!(INFO, "stream created"; stream = name);
            Ok(named)
        })
    }

    /// Deletes a stream.
    pub(super) fn delete_stream(&self, name: &str) -> Result<(), Error> {
        self.check_name(Held::Stream, name)?;
        self.shelf.turn(|| {
            let attach = || self.attach_stream(name);
            self.present_stream(name, &attach)?.mark_deleted()?;
            for open in [&self.streams, &self.read_streams] {
                lock(open).remove(name);
            }
            self.shelf.remove(Held::Stream, name)
        })?;
        event!(INFO, "stream deleted"; stream = name);
        Ok(())
    }

    /// The streams that are open; one that is open twice is there once.
    pub(in crate::engine) fn opened_streams(&self) -> Vec<Arc<NamedStream<H>>> {
        let mut all = BTreeMap::new();
        for open in [&self.read_streams, &self.streams] {
            let open = lock(open);
            let opened = open.iter().filter_map(|(name, named)| {
                let named = named.upgrade()?;
                Some((name.clone(), named))
            });
            all.extend(opened);
        }
        all.into_values().collect()
    }
}

#[cfg(feature = "mapped")]
impl Shared<Mapped> {
    /// The stream of this name, by an attachment that only reads it.
    ///
    /// # Errors
    ///
    /// As [`find_stream`](Self::find_stream).
    pub(super) fn find_stream_for_reading(
        &self,
        name: &str,
    ) -> Result<Arc<NamedStream<Mapped>>, Error> {
        self.find_by(name, &|| {
            self.attach_by(&self.read_streams, name, |directory| {
                directory.open_for_reading(name)
            })
        })
    }
}

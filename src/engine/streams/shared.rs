//! The streams that the values of one engine have open, and the steps of making and deleting one.

use super::spec::StreamSpec;
use crate::engine::meta::{Meta, check_tags};
use crate::engine::shared::Shared;
use crate::error::Error;
use crate::region::shelf::{Held, Home, Shelf, lock};
use crate::region::stream::NamedStream;
use crate::time::wall_ms;
use crate::trace::event;
use std::sync::{Arc, Weak};

impl<H: Home> Shared<H> {
    /// The stream of this name, opened once.
    fn attach_stream(&self, name: &str) -> Result<Arc<NamedStream<H>>, Error> {
        let mut open = lock(&self.streams);
        let known = open.get(name).and_then(Weak::upgrade);
        if let Some(named) = known.filter(|named| !named.is_deleted()) {
            return Ok(named);
        }
        let region = self.shelf.open(Held::Stream, name)?;
        let named = Arc::new(NamedStream::new(region, name)?);
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
        self.check_name(Held::Stream, name)?;
        match self.attach_stream(name) {
            Ok(named) => Ok(named),
            Err(Error::NotFound) => Err(self.nothing(Held::Stream, name)),
            // Perhaps somebody is making or deleting it. In a turn nobody is.
            Err(_) => self.shelf.turn(|| self.present_stream(name)),
        }
    }

    /// In a turn: the stream of this name.
    fn present_stream(&self, name: &str) -> Result<Arc<NamedStream<H>>, Error> {
        match self.finish(Held::Stream, name)? {
            true => self.attach_stream(name),
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
            self.present_stream(name)?.mark_deleted()?;
            lock(&self.streams).remove(name);
            self.shelf.remove(Held::Stream, name)
        })?;
        event!(INFO, "stream deleted"; stream = name);
        Ok(())
    }

    /// The streams that are open.
    pub(in crate::engine) fn opened_streams(&self) -> Vec<Arc<NamedStream<H>>> {
        let open = lock(&self.streams);
        open.values().filter_map(Weak::upgrade).collect()
    }
}

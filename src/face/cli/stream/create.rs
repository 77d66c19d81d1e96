//! `ringmain create --stream`.

use super::args::StreamArgs;
use crate::face::cli::args::{CreateArgs, ShapeArgs};
use crate::face::cli::create::is_there;
use crate::face::cli::exit::{Exit, Trouble, about};
use crate::face::cli::spot::Spot;
use crate::{Capacity, Error, FullPolicy, Mapped, Stream, StreamOptions, StreamSpec};

/// Makes a stream in a new file, or in an engine.
pub(in crate::face::cli) fn run(args: &CreateArgs) -> Result<Exit, Trouble> {
    let told = || about::<Error>(args.path.display());
    let options = options(&args.stream, &args.shape);
    if let Spot::Named(engine, name) = Spot::of(&args.path)? {
        if is_there(&engine, &name)? {
            return Err(told()(Error::Exists));
        }
        let mut spec = StreamSpec::new().options(options).bytes(args.shape.size);
        for (key, value) in &args.tags {
            spec = spec.tag(key, value);
        }
        engine.create_stream(&name, &spec).map_err(told())?;
        return Ok(Exit::Done);
    }
    if !args.tags.is_empty() {
        return Err(Trouble::new("tags are for streams of an engine: DIR/NAME"));
    }
    let region = Mapped::create(&args.path, args.shape.size).map_err(told())?;
    match Stream::create(region, options) {
        Ok(_) => Ok(Exit::Done),
        Err(error) => {
            // The file is ours and holds no stream: nothing half-made stays behind.
            let _ = std::fs::remove_file(&args.path);
            Err(told()(error))
        }
    }
}

fn options(args: &StreamArgs, shape: &ShapeArgs) -> StreamOptions {
    // What no address reaches is out of each range.
    let bytes = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX);
    let mut options = StreamOptions::new();
    if args.on_demand {
        options = options.capacity(Capacity::OnDemand);
    }
    if let Some(shards) = args.shards {
        options = options.shards(shards);
    }
    if let Some(max) = args.max_shards {
        options = options.max_shards(max);
    }
    options = options
        .quota(args.provisioned)
        .placement(args.placement.into());
    if args.evict {
        options = options.full(FullPolicy::Evict);
    }
    if let Some(age) = shape.retention {
        options = options.retention(age);
    }
    if let Some(level) = shape.durability {
        options = options.durability(level);
    }
    if let Some(readers) = args.readers {
        options = options.readers(readers);
    }
    if let Some(consumers) = args.consumers {
        options = options.consumers(consumers);
    }
    if let Some(max) = args.max_data {
        options = options.max_data(bytes(max));
    }
    if let Some(segment) = args.segment {
        options = options.segment(bytes(segment));
    }
    options
}

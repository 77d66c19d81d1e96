//! What the fuzz targets do. `tests/corpus.rs` of the main package has the same modules, so that
//! the kept inputs are run again without a fuzzer.

pub mod targets;

#[path = "../../tests/common/mod.rs"]
mod common;
#[path = "../../tests/model/drive.rs"]
mod drive;
#[path = "../../tests/ground/mod.rs"]
pub mod ground;
#[path = "../../tests/model/letters.rs"]
mod letters;
#[path = "../../tests/model/moves.rs"]
mod moves;
#[path = "../../tests/model/op.rs"]
mod op;
#[allow(dead_code)] // the rules that are altered to be caught
#[path = "../../tests/model/reference.rs"]
mod reference;
#[allow(dead_code)] // what the tests of streams ask beside
#[path = "../../tests/stream/reference.rs"]
mod row;
#[path = "../../tests/model/steps.rs"]
mod steps;

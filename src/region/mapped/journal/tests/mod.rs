//! Tests of the journal that need its insides: records and frames placed by hand, a disk that
//! fails, and what recovery believes.

mod bench;
mod commit;
mod recovery;
mod sizes;

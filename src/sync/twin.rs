//! Which step a twin leaves out: one build for all of them, so the environment names it
//! (`.ci/twins`). Not there in any other build.

extern crate std;

use std::string::String;
use std::sync::LazyLock;

static STEP: LazyLock<String> =
    LazyLock::new(|| std::env::var("RINGMAIN_TWIN").unwrap_or_default());

/// Whether this process does without a step.
pub fn is_without(step: &str) -> bool {
    *STEP == step
}

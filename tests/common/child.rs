//! Children: this test binary again, told by the environment what to do.

use std::process::{Command, Stdio};

const ROLE: &str = "RINGMAIN_TEST_ROLE";

/// What this process was started for, if it is a child.
pub fn role() -> Option<String> {
    std::env::var(ROLE).ok()
}

/// Runs test `test` of this binary as a child with `role`, an argument and quiet ends.
pub fn command(test: &str, role: &str, argument: &str) -> Command {
    let exe = std::env::current_exe().expect("the path of this test binary");
    let mut command = Command::new(exe);
    command
        .args([test, "--exact", "--nocapture", "--test-threads=1"])
        .env(ROLE, role)
        .env("RINGMAIN_TEST_ARGUMENT", argument)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::inherit());
    command
}

/// The argument that the parent gave.
pub fn argument() -> String {
    std::env::var("RINGMAIN_TEST_ARGUMENT").unwrap_or_default()
}

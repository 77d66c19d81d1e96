//! The names that rotation gives to a file's older parts, and what lies beside it.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::mark::Id;

/// How often a directory is read that changes.
pub(super) const LOOKS_MAX: u32 = 1000;

/// Ends of names of what is compressed.
const PACKED: [&[u8]; 7] = [b".gz", b".bz2", b".xz", b".zst", b".lz4", b".lzma", b".zip"];

/// Whether a file of this name may be an older part of the file `of`: `of` and a point or a dash
/// and a digit (`app.log.1`, `app.log-20261126`), or these before its extension
/// (`app-20261126.log`), or `of.old`; and not packed.
pub(super) fn is_part(of: &OsStr, name: &OsStr) -> bool {
    let (of, name) = (of.as_bytes(), name.as_bytes());
    if PACKED.iter().any(|end| name.ends_with(end)) {
        return false;
    }
    if let Some(rest) = name.strip_prefix(of)
        && (is_count(rest) || rest == b".old")
    {
        return true;
    }
    let Some(point) = of.iter().rposition(|byte| *byte == b'.') else {
        return false;
    };
    let (stem, extension) = of.split_at(point);
    let middle = name.strip_prefix(stem);
    let middle = middle.and_then(|rest| rest.strip_suffix(extension));
    middle.is_some_and(is_count)
}

fn is_count(rest: &[u8]) -> bool {
    matches!(rest, [b'.' | b'-' | b'_', digit, ..] if digit.is_ascii_digit())
}

/// The regular files in the directory of `path`, with what is known of them. What cannot be looked
/// at is left out.
///
/// While names change, a directory's reader may miss some, and see others twice: so it is read
/// until it is the same twice.
pub(super) fn beside(path: &Path) -> Vec<(PathBuf, Id, Option<SystemTime>)> {
    let mut seen = read(path);
    for _ in 0..LOOKS_MAX {
        let again = read(path);
        let names = |all: &[(PathBuf, Id, Option<SystemTime>)]| -> Vec<(PathBuf, Id)> {
            all.iter()
                .map(|(path, id, _)| (path.clone(), *id))
                .collect()
        };
        if names(&again) == names(&seen) {
            break;
        }
        seen = again;
    }
    seen
}

fn read(path: &Path) -> Vec<(PathBuf, Id, Option<SystemTime>)> {
    let Some(entries) = path.parent().and_then(|dir| fs::read_dir(dir).ok()) else {
        return Vec::new();
    };
    let about = |entry: fs::DirEntry| Some((entry.path(), entry.metadata().ok()?));
    let all = entries.filter_map(|entry| about(entry.ok()?));
    let files = all.filter(|(_, about)| about.is_file());
    let mut files: Vec<_> = files
        .map(|(path, about)| (path, Id::of(&about), about.modified().ok()))
        .collect();
    files.sort_by(|a, b| a.0.cmp(&b.0));
    files
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_parts() {
        let is = |name: &str| is_part(OsStr::new("app.log"), OsStr::new(name));
        for name in [
            "app.log.1",
            "app.log-20261126",
            "app-2026.log",
            "app.log.old",
        ] {
            assert!(is(name), "{name}");
        }
        for name in [
            "app.log",
            "app.log.1.gz",
            "app.log.pos",
            "app.logs",
            "apple.log",
            "b.log.1",
        ] {
            assert!(!is(name), "{name}");
        }
    }
}

//! The partition key of data.

use regex::bytes::Regex;

/// What is found in the data, or else the given key: the regular expression's first group, or all
/// of what it finds if it has none.
pub(in crate::face::cli) fn key_of<'k>(
    regex: Option<&Regex>,
    key: Option<&'k str>,
    data: &'k [u8],
) -> Result<&'k str, &'static str> {
    let found = regex.and_then(|regex| match regex.captures_len() {
        1 => Some(regex.find(data)?.as_bytes()),
        _ => Some(regex.captures(data)?.get(1)?.as_bytes()),
    });
    match (found, key) {
        (Some(found), _) => std::str::from_utf8(found).map_err(|_| "its key is not UTF-8"),
        (None, Some(key)) => Ok(key),
        (None, None) => Err("no key is found in it (--key-regex), and there is no --key"),
    }
}

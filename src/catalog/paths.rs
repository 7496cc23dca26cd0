//! Maps by path, read in the order of the paths: all entries, or those at and below one path. The work is that of the
//! entries that are taken.

use std::collections::BTreeMap;
use std::iter;

/// The keys that are this path or lie below it, in order; all keys for `None`. Keys are in lower case.
pub(super) fn within<'a, V>(
    map: &'a BTreeMap<String, V>,
    path: Option<&str>,
) -> impl Iterator<Item = &'a str> + use<'a, V> {
    let (itself, below) = match path.map(str::to_ascii_lowercase) {
        None => (None, map.range::<String, _>(..)),
        // `0` is the character after `/`.
        Some(path) => (map.get_key_value(&path), map.range(format!("{path}/")..format!("{path}0"))),
    };
    itself.into_iter().chain(below).map(|(key, _)| key.as_str())
}

/// Two ordered sequences as one ordered sequence. A path of both occurs once.
pub(super) fn merged<'a>(
    one: impl Iterator<Item = &'a str>,
    other: impl Iterator<Item = &'a str>,
) -> impl Iterator<Item = &'a str> {
    let (mut one, mut other) = (one.peekable(), other.peekable());
    iter::from_fn(move || match (one.peek(), other.peek()) {
        (Some(first), Some(second)) if first == second => {
            other.next();
            one.next()
        }
        (Some(first), Some(second)) if first < second => one.next(),
        (Some(_), None) => one.next(),
        _ => other.next(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_and_what_lies_below_it_are_found_and_its_neighbours_are_not() {
        let paths = ["acme", "acme-x/a", "acme/a", "acme/web/site", "acme0", "acme0/a", "b"];
        let map: BTreeMap<_, _> = paths.iter().zip(1..).map(|(path, id)| ((*path).to_owned(), id)).collect();
        assert_eq!(within(&map, Some("Acme")).collect::<Vec<_>>(), ["acme", "acme/a", "acme/web/site"]);
        assert_eq!(within(&map, Some("acme/web")).collect::<Vec<_>>(), ["acme/web/site"]);
        assert_eq!(within(&map, Some("c")).count(), 0);
        assert!(within(&map, None).is_sorted());
        assert_eq!(within(&map, None).count(), paths.len());
    }

    #[test]
    fn merged_paths_are_in_order_and_each_occurs_once() {
        let merge = |one: &[&'static str], other: &[&'static str]| -> Vec<&'static str> {
            merged(one.iter().copied(), other.iter().copied()).collect()
        };
        assert_eq!(merge(&["a", "c", "d"], &["b", "c", "e"]), ["a", "b", "c", "d", "e"]);
        assert_eq!(merge(&[], &["b"]), ["b"]);
        assert_eq!(merge(&["b"], &[]), ["b"]);
    }
}

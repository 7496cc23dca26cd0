//! Bounds the memory that a payload takes once it is decoded.
//!
//! A list's object of two bytes, `{}`, becomes a commit or a job of some hundred bytes, and a digit becomes some dozens
//! of bytes. A body of 10 MB made of these would take up to a gigabyte. No payload of a GitLab comes near the bounds:
//! its longest lists are the jobs of a pipeline, and the changed files of a push.

/// The most objects and lists within lists.
pub(super) const MAX_ITEMS: usize = 50_000;
/// The most values of any kind.
pub(super) const MAX_VALUES: usize = 1_000_000;
/// A shorter payload can't have more items than the bounds.
const MIN_BYTES: usize = 2 * MAX_ITEMS;

/// Whether a payload has more than [`MAX_VALUES`] values, or more than [`MAX_ITEMS`] objects and lists within lists. Reads
/// the text once, and allocates nothing.
pub(crate) fn has_too_many_values(json: &[u8]) -> bool {
    if json.len() < MIN_BYTES {
        return false;
    }
    // One bit for each level, the innermost last: whether it is a list. Decoders refuse more than 128 levels.
    let (mut lists, mut items, mut values) = (0_u128, 0, 1);
    let (mut in_text, mut escaped) = (false, false);
    for byte in json {
        if in_text {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => in_text = false,
                _ => {}
            }
            continue;
        }
        match byte {
            b'"' => in_text = true,
            b'{' | b'[' => {
                items += usize::from(lists & 1 == 1);
                lists = lists << 1 | u128::from(*byte == b'[');
            }
            b'}' | b']' => lists >>= 1,
            b',' => values += 1,
            _ => {}
        }
        if items > MAX_ITEMS || values > MAX_VALUES {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn commits(count: usize, commit: &str) -> String {
        format!("{{\"commits\":[{}]}}", vec![commit; count].join(","))
    }

    #[test]
    fn objects_and_lists_within_lists_count_more_than_other_values() {
        assert!(has_too_many_values(commits(MAX_ITEMS + 1, "{}").as_bytes()));
        assert!(has_too_many_values(commits(MAX_ITEMS + 1, "[]").as_bytes()));
        assert!(has_too_many_values(commits(MAX_ITEMS / 2 + 1, "{\"added\":[{}]}").as_bytes()));
        assert!(!has_too_many_values(commits(MAX_ITEMS, "{\"author\":{\"name\":\"x\"}}").as_bytes()));
        assert!(!has_too_many_values(commits(MAX_ITEMS * 4, "\"src/main.rs\"").as_bytes()));
        assert!(!has_too_many_values(commits(MAX_VALUES, "1").as_bytes()));
        assert!(has_too_many_values(commits(MAX_VALUES + 1, "1").as_bytes()));
    }

    #[test]
    fn braces_in_texts_do_not_count() {
        assert!(!has_too_many_values(commits(MAX_ITEMS + 1, r#""{}[\"{}""#).as_bytes()));
    }
}

//! What stands in a path: `:id` of a project or group, `:slug` of an adapter.

use crate::adapters::{self, Entry};

/// The longest path that is looked for. GitLab's groups nest twenty deep, and nobody's names are all that long.
const LONGEST: usize = 2048;

/// A project or group as a path names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::api) enum Named {
    /// What consists of digits is always a number.
    Number(i64),
    /// A full path.
    Path(String),
}

impl Named {
    /// `:id` of a project, decoded. `None` is what can't be one: a number beyond 64 bits, a name outside any group, a
    /// path that no forge gives. It is answered like one that is not there.
    pub(in crate::api) fn project(id: &str) -> Option<Self> {
        Self::read(id).filter(|named| !matches!(named, Self::Path(path) if !path.contains('/')))
    }

    /// `:id` of a group. A group may be in no other.
    pub(in crate::api) fn group(id: &str) -> Option<Self> {
        Self::read(id)
    }

    fn read(id: &str) -> Option<Self> {
        if !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_digit()) {
            return id.parse().ok().map(Self::Number);
        }
        let sound = id.len() <= LONGEST && id.split('/').all(is_segment);
        sound.then(|| Self::Path(id.to_owned()))
    }
}

/// One name in a path: letters, digits, `_`, `-` and `.`, yet not dots alone, which mean something else.
fn is_segment(name: &str) -> bool {
    let plain = |character: char| character.is_alphanumeric() || matches!(character, '_' | '-' | '.');
    !name.is_empty() && !name.chars().all(|character| character == '.') && name.chars().all(plain)
}

/// The adapter that a path names, with dashes or underscores, in GitLab's spelling.
pub(in crate::api) fn adapter(slug: &str) -> Option<&'static Entry> {
    adapters::find(slug)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> Named {
        Named::Path(text.to_owned())
    }

    #[test]
    fn digits_are_always_a_number() {
        assert_eq!(Named::project("42"), Some(Named::Number(42)));
        assert_eq!(Named::group("0042"), Some(Named::Number(42)));
        assert_eq!(Named::project("9223372036854775807"), Some(Named::Number(i64::MAX)));
        for beyond in ["9223372036854775808", "99999999999999999999999999", &"9".repeat(5000)] {
            assert_eq!(Named::project(beyond), None, "{beyond}");
            assert_eq!(Named::group(beyond), None, "{beyond}");
        }
    }

    #[test]
    fn a_project_is_in_a_group_and_a_group_need_not_be() {
        assert_eq!(Named::project("acme/rocket"), Some(path("acme/rocket")));
        assert_eq!(Named::project("acme/web/rocket.js"), Some(path("acme/web/rocket.js")));
        assert_eq!(Named::project("rocket"), None);
        assert_eq!(Named::group("acme"), Some(path("acme")));
        assert_eq!(Named::group("acme/web"), Some(path("acme/web")));
    }

    #[test]
    fn tricks_name_nothing() {
        for trick in [
            "",
            "/",
            "acme/",
            "/rocket",
            "acme//rocket",
            "acme/..",
            "../rocket",
            "acme/./rocket",
            "acme/ro\0cket",
            "acme/rocket\n",
            "acme/ro cket",
            "acme/rocket?x",
            "acme\\rocket",
            "acme/%2e%2e",
            "-1/..",
            "acme/\u{202e}x",
        ] {
            assert_eq!(Named::project(trick), None, "{trick:?}");
            assert_eq!(Named::group(trick), None, "{trick:?}");
        }
        assert_eq!(Named::project(&format!("acme/{}", "x".repeat(LONGEST))), None);
        assert_eq!(Named::project("-5"), None, "that is neither digits nor a path");
        assert_eq!(Named::project("+5"), None);
    }

    #[test]
    fn slugs_have_dashes_or_underscores() {
        for slug in ["emails-on-push", "emails_on_push"] {
            assert_eq!(adapter(slug).map(|entry| entry.about.slug), Some("emails-on-push"));
        }
        for unknown in ["", "slak", "Slack", "slack/", "slack\0", &"x".repeat(100_000)] {
            assert!(adapter(unknown).is_none(), "{unknown:?}");
        }
    }
}

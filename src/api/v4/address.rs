//! The names in a request's path: `id` of a project or group, `slug` of an adapter.

use crate::adapters::{self, Entry};
use crate::event::PATH_MAX_BYTES;
use crate::integration::Scope;

/// A project by its decoded `id`: digits are always its number. `None` for names that can't be a project: a number
/// beyond 64 bits, a name outside of any group, a path that no forge gives. They are answered like a project that does
/// not exist.
pub(in crate::api) fn project(id: &str) -> Option<Scope> {
    number(id).map(Scope::ProjectId).or_else(|| project_path(id).map(Scope::ProjectPath))
}

/// The forge's number of a project or group.
pub(in crate::api) fn number(id: &str) -> Option<i64> {
    if is_number(id) { id.parse().ok() } else { None }
}

/// A project's full path. A project is in a group.
pub(in crate::api) fn project_path(id: &str) -> Option<String> {
    group_path(id).filter(|path| path.contains('/'))
}

/// A group's full path. A group may be in no other.
pub(in crate::api) fn group_path(id: &str) -> Option<String> {
    let sound = !is_number(id) && id.len() <= PATH_MAX_BYTES && id.split('/').all(is_segment);
    sound.then(|| id.to_owned())
}

fn is_number(id: &str) -> bool {
    !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_digit())
}

/// One name in a path: letters, digits, `_`, `-` and `.`, but not dots only, which are relative paths.
fn is_segment(name: &str) -> bool {
    let plain = |character: char| character.is_alphanumeric() || matches!(character, '_' | '-' | '.');
    !name.is_empty() && !name.chars().all(|character| character == '.') && name.chars().all(plain)
}

/// The adapter that a path names, with dashes or underscores, in GitLab's spelling.
pub(in crate::api) fn adapter(slug: &str) -> Option<&'static Entry> {
    adapters::find(slug)
}

/// Services of GitLab, by slug, that some version of it has and that are not offered here.
/// Source: <https://docs.gitlab.com/api/project_integrations/>, now and in former versions.
const GITLABS: [&str; 14] = [
    "apple-app-store",
    "beyond-identity",
    "diffblue-cover",
    "git-guardian",
    "gitlab-ci",
    "gitlab-slack-application",
    "google-cloud-platform-artifact-registry",
    "google-cloud-platform-workload-identity-federation",
    "google-play",
    "harbor",
    "jira-cloud-app",
    "mock-monitoring",
    "shimo",
    "zentao",
];

/// Whether a slug that no adapter has is GitLab's name of a service.
pub(in crate::api) fn is_known_to_gitlab(slug: &str) -> bool {
    GITLABS.contains(&slug.replace('_', "-").as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_always_a_number() {
        assert_eq!(project("42"), Some(Scope::ProjectId(42)));
        assert_eq!((number("0042"), group_path("0042")), (Some(42), None));
        assert_eq!(project("9223372036854775807"), Some(Scope::ProjectId(i64::MAX)));
        for beyond in ["9223372036854775808", "99999999999999999999999999", &"9".repeat(5000)] {
            assert_eq!(project(beyond), None, "{beyond}");
            assert_eq!((number(beyond), group_path(beyond)), (None, None), "{beyond}");
        }
    }

    #[test]
    fn a_project_is_in_a_group_and_a_group_need_not_be() {
        assert_eq!(project("acme/rocket"), Some(Scope::ProjectPath("acme/rocket".to_owned())));
        assert_eq!(project("acme/web/rocket.js"), Some(Scope::ProjectPath("acme/web/rocket.js".to_owned())));
        assert_eq!(project("rocket"), None);
        assert_eq!(group_path("acme").as_deref(), Some("acme"));
        assert_eq!(group_path("acme/web").as_deref(), Some("acme/web"));
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
            assert_eq!(project(trick), None, "{trick:?}");
            assert_eq!((number(trick), group_path(trick)), (None, None), "{trick:?}");
        }
        assert_eq!(project(&format!("acme/{}", "x".repeat(PATH_MAX_BYTES))), None);
        assert_eq!(project("-5"), None, "that is neither digits nor a path");
        assert_eq!(project("+5"), None);
    }

    #[test]
    fn a_slug_of_gitlab_is_told_from_one_that_nobody_has() {
        for known in ["mock-monitoring", "mock_monitoring", "gitlab-ci"] {
            assert!(is_known_to_gitlab(known), "{known}");
        }
        for unknown in ["", "nonsense", "Mock-Monitoring", "mock monitoring"] {
            assert!(!is_known_to_gitlab(unknown), "{unknown}");
        }
        assert!(GITLABS.is_sorted());
        assert!(GITLABS.iter().all(|slug| adapter(slug).is_none()), "a service that is offered");
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

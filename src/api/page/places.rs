//! The addresses of integrations and of what belongs to them.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::catalog::{ResolvedScope, Snapshot};
use crate::integration::{IntegrationId, Scope};
use crate::pipeline::standing::scope_of;

/// Characters that need no encoding in a part of a path or in a query.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// A text for a part of a path, or a value in a query.
pub(super) fn encoded(text: &str) -> String {
    utf8_percent_encode(text, PLAIN).to_string()
}

/// The page of a project, a group or the instance.
pub(super) fn of_scope(scope: &Scope) -> String {
    match scope {
        Scope::ProjectId(id) => format!("/-/projects/{id}"),
        Scope::ProjectPath(path) => format!("/-/projects/{}", encoded(path)),
        Scope::Group(path) => format!("/-/groups/{}", encoded(path)),
        Scope::Instance => "/-/instance".to_owned(),
    }
}

/// The page of an integration.
pub(super) fn of_integration(id: &IntegrationId) -> String {
    let (scope, slug) = id.0.rsplit_once(':').unwrap_or((&id.0, ""));
    format!("{}/{slug}", of_scope(&Scope::from_canonical(scope)))
}

/// The page of an event.
pub(super) fn of_event(id: &str) -> String {
    format!("/-/events/{}", encoded(id))
}

/// A scope by its path, as people know it.
pub(super) fn title(scope: &ResolvedScope) -> String {
    match (scope, scope.path()) {
        (ResolvedScope::Instance, _) => "the instance".to_owned(),
        (ResolvedScope::Group { .. }, Some(path)) => format!("group {path}"),
        (_, Some(path)) => path.to_owned(),
        (scope, None) => scope.name().to_string(),
    }
}

/// An integration by its project's path and its service: `acme/rocket:slack`.
pub(super) fn name(snapshot: &Snapshot, id: &IntegrationId) -> String {
    let slug = id.0.rsplit_once(':').map_or("", |(_, slug)| slug);
    format!("{}:{slug}", title(&scope_of(snapshot, id)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_integration_has_a_page_of_its_own() {
        let of = |id: &str| of_integration(&IntegrationId::new(id));
        assert_eq!(of("42:slack"), "/-/projects/42/slack");
        assert_eq!(of("acme/rocket:slack"), "/-/projects/acme%2Frocket/slack");
        assert_eq!(of("groups/acme/web:irker"), "/-/groups/acme%2Fweb/irker");
        assert_eq!(of("instance:slack"), "/-/instance/slack");
        assert_eq!(of("a/\"><script>:slack"), "/-/projects/a%2F%22%3E%3Cscript%3E/slack");
    }
}

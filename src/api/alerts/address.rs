//! The project's addresses for alerts, as GitLab has them.

use percent_encoding::percent_decode_str;

use crate::adapters::alerts::{endpoint, prometheus};
use crate::api::v4::project_path;

/// An address that alerts are posted to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Address {
    /// The project's full path.
    pub(super) project: String,
    pub(super) door: Door,
}

/// The kind of alert address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Door {
    /// `…/prometheus/alerts/notify.json`, for Alertmanager.
    Prometheus,
    /// `…/alerts/notify.json` and `…/alerts/notify/:name/:endpoint_id.json`, for any monitoring system. Name and id are
    /// those that a GitLab gave; the token alone says who reports.
    Generic,
}

impl Door {
    /// The adapter that reads what comes in.
    pub(super) const fn slug(self) -> &'static str {
        match self {
            Self::Prometheus => prometheus::SLUG,
            Self::Generic => endpoint::SLUG,
        }
    }
}

impl Address {
    /// Reads a request's path; `None` where the path is no alert address.
    pub(super) fn of(path: &str) -> Option<Self> {
        let path = path.strip_prefix('/')?;
        // The path is read from its end, because a project may be called `alerts`.
        let plain =
            || path.strip_suffix("/alerts/notify.json").or_else(|| path.strip_suffix("/alerts/notify"));
        let (project, door) = match plain() {
            Some(above) => match above.strip_suffix("/prometheus") {
                Some(project) if project.contains('/') => (project, Door::Prometheus),
                _ => (above, Door::Generic),
            },
            None => (above_named(path)?, Door::Generic),
        };
        let project = percent_decode_str(project).decode_utf8().ok()?;
        Some(Self { project: project_path(&project)?, door })
    }
}

/// The part of a path before `/alerts/notify/:name/:endpoint_id.json`.
fn above_named(path: &str) -> Option<&str> {
    let (rest, id) = path.rsplit_once('/')?;
    let (rest, name) = rest.rsplit_once('/')?;
    let id = id.strip_suffix(".json").unwrap_or(id);
    rest.strip_suffix("/alerts/notify").filter(|_| !id.is_empty() && !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(path: &str) -> Option<(String, Door)> {
        Address::of(path).map(|address| (address.project, address.door))
    }

    #[test]
    fn the_addresses_are_gitlabs_at_every_depth() {
        for project in
            ["acme/web", "acme/platform/web", "a/b/c/d/e", "acme/alerts", "prometheus/alerts", "a.b/c-d_e"]
        {
            let own = |door| Some((project.to_owned(), door));
            assert_eq!(of(&format!("/{project}/prometheus/alerts/notify.json")), own(Door::Prometheus));
            assert_eq!(of(&format!("/{project}/alerts/notify.json")), own(Door::Generic));
            assert_eq!(of(&format!("/{project}/alerts/notify")), own(Door::Generic));
            for named in
                ["my-tool/0123456789abcdef.json", "a%2Fb%20c/1f.json", "v1.2.3/1f", "%/x.json", "%00/x.json"]
            {
                assert_eq!(of(&format!("/{project}/alerts/notify/{named}")), own(Door::Generic), "{named}");
            }
        }
        assert_eq!(of("/acme/caf%C3%A9/alerts/notify.json"), Some(("acme/café".to_owned(), Door::Generic)));
        assert_eq!(
            of("/acme/prometheus/alerts/notify.json"),
            Some(("acme/prometheus".to_owned(), Door::Generic))
        );
    }

    #[test]
    fn other_paths_are_none() {
        for other in [
            "",
            "/",
            "/alerts/notify.json",
            "/acme/alerts/notify.json",
            "/acme/web/alerts",
            "/acme/web/alerts/notify.xml",
            "/acme/web/alerts/notify/name.json",
            "/acme/web/alerts/notify/a/b/c.json",
            "/acme/web/alerts/notify//id.json",
            "/acme/web/alerts/notify/name/.json",
            "/acme/../alerts/notify.json",
            "/acme//alerts/notify.json",
            "/acme/%2e%2e/alerts/notify.json",
            "/acme/we%ffb/alerts/notify.json",
            "/acme/we%00b/alerts/notify.json",
            "/42/alerts/notify.json",
        ] {
            assert_eq!(of(other), None, "{other}");
        }
        assert_eq!(of(&format!("/{}/web/alerts/notify.json", "a".repeat(2_000))), None);
    }
}

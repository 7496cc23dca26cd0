//! The routes of integrations, described once for each level (project, group, instance) and each adapter.
//!
//! Their annotations have placeholders: `{level}` is `a project`, `{Level}` is `Project` in operation ids, `{integration}`
//! is the adapter's title, and `{Integration}` its name in operation ids. In the served API an adapter is a parameter of the
//! path; in the document each has a path of its own, because each takes other settings.

use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::schema::AnyOfBuilder;
use utoipa::openapi::{Content, Deprecated, Ref, Required};

use super::settings;
use crate::adapters::ADAPTERS;
use crate::api::v4::{Level, Mount, Mounted};

/// The chapter of a level.
pub(super) const fn tag(level: Level) -> &'static str {
    match level {
        Level::Project => "Integrations of projects",
        Level::Group => "Integrations of groups",
        Level::Instance => "Integrations of the instance",
    }
}

/// Whether each service has a path of its own, or one path stands for all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Services {
    /// For programs: each takes other settings.
    Apart,
    /// For people, who read the settings elsewhere.
    Together,
}

/// The paths that stand for a mounted route, with their descriptions.
pub(super) fn described(mounted: &Mounted, services: Services) -> Vec<(String, PathItem)> {
    let (path, item) = (&mounted.path, mounted.description());
    let is_of_one = path.ends_with("/{slug}");
    match mounted.mount {
        Mount::AsDescribed => vec![(path.clone(), item.clone())],
        Mount::Integrations(level) if is_of_one && services == Services::Apart => {
            of_each_adapter(level, path, item)
        }
        Mount::Integrations(level) => {
            vec![(path.clone(), filled(item, level, "an integration", "Integration"))]
        }
        // Only a few paths with the former name are described. The others are served under it as well.
        Mount::Services(level) if is_of_one || path.ends_with("/services") => {
            vec![(path.clone(), former(filled(item, level, "an integration", "Service")))]
        }
        Mount::Services(_) | Mount::Inbound("services", _) => Vec::new(),
        Mount::Inbound(_, entry) => {
            vec![(path.clone(), filled(item, Level::Project, entry.about.title, &settings::name(entry)))]
        }
    }
}

fn of_each_adapter(level: Level, path: &str, item: &PathItem) -> Vec<(String, PathItem)> {
    let described = ADAPTERS.iter().map(|entry| {
        let mut item = filled(item, level, entry.about.title, &settings::name(entry));
        if let Some(put) = &mut item.put {
            put.request_body = Some(settings::body(entry).into());
        }
        (path.replace("{slug}", entry.about.slug), item)
    });
    described.collect()
}

/// A description under a former name: deprecated, and with the settings of any adapter.
fn former(mut item: PathItem) -> PathItem {
    for operation in operations(&mut item) {
        operation.deprecated = Some(Deprecated::True);
    }
    if let Some(put) = &mut item.put {
        let schemas = ADAPTERS.iter().map(|entry| Ref::from_schema_name(settings::schema_name(entry)));
        let any_of = schemas.fold(AnyOfBuilder::new(), AnyOfBuilder::item);
        let body = RequestBodyBuilder::new()
            .required(Some(Required::True))
            .content("application/json", Content::new(Some(any_of)));
        put.request_body = Some(body.build().into());
        put.description =
            Some("`/services` is a former name of `/integrations`, for all that is there.".to_owned());
    }
    item
}

/// The description with its placeholders filled in.
fn filled(item: &PathItem, level: Level, integration: &str, name: &str) -> PathItem {
    let (level_name, level_text) = match level {
        Level::Project => ("Project", "a project"),
        Level::Group => ("Group", "a group"),
        Level::Instance => ("Instance", "the instance"),
    };
    let fill = |text: &mut Option<String>| {
        if let Some(text) = text {
            *text = text
                .replace("{level}", level_text)
                .replace("{Level}", level_name)
                .replace("{integration}", integration)
                .replace("{Integration}", name);
        }
    };
    let mut item = item.clone();
    for operation in operations(&mut item) {
        fill(&mut operation.summary);
        fill(&mut operation.description);
        fill(&mut operation.operation_id);
        let own = operation.tags.take().filter(|tags| !tags.is_empty());
        operation.tags = own.or_else(|| Some(vec![tag(level).to_owned()]));
    }
    item
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    [&mut item.get, &mut item.put, &mut item.post, &mut item.delete].into_iter().flatten()
}

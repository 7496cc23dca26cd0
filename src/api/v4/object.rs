//! An integration as it is shown: the *basic* object of lists and the *full* one with its `properties`.
//!
//! Keys and their order are GitLab's. After them come those that GitLab does not show, and `origin`, which is ours alone:
//! the file that an integration is written down in, or null where it was set here.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::ser::{Serialize, SerializeMap, Serializer};

use super::flags;
use super::put_params::{StoredAs, put_params};
use crate::adapters::Entry;
use crate::settings::{Kind, Properties, Value, read_bool};

/// All that is shown of an integration.
#[derive(Clone, Copy)]
pub(in crate::api) struct Shown<'a> {
    /// `None` for one from a file: it has no row.
    pub(in crate::api) id: Option<i64>,
    pub(in crate::api) entry: &'static Entry,
    pub(in crate::api) created_at: Option<Timestamp>,
    pub(in crate::api) updated_at: Option<Timestamp>,
    pub(in crate::api) active: bool,
    pub(in crate::api) inherited: bool,
    /// Those that were ever set.
    pub(in crate::api) flags: &'a BTreeMap<String, bool>,
    /// Those that were ever set.
    pub(in crate::api) properties: &'a Properties,
    pub(in crate::api) origin: Option<&'a str>,
}

/// As lists show it.
pub(in crate::api) struct Basic<'a>(pub(in crate::api) Shown<'a>);

/// As it is shown alone.
pub(in crate::api) struct Full<'a>(pub(in crate::api) Shown<'a>);

impl Serialize for Basic<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        gitlabs(&self.0, &mut map)?;
        ours(&self.0, &mut map)?;
        map.end()
    }
}

impl Serialize for Full<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        gitlabs(&self.0, &mut map)?;
        map.serialize_entry("properties", &Visible(&self.0))?;
        ours(&self.0, &mut map)?;
        map.end()
    }
}

fn gitlabs<M: SerializeMap>(shown: &Shown<'_>, map: &mut M) -> Result<(), M::Error> {
    map.serialize_entry("id", &shown.id)?;
    map.serialize_entry("title", shown.entry.about.title)?;
    map.serialize_entry("slug", shown.entry.about.slug)?;
    map.serialize_entry("created_at", &shown.created_at.map(moment))?;
    map.serialize_entry("updated_at", &shown.updated_at.map(moment))?;
    map.serialize_entry("active", &shown.active)?;
    for flag in flags::SHOWN {
        map.serialize_entry(flag, &flags::is_on(shown.entry, shown.flags, flag))?;
    }
    map.serialize_entry("inherited", &shown.inherited)
}

fn ours<M: SerializeMap>(shown: &Shown<'_>, map: &mut M) -> Result<(), M::Error> {
    for flag in flags::SHOWN_LAST {
        map.serialize_entry(flag, &flags::is_on(shown.entry, shown.flags, flag))?;
    }
    map.serialize_entry("origin", &shown.origin)
}

/// Settings that were ever set and that anybody may see, in the order of their declaration.
struct Visible<'a>(&'a Shown<'a>);

impl Serialize for Visible<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Shown { entry, properties, .. } = self.0;
        let visible = put_params(entry).into_iter().filter_map(|spec| {
            let may_be_seen = spec.stored_as == StoredAs::Setting && !spec.kind.is_secret();
            let value = properties.get(spec.name.as_ref()).filter(|_| may_be_seen)?;
            Some((spec.name, normalized(spec.kind, value)))
        });
        serializer.collect_map(visible)
    }
}

/// Truths are shown as such, though they were written as words.
fn normalized(kind: Kind, value: &Value) -> Value {
    let truth = (kind == Kind::Bool).then(|| read_bool(value)).flatten();
    truth.map_or_else(|| value.clone(), Value::Bool)
}

/// `2024-05-09T08:07:06.123Z`
pub(in crate::api) fn moment(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapters;

    const CREATED: Timestamp = Timestamp::constant(1_768_469_400, 123_456_789);
    const UPDATED: Timestamp = Timestamp::constant(1_768_469_401, 0);

    fn text(value: &str) -> Value {
        Value::Text(value.to_owned())
    }

    fn shown<'a>(slug: &str, flags: &'a BTreeMap<String, bool>, properties: &'a Properties) -> Shown<'a> {
        Shown {
            id: Some(75),
            entry: adapters::find(slug).unwrap(),
            created_at: Some(CREATED),
            updated_at: Some(UPDATED),
            active: true,
            inherited: false,
            flags,
            properties,
            origin: None,
        }
    }

    #[test]
    fn a_full_object_has_gitlabs_keys_in_gitlabs_order_and_ours_after_them() {
        let flags = BTreeMap::from([("push_events".to_owned(), false), ("job_events".to_owned(), false)]);
        let properties = Properties::from([
            ("username".to_owned(), text("forgebell")),
            ("channel".to_owned(), text("#ops")),
            ("notify_only_broken_pipelines".to_owned(), text("1")),
        ]);
        let full = serde_json::to_string(&Full(shown("slack", &flags, &properties))).unwrap();
        let expected = concat!(
            r#"{"id":75,"title":"Slack notifications","slug":"slack","#,
            r#""created_at":"2026-01-15T09:30:00.123Z","updated_at":"2026-01-15T09:30:01.000Z","active":true,"#,
            r#""commit_events":true,"push_events":false,"issues_events":true,"incident_events":false,"#,
            r#""alert_events":true,"confidential_issues_events":true,"merge_requests_events":true,"#,
            r#""tag_push_events":true,"deployment_events":false,"note_events":true,"#,
            r#""confidential_note_events":true,"pipeline_events":true,"wiki_page_events":true,"#,
            r#""job_events":false,"comment_on_event_enabled":true,"inherited":false,"#,
            r##""properties":{"username":"forgebell","channel":"#ops","notify_only_broken_pipelines":true},"##,
            r#""vulnerability_events":false,"group_mention_events":false,"#,
            r#""group_confidential_mention_events":false,"archive_trace_events":false,"origin":null}"#,
        );
        assert_eq!(full, expected);
    }

    #[test]
    fn a_basic_object_is_the_same_without_properties() {
        let (flags, properties) = (BTreeMap::new(), Properties::from([("channel".to_owned(), text("#ops"))]));
        let shown = Shown {
            origin: Some("ops.toml"),
            id: None,
            inherited: true,
            ..shown("slack", &flags, &properties)
        };
        let basic = serde_json::to_value(Basic(shown)).unwrap();
        let mut full = serde_json::to_value(Full(shown)).unwrap();
        full.as_object_mut().unwrap().remove("properties").unwrap();
        assert_eq!(basic, full);
        assert_eq!((&basic["origin"], &basic["inherited"]), (&"ops.toml".into(), &true.into()));
        assert!(basic["id"].is_null());
    }

    #[test]
    fn no_secret_is_shown_though_it_lay_among_what_anybody_may_see() {
        let flags = BTreeMap::new();
        for entry in adapters::ADAPTERS {
            let secrets: Properties = entry
                .fields
                .iter()
                .filter(|field| field.kind.is_secret())
                .map(|field| (field.name.to_owned(), text("s3cret")))
                .chain([("leftover_token".to_owned(), text("s3cret"))])
                .collect();
            let full = serde_json::to_value(Full(shown(entry.about.slug, &flags, &secrets))).unwrap();
            assert_eq!(full["properties"], serde_json::json!({}), "{}", entry.about.slug);
        }
    }

    #[test]
    fn what_is_no_truth_is_shown_as_it_was_stored() {
        let (flags, stored) =
            (BTreeMap::new(), Properties::from([("notify_only_broken_pipelines".to_owned(), text("maybe"))]));
        let full = serde_json::to_value(Full(shown("slack", &flags, &stored))).unwrap();
        assert_eq!(full["properties"]["notify_only_broken_pipelines"], "maybe");
    }
}

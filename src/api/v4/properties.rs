//! The `properties` of an integration's object: every setting of its adapter except those that are entirely secret,
//! with its value, else its default, else null. Credentials in addresses are masked. Settings that GitLab does not have
//! are shown only if they are set, so that clients made for GitLab find the settings that they know.
//!
//! GitLab's keys are all present, so that a client can read the properties and send them back without a change.
//! Terraform, for example, would import an absent key as blank and send the blank.

use std::borrow::Cow;

use crate::adapters::{ApiField, Entry};
use crate::api::resources::{ShownProperties, ShownValue};
use crate::settings::{Addresses, Kind, Names, Properties, Url, Value, read_bool};
use crate::store::registry::Configuration;

/// The properties to show of a configuration.
pub(super) fn shown_properties(entry: &Entry, stored: &Configuration) -> ShownProperties {
    let visible = entry.api_fields().into_iter().filter(|field| !field.kind.is_write_only());
    let is_shown =
        |field: &ApiField| !field.is_addition || stored.properties.contains_key(field.name.as_ref());
    ShownProperties(visible.filter(is_shown).map(|field| shown(field, stored)).collect())
}

fn shown(field: ApiField, stored: &Configuration) -> (Cow<'static, str>, Option<ShownValue>) {
    if field.kind.is_secret() {
        let secret = stored.secrets.get(field.name.as_ref());
        let masked = secret.map(|secret| Value::Text(Addresses::masked(secret.expose())));
        return (field.name, masked.map(ShownValue::Simple));
    }
    let stored = &stored.properties;
    let value = stored.get(field.name.as_ref()).cloned().or_else(|| default(&field, stored).map(Value::Text));
    (field.name, value.map(|value| as_shown(field.kind, value)))
}

/// The value that applies if a setting was never set.
fn default(field: &ApiField, stored: &Properties) -> Option<String> {
    // This deprecated setting applies where its successor was never set. If the successor's own default were shown instead,
    // sending it back would change which branches are notified.
    if field.name == "branches_to_be_notified"
        && let Some(only_default) = stored.get("notify_only_default_branch")
    {
        let only_default = read_bool(only_default).unwrap_or(true);
        return Some(if only_default { "default" } else { "all" }.to_owned());
    }
    field.default.map(str::to_owned)
}

/// Shows lists, booleans and numbers in their types, even if they were stored as texts.
fn as_shown(kind: Kind, value: Value) -> ShownValue {
    match kind {
        Kind::Names => ShownValue::List(Names::split(&value.as_text()).map(str::to_owned).collect()),
        kind => ShownValue::Simple(normalized(kind, value)),
    }
}

fn normalized(kind: Kind, value: Value) -> Value {
    match kind {
        Kind::Bool => read_bool(&value).map_or(value, Value::Bool),
        Kind::Integer => value.as_text().parse().map_or(value, Value::Integer),
        // An address may contain a login.
        Kind::Url | Kind::InternalUrl => Url::masked(&value.as_text()).map_or(value, Value::Text),
        _ => value,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapters::{self, ADAPTERS};
    use crate::catalog::sort_secrets;

    fn text(value: &str) -> Value {
        Value::Text(value.to_owned())
    }

    fn shown_as_json(slug: &str, stored: &[(&str, Value)]) -> serde_json::Value {
        let given = stored.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        let (entry, mut stored) = (adapters::find(slug).unwrap(), Configuration::default());
        sort_secrets(entry, given, &mut stored);
        serde_json::to_value(shown_properties(entry, &stored)).unwrap()
    }

    #[test]
    fn every_setting_of_every_adapter_is_shown_and_no_secret_is() {
        for entry in ADAPTERS {
            let leaked = entry.fields.iter().filter(|field| field.kind.is_write_only());
            let stored: Vec<_> = leaked.map(|field| (field.name, text("s3cret"))).collect();
            let shown = shown_as_json(entry.about.slug, &stored);
            for spec in entry.api_fields().into_iter().filter(|field| !field.is_addition) {
                let value = shown.get(spec.name.as_ref());
                assert_eq!(
                    value.is_some(),
                    !spec.kind.is_write_only(),
                    "{} of {}",
                    spec.name,
                    entry.about.slug
                );
                let expected = spec.default.is_some();
                assert!(value.is_none_or(|value| value.is_null() != expected), "{}: {value:?}", spec.name);
            }
            assert!(!shown.to_string().contains("s3cret"), "{shown}");
        }
    }

    #[test]
    fn settings_that_gitlab_does_not_have_are_shown_only_where_they_are_set() {
        let additions = ["merge_request_actions", "detail", "max_commits"];
        let without = shown_as_json("slack", &[]);
        assert!(additions.iter().all(|name| without.get(name).is_none()), "{without}");
        let stored =
            [("merge_request_actions", text("merge")), ("detail", text("title")), ("max_commits", text("3"))];
        let shown = shown_as_json("slack", &stored);
        assert_eq!((&shown["merge_request_actions"], &shown["detail"]), (&"merge".into(), &"title".into()));
        assert_eq!(shown["max_commits"], 3);
    }

    #[test]
    fn a_password_in_an_address_is_masked() {
        let stored = [("drone_url", text("https://ada:s3cret@drone.example.com/ci"))];
        let shown = shown_as_json("drone-ci", &stored);
        assert_eq!(shown["drone_url"], "https://ada:************@drone.example.com/ci");
        let without = shown_as_json("drone-ci", &[("drone_url", text("https://drone.example.com"))]);
        assert_eq!(without["drone_url"], "https://drone.example.com", "nothing else is changed");
    }

    #[test]
    fn addresses_are_shown_with_their_credentials_masked() {
        let stored = [
            ("recipients", text("irc://ada:s3cret@irc.example.net/ops #builds?key=s3cret")),
            ("default_irc_uri", text("irc://ada:s3cret@irc.example.net/")),
        ];
        let shown = shown_as_json("irker", &stored);
        let recipients = "irc://ada:************@irc.example.net/ops #builds?key=************";
        assert_eq!(shown["recipients"], recipients);
        assert_eq!(shown["default_irc_uri"], "irc://ada:************@irc.example.net/");
        assert!(shown_as_json("irker", &[])["default_irc_uri"].is_null());
    }

    #[test]
    fn what_was_set_goes_before_the_default_and_booleans_are_booleans() {
        let stored = [
            ("username", text("forgebell")),
            ("notify_only_broken_pipelines", text("0")),
            ("leftover_token", text("s3cret")),
        ];
        let shown = shown_as_json("slack", &stored);
        assert_eq!(shown["username"], "forgebell");
        assert_eq!(shown["notify_only_broken_pipelines"], false);
        assert_eq!(shown["branches_to_be_notified"], "default");
        assert_eq!(shown["labels_to_be_notified_behavior"], "match_any");
        assert!(shown["channel"].is_null() && shown["push_channel"].is_null(), "{shown}");
        assert!(shown.get("webhook").is_none() && shown.get("leftover_token").is_none(), "{shown}");
        let deprecated = shown_as_json("slack", &[("notify_only_default_branch", Value::Bool(false))]);
        assert_eq!(
            deprecated["branches_to_be_notified"], "all",
            "it applies where its successor was never set"
        );
        let blank = shown_as_json("slack", &[("channel", text(""))]);
        assert_eq!(blank["channel"], "", "a blank text was set, and is shown as such");
        let maybe = shown_as_json("slack", &[("notify_only_broken_pipelines", text("maybe"))]);
        assert_eq!(
            maybe["notify_only_broken_pipelines"], "maybe",
            "what is no boolean is shown as it was stored"
        );
    }
}

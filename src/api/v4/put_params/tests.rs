use std::collections::{BTreeMap, HashSet};

use super::*;
use crate::adapters::{self, ADAPTERS, Entry};

fn entry(slug: &str) -> &'static Entry {
    adapters::find(slug).unwrap()
}

fn put(slug: &str, form: &str) -> Result<Request, ApiError> {
    read(entry(slug), &Params::of_query(form).unwrap(), &BTreeSet::new())
}

async fn put_json(slug: &str, json: &str) -> Result<Request, ApiError> {
    let mut params = Params::default();
    let kind = axum::http::HeaderValue::from_static("application/json");
    let headers = [(axum::http::header::CONTENT_TYPE, kind)].into_iter().collect();
    params.add_body(&headers, json.to_owned().into()).await.unwrap();
    read(entry(slug), &params, &BTreeSet::new())
}

fn complaints(read: Result<Request, ApiError>) -> String {
    match read {
        Err(ApiError::InvalidParams(complaints)) => complaints.join(", "),
        Err(other) => panic!("{other:?}"),
        Ok(request) => panic!("taken: {:?}", request.settings.keys()),
    }
}

fn setting(request: &Request, name: &str) -> Option<Value> {
    request.settings.get(name).cloned()
}

const HOOK: &str = "webhook=https%3A%2F%2Fhooks.slack.com%2Fservices%2FT0%2FB0%2Fx";

#[test]
fn all_missing_parameters_are_reported_at_once_in_the_order_of_the_declaration() {
    assert_eq!(complaints(put("slack", "")), "webhook is missing");
    assert_eq!(complaints(put("hipchat", "room=1")), "token is missing");
    assert_eq!(
        complaints(put("hipchat", "room=1&push_events=banana")),
        "token is missing, push_events is invalid"
    );
}

#[test]
fn every_required_setting_of_every_adapter_is_missed_by_name() {
    let required = |entry: &Entry| entry.fields.iter().filter(|field| field.required).count();
    let with_required: Vec<_> = ADAPTERS.iter().filter(|entry| required(entry) > 0).collect();
    assert!(with_required.len() > 40);
    for entry in with_required {
        let required = entry.fields.iter().filter(|field| field.required);
        let expected: Vec<_> = required.map(|field| format!("{} is missing", field.name)).collect();
        assert_eq!(complaints(read(entry, &Params::default(), &BTreeSet::new())), expected.join(", "));
    }
}

#[test]
fn a_blank_value_is_there_and_kept_as_it_is() {
    let request = put("slack", "webhook=&username=").unwrap();
    assert_eq!(setting(&request, "webhook"), Some(Value::Text(String::new())));
    assert_eq!(setting(&request, "username"), Some(Value::Text(String::new())));
}

#[tokio::test]
async fn null_is_there_too() {
    let request =
        put_json("slack", r#"{"webhook":null,"push_events":null,"notify_only_broken_pipelines":null}"#).await;
    let request = request.unwrap();
    assert_eq!(setting(&request, "webhook"), Some(Value::Text(String::new())));
    assert_eq!(request.unset.iter().collect::<Vec<_>>(), ["webhook"]);
    assert!(request.flags.is_empty());
    assert_eq!(setting(&request, "notify_only_broken_pipelines"), None);
}

#[tokio::test]
async fn wrong_types_are_reported_by_name_and_never_by_value() {
    let json = r#"{"webhook":{"s3cret":"s3cret"},"push_events":"s3cret","channel":["s3cret"]}"#;
    assert_eq!(
        complaints(put_json("slack", json).await),
        "webhook is invalid, channel is invalid, push_events is invalid"
    );
    assert_eq!(complaints(put("irker", "recipients=%23a&server_port=high")), "server_port is invalid");
    assert_eq!(
        complaints(put("slack", &format!("{HOOK}&use_inherited_settings=2"))),
        "use_inherited_settings is invalid"
    );
}

#[tokio::test]
async fn values_are_kept_as_what_their_field_is() {
    let request = put("irker", "recipients=%23a&server_port=6659&colorize_messages=yes").unwrap();
    assert_eq!(setting(&request, "server_port"), Some(Value::Integer(6659)));
    assert_eq!(setting(&request, "colorize_messages"), Some(Value::Bool(true)));
    let request = put_json("hipchat", r#"{"token":12345,"room":7,"notify":"off"}"#).await.unwrap();
    assert_eq!(setting(&request, "token"), Some(Value::Text("12345".to_owned())));
    assert_eq!(setting(&request, "room"), Some(Value::Text("7".to_owned())));
    assert_eq!(setting(&request, "notify"), Some(Value::Bool(false)));
}

#[test]
fn flags_settings_and_inheritance_are_distinguished() {
    let form = format!(
        "{HOOK}&push_events=0&push_channel=%23dev&branches_to_be_notified=all&use_inherited_settings=false"
    );
    let request = put("slack", &form).unwrap();
    assert_eq!(request.flags, BTreeMap::from([("push_events".to_owned(), false)]));
    assert_eq!(setting(&request, "push_channel"), Some(Value::Text("#dev".to_owned())));
    assert_eq!(setting(&request, "branches_to_be_notified"), Some(Value::Text("all".to_owned())));
    assert_eq!(request.use_inherited_settings, Some(false));
    let names: Vec<_> = request.settings.keys().map(String::as_str).collect();
    assert_eq!(names, ["branches_to_be_notified", "push_channel", "webhook"]);
}

#[test]
fn what_is_not_declared_is_not_looked_at() {
    let request =
        put("emails-on-push", "recipients=a%40b.example&active=false&webhook=x&labels_to_be_notified[x]=y")
            .unwrap();
    assert_eq!(request.settings.keys().collect::<Vec<_>>(), ["recipients"]);
    assert!(request.flags.is_empty(), "`active` is not a flag: an integration that is set is active");
}

#[test]
fn a_warning_names_each_parameter_that_is_ignored() {
    let warnings = |slug: &str, form: &str| unknown(entry(slug), &Params::of_query(form).unwrap());
    let form = format!("{HOOK}&chanel=s3cret&active=false&private_token=s3cret&push_events=1&add_pusher=1");
    let expected = [
        "active: is ignored: an integration that is set is active, and DELETE switches it off",
        "add_pusher: is no setting of slack and is ignored",
        "chanel: is no setting of slack and is ignored; did you mean `channel`?",
    ];
    assert_eq!(warnings("slack", &form), expected);
    assert!(warnings("slack", &format!("{HOOK}&commit_events=1&use_inherited_settings=0")).is_empty());
    let many: Vec<String> = (0..30).map(|n| format!("{}{n:02}=1", "x".repeat(100))).collect();
    let warnings = warnings("slack", &many.join("&"));
    assert_eq!((warnings.len(), warnings[20].as_str()), (21, "10 more parameters are ignored"));
    assert!(warnings.iter().all(|warning| warning.len() < 120), "{warnings:?}");
}

#[test]
fn flags_without_effect_are_kept() {
    let request = put("slack", &format!("{HOOK}&commit_events=false&job_events=true")).unwrap();
    let expected = [("commit_events".to_owned(), false), ("job_events".to_owned(), true)];
    assert_eq!(request.flags, BTreeMap::from(expected));
}

#[test]
fn who_follows_a_default_need_send_nothing_else() {
    let request = put("slack", "use_inherited_settings=true").unwrap();
    assert_eq!(request.use_inherited_settings, Some(true));
    assert_eq!(complaints(put("slack", "use_inherited_settings=false")), "webhook is missing");
}

#[test]
fn a_value_without_end_is_refused_by_the_models_rule() {
    let long = "x".repeat(MAX_LENGTH + 1);
    let refused = put("slack", &format!("{HOOK}&username={long}"));
    let problem = "is too long (maximum is 65535 characters)";
    assert_eq!(refused.err(), Some(ApiError::InvalidSettings(vec![FieldError::new("username", problem)])));
    assert!(put("slack", &format!("{HOOK}&username={}", &long[1..])).is_ok());
    let both = put("slack", &format!("{HOOK}&username={long}&push_events=x"));
    assert_eq!(complaints(both), "push_events is invalid", "types come first");
}

#[test]
fn no_name_is_declared_twice_and_every_one_says_what_it_is() {
    for entry in ADAPTERS {
        let mut names = HashSet::new();
        for spec in put_params(entry) {
            assert!(!spec.help.is_empty());
            assert!(names.insert(spec.name.clone()), "{} of {}", spec.name, entry.about.slug);
        }
        for trigger in Trigger::ALL {
            assert!(names.contains(trigger.flag()), "{trigger}");
        }
    }
}

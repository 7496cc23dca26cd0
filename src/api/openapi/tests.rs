use std::collections::BTreeSet;

use serde_json::Value;

use super::*;
use crate::api::v4::put_params::put_params;

fn json() -> Value {
    serde_json::to_value(document()).unwrap()
}

/// Calls `visit` with every object in a value.
fn walk(value: &Value, visit: &mut impl FnMut(&serde_json::Map<String, Value>)) {
    match value {
        Value::Object(map) => {
            visit(map);
            map.values().for_each(|value| walk(value, visit));
        }
        Value::Array(items) => items.iter().for_each(|item| walk(item, visit)),
        _ => {}
    }
}

#[test]
fn every_reference_leads_somewhere() {
    let document = json();
    let mut references = BTreeSet::new();
    walk(&document, &mut |map| {
        if let Some(Value::String(reference)) = map.get("$ref") {
            references.insert(reference.clone());
        }
    });
    assert!(references.len() > 40, "{references:?}");
    for reference in references {
        let pointer = reference.strip_prefix('#').expect("references stay in the document");
        assert!(document.pointer(pointer).is_some(), "{reference}");
    }
}

#[test]
fn every_component_is_referred_to() {
    let document = json();
    let text = document["paths"].to_string() + &document["components"]["schemas"].to_string();
    for kind in ["schemas", "parameters", "responses"] {
        for name in document["components"][kind].as_object().unwrap().keys() {
            let used = text.contains(&format!("#/components/{kind}/{name}\""))
                || document["components"]["responses"]
                    .to_string()
                    .contains(&format!("#/components/{kind}/{name}\""));
            assert!(used, "{kind}/{name}");
        }
    }
}

#[test]
fn operations_have_names_of_their_own_and_their_paths_parameters() {
    let document = json();
    let mut ids = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        let named: BTreeSet<&str> =
            path.split('{').skip(1).map(|rest| rest.split('}').next().unwrap()).collect();
        let parameters = item["parameters"].as_array().cloned().unwrap_or_default();
        let described: BTreeSet<String> = parameters
            .iter()
            .map(|parameter| document.pointer(&parameter["$ref"].as_str().unwrap()[1..]).unwrap())
            .map(|parameter| parameter["name"].as_str().unwrap().to_owned())
            .collect();
        assert_eq!(named, described.iter().map(String::as_str).collect(), "{path}");
        for (method, operation) in item.as_object().unwrap().iter().filter(|(key, _)| *key != "parameters") {
            let id = operation["operationId"].as_str().unwrap();
            assert!(ids.insert(id.to_owned()), "{id} of {method} {path}");
        }
    }
    assert!(ids.contains("putProjectSlack") && ids.contains("putGroupEmailsOnPush"), "{ids:?}");
}

#[test]
fn each_adapter_has_its_own_address_at_each_level_and_every_setting_is_described() {
    let document = json();
    for entry in ADAPTERS {
        let slug = entry.about.slug;
        for path in ["/projects/{id}/integrations/", "/groups/{id}/integrations/", "/integrations/"] {
            let put = &document["paths"][format!("{path}{slug}")]["put"];
            let kinds: Vec<_> = put["requestBody"]["content"].as_object().unwrap().keys().collect();
            assert_eq!(
                kinds,
                ["application/json", "application/x-www-form-urlencoded", "multipart/form-data"]
            );
        }
        let schema = &document["components"]["schemas"][settings::schema_name(entry)];
        for spec in put_params(entry) {
            let described = &schema["properties"][spec.name.as_ref()];
            assert_eq!(described["description"], spec.help.as_ref(), "{slug}");
            assert_eq!(described["writeOnly"] == true, spec.kind.is_write_only(), "{slug} {}", spec.name);
            // An adapter may require nothing.
            let required = schema["required"].as_array();
            let required = required.is_some_and(|names| names.contains(&spec.name.as_ref().into()));
            assert_eq!(required, spec.required, "{slug} {}", spec.name);
        }
    }
}

#[test]
fn only_the_expected_operations_need_no_token() {
    let document = json();
    let mut open = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            if operation["security"] == serde_json::json!([]) {
                open.push(format!("{method} {path}"));
            } else if method != "parameters" {
                assert!(operation["responses"]["401"].is_object(), "{method} {path}");
            }
        }
    }
    let expected = [
        "get /docs",
        "get /docs/{slug}",
        "get /openapi.json",
        "get /projects/{id}/integrations/mattermost_slash_commands/trigger",
        "post /projects/{id}/integrations/mattermost_slash_commands/trigger",
        "get /projects/{id}/integrations/slack_slash_commands/trigger",
        "post /projects/{id}/integrations/slack_slash_commands/trigger",
    ];
    assert_eq!(open, expected);
}

#[test]
fn the_page_shows_every_address_once_and_needs_nothing_from_elsewhere() {
    let (served, file) = (page(for_people(), SettingsAt::OwnPages), whole_page());
    for path in for_people().paths.paths.keys() {
        let row = format!("<summary><code>{path}</code>");
        let is_first =
            served.split("Integrations of projects</h2>").next().is_some_and(|first| first.contains(&row));
        assert_eq!(served.matches(&row).count(), 1 + usize::from(is_first), "{path}");
    }
    assert!(!served.contains("integrations/slack</code>"), "one row stands for all services");
    for outside in ["<script", "src=", "@import", "url(", "<link"] {
        assert!(!served.contains(outside) && !file.contains(outside), "{outside}");
    }
    assert!(served.contains("curl --request PUT"), "there are examples");
}

#[test]
fn what_is_asked_most_comes_first() {
    let page = page(for_people(), SettingsAt::OwnPages);
    let at = |text: &str| page.find(text).unwrap_or_else(|| panic!("{text}"));
    let first = [
        "<code>/status</code>",
        "<code>/events/explain</code>",
        "{slug}/test</code>",
        "{slug}/deliveries</code>",
    ];
    let places = first.map(at);
    assert!(places.is_sorted(), "{places:?}");
    assert!(places[3] < at("Integrations of projects</h2>"));
}

#[test]
fn every_setting_is_on_the_page_of_its_service_and_in_the_file() {
    let (document, file) = (for_people(), whole_page());
    for entry in ADAPTERS {
        let page = page_of_service(document, entry);
        for spec in put_params(entry) {
            let name = format!("<code>{}</code>", spec.name);
            assert!(page.contains(&name) && file.contains(&name), "{} of {}", spec.name, entry.about.slug);
        }
        assert!(page.contains(&format!("/projects/42/integrations/{}", entry.about.slug)), "{page}");
    }
}

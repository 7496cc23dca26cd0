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
        "get /openapi.json",
        "post /projects/{id}/integrations/mattermost_slash_commands/trigger",
        "post /projects/{id}/integrations/slack_slash_commands/trigger",
    ];
    assert_eq!(open, expected);
}

#[test]
fn the_page_shows_every_address_and_every_setting_and_needs_nothing_from_elsewhere() {
    let page = page(&document());
    for path in document().paths.paths.keys() {
        assert!(page.contains(&format!("<code>{path}</code>")), "{path}");
    }
    for entry in ADAPTERS {
        for spec in put_params(entry) {
            assert!(page.contains(&format!("<code>{}</code>", spec.name)), "{}", spec.name);
        }
    }
    for outside in ["<script", "src=", "@import", "url(", "<link"] {
        assert!(!page.contains(outside), "{outside}");
    }
    assert!(page.contains("curl --request PUT"), "there are examples");
}

//! The document as pages for people, without scripts, that load nothing from elsewhere: one of all paths, and one for the
//! settings of each service. A file has all of it on one page.

use std::fmt::Write as _;

use serde_json::{Map, Value};
use utoipa::openapi::path::{Operation, Parameter, PathItem};
use utoipa::openapi::request_body::RequestBody;
use utoipa::openapi::{Content, Deprecated, OpenApi, RefOr, Required, Schema};

use super::settings::{SUFFIX, body, schema_name};
use crate::adapters::{ADAPTERS, Entry};

const STYLE: &str = include_str!("page.css");
const SETTINGS: &str = "Settings of each service";
const ERRORS: &str = "Errors";
/// The server in the examples.
const SERVER: &str = "http://127.0.0.1:8090/api/v4";

/// Where the settings of the services are described.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SettingsAt {
    ThisPage,
    /// Each below `docs/`.
    OwnPages,
}

/// The operations that come first: method and path. The others follow by resource.
const FIRST: [(&str, &str); 6] = [
    ("GET", "/status"),
    ("POST", "/events/explain"),
    ("POST", "/projects/{id}/integrations/{slug}/test"),
    ("GET", "/projects/{id}/integrations/{slug}/deliveries"),
    ("GET", "/projects/{id}/integrations/{slug}/deliveries/{delivery_id}"),
    ("POST", "/projects/{id}/integrations/{slug}/deliveries/{delivery_id}/retry"),
];
const FIRST_TITLE: &str = "What is asked most";

/// The page.
pub(super) fn page(document: &OpenApi, settings_at: SettingsAt) -> String {
    let info = &document.info;
    let mut page = head(&format!("{} API", info.title));
    let _ = writeln!(
        page,
        "<h1>{0} API</h1>\n<p class=\"quiet\">Version {1} · <a href=\"openapi.json\">openapi.json</a></p>",
        escaped(&info.title),
        escaped(&info.version),
    );
    for paragraph in text(info.description.as_ref()).split("\n\n") {
        let _ = writeln!(page, "<p>{}</p>", prose(paragraph));
    }
    let tags = document.tags.as_deref().unwrap_or_default();
    contents(&mut page, [FIRST_TITLE].into_iter().chain(tags.iter().map(|tag| tag.name.as_str())));
    let _ = writeln!(page, "<h2 id=\"{}\">{FIRST_TITLE}</h2>", anchor(FIRST_TITLE));
    page.push_str("<p>Whether all is well, what an event leads to, whether a service answers, and what became of messages.</p>\n");
    for (method, path) in FIRST {
        let found = document.paths.paths.get(path);
        let operation =
            found.and_then(|item| operations(item).find(|(found, _)| *found == method).zip(Some(item)));
        if let Some(((method, operation), item)) = operation {
            row(&mut page, document, path, item, &[(method, operation)]);
        }
    }
    for tag in tags {
        let _ = writeln!(page, "<h2 id=\"{}\">{}</h2>", anchor(&tag.name), escaped(&tag.name));
        let _ = writeln!(page, "<p>{}</p>", prose(text(tag.description.as_ref())));
        for (path, item) in &document.paths.paths {
            let is_of_tag =
                |operation: &Operation| operation.tags.as_ref().is_some_and(|tags| tags.contains(&tag.name));
            let of_tag: Vec<_> = operations(item).filter(|(_, operation)| is_of_tag(operation)).collect();
            if !of_tag.is_empty() {
                row(&mut page, document, path, item, &of_tag);
            }
        }
    }
    settings(&mut page, document, settings_at);
    errors(&mut page, document);
    page.push_str("</main></body></html>\n");
    page
}

/// The settings of one service, with an example of how they are set.
pub(super) fn page_of_service(document: &OpenApi, entry: &Entry) -> String {
    let about = &entry.about;
    let mut page = head(&format!("Settings of {}", about.title));
    let _ = writeln!(
        page,
        "<p><a href=\"../docs\">The API</a></p>\n<h1>Settings of {}</h1>\n<p>{}</p>",
        escaped(about.title),
        prose(about.summary),
    );
    page.push_str("<h2>Set it for a project</h2>\n");
    let _ = writeln!(page, "<pre>{}</pre>", escaped(&put_of(entry)));
    page.push_str("<h2>Parameters</h2>\n");
    if let Some((_, schema)) = schemas(document).find(|(name, _)| *name == schema_name(entry)) {
        properties(&mut page, schema);
    }
    page.push_str("</main></body></html>\n");
    page
}

fn head(title: &str) -> String {
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<title>{}</title>\n<style>{STYLE}</style>\n\
         </head><body><main>\n",
        escaped(title),
    )
}

/// An operation with its method and path.
struct Described<'a> {
    method: &'static str,
    path: &'a str,
    item: &'a PathItem,
    operation: &'a Operation,
}

fn operations(item: &PathItem) -> impl Iterator<Item = (&'static str, &Operation)> {
    let all = [("GET", &item.get), ("PUT", &item.put), ("POST", &item.post), ("DELETE", &item.delete)];
    all.into_iter().filter_map(|(method, operation)| Some((method, operation.as_ref()?)))
}

/// One path with its operations.
fn row(
    page: &mut String,
    document: &OpenApi,
    path: &str,
    item: &PathItem,
    operations: &[(&'static str, &Operation)],
) {
    let is_former =
        operations.iter().all(|(_, operation)| matches!(operation.deprecated, Some(Deprecated::True)));
    let former = if is_former { " <span class=\"quiet\">(former name)</span>" } else { "" };
    let methods: Vec<&str> = operations.iter().map(|(method, _)| *method).collect();
    let summaries: Vec<String> =
        operations.iter().map(|(_, operation)| escaped(text(operation.summary.as_ref()))).collect();
    let _ = writeln!(
        page,
        "<details><summary><code>{}</code> <span class=\"method\">{}</span> {}{former}</summary>",
        escaped(path),
        methods.join(" "),
        summaries.join(" · "),
    );
    for (method, operation) in operations {
        if operations.len() > 1 {
            let _ = writeln!(page, "<h3>{method}: {}</h3>", escaped(text(operation.summary.as_ref())));
        }
        show(page, document, &Described { method, path, item, operation });
    }
    page.push_str("</details>\n");
}

fn contents<'a>(page: &mut String, tags: impl Iterator<Item = &'a str>) {
    let links = tags
        .chain([SETTINGS, ERRORS])
        .map(|name| format!("<a href=\"#{}\">{}</a>", anchor(name), escaped(name)));
    let _ = writeln!(page, "<nav>{}</nav>", links.collect::<Vec<_>>().join("\n"));
}

fn show(page: &mut String, document: &OpenApi, described: &Described<'_>) {
    let Described { item, operation, .. } = described;
    if let Some(description) = &operation.description {
        let _ = writeln!(page, "<p>{}</p>", prose(description));
    }
    let parameters: Vec<&Parameter> = [&item.parameters, &operation.parameters]
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|parameter| resolved(document, parameter))
        .collect();
    if !parameters.is_empty() {
        let rows = parameters.iter().map(|parameter| {
            let is_required = parameter.required == Required::True;
            (parameter.name.as_str(), is_required, prose(text(parameter.description.as_ref())))
        });
        table(page, rows);
    }
    if let Some(RefOr::T(body)) = &operation.request_body {
        show_body(page, body, document);
    }
    if described.method == "PUT" && described.path.ends_with("/{slug}") {
        let _ =
            writeln!(page, "<p>Takes the <a href=\"#{}\">settings of the service</a>.</p>", anchor(SETTINGS));
    }
    let _ = writeln!(page, "<pre>{}</pre>", escaped(&curl(described)));
    let answers = operation.responses.responses.iter().map(|(status, answer)| match answer {
        RefOr::Ref(reference) => format!("<a href=\"#{}\">{status}</a>", last(&reference.ref_location)),
        RefOr::T(answer) => format!("{status} {}", prose(&answer.description)),
    });
    let _ = writeln!(page, "<p>{}</p>", answers.collect::<Vec<_>>().join(" · "));
}

fn show_body(page: &mut String, body: &RequestBody, document: &OpenApi) {
    if let Some(description) = &body.description {
        let _ = writeln!(page, "<p>{}</p>", prose(description));
    }
    match content_of(body).and_then(|content| content.schema.as_ref()) {
        Some(RefOr::Ref(reference)) => {
            let name = last(&reference.ref_location);
            let schema = schemas(document).find(|(key, _)| *key == name).map(|(_, schema)| schema);
            if name.ends_with(SUFFIX) {
                let about = prose(schema.map_or("", description));
                let _ = writeln!(page, "<p>Takes <a href=\"#{name}\">{name}</a>. {about}</p>");
            } else if let Some(schema) = schema {
                properties(page, schema);
            }
        }
        Some(RefOr::T(schema)) => properties(page, schema),
        None => {}
    }
}

/// The first kind of body; the others take the same.
fn content_of(body: &RequestBody) -> Option<&Content> {
    body.content.values().find_map(|content| match content {
        RefOr::T(content) => Some(content),
        RefOr::Ref(_) => None,
    })
}

fn schemas(document: &OpenApi) -> impl Iterator<Item = (&str, &Schema)> {
    let all = document.components.iter().flat_map(|components| &components.schemas);
    all.filter_map(|(name, schema)| match schema {
        RefOr::T(schema) => Some((name.as_str(), schema)),
        RefOr::Ref(_) => None,
    })
}

fn properties(page: &mut String, schema: &Schema) {
    let Schema::Object(object) = schema else { return };
    if object.properties.is_empty() {
        return;
    }
    let rows = object
        .properties
        .iter()
        .map(|(name, property)| (name.as_str(), object.required.contains(name), property_text(property)));
    table(page, rows);
}

/// A property's description, default and example.
fn property_text(property: &RefOr<Schema>) -> String {
    let schema = match property {
        RefOr::T(schema) => schema,
        RefOr::Ref(reference) => return prose(&reference.description),
    };
    let (default, examples) = match schema {
        Schema::Object(object) => (&object.default, &object.examples),
        Schema::AllOf(all_of) => (&all_of.default, &all_of.examples),
        Schema::AnyOf(any_of) => (&any_of.default, &any_of.examples),
        _ => return prose(description(schema)),
    };
    let mut text = prose(description(schema));
    if let Some(default) = default {
        let default = escaped(&plain(default));
        let _ = write!(text, " <span class=\"quiet\">Default: <code>{default}</code>.</span>");
    }
    if let Some(example) = examples.first() {
        let example = escaped(&plain(example));
        let _ = write!(text, " <span class=\"quiet\">Example: <code>{example}</code></span>");
    }
    if matches!(schema, Schema::Object(object) if object.write_only == Some(true)) {
        text.push_str(" <span class=\"quiet\">Secret: never shown.</span>");
    }
    text
}

fn description(schema: &Schema) -> &str {
    let description = match schema {
        Schema::Object(object) => object.description.as_ref(),
        Schema::Array(array) => array.description.as_ref(),
        Schema::AllOf(all_of) => all_of.description.as_ref(),
        Schema::AnyOf(any_of) => any_of.description.as_ref(),
        Schema::OneOf(one_of) => one_of.description.as_ref(),
        _ => None,
    };
    text(description)
}

fn table<'a>(page: &mut String, rows: impl Iterator<Item = (&'a str, bool, String)>) {
    page.push_str("<table>\n");
    for (name, required, text) in rows {
        let required = if required { "required" } else { "" };
        let name = escaped(name);
        let _ = writeln!(
            page,
            "<tr><td><code>{name}</code></td><td class=\"quiet\">{required}</td><td>{text}</td></tr>"
        );
    }
    page.push_str("</table>\n");
}

fn settings(page: &mut String, document: &OpenApi, at: SettingsAt) {
    let _ = writeln!(page, "<h2 id=\"{}\">{SETTINGS}</h2>", anchor(SETTINGS));
    if at == SettingsAt::OwnPages {
        page.push_str("<table>\n");
        for Entry { about, .. } in ADAPTERS {
            let (slug, summary) = (escaped(about.slug), prose(about.summary));
            let _ = writeln!(
                page,
                "<tr><td><a href=\"docs/{slug}\"><code>{slug}</code></a></td><td>{summary}</td></tr>"
            );
        }
        page.push_str("</table>\n");
        return;
    }
    for (name, schema) in schemas(document).filter(|(name, _)| name.ends_with(SUFFIX)) {
        let _ =
            writeln!(page, "<h3 id=\"{0}\">{0}</h3>\n<p>{1}</p>", escaped(name), prose(description(schema)));
        properties(page, schema);
    }
}

/// How an integration of this service is set, as a command for a shell.
fn put_of(entry: &Entry) -> String {
    let mut lines =
        vec!["curl --request PUT".to_owned(), "--header \"PRIVATE-TOKEN: $FORGEBELL_TOKEN\"".to_owned()];
    let body = body(entry);
    if let Some(Content { example: Some(Value::Object(example)), .. }) = content_of(&body) {
        lines.extend(data(example));
    }
    lines.push(format!("--url \"{SERVER}/projects/42/integrations/{}\"", entry.about.slug));
    lines.join(" \\\n  ")
}

fn errors(page: &mut String, document: &OpenApi) {
    let _ = writeln!(page, "<h2 id=\"{}\">{ERRORS}</h2>", anchor(ERRORS));
    page.push_str("<table>\n");
    let responses = document.components.iter().flat_map(|components| &components.responses);
    for (name, response) in responses {
        let RefOr::T(response) = response else { continue };
        let name = escaped(name);
        let text = prose(&response.description);
        let _ = writeln!(page, "<tr id=\"{name}\"><td>{name}</td><td>{text}</td></tr>");
    }
    page.push_str("</table>\n");
}

fn resolved<'a>(document: &'a OpenApi, parameter: &'a RefOr<Parameter>) -> Option<&'a Parameter> {
    match parameter {
        RefOr::T(parameter) => Some(parameter),
        RefOr::Ref(reference) => {
            let parameters = &document.components.as_ref()?.parameters;
            match parameters.get(last(&reference.ref_location))? {
                RefOr::T(parameter) => Some(parameter),
                RefOr::Ref(_) => None,
            }
        }
    }
}

/// The request as a command for a shell.
fn curl(described: &Described<'_>) -> String {
    let Described { method, path, operation, .. } = described;
    let id = if path.starts_with("/groups") { "acme" } else { "42" };
    let path = path.replace("{id}", id).replace("{slug}", "slack").replace("{delivery_id}", "7");
    let mut lines = vec![format!("curl --request {method}")];
    if operation.security.is_none() {
        lines.push("--header \"PRIVATE-TOKEN: $FORGEBELL_TOKEN\"".to_owned());
    }
    if let Some(RefOr::T(body)) = &operation.request_body {
        match content_of(body) {
            Some(Content { example: Some(Value::Object(example)), .. }) => lines.extend(data(example)),
            Some(Content { schema: Some(RefOr::T(_)), .. }) => lines.push("--json @event.json".to_owned()),
            Some(_) | None => {}
        }
    }
    lines.push(format!("--url \"{SERVER}{path}\""));
    lines.join(" \\\n  ")
}

fn data(example: &Map<String, Value>) -> impl Iterator<Item = String> {
    example.iter().map(|(name, value)| {
        // A single quote can't stand between single quotes.
        let value = plain(value).replace('\'', "'\\''");
        format!("--data-urlencode '{name}={value}'")
    })
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn text(optional: Option<&String>) -> &str {
    optional.map_or("", String::as_str)
}

fn last(reference: &str) -> &str {
    reference.rsplit('/').next().unwrap_or(reference)
}

fn anchor(name: &str) -> String {
    name.to_lowercase().replace(' ', "-")
}

/// Text between backticks is code.
fn prose(text: &str) -> String {
    let part = |(number, part): (usize, &str)| {
        let part = escaped(part);
        if number % 2 == 1 { format!("<code>{part}</code>") } else { part }
    };
    text.trim().split('`').enumerate().map(part).collect()
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

//! The document as a page for people: one file, without scripts, with nothing from elsewhere.

use std::fmt::Write as _;

use serde_json::{Map, Value};

use super::model::{Content, Document, Operation, Parameter, Path, Schema};

const STYLE: &str = include_str!("page.css");

/// The page.
pub fn page(document: &Document) -> String {
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<title>{0} API</title>\n<style>{STYLE}</style>\n\
         </head><body>\n<h1>{0} API</h1>\n<p class=\"quiet\">Version {1} · <a href=\"openapi.json\">openapi.json</a></p>\n",
        escaped(document.info.title),
        escaped(document.info.version),
    );
    for paragraph in document.info.description.split("\n\n") {
        let _ = writeln!(page, "<p>{}</p>", prose(paragraph));
    }
    contents(&mut page, document);
    for tag in &document.tags {
        let _ = writeln!(page, "<h2 id=\"{}\">{}</h2>", anchor(tag.name), escaped(tag.name));
        let _ = writeln!(page, "<p>{}</p>", prose(tag.description));
        for (path, item) in &document.paths.0 {
            for (method, operation) in &item.operations.0 {
                if operation.tags.contains(&tag.name) {
                    show(&mut page, document, &Asked { method, path, item, operation });
                }
            }
        }
    }
    settings(&mut page, document);
    answers(&mut page, document);
    page.push_str("</body></html>\n");
    page
}

/// An operation at its address.
struct Asked<'a> {
    method: &'a str,
    path: &'a str,
    item: &'a Path,
    operation: &'a Operation,
}

fn contents(page: &mut String, document: &Document) {
    let tags = document.tags.iter().map(|tag| tag.name).chain([SETTINGS, REFUSALS]);
    let links = tags.map(|name| format!("<a href=\"#{}\">{}</a>", anchor(name), escaped(name)));
    let _ = writeln!(page, "<nav>{}</nav>", links.collect::<Vec<_>>().join("\n"));
}

const SETTINGS: &str = "Settings of each service";
const REFUSALS: &str = "Refusals";

fn show(page: &mut String, document: &Document, asked: &Asked<'_>) {
    let Asked { method, path, item, operation } = asked;
    let method = method.to_uppercase();
    let deprecated = if operation.deprecated { " <span class=\"quiet\">(older name)</span>" } else { "" };
    let _ = writeln!(
        page,
        "<details><summary><span class=\"method\">{method}</span> <code>{}</code> {}{deprecated}</summary>",
        escaped(path),
        escaped(&operation.summary),
    );
    if !operation.description.is_empty() {
        let _ = writeln!(page, "<p>{}</p>", prose(&operation.description));
    }
    let parameters: Vec<&Parameter> = item
        .parameters
        .iter()
        .chain(&operation.parameters)
        .filter_map(|given| resolved(document, given))
        .collect();
    if !parameters.is_empty() {
        let rows = parameters
            .iter()
            .map(|parameter| (parameter.name.as_ref(), parameter.required, prose(&parameter.description)));
        table(page, rows);
    }
    if let Some(body) = &operation.body {
        body_of(
            page,
            body.content.0.first().map(|(_, content)| &content.schema),
            document,
            &body.description,
        );
    }
    let _ = writeln!(page, "<pre>{}</pre>", escaped(&curl(asked)));
    let answers = operation.responses.0.iter().map(|(status, answer)| match &answer.reference {
        Some(reference) => {
            let name = last(reference);
            format!("<a href=\"#{name}\">{status}</a>")
        }
        None => format!("{status} {}", prose(&answer.description)),
    });
    let _ = writeln!(page, "<p>{}</p></details>", answers.collect::<Vec<_>>().join(" · "));
}

fn body_of(page: &mut String, schema: Option<&Schema>, document: &Document, description: &str) {
    if !description.is_empty() {
        let _ = writeln!(page, "<p>{}</p>", prose(description));
    }
    let Some(schema) = schema else { return };
    match &schema.reference {
        Some(reference) => {
            let name = last(reference);
            let title =
                document.components.schemas.get(name).map_or("", |schema| schema.description.as_ref());
            let _ = writeln!(page, "<p>Takes <a href=\"#{name}\">{name}</a>. {}</p>", prose(title));
        }
        None => properties(page, schema),
    }
}

fn properties(page: &mut String, schema: &Schema) {
    if schema.properties.is_empty() {
        return;
    }
    let rows = schema
        .properties
        .0
        .iter()
        .map(|(name, property)| (name.as_ref(), schema.required.contains(name), told(property)));
    table(page, rows);
}

/// A property's description, default and example.
fn told(property: &Schema) -> String {
    let mut text = prose(&property.description);
    if let Some(default) = &property.default {
        let _ = write!(
            text,
            " <span class=\"quiet\">Unless set: <code>{}</code>.</span>",
            escaped(&plain(default))
        );
    }
    if let Some(example) = property.examples.first() {
        let _ =
            write!(text, " <span class=\"quiet\">Example: <code>{}</code></span>", escaped(&plain(example)));
    }
    if property.write_only {
        text.push_str(" <span class=\"quiet\">Secret: never shown.</span>");
    }
    text
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

fn settings(page: &mut String, document: &Document) {
    let _ = writeln!(page, "<h2 id=\"{}\">{SETTINGS}</h2>", anchor(SETTINGS));
    for (name, schema) in document.components.schemas.0.iter().filter(|(name, _)| name.ends_with("Settings"))
    {
        let _ =
            writeln!(page, "<h3 id=\"{0}\">{0}</h3>\n<p>{1}</p>", escaped(name), prose(&schema.description));
        properties(page, schema);
    }
}

fn answers(page: &mut String, document: &Document) {
    let _ = writeln!(page, "<h2 id=\"{}\">{REFUSALS}</h2>", anchor(REFUSALS));
    page.push_str("<table>\n");
    for (name, answer) in &document.components.responses.0 {
        let text = prose(&answer.description);
        let _ = writeln!(page, "<tr id=\"{0}\"><td>{0}</td><td>{text}</td></tr>", escaped(name));
    }
    page.push_str("</table>\n");
}

fn resolved<'a>(document: &'a Document, given: &'a Parameter) -> Option<&'a Parameter> {
    match &given.reference {
        Some(reference) => document.components.parameters.get(last(reference)),
        None => Some(given),
    }
}

/// How to ask it from a shell.
fn curl(asked: &Asked<'_>) -> String {
    let Asked { method, path, operation, .. } = asked;
    let id = if path.starts_with("/groups") { "acme" } else { "42" };
    let path = path.replace("{id}", id).replace("{slug}", "slack").replace("{delivery_id}", "7");
    let mut lines = vec![format!("curl --request {}", method.to_uppercase())];
    if operation.security.is_none() {
        lines.push("--header \"PRIVATE-TOKEN: $FORGEBELL_TOKEN\"".to_owned());
    }
    let content = operation.body.as_ref().and_then(|body| body.content.0.first()).map(|(_, content)| content);
    match content {
        Some(Content { example: Some(Value::Object(example)), .. }) => lines.extend(data(example)),
        Some(Content { schema, .. }) if schema.properties.is_empty() => {
            lines.push("--json @event.json".to_owned());
        }
        Some(_) | None => {}
    }
    lines.push(format!("--url \"http://127.0.0.1:8090/api/v4{path}\""));
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

fn last(reference: &str) -> &str {
    reference.rsplit('/').next().unwrap_or(reference)
}

fn anchor(name: &str) -> String {
    name.to_lowercase().replace(' ', "-")
}

/// What stands between backticks is code; the rest is text.
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

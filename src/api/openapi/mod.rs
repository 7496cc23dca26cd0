//! THE API, DESCRIBED: an OpenAPI 3.1 document, and a page made from it for people.
//!
//! [`document`] is read off the table of adapters, so that what is described is what is declared. `routes` and
//! `integrations` have the addresses, `settings` the bodies, `objects` what is answered, `answers` the refusals; `model`
//! is OpenAPI's vocabulary, as far as we speak it. [`page()`] shows the document.

mod answers;
mod integrations;
mod model;
mod objects;
mod page;
mod routes;
mod settings;

use serde_json::{Value, json};

use crate::adapters::ADAPTERS;
pub use model::Document;
use model::{Components, Info, Ordered, Schema, Server, Tag};
pub use page::page;

const DESCRIPTION: &str = "\
GitLab's Integrations API, served by Forgebell itself, with what it lacks: trying an integration, seeing what it sent and \
why not, and asking who would hear of an event.

Parameters are taken from the query and from the body: as JSON, as a form, or as a form in several parts. Booleans are read \
as GitLab reads them: `true t 1 on yes y` and `false f 0 off no n`, in any case. Parameters that are not described here are \
not heeded. Lists of integrations have one page; other lists have several, and a `Link` header names the next.

A token is shown as `PRIVATE-TOKEN: …`, as `Authorization: Bearer …`, or as the parameter `private_token`; \
`forgebell token create` makes one. What a token does not reach is answered as if it were not there.

`/projects/:id/services` is an older name of `/projects/:id/integrations`, and so for groups. The instance level (`/integrations`) is \
Forgebell's own: a GitLab has it in its user interface only.";

/// The document.
pub fn document() -> Document {
    Document {
        openapi: "3.1.0",
        info: Info {
            title: "Forgebell",
            version: env!("CARGO_PKG_VERSION"),
            summary: "Tells people what happens in their forge",
            description: DESCRIPTION.into(),
            license: json!({ "name": "MIT", "identifier": "MIT" }),
        },
        servers: vec![Server { url: "/api/v4" }],
        tags: tags(),
        security: vec![
            json!({ "privateToken": [] }),
            json!({ "bearer": [] }),
            json!({ "privateTokenParameter": [] }),
        ],
        paths: routes::paths(),
        components: Components {
            schemas: schemas(),
            parameters: routes::parameters(),
            responses: answers::components(),
            security_schemes: security_schemes(),
        },
    }
}

fn tags() -> Vec<Tag> {
    let tag = |name, description| Tag { name, description };
    vec![
        tag(integrations::OF_PROJECTS, "Which services hear of a project's events."),
        tag(
            integrations::OF_GROUPS,
            "Defaults for a group's projects; and who hears when a group is mentioned.",
        ),
        tag(
            integrations::OF_INSTANCE,
            "Defaults for everybody. For tokens of the instance. Forgebell's own.",
        ),
        tag(integrations::COMMANDS, "What a chat room's slash command calls."),
        tag(routes::PROJECTS, "What is known of the forge's projects and groups."),
        tag(routes::EVENTS, "Actor would hear of an event; and what was none."),
        tag(routes::LOG, "Every change, with who made it."),
        tag(routes::ABOUT, "What this is."),
    ]
}

fn schemas() -> Ordered<Schema> {
    let settings = ADAPTERS.iter().map(|entry| (settings::schema_name(entry), settings::schema(entry)));
    let rest = objects::schemas().into_iter().chain(settings::schemas()).chain(answers::schemas());
    rest.map(|(name, schema)| (name.to_owned(), schema)).chain(settings).collect()
}

fn security_schemes() -> Ordered<Value> {
    let key = |place: &str, name: &str| json!({ "type": "apiKey", "in": place, "name": name });
    Ordered::from_iter([
        ("privateToken", key("header", "PRIVATE-TOKEN")),
        ("privateTokenParameter", key("query", "private_token")),
        ("bearer", json!({ "type": "http", "scheme": "bearer" })),
    ])
}

#[cfg(test)]
mod tests;

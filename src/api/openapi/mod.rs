//! THE API'S DESCRIPTION: an OpenAPI 3.1 document, and a page made from it for people.
//!
//! [`document`] is assembled from the handlers' annotations: [`levels`] repeats those of integrations for projects, groups
//! and the instance, and for every adapter; [`settings`] has the parameters of each adapter, from its declaration.
//! [`mod@page`] renders it as HTML, with one path for all services and a page for the settings of each. Both are served here, below the API's own routes, so that the API knows nothing
//! of its description.

mod levels;
mod page;
mod settings;

use std::collections::BTreeMap;
use std::sync::LazyLock;

use axum::http::header;
use axum::response::{Html, IntoResponse};
use utoipa::openapi::extensions::Extensions;
use utoipa::openapi::path::{Parameter, Paths};
use utoipa::openapi::security::{
    ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityRequirement, SecurityScheme,
};
use utoipa::openapi::tag::TagBuilder;
use utoipa::openapi::{
    ComponentsBuilder, InfoBuilder, LicenseBuilder, OpenApi, OpenApiBuilder, Ref, RefOr, Schema,
    ServerBuilder, Tag,
};
use utoipa_axum::routes;

use super::error::responses::{self, Any, NotFound};
use super::error::{ApiError, Missing};
use super::v4::{self, ABOUT, AUDIT, COMMANDS, EVENTS, Level, Mounted, PROJECTS, PathParams, STATUS};
use crate::adapters::{self, ADAPTERS};
use levels::Services;
use page::{SettingsAt, page, page_of_service};

const DESCRIPTION: &str = "\
GitLab's Integrations API, served by Forgebell, with additions: tests of integrations, the deliveries of each one with \
their attempts, and an explanation of which integrations would deliver an event.

Parameters are taken from the query and from the body: as JSON, as a form, or as a multipart form. Booleans are read as \
GitLab reads them: `true t 1 on yes y` and `false f 0 off no n`, in any case. Parameters that are not described here are \
ignored. Lists of integrations have one page; other lists have several, and a `Link` header names the next.

A token is sent as `PRIVATE-TOKEN: …`, as `Authorization: Bearer …`, or as the parameter `private_token`; \
`forgebell token create` makes one. What a token does not reach is answered as if it did not exist.

Monitoring systems do not use this API: as to a GitLab, they post alerts to \
`/:group/:project/prometheus/alerts/notify.json` (Alertmanager) or `/:group/:project/alerts/notify.json` (any other), with \
the project's alert token as `Authorization: Bearer …` or as the password of `Basic`. `PUT /projects/:id/integrations/alerts` \
makes that token, and with `reset_token` another one. The answer is 200 with `iid` and `title` of each alert that was taken; 400 for more than 1 MiB; 422 for a \
body that is no report; 401 for a wrong token; 403 where the endpoint is switched off.

`/projects/:id/services` is a former name of `/projects/:id/integrations`; the same goes for groups. The instance's \
integrations (`/integrations`) are Forgebell's own: GitLab has them in its user interface only.";

/// Every route, described or describing.
pub(super) fn routes() -> Vec<Mounted> {
    let own = [routes!(json), routes!(docs), routes!(docs_of_service)].map(Mounted::as_described);
    v4::routes().into_iter().chain(own).collect()
}

/// Show this document
#[utoipa::path(
    get, path = "/openapi.json", operation_id = "getOpenApi", tag = ABOUT, security(),
    responses((status = 200, description = "This document.", body = Object), Any)
)]
async fn json() -> impl IntoResponse {
    static TEXT: LazyLock<String> = LazyLock::new(|| {
        serde_json::to_string(&document()).expect("the document has text keys and no floating-point numbers")
    });
    ([(header::CONTENT_TYPE, "application/json")], TEXT.as_str())
}

/// Show this document as a page
#[utoipa::path(
    get, path = "/docs", operation_id = "getDocs", tag = ABOUT, security(),
    responses((status = 200, description = "The page.", body = String, content_type = "text/html"), Any)
)]
async fn docs() -> Html<&'static str> {
    static PAGE: LazyLock<String> = LazyLock::new(|| page(for_people(), SettingsAt::OwnPages));
    Html(PAGE.as_str())
}

/// Show a service's settings as a page
#[utoipa::path(
    get, path = "/docs/{slug}", operation_id = "getServiceDocs", tag = ABOUT, security(),
    responses((status = 200, description = "The page.", body = String, content_type = "text/html"), Any, NotFound)
)]
async fn docs_of_service(path: PathParams) -> Result<Html<String>, ApiError> {
    let entry = adapters::find(path.slug()).ok_or(ApiError::NotFound(Missing::Integration))?;
    Ok(Html(page_of_service(for_people(), entry)))
}

/// The document for programs.
pub fn document() -> OpenApi {
    document_with(Services::Apart)
}

/// The document for people, in which one path stands for all services.
fn for_people() -> &'static OpenApi {
    static DOCUMENT: LazyLock<OpenApi> = LazyLock::new(|| document_with(Services::Together));
    &DOCUMENT
}

/// The whole description on one page, for a file.
pub fn whole_page() -> String {
    page(for_people(), SettingsAt::ThisPage)
}

fn document_with(services: Services) -> OpenApi {
    let mut described = Described::default();
    for mounted in routes() {
        described.add(mounted, services);
    }
    let Described { paths, schemas, parameters } = described;
    let settings = ADAPTERS.iter().map(|entry| (settings::schema_name(entry), settings::schema(entry)));
    let mut components = ComponentsBuilder::new()
        .schemas_from_iter(schemas)
        .schemas_from_iter(settings)
        .schemas_from_iter(settings::schemas())
        .schemas_from_iter(responses::schemas())
        .responses_from_iter(responses::components());
    for (name, parameter) in parameters {
        components = components.parameter(name, parameter);
    }
    for (name, scheme) in security_schemes() {
        components = components.security_scheme(name, scheme);
    }
    let license = LicenseBuilder::new().name("MIT").identifier(Some("MIT")).build();
    let summary = Extensions::from_iter([("summary", "Delivers notifications of what happens in a forge")]);
    let info = InfoBuilder::new()
        .title("Forgebell")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(DESCRIPTION))
        .license(Some(license))
        .extensions(Some(summary));
    OpenApiBuilder::new()
        .info(info)
        .servers(Some([ServerBuilder::new().url("/api/v4").build()]))
        .tags(Some(tags()))
        .security(Some(security_schemes().map(|(name, _)| SecurityRequirement::new(name, [] as [&str; 0]))))
        .paths(paths)
        .components(Some(components.build()))
        .build()
}

/// The parts of the document that come from routes.
#[derive(Default)]
struct Described {
    paths: Paths,
    schemas: BTreeMap<String, RefOr<Schema>>,
    parameters: BTreeMap<&'static str, Parameter>,
}

impl Described {
    fn add(&mut self, mounted: Mounted, services: Services) {
        for (path, mut item) in levels::described(&mounted, services) {
            let names = path.split('{').skip(1).filter_map(|rest| rest.split('}').next());
            let parameters: Vec<_> = names.map(|name| v4::path::described(&path, name)).collect();
            let references = parameters.iter().map(|(key, _)| parameter_reference(key)).collect::<Vec<_>>();
            item.parameters = (!references.is_empty()).then_some(references);
            self.parameters.extend(parameters);
            self.paths.paths.insert(path, item);
        }
        self.schemas.extend(mounted.route.0);
    }
}

fn parameter_reference(key: &str) -> RefOr<Parameter> {
    RefOr::Ref(Ref::new(format!("#/components/parameters/{key}")))
}

fn tags() -> Vec<Tag> {
    let tag =
        |name: &str, description: &str| TagBuilder::new().name(name).description(Some(description)).build();
    vec![
        tag(levels::tag(Level::Project), "Which services get a project's events."),
        tag(
            levels::tag(Level::Group),
            "Defaults for a group's projects, and notifications of mentions of the group.",
        ),
        tag(
            levels::tag(Level::Instance),
            "Defaults for all projects. For tokens of the instance. An addition of Forgebell.",
        ),
        tag(COMMANDS, "What a chat service calls when a slash command is typed."),
        tag(PROJECTS, "What is known of the forge's projects and groups."),
        tag(
            EVENTS,
            "What came and what became of it; which integrations would deliver an event; and messages that are not events.",
        ),
        tag(STATUS, "What is held, switched off or given up, and how the daemon's parts are."),
        tag(AUDIT, "Every change, with who made it."),
        tag(ABOUT, "Who asks, which version answers, and this document."),
    ]
}

fn security_schemes() -> [(&'static str, SecurityScheme); 3] {
    [
        ("privateToken", SecurityScheme::ApiKey(ApiKey::Header(ApiKeyValue::new("PRIVATE-TOKEN")))),
        ("bearer", SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer))),
        ("privateTokenParameter", SecurityScheme::ApiKey(ApiKey::Query(ApiKeyValue::new("private_token")))),
    ]
}

#[cfg(test)]
mod tests;

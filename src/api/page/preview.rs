//! Shows messages as their services would: of a sample, for every service or for one integration, or of a delivery.
//! Nothing is sent.
//!
//! The drawings have their own styles, so they are shown in a frame, whose page can only be viewed.

use axum::response::{Html, IntoResponse, Response};
use maud::{Markup, html};

use super::layout::{Section, headers};
use super::parts::{select, text_field};
use super::places;
use super::viewer::{Refused, Viewer};
use crate::adapters::{ADAPTERS, Entry, ProjectLinks};
use crate::api::error::{ApiError, Missing};
use crate::api::v4::Params;
use crate::api::v4::deliveries::found;
use crate::api::v4::test::{Subject, sample_of, subject};
use crate::catalog::{Catalog as _, Resolved, sort_secrets};
use crate::event::{Event, Trigger, sample};
use crate::integration::{Integration, IntegrationId, Scope, rules};
use crate::pipeline::attempt::Outgoing;
use crate::pipeline::standing::scope_of;
use crate::preview::{Drawn, Shown, page};
use crate::settings::{Secrets, Value};
use crate::store::registry::Configuration;
use crate::store::{DeliveryId, JSON_GONE};

/// The frame's page: styles of its own, and nothing else. Only this server's pages may show it.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; \
     frame-ancestors 'self'; sandbox";

/// `GET /-/preview`
pub(super) async fn show(viewer: Viewer) -> Result<Response, Refused> {
    let query = &viewer.query;
    let chosen = Chosen::of(query);
    let pairs = query.form().into_iter();
    let pairs = pairs.map(|(name, value)| format!("{}={}&", places::encoded(&name), places::encoded(&value)));
    let frame = format!("/-/preview/drawing?{}", pairs.collect::<String>());
    // An error of the drawing is reported here, not in the frame.
    chosen.drawn(&viewer).await?;
    let content = html! {
        h1 { "Preview" }
        p class="quiet" { "Messages roughly as their services show them. Nothing is sent." }
        (form(query))
        iframe class="preview" src=(frame) title="The messages" {}
    };
    Ok(viewer.page(Section::Preview, "Preview", &content))
}

fn form(query: &Params) -> Markup {
    let text = |name: &str| query.text(name).ok().flatten().unwrap_or_default();
    let kinds: Vec<(String, String)> = Trigger::ALL
        .into_iter()
        .map(|trigger| (trigger.name().to_owned(), trigger.name().replace('_', " ")))
        .collect();
    let kinds: Vec<(&str, &str)> =
        kinds.iter().map(|(name, words)| (name.as_str(), words.as_str())).collect();
    html! {
        form class="filters" method="get" action="/-/preview" aria-label="What to preview" {
            (select("trigger", "A message about", &text("trigger"), &kinds))
            (text_field("integration", "Integration", &text("integration"), "all services, with examples"))
            (text_field("delivery", "Or a delivery", &text("delivery"), "17"))
            div class="field go" { button type="submit" class="main" { "Show" } a href="/-/preview" { "Clear" } }
        }
    }
}

/// `GET /-/preview/drawing`: the frame.
pub(super) async fn drawing(viewer: Viewer) -> Result<Response, Refused> {
    let shown = Chosen::of(&viewer.query).drawn(&viewer).await?;
    Ok((headers(POLICY), Html(page(&[shown]))).into_response())
}

/// The choice in a query.
enum Chosen {
    Delivery(DeliveryId),
    Integration(IntegrationId, Option<Trigger>),
    Examples(Trigger),
}

impl Chosen {
    fn of(query: &Params) -> Self {
        let text = |name: &str| query.text(name).ok().flatten();
        let trigger =
            text("trigger").and_then(|name| Trigger::ALL.into_iter().find(|trigger| trigger.name() == name));
        let delivery = text("delivery").and_then(|number| number.trim_start_matches('#').parse().ok());
        match (delivery, text("integration")) {
            (Some(id), _) => Self::Delivery(DeliveryId(id)),
            (None, Some(id)) => Self::Integration(IntegrationId::new(id), trigger),
            (None, None) => Self::Examples(trigger.unwrap_or(Trigger::Push)),
        }
    }

    async fn drawn(&self, viewer: &Viewer) -> Result<Shown, ApiError> {
        match self {
            Self::Delivery(id) => of_delivery(viewer, *id).await,
            Self::Integration(id, trigger) => of_integration(viewer, id, *trigger).await,
            Self::Examples(trigger) => Ok(of_examples(viewer, *trigger)),
        }
    }
}

async fn of_delivery(viewer: &Viewer, id: DeliveryId) -> Result<Shown, ApiError> {
    let state = &viewer.caller.state;
    let detail = found(&viewer.caller, id).await?;
    let line = &detail.line;
    let integration = state.catalog.integration(&line.integration);
    let integration = integration.ok_or(ApiError::NotFound(Missing::Integration))?;
    let entry = crate::adapters::find(integration.slug).ok_or(ApiError::NotFound(Missing::Integration))?;
    let raw = detail.raw.clone().ok_or_else(|| ApiError::Unprocessable(JSON_GONE.to_owned()))?;
    let decoded = state.catalog.decode(line.event.clone(), line.created_at, raw);
    let event = decoded.map_err(|why| ApiError::Unprocessable(why.to_string()))?;
    let links = state.catalog.links(&event);
    let about = About { viewer, entry, integration: &integration, event: &event, links: &links };
    let secrets = integration.settings.secret_settings().secrets();
    let drawn = about.drawn(&line.target, None, Some(&secrets));
    Ok(Shown {
        messages: vec![drawn],
        ..Shown::new(&format!("delivery #{id}"), &words(&event), &event, &links)
    })
}

async fn of_integration(
    viewer: &Viewer,
    id: &IntegrationId,
    trigger: Option<Trigger>,
) -> Result<Shown, ApiError> {
    const MISSING: ApiError = ApiError::NotFound(Missing::Integration);
    let state = &viewer.caller.state;
    let slug = id.0.rsplit_once(':').map_or("", |(_, slug)| slug);
    let entry = crate::adapters::find(slug).ok_or(MISSING)?;
    let scope = state.catalog.read(|snapshot| {
        let scope = scope_of(snapshot, id);
        viewer.caller.reaches(snapshot, &scope).then_some(scope)
    });
    let scope = scope.ok_or(MISSING)?;
    let subject = subject(state, &scope, entry)?;
    let usual = [Trigger::Push, Trigger::Pipeline].into_iter().chain(entry.about.triggers.iter());
    let trigger =
        trigger.or_else(|| usual.into_iter().find(|trigger| entry.about.triggers.contains(*trigger)));
    let trigger = trigger.unwrap_or(Trigger::Push);
    let event = sample_of(state, &scope, &subject, trigger).await;
    let targets = subject.targets(&event);
    let Subject { integration, secrets, links, .. } = &subject;
    let about = About { viewer, entry, integration, event: &event, links };
    let facts = state.catalog.facts(&event);
    let unwanted = rules::wants(integration, &event, &facts).err().map(|why| why.to_string());
    let messages = match targets.send.as_slice() {
        [] => vec![Drawn::none(entry, "it has no target", unwanted)],
        targets => {
            targets.iter().map(|target| about.drawn(&target.name, unwanted.clone(), Some(secrets))).collect()
        }
    };
    Ok(Shown { messages, ..Shown::new("a sample", &words(&event), &event, links) })
}

/// Every service that takes such events, with the examples of its adapter.
fn of_examples(viewer: &Viewer, trigger: Trigger) -> Shown {
    let event = sample(trigger);
    let links = ProjectLinks::none();
    let all = ADAPTERS.iter().filter(|entry| entry.can_deliver());
    let (taking, others): (Vec<_>, Vec<_>) = all.partition(|entry| entry.about.triggers.contains(trigger));
    let drawn = |entry: &'static Entry| {
        let integration = example(entry)?;
        let channels = integration.channels.for_trigger(trigger).to_vec();
        let target = entry.targets(&integration.settings, &event, &channels).send.into_iter().next()?;
        let about = About { viewer, entry, integration: &integration, event: &event, links };
        Some(about.drawn(&target.name, None, None))
    };
    let messages = taking
        .into_iter()
        .map(|entry| drawn(entry).unwrap_or_else(|| Drawn::none(entry, "it has no target", None)));
    Shown {
        messages: messages.collect(),
        unheard: others.iter().map(|entry| entry.about.slug.to_owned()).collect(),
        ..Shown::new("a sample", &words(&event), &event, links)
    }
}

/// An integration with the adapter's examples.
fn example(entry: &'static Entry) -> Option<Integration> {
    let mut configuration = Configuration { active: true, ..Configuration::default() };
    let examples =
        entry.fields.iter().map(|field| (field.name.to_owned(), Value::Text(field.example.to_owned())));
    sort_secrets(entry, examples.collect(), &mut configuration);
    let resolved = Resolved::read(entry, &configuration).ok()?;
    Some(resolved.integration(IntegrationId::new("example"), Scope::Instance, "".into()))
}

/// A message that is drawn.
struct About<'a> {
    viewer: &'a Viewer,
    entry: &'static Entry,
    integration: &'a Integration,
    event: &'a Event,
    links: &'a ProjectLinks,
}

impl About<'_> {
    fn drawn(&self, target: &str, unwanted: Option<String>, secrets: Option<&Secrets>) -> Drawn {
        let Self { viewer, entry, integration, event, links } = *self;
        let operator = viewer.caller.state.tests.operator.get();
        let outgoing = Outgoing {
            entry,
            integration,
            event,
            target,
            id: "preview",
            now: viewer.caller.now,
            operator: &operator,
            links,
            open_request: None,
            may_have_been_sent: false,
            test: false,
        };
        let place = if target.is_empty() { String::new() } else { format!("to {target}") };
        Drawn::of(&outgoing, place, unwanted, secrets)
    }
}

/// The event in words.
fn words(event: &Event) -> String {
    let place = match (&event.group, &event.project) {
        (Some(group), _) => format!(" of group {}", group.path),
        (None, Some(project)) => format!(" of {}", project.path_with_namespace),
        (None, None) => String::new(),
    };
    format!("{} event{place}, about {}", event.kind(), event.subject)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_adapter_that_delivers_has_examples_that_can_be_drawn() {
        for entry in ADAPTERS.iter().filter(|entry| entry.can_deliver()) {
            assert!(example(entry).is_some(), "{}", entry.about.slug);
        }
    }
}

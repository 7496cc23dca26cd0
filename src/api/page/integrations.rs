//! Integrations by project: lists of what is configured, with its state.

use axum::response::Response;
use maud::{Markup, html};

use super::layout::Section;
use super::parts::{Row, badge, moment, table, text_field};
use super::viewer::{Refused, Viewer};
use super::{places, reached};
use crate::adapters::{ADAPTERS, Entry};
use crate::api::error::ApiError;
use crate::api::resources::Integration;
use crate::api::v4::extract::scope_at;
use crate::api::v4::{Level, integration_object};
use crate::catalog::{ResolvedScope, Snapshot};
use crate::pipeline::holds::HoldSet;

/// The most projects and groups on one page.
const MOST_SCOPES: usize = 50;

/// One integration of a list.
struct Line {
    slug: &'static str,
    state: &'static str,
    /// Where its settings are from.
    from: String,
    integration: Integration,
}

/// The integrations of one project, group or of the instance.
struct Listed {
    scope: ResolvedScope,
    lines: Vec<Line>,
}

/// `GET /-/integrations`
pub(super) async fn list(viewer: Viewer) -> Result<Response, Refused> {
    let wanted = viewer.query.text("path").ok().flatten().unwrap_or_default();
    let in_lower_case = wanted.to_lowercase();
    let holds = viewer.caller.state.holds.snapshot();
    // A viewer of the whole instance sees each project's own integrations. Others also see what their project inherits.
    let with_inherited = !viewer.sees_instance();
    let mut all = viewer.caller.state.catalog.read(|snapshot| {
        let fits = |scope: &ResolvedScope| {
            places::title(scope).to_lowercase().contains(&in_lower_case)
                && (with_inherited || snapshot.has_own(scope))
        };
        // Only the scopes of this page are looked at, however many the viewer reaches.
        let scopes = reached::scopes(&viewer.caller, snapshot).filter(fits);
        let listed = scopes.map(|scope| listed(snapshot, &holds, scope, with_inherited));
        listed
            .filter(|listed| with_inherited || !listed.lines.is_empty())
            .take(MOST_SCOPES + 1)
            .collect::<Vec<_>>()
    });
    let is_cut = all.len() > MOST_SCOPES;
    all.truncate(MOST_SCOPES);
    let content = html! {
        h1 { "Integrations" }
        form class="filters" method="get" action="/-/integrations" role="search" aria-label="Filter the projects" {
            (text_field("path", "Project or group", &wanted, "acme/rocket"))
            div class="field go" { button type="submit" class="main" { "Filter" } a href="/-/integrations" { "Clear" } }
        }
        @if all.is_empty() {
            p class="empty" {
                "Nothing is configured"
                @if wanted.is_empty() { " yet." } @else { " for a project or group of this name." }
            }
        }
        @for listed in &all { (of_scope(&viewer, listed)) }
        @if is_cut { p class="quiet" { "Only the first " (MOST_SCOPES) " projects and groups are shown: filter by path." } }
    };
    Ok(viewer.page(Section::Integrations, "Integrations", &content))
}

fn of_scope(viewer: &Viewer, listed: &Listed) -> Markup {
    let (title, address) = (places::title(&listed.scope), places::of_scope(&listed.scope.name()));
    let caption = format!("Integrations of {title}");
    html! {
        section {
            h2 { a href=(address) { (title) } }
            @if listed.lines.is_empty() { p class="quiet" { "Nothing is configured." } }
            @else { (lines(viewer, &caption, &address, &listed.lines)) }
        }
    }
}

fn lines(viewer: &Viewer, caption: &str, address: &str, lines: &[Line]) -> Markup {
    let now = viewer.caller.now;
    let row = |line: &Line| -> Row {
        let Integration { head, tail, .. } = &line.integration;
        let off = tail.switched_off.first().map(|off| off.reason.as_str());
        let health = tail.health.as_ref().filter(|health| !health.reached).map(|health| health.note.as_str());
        vec![
            html! { a href={ (address) "/" (line.slug) } { (head.title) } },
            badge(line.state),
            html! { (line.from) },
            moment(head.updated_at.0, now),
            html! { (off.or(health).unwrap_or_default()) },
        ]
    };
    let rows: Vec<Row> = lines.iter().map(row).collect();
    table(caption, &["Service", "State", "Settings from", "Changed", "Note"], &rows)
}

fn listed(snapshot: &Snapshot, holds: &HoldSet, scope: ResolvedScope, with_inherited: bool) -> Listed {
    let line = |entry: &&'static Entry| {
        let slug = entry.about.slug;
        if !with_inherited && snapshot.inheritance(&scope, slug).own.is_none() {
            return None;
        }
        line(snapshot, holds, &scope, slug)
    };
    let lines = ADAPTERS.iter().filter_map(|entry| line(&entry)).collect();
    Listed { scope, lines }
}

fn line(snapshot: &Snapshot, holds: &HoldSet, scope: &ResolvedScope, slug: &'static str) -> Option<Line> {
    let integration = integration_object(snapshot, scope, slug, holds)?;
    let inheritance = snapshot.inheritance(scope, slug);
    let configured = inheritance.effective().or(inheritance.own)?;
    let is_wanted = configured.configuration.active;
    let from = match &integration.tail.origin {
        Some(file) => file.clone(),
        None if integration.head.inherited => "a default above".to_owned(),
        None => "here".to_owned(),
    };
    Some(Line { slug, state: state_of(&integration, is_wanted), from, integration })
}

/// The state of an integration in a word. `is_wanted`: whether a person left it switched on.
pub(super) fn state_of(integration: &Integration, is_wanted: bool) -> &'static str {
    match (integration.head.active, integration.tail.switched_off.is_empty()) {
        (true, true) => "active",
        (true, false) => "partly off",
        (false, false) if is_wanted => "switched off",
        (false, _) => "off",
    }
}

/// The level and the scope that an address names.
pub(super) fn scope_of(viewer: &Viewer) -> Result<(Level, ResolvedScope), ApiError> {
    let level = match viewer.address.split('/').nth(2) {
        Some("projects") => Level::Project,
        Some("groups") => Level::Group,
        _ => Level::Instance,
    };
    Ok((level, scope_at(&viewer.caller, level, viewer.path.id())?))
}

/// `GET /-/projects/{id}` and so on: the integrations that apply there, and those that could be added.
pub(super) async fn scope(viewer: Viewer) -> Result<Response, Refused> {
    let (_, scope) = scope_of(&viewer)?;
    let holds = viewer.caller.state.holds.snapshot();
    let here = viewer.caller.state.catalog.read(|snapshot| listed(snapshot, &holds, scope, true));
    let (title, address) = (places::title(&here.scope), places::of_scope(&here.scope.name()));
    let is_new = |entry: &&Entry| here.lines.iter().all(|line| line.slug != entry.about.slug);
    let content = html! {
        h1 { "Integrations of " (title) }
        @if here.lines.is_empty() { p class="empty" { "Nothing is configured." } }
        @else { (lines(&viewer, "What applies here", &address, &here.lines)) }
        @if let ResolvedScope::Project { path: Some(path), .. } = &here.scope {
            p {
                a href={ "/-/deliveries?project=" (places::encoded(path)) } { "Deliveries of this project" } " · "
                a href={ "/-/events?project=" (places::encoded(path)) } { "Events of this project" }
            }
        }
        @if let ResolvedScope::Group { path, .. } = &here.scope {
            p { a href={ "/-/events?project=" (places::encoded(path)) } { "Events of this group" } }
        }
        @if viewer.may_write() {
            section aria-labelledby="add" {
                h2 id="add" { "Add a service" }
                ul class="services" {
                    @for entry in ADAPTERS.iter().filter(is_new) {
                        li { a href={ (address) "/" (entry.about.slug) } { (entry.about.title) } }
                    }
                }
            }
        }
    };
    Ok(viewer.page(Section::Integrations, &title, &content))
}

//! One integration: its state and settings, and the actions: set, switch off, test, resume, mute.

use std::collections::BTreeSet;

use axum::http::StatusCode;
use axum::response::Response;
use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use maud::{Markup, html};

use super::deliveries::lines;
use super::integrations::{scope_of, state_of};
use super::layout::Section;
use super::parts::{self, Row, badge, facts, json_box, moment, moment_in_full, notice, table};
use super::places;
use super::settings_form::{Problems, SettingsForm, sent};
use super::viewer::{Posted, Refused, Viewer, go_to};
use crate::adapters::{self, Entry};
use crate::api::error::{ApiError, Missing};
use crate::api::resources::{Integration, Test, TestAttempt};
use crate::api::v4::deliveries::owner_of;
use crate::api::v4::integrations::{resumed, save, shown, switch_off};
use crate::api::v4::test::tested;
use crate::api::v4::{Named, Params, muted};
use crate::catalog::ResolvedScope;
use crate::integration::IntegrationId;
use crate::store::DeliveryFilter;
use crate::store::registry::Mute;

/// For how long a channel can be muted.
const MUTES: [(&str, &str, i64); 4] =
    [("1h", "an hour", 1), ("8h", "8 hours", 8), ("1d", "a day", 24), ("7d", "a week", 168)];
const RECENT: usize = 10;

/// The integration that a request names.
struct About {
    viewer: Viewer,
    scope: ResolvedScope,
    entry: &'static Entry,
}

impl About {
    fn of(viewer: Viewer) -> Result<Self, ApiError> {
        let (_, scope) = scope_of(&viewer)?;
        let entry = adapters::find(viewer.path.slug()).ok_or(ApiError::NotFound(Missing::Integration))?;
        Ok(Self { viewer, scope, entry })
    }

    fn named(&self) -> Named<'_> {
        Named { caller: &self.viewer.caller, scope: &self.scope, entry: self.entry }
    }

    fn address(&self) -> String {
        format!("{}/{}", places::of_scope(&self.scope.name()), self.entry.about.slug)
    }

    fn title(&self) -> String {
        format!("{} of {}", self.entry.about.title, places::title(&self.scope))
    }

    fn id(&self) -> IntegrationId {
        self.viewer.caller.state.catalog.read(|snapshot| snapshot.id_at(&self.scope, self.entry.about.slug))
    }

    /// The integration as it is set here or above; `None` where it was never set.
    async fn shown(&self) -> Result<Option<Integration>, ApiError> {
        match shown(self.named()).await {
            Ok(integration) => Ok(Some(integration)),
            Err(ApiError::NotFound(Missing::Integration)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Further facts from the catalog.
    fn known(&self) -> Known {
        let slug = self.entry.about.slug;
        self.viewer.caller.state.catalog.read(|snapshot| {
            let inheritance = snapshot.inheritance(&self.scope, slug);
            let own = inheritance.own.map(|own| &own.configuration);
            let applies = inheritance.effective().or(inheritance.own);
            let mut channels: BTreeSet<String> = BTreeSet::new();
            if let Some(resolved) = applies.and_then(|applies| applies.resolved.as_ref().ok()) {
                let id = snapshot.id_at(&self.scope, slug);
                let integration = resolved.integration(id, self.scope.name(), "".into());
                let named = integration.channels.per_trigger.values().flatten().cloned();
                channels.extend(integration.channels.default.iter().cloned().chain(named));
            }
            Known {
                stored_secrets: own.map(|own| own.secrets.keys().cloned().collect()).unwrap_or_default(),
                has_default: inheritance.default.is_some(),
                is_wanted: applies.is_some_and(|applies| applies.configuration.active),
                channels,
            }
        })
    }

    fn mutes(&self) -> Vec<Mute> {
        let ResolvedScope::Project { id: Some(id), .. } = self.scope else { return Vec::new() };
        self.viewer.caller.state.catalog.read(|snapshot| {
            let mutes = snapshot.mutes(id, self.viewer.caller.now);
            mutes.filter(|mute| mute.slug == self.entry.about.slug).cloned().collect()
        })
    }
}

struct Known {
    stored_secrets: BTreeSet<String>,
    has_default: bool,
    is_wanted: bool,
    channels: BTreeSet<String>,
}

/// The result of a form, for the page that follows.
#[derive(Default)]
struct Outcome {
    notice: Option<Markup>,
    test: Option<Test>,
    typed: Option<Params>,
    refused: Problems,
}

/// `GET …/{slug}`
pub(super) async fn show(viewer: Viewer) -> Result<Response, Refused> {
    let done = viewer.query.text("done").ok().flatten();
    let words = match done.as_deref() {
        Some("saved") => Some("The settings are saved. What waited for it is tried again."),
        Some("off") => Some("It is switched off. Its settings are kept."),
        Some("resumed") => Some("What waits for it is tried again now."),
        Some("nothing-held") => Some("Nothing is held that a person could end."),
        Some("muted") => Some("The channel is muted."),
        Some("unmuted") => Some("The mute is over."),
        _ => None,
    };
    let notice = words.map(|words| notice("good", &html! { p { (words) } }));
    page(&About::of(viewer)?, StatusCode::OK, Outcome { notice, ..Outcome::default() }).await
}

/// `POST …/{slug}`: sets it, as the API's `PUT` does.
pub(super) async fn set(Posted { viewer, params }: Posted) -> Result<Response, Refused> {
    let about = About::of(viewer)?;
    let (wanted, kept, cleared) = sent(about.entry, &about.known().stored_secrets, params.clone());
    match save(about.named(), &wanted, &kept, cleared, None).await {
        Ok(saved) if saved.warnings.is_empty() && saved.token.is_none() => {
            Ok(go_to(&format!("{}?done=saved", about.address())))
        }
        Ok(saved) => {
            let notice = html! {
                (notice("good", &html! { p { "The settings are saved." } }))
                @if let Some(token) = &saved.token {
                    (notice("good", &html! { p { "The token for monitoring systems, which is not shown again: " code { (token) } } }))
                }
                @if !saved.warnings.is_empty() {
                    (notice("busy", &html! { p { "Not all of it has an effect:" } ul { @for warning in &saved.warnings { li { (warning) } } } }))
                }
            };
            page(&about, StatusCode::OK, Outcome { notice: Some(notice), ..Outcome::default() }).await
        }
        Err(
            error @ (ApiError::InvalidParams(_)
            | ApiError::InvalidSettings(_)
            | ApiError::NoDefault
            | ApiError::Conflict(_)),
        ) => {
            let refused = Problems::of(about.entry, &error);
            let outcome = Outcome { typed: Some(params), refused, ..Outcome::default() };
            page(&about, StatusCode::UNPROCESSABLE_ENTITY, outcome).await
        }
        Err(error) => Err(error.into()),
    }
}

/// `POST …/{slug}/off`
pub(super) async fn off(Posted { viewer, .. }: Posted) -> Result<Response, Refused> {
    let about = About::of(viewer)?;
    switch_off(about.named(), None).await?;
    Ok(go_to(&format!("{}?done=off", about.address())))
}

/// `POST …/{slug}/test`: the result is the answer.
pub(super) async fn test(Posted { viewer, params }: Posted) -> Result<Response, Refused> {
    let about = About::of(viewer)?;
    let outcome = match tested(about.named(), &params.without_blanks(), Bytes::new()).await {
        Ok(test) => Outcome { test: Some(test), ..Outcome::default() },
        Err(error @ (ApiError::Unprocessable(_) | ApiError::InvalidSettings(_))) => {
            let words = match &error {
                ApiError::InvalidSettings(_) => "Nothing was sent: the settings are not valid.".to_owned(),
                error => error.words(),
            };
            Outcome { notice: Some(notice("bad", &html! { p { (words) } })), ..Outcome::default() }
        }
        Err(error) => return Err(error.into()),
    };
    page(&about, StatusCode::OK, outcome).await
}

/// `POST …/{slug}/resume`
pub(super) async fn resume(Posted { viewer, .. }: Posted) -> Result<Response, Refused> {
    let about = About::of(viewer)?;
    let ended = resumed(about.named()).await?.ended;
    Ok(go_to(&format!("{}?done={}", about.address(), if ended == 0 { "nothing-held" } else { "resumed" })))
}

/// `POST …/{slug}/mute`: mutes a channel, or ends that.
pub(super) async fn mute(Posted { viewer, params }: Posted) -> Result<Response, Refused> {
    let about = About::of(viewer)?;
    let text = |name: &str| params.text(name).ok().flatten().unwrap_or_default();
    let length = MUTES
        .iter()
        .find(|(name, ..)| *name == text("for"))
        .map(|(.., hours)| SignedDuration::from_hours(*hours));
    let now = about.viewer.caller.now;
    let until = length.map_or(now, |length| now.checked_add(length).unwrap_or(Timestamp::MAX));
    muted(about.named(), &text("channel"), until).await?;
    let done = if length.is_some() { "muted" } else { "unmuted" };
    Ok(go_to(&format!("{}?done={done}", about.address())))
}

async fn page(about: &About, status: StatusCode, outcome: Outcome) -> Result<Response, Refused> {
    let viewer = &about.viewer;
    let (integration, known, title) = (about.shown().await?, about.known(), about.title());
    let id = about.id();
    let project_id = viewer.caller.state.catalog.read(|snapshot| owner_of(snapshot, &id));
    let filter =
        DeliveryFilter { integrations: vec![id], project_id, limit: RECENT, ..DeliveryFilter::default() };
    let recent = viewer.caller.state.ledger.deliveries(filter).await?;
    let state = integration.as_ref().map(|integration| state_of(integration, known.is_wanted));
    let content = html! {
        p class="crumbs" { a href=(places::of_scope(&about.scope.name())) { (places::title(&about.scope)) } }
        h1 { (about.entry.about.title) " " @if let Some(state) = state { (badge(state)) } }
        @if let Some(notice) = &outcome.notice { (notice) }
        @if let Some(test) = &outcome.test { (result(test)) }
        @if let Some(integration) = &integration {
            (standing(about, integration))
            @if about.entry.can_deliver() {
                p { a href={ "/-/preview?integration=" (places::encoded(&about.id().0)) } { "Look at a message as the service shows it" } }
            }
            @if viewer.may_write() { (actions(about, &known, integration)) }
        } @else {
            p { (about.entry.about.summary) }
            p class="quiet" { "It is not configured here." }
        }
        (settings(about, &known, integration.as_ref(), &outcome))
        @if !recent.is_empty() {
            section aria-labelledby="recent" {
                h2 id="recent" { "Recent deliveries" }
                (lines(viewer, "The newest deliveries", &recent))
                p { a href={ "/-/deliveries?integration=" (places::encoded(&about.id().0)) } { "All of its deliveries" } }
            }
        }
    };
    Ok(viewer.page_with(status, Section::Integrations, &title, &content))
}

/// The details of the state, if there are any.
fn standing(about: &About, integration: &Integration) -> Markup {
    let now = about.viewer.caller.now;
    let Integration { head, tail, .. } = integration;
    let from = match &tail.origin {
        Some(file) => html! { "the file " code { (file) } },
        None if head.inherited => html! { "a default of the group above or of the instance" },
        None => html! { "here" },
    };
    html! {
        @for off in &tail.switched_off {
            section class="card why bad" aria-label="An address that is switched off" {
                h2 { "Switched off" @if !off.targets.is_empty() { ": " (off.targets.iter().filter(|name| !name.is_empty()).cloned().collect::<Vec<_>>().join(", ")) } }
                p class="reason" { (off.reason) }
                p { "Since " (moment(off.since.0, now)) ". Correct the settings, or send a test if the address works again: a success ends this." }
            }
        }
        (facts(&[
            ("Settings from", Some(from)),
            ("Changed", Some(moment_in_full(head.updated_at.0, now))),
            ("Can be reached", tail.health.as_ref().map(|health| html! {
                (badge(if health.reached { "reached" } else { "not reached" })) " " (health.note) " (asked " (moment(health.checked_at.0, now)) ")"
            })),
        ]))
        @for mute in about.mutes() {
            div class="notice busy" role="status" {
                p {
                    (if mute.channel.is_empty() { "The address's own channel".to_owned() } else { format!("The channel {}", mute.channel) })
                    " is muted by " (mute.by) ". That ends " (moment(mute.until, now)) "."
                }
                @if about.viewer.may_write() {
                    form method="post" action={ (about.address()) "/mute" } {
                        (about.viewer.form_key())
                        input type="hidden" name="channel" value=(mute.channel);
                        button type="submit" aria-label={ "Unmute " (mute.channel) } { "Unmute" }
                    }
                }
            }
        }
    }
}

/// Test, resume, mute, switch off.
fn actions(about: &About, known: &Known, integration: &Integration) -> Markup {
    let (viewer, address) = (&about.viewer, about.address());
    let triggers: Vec<_> = about
        .entry
        .about
        .triggers
        .iter()
        .map(|trigger| (trigger.name(), trigger.name().replace('_', " ")))
        .collect();
    let kinds: Vec<(&str, &str)> = [("", "the usual sample")]
        .into_iter()
        .chain(triggers.iter().map(|(name, words)| (*name, words.as_str())))
        .collect();
    let of_instance = about.scope == ResolvedScope::Instance;
    let can_be_muted = matches!(about.scope, ResolvedScope::Project { id: Some(id), .. } if id > 0)
        && about.entry.can_deliver();
    let own =
        [(String::new(), "the address's own".to_owned())].into_iter().filter(|_| known.channels.is_empty());
    let channels: Vec<(String, String)> =
        own.chain(known.channels.iter().map(|name| (name.clone(), name.clone()))).collect();
    let channels: Vec<(&str, &str)> =
        channels.iter().map(|(value, words)| (value.as_str(), words.as_str())).collect();
    html! {
        div class="doings" {
            @if !of_instance {
                form class="card doing" method="post" action={ (address) "/test" } aria-label="Test" {
                    (viewer.form_key())
                    @if about.entry.can_deliver() { (parts::select("trigger", "A message about", "", &kinds)) }
                    button type="submit" class="main" { "Test" }
                    p class="help" { "Sends a real message, marked as a test, or asks the service whether it can be reached." }
                }
                form class="card doing" method="post" action={ (address) "/resume" } aria-label="Resume" {
                    (viewer.form_key())
                    p { "What waits for it, tried again." }
                    button type="submit" { "Resume" }
                    p class="help" { "A wait that the service asked for goes on." }
                }
            }
            @if can_be_muted {
                form class="card doing" method="post" action={ (address) "/mute" } aria-label="Mute" {
                    (viewer.form_key())
                    (parts::select("channel", "Channel", "", &channels))
                    (parts::select("for", "For", "1h", &MUTES.map(|(name, words, _)| (name, words))))
                    button type="submit" { "Mute" }
                }
            }
            @if integration.tail.origin.is_none() && known.is_wanted {
                form class="card doing" method="post" action={ (address) "/off" } aria-label="Switch off" {
                    (viewer.form_key())
                    p { "It sends nothing any more. Its settings are kept." }
                    button type="submit" class="danger" { "Switch off" }
                }
            }
        }
    }
}

fn settings(about: &About, known: &Known, integration: Option<&Integration>, outcome: &Outcome) -> Markup {
    let is_of_file = integration
        .is_some_and(|integration| integration.tail.origin.is_some() && !integration.head.inherited);
    let form = SettingsForm {
        entry: about.entry,
        integration,
        stored_secrets: &known.stored_secrets,
        is_off: integration.is_some() && !known.is_wanted,
        has_default: known.has_default,
        typed: outcome.typed.as_ref(),
        refused: &outcome.refused,
        action: &about.address(),
        form_key: about.viewer.form_key(),
    };
    html! {
        section aria-labelledby="settings" {
            h2 id="settings" { "Settings" }
            @if is_of_file || !about.viewer.may_write() {
                @if is_of_file { p class="quiet" { "They are in a file, and are changed there." } }
                @if let Some(integration) = integration { (as_set(integration)) }
            } @else {
                div class="card" { (form.render()) }
            }
        }
    }
}

/// The settings for reading.
fn as_set(integration: &Integration) -> Markup {
    let set = integration.properties.0.iter().filter_map(|(name, value)| {
        let text = value.as_ref()?.as_text();
        (!text.is_empty()).then(|| vec![html! { (name.replace('_', " ")) }, html! { (text) }])
    });
    let rows: Vec<Row> = set.collect();
    table("What is set; secrets are not shown", &["Setting", "Value"], &rows)
}

/// The result of a test, with every request and its answer.
fn result(test: &Test) -> Markup {
    let tone = if test.success { "good" } else { "bad" };
    html! {
        section id="result" class={ "card why " (tone) } aria-labelledby="result-title" {
            h2 id="result-title" { "Test " (badge(if test.success { "accepted" } else { "failed" })) }
            p role="status" { (test.message) }
            @for (number, attempt) in test.attempts.iter().enumerate() { (attempted(number + 1, attempt)) }
        }
    }
}

fn attempted(number: usize, attempt: &TestAttempt) -> Markup {
    let outcome = &attempt.outcome;
    let target = if outcome.target.is_empty() { "the address's own target" } else { &outcome.target };
    html! {
        details open[!attempt.success && number == 1] {
            summary {
                (target) ": " (outcome.outcome.replace('_', " "))
                @if let Some(status) = outcome.status { ", status " (status) }
                @if let Some(latency) = outcome.latency_ms { ", " (latency) " ms" }
            }
            @if !outcome.note.is_empty() { p { (outcome.note) } }
            @for (at, exchange) in attempt.exchanges.iter().enumerate() {
                h3 { "Request " (at + 1) }
                (json_box(&format!("Request {} to {target}", at + 1), &exchange.request))
                h3 { "Answer " (at + 1) }
                (json_box(&format!("Answer {} of {target}", at + 1), &exchange.answer))
            }
        }
    }
}

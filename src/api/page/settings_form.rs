//! The form of an integration's settings, from what its adapter declares: the parameters of the API's `PUT`, with a field
//! for each. Errors are shown beside their fields. A secret is never shown: its field is empty, and the secret stays
//! unchanged if the field is sent empty.

use std::collections::{BTreeMap, BTreeSet};

use maud::{Markup, html};

use super::parts::prose;
use super::viewer::FORM_KEY;
use crate::adapters::Entry;
use crate::adapters::common_settings::{Group, common_fields};
use crate::api::error::ApiError;
use crate::api::resources::Integration;
use crate::api::v4::Params;
use crate::api::v4::put_params::{INHERIT, ParamSpec, StoredAs, put_params};
use crate::settings::{Kind, Shape};

/// The content of the form and its address.
pub(super) struct SettingsForm<'a> {
    pub(super) entry: &'static Entry,
    /// The current integration; `None` where it was never set.
    pub(super) integration: Option<&'a Integration>,
    /// The secrets that are stored.
    pub(super) stored_secrets: &'a BTreeSet<String>,
    /// Whether a person switched it off. A save switches it on, as in the API.
    pub(super) is_off: bool,
    /// Whether there is a default above to follow.
    pub(super) has_default: bool,
    /// The typed values, if they were refused.
    pub(super) typed: Option<&'a Params>,
    pub(super) refused: &'a Problems,
    pub(super) action: &'a str,
    pub(super) form_key: Markup,
}

/// The errors of a form, by field.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Problems {
    pub(super) by_field: BTreeMap<String, Vec<String>>,
    /// Errors that belong to no field.
    pub(super) others: Vec<String>,
}

impl Problems {
    /// A refusal's messages, each with its field.
    pub(super) fn of(entry: &Entry, error: &ApiError) -> Self {
        let mut problems = Self::default();
        let names: Vec<_> = put_params(entry).into_iter().map(|spec| spec.name).collect();
        let mut add = |field: &str, problem: &str| {
            if names.iter().any(|name| name == field) {
                problems.by_field.entry(field.to_owned()).or_default().push(problem.to_owned());
            } else {
                problems.others.push(format!("{field} {problem}"));
            }
        };
        match error {
            ApiError::InvalidSettings(errors) => {
                for error in errors {
                    add(&error.field, &error.problem);
                }
            }
            ApiError::InvalidParams(complaints) => {
                for complaint in complaints {
                    let (field, problem) = complaint.split_once(' ').unwrap_or((complaint, ""));
                    add(field, problem);
                }
            }
            other => problems.others.push(other.words()),
        }
        problems
    }

    fn is_empty(&self) -> bool {
        self.by_field.is_empty() && self.others.is_empty()
    }
}

/// The parameters of a `PUT` from a form; the parameters that keep their values, which are secrets with an empty field;
/// and the parameters to unset, which are numbers with an empty field. The last are listed because the API reads a
/// blank number as not sent.
pub(super) fn sent(
    entry: &Entry,
    stored_secrets: &BTreeSet<String>,
    form: Params,
) -> (Params, BTreeSet<&'static str>, BTreeSet<String>) {
    let mut params = form.without([FORM_KEY]);
    let (mut kept, mut cleared) = (BTreeSet::new(), BTreeSet::new());
    for spec in put_params(entry) {
        let name = spec.name.as_ref();
        let is_blank = params.text(name).is_ok_and(|text| text.is_some_and(|text| text.trim().is_empty()));
        if !is_blank {
            continue;
        }
        let declared = entry.fields.iter().find(|field| field.name == name);
        if spec.kind.is_write_only() && stored_secrets.contains(name) {
            params = params.without([name]);
            kept.extend(declared.map(|field| field.name));
        } else if !spec.required && matches!(spec.kind.shape(), Shape::Words | Shape::List) {
            // An empty field means that the default applies, not a setting that is blank.
            params = params.with_null(name);
        } else if !spec.required && spec.kind.shape() == Shape::Number {
            params = params.without([name]);
            cleared.insert(name.to_owned());
        }
    }
    // A cleared box sends only the hidden field beside it.
    (params, kept, cleared)
}

impl SettingsForm<'_> {
    pub(super) fn render(&self) -> Markup {
        let specs = put_params(self.entry);
        let common: BTreeMap<_, _> =
            common_fields(&self.entry.about).into_iter().map(|field| (field.name, field.group)).collect();
        let group_of = |spec: &ParamSpec| common.get(&spec.name).copied();
        let settings: Vec<&ParamSpec> =
            specs.iter().filter(|spec| spec.stored_as == StoredAs::Setting).collect();
        let of_group =
            |group: Option<Group>| settings.iter().copied().filter(move |spec| group_of(spec) == group);
        let flags: Vec<&ParamSpec> =
            specs.iter().filter(|spec| spec.stored_as == StoredAs::Flag && spec.has_effect).collect();
        let deeds: Vec<&ParamSpec> =
            specs.iter().filter(|spec| spec.stored_as == StoredAs::Nothing).collect();
        let per_event = |spec: &&ParamSpec| spec.name.ends_with("_channel");
        html! {
            form method="post" action=(self.action) class="settings" {
                (self.form_key)
                @if !self.refused.is_empty() { (self.summary()) }
                @for spec in of_group(None).filter(|spec| !per_event(spec)) { (self.field(spec)) }
                @if let Some(inherit) = specs.iter().find(|spec| spec.name == INHERIT) { (self.inheritance(inherit)) }
                (self.boxes("Events that are sent", &flags))
                (self.boxes("The token", &deeds))
                (self.fieldset("Channels", of_group(Some(Group::Channels)).filter(|spec| !per_event(spec)).collect()))
                (self.fieldset("Which of them", of_group(Some(Group::Filters)).collect()))
                (self.fieldset("What the messages say", of_group(Some(Group::Messages)).collect()))
                (self.folded("A channel of its own for a kind of event", settings.iter().copied().filter(per_event).collect()))
                div class="actions" { button type="submit" class="main" { @if self.is_off { "Save and switch on" } @else { "Save" } } }
            }
        }
    }

    fn summary(&self) -> Markup {
        html! {
            div class="notice bad" role="alert" {
                p { strong { "Nothing was saved." } }
                ul {
                    @for other in &self.refused.others { li { (other) } }
                    @for (field, problems) in &self.refused.by_field {
                        li { a href={ "#" (field) } { (label(field)) } " " (problems.join(", ")) }
                    }
                }
            }
        }
    }

    fn fieldset(&self, legend: &str, specs: Vec<&ParamSpec>) -> Markup {
        if specs.is_empty() {
            return html! {};
        }
        html! { fieldset { legend { (legend) } @for spec in specs { (self.field(spec)) } } }
    }

    fn folded(&self, summary: &str, specs: Vec<&ParamSpec>) -> Markup {
        if specs.is_empty() {
            return html! {};
        }
        let is_open = specs.iter().any(|spec| {
            !self.value(spec).is_empty() || self.refused.by_field.contains_key(spec.name.as_ref())
        });
        html! { details open[is_open] { summary { (summary) } @for spec in specs { (self.field(spec)) } } }
    }

    fn boxes(&self, legend: &str, specs: &[&ParamSpec]) -> Markup {
        if specs.is_empty() {
            return html! {};
        }
        html! {
            fieldset {
                legend { (legend) }
                div class="boxes" { @for spec in specs { (self.tick(spec, self.is_on(spec), &label(spec.name.trim_end_matches("_events")))) } }
            }
        }
    }

    /// The choice whether to follow a default, if there is one. A form without this choice sets its own settings.
    fn inheritance(&self, spec: &ParamSpec) -> Markup {
        let follows = match self.typed {
            Some(typed) => typed.text(INHERIT).ok().flatten().as_deref() == Some("true"),
            None => self.integration.is_some_and(|integration| integration.head.inherited),
        };
        if !self.has_default {
            return html! { input type="hidden" name=(INHERIT) value="false"; };
        }
        html! {
            fieldset {
                legend { "Default" }
                (self.tick(spec, follows, "Follow the default of the group above or of the instance, and ignore these settings"))
            }
        }
    }

    fn tick(&self, spec: &ParamSpec, is_on: bool, words: &str) -> Markup {
        let name = spec.name.as_ref();
        html! {
            div class="tick" {
                input type="hidden" name=(name) value="false";
                input type="checkbox" id=(name) name=(name) value="true" checked[is_on]
                    aria-describedby=[self.wrong(spec).map(|_| format!("{name}-wrong"))];
                label for=(name) { (words) }
                (self.problems(spec))
            }
        }
    }

    fn field(&self, spec: &ParamSpec) -> Markup {
        if spec.kind.shape() == Shape::Truth {
            return html! {
                div class="field" {
                    (self.tick(spec, self.is_on(spec), &label(&spec.name)))
                    p class="help" { (prose(&spec.help)) }
                }
            };
        }
        let name = spec.name.as_ref();
        let (help, wrong) = (format!("{name}-help"), format!("{name}-wrong"));
        let described = if self.wrong(spec).is_some() { format!("{wrong} {help}") } else { help.clone() };
        html! {
            div class="field" {
                label for=(name) {
                    (label(name))
                    @if spec.required { " " span class="quiet" { "(required)" } }
                }
                (self.problems(spec))
                (self.input(spec, &described))
                p class="help" id=(help) { (prose(&spec.help)) }
            }
        }
    }

    fn input(&self, spec: &ParamSpec, described: &str) -> Markup {
        let name = spec.name.as_ref();
        let invalid = self.wrong(spec).map(|_| "true");
        let value = self.value(spec);
        if let Kind::Choice(words) = spec.kind {
            let default = spec.default.unwrap_or_default();
            return html! {
                select id=(name) name=(name) aria-describedby=(described) aria-invalid=[invalid] {
                    @if spec.default.is_none() { option value="" {} }
                    @for word in words {
                        option value=(word) selected[*word == value || value.is_empty() && *word == default] { (word) }
                    }
                }
            };
        }
        if spec.kind.is_write_only() {
            let is_stored = self.stored_secrets.contains(name);
            let hint = if is_stored {
                "stored; leave it empty to keep it"
            } else {
                spec.example.as_deref().unwrap_or_default()
            };
            return html! {
                input type="password" id=(name) name=(name) placeholder=(hint) autocomplete="off"
                    required[spec.required && !is_stored && !self.has_default]
                    aria-describedby=(described) aria-invalid=[invalid];
            };
        }
        let hint = spec
            .default
            .map(str::to_owned)
            .or_else(|| spec.example.as_deref().map(|example| format!("for example {example}")));
        html! {
            input type="text" id=(name) name=(name) value=(value) placeholder=(hint.unwrap_or_default()) autocomplete="off"
                spellcheck="false" inputmode=[(spec.kind.shape() == Shape::Number).then_some("numeric")]
                required[spec.required && !self.has_default] aria-describedby=(described) aria-invalid=[invalid];
        }
    }

    fn wrong(&self, spec: &ParamSpec) -> Option<&Vec<String>> {
        self.refused.by_field.get(spec.name.as_ref())
    }

    fn problems(&self, spec: &ParamSpec) -> Markup {
        html! {
            @if let Some(problems) = self.wrong(spec) {
                p class="wrong" id={ (spec.name) "-wrong" } { (problems.join(", ")) }
            }
        }
    }

    /// The text of a field: the typed value, else the stored one. Empty for secrets, and where the default applies.
    fn value(&self, spec: &ParamSpec) -> String {
        let name = spec.name.as_ref();
        if spec.kind.is_write_only() {
            return String::new();
        }
        if let Some(typed) = self.typed {
            return typed.text(name).ok().flatten().unwrap_or_default();
        }
        let shown = self.integration.and_then(|integration| {
            let property = integration.properties.0.iter().find(|(known, _)| known == name)?;
            property.1.as_ref().map(crate::api::resources::ShownValue::as_text)
        });
        shown.filter(|shown| spec.default != Some(shown.as_str())).unwrap_or_default()
    }

    fn is_on(&self, spec: &ParamSpec) -> bool {
        let name = spec.name.as_ref();
        if let Some(typed) = self.typed {
            return typed.text(name).ok().flatten().as_deref() == Some("true");
        }
        let by_default = spec.default == Some("true");
        let Some(Integration { head, tail, .. }) = self.integration else {
            return match spec.stored_as {
                StoredAs::Flag => crate::event::Trigger::from_flag(name)
                    .map_or(by_default, |trigger| self.entry.default_triggers().contains(trigger)),
                StoredAs::Setting | StoredAs::Inheritance | StoredAs::Active | StoredAs::Nothing => {
                    by_default
                }
            };
        };
        match head.flags.is_on(name).or_else(|| tail.flags.is_on(name)) {
            Some(on) => on,
            None => {
                matches!(self.value(spec).as_str(), "true" | "1") || by_default && self.value(spec).is_empty()
            }
        }
    }
}

/// A setting's name as words: `branches_to_be_notified` → `Branches to be notified`.
fn label(name: &str) -> String {
    let words = name.replace('_', " ");
    let mut letters = words.chars();
    letters.next().map(char::to_uppercase).into_iter().flatten().chain(letters).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapters::{self, ADAPTERS};
    use crate::settings::FieldError;

    fn form(entry: &'static Entry, stored: &BTreeSet<String>, refused: &Problems) -> String {
        let form = SettingsForm {
            entry,
            integration: None,
            stored_secrets: stored,
            is_off: false,
            has_default: false,
            typed: None,
            refused,
            action: "/x",
            form_key: html! {},
        };
        form.render().into_string()
    }

    #[test]
    fn every_setting_of_every_adapter_has_a_labelled_field_with_a_name_of_its_own() {
        for entry in ADAPTERS {
            let form = form(entry, &BTreeSet::new(), &Problems::default());
            for spec in put_params(entry).iter().filter(|spec| {
                spec.has_effect && !matches!(spec.stored_as, StoredAs::Active | StoredAs::Inheritance)
            }) {
                let (id, label) = (format!("id=\"{}\"", spec.name), format!("for=\"{}\"", spec.name));
                let found = (form.matches(&id).count(), form.matches(&label).count());
                assert_eq!(found, (1, 1), "{} of {}", spec.name, entry.about.slug);
            }
        }
    }

    #[test]
    fn an_empty_secret_keeps_the_stored_one_and_other_empty_fields_are_unset() {
        let slack = adapters::find("slack").unwrap();
        let stored = BTreeSet::from(["webhook".to_owned()]);
        let form =
            Params::of_query("webhook=&channel=&username=x&form_key=k&push_events=false&push_events=true")
                .unwrap();
        let (params, kept, cleared) = sent(slack, &stored, form.clone());
        assert_eq!(kept, BTreeSet::from(["webhook"]));
        assert!(cleared.is_empty());
        assert!(!params.has("webhook") && !params.has("form_key"));
        assert_eq!(params.text("channel"), Ok(None), "it is null");
        assert_eq!(params.text("push_events"), Ok(Some("true".to_owned())), "the box is ticked");
        let (params, kept, _) = sent(slack, &BTreeSet::new(), form);
        assert!(kept.is_empty() && params.has("webhook"), "it is not stored: the API says what is missing");
    }

    #[test]
    fn an_empty_number_is_cleared() {
        let telegram = adapters::find("telegram").unwrap();
        let form = |thread: &str| Params::of_query(&format!("room=%40ops&thread={thread}")).unwrap();
        let (params, _, cleared) = sent(telegram, &BTreeSet::new(), form(""));
        assert_eq!(cleared, BTreeSet::from(["thread".to_owned()]));
        assert!(!params.has("thread"));
        let (params, _, cleared) = sent(telegram, &BTreeSet::new(), form("7"));
        assert!(cleared.is_empty() && params.has("thread"));
    }

    #[test]
    fn problems_stand_beside_their_fields() {
        let slack = adapters::find("slack").unwrap();
        let error = ApiError::InvalidSettings(vec![
            FieldError::new("webhook", "must be a valid URL"),
            FieldError::new("elsewhere", "is odd"),
        ]);
        let problems = Problems::of(slack, &error);
        assert_eq!(problems.others, ["elsewhere is odd"]);
        let form = form(slack, &BTreeSet::new(), &problems);
        let field = form.split("for=\"webhook\"").nth(1).unwrap();
        assert!(field.contains("<p class=\"wrong\" id=\"webhook-wrong\">must be a valid URL</p>"), "{field}");
        assert!(field.contains("aria-invalid=\"true\"") && form.contains("href=\"#webhook\""));
        let missing = ApiError::InvalidParams(vec!["webhook is missing".to_owned()]);
        assert_eq!(Problems::of(slack, &missing).by_field["webhook"], ["is missing"]);
    }
}

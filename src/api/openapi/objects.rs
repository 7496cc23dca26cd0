//! What is answered: integrations, deliveries, projects and the rest, as schemas.

use super::model::Schema;
use crate::adapters::ADAPTERS;
use crate::api::v4::flags;
use crate::store::State;
use crate::store::registry::Visibility;

/// `components.schemas`, but for the settings and the refusals.
pub(super) fn schemas() -> Vec<(&'static str, Schema)> {
    vec![
        ("IntegrationBasic", integration(false)),
        ("Integration", integration(true)),
        ("Project", project()),
        ("Group", group()),
        ("Delivery", delivery()),
        ("DeliveryDetail", delivery_detail()),
        ("Attempt", attempt()),
        ("Test", test()),
        ("Explanation", explanation()),
        ("Quarantined", quarantined()),
        ("QuarantinedDetail", quarantined_detail()),
        ("AuditEvent", audit_event()),
        ("CommandAnswer", command_answer()),
        ("Version", version()),
    ]
}

/// The slugs that there are.
pub(super) fn slug() -> Schema {
    Schema::words(ADAPTERS.iter().map(|entry| entry.about.slug))
}

fn integration(full: bool) -> Schema {
    let flag = |name: &'static str| (name, Schema::boolean());
    let mut properties = vec![
        ("id", Schema::integer().or_null().saying("Its number; null where a file has it.")),
        ("title", Schema::text()),
        ("slug", slug()),
        ("created_at", Schema::moment().or_null()),
        ("updated_at", Schema::moment().or_null()),
        ("active", Schema::boolean()),
    ];
    properties.extend(flags::SHOWN.map(flag));
    properties.push(("inherited", Schema::boolean().saying("Whether it follows a default from above.")));
    if full {
        let says = "The settings that were ever set, without secrets.";
        properties.push(("properties", Schema::of(&["object"]).saying(says)));
    }
    properties.extend(flags::SHOWN_LAST.map(flag));
    let origin = Schema::text()
        .or_null()
        .saying("The provisioning file that it is written down in; null where it was set here.");
    properties.push(("origin", origin));
    Schema::object(properties)
}

/// Who may see a project.
pub(super) fn visibility() -> Schema {
    Schema::words(Visibility::ALL.map(Visibility::name))
}

fn project() -> Schema {
    Schema::object([
        ("id", Schema::integer().saying("The forge's number.")),
        ("path_with_namespace", Schema::text().or_null().saying("Its full path, where it is known.")),
        ("default_branch", Schema::text().or_null()),
        ("visibility", visibility().or_null()),
        (
            "protected_branches",
            Schema::list(Schema::text())
                .or_null()
                .saying("Names and wildcards; null where they are not known."),
        ),
        ("created_at", Schema::moment()),
        ("updated_at", Schema::moment()),
    ])
}

fn group() -> Schema {
    Schema::object([
        ("id", Schema::integer().or_null().saying("The forge's id, where it is known.")),
        ("full_path", Schema::text()),
        ("created_at", Schema::moment().or_null().saying("Null of one that only a file names.")),
    ])
}

fn delivery_properties() -> Vec<(&'static str, Schema)> {
    vec![
        ("id", Schema::integer()),
        ("state", Schema::words(State::ALL.map(State::name))),
        ("event", Schema::text().saying("The event's id.")),
        ("trigger", Schema::text().or_null()),
        ("subject", Schema::text().saying("What the event is about.")),
        ("target", Schema::text().saying("The channel or recipient; empty for where the settings say.")),
        ("attempts", Schema::integer()),
        ("due", Schema::moment().or_null().saying("When it is tried next, while it waits.")),
        ("created_at", Schema::moment()),
        ("settled_at", Schema::moment().or_null()),
        ("note", Schema::text().or_null().saying("What the last attempt said.")),
    ]
}

fn delivery() -> Schema {
    Schema::object(delivery_properties())
}

fn delivery_detail() -> Schema {
    let mut properties = delivery_properties();
    let hold = Schema::object([("until", Schema::moment()), ("why", Schema::text())]);
    properties.push(("attempt_records", Schema::list(Schema::reference("Attempt")).saying("Oldest first.")));
    properties.push((
        "hold",
        hold.or_null().saying("Why it waits, where its destination gets nothing for a while."),
    ));
    properties.push(("payload", Schema::default().saying("The event, as it came.")));
    Schema::object(properties)
}

fn attempt() -> Schema {
    Schema::object([
        ("number", Schema::integer()),
        ("at", Schema::moment()),
        ("outcome", Schema::text()),
        ("status", Schema::integer().or_null().saying("The HTTP status, where there was one.")),
        ("latency_ms", Schema::integer()),
        ("note", Schema::text()),
    ])
}

fn test() -> Schema {
    let exchange =
        Schema::object([("request", Schema::of(&["object"])), ("answer", Schema::of(&["object"]))]);
    let sent = Schema::object([
        ("target", Schema::text()),
        ("success", Schema::boolean()),
        ("outcome", Schema::text()),
        ("status", Schema::integer().or_null()),
        ("latency_ms", Schema::integer().or_null()),
        ("note", Schema::text().saying("Why it was not taken.")),
        ("exchanges", Schema::list(exchange).saying("All that went over the wire, without secrets.")),
    ]);
    Schema::object([
        ("success", Schema::boolean().saying("Whether every target took it.")),
        ("trigger", Schema::text().or_null()),
        ("message", Schema::text().saying("The outcome in a sentence.")),
        ("attempts", Schema::list(sent).saying("One a target.")),
    ])
}

fn explanation() -> Schema {
    let target = Schema::object([("target", Schema::text()), ("destination", Schema::text())]);
    let verdict = Schema::object([
        ("integration", Schema::text()),
        ("adapter", slug()),
        ("verdict", Schema::words(["deliver", "skip", "switched_off", "muted"])),
        ("targets", Schema::list(target)),
        ("why", Schema::text().or_null()),
    ]);
    let named = Schema::object([("id", Schema::integer()), ("path", Schema::text())]);
    Schema::object([
        ("kind", Schema::text()),
        ("trigger", Schema::text().or_null()),
        ("project", named.or_null()),
        ("group", Schema::text().or_null()),
        ("subject", Schema::text()),
        ("verdicts", Schema::list(verdict).saying("One for each integration that the event concerns.")),
    ])
}

fn quarantined_properties() -> Vec<(&'static str, Schema)> {
    vec![
        ("id", Schema::integer()),
        ("source", Schema::text()),
        ("event", Schema::text().or_null().saying("The sender's id for it, where it had one.")),
        ("reason", Schema::text()),
        ("received_at", Schema::moment()),
        ("size", Schema::integer().saying("In bytes.")),
    ]
}

fn quarantined() -> Schema {
    Schema::object(quarantined_properties())
}

fn quarantined_detail() -> Schema {
    let mut properties = quarantined_properties();
    properties.push(("body", Schema::text().saying("What came; what is no UTF-8 in it is replaced.")));
    Schema::object(properties)
}

fn audit_event() -> Schema {
    Schema::object([
        ("id", Schema::integer()),
        ("at", Schema::moment()),
        ("who", Schema::text()),
        ("action", Schema::text()),
        ("object", Schema::text()),
        ("fields", Schema::list(Schema::text()).saying("The names of what changed, never a value.")),
    ])
}

fn command_answer() -> Schema {
    Schema::object([("response_type", Schema::words(["ephemeral", "in_channel"])), ("text", Schema::text())])
}

fn version() -> Schema {
    Schema::object([("version", Schema::text()), ("revision", Schema::text())])
}

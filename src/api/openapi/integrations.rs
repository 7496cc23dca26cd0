//! Integrations of projects, groups and the instance: the same addresses at each, one for every adapter.

use super::answers::May;
use super::model::{Answer, Body, Content, Operation, Ordered, Parameter, Path, Schema};
use super::routes::{event_body, many, nothing, one, page, paging};
use super::settings;
use crate::adapters::{ADAPTERS, Entry};
use crate::event::Trigger;

pub(super) const OF_PROJECTS: &str = "Integrations of projects";
pub(super) const OF_GROUPS: &str = "Integrations of groups";
pub(super) const OF_INSTANCE: &str = "Integrations of the instance";
pub(super) const COMMANDS: &str = "Slash commands";

/// Where integrations are set.
struct Level {
    tag: &'static str,
    /// In operation ids.
    name: &'static str,
    prefix: &'static str,
    /// What GitLab called it before, where it did.
    former: Option<&'static str>,
    /// The parameter in `prefix`.
    parameter: Option<&'static str>,
    what: &'static str,
}

const LEVELS: [Level; 3] = [
    Level {
        tag: OF_PROJECTS,
        name: "Project",
        prefix: "/projects/{id}/integrations",
        former: Some("/projects/{id}/services"),
        parameter: Some("project"),
        what: "a project",
    },
    Level {
        tag: OF_GROUPS,
        name: "Group",
        prefix: "/groups/{id}/integrations",
        former: Some("/groups/{id}/services"),
        parameter: Some("group"),
        what: "a group",
    },
    Level {
        tag: OF_INSTANCE,
        name: "Instance",
        prefix: "/integrations",
        former: None,
        parameter: None,
        what: "the instance",
    },
];

impl Level {
    fn path(&self, path: Path) -> Path {
        match self.parameter {
            Some(name) => path.with([name]),
            None => path,
        }
    }
}

const SEE: &[May] = &[May::Refuse, May::Miss];
const CHANGE: &[May] = &[May::Refuse, May::Miss, May::Read, May::Change];
const SWITCH_OFF: &[May] = &[May::Refuse, May::Miss, May::LookInside, May::Change];

pub(super) fn paths() -> Vec<(String, Path)> {
    let mut paths = Vec::new();
    for level in LEVELS {
        paths.push((level.prefix.to_owned(), level.path(Path::of([("get", list(&level))]))));
        for entry in ADAPTERS {
            let operations =
                [("get", get(&level, entry)), ("put", put(&level, entry)), ("delete", delete(&level, entry))];
            paths.push((format!("{}/{}", level.prefix, entry.about.slug), level.path(Path::of(operations))));
        }
        // A default sends nothing by itself.
        if level.parameter.is_some() {
            paths.extend(deliveries(&level));
        }
    }
    paths
        .extend(LEVELS.iter().filter_map(|level| level.former.map(|prefix| former(level, prefix))).flatten());
    paths.extend(commands());
    paths
}

fn list(level: &Level) -> Operation {
    let summary = format!("List the active integrations of {}", level.what);
    Operation::new(
        format!("list{}Integrations", level.name),
        level.tag,
        summary,
        many("All of them, on one page.", "IntegrationBasic"),
        SEE,
    )
}

fn id(verb: &str, level: &Level, entry: &Entry) -> String {
    let name = settings::schema_name(entry);
    format!("{verb}{}{}", level.name, name.strip_suffix("Settings").unwrap_or(&name))
}

fn get(level: &Level, entry: &Entry) -> Operation {
    let summary = format!("Show {} of {}", entry.about.title, level.what);
    Operation::new(
        id("get", level, entry),
        level.tag,
        summary,
        one("The integration, switched on or off.", "Integration"),
        SEE,
    )
}

fn put(level: &Level, entry: &Entry) -> Operation {
    let summary = format!("Set {} for {}", entry.about.title, level.what);
    Operation::new(
        id("put", level, entry),
        level.tag,
        summary,
        one("The integration as it is now, switched on.", "Integration"),
        CHANGE,
    )
    .saying("What is not sent stays as it is, but what is required has to be sent each time.")
    .asking([Parameter::reference("if_unmodified_since")])
    .taking(settings::body(entry))
}

fn delete(level: &Level, entry: &Entry) -> Operation {
    let summary = format!("Switch {} off for {}", entry.about.title, level.what);
    Operation::new(
        id("delete", level, entry),
        level.tag,
        summary,
        nothing("It is off; its settings stay."),
        SWITCH_OFF,
    )
    .asking([Parameter::reference("if_unmodified_since")])
}

fn deliveries(level: &Level) -> Vec<(String, Path)> {
    let Level { tag, name, prefix, .. } = level;
    let at = |rest: &str| format!("{prefix}/{{slug}}{rest}");
    let path = |path: Path| level.path(path).with(["slug"]);
    let trigger = Schema::words(Trigger::ALL.map(Trigger::name));
    let trigger = Parameter::in_query("trigger", "Which kind of event to make a sample of.", trigger);
    let test = Operation::new(format!("test{name}Integration"), tag, "Try an integration", one("What became of it.", "Test"), &[May::Refuse, May::Miss, May::Read, May::NotBeAble])
        .saying("Sends one message, marked as a test, by the same code as real ones: of the event in the body, if the token reaches its project, or else of a sample. Answers when the service has.")
        .asking([trigger])
        .taking(event_body(false));
    let list = Operation::new(
        format!("list{name}Deliveries"),
        tag,
        "List what an integration sent",
        page("Newest first.", "Delivery"),
        SEE,
    )
    .asking(paging());
    let get = Operation::new(
        format!("get{name}Delivery"),
        tag,
        "Show a delivery with its attempts",
        one("The delivery.", "DeliveryDetail"),
        SEE,
    );
    let retry = Operation::new(
        format!("retry{name}Delivery"),
        tag,
        "Send it again",
        ("201", Answer::json("It is due now.", Schema::reference("Delivery"))),
        &[May::Refuse, May::Miss, May::LookInside, May::NotBeAble],
    )
    .saying("What is still on its way is answered with 422.");
    vec![
        (at("/test"), path(Path::of([("post", test)]))),
        (at("/deliveries"), path(Path::of([("get", list)]))),
        (at("/deliveries/{delivery_id}"), path(Path::of([("get", get)])).with(["delivery"])),
        (at("/deliveries/{delivery_id}/retry"), path(Path::of([("post", retry)])).with(["delivery"])),
    ]
}

/// All of the above is there under its former name too, and these stand for it.
fn former(level: &Level, prefix: &str) -> [(String, Path); 2] {
    let Level { tag, name, what, .. } = level;
    let old = |operation: Operation| Operation { deprecated: true, ..operation };
    let list = Operation::new(
        format!("list{name}Services"),
        tag,
        format!("List the active integrations of {what}"),
        many("All of them, on one page.", "IntegrationBasic"),
        SEE,
    );
    let get = Operation::new(
        format!("get{name}Service"),
        tag,
        format!("Show an integration of {what}"),
        one("The integration, switched on or off.", "Integration"),
        SEE,
    );
    let any_of = ADAPTERS.iter().map(|entry| Schema::reference(&settings::schema_name(entry))).collect();
    let content = Content::json(Schema { any_of, ..Schema::default() });
    let put = Operation::new(
        format!("put{name}Service"),
        tag,
        format!("Set an integration of {what}"),
        one("The integration as it is now, switched on.", "Integration"),
        CHANGE,
    )
    .saying("`/services` is an older name of `/integrations`, with the same routes.")
    .taking(Body { required: true, content, ..Body::default() });
    let delete = Operation::new(
        format!("delete{name}Service"),
        tag,
        format!("Switch an integration of {what} off"),
        nothing("It is off; its settings stay."),
        SWITCH_OFF,
    );
    let operations = [("get", old(get)), ("put", old(put)), ("delete", old(delete))];
    [
        (prefix.to_owned(), level.path(Path::of([("get", old(list))]))),
        (format!("{prefix}/{{slug}}"), level.path(Path::of(operations)).with(["slug"])),
    ]
}

fn commands() -> Vec<(String, Path)> {
    let path = |service: &'static str, name: &'static str| {
        let properties = [
            ("token", Schema::text().saying("What the service was given when the command was set up.")),
            ("command", Schema::text()),
            ("text", Schema::text().saying("What stands after the command.")),
            ("channel_name", Schema::text()),
            ("user_name", Schema::text()),
            ("response_url", Schema::text()),
        ];
        let schema = Schema { required: vec!["token".into()], ..Schema::object(properties) };
        let content = Ordered::from_iter(
            ["application/x-www-form-urlencoded", "application/json"]
                .map(|kind| (kind, Content { schema: schema.clone(), example: None })),
        );
        let operation = Operation::new(
            format!("trigger{name}Command"),
            COMMANDS,
            format!("Take a command from {name}"),
            one("What the room is shown.", "CommandAnswer"),
            &[May::Miss, May::Read],
        )
        .saying(
            "It needs no token but the one in the body; a wrong one is answered as if nothing were there.",
        )
        .taking(Body { required: true, content, ..Body::default() })
        .open();
        let path = format!("/projects/{{id}}/integrations/{service}_slash_commands/trigger");
        (path, Path::of([("post", operation)]).with(["project"]))
    };
    vec![path("slack", "Slack"), path("mattermost", "Mattermost")]
}

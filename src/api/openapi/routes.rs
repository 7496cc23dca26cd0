//! Every address of the API and what can be asked there.

use super::answers::{May, refusals};
use super::model::{Answer, Body, Content, Header, Operation, Ordered, Parameter, Path, Schema};
use super::{integrations, objects};

pub(super) const PROJECTS: &str = "Projects and groups";
pub(super) const EVENTS: &str = "Events";
pub(super) const LOG: &str = "Audit log";
pub(super) const ABOUT: &str = "About";

/// All of them.
pub(super) fn paths() -> Ordered<Path> {
    let mut paths = integrations::paths();
    paths.extend(projects_and_groups());
    paths.extend(events());
    paths.push(("/audit_events".into(), Path::of([("get", audit_events())])));
    paths.extend(about());
    paths.into_iter().collect()
}

impl Path {
    pub(super) fn of<const N: usize>(operations: [(&'static str, Operation); N]) -> Self {
        Self { parameters: Vec::new(), operations: Ordered::from_iter(operations) }
    }

    pub(super) fn with<const N: usize>(self, parameters: [&str; N]) -> Self {
        let parameters = parameters.map(Parameter::reference);
        Self { parameters: self.parameters.into_iter().chain(parameters).collect(), ..self }
    }
}

impl Operation {
    pub(super) fn new(
        id: impl Into<String>,
        tag: &'static str,
        summary: impl Into<String>,
        answer: (&'static str, Answer),
        may: &[May],
    ) -> Self {
        Self {
            id: id.into().into(),
            tags: vec![tag],
            summary: summary.into().into(),
            responses: [answer].into_iter().chain(refusals(may)).collect(),
            ..Self::default()
        }
    }

    pub(super) fn saying(self, description: impl Into<String>) -> Self {
        Self { description: description.into().into(), ..self }
    }

    pub(super) fn taking(self, body: Body) -> Self {
        Self { body: Some(body), ..self }
    }

    pub(super) fn asking<const N: usize>(self, parameters: [Parameter; N]) -> Self {
        Self { parameters: parameters.into(), ..self }
    }

    /// As it is for everybody, with a token or without.
    pub(super) fn open(self) -> Self {
        Self { security: Some(Vec::new()), ..self }
    }
}

pub(super) fn one(description: &'static str, schema: &str) -> (&'static str, Answer) {
    ("200", Answer::json(description, Schema::reference(schema)))
}

pub(super) fn many(description: &'static str, schema: &str) -> (&'static str, Answer) {
    ("200", Answer::json(description, Schema::list(Schema::reference(schema))))
}

/// A page of a list; `Link` names the next.
pub(super) fn page(description: &'static str, schema: &str) -> (&'static str, Answer) {
    let (status, answer) = many(description, schema);
    let link = Header {
        description: "The next page, with `rel=\"next\"`, where there is one.".into(),
        schema: Schema::text(),
    };
    (status, Answer { headers: Ordered::from_iter([("Link", link)]), ..answer })
}

pub(super) fn nothing(description: &'static str) -> (&'static str, Answer) {
    ("204", Answer { description: description.into(), ..Answer::default() })
}

/// The parameters of every list that has pages.
pub(super) fn paging() -> [Parameter; 2] {
    [Parameter::reference("before"), Parameter::reference("per_page")]
}

/// `components.parameters`
pub(super) fn parameters() -> Ordered<Parameter> {
    let number = || Schema { minimum: Some(1), ..Schema::integer() };
    let project = "The project's number, or its full path with `/` written as `%2F`.";
    let group = "The group's full path with `/` written as `%2F`, or its number where that is known.";
    let per_page = Schema { minimum: Some(1), default: Some(20.into()), ..Schema::integer() };
    let since = "Refuse with 412 where it was changed after this moment.";
    Ordered::from_iter([
        ("project", Parameter::in_path("id", project, Schema::text())),
        ("group", Parameter::in_path("id", group, Schema::text())),
        ("slug", Parameter::in_path("slug", "The adapter, with dashes or underscores.", objects::slug())),
        ("delivery", Parameter::in_path("delivery_id", "The delivery's number.", number())),
        ("quarantined", Parameter::in_path("id", "The message's number.", number())),
        (
            "before",
            Parameter::in_query(
                "before",
                "Only what is below this number: the page after the one that ended with it.",
                number(),
            ),
        ),
        (
            "per_page",
            Parameter::in_query("per_page", "How many a page has; more than 100 count as 100.", per_page),
        ),
        (
            "if_unmodified_since",
            Parameter {
                place: "header",
                ..Parameter::in_query("If-Unmodified-Since", since, Schema::text())
            },
        ),
    ])
}

fn projects_and_groups() -> Vec<(String, Path)> {
    let see = &[May::Refuse, May::Miss];
    let change = &[May::Refuse, May::Miss, May::Read, May::Change];
    let list = Operation::new(
        "listProjects",
        PROJECTS,
        "List projects",
        page("Those that the token reaches.", "Project"),
        &[May::Refuse],
    )
    .saying("Projects are known from their events, and from requests that set something for one.")
    .asking(paging());
    let get = Operation::new("getProject", PROJECTS, "Show a project", one("The project.", "Project"), see);
    let put = Operation::new("putProject", PROJECTS, "Correct what is known of a project", one("The project as it is now.", "Project"), change)
        .saying("What is said here goes before what events tell. Null takes it back; what is not sent stays as it is.")
        .taking(form(project_parameters()));
    let get_group = Operation::new("getGroup", PROJECTS, "Show a group", one("The group.", "Group"), see);
    let put_group = Operation::new("putGroup", PROJECTS, "Tell of a group", one("The group as it is now.", "Group"), change)
        .saying("Events name groups by path alone. Told its number, a group can be found by it, and keeps its integrations when it is renamed.")
        .taking(form(group_parameters()));
    vec![
        ("/projects".into(), Path::of([("get", list)])),
        ("/projects/{id}".into(), Path::of([("get", get), ("put", put)]).with(["project"])),
        ("/groups/{id}".into(), Path::of([("get", get_group), ("put", put_group)]).with(["group"])),
    ]
}

fn project_parameters() -> Schema {
    let branches = Schema {
        any_of: vec![Schema::list(Schema::text()), Schema::of(&["string", "null"])],
        ..Schema::default()
    };
    optional([
        (
            "path_with_namespace",
            Schema::text().or_null().saying("Its full path. For tokens of the instance."),
        ),
        ("default_branch", Schema::text().or_null()),
        ("visibility", objects::visibility().or_null()),
        (
            "protected_branches",
            branches.saying("Names and wildcards (`*-stable`), as a list or with commas."),
        ),
    ])
}

fn group_parameters() -> Schema {
    optional([
        ("number", Schema::integer().saying("The forge's number.")),
        ("full_path", Schema::text().saying("Its full path, where it was renamed.")),
    ])
}

fn optional<const N: usize>(properties: [(&'static str, Schema); N]) -> Schema {
    Schema { required: Vec::new(), ..Schema::object(properties) }
}

fn form(schema: Schema) -> Body {
    Body { required: true, content: Content::json(schema), ..Body::default() }
}

/// An event in a body: what a webhook of a GitLab sends.
pub(super) fn event_body(required: bool) -> Body {
    let description = "An event, as a webhook sends it.".into();
    Body { description, required, content: Content::json(Schema::of(&["object"])) }
}

fn events() -> Vec<(String, Path)> {
    let see = &[May::Refuse, May::Miss];
    let explain = Operation::new(
        "explainEvent",
        EVENTS,
        "Show who would hear of an event",
        one("Each integration's answer, with the reason.", "Explanation"),
        &[May::Refuse, May::Miss, May::Read, May::NotBeAble],
    )
    .saying("Nothing is sent and nothing kept. What is no event is answered with 422 and the reason; one of a project or group that the token does not reach, with 404.")
    .taking(event_body(true));
    let list = Operation::new(
        "listQuarantine",
        EVENTS,
        "List what could not be understood",
        page("Newest first.", "Quarantined"),
        &[May::Refuse],
    )
    .saying("For tokens of the instance.")
    .asking(paging());
    let get = Operation::new(
        "getQuarantined",
        EVENTS,
        "Show one message",
        one("The message.", "QuarantinedDetail"),
        see,
    );
    let delete = Operation::new(
        "deleteQuarantined",
        EVENTS,
        "Throw a message away",
        nothing("It is gone."),
        &[May::Refuse, May::Miss, May::LookInside],
    );
    let retry = Operation::new(
        "retryQuarantined",
        EVENTS,
        "Try a message again",
        nothing("It was understood this time, and is on its way."),
        &[May::Refuse, May::Miss, May::LookInside, May::NotBeAble],
    )
    .saying("What still can't be understood stays where it is: 422, with the reason.");
    vec![
        ("/events/explain".into(), Path::of([("post", explain)])),
        ("/quarantine".into(), Path::of([("get", list)])),
        ("/quarantine/{id}".into(), Path::of([("get", get), ("delete", delete)]).with(["quarantined"])),
        ("/quarantine/{id}/retry".into(), Path::of([("post", retry)]).with(["quarantined"])),
    ]
}

fn audit_events() -> Operation {
    Operation::new(
        "listAuditEvents",
        LOG,
        "Show who changed what",
        page("Newest first.", "AuditEvent"),
        &[May::Refuse],
    )
    .saying("For tokens of the instance.")
    .asking(paging())
}

fn about() -> Vec<(String, Path)> {
    let version = Operation::new(
        "getVersion",
        ABOUT,
        "Tell the version",
        one("Forgebell's, not a GitLab's.", "Version"),
        &[May::Refuse],
    );
    let document = ("200", Answer::json("This document.", Schema::of(&["object"])));
    let document = Operation::new("getOpenApi", ABOUT, "Show this document", document, &[]).open();
    let page = Content { schema: Schema::text(), example: None };
    let page = Answer {
        content: Ordered::from_iter([("text/html", page)]),
        description: "The page.".into(),
        ..Answer::default()
    };
    let docs = Operation::new("getDocs", ABOUT, "Show this document to people", ("200", page), &[]).open();
    vec![
        ("/version".into(), Path::of([("get", version)])),
        ("/openapi.json".into(), Path::of([("get", document)])),
        ("/docs".into(), Path::of([("get", docs)])),
    ]
}

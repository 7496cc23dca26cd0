//! What the API was told, as commands see it: explained, written to files, and brought from files to a store.

use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;

use forgebell::adapters;
use forgebell::catalog::{Actor, CachedCatalog, Catalog as _, Change, Request, ResolvedScope};
use forgebell::event::{Event, EventId};
use forgebell::integration::Scope;
use forgebell::settings::Value as Setting;
use forgebell::store::registry::{Correction, Mute, ProjectCorrection, Visibility};
use forgebell::store::seal::Keyring;
use forgebell::store::sqlite::Sqlite;
use jiff::Timestamp;

use super::*;
use crate::harness::payloads::with;

/// Projects that something is said of, or above.
const PROJECTS: [(i64, &str); 6] = [
    (42, "acme/web/rocket"),
    (43, "acme/web/shed"),
    (44, "acme/hut"),
    (45, "other/thing"),
    (46, "acme-web/lab"),
    (47, "acme/web/inner/new"),
];

fn project(id: i64) -> Scope {
    Scope::ProjectId(id)
}

fn group(path: &str) -> Scope {
    Scope::Group(path.to_owned())
}

/// Changes integrations as the API does, while no daemon runs.
struct Api(CachedCatalog);

impl Api {
    async fn at(desk: &Desk) -> Self {
        let store = Sqlite::open(&desk.file("forgebell.db"), Keyring::none()).expect("the store opens");
        Self(CachedCatalog::open(Arc::new(store)).await.expect("the store answers"))
    }

    fn resolved(&self, scope: &Scope) -> ResolvedScope {
        self.0.read(|state| state.directory().resolve(scope))
    }

    async fn put(&self, scope: &Scope, slug: &str, settings: &[(&str, &str)], flags: &[(&str, bool)]) {
        let text = |text: &str| Setting::Text(text.to_owned());
        let own = (!settings.is_empty()).then_some(false);
        let request = Request {
            settings: settings.iter().map(|(name, value)| ((*name).to_owned(), text(value))).collect(),
            flags: flags.iter().map(|(name, on)| ((*name).to_owned(), *on)).collect(),
            use_inherited_settings: own.or(Some(true)),
            ..Request::default()
        };
        let (scope, actor) = (self.resolved(scope), actor());
        self.0.put(change(&scope, slug, &actor), &request).await.expect("it is set");
    }

    async fn off(&self, scope: &Scope, slug: &str) {
        let (scope, actor) = (self.resolved(scope), actor());
        self.0.deactivate(change(&scope, slug, &actor)).await.expect("it is switched off");
    }

    async fn learn(&self) {
        let events = PROJECTS.map(|(id, path)| {
            let id_of_event = EventId::new("event").expect("a short id");
            let raw = of_project("push.json", id, path).into();
            Arc::new(Event::decode(id_of_event, Timestamp::UNIX_EPOCH, raw).expect("an event"))
        });
        self.0.learn(&events, Timestamp::UNIX_EPOCH).await.expect("the store takes it");
    }

    /// A bit of everything that can be configured.
    async fn configure(&self) {
        self.learn().await;
        let corrected = ProjectCorrection {
            id: 42,
            path: None,
            default_branch: Correction::Is("trunk".to_owned()),
            visibility: Correction::Is(Visibility::Internal),
            protected_branches: Correction::Is(vec!["master".to_owned(), "*-stable".to_owned()]),
        };
        let actor = actor();
        self.0.correct(corrected, &actor, Timestamp::UNIX_EPOCH).await.expect("it is taken");
        self.0.put_group(Some(7), "acme", &actor, Timestamp::UNIX_EPOCH).await.expect("it is taken");
        let hook = |name: &str| format!("https://hooks.slack.com/services/T0/B0/{name}");
        self.put(&Scope::Instance, "slack", &[("webhook", &hook("instance")), ("channel", "#all")], &[])
            .await;
        let acme = [("webhook", &*hook("acme")), ("channel", "#acme"), ("labels_to_be_notified", "~bug")];
        self.put(&group("acme"), "slack", &acme, &[("push_events", false)]).await;
        self.put(&group("acme/web"), "slack", &[], &[]).await;
        // Names that differ in what a file's name might not tell apart.
        self.put(&group("acme-web"), "slack", &[("webhook", &hook("acme-web"))], &[]).await;
        self.put(&group("acme/web"), "mattermost", &[("webhook", "https://chat.example.com/hooks/web")], &[])
            .await;
        self.put(&group("acme-web"), "mattermost", &[("webhook", "https://chat.example.com/hooks/lab")], &[])
            .await;
        let rocket = [
            ("webhook", &*hook("rocket")),
            ("channel", "#rocket, #ops"),
            ("merge_request_channel", "#reviews"),
            ("username", "a \"bell\" \\ of\nours"),
            ("branches_to_be_notified", "protected"),
            ("notify_only_broken_pipelines", "true"),
        ];
        self.put(&project(42), "slack", &rocket, &[("job_events", true), ("note_events", false)]).await;
        self.off(&project(42), "mattermost").await;
        self.off(&project(43), "slack").await;
        self.put(&project(44), "slack", &[], &[]).await;
        let room = [("token", "a+token%&"), ("room", "ops"), ("server", "https://chat.example.com")];
        self.put(&project(44), "hipchat", &room, &[("tag_push_events", true)]).await;
        self.put(&project(45), "mattermost", &[("webhook", "https://chat.example.com/hooks/off")], &[]).await;
        self.off(&project(45), "mattermost").await;
    }
}

fn actor() -> Actor {
    Actor("token ci (1)".to_owned())
}

fn change<'a>(scope: &'a ResolvedScope, slug: &str, actor: &'a Actor) -> Change<'a> {
    let entry = adapters::find(slug).expect("there is such an adapter");
    Change { scope, entry, unless_changed_since: None, actor, now: Timestamp::UNIX_EPOCH }
}

fn of_project(file: &str, id: i64, path: &str) -> Vec<u8> {
    with(&payload(file), |json| {
        json["project"]["id"] = json!(id);
        json["project"]["path_with_namespace"] = json!(path);
    })
}

/// What a set of events would be told, by `explain`.
async fn explained(desk: &Desk, events: &[String]) -> Value {
    let files = events.iter().map(String::as_str);
    let words: Vec<_> = ["explain", "--json"].into_iter().chain(files).collect();
    desk.run(&words).await.ends_with(0).json()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_applied_to_another_store_behaves_the_same() {
    let here = Desk::new("");
    Api::at(&here).await.configure().await;
    let kinds = [
        "push.json",
        "tag_push.json",
        "merge_request_open.json",
        "note_merge_request.json",
        "pipeline_success.json",
        "issue_open.json",
    ];
    let mut events = Vec::new();
    for (id, path) in PROJECTS {
        for kind in kinds {
            events.push(here.write(&format!("{id}-{kind}"), of_project(kind, id, path)));
        }
    }
    let expected = explained(&here, &events).await;
    let told = expected.to_string();
    for part in [
        "42:slack",
        "#reviews",
        "46:mattermost",
        "44:hipchat",
        "45:slack",
        "\"skip\"",
        "the integration is switched off (active = false)",
    ] {
        assert!(told.contains(part), "{part} is not in {told}");
    }

    let backup = here.file("backup").display().to_string();
    let file = format!("{backup}/integrations.toml");
    here.run(&["export", "--to", &backup, "--with-secrets"]).await.ends_with(0);
    let text = std::fs::read_to_string(&file).expect("it was written");
    assert!(!text.contains("hooks/lab") && !text.contains("services/T0"), "no secret is in it: {text}");
    for secret in std::fs::read_dir(format!("{backup}/secrets")).expect("they were written") {
        let mode = secret.expect("a file").metadata().expect("it can be looked at").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    let again = here.run(&["export", "--to", &backup]).await.ends_with(1);
    assert!(again.err.contains("exists already"), "{}", again.err);
    let same = here.run(&["apply", &file, "--dry-run"]).await.ends_with(0).out;
    assert_eq!(same, "nothing would change\n", "what is there is what was written");

    let there = Desk::new("");
    there.run(&["migrate"]).await.ends_with(0);
    let before = there.run(&["apply", &file, "--dry-run"]).await.ends_with(0).out;
    assert!(before.contains("+ slack of project 42\n    active = true\n"), "{before}");
    assert!(
        before.ends_with("would change; nothing was changed\n") && !before.contains("services/T0"),
        "{before}"
    );
    let nothing = explained(&there, &events).await.to_string();
    assert!(!nothing.contains("\"deliver\""), "a look changes nothing: {nothing}");
    there.run(&["apply", &file]).await.ends_with(0);
    assert_eq!(there.run(&["apply", &file, "--dry-run"]).await.ends_with(0).out, "nothing would change\n");
    assert_eq!(explained(&there, &events).await, expected);
    // What is written from there is what was written here.
    let copy = there.file("backup").display().to_string();
    there.run(&["export", "--to", &copy, "--with-secrets"]).await.ends_with(0);
    let copied = std::fs::read_to_string(format!("{copy}/integrations.toml")).expect("it was written");
    assert_eq!(copied, text);
    // Projects with inherited integrations only need not be known to the store.
    let log = there.run(&["audit", "list", "--json"]).await.ends_with(0).json();
    assert!(log.to_string().contains("command line") && !log.to_string().contains("services/T0"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_says_what_would_change_and_why_it_cannot() {
    let filed = "[[integration]]\nproject = 45\nadapter = \"slack\"\nwebhook = \"https://hooks.slack.com/services/T/B/f\"\n";
    let desk = Desk::new(filed);
    Api::at(&desk).await.configure().await;
    let file = desk.write(
        "next.toml",
        "[[project]]\nid = 42\npath = \"acme/web/rocket\"\ndefault_branch = \"main\"\n\n\
         [[project]]\nid = 50\npath = \"acme/fresh\"\n\n\
         [[group]]\npath = \"acme/web\"\nid = 9\n\n\
         [[integration]]\nproject = \"acme/web/rocket\"\nadapter = \"slack\"\nchannel = \"\"\n\
         webhook = \"https://hooks.slack.com/services/T0/B0/other\"\npush_events = false\n\n\
         [[integration]]\ninstance = true\nadapter = \"slack\"\nchannel = \"#all\"\n\
         webhook = \"https://hooks.slack.com/services/T0/B0/instance\"\n",
    );
    let shown = desk.run(&["apply", &file, "--dry-run", "--prune"]).await.ends_with(0).out;
    let expected = "\
~ project 42
    default_branch: trunk -> main
+ project 50
    path = acme/fresh
~ group acme/web
    id = 9
~ slack of project 42
    branches_to_be_notified: protected -> not set
    channel: #rocket, #ops -> \"\"
    job_events: true -> not set
    merge_request_channel: #reviews -> not set
    note_events: false -> not set
    notify_only_broken_pipelines: true -> not set
    push_events = false
    username: a \"bell\" \\ of ours -> not set
    webhook: another secret
";
    assert!(shown.starts_with(expected), "it said:\n{shown}but should have begun with:\n{expected}");
    let rest = &shown[expected.len()..];
    // What has a default in the files follows it, as if nothing had been said; what has none is off.
    let follows =
        "~ slack of group acme-web\n    active: true -> not set\n    use_inherited_settings = true\n";
    assert!(rest.contains(follows), "{rest}");
    assert!(rest.contains("~ hipchat of project 44\n    active: true -> false\n"), "{rest}");
    assert!(!rest.contains("slack of project 44"), "it followed what was above it, and does: {rest}");
    assert!(!rest.contains("project 43") && !rest.contains("project 45"), "what is off is off: {rest}");
    assert!(
        rest.ends_with("2 projects, 1 group, 6 integrations would change; nothing was changed\n"),
        "{rest}"
    );

    let done = desk.run(&["apply", &file, "--prune"]).await.ends_with(0).out;
    assert!(done.ends_with("2 projects, 1 group, 6 integrations changed\n"), "{done}");
    assert_eq!(
        desk.run(&["apply", &file, "--prune", "--dry-run"]).await.ends_with(0).out,
        "nothing would change\n"
    );

    let twice =
        desk.write("twice.toml", filed.replace("45", "42") + &filed.replace("45", "\"acme/web/rocket\""));
    let refused = desk.run(&["apply", &twice]).await.ends_with(1).err;
    assert!(refused.contains("slack of project 42 is configured twice"), "{refused}");
    let theirs = desk.write("theirs.toml", filed);
    let refused = desk.run(&["apply", &theirs, "--dry-run"]).await.ends_with(1).err;
    assert!(
        refused.contains("slack of project 45 is configured in ") && refused.contains("integrations.toml"),
        "{refused}"
    );
    // A project of which only the path is known is kept by its path.
    let unknown = desk.write("unknown.toml", filed.replace("45", "\"acme/unknown\""));
    desk.run(&["apply", &unknown]).await.ends_with(0);
    let exported = desk.run(&["export"]).await.ends_with(0).out;
    assert!(exported.contains("project = \"acme/unknown\""), "{exported}");
}

/// Two teams' settings for the same projects, all of them told at one receiver.
impl Api {
    async fn slack(&self, scope: &Scope, receiver: &Receiver, name: &str) {
        let hook = receiver.slack_like(&format!("/services/T0/B0/{name}"));
        self.put(scope, "slack", &[("webhook", &hook.url()), ("channel", &format!("#{name}"))], &[]).await;
    }

    async fn mattermost(&self, scope: &Scope, receiver: &Receiver, name: &str) {
        let hook = receiver.slack_like(&format!("/hooks/{name}"));
        self.put(scope, "mattermost", &[("webhook", &hook.url())], &[]).await;
    }

    /// Defaults at every height, and who goes by them, by their own, or by none.
    async fn configure_here(&self, receiver: &Receiver) {
        self.learn().await;
        self.slack(&Scope::Instance, receiver, "here-all").await;
        self.slack(&group("acme"), receiver, "here-acme").await;
        self.put(&group("acme/web"), "slack", &[], &[]).await;
        self.mattermost(&group("acme/web"), receiver, "here-web").await;
        self.slack(&project(42), receiver, "here-rocket").await;
        self.off(&project(43), "slack").await;
    }

    /// The same places, and others, told otherwise.
    async fn configure_there(&self, receiver: &Receiver) {
        self.learn().await;
        self.slack(&Scope::Instance, receiver, "there-all").await;
        self.mattermost(&Scope::Instance, receiver, "there-all").await;
        self.slack(&group("acme"), receiver, "there-acme").await;
        self.slack(&group("acme/web"), receiver, "there-web").await;
        self.slack(&group("acme/web/inner"), receiver, "there-inner").await;
        self.mattermost(&group("acme-web"), receiver, "there-lab").await;
        self.slack(&project(42), receiver, "there-rocket").await;
        self.slack(&project(44), receiver, "there-hut").await;
        receiver.at("/v2/room/there/notification").answer(Answer::status(204));
        let (server, room) = (receiver.url("/"), [("token", "a-token"), ("room", "there")]);
        let room = [room[0], room[1], ("server", &*server)];
        self.put(&project(45), "hipchat", &room, &[]).await;
        self.mattermost(&project(47), receiver, "there-new").await;
    }
}

/// Whom a daemon with what the desk has configured tells what, in a real run; as many as `explain` says.
async fn told(desk: &Desk, receiver: &Receiver, events: &[String]) -> Vec<(String, String)> {
    let explained = explained(desk, events).await;
    let verdicts =
        explained.as_array().expect("a list").iter().filter_map(|event| event["verdicts"].as_array());
    let hear = verdicts.flatten().filter(|verdict| verdict["verdict"] == "deliver");
    let expected: usize = hear.map(|verdict| verdict["targets"].as_array().expect("a list").len()).sum();
    let before = receiver.received().len();
    let mut daemon = desk.serve().await;
    for event in events {
        desk.run(&["publish", event]).await.ends_with(0);
    }
    eventually("all is told", PATIENCE, async || {
        let delivered =
            desk.run(&["deliveries", "list", "--state", "delivered", "--limit", "500", "--json"]).await;
        (delivered.ends_with(0).json().as_array()?.len() >= expected).then_some(())
    })
    .await;
    signal(&daemon, "TERM");
    assert_eq!(end_of(&mut daemon).await, Some(0));
    let heard = receiver.received();
    let mut heard: Vec<_> = heard[before..].iter().map(|told| (told.path.clone(), told.text())).collect();
    assert_eq!(heard.len(), expected, "{explained}");
    heard.sort();
    heard
}

#[tokio::test(flavor = "multi_thread")]
async fn apply_with_prune_makes_another_store_behave_the_same() {
    const QUICK: &str = "rate_limits.enabled = false";
    let receiver = Receiver::start().await;
    let (here, there, untouched) = (Desk::with("", QUICK), Desk::with("", QUICK), Desk::with("", QUICK));
    let mut events = Vec::new();
    for (id, path) in PROJECTS {
        for kind in ["push.json", "merge_request_open.json"] {
            events.push(here.write(&format!("{id}-{kind}"), of_project(kind, id, path)));
        }
    }
    Api::at(&here).await.configure_here(&receiver).await;
    for desk in [&there, &untouched] {
        Api::at(desk).await.configure_there(&receiver).await;
    }
    let expected = told(&here, &receiver, &events).await;
    let by = |heard: &[(String, String)], name: &str| {
        heard.iter().filter(|(path, _)| path.ends_with(name)).count()
    };
    // 44 and 47 by acme, 45 and 46 by all, 42 by itself; 43 not at all. 42, 43 and 47 lie in acme/web.
    assert_eq!(
        ["here-acme", "here-all", "here-rocket", "here-web"].map(|name| by(&expected, name)),
        [4, 4, 2, 6]
    );
    let others = told(&untouched, &receiver, &events).await;
    assert!(others.iter().all(|(path, _)| path.contains("there")), "{others:?}");

    let backup = here.file("backup").display().to_string();
    here.run(&["export", "--to", &backup, "--with-secrets"]).await.ends_with(0);
    let file = format!("{backup}/integrations.toml");
    there.run(&["apply", &file, "--prune"]).await.ends_with(0);
    let again = there.run(&["apply", &file, "--prune", "--dry-run"]).await.ends_with(0).out;
    assert_eq!(again, "nothing would change\n");
    assert_eq!(told(&there, &receiver, &events).await, expected);
    // Without it, everything that the file does not mention stays.
    untouched.run(&["apply", &file]).await.ends_with(0);
    let kept = told(&untouched, &receiver, &events).await;
    assert!(
        by(&kept, "there-hut") == 2 && by(&kept, "there-all") > 0 && by(&kept, "here-all") > 0,
        "{kept:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn explain_uses_the_integrations_set_with_the_api() {
    let desk = Desk::new("");
    let push = desk.write("event.json", of_project("push.json", 42, "acme/web/rocket"));
    let files_alone = desk.run(&["explain", &push]).await.ends_with(0);
    assert!(files_alone.out.contains("there are no integrations at all") && files_alone.err.is_empty());

    let api = Api::at(&desk).await;
    api.configure().await;
    // Only what was told of the project makes this branch one of the protected ones.
    let said = desk.run(&["explain", &push]).await.ends_with(0).out;
    assert!(said.contains("42:slack") && said.contains("#rocket (") && said.contains("#ops ("), "{said}");
    let in_an_hour = forgebell::daemon::now().as_second() + 3600;
    let until = Timestamp::from_second(in_an_hour).expect("a moment");
    let mute = Mute {
        project: 42,
        slug: "slack".to_owned(),
        channel: "ops".to_owned(),
        until,
        by: "@ada".to_owned(),
        revision: 0,
    };
    api.0.mute(mute.clone(), &actor(), forgebell::daemon::now()).await.expect("it is taken");
    let said = desk.run(&["explain", &push]).await.ends_with(0).out;
    assert!(said.contains(&format!("#ops is muted by @ada until {until}")), "{said}");
    assert!(said.contains("#rocket (") && !said.contains("#ops ("), "only that channel: {said}");
    let json = desk.run(&["explain", "--json", &push]).await.ends_with(0).json();
    let verdicts = json[0]["verdicts"].as_array().expect("a list");
    let verdict =
        |word: &str| verdicts.iter().find(|verdict| verdict["verdict"] == word).expect("it is there");
    assert_eq!(verdict("deliver")["targets"][0]["target"], "#rocket");
    assert!(verdict("muted")["why"].as_str().expect("words").contains("@ada"));
    let over = Mute { until: forgebell::daemon::now(), ..mute };
    api.0.mute(over, &actor(), forgebell::daemon::now()).await.expect("it is taken");
    let said = desk.run(&["explain", &push]).await.ends_with(0).out;
    assert!(said.contains("#ops (") && !said.contains("muted"), "a mute that is over is over: {said}");

    let checked = desk.run(&["check"]).await.out;
    assert!(checked.contains("forgebell.db answers, with 12 integrations, 9 of them active"), "{checked}");
    drop(api);

    // Without the key, the files have to do.
    std::fs::rename(desk.file("forgebell.db.key"), desk.file("elsewhere")).expect("the folder is ours");
    let blind = desk.run(&["explain", &push]).await.ends_with(0);
    assert!(
        blind.err.contains("only what the files say is known") && blind.err.contains("sealed with the key"),
        "{}",
        blind.err
    );
    assert!(blind.out.contains("there are no integrations at all"), "{}", blind.out);
}

#[tokio::test]
async fn check_warns_of_addresses_that_the_guard_refuses() {
    let block = "[[integration]]\nproject = \"acme/rocket\"\nadapter = \"mattermost\"\n";
    let desk = Desk::new(&format!("{block}webhook = \"http://localhost:8065/hooks/deepsecret\"\n"));
    let api = Api::at(&desk).await;
    api.put(&group("acme"), "slack", &[("webhook", "http://127.0.0.1/deepsecret")], &[]).await;
    drop(api);
    let permitted = desk.run(&["check"]).await.ends_with(0).out;
    assert!(permitted.contains("1 integration") && !permitted.contains("blocked"), "{permitted}");

    let problem =
        "webhook: is blocked: Requests to localhost are not allowed; `wire.allow_networks` can permit it";
    let guarded = desk.run(&["-o", "wire.allow_networks=", "check"]).await.ends_with(0).out;
    assert!(
        guarded.contains(&format!("integrations.toml:4: mattermost of project acme/rocket: {problem}")),
        "{guarded}"
    );
    let stored =
        guarded.lines().find(|line| line.contains("slack of")).expect("what is stored is told as well");
    assert!(stored.contains("warning: ") && stored.contains("acme") && stored.ends_with(problem), "{stored}");
    assert!(!guarded.contains("deepsecret"), "{guarded}");
    let file = desk.file("integrations.toml").display().to_string();
    let applied = desk.run(&["-o", "wire.allow_networks=", "apply", &file, "--dry-run"]).await.err;
    assert!(applied.contains(problem) && !applied.contains("deepsecret"), "{applied}");
}

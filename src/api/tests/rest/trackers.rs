//! The issue tracker of a project, of which one is active at most: its addresses, and what slash commands say of it.

use super::*;
use crate::adapters::{self, ADAPTERS};
use crate::catalog::{
    Actor, CachedCatalog, Catalog as _, Change, ChangeError, InvalidChange, Request, ResolvedScope,
    is_tracker,
};
use crate::event::EventId;
use crate::settings::Value as Setting;
use crate::store::registry::Registry;

const REDMINE: &str = "/projects/42/integrations/redmine";
const BUGZILLA: &str = "/projects/42/integrations/bugzilla";
/// GitLab's words.
const ANOTHER: &str = "Failed to update integration. {:base=>[\"Another issue tracker is already in use. Only one issue \
                       tracker service can be active at a time\"]}";

fn pages(host: &str) -> Value {
    json!({
        "project_url": format!("https://{host}/projects/rocket"),
        "issues_url": format!("https://{host}/issues/:id"),
        "new_issue_url": format!("https://{host}/new"),
    })
}

async fn with_project() -> (Api, String) {
    let api = Api::open().await;
    let admin = api.admin().await;
    api.project(42, "acme/rocket").await;
    api.group("acme").await;
    (api, admin)
}

#[tokio::test]
async fn a_second_active_tracker_of_a_project_is_refused_in_gitlabs_words() {
    let (api, admin) = with_project().await;
    assert_eq!(api.put(&admin, REDMINE, &pages("r.example")).await.status, 200);
    let refused = api.put(&admin, BUGZILLA, &pages("b.example")).await;
    assert_eq!(refusal(&refused), message(400, ANOTHER));
    assert_eq!(api.get(&admin, BUGZILLA).await.status, 404, "nothing was kept of it");
    assert_eq!(api.put(&admin, REDMINE, &pages("other.example")).await.status, 200, "it may be set again");
    assert_eq!(api.put(&admin, "/projects/43/integrations/bugzilla", &pages("b.example")).await.status, 200);
    // What is no tracker of this kind goes together with one.
    let wiki = json!({ "external_wiki_url": "https://w.example" });
    assert_eq!(api.put(&admin, "/projects/42/integrations/external-wiki", &wiki).await.status, 200);

    assert_eq!(api.ask(&admin, "DELETE", REDMINE).await.status, 204);
    assert_eq!(api.put(&admin, BUGZILLA, &pages("b.example")).await.status, 200);
    assert_eq!(refusal(&api.put(&admin, REDMINE, &pages("r.example")).await), message(400, ANOTHER));
}

#[tokio::test]
async fn defaults_may_be_several_and_an_inherited_tracker_counts() {
    let (api, admin) = with_project().await;
    for level in ["/integrations", "/groups/acme/integrations"] {
        for slug in ["redmine", "bugzilla"] {
            assert_eq!(
                api.put(&admin, &format!("{level}/{slug}"), &pages("d.example")).await.status,
                200,
                "{level}"
            );
        }
    }
    // A project that inherits is not asked. One with a tracker of its own switches the others off first.
    let inherits = json!({ "use_inherited_settings": true });
    assert_eq!(api.put(&admin, REDMINE, &inherits).await.status, 200);
    let ewm = "/projects/42/integrations/ewm";
    assert_eq!(refusal(&api.put(&admin, ewm, &pages("e.example")).await), message(400, ANOTHER));
    for other in [REDMINE, BUGZILLA] {
        assert_eq!(api.ask(&admin, "DELETE", other).await.status, 204);
    }
    assert_eq!(api.put(&admin, ewm, &pages("e.example")).await.status, 200);
}

#[tokio::test]
async fn of_two_trackers_that_are_set_at_once_one_is_refused() {
    let (api, admin) = with_project().await;
    let (redmine, bugzilla) = (pages("r.example"), pages("b.example"));
    for round in 0..5 {
        let path = |slug: &str| format!("/projects/{}/integrations/{slug}", 100 + round);
        let (first, second) = (path("redmine"), path("bugzilla"));
        let (first, second) =
            tokio::join!(api.put(&admin, &first, &redmine), api.put(&admin, &second, &bugzilla));
        let mut statuses = [first.status, second.status];
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 400]);
    }
}

/// Each node has a catalog of its own; they have the store in common.
#[tokio::test]
async fn of_two_trackers_that_two_nodes_set_at_once_one_is_refused() {
    let (api, _) = with_project().await;
    let beside = CachedCatalog::open(Arc::clone(&api.store) as Arc<dyn Registry>).await.unwrap();
    let (actor, request) = (Actor("ada".to_owned()), |host: &str| {
        let settings = pages(host).as_object().unwrap().clone().into_iter();
        let settings = settings.map(|(name, page)| (name, Setting::Text(page.as_str().unwrap().to_owned())));
        Request { settings: settings.collect(), ..Request::default() }
    });
    for project in 300..320 {
        let scope = ResolvedScope::Project { id: Some(project), path: None };
        let change = |slug: &str| Change {
            scope: &scope,
            entry: adapters::find(slug).unwrap(),
            unless_changed_since: None,
            actor: &actor,
            now: NOW,
        };
        let (redmine, bugzilla) = (request("r.example"), request("b.example"));
        let (one, other) = tokio::join!(
            api.catalog.put(change("redmine"), &redmine),
            beside.put(change("bugzilla"), &bugzilla)
        );
        let refused = match (one, other) {
            (Ok(()), Err(refused)) | (Err(refused), Ok(())) => refused,
            both => panic!("{project}: {both:?}"),
        };
        assert!(matches!(refused, ChangeError::Invalid(InvalidChange::Settings(_))), "{refused:?}");
    }
}

/// A project that is named by its path before its number is known is one with its number's afterwards.
#[tokio::test]
async fn of_the_trackers_of_a_number_and_of_a_path_that_are_one_project_the_numbers_stays_active() {
    let api = Api::open().await;
    let admin = api.admin().await;
    assert_eq!(api.put(&admin, REDMINE, &pages("r.example")).await.status, 200);
    let by_path = "/projects/acme%2Fweb/integrations/bugzilla";
    assert_eq!(api.put(&admin, by_path, &pages("b.example")).await.status, 200);
    let mut first: Value = serde_json::from_slice(&push()).unwrap();
    first["project"]["id"] = json!(42);
    first["project"]["path_with_namespace"] = json!("acme/web");
    let first = Event::decode(EventId::new("first").unwrap(), NOW, first.to_string().into()).unwrap();
    api.catalog.learn(&[Arc::new(first)], NOW).await.unwrap();
    let active = async |path: &str| api.get(&admin, path).await.json()["active"].clone();
    assert_eq!((active(REDMINE).await, active(BUGZILLA).await), (json!(true), json!(false)));
    let bugzilla = api.get(&admin, BUGZILLA).await.json();
    let address = &bugzilla["properties"]["issues_url"];
    assert_eq!(address, "https://b.example/issues/:id", "its settings are kept");
    assert_eq!(api.get(&admin, "/projects/42/external_tracker").await.json()["tracker"], "redmine");
}

#[tokio::test]
async fn the_external_tracker_and_its_issues_have_addresses() {
    let (api, admin) = with_project().await;
    let tracker = "/projects/42/external_tracker";
    let none = message(404, "404 External Issue Tracker Not Found");
    for path in [tracker, "/projects/42/external_issues/ABC-12"] {
        assert_eq!(refusal(&api.get(&admin, path).await), none, "{path}");
    }
    let mut settings = pages("r.example");
    settings["title"] = json!("Our Bugzilla");
    api.put(&admin, BUGZILLA, &settings).await;
    let shown = json!({
        "tracker": "bugzilla", "title": "Our Bugzilla",
        "project_url": "https://r.example/projects/rocket", "new_issue_url": "https://r.example/new",
    });
    assert_eq!(api.get(&admin, tracker).await.json(), shown);
    for (asked, reference) in [("ABC-12", "ABC-12"), ("12", "12"), ("%2312", "#12")] {
        let issue = api.get(&admin, &format!("/projects/acme%2Frocket/external_issues/{asked}")).await;
        let expected = json!({
            "reference": reference, "url": "https://r.example/issues/12", "tracker": "bugzilla", "title": "Our Bugzilla",
        });
        assert_eq!((issue.status, issue.json()), (200, expected), "{asked}");
    }
    for unknown in ["nothing", "12x", "%20", "ABC-12-34"] {
        let issue = api.get(&admin, &format!("/projects/42/external_issues/{unknown}")).await;
        assert_eq!(refusal(&issue), message(404, "404 External Issue Not Found"), "{unknown}");
    }
    let stranger = api.token(ScopeKey::Project(43), Right::Maintain).await;
    assert_eq!(refusal(&api.get(&stranger, tracker).await), message(404, "404 Project Not Found"));
    api.ask(&admin, "DELETE", BUGZILLA).await;
    assert_eq!(refusal(&api.get(&admin, tracker).await), none, "one that is off is none");
}

#[tokio::test]
async fn every_tracker_leads_somewhere() {
    let (api, admin) = with_project().await;
    for (number, entry) in ADAPTERS.iter().filter(|entry| is_tracker(entry)).enumerate() {
        let slug = entry.about.slug;
        let settings: Value = entry.fields.iter().map(|field| (field.name, field.example)).collect();
        let put =
            api.put(&admin, &format!("/projects/{}/integrations/{slug}", 200 + number), &settings).await;
        assert_eq!(put.status, 200, "{slug}: {put:?}");
        let tracker = api.get(&admin, &format!("/projects/{}/external_tracker", 200 + number)).await.json();
        assert_eq!(tracker["tracker"], slug);
        assert!(tracker["project_url"].as_str().is_some_and(|url| url.starts_with("https://")), "{tracker}");
    }
}

async fn said(api: &Api, text: &str) -> String {
    let pairs = [("token", "sl4sh"), ("command", "/forge"), ("text", text), ("channel_name", "ops")];
    let path = "/projects/42/integrations/slack_slash_commands/trigger";
    let answer = answer(form(api.request("POST", path), &pairs)).await;
    assert_eq!((answer.status, &answer.json()["response_type"]), (200, &json!("ephemeral")), "{answer:?}");
    answer.json()["text"].as_str().unwrap().replace('\u{200b}', "")
}

#[tokio::test]
async fn slash_commands_show_where_issues_are() {
    let (api, admin) = with_project().await;
    let slash = json!({ "token": "sl4sh" });
    api.put(&admin, "/projects/42/integrations/slack-slash-commands", &slash).await;
    let unknown = "This project has no external issue tracker, and the forge's address is unknown: the operator can set it as \
                   `forge.url`.";
    assert_eq!(said(&api, "issue show 12").await, unknown);
    let mut settings = pages("r.example");
    settings["title"] = json!("Our Bugzilla");
    api.put(&admin, BUGZILLA, &settings).await;
    for name in ["ABC-12", "12", "#12"] {
        assert_eq!(
            said(&api, &format!("issue show {name}")).await,
            format!("{name} in Our Bugzilla: <https://r.example/issues/12>")
        );
    }
    assert_eq!(
        said(&api, "issue show #12 please").await,
        "#12 in Our Bugzilla: <https://r.example/issues/12>"
    );
    let new = "Write the new issue in Our Bugzilla: <https://r.example/new>";
    for text in ["issue new", "issue new The door is open", "Issue create\nx"] {
        assert_eq!(said(&api, text).await, new);
    }
    let none = said(&api, "issue show nothing").await;
    assert!(none.starts_with("Our Bugzilla has no issues called nothing:"), "{none}");
    assert!(said(&api, "issue show").await.contains("type `issue show 12`"));
    let help = said(&api, "help").await;
    assert!(
        help.contains("`/forge issue show ABC-12`") && help.contains("`/forge issue new TITLE`"),
        "{help}"
    );
}

/// EWM's names of issues have two words or three.
#[tokio::test]
async fn a_slash_command_shows_an_issue_whose_name_has_several_words() {
    let (api, admin) = with_project().await;
    api.put(&admin, "/projects/42/integrations/slack-slash-commands", &json!({ "token": "sl4sh" })).await;
    assert_eq!(api.put(&admin, "/projects/42/integrations/ewm", &pages("e.example")).await.status, 200);
    for name in ["bug 12", "work item 12", "12"] {
        let said = said(&api, &format!("issue show {name}")).await;
        assert!(said.starts_with(&format!("{name} in ")), "{said}");
        assert!(said.ends_with("<https://e.example/issues/12>"), "{said}");
    }
}

#[tokio::test]
async fn what_can_be_tested_is_asked_and_what_can_not_says_so() {
    let (api, admin) = with_project().await;
    let wiki = json!({ "external_wiki_url": "https://w.example/x" });
    api.put(&admin, "/projects/42/integrations/external-wiki", &wiki).await;
    let test = async || api.ask(&admin, "POST", "/projects/42/integrations/external-wiki/test").await.json();
    let good = test().await;
    assert_eq!((&good["success"], &good["message"]), (&json!(true), &json!("answered 200")), "{good}");
    assert_eq!(good["attempts"][0]["outcome"], "reached");
    let shown = api.get(&admin, "/projects/42/integrations/external-wiki").await.json();
    let health = json!({
        "reached": true, "since": "2026-01-15T09:30:00.000Z", "checked_at": "2026-01-15T09:30:00.000Z", "note": "answered 200",
    });
    assert_eq!(shown["health"], health);
    api.service.status.store(404, Ordering::Relaxed);
    let bad = test().await;
    assert_eq!((&bad["success"], &bad["attempts"][0]["status"]), (&json!(false), &json!(404)), "{bad}");

    let confluence = json!({ "confluence_url": "https://acme.atlassian.net/wiki" });
    api.put(&admin, "/projects/42/integrations/confluence", &confluence).await;
    let refused = api.ask(&admin, "POST", "/projects/42/integrations/confluence/test").await;
    assert_eq!(refused.status, 422, "{refused:?}");
    assert!(refused.text.contains("can't be tested: it is sent no events"), "{refused:?}");
}

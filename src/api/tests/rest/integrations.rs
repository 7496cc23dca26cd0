//! Set, shown, listed, switched off; inherited; changed by several at once.

use serde_json::Map;

use super::*;
use crate::adapters::{ADAPTERS, Entry};
use crate::catalog::{ResolvedScope, Snapshot};
use crate::settings::Field;

const SLACK: &str = "/projects/42/integrations/slack";

#[tokio::test]
async fn what_is_put_is_shown_without_its_secrets() {
    let api = Api::open().await;
    let admin = api.admin().await;
    let put =
        api.put(&admin, SLACK, &json!({ "webhook": HOOK, "channel": "#ops", "push_events": "off" })).await;
    assert_eq!(put.status, 200, "a creation is 200 too: {put:?}");
    let shown = put.json();
    assert_eq!(shown["title"], "Slack notifications");
    assert_eq!(
        (&shown["slug"], &shown["active"], &shown["inherited"]),
        (&json!("slack"), &json!(true), &json!(false))
    );
    assert_eq!((&shown["push_events"], &shown["issues_events"]), (&json!(false), &json!(true)));
    let properties = &shown["properties"];
    assert_eq!((&properties["channel"], &properties["username"]), (&json!("#ops"), &json!(null)));
    assert_eq!(properties["notify_only_broken_pipelines"], true, "the default of what was never set");
    assert!(properties.get("webhook").is_none(), "{properties}");
    assert_eq!(shown["created_at"], "2026-01-15T09:30:00.000Z");
    assert!(!put.text.contains("s3cret"), "{put:?}");
    assert_eq!(api.get(&admin, SLACK).await.text, put.text, "and the same afterwards");
    let keys: Vec<&str> = put.text.split('"').skip(1).step_by(2).take(3).collect();
    assert_eq!(keys, ["id", "title", "Slack notifications"], "keys are in GitLab's order");
}

#[tokio::test]
async fn a_flag_beyond_gitlabs_is_shown_as_off_until_it_is_put() {
    const MATTERMOST: &str = "/projects/42/integrations/mattermost";
    let api = Api::open().await;
    let admin = api.admin().await;
    let webhook = "https://mattermost.example.com/hooks/s3cret";
    let made = api.put(&admin, MATTERMOST, &json!({ "webhook": webhook })).await.json();
    assert_eq!((&made["alert_events"], &made["vulnerability_events"]), (&json!(false), &json!(false)));
    assert_eq!(made["properties"]["alert_channel"], json!(null), "the event has a channel like others");
    let set = json!({ "webhook": webhook, "alert_events": true });
    let set = api.put(&admin, MATTERMOST, &set).await.json();
    assert_eq!((&set["alert_events"], &set["vulnerability_events"]), (&json!(true), &json!(false)));
    assert_eq!(set.get("warnings"), None);
    let slack = api.put(&admin, SLACK, &json!({ "webhook": HOOK })).await.json();
    assert_eq!(slack["alert_events"], true, "GitLab's own flag keeps its default");
}

#[tokio::test]
async fn what_is_not_sent_stays_but_what_is_required_is_asked_for_each_time() {
    let api = Api::open().await;
    let admin = api.admin().await;
    let first = json!({ "webhook": HOOK, "channel": "#ops", "username": "bell", "note_events": false });
    api.put(&admin, SLACK, &first).await;
    let without = api.put(&admin, SLACK, &json!({ "channel": "#dev" })).await;
    assert_eq!(refusal(&without), error(400, "webhook is missing"));
    let second = api.put(&admin, SLACK, &json!({ "webhook": HOOK, "channel": "" })).await.json();
    let properties = &second["properties"];
    assert_eq!((&properties["username"], &properties["channel"]), (&json!("bell"), &json!("")));
    assert_eq!(second["note_events"], false);
}

#[tokio::test]
async fn what_is_read_can_be_sent_back_and_changes_nothing() {
    let api = Api::open().await;
    let admin = api.admin().await;
    let examples = |entry: &Entry, only_required: bool| -> Map<String, Value> {
        let fields = entry.fields.iter().filter(|field| field.required || !only_required);
        fields.map(|field| (field.name.to_owned(), field.example.into())).collect()
    };
    // Each has a project of its own, because a project has one tracker only.
    let all =
        (1..).zip(ADAPTERS).flat_map(|(project, entry)| [(project, entry, true), (project, entry, false)]);
    for (project, entry, only_required) in all {
        let path = format!("/projects/{project}/integrations/{}", entry.about.slug);
        let secrets = || {
            let scope = ResolvedScope::Project { id: Some(project), path: None };
            let own = |snapshot: &Snapshot| {
                snapshot.inheritance(&scope, entry.about.slug).own.unwrap().configuration.secrets.clone()
            };
            api.catalog.read(own)
        };
        let required = examples(entry, true);
        let mut first = examples(entry, only_required);
        let mut put = api.put(&admin, &path, &first.clone().into()).await;
        // What is required because of other settings is asked for by name, as in GitLab: Jira's user.
        let is_asked_for =
            |field: &&Field| put.text.contains(&format!(":{}=>[\\\"can't be blank", field.name));
        let asked_for: Vec<&Field> = entry.fields.iter().filter(is_asked_for).collect();
        if put.status == 400 && !asked_for.is_empty() {
            first.extend(asked_for.iter().map(|field| (field.name.to_owned(), field.example.into())));
            put = api.put(&admin, &path, &first.into()).await;
        }
        let is_warned_of = put.text.contains("\"warnings\":");
        assert_eq!(put.status, 200, "{put:?}");
        let (shown, kept) = (api.get(&admin, &path).await, secrets());
        let object = shown.json();
        let properties = object["properties"].as_object().unwrap();
        for field in entry.api_fields() {
            let is_shown = properties.contains_key(field.name.as_ref());
            let expected = !field.kind.is_write_only() && !field.is_addition;
            assert_eq!(is_shown, expected, "{path} {}", field.name);
        }
        let flags = object.as_object().unwrap().iter().filter(|(name, _)| name.ends_with("_events"));
        let mut everything: Map<String, Value> = flags.map(|(name, on)| (name.clone(), on.clone())).collect();
        everything.extend(properties.clone());
        everything.extend(required);
        let again = api.put(&admin, &path, &everything.into()).await;
        assert_eq!((again.status, again.text == shown.text), (200, !is_warned_of), "{path}: {again:?}");
        assert_eq!(api.get(&admin, &path).await.text, shown.text, "{path}");
        assert_eq!(secrets(), kept, "no secret was cleared: {path}");
    }
}

#[tokio::test]
async fn a_text_that_is_sent_as_null_is_unset() {
    let api = Api::open().await;
    let admin = api.admin().await;
    let set = json!({ "webhook": HOOK, "channel": "#ops", "username": "bell" });
    assert_eq!(api.put(&admin, SLACK, &set).await.json()["properties"]["channel"], "#ops");
    let unset = json!({ "webhook": HOOK, "channel": null });
    let properties = api.put(&admin, SLACK, &unset).await.json()["properties"].clone();
    assert_eq!((&properties["channel"], &properties["username"]), (&json!(null), &json!("bell")));
}

/// Older releases of GitLab declare the transition as a number.
#[tokio::test]
async fn jiras_transition_may_be_sent_as_a_number() {
    let api = Api::open().await;
    let admin = api.admin().await;
    let jira = json!({
        "url": "https://jira.example.com", "username": "ada", "password": "s3cret", "jira_issue_transition_id": 2,
    });
    let path = "/projects/42/integrations/jira";
    let put = api.put(&admin, path, &jira).await;
    assert_eq!(put.status, 200, "{put:?}");
    assert_eq!(api.get(&admin, path).await.json()["properties"]["jira_issue_transition_id"], "2");
}

/// GitLab takes `active` for Jira alone.
#[tokio::test]
async fn jira_is_switched_off_by_a_parameter_and_on_without_it_under_both_names() {
    let api = Api::open().await;
    let admin = api.admin().await;
    let login = [("url", "https://jira.example.com"), ("username", "ada"), ("password", "s3cret")];
    for (project, kind) in [(42, "integrations"), (43, "services")] {
        let list = format!("/projects/{project}/{kind}");
        let path = format!("{list}/jira");
        let put = async |more: &[(&str, &str)]| {
            let request = api.request("PUT", &path).header("private-token", &admin);
            answer(form(request, &[&login[..], more].concat())).await
        };
        let listed = async || {
            let listed = api.get(&admin, &list).await.json();
            listed.as_array().unwrap().iter().any(|one| one["slug"] == "jira")
        };
        let off = put(&[("active", "false"), ("jira_issue_transition_id", "5,7")]).await;
        assert_eq!((off.status, &off.json()["active"]), (200, &json!(false)), "{kind}: {off:?}");
        assert!(!listed().await && off.json().get("warnings").is_none(), "{kind}");
        assert_eq!(api.get(&admin, &path).await.json()["properties"]["jira_issue_transition_id"], "5,7");
        for on in [&[][..], &[("active", "")], &[("active", "true")]] {
            assert_eq!(put(&[("active", "0")]).await.json()["active"], false, "{kind}");
            let put = put(on).await;
            assert_eq!((put.status, &put.json()["active"]), (200, &json!(true)), "{kind} {on:?}");
            assert!(listed().await, "{kind}");
        }
        assert_eq!(api.ask(&admin, "POST", &format!("{path}/test")).await.status, 200, "{kind}");
        assert_eq!(api.ask(&admin, "DELETE", &path).await.status, 204, "{kind}");
        assert_eq!(api.get(&admin, &path).await.json()["active"], false, "{kind}");
    }
    let slack = api.put(&admin, SLACK, &json!({ "webhook": HOOK, "active": false })).await.json();
    assert_eq!(slack["active"], true);
    assert!(slack["warnings"][0].as_str().unwrap().starts_with("active: is ignored"), "{slack}");
}

#[tokio::test]
async fn a_channel_that_is_too_long_or_has_a_control_character_is_refused() {
    let api = Api::open().await;
    let admin = api.admin().await;
    let long = format!("#{}", "x".repeat(2999));
    for (channel, expected) in [
        (
            long.as_str(),
            "has a channel of 3000 characters (`#xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…`): a name has at most 255",
        ),
        ("#o\u{7}ps", "has a control character in the channel `#ops`: leave it out"),
    ] {
        let refused = api.put(&admin, SLACK, &json!({ "webhook": HOOK, "issue_channel": channel })).await;
        assert_eq!(refused.status, 400);
        let response =
            refused.json()["message"].as_str().unwrap_or_else(|| panic!("{}", refused.json())).to_owned();
        assert!(response.contains(":issue_channel=>[") && response.contains(expected), "{response}");
    }
}

/// Settings that GitLab does not have are shown once they are set, and a client that knows only GitLab's keeps them.
#[tokio::test]
async fn settings_of_messages_are_checked_shown_once_set_and_kept() {
    let api = Api::open().await;
    let admin = api.admin().await;
    for (wrong, expected) in [
        (
            json!({ "merge_request_actions": "open, megre" }),
            ":merge_request_actions=>[\"has `megre`: it must be a list of open, close, reopen, merge, approved, unapproved, \
             approval, unapproval, reviewers, assignees, draft, title, labels, target_branch, commits, description\"]",
        ),
        (json!({ "detail": "some" }), ":detail=>[\"must be full or title\"]"),
        (json!({ "max_commits": 21 }), ":max_commits=>[\"must be a number from 0 to 20\"]"),
        (json!({ "max_commits": -1 }), ":max_commits=>[\"must be a number from 0 to 20\"]"),
    ] {
        let mut body = json!({ "webhook": HOOK });
        body.as_object_mut().unwrap().extend(wrong.as_object().unwrap().clone());
        let refused = api.put(&admin, SLACK, &body).await;
        assert_eq!(refused.status, 400, "{refused:?}");
        assert!(refused.json()["message"].as_str().unwrap().contains(expected), "{refused:?}");
    }
    let set = json!({ "webhook": HOOK, "merge_request_actions": "merge, draft", "detail": "title", "max_commits": 3 });
    let saved = api.put(&admin, SLACK, &set).await.json();
    let warning = "max_commits: has no effect, because with detail = title no commits are listed";
    assert_eq!(saved["warnings"], json!([warning]));
    let again = api.put(&admin, SLACK, &json!({ "webhook": HOOK, "channel": "#ops" })).await.json();
    let kept = &again["properties"];
    assert_eq!((&kept["merge_request_actions"], &kept["detail"]), (&json!("merge, draft"), &json!("title")));
    assert_eq!(kept["max_commits"], 3);
    // Sent blank or as null, they are as if they had never been set.
    for unset in [json!(null), json!("")] {
        let names = ["merge_request_actions", "detail", "max_commits"];
        let mut body = json!({ "webhook": HOOK });
        for name in names {
            body[name] = unset.clone();
        }
        let shown = api.put(&admin, SLACK, &body).await.json();
        assert!(names.iter().all(|name| shown["properties"].get(name).is_none()), "{unset}: {shown}");
        assert_eq!(api.put(&admin, SLACK, &set).await.json()["properties"]["max_commits"], 3);
    }
    for (without_effect, expected) in [
        (
            json!({ "merge_request_actions": "," }),
            "merge_request_actions: names no action, so no merge request is notified: set merge_requests_events to false instead",
        ),
        (
            json!({ "merge_request_actions": "merge", "merge_requests_events": false }),
            "merge_request_actions: has no effect, because merge_requests_events is false",
        ),
    ] {
        let mut body = json!({ "webhook": HOOK, "detail": "full" });
        body.as_object_mut().unwrap().extend(without_effect.as_object().unwrap().clone());
        assert_eq!(api.put(&admin, SLACK, &body).await.json()["warnings"], json!([expected]));
    }
}

#[tokio::test]
async fn invalid_settings_are_reported_in_gitlabs_text() {
    let api = Api::open().await;
    let admin = api.admin().await;
    let blank = api.put(&admin, SLACK, &json!({ "webhook": " " })).await;
    let response = "Failed to update integration. {:webhook=>[\"can't be blank\"]}";
    assert_eq!(refusal(&blank), message(400, response));
    let many = (0..11).map(|number| format!("#c{number}")).collect::<Vec<_>>().join(",");
    let both = api.put(&admin, SLACK, &json!({ "webhook": "s3cret", "push_channel": many })).await;
    assert_eq!(both.status, 400);
    let response = both.json()["message"].as_str().unwrap().to_owned();
    assert!(response.contains(":webhook=>[\"must be a valid URL\"]"), "{response}");
    assert!(response.contains(":push_channel=>[\"cannot have more than 10 channels\"]"), "{response}");
    assert!(!response.contains("s3cret"), "{response}");
    assert_eq!(api.get(&admin, "/projects/42").await.status, 404, "nothing was kept");
}

#[tokio::test]
async fn what_has_no_effect_is_accepted_with_a_warning() {
    let api = Api::open().await;
    let admin = api.admin().await;
    let set = json!({ "webhook": HOOK, "branches_to_be_notified": "main", "chanel": "#s3cret" });
    let put = api.put(&admin, SLACK, &set).await;
    let expected = json!([
        "chanel: is no setting of slack and is ignored; did you mean `channel`?",
        "branches_to_be_notified: matches no branch: it must be one of all, default, protected, default_and_protected",
    ]);
    assert_eq!((put.status, &put.json()["warnings"]), (200, &expected));
    assert_eq!(put.json()["properties"]["branches_to_be_notified"], "main");
    assert!(api.get(&admin, SLACK).await.json().get("warnings").is_none());
    let mail = json!({ "recipients": "Ada <ada@example.com> grace@" });
    let put = api.put(&admin, "/projects/42/integrations/emails-on-push", &mail).await;
    assert_eq!(put.json()["warnings"], json!(["recipients: `grace@` is no mail address and is left out"]));
    let hipchat = json!({ "token": "t0ken" });
    let put = api.put(&admin, "/projects/42/integrations/hipchat", &hipchat).await;
    assert_eq!(put.json()["warnings"], json!(["room: is not set: nothing can be sent"]));
    let irker = json!({ "recipients": "irc://irc.example.net/ops mailto:s3cret@example.com #builds" });
    let put = api.put(&admin, "/projects/42/integrations/irker", &irker).await;
    let left_out =
        |place: u8| format!("recipients: entry {place} can't be read as an IRC address and is left out");
    assert_eq!(put.json()["warnings"], json!([left_out(2), left_out(3)]));
    let set = json!({ "webhook": HOOK, "branches_to_be_notified": "all" });
    assert!(api.put(&admin, SLACK, &set).await.json().get("warnings").is_none());
}

#[tokio::test]
async fn recipients_are_shown_with_their_passwords_masked_and_keep_them_when_sent_back() {
    const IRKER: &str = "/projects/42/integrations/irker";
    const RECIPIENTS: &str = "irc://ada:s3cret@irc.example.net/ops #builds?key=s3cret";
    let api = Api::open().await;
    let admin = api.admin().await;
    let stored = || {
        let scope = ResolvedScope::Project { id: Some(42), path: None };
        let own = |snapshot: &Snapshot| {
            let own = snapshot.inheritance(&scope, "irker").own.unwrap();
            own.configuration.secrets["recipients"].expose().to_owned()
        };
        api.catalog.read(own)
    };
    let set = json!({ "recipients": RECIPIENTS, "default_irc_uri": "irc://irc.example.net/" });
    let put = api.put(&admin, IRKER, &set).await;
    let masked = "irc://ada:************@irc.example.net/ops #builds?key=************";
    assert_eq!((put.status, &put.json()["properties"]["recipients"]), (200, &json!(masked)), "{put:?}");
    assert!(!put.text.contains("s3cret"), "{put:?}");
    let again = api.put(&admin, IRKER, &put.json()["properties"]).await;
    assert_eq!((again.status, stored().as_str()), (200, RECIPIENTS), "{again:?}");
    let more = json!({ "recipients": format!("{masked} irc://irc.example.org/dev") });
    assert_eq!(api.put(&admin, IRKER, &more).await.status, 200);
    assert_eq!(stored(), format!("{RECIPIENTS} irc://irc.example.org/dev"));

    // A masked password is not sent elsewhere: neither to another server, nor through another irkerd.
    let refused = "Failed to update integration. {:recipients=>[\"holds a masked password or key (************) that is \
                   not stored for this address: write the password or key itself\"]}";
    for elsewhere in [
        json!({ "recipients": "irc://ada:************@evil.example/ops" }),
        json!({ "recipients": masked, "default_irc_uri": "irc://evil.example/" }),
        json!({ "recipients": masked, "server_host": "evil.example" }),
    ] {
        assert_eq!(refusal(&api.put(&admin, IRKER, &elsewhere).await), message(400, refused), "{elsewhere}");
    }
    assert_eq!(stored(), format!("{RECIPIENTS} irc://irc.example.org/dev"));
}

#[tokio::test]
async fn a_webhook_of_discord_must_be_at_discord_unless_the_operator_permits_another_host() {
    const DISCORD: &str = "/projects/42/integrations/discord";
    const OURS: &str = "https://discord.com/api/webhooks/1/s3cret";
    let api = Api::open().await;
    let admin = api.admin().await;
    for elsewhere in [
        "https://discordapp.com/api/webhooks/1/s3cret",
        "https://discord.com.evil.example/api/webhooks/1/s3cret",
        "https://discord.com@evil.example/api/webhooks/1/s3cret",
        "http://discord.com/api/webhooks/1/s3cret",
    ] {
        let words = "URL must point to discord.com";
        let put = api.put(&admin, DISCORD, &json!({ "webhook": elsewhere })).await;
        let expected = format!("Failed to update integration. {{:webhook=>[\"{words}\"]}}");
        assert_eq!(refusal(&put), message(400, &expected), "{elsewhere}");
        let put = api.put(&admin, DISCORD, &json!({ "webhook": OURS, "push_channel": elsewhere })).await;
        let expected = format!("Failed to update integration. {{:push_channel=>[\"{words}\"]}}");
        assert_eq!(refusal(&put), message(400, &expected), "{elsewhere}");
    }
    let two = json!({ "webhook": OURS, "push_channel": format!("{OURS},{OURS}") });
    let expected = "Failed to update integration. {:push_channel=>[\"cannot have more than 1 channel\"]}";
    assert_eq!(refusal(&api.put(&admin, DISCORD, &two).await), message(400, expected));
    let set = json!({ "webhook": OURS, "push_channel": OURS });
    assert_eq!(api.put(&admin, DISCORD, &set).await.status, 200);
}

#[tokio::test]
async fn an_address_that_would_never_be_called_is_refused_where_it_is_set() {
    let api = Api::open().await;
    let admin = api.admin().await;
    for (host, words) in [
        ("localhost:8065", "Requests to localhost are not allowed"),
        ("127.0.0.1", "Requests to localhost are not allowed"),
        ("[::1]", "Requests to localhost are not allowed"),
        ("10.0.0.7", "Requests to the local network are not allowed"),
        ("2852039166", "Requests to the link local network are not allowed"),
    ] {
        let put = api.put(&admin, SLACK, &json!({ "webhook": format!("http://{host}/s3cret") })).await;
        let response = format!("Failed to update integration. {{:webhook=>[\"is blocked: {words}\"]}}");
        assert_eq!(refusal(&put), message(400, &response), "{host}");
    }
    let hipchat = json!({ "token": "t0ken", "room": "ops", "server": "https://192.168.1.1" });
    let put = api.put(&admin, "/projects/42/integrations/hipchat", &hipchat).await;
    let response = "Failed to update integration. {:server=>[\"is blocked: Requests to the local network are not allowed\"]}";
    assert_eq!(refusal(&put), message(400, response));
    assert_eq!(api.get(&admin, "/projects/42").await.status, 404, "nothing was kept");
    let named = json!({ "webhook": "https://chat.internal/s3cret" });
    assert_eq!(
        api.put(&admin, SLACK, &named).await.status,
        200,
        "where a name leads is seen when it is called"
    );
    let follows = json!({ "webhook": "http://10.0.0.7/s3cret", "use_inherited_settings": true });
    api.put(&admin, "/integrations/slack", &json!({ "webhook": HOOK })).await;
    assert_eq!(
        api.put(&admin, SLACK, &follows).await.status,
        200,
        "an inherited integration calls the default's address"
    );
}

#[tokio::test]
async fn what_the_operator_permits_can_be_set() {
    let wire = WireConfig {
        allow_networks: vec!["10.0.0.0/8".parse().unwrap(), "127.0.0.0/8".parse().unwrap()],
        ..WireConfig::default()
    };
    let api = Api::open_over(config(), wire).await;
    let admin = api.admin().await;
    for (host, status) in
        [("10.0.0.7", 200), ("127.0.0.1:8065", 200), ("localhost:8065", 200), ("192.168.1.1", 400)]
    {
        let put = api.put(&admin, SLACK, &json!({ "webhook": format!("http://{host}/s3cret") })).await;
        assert_eq!(put.status, status, "{host}: {put:?}");
    }
}

#[tokio::test]
async fn delete_switches_off_and_keeps_the_settings() {
    let api = Api::open().await;
    let admin = api.admin().await;
    api.project(42, "acme/rocket").await;
    let never = api.ask(&admin, "DELETE", SLACK).await;
    assert_eq!(refusal(&never), message(404, "404 Integration Not Found"));
    api.put(&admin, SLACK, &json!({ "webhook": HOOK, "channel": "#ops" })).await;
    let gone = api.ask(&admin, "DELETE", SLACK).await;
    assert_eq!((gone.status, gone.text.as_str()), (204, ""));
    let shown = api.get(&admin, SLACK).await.json();
    assert_eq!((&shown["active"], &shown["properties"]["channel"]), (&json!(false), &json!("#ops")));
    assert_eq!(api.get(&admin, "/projects/42/integrations").await.json(), json!([]));
    api.put(&admin, SLACK, &json!({ "webhook": HOOK })).await;
    let again = api.get(&admin, SLACK).await.json();
    assert_eq!((&again["active"], &again["properties"]["channel"]), (&json!(true), &json!("#ops")));
}

#[tokio::test]
async fn the_list_has_the_active_ones_in_the_order_in_which_they_were_made() {
    let api = Api::open().await;
    let admin = api.admin().await;
    api.put(&admin, SLACK, &json!({ "webhook": HOOK })).await;
    let mail = json!({ "recipients": "dev@example.com" });
    api.put(&admin, "/projects/42/integrations/emails-on-push", &mail).await;
    let list = api.get(&admin, "/projects/42/integrations?page=2&per_page=1").await.json();
    let slugs: Vec<_> = list.as_array().unwrap().iter().map(|one| one["slug"].clone()).collect();
    assert_eq!(slugs, ["slack", "emails-on-push"], "it has one page, for any page number");
    assert!(list[0].get("properties").is_none());
}

#[tokio::test]
async fn services_underscores_and_paths_name_the_same() {
    let api = Api::open().await;
    let admin = api.admin().await;
    api.project(42, "acme/web/rocket").await;
    let mail = json!({ "recipients": "dev@example.com" });
    let put = api.put(&admin, "/projects/acme%2Fweb%2Frocket/services/emails_on_push", &mail).await;
    assert_eq!(put.status, 200, "{put:?}");
    for path in [
        "/projects/42/integrations/emails-on-push",
        "/projects/42/services/emails-on-push",
        "/projects/Acme%2FWeb%2FRocket/integrations/emails_on_push",
        "/projects/acme%2fweb%2frocket/integrations/emails%2Don%2Dpush",
    ] {
        assert_eq!(api.get(&admin, path).await.text, put.text, "{path}");
    }
    let head = api.ask(&admin, "HEAD", "/projects/42/services/emails-on-push").await;
    assert_eq!((head.status, head.text.as_str()), (200, ""));
}

#[tokio::test]
async fn defaults_apply_below_until_they_are_overridden() {
    let api = Api::open().await;
    let admin = api.admin().await;
    api.project(42, "acme/web/rocket").await;
    let channel = |of: &str| json!({ "webhook": HOOK, "channel": of });
    assert_eq!(api.get(&admin, SLACK).await.status, 404);
    assert_eq!(api.put(&admin, "/integrations/slack", &channel("#all")).await.status, 200);
    let shown = async || {
        let shown = api.get(&admin, SLACK).await.json();
        (shown["properties"]["channel"].clone(), shown["inherited"].clone())
    };
    assert_eq!(shown().await, (json!("#all"), json!(true)));
    let own = |of: &str| json!({ "webhook": HOOK, "channel": of, "use_inherited_settings": false });
    assert_eq!(api.put(&admin, "/groups/acme/integrations/slack", &own("#acme")).await.status, 200);
    assert_eq!(shown().await, (json!("#acme"), json!(true)));
    let list = api.get(&admin, "/projects/42/integrations").await.json();
    assert_eq!((&list[0]["slug"], &list[0]["inherited"]), (&json!("slack"), &json!(true)));
    // An inherited integration stays inherited, even if other settings are sent.
    assert_eq!(api.put(&admin, SLACK, &channel("#own")).await.json()["properties"]["channel"], "#acme");
    api.put(&admin, SLACK, &own("#own")).await;
    assert_eq!(shown().await, (json!("#own"), json!(false)));
    api.put(&admin, SLACK, &json!({ "use_inherited_settings": "true" })).await;
    assert_eq!(shown().await, (json!("#acme"), json!(true)));
    // Switched off here, the default is kept out.
    api.ask(&admin, "DELETE", SLACK).await;
    assert_eq!(api.get(&admin, SLACK).await.json()["active"], false);
    assert_eq!(api.get(&admin, "/projects/42/integrations").await.json(), json!([]));
}

#[tokio::test]
async fn what_a_file_says_is_shown_with_its_name_and_changed_nowhere_else() {
    let api = Api::open().await;
    let admin = api.admin().await;
    api.project(42, "acme/rocket").await;
    let text = format!(
        "[[integration]]\nproject = 42\nadapter = \"slack\"\nwebhook = \"{HOOK}\"\nchannel = \"#ops\"\n"
    );
    let no_secrets = |_: &std::path::Path| Err(std::io::Error::other("there are no files here"));
    let read = crate::provision::read(&[("ops.toml".into(), text)], &no_secrets).unwrap();
    api.catalog.set_files(read.integrations, read.facts, read.numbers, NOW).await.unwrap();
    let shown = api.get(&admin, SLACK).await;
    let json = shown.json();
    assert_eq!(
        (&json["origin"], &json["created_at"], &json["active"]),
        (&json!("ops.toml"), &json!("2026-01-15T09:30:00.000Z"), &json!(true))
    );
    assert_eq!(json["properties"]["channel"], "#ops");
    let response = "409 Conflict: it is configured in ops.toml and must be changed there";
    let put = api.put(&admin, SLACK, &json!({ "webhook": HOOK })).await;
    assert_eq!(refusal(&put), message(409, response));
    assert_eq!(refusal(&api.ask(&admin, "DELETE", SLACK).await), message(409, response));
    assert_eq!(api.get(&admin, SLACK).await.text, shown.text);
    let elsewhere = api.put(&admin, "/projects/43/integrations/slack", &json!({ "webhook": HOOK })).await;
    assert_eq!((elsewhere.status, &elsewhere.json()["origin"]), (200, &json!(null)));
}

#[tokio::test]
async fn without_a_default_there_is_nothing_to_inherit() {
    let api = Api::open().await;
    let admin = api.admin().await;
    let put = api.put(&admin, SLACK, &json!({ "use_inherited_settings": true })).await;
    assert_eq!(refusal(&put), message(400, "Default integration not found."));
}

#[tokio::test]
async fn a_change_of_something_newer_than_the_precondition_is_refused() {
    let api = Api::open().await;
    let admin = api.admin().await;
    api.put(&admin, SLACK, &json!({ "webhook": HOOK })).await;
    for (moment, expected) in
        [("Thu, 15 Jan 2026 09:29:59 GMT", 412), ("Thu, 15 Jan 2026 09:30:00 GMT", 204), ("whenever", 204)]
    {
        let request = api.request("DELETE", SLACK).header("private-token", &admin);
        let delete = answer(request.header("if-unmodified-since", moment)).await;
        assert_eq!(delete.status, expected, "{moment}: {delete:?}");
        if expected == 412 {
            assert_eq!(delete.json(), json!({ "message": "412 Precondition Failed" }));
        }
    }
}

#[tokio::test]
async fn concurrent_changes_do_not_overwrite_each_other() {
    let api = Arc::new(Api::open().await);
    let admin = api.admin().await;
    api.put(&admin, SLACK, &json!({ "webhook": HOOK })).await;
    let flags = ["push_events", "issues_events", "note_events", "tag_push_events", "pipeline_events"];
    let mut changes = JoinSet::new();
    for flag in flags {
        let (api, admin) = (api.clone(), admin.clone());
        changes.spawn(async move {
            api.put(&admin, SLACK, &json!({ "webhook": HOOK, flag: false })).await.status
        });
    }
    assert_eq!(changes.join_all().await, [200; 5]);
    let shown = api.get(&admin, SLACK).await.json();
    for flag in flags {
        assert_eq!(shown[flag], false, "{flag}: {shown}");
    }
}

#[tokio::test]
async fn a_secret_does_not_follow_an_address_that_is_moved() {
    let api = Api::open().await;
    let admin = api.admin().await;
    let path = "/groups/acme/services/hipchat";
    let room = json!({ "token": "s3cret", "room": "1", "server": "https://chat.example.com" });
    assert_eq!(api.put(&admin, path, &room).await.status, 200);
    let moved = json!({ "token": Secret::MASK, "room": "1", "server": "https://evil.example.com" });
    let refused = api.put(&admin, path, &moved).await;
    assert_eq!(refused.status, 400, "the mask is no proof of knowing the secret: {refused:?}");
    let again = json!({ "token": "s3cret", "room": "1", "server": "https://evil.example.com" });
    assert_eq!(api.put(&admin, path, &again).await.status, 200);
}

//! Slash commands: the token in the form is all the proof there is.

use super::*;

const TRIGGER: &str = "/projects/42/integrations/slack_slash_commands/trigger";

async fn set_up() -> (Api, String) {
    let api = Api::open().await;
    let admin = api.admin().await;
    let slash = json!({ "token": "sl4sh" });
    let put = api.put(&admin, "/projects/42/integrations/slack-slash-commands", &slash).await;
    assert_eq!(put.status, 200, "{put:?}");
    let slack = json!({ "webhook": HOOK, "channel": "#ops" });
    api.put(&admin, "/projects/42/integrations/slack", &slack).await;
    (api, admin)
}

async fn typed(api: &Api, path: &str, token: &str, text: &str) -> Answer {
    let pairs = [
        ("token", token),
        ("command", "/forge"),
        ("text", text),
        ("channel_name", "ops"),
        ("channel_id", "C1"),
        ("user_name", "ada"),
    ];
    answer(form(api.request("POST", path), &pairs)).await
}

#[tokio::test]
async fn a_request_with_the_token_is_answered_and_all_others_get_the_same_error() {
    let (api, admin) = set_up().await;
    for path in [TRIGGER, "/projects/42/services/slack_slash_commands/trigger"] {
        let response = typed(&api, path, "sl4sh", "status").await;
        assert_eq!(
            (response.status, &response.json()["response_type"]),
            (200, &json!("ephemeral")),
            "{response:?}"
        );
        assert!(response.json()["text"].as_str().unwrap().contains("#ops"), "{response:?}");
    }
    let not_found = message(404, "404 Integration Not Found");
    assert_eq!(refusal(&typed(&api, TRIGGER, "wrong", "status").await), not_found);
    assert_eq!(refusal(&typed(&api, &TRIGGER.replace("42", "4711"), "sl4sh", "status").await), not_found);
    assert_eq!(
        refusal(&typed(&api, &TRIGGER.replace("slack_", "mattermost_"), "sl4sh", "status").await),
        not_found
    );
    let missing = answer(form(api.request("POST", TRIGGER), &[("text", "status")])).await;
    assert_eq!(refusal(&missing), error(400, "token is missing"));
    api.ask(&admin, "DELETE", "/projects/42/integrations/slack-slash-commands").await;
    assert_eq!(refusal(&typed(&api, TRIGGER, "sl4sh", "status").await), not_found);
}

/// Mattermost sends the same form, and its commands are about the project's Mattermost.
#[tokio::test]
async fn mattermosts_commands_are_about_mattermost() {
    let (api, admin) = set_up().await;
    let trigger = TRIGGER.replace("slack_", "mattermost_");
    let commands = json!({ "token": "m4tter", "username": "bell" });
    let path = "/projects/42/integrations/mattermost-slash-commands";
    assert_eq!(api.put(&admin, path, &commands).await.status, 200);
    assert_eq!(
        refusal(&typed(&api, &trigger, "sl4sh", "status").await),
        message(404, "404 Integration Not Found")
    );
    let nothing = typed(&api, &trigger, "m4tter", "test").await;
    assert_eq!((nothing.status, &nothing.json()["response_type"]), (200, &json!("ephemeral")));
    assert!(api.service.heard.lock().unwrap().is_empty(), "Slack is not Mattermost's business: {nothing:?}");
    let mattermost = json!({ "webhook": "https://mattermost.example.com/hooks/abc", "channel": "ops" });
    api.put(&admin, "/projects/42/integrations/mattermost", &mattermost).await;
    let tested = typed(&api, &trigger, "m4tter", "test").await;
    assert_eq!(tested.json()["text"], "A test message was sent.", "{tested:?}");
    let heard =
        api.service.heard.lock().unwrap().iter().map(|request| request.url.to_string()).collect::<Vec<_>>();
    assert_eq!(heard, ["https://mattermost.example.com/hooks/abc"]);
}

#[tokio::test]
async fn a_test_goes_to_the_room_that_asked_for_it() {
    let (api, admin) = set_up().await;
    let response = typed(&api, TRIGGER, "sl4sh", "test").await;
    assert_eq!(response.json()["text"], "A test message was sent.", "{response:?}");
    assert_eq!(api.service.heard.lock().unwrap().len(), 1);
    let slack = json!({ "webhook": HOOK, "channel": "#elsewhere" });
    api.put(&admin, "/projects/42/integrations/slack", &slack).await;
    let response = typed(&api, TRIGGER, "sl4sh", "test").await;
    assert!(response.json()["text"].as_str().unwrap().contains("nothing to this channel"), "{response:?}");
    assert_eq!(api.service.heard.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn a_command_may_come_as_a_query_and_a_check_of_the_certificate_runs_nothing() {
    let (api, _) = set_up().await;
    let get = async |query: &str| answer(api.request("GET", &format!("{TRIGGER}?{query}"))).await;
    let checked = get("ssl_check=1&token=anything").await;
    assert_eq!((checked.status, checked.text.as_str()), (200, ""));
    let status = get("token=sl4sh&command=/forge&text=status&channel_name=ops&user_name=ada").await;
    assert!(status.status == 200 && status.text.contains("#ops"), "{status:?}");
    assert_eq!(get("token=wrong&command=/forge&text=status").await.status, 404);
}

#[tokio::test]
async fn muting_a_channel_that_is_named_leaves_the_address_own_channel() {
    let (api, admin) = set_up().await;
    let slack = json!({ "webhook": HOOK, "channel": "", "issue_channel": "#ops" });
    assert_eq!(api.put(&admin, "/projects/42/integrations/slack", &slack).await.status, 200);
    let explained = async || {
        let request = api.request("POST", "/events/explain").header("private-token", &admin);
        let response = answer(request.header("content-type", "application/json").body(push())).await.json();
        response["verdicts"][0]["verdict"].clone()
    };
    typed(&api, TRIGGER, "sl4sh", "mute 1h").await;
    assert_eq!(explained().await, "deliver", "pushes go to the webhook's own channel, which is not #ops");
    let slack = json!({ "webhook": HOOK, "issue_channel": "#dev" });
    assert_eq!(api.put(&admin, "/projects/42/integrations/slack", &slack).await.status, 200);
    assert_eq!(explained().await, "muted", "the webhook's own channel may be #ops");
}

#[tokio::test]
async fn a_muted_room_is_muted_until_it_is_not() {
    let (api, admin) = set_up().await;
    let explained = async || {
        let request = api.request("POST", "/events/explain").header("private-token", &admin);
        let response = answer(request.header("content-type", "application/json").body(push())).await.json();
        response["verdicts"][0]["verdict"].clone()
    };
    assert_eq!(explained().await, "deliver");
    typed(&api, TRIGGER, "sl4sh", "mute 1h").await;
    assert_eq!(explained().await, "muted");
    typed(&api, TRIGGER, "sl4sh", "unmute").await;
    assert_eq!(explained().await, "deliver");
}

/// Otherwise any member of a chat could fill the store and the audit log with channels.
#[tokio::test]
async fn an_unmute_of_a_room_that_is_not_muted_writes_nothing() {
    let (api, _) = set_up().await;
    let before = (api.store.changes(0).await.unwrap(), api.store.audit_log(None, 100).await.unwrap());
    typed(&api, TRIGGER, "sl4sh", "unmute").await;
    let after = (api.store.changes(0).await.unwrap(), api.store.audit_log(None, 100).await.unwrap());
    assert_eq!(after, before);
}

#[tokio::test]
async fn who_shows_too_many_wrong_tokens_has_to_wait_and_the_rooms_that_share_the_address_do_not() {
    let (api, _) = set_up().await;
    // A missing project and a wrong token must have the same answer.
    for path in [TRIGGER, &TRIGGER.replace("42", "4711")] {
        for _ in 0..5 {
            assert_eq!(typed(&api, path, "guess", "help").await.status, 404);
        }
    }
    for path in [TRIGGER, &TRIGGER.replace("42", "4711"), &TRIGGER.replace("slack_", "mattermost_")] {
        let response = typed(&api, path, "guess", "help").await;
        assert_eq!(refusal(&response), message(429, "429 Too Many Requests"), "{path}");
        assert_eq!(response.headers["retry-after"], "6");
    }
    assert_eq!(typed(&api, TRIGGER, "sl4sh", "help").await.status, 200);
    let none = answer(form(api.request("POST", TRIGGER), &[("text", "help")])).await;
    assert_eq!(none.status, 400, "who shows none tries none");
    assert_eq!(api.get("fbt-guess", "/version").await.status, 429, "one limit holds for all routes");
    api.later.store(6, Ordering::Relaxed);
    assert_eq!(typed(&api, TRIGGER, "guess", "help").await.status, 404);
    assert_eq!(typed(&api, TRIGGER, "guess", "help").await.status, 429);
}

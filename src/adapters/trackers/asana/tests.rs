//! Tests of Asana beyond the contract.

use super::*;
use crate::adapters::tests::{Before, errors, own_event, play_own, play_to, settings_with, targets_of_own};

const KEY: [(&str, &str); 1] = [("api_key", "1/23:abc")];
const FIRST: &str = "b6568db1bc1dcd7f8b4d5a946b0b91f9dacd7327";
const COMMENT_TARGET: &str = "1202345678901234 comment b6568db1bc1dcd7f8b4d5a946b0b91f9dacd7327";
const TAKEN: (u16, &str) = (201, r#"{"data":{"gid":"1"}}"#);

fn names(targets: &Targets) -> Vec<&str> {
    targets.send.iter().map(|target| target.name.as_str()).collect()
}

/// The targets of a push whose first commit says this.
fn targets(message: &str) -> Targets {
    targets_of_own("asana", &KEY, |push| push["commits"][0]["message"] = message.into())
}

fn played(event: &Event, before: Before, answers: &[(u16, &str)]) -> crate::adapters::tests::Played {
    play_to("asana", &KEY, event, COMMENT_TARGET, before, answers)
}

#[test]
fn a_comment_and_a_completion_are_targets_of_their_own() {
    let targets = targets_of_own("asana", &KEY, |_| ());
    assert_eq!(
        names(&targets),
        [
            COMMENT_TARGET,
            "1202345678905678 comment b6568db1bc1dcd7f8b4d5a946b0b91f9dacd7327",
            "1202345678901234 complete",
        ]
    );
    assert_eq!(targets.left_out, ["the other 2 commits of the push, which the event does not list"]);
    for target in names(&targets) {
        assert_eq!(Effect::of(target).map(Effect::target).as_deref(), Some(target));
    }
}

#[test]
fn a_task_is_commented_on_once_for_each_commit_and_completed_once() {
    let twice = targets_of_own("asana", &KEY, |push| {
        push["commits"][0]["message"] = "#12 #12, fixes #12".into();
        push["commits"][1]["message"] = "closes #12".into();
    });
    let expected = [
        &format!("12 comment {FIRST}"),
        "12 complete",
        "12 comment da1560886d4f094c3e6c9ef40349f7d38b5d27d7",
    ];
    assert_eq!(names(&twice), expected);
}

#[test]
fn what_stands_in_code_is_no_task() {
    for message in ["Set `color: #123456`", "```\n#12\n```", "~~~\nfixes #12\n~~~"] {
        assert_eq!(names(&targets(message)), [""; 0], "{message}");
    }
    assert_eq!(names(&targets("Set `color: #123456`, see #12")), [format!("12 comment {FIRST}")]);
}

#[test]
fn words_that_are_no_tasks_are_counted() {
    let none = targets("#fixme in #channel, #a #b #c #d #e");
    assert!(none.send.is_empty());
    assert_eq!(
        none.left_out[1],
        "#fixme, #channel, #a, #b, #c and 2 more in commit messages: a task is named by its number"
    );
    assert_eq!(
        targets("nothing of a task").left_out[1],
        "no commit names a task (#1234, or a task's address)"
    );
}

#[test]
fn ten_thousand_references_have_a_bound_that_is_said() {
    let message = (1..=10_000).map(|number| format!("fix #{number} ")).collect::<Vec<_>>().concat();
    let targets = targets(&message);
    assert_eq!(targets.send.len(), MOST_EFFECTS);
    assert_eq!(
        targets.left_out[1], "1900 more comments and completions: at most 100 are made for one push",
        "1,000 tasks of a message are read"
    );
}

#[test]
fn the_comment_is_gitlabs_text_with_the_whole_message() {
    let event = own_event("asana", |push| {
        push["commits"][0]["message"] = "Fix #1202345678901234\n\nThe pumps\r\nneed time.\n".into();
    });
    let played = played(&event, Before::Nothing, &[TAKEN]);
    assert_eq!(played.address(0), "POST https://app.asana.com/api/1.0/tasks/1202345678901234/stories");
    assert_eq!(played.header(0, "authorization"), "Bearer 1/23:abc");
    assert_eq!(
        played.body(0)["data"]["text"],
        format!(
            "John Smith pushed to branch master of Mike / Diaspora ( http://example.com/mike/diaspora/commit/{FIRST} ): \
             Fix #1202345678901234\n\nThe pumps\nneed time."
        )
    );
    assert_eq!(played.outcome, "taken");
}

#[test]
fn a_completion_sets_completed_and_nothing_else() {
    let event = own_event("asana", |_| ());
    let target = "1202345678901234 complete";
    let played = play_to("asana", &KEY, &event, target, Before::Attempt, &[(200, r#"{"data":{}}"#)]);
    assert_eq!(played.address(0), "PUT https://app.asana.com/api/1.0/tasks/1202345678901234");
    assert_eq!(*played.body(0), json!({ "data": { "completed": true } }));
    assert_eq!((played.requests.len(), played.outcome.as_str()), (1, "taken"));
}

#[test]
fn long_and_odd_messages_fit() {
    let event = own_event("asana", |push| {
        push["user_name"] = json!("\u{202e}Eve\0");
        push["commits"][0]["url"] = json!("javascript:alert(1)");
        push["commits"][0]["message"] = json!("ש".repeat(100_000));
    });
    let text =
        played(&event, Before::Nothing, &[]).body(0)["data"]["text"].as_str().expect("a text").to_owned();
    assert!(text.chars().count() <= 65_000, "{}", text.chars().count());
    assert!(text.starts_with(&format!("Eve pushed to branch master of Mike / Diaspora ( {FIRST} ): ש")));
    let long = own_event("asana", |push| push["commits"][0]["message"] = json!("x".repeat(20_000)));
    let text =
        played(&long, Before::Nothing, &[]).body(0)["data"]["text"].as_str().expect("a text").to_owned();
    assert!(text.ends_with(&"x".repeat(20_000)), "20,000 characters are not cut");
}

#[test]
fn a_repeated_comment_is_looked_for_first() {
    let event = own_event("asana", |_| ());
    let text = played(&event, Before::Nothing, &[]).body(0)["data"]["text"].clone();
    let spaced = text.as_str().expect("a text").replace(": ", ":\n ");
    let page = |stories: &[Json], offset: Option<&str>| {
        let next = offset.map(|offset| json!({ "offset": offset, "path": "/x", "uri": "https://x" }));
        json!({ "data": stories, "next_page": next }).to_string()
    };
    let others = [json!({ "gid": "1", "text": "added to Rockets" }), json!({ "gid": "2" }), json!(null)];
    let found = page(&[others[0].clone(), json!({ "gid": "3", "text": spaced })], None);
    let there = played(&event, Before::Attempt, &[(200, &found)]);
    assert_eq!(
        there.address(0),
        "GET https://app.asana.com/api/1.0/tasks/1202345678901234/stories?limit=100&opt_fields=text"
    );
    assert_eq!((there.requests.len(), there.outcome.as_str()), (1, "taken"), "it is not written again");

    let (first, last) = (page(&others, Some("eyJ0 +&")), page(&others, None));
    let missing = played(&event, Before::Attempt, &[(200, &first), (200, &last), TAKEN]);
    assert!(missing.address(1).ends_with("&offset=eyJ0+%2B%26"), "{}", missing.address(1));
    assert!(missing.address(2).starts_with("POST "), "{:?}", missing.requests);
    assert_eq!(missing.outcome, "taken");

    let endless: Vec<(u16, &str)> = vec![(200, &first); PAGES as usize];
    let many = played(&event, Before::Attempt, &endless);
    assert_eq!(many.requests.len(), PAGES as usize + 1);
    assert!(many.address(PAGES as usize).starts_with("POST "), "a second comment is better than none");
}

#[test]
fn a_look_up_that_fails_writes_nothing() {
    let event = own_event("asana", |_| ());
    let own = |message: &str| json!({ "errors": [{ "message": message }] }).to_string();
    for (status, body, outcome) in [
        (200, "<html>Sign in</html>".to_owned(), "unavailable"),
        (200, "{}".to_owned(), "unavailable"),
        (200, String::new(), "unavailable"),
        (404, own("task: Not a recognized ID: 1"), "skipped"),
        (404, "<html>".to_owned(), "unavailable"),
        (403, own("task: Forbidden"), "misconfigured"),
        (429, String::new(), "throttled 60 s"),
        (502, String::new(), "unavailable"),
    ] {
        let looked = played(&event, Before::Attempt, &[(status, &body)]);
        assert_eq!((looked.requests.len(), looked.outcome.as_str()), (1, outcome), "{status} {body}");
    }
}

#[test]
fn a_missing_task_is_named() {
    let answer = r#"{"errors":[{"message":"task: Unknown object: 1"}]}"#;
    let played = play_own("asana", &KEY, &[(404, answer)]);
    assert_eq!(played.outcome, "skipped");
    assert_eq!(played.why, "the token's user can see no such task at Asana");
}

#[test]
fn compatible_servers_are_called_at_their_own_address_without_its_login() {
    let settings = [KEY[0], ("base_url", "https://ada:pass1word@tasks.example/below/?x=y#z")];
    let played = play_own("asana", &settings, &[TAKEN]);
    assert_eq!(played.address(0), "POST https://tasks.example/below/api/1.0/tasks/1202345678901234/stories");
    assert_eq!(played.header(0, "authorization"), "Bearer 1/23:abc");
}

#[test]
fn branches_are_exact_and_the_list_has_no_white_space() {
    let with = |list: &'static str| {
        let settings = [KEY[0], ("restrict_to_branch", list)];
        targets_of_own("asana", &settings, |_| ()).send.len()
    };
    assert_eq!((with("mas ter,\tx"), with("mast"), with("masterpiece"), with("  ")), (3, 0, 0, 3));
}

#[test]
fn a_comment_takes_the_calls_of_every_look_up_too() {
    let entry = crate::adapters::find("asana").expect("the adapter");
    let settings = settings_with("asana", &KEY).expect("valid settings");
    let calls = |target: &str| entry.pace(&settings, target).expect("a pace").calls;
    assert_eq!((calls(COMMENT_TARGET), calls("12 complete")), (6, 1));
}

#[test]
fn a_key_is_one_word() {
    assert_eq!(
        errors("asana", &[("api_key", "1/2 3")]),
        ["api_key: must be one word of letters, digits and signs"]
    );
    assert!(errors("asana", &[("api_key", " 1/23:abc\n")]).is_empty(), "it is trimmed");
}

#[test]
fn a_test_asks_whose_the_token_is() {
    let entry = crate::adapters::find("asana").expect("the adapter");
    let settings = settings_with("asana", &KEY).expect("valid settings");
    let probe = entry.probe.as_ref().expect("it can be asked");
    let ask = || {
        let call = probe.probe(&settings, Timestamp::UNIX_EPOCH, &OperatorSettings::default());
        call.expect("a call")
    };
    let crate::call::Request::Http(request) = ask().request else { panic!("no HTTP") };
    assert_eq!(
        (request.method, request.url.as_str()),
        (Method::Get, "https://app.asana.com/api/1.0/users/me")
    );
    let own =
        r#"{"errors":[{"message":"Not Authorized","help":"https://developers.asana.com/docs/errors"}]}"#;
    for (status, body, expected) in [
        (200, r#"{"data":{"gid":"1"}}"#, "answered 200"),
        (200, "<html>Sign in</html>", "unavailable"),
        (200, "{}", "unavailable"),
        (401, own, "misconfigured"),
        (401, "", "unavailable"),
        (429, "", "throttled"),
        (302, "", "unavailable"),
    ] {
        let response = HttpResponse {
            status,
            headers: Vec::new(),
            body: body.to_owned().into(),
            at: Timestamp::UNIX_EPOCH,
        };
        let came_to = match (ask().read)(&crate::call::Response::Http(response)) {
            Answer::Done(Health { answer }) => answer,
            Answer::Failed(failure) => failure.consequence().to_owned(),
            _ => "something else".to_owned(),
        };
        assert_eq!(came_to, expected, "{status} {body}");
    }
}

#[test]
fn a_refused_token_is_not_the_refusal_of_a_task() {
    let own = r#"{"errors":[{"message":"no","help":"https://developers.asana.com/docs/errors"}]}"#;
    let failed = |status: u16| match read(&crate::adapters::tests::http_response(status, &[], own)) {
        Answer::Failed(failure) => failure,
        _ => panic!("{status} is a failure"),
    };
    assert!(matches!(failed(401), Failure::LoginRefused(_)));
    for status in [402, 403] {
        assert!(matches!(failed(status), Failure::Misconfigured(_)), "{status}");
    }
}

//! Tests of irker's special rules.

use serde_json::{Value as Json, json};

use super::events::{Case, hostile};
use super::{body, buckets, call_with, entry, kind, settings_of, size};
use crate::call::{Answer, Request, Response, Sent};
use crate::event::{Event, EventId, Payload};
use crate::message::compose;
use crate::settings::{Properties, Value};

fn properties(settings: &[(&str, &str)]) -> Properties {
    settings.iter().map(|(name, value)| ((*name).to_owned(), Value::Text((*value).to_owned()))).collect()
}

/// The errors in these settings, one per line.
fn errors(settings: &[(&str, &str)]) -> Vec<String> {
    let errors = entry("irker").read(&properties(settings)).expect_err("these settings are wrong");
    errors.iter().map(ToString::to_string).collect()
}

/// The addresses in the request to irkerd, in order.
fn addresses(settings: &[(&str, &str)]) -> Vec<String> {
    let sent = body(&call_with(entry("irker"), &settings_of("irker", settings), kind("branch_removed"), ""));
    let address = |line: &Json| line["to"][0].as_str().expect("an address").to_owned();
    sent.as_array().expect("lines").iter().map(address).collect()
}

/// The lines that one channel gets for an event.
fn lines(case: &Case, colors: bool) -> Vec<String> {
    let colors = if colors { "true" } else { "false" };
    let settings = settings_of("irker", &[("recipients", "irc://h/a"), ("colorize_messages", colors)]);
    let sent = body(&call_with(entry("irker"), &settings, case, ""));
    let line = |line: &Json| line["privmsg"].as_str().expect("a text").to_owned();
    sent.as_array().expect("lines").iter().map(line).collect()
}

fn push(change: impl FnOnce(&mut Json)) -> Case {
    let mut payload: Json = serde_json::from_slice(&kind("push").event.raw).expect("JSON");
    change(&mut payload);
    let id = EventId::new("a-push").expect("an id");
    let event = Event::decode(id, jiff::Timestamp::UNIX_EPOCH, payload.to_string().into()).expect("a push");
    let message = compose(&event).expect("a push has a message");
    Case { name: "a push".to_owned(), event, message: Some(message) }
}

#[test]
fn recipients_are_written_so_that_irkerd_reads_them_correctly() {
    let default = "irc://irc.example.net:6667/";
    let table = [
        // GitLab's own example.
        ("#builds", "irc://irc.example.net:6667/builds"),
        ("ircs://irc.example.org/#ops", "ircs://irc.example.org/ops"),
        // Addresses that irkerd would read as another room, or without its key.
        ("irc://h/Chan", "irc://h/chan"),
        ("irc://h/#Chan", "irc://h/chan"),
        ("IRC://Host.Example/a", "irc://host.example/a"),
        ("irc://h/%23chan", "irc://h/chan"),
        ("%23chan", "irc://irc.example.net:6667/chan"),
        ("irc://h/#chan?key=Secret", "irc://h/chan?key=Secret"),
        ("#chan?key=Secret", "irc://irc.example.net:6667/chan?key=Secret"),
        ("irc://h/chan?Secret", "irc://h/chan?key=Secret"),
        ("irc://h/?key=Secret#chan", "irc://h/chan?key=Secret"),
        ("irc://h/chan?key=key=x", "irc://h/chan?key=key=x"),
        ("irc://h/chan?", "irc://h/chan"),
        // Other kinds of rooms; a second sign has room only behind the key.
        ("&local", "irc://irc.example.net:6667/&local"),
        ("irc://h/%26local", "irc://h/&local"),
        ("irc://h/+open", "irc://h/+open"),
        ("##c", "irc://irc.example.net:6667/##c"),
        ("irc://h/%23%23c?key=x", "irc://h/?key=x##c"),
        ("irc://h/#&x", "irc://h/#&x"),
        ("irc://h/a#b", "irc://h/#a#b"),
        ("#gruppe-für-tests", "irc://irc.example.net:6667/gruppe-für-tests"),
        ("#a/b:c", "irc://irc.example.net:6667/a/b:c"),
        // People.
        ("ada,isnick", "irc://irc.example.net:6667/ada,isnick"),
        ("irc://h/Ada,isnick", "irc://h/ada,isnick"),
        ("irc://h/#room,isnick", "irc://h/room"),
        // Servers.
        ("irc://bell:S3cret@h:7000/a", "irc://bell:S3cret@h:7000/a"),
        ("irc://bell:p@ss@h/a", "irc://bell:p@ss@h/a"),
        ("ircs://[2001:DB8::1]:6697/a", "ircs://[2001:db8::1]:6697/a"),
        ("irc://[::1]/a", "irc://[::1]/a"),
        ("irc://bücher.example/a", "irc://xn--bcher-kva.example/a"),
    ];
    for (written, sent) in table {
        let settings = [("recipients", written), ("default_irc_uri", default)];
        assert_eq!(addresses(&settings), [sent], "{written}");
    }
}

#[test]
fn invalid_recipients_are_left_out() {
    let wrong = [
        "mailto:x@y",
        "http://h/a",
        "irc:a",
        "irc://",
        "irc://h",
        "irc://h/",
        "irc://h/#",
        "irc:///a",
        "irc://h:0/a",
        "irc://h:65536/a",
        "irc://h:port/a",
        "irc://[::1/a",
        "irc://a[b]:x@h/a",
        "irc://h/a,b",
        "irc://h/a,0",
        "irc://h/#a?key=b#c",
        "irc://h/a\u{7}b",
        "irc://h/a?key=b\u{0}",
        "irc://h/,isnick",
        "//h/a",
        "#",
    ];
    for written in wrong {
        assert_eq!(
            errors(&[("recipients", written), ("default_irc_uri", "irc://irc.example.net")]).len(),
            1,
            "{written}"
        );
        let beside = format!("{written} irc://h/good");
        let settings = [("recipients", beside.as_str()), ("default_irc_uri", "irc://irc.example.net")];
        assert_eq!(addresses(&settings), ["irc://h/good"], "{written}");
    }
}

#[test]
fn repeated_recipients_are_addressed_once() {
    let recipients =
        "irc://h/a #a irc://h:6667/#A ircs://h/a irc://me@h/a irc://h/b irc://h/b?key=x irc://h/b,isnick";
    assert_eq!(
        addresses(&[("recipients", recipients), ("default_irc_uri", "irc://h/else?key=z#where")]),
        ["irc://h/a", "ircs://h/a", "irc://h/b?key=x", "irc://h/b,isnick"],
        "irkerd has one connection for a host and port, and another for another port"
    );
}

#[test]
fn settings_without_a_usable_address_are_refused_with_a_reason() {
    assert_eq!(errors(&[]), ["recipients: is missing"]);
    assert_eq!(
        errors(&[("recipients", "#builds")]),
        ["recipients: are all invalid: names without a server need `default_irc_uri`"]
    );
    assert_eq!(
        errors(&[("recipients", "mailto:x@y #"), ("default_irc_uri", " ")]),
        ["recipients: are all invalid"]
    );
    for default in ["irc.example.net", "http://irc.example.net", "irc:irc.example.net"] {
        assert_eq!(
            errors(&[("recipients", "#builds"), ("default_irc_uri", default)]),
            ["default_irc_uri: must be the address of a server, with irc:// or ircs://"]
        );
    }
    for port in ["0", "65536", "-1"] {
        assert_eq!(
            errors(&[("recipients", "irc://h/a"), ("server_port", port)]),
            ["server_port: must be a port, from 1 to 65535"]
        );
    }
    assert_eq!(
        errors(&[("recipients", "irc://h/a"), ("server_port", "irc")]),
        ["server_port: is not a number"]
    );
    for host in ["irker.example:6659", "http://irker.example", "a b", "irker.example/x"] {
        assert_eq!(
            errors(&[("recipients", "irc://h/a"), ("server_host", host)]),
            ["server_host: must be a host's name or address, and nothing else"]
        );
    }
}

#[test]
fn irkerd_is_on_this_machine_by_default() {
    let place = |settings: &[(&str, &str)]| {
        let settings = [&[("recipients", "irc://h/a")], settings].concat();
        let settings = settings_of("irker", &settings);
        let buckets = buckets(entry("irker"), &settings, "");
        assert_eq!((buckets.len(), buckets[0].every.as_millis(), buckets[0].burst), (1, 1000, 3));
        match call_with(entry("irker"), &settings, kind("push"), "").request {
            Request::Tcp(request) => (request.host, request.port, buckets[0].key.0.clone()),
            other => panic!("{other:?}"),
        }
    };
    let (host, port, local) = place(&[]);
    assert_eq!((host.as_str(), port), ("localhost", 6659));
    assert_eq!(place(&[("server_host", " "), ("server_port", "")]).2, local);
    assert_eq!(place(&[("server_host", "LOCALHOST")]).2, local);
    let (host, port, elsewhere) = place(&[("server_host", "::1"), ("server_port", "7000")]);
    assert_eq!((host.as_str(), port), ("::1", 7000));
    assert_ne!(elsewhere, local);
    assert_eq!(
        entry("irker").deliver.as_ref().expect("it delivers").about.concurrency,
        1,
        "irkerd serves one connection at a time"
    );
}

#[test]
fn a_push_is_described_in_gitlabs_lines() {
    assert_eq!(
        lines(kind("push"), false),
        [
            "[Diaspora] John Smith pushed 4 new commits to master: http://example.com/mike/diaspora/-/compare/95790bf8...da156088",
            "Diaspora/master b6568db1 Jordi Mallach (2 files): Update Catalan translation to e38cb41.",
            "Diaspora/master da156088 GitLab dev user (2 files): fixed readme",
        ]
    );
    let one = push(|push| {
        push["commits"] = json!([push["commits"][0].clone()]);
        push["commits"][0]["added"] = json!([]);
        push["commits"][0]["modified"] = json!(["a"]);
        push["total_commits_count"] = json!(1);
    });
    let case = lines(&one, false);
    assert!(case[0].contains(" pushed 1 new commit to master: "), "{case:?}");
    assert!(case[1].contains(" (1 file): "), "{case:?}");
}

#[test]
fn created_and_deleted_branches_are_described() {
    assert_eq!(
        lines(kind("branch_new"), false)[0],
        "[hello-world] Sid Sijbrandij has created a new branch feature: \
         https://gitlab.com/gitlab-org/hello-world/-/branches"
    );
    let removed = lines(kind("branch_removed"), false);
    assert_eq!(removed.len(), 1, "{removed:?}");
    assert!(removed[0].ends_with(" has deleted the branch feature"), "{removed:?}");
    let new = push(|push| push["before"] = json!("0".repeat(40)));
    let case = lines(&new, false);
    assert_eq!(
        case[..2],
        [
            "[Diaspora] John Smith has created a new branch master: http://example.com/mike/diaspora/-/branches",
            "[Diaspora] John Smith pushed 4 new commits to master: http://example.com/mike/diaspora/-/commits/da156088",
        ],
        "the first commits of the branch are not known"
    );
    assert_eq!(case.len(), 4);
}

/// System hooks list no commits and count none, whatever was pushed.
#[test]
fn a_push_without_listed_commits_is_one_line() {
    let unlisted = push(|push| {
        push["commits"] = json!([]);
        push["total_commits_count"] = json!(0);
    });
    assert_eq!(
        lines(&unlisted, false),
        [
            "[Diaspora] John Smith pushed to master: http://example.com/mike/diaspora/-/compare/95790bf8...da156088"
        ]
    );
}

#[test]
fn at_most_three_commits_are_shown() {
    let many = push(|push| {
        let commit = push["commits"][0].clone();
        push["commits"] = std::iter::repeat_n(commit, 10_000).collect();
        push["total_commits_count"] = json!(10_000);
    });
    let case = lines(&many, false);
    assert_eq!(case.len(), 4);
    assert!(case[0].contains(" pushed 10000 new commits to "), "{}", case[0]);
    assert_eq!(lines(kind("push_14_commits"), false).len(), 4);
}

#[test]
fn colours_are_mircs_and_only_if_switched_on() {
    let case = lines(kind("push"), true);
    assert_eq!(
        case[0],
        "[\x0304Diaspora\x0f] John Smith pushed \x024\x0f new commits to \x0305master\x0f: \
         \x0302\x1fhttp://example.com/mike/diaspora/-/compare/95790bf8...da156088\x0f"
    );
    assert_eq!(
        case[2],
        "\x0304Diaspora\x0f/\x0305master\x0f \x0314da156088\x0f GitLab dev user (\x03122\x0f files): fixed readme"
    );
    assert!(lines(kind("push"), false).iter().all(|line| !line.contains(|c: char| c.is_control())));
    let odd = push(|push| push["ref"] = json!("refs/heads/,5red"));
    assert!(lines(&odd, true)[0].contains("\x0305\x02\x02,5red\x0f"), "a comma begins no background");
}

#[test]
fn lines_are_cut_between_letters_and_keep_their_ends() {
    for colors in [false, true] {
        for letter in ["é", "👩‍👩‍👧", "x", "e\u{301}"] {
            for shift in 0..8 {
                let words = "-".repeat(shift) + &letter.repeat(400);
                let long = push(|push| {
                    push["commits"][0]["title"] = json!(words);
                    push["commits"][0]["author"]["name"] = json!(words);
                    push["user_name"] = json!(words);
                    push["project"]["name"] = json!(words);
                    push["ref"] = json!(format!("refs/heads/{words}"));
                });
                for line in lines(&long, colors).iter().take(2) {
                    assert!(line.len() <= 400, "{} bytes", line.len());
                    assert!(line.contains('…'), "{line}");
                    let rest = line.replace(letter, "").replace("https://", "");
                    assert!(
                        !rest.contains('\u{200d}') && !rest.contains('\u{301}'),
                        "half a letter: {line:?}"
                    );
                }
                assert!(lines(&long, colors)[1].len() > 300, "there was room for more");
            }
        }
    }
    for length in 200..400 {
        let url = format!("https://h.example/{}", "a".repeat(length));
        let near = push(|push| push["project"]["web_url"] = json!(url));
        for colors in [false, true] {
            let line = &lines(&near, colors)[0];
            assert!(line.len() <= 400, "{} bytes: {line}", line.len());
        }
    }
    let far =
        push(|push| push["project"]["web_url"] = json!(format!("https://h.example/{}", "a".repeat(300))));
    let case = lines(&far, false);
    assert_eq!(
        case[0], "[Diaspora] John Smith pushed 4 new commits to master",
        "half an address leads nowhere"
    );
}

#[test]
fn any_text_stays_within_a_line() {
    let pushes = hostile().iter().filter(|case| matches!(case.event.payload, Payload::Push(_)));
    let injected = push(|push| {
        let words = "x\r\nQUIT :bye\n\0\x0304,04red\u{202e}";
        push["user_name"] = json!(words);
        push["project"]["name"] = json!(words);
        push["commits"][0]["title"] = json!(words);
        push["commits"][0]["id"] = json!(words);
        push["commits"][0]["author"]["name"] = json!(words);
    });
    for case in pushes.chain([&injected]) {
        for colors in [false, true] {
            for line in lines(case, colors) {
                assert!(line.len() <= 400, "{} bytes: {line}", line.len());
                let ours = ['\x02', '\x03', '\x0f', '\x1f'];
                let foreign = |c: char| c.is_control() && !(colors && ours.contains(&c));
                assert!(!line.contains(foreign), "{line:?}");
                assert!(!line.contains('\u{202e}'), "{line:?}");
                assert!(!line.contains("\x0304,"), "a colour from the text: {line:?}");
            }
        }
    }
}

#[test]
fn a_push_without_an_author_is_described() {
    let anonymous = push(|push| {
        for name in ["user_name", "user_username", "project", "repository", "commits", "total_commits_count"]
        {
            push[name] = Json::Null;
        }
        push["before"] = json!("0".repeat(40));
    });
    assert_eq!(lines(&anonymous, false), ["Branch master was created"]);
    let by_deploy_key = push(|push| {
        push["user_name"] = Json::Null;
        push["user_username"] = Json::Null;
    });
    let told = lines(&by_deploy_key, false);
    assert!(told[0].starts_with("[Diaspora] 4 new commits were pushed to master: "), "{told:?}");
    let nameless = push(|push| push["user_name"] = Json::Null);
    assert!(lines(&nameless, false)[0].starts_with("[Diaspora] jsmith pushed "));
    let bare = push(|push| push["commits"] = json!([{}]));
    assert_eq!(lines(&bare, false)[1], "Diaspora/master: (no message)");
}

#[test]
fn each_line_of_the_request_is_one_object_for_one_recipient() {
    let settings = settings_of("irker", &[("recipients", "irc://h/a irc://i/b?key=x")]);
    let call = call_with(entry("irker"), &settings, kind("push"), "");
    let sent = body(&call);
    let lines = sent.as_array().expect("lines");
    assert_eq!(lines.len(), 6, "3 lines for 2 recipients");
    for line in lines {
        let object = line.as_object().expect("an object");
        assert_eq!(object.keys().collect::<Vec<_>>(), ["privmsg", "to"]);
        assert_eq!(object["to"].as_array().map(Vec::len), Some(1));
    }
    let order: Vec<_> = lines.iter().map(|line| line["privmsg"].as_str().unwrap_or_default()).collect();
    assert_eq!(order[0], order[1], "the first line goes to all channels before the second goes to any");
    let Request::Tcp(request) = &call.request else { panic!("{:?}", call.request) };
    assert!(request.body.ends_with(b"}\n"));
    assert_eq!(request.timeout.as_secs(), 300, "irkerd may be busy with another client for long");
    assert!(size(&call) > 0);
    assert!(matches!((call.read)(&Response::Written), Answer::Done(Sent)), "irkerd answers nothing");
}

#[test]
fn keys_and_passwords_are_never_shown() {
    let written = [
        ("recipients", "irc://h/a?key=k3yk3y irc://h/#b?w0rdw0rd"),
        ("default_irc_uri", "irc://me:p4ssp4ss@h/"),
    ];
    let settings = settings_of("irker", &written);
    let call = call_with(entry("irker"), &settings, kind("push"), "");
    let read = entry("irker").read(&properties(&written));
    let target = entry("irker").destination(&settings, "");
    let shown = format!("{:?} {read:?} {target}", call.request);
    let wrong =
        errors(&[("recipients", "http://h/a?key=k3yk3y"), ("default_irc_uri", "irc://me:p4ssp4ss@:0/")]);
    for secret in ["k3yk3y", "w0rdw0rd", "p4ssp4ss"] {
        assert!(!shown.contains(secret), "{shown}");
        assert!(!wrong.concat().contains(secret), "{wrong:?}");
    }
}

#[test]
fn a_test_says_so_in_every_line() {
    let long = push(|push| push["commits"][0]["title"] = json!("x".repeat(1000)));
    for (case, colors) in [(kind("push"), "false"), (kind("branch_new"), "true"), (&long, "true")] {
        let case = Case {
            name: case.name.clone(),
            event: case.event.clone(),
            message: Some(case.message().clone().marked_as_test()),
        };
        let settings = settings_of("irker", &[("recipients", "irc://h/a"), ("colorize_messages", colors)]);
        let sent = body(&call_with(entry("irker"), &settings, &case, ""));
        for line in sent.as_array().expect("lines") {
            let line = line["privmsg"].as_str().expect("a text");
            assert!(line.starts_with("[Test] ") && line.len() <= 400, "{line}");
        }
    }
}

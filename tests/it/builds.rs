//! Build servers: the real daemon, and receivers that answer as those servers do, also misleadingly. What they receive is
//! read by other people's libraries.

use std::io::{Read as _, Write as _};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use forgebell::store::State;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};

use crate::harness::authority::Authority;
use crate::harness::daemon::Home;
use crate::harness::payloads::{payload, with};
use crate::harness::python;
use crate::harness::receiver::{Answer, Received, Receiver};
use crate::harness::wait::eventually;

/// An integration of the project that `push.json` comes from.
fn integration(adapter: &str, settings: &[(&str, &str)]) -> String {
    let settings: Vec<_> = settings.iter().map(|(name, value)| format!("{name} = {value:?}\n")).collect();
    let settings = settings.concat();
    format!("[[integration]]\nproject = \"mike/diaspora\"\nadapter = \"{adapter}\"\n{settings}\n")
}

/// Another event of the same project.
fn of_the_project(name: &str) -> Vec<u8> {
    let push: Value = serde_json::from_slice(&payload("push.json")).expect("JSON");
    with(&payload(name), |json| {
        json["project"] = push["project"].clone();
        if json.get("project_id").is_some() {
            json["project_id"] = json!(15);
        }
        for name in ["source_project_id", "target_project_id"] {
            if json["object_attributes"].get(name).is_some() {
                json["object_attributes"][name] = json!(15);
            }
        }
    })
}

fn unlimited(provisioning: &str) -> Home {
    Home::new(provisioning).with(&["rate_limits.enabled=false"])
}

/// JSON as no printer writes it, with a key that occurs twice.
fn strange_push() -> Vec<u8> {
    let push = String::from_utf8(payload("push.json")).expect("UTF-8");
    let strange = push.replacen(
        "\"object_kind\": \"push\",",
        "\t\"object_kind\":\"p\\u0075sh\" ,\"n\":1.0e2,\"n\":2,\r\n",
        1,
    );
    assert_ne!(strange, push);
    (strange + " \n").into_bytes()
}

#[tokio::test(flavor = "multi_thread")]
async fn events_arrive_byte_for_byte_as_gitlab_sends_them() {
    let server = Receiver::start().await;
    let base = server.url("/");
    let job = server.url("/job/rocket");
    let intake = server.url("/datadog");
    let flags = "merge_requests_events = true\ntag_push_events = true\n";
    let all = [
        integration(
            "buildkite",
            &[("token", "hook:status"), ("project_url", "https://buildkite.com/a/b"), ("base_url", &base)],
        ),
        integration("drone-ci", &[("token", "s3cret-token"), ("drone_url", &base)]),
        integration(
            "jenkins",
            &[
                ("jenkins_url", &base),
                ("project_name", "Team A/My%20Job"),
                ("username", "ada"),
                ("password", "p@ss"),
            ],
        )
        .trim_end()
        .to_owned()
            + "\n"
            + flags,
        integration("jenkins-deprecated", &[("project_url", &job)]),
        integration("packagist", &[("username", "ada"), ("token", "a+b"), ("server", &base)]),
        integration("datadog", &[("api_key", "k3y"), ("api_url", &intake)]),
    ];
    let home = unlimited(&all.concat());
    let daemon = home.start().await;
    let ok = Answer::json(200, &json!({ "id": 7 }));
    let hooks = [
        ("buildkite", server.at("/deliver/hook").answer(ok.clone()), 3),
        ("drone-ci", server.at("/hook").answer(ok.clone()), 3),
        ("jenkins", server.at("/project/Team%20A/My%20Job").answer(Answer::status(200)), 3),
        ("jenkins-deprecated", server.at("/gitlab/build_now").answer(ok), 1),
        ("packagist", server.at("/api/update-package").answer(Answer::status(202)), 3),
        ("datadog", server.at("/datadog").answer(Answer::status(202)), 3),
    ];
    let tag = with(&of_the_project("tag_push.json"), |tag| tag["total_commits_count"] = json!(1));
    let events = [
        ("Push Hook", strange_push()),
        ("Tag Push Hook", tag),
        ("Merge Request Hook", of_the_project("merge_request_open.json")),
    ];
    for (name, raw) in &events {
        let id = name.to_lowercase().replace(' ', "-");
        assert_eq!(daemon.send(&id, raw.clone()).await.0, 202, "{name}");
    }
    let mut requests = Vec::new();
    for (service, hook, count) in &hooks {
        let received = hook.wait_for(*count).await;
        for received in received {
            let known = events.iter().find(|(_, raw)| *raw == received.body);
            let (event, _) = known.unwrap_or_else(|| panic!("{service} got other bytes: {received}"));
            assert_eq!(received.header("x-gitlab-event"), Some(*event), "{service}");
            let id = event.to_lowercase().replace(' ', "-");
            assert_eq!(received.header("x-gitlab-event-uuid"), Some(id.as_str()));
            let secret = (*service == "drone-ci").then_some("s3cret-token");
            requests.push(recorded(service, &received, json!({ "event": event, "secret": secret })));
        }
    }
    let jenkins = hooks[2].1.received();
    let basic = format!("Basic {}", BASE64_STANDARD.encode("ada:p@ss"));
    assert!(jenkins.iter().all(|received| received.header("authorization") == Some(&basic)));
    assert_eq!(hooks[1].1.received()[0].query, "owner=mike&name=diaspora&access_token=s3cret-token");
    assert_eq!(hooks[4].1.received()[0].query, "username=ada&apiToken=a%2Bb");
    daemon.stop().await;
    read_by_others(&requests, "16 read").await;
}

fn recorded(service: &str, received: &Received, more: Value) -> Value {
    let text = |value: &axum::http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let headers: serde_json::Map<String, Value> =
        received.headers.iter().map(|(name, value)| (name.to_string(), text(value).into())).collect();
    let mut request = json!({
        "service": service, "method": received.method, "path": received.path, "headers": headers,
        "body": BASE64_STANDARD.encode(&received.body),
    });
    if let (Some(request), Value::Object(more)) = (request.as_object_mut(), more) {
        request.extend(more);
    }
    request
}

/// gidgetlab reads forwarded events, and TeamCity's client its builds.
async fn read_by_others(requests: &[Value], expected: &str) {
    let file = tempfile::NamedTempFile::new().expect("a temporary file");
    std::fs::write(file.path(), Value::from(requests).to_string()).expect("the file is ours");
    let said = python::script("builds.py", &[file.path().to_str().expect("a path of words")]).await;
    assert_eq!(said.trim(), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn teamcity_reads_what_is_queued_and_gets_no_cookie_back() {
    let server = Receiver::start().await;
    let base = server.url("/ci/");
    let login = [("username", "ada"), ("password", "x")];
    let settings = [&[("teamcity_url", base.as_str()), ("build_type", "A\"'<&>_B")][..], &login].concat();
    let home = unlimited(&integration("teamcity", &settings));
    let daemon = home.start().await;
    let queued = Answer::status(200)
        .header("set-cookie", "TCSESSIONID=5E; Path=/; HttpOnly")
        .body(r#"<build id="7" buildTypeId="A_B" state="queued"/>"#);
    let queue = server.at("/ci/httpAuth/app/rest/buildQueue").answer(queued);
    let names = ["main", "a/<b>&\"c'", "Ünï/\u{202e}\u{200b}x", "p%20q #?"];
    for (place, name) in names.iter().enumerate() {
        let push = with(&payload("push.json"), |push| push["ref"] = json!(format!("refs/heads/{name}")));
        daemon.send(&format!("push-{place}"), push).await;
        queue.wait_for(place + 1).await;
    }
    daemon.send("mr", of_the_project("merge_request_open.json")).await;
    let received = queue.wait_for(names.len() + 1).await;
    home.until(State::Delivered, names.len() + 1).await;
    daemon.stop().await;
    assert!(received.iter().all(|request| request.header("cookie").is_none()), "a cookie came back");
    let branches = names.into_iter().chain(["ms-viewport"]);
    let requests: Vec<Value> = received
        .iter()
        .zip(branches)
        .map(|(request, branch)| {
            assert_eq!(request.header("content-type"), Some("application/xml"));
            recorded("teamcity", request, json!({ "branch": branch, "build_type": "A\"'<&>_B" }))
        })
        .collect();
    read_by_others(&requests, "5 read").await;
}

/// What a build server may have taken is not asked for again; what it refused is.
#[tokio::test(flavor = "multi_thread")]
async fn no_build_is_asked_for_twice_where_it_may_have_started() {
    for (adapter, path, key) in [
        ("jenkins", "/project/rocket", "jenkins_url"),
        ("bamboo", "/updateAndBuild.action", "bamboo_url"),
        ("drone-ci", "/hook", "drone_url"),
        ("jenkins-deprecated", "/gitlab/build_now", "project_url"),
        ("teamcity", "/httpAuth/app/rest/buildQueue", "teamcity_url"),
        ("buildkite", "/deliver/t0ken", "base_url"),
    ] {
        let server = Receiver::start().await;
        let base = server.url("/");
        let own: &[(&str, &str)] = match adapter {
            "jenkins" => &[("project_name", "rocket")],
            "bamboo" => &[("build_key", "A-B")],
            "drone-ci" => &[("token", "t0ken")],
            "teamcity" => &[("build_type", "A_B")],
            "buildkite" => &[("token", "t0ken:x"), ("project_url", "https://buildkite.com/a/b")],
            _ => &[],
        };
        let home = unlimited(&integration(adapter, &[&[(key, base.as_str())], own].concat()));
        let daemon = home.start().await;
        // Five events: refused twice and then taken, broken off, broken off within the answer, a server error, a bad gateway.
        let taken = Answer::json(200, &json!({ "id": 1, "buildTypeId": "A_B" }));
        let broken = [Answer::close(), Answer::close_mid(), Answer::status(500), Answer::status(502)];
        let refused = [Answer::status(503), Answer::throttled(Duration::from_secs(1))];
        let script: Vec<Answer> = refused.into_iter().chain([taken.clone()]).chain(broken).collect();
        let hook = server.at(path).answer_then(script, taken);
        let push =
            |n: u32| with(&payload("push.json"), |push| push["ref"] = json!(format!("refs/heads/b{n}")));
        daemon.send("0", push(0)).await;
        let delivered = home.until(State::Delivered, 1).await;
        assert_eq!(hook.received().len(), 3, "{adapter}: {delivered:?}");
        for n in 1..=4 {
            daemon.send(&n.to_string(), push(n)).await;
            home.until(State::Failed, n as usize).await;
            assert_eq!(hook.received().len(), 3 + n as usize, "{adapter}");
        }
        daemon.stop().await;
    }
}

/// A page is not the build server's answer: nothing was started, and nothing is wrong with the settings because of it.
#[tokio::test(flavor = "multi_thread")]
async fn a_login_page_with_status_200_is_no_build() {
    let server = Receiver::start().await;
    let page = "<!DOCTYPE html><html><head><title>Sign in</title></head></html>";
    let page = Answer::ok().header("content-type", "text/html").body(page);
    let job = server.at("/project/rocket").answer_then(vec![page.clone(), page], Answer::status(200));
    let base = server.url("");
    let home = unlimited(&integration("jenkins", &[("jenkins_url", &base), ("project_name", "rocket")]));
    let daemon = home.start().await;
    daemon.send("one", payload("push.json")).await;
    home.until(State::Delivered, 1).await;
    daemon.stop().await;
    assert_eq!(job.received().len(), 3);
}

/// Jenkins' own refusal holds the job's deliveries until the settings change.
#[tokio::test(flavor = "multi_thread")]
async fn a_refused_login_waits_for_other_settings() {
    let server = Receiver::start().await;
    let refused = Answer::status(401).header("x-jenkins", "2.479").body("Invalid token");
    let wrong = server.at("/old/project/rocket").answer(refused);
    let right = server.at("/ci/project/rocket").answer(Answer::status(200));
    let settings = |base: &str| {
        integration("jenkins", &[("jenkins_url", &server.url(base)), ("project_name", "rocket")])
    };
    let home = unlimited(&settings("/old"));
    let daemon = home.start().await;
    daemon.send("one", payload("push.json")).await;
    wrong.wait_for(1).await;
    let noted = eventually("the refusal is noted", Duration::from_secs(20), async || {
        let waiting = home.deliveries(Some(State::Waiting)).await;
        waiting.into_iter().find_map(|line| line.last_note)
    })
    .await;
    assert!(noted.contains("answered 401: Invalid token"), "{noted}");
    home.provision(&settings("/ci/"));
    daemon.reload().await.expect("the file is right");
    home.until(State::Delivered, 1).await;
    daemon.stop().await;
    assert_eq!((wrong.received().len(), right.received().len()), (1, 1));
}

/// A running pipeline's status that GitHub did not take yet is not sent after the pipeline has ended.
#[tokio::test(flavor = "multi_thread")]
async fn a_newer_status_of_the_same_commit_replaces_one_that_waits() {
    let server = Receiver::start().await;
    let page = server.url("/acme/rocket");
    let home = unlimited(&integration("github", &[("token", "ghp_t0ken"), ("repository_url", &page)]));
    let daemon = home.start().await;
    let too_fast = Answer::json(403, &json!({ "message": "You have exceeded a secondary rate limit" }))
        .header("retry-after", "4");
    let sha = "bcbb5ec396a2c0f828686f14fac9b80b780504f2";
    let statuses = server
        .at(&format!("/api/v3/repos/acme/rocket/statuses/{sha}"))
        .answer_then(vec![too_fast], Answer::json(201, &json!({ "id": 1 })));
    let pipeline = |id: i64, status: &str| {
        with(&of_the_project("pipeline_success.json"), |pipeline| {
            pipeline["object_attributes"]["id"] = json!(id);
            pipeline["object_attributes"]["status"] = json!(status);
            pipeline["object_attributes"]["detailed_status"] = json!(status);
        })
    };
    daemon.send("one", pipeline(31, "running")).await;
    statuses.wait_for(1).await;
    home.until(State::Waiting, 1).await;
    daemon.send("two", pipeline(31, "success")).await;
    daemon.send("three", pipeline(31, "preparing")).await;
    home.until(State::Delivered, 1).await;
    let cancelled = home.until(State::Cancelled, 1).await;
    daemon.stop().await;
    let received = statuses.received();
    let states: Vec<Value> = received.iter().map(|received| received.json()["state"].clone()).collect();
    assert_eq!(states, ["pending", "success"], "{cancelled:?}");
    assert!(received[1].at - received[0].at >= Duration::from_secs(3), "GitHub's wait was kept");
    assert_eq!(received[0].header("authorization"), Some("Bearer ghp_t0ken"));
}

/// With the forge's API, a commit that has a pipeline for an external pull request keeps that one's status.
#[tokio::test(flavor = "multi_thread")]
async fn an_external_pull_requests_pipeline_counts_in_place_of_its_branchs() {
    let server = Receiver::start().await;
    let page = server.url("/acme/rocket");
    let home = unlimited(&integration("github", &[("token", "ghp_t0ken"), ("repository_url", &page)]))
        .with(&[&format!("forge.api_url={}", server.url("/api/v4")), "forge.token=glpat-x"]);
    let daemon = home.start().await;
    let external = json!([{ "id": 9, "source": "external_pull_request_event" }]);
    let pipelines = server.at("/api/v4/projects/15/pipelines").answer_then(
        vec![Answer::json(200, &external), Answer::status(502), Answer::json(200, &json!([]))],
        Answer::status(403),
    );
    let sha = "bcbb5ec396a2c0f828686f14fac9b80b780504f2";
    let statuses = server
        .at(&format!("/api/v3/repos/acme/rocket/statuses/{sha}"))
        .answer(Answer::json(201, &json!({ "id": 1 })));
    daemon.send("one", of_the_project("pipeline_success.json")).await;
    let skipped = home.until(State::Skipped, 1).await;
    assert!(
        skipped[0].last_note.as_deref().is_some_and(|note| note.contains("external pull request")),
        "{skipped:?}"
    );
    daemon.send("two", of_the_project("pipeline_success.json")).await;
    home.until(State::Delivered, 1).await;
    daemon.send("three", of_the_project("pipeline_success.json")).await;
    home.until(State::Delivered, 2).await;
    daemon.stop().await;
    assert_eq!((pipelines.received().len(), statuses.received().len()), (4, 2));
    assert_eq!(pipelines.received()[0].header("private-token"), Some("glpat-x"));
}

/// With the forge's API, a push to the branch of an open merge request starts no build: the merge request does. A fork's
/// branch of the same name is another one, and a forge that can't tell keeps no build back.
#[tokio::test(flavor = "multi_thread")]
async fn a_push_to_the_branch_of_an_open_merge_request_starts_no_build_of_its_own() {
    for (adapter, settings, path) in [
        ("drone-ci", ["drone_url", "token"], "/hook"),
        ("teamcity", ["teamcity_url", "build_type"], "/httpAuth/app/rest/buildQueue"),
    ] {
        let server = Receiver::start().await;
        let base = server.url("/");
        let home = unlimited(&integration(adapter, &[(settings[0], &base), (settings[1], "A_B")]))
            .with(&[&format!("forge.api_url={}", server.url("/api/v4")), "forge.token=glpat-x"]);
        let daemon = home.start().await;
        let own = json!([{ "iid": 3, "source_project_id": 99 }, { "iid": 4, "source_project_id": 15 }]);
        let forks = json!([{ "iid": 5, "source_project_id": 99 }]);
        let asked = server.at("/api/v4/projects/15/merge_requests").answer_then(
            vec![Answer::json(200, &own), Answer::status(502), Answer::json(200, &forks)],
            Answer::json(403, &json!({ "message": "403 Forbidden" })),
        );
        let builds = server.at(path).answer(Answer::json(200, &json!({ "id": 1, "buildTypeId": "A_B" })));
        let push =
            |n: u32| with(&payload("push.json"), |push| push["ref"] = json!(format!("refs/heads/a b/{n}")));
        daemon.send("open", push(0)).await;
        let skipped = home.until(State::Skipped, 1).await;
        assert_eq!((builds.received().len(), asked.received().len()), (0, 1), "{adapter}: {skipped:?}");
        daemon.send("fork", push(1)).await;
        home.until(State::Delivered, 1).await;
        daemon.send("unknown", push(2)).await;
        home.until(State::Delivered, 2).await;
        let merge_request = with(&of_the_project("merge_request_open.json"), |request| {
            request["object_attributes"]["source_branch"] = json!("a b/0");
        });
        daemon.send("request", merge_request).await;
        home.until(State::Delivered, 3).await;
        daemon.stop().await;
        let asked = asked.received();
        assert_eq!((asked.len(), builds.received().len()), (4, 3), "{adapter}");
        assert_eq!(asked[0].query, "state=opened&source_branch=a+b%2F0&per_page=100");
        assert_eq!(asked[0].header("private-token"), Some("glpat-x"));
    }
}

/// A server whose certificate nobody vouches for, that answers every request with 200. What it read is recorded.
fn self_signed() -> (String, Arc<Mutex<Vec<String>>>) {
    let (chain, key) = Authority::new().certify(&["127.0.0.1"]);
    let chain = vec![CertificateDer::from_pem_slice(chain.as_bytes()).expect("a certificate")];
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).expect("a key");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("protocols")
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .expect("a certificate and its key");
    let config = Arc::new(config);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let seen = Arc::new(Mutex::new(Vec::new()));
    let recorded = Arc::clone(&seen);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let mut session = rustls::ServerConnection::new(Arc::clone(&config)).expect("a session");
            let mut tls = rustls::Stream::new(&mut session, &mut stream);
            let mut request = vec![0; 65_536];
            // A client that does not trust the certificate breaks off here.
            let Ok(read) = tls.read(&mut request) else { continue };
            let line =
                String::from_utf8_lossy(&request[..read]).lines().next().unwrap_or_default().to_owned();
            recorded.lock().expect("no panic").push(line);
            let body = "<build id=\"1\" buildTypeId=\"A_B\"/>";
            let head =
                format!("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", body.len());
            let _ = tls.write_all((head + body).as_bytes());
            let _ = tls.flush();
        }
    });
    (format!("https://{address}"), seen)
}

/// The effect of `enable_ssl_verification`, for every service that has the setting; Buildkite verifies whatever it says.
#[tokio::test(flavor = "multi_thread")]
async fn certificates_are_verified_unless_the_integration_says_otherwise() {
    for (adapter, key, own, has_effect) in [
        ("jenkins", "jenkins_url", ("project_name", "rocket"), true),
        ("bamboo", "bamboo_url", ("build_key", "A-B"), true),
        ("drone-ci", "drone_url", ("token", "t0ken"), true),
        ("teamcity", "teamcity_url", ("build_type", "A_B"), true),
        ("buildkite", "base_url", ("token", "t0ken:x"), false),
    ] {
        let (url, seen) = self_signed();
        let page = ("project_url", "https://buildkite.com/a/b");
        let with = |verify: Option<bool>| {
            let mut settings = vec![(key, url.as_str()), own];
            settings.extend((!has_effect).then_some(page));
            let verify = verify.map(|verify| format!("enable_ssl_verification = {verify}\n"));
            integration(adapter, &settings).trim_end().to_owned() + "\n" + &verify.unwrap_or_default()
        };
        let refusals = async |home: &Home, id: &str| {
            let daemon = home.start().await;
            daemon.send(id, payload("push.json")).await;
            let note = eventually("the certificate is refused", Duration::from_secs(20), async || {
                let lines = home.deliveries(None).await;
                lines.into_iter().find_map(|line| line.last_note.filter(|note| note.contains("certificate")))
            })
            .await;
            daemon.stop().await;
            note
        };
        let home = unlimited(&with(None));
        let note = refusals(&home, "one").await;
        assert!(note.contains("UnknownIssuer"), "{adapter}: {note}");
        assert_eq!(seen.lock().expect("no panic").len(), 0, "{adapter}: it was called all the same");
        let home = unlimited(&with(Some(false)));
        if has_effect {
            let daemon = home.start().await;
            daemon.send("one", payload("push.json")).await;
            eventually("it is called", Duration::from_secs(20), async || {
                (!seen.lock().expect("no panic").is_empty()).then_some(())
            })
            .await;
            daemon.stop().await;
        } else {
            refusals(&home, "one").await;
            assert_eq!(seen.lock().expect("no panic").len(), 0, "{adapter} is Buildkite's own");
        }
    }
}

/// A maintainer of a project may save a private address of Jenkins, and the operator decides whether it is called.
#[tokio::test(flavor = "multi_thread")]
async fn a_private_jenkins_is_saved_and_called_where_the_operator_permits_it() {
    let home = Home::new("").with(&["wire.allow_networks=192.0.2.0/24"]);
    let (daemon, admin) = crate::harness::api::administered(&home).await;
    admin.put("/projects/15", json!({ "path_with_namespace": "mike/diaspora" })).await;
    let jenkins = json!({
        "jenkins_url": "http://127.0.0.1:9/", "project_name": "rocket", "username": "ada", "password": "s3cret",
    });
    let shown = admin.put("/projects/15/integrations/jenkins", jenkins).await;
    assert_eq!(shown["properties"]["jenkins_url"], "http://127.0.0.1:9/");
    assert_eq!(shown["properties"]["enable_ssl_verification"], true);
    assert!(shown["properties"].get("password").is_none(), "{shown}");
    assert_eq!((&shown["merge_requests_events"], &shown["push_events"]), (&json!(false), &json!(true)));
    let (status, answer) = admin
        .ask(
            "PUT",
            "/projects/15/integrations/drone-ci",
            Some(json!({ "drone_url": "http://127.0.0.1:9/", "token": "t" })),
        )
        .await;
    assert_eq!(status, 400, "{answer}");
    daemon.send("one", payload("push.json")).await;
    let note = eventually("the guard has refused", Duration::from_secs(20), async || {
        home.deliveries(None).await.into_iter().find_map(|line| line.last_note)
    })
    .await;
    assert!(note.contains("will not call http://127.0.0.1:9"), "{note}");
    daemon.stop().await;
}

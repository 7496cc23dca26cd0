//! The page: who gets in, what a token sees there, and what is refused.

use super::*;

const SLACK: &str = "/projects/42/integrations/slack";

/// Someone who is logged in, in a browser.
pub(super) struct Person<'a> {
    api: &'a Api,
    browser: reqwest::Client,
    cookie: String,
}

fn browser() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().unwrap()
}

/// The value of the form's hidden field.
fn form_key(page: &str) -> String {
    let after =
        page.split("name=\"form_key\" value=\"").nth(1).unwrap_or_else(|| panic!("no form in {page}"));
    after.split('"').next().unwrap().to_owned()
}

/// The cookies that an answer sets, as a browser sends them back.
fn cookies(answer: &Answer) -> String {
    let set = answer.headers.get_all("set-cookie").iter().map(|value| value.to_str().unwrap());
    set.map(|value| value.split(';').next().unwrap()).collect::<Vec<_>>().join("; ")
}

/// The answer to a log-in with this token.
async fn log_in(api: &Api, token: &str) -> Answer {
    let form_page = answer(browser().get(format!("{}/-/login", api.base))).await;
    assert_eq!(form_page.status, 200);
    let request = browser().post(format!("{}/-/login", api.base)).header("cookie", cookies(&form_page));
    let fields =
        [("form_key", form_key(&form_page.text)), ("token", token.to_owned()), ("to", "/".to_owned())];
    let fields: Vec<_> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
    answer(form(request, &fields)).await
}

impl<'a> Person<'a> {
    pub(super) async fn with(api: &'a Api, token: &str) -> Self {
        let answer = log_in(api, token).await;
        assert_eq!((answer.status, &answer.headers["location"]), (303, &"/".parse().unwrap()), "{answer:?}");
        Self { api, browser: browser(), cookie: cookies(&answer) }
    }

    pub(super) async fn get(&self, path: &str) -> Answer {
        answer(self.browser.get(format!("{}{path}", self.api.base)).header("cookie", &self.cookie)).await
    }

    /// Sends a form with the key of the session.
    pub(super) async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let key = form_key(&self.get("/").await.text);
        self.post_with(&key, path, fields).await
    }

    async fn post_with(&self, key: &str, path: &str, fields: &[(&str, &str)]) -> Answer {
        let request = self.browser.post(format!("{}{path}", self.api.base)).header("cookie", &self.cookie);
        let fields: Vec<_> = fields.iter().copied().chain([("form_key", key)]).collect();
        answer(form(request, &fields)).await
    }
}

#[tokio::test]
async fn nothing_is_shown_without_a_session() {
    let api = Api::open().await;
    for path in
        ["/", "/-/deliveries", "/-/deliveries/1", "/-/integrations", "/-/projects/42/slack", "/-/audit"]
    {
        let sent_away = answer(browser().get(format!("{}{path}", api.base))).await;
        assert_eq!(sent_away.status, 303, "{path}");
        let to = sent_away.headers["location"].to_str().unwrap();
        assert!(to.starts_with("/-/login?to=%2F"), "{to}");
    }
    let forged = browser().get(&api.base).header("cookie", "forgebell=AAAA");
    assert_eq!(answer(forged).await.status, 303);
    let posted = browser().post(format!("{}/-/deliveries/1/retry", api.base));
    assert_eq!(answer(posted).await.status, 303);
}

#[tokio::test]
async fn every_page_forbids_scripts_and_frames_and_is_not_kept() {
    let api = Api::open().await;
    let admin = Person::with(&api, &api.admin().await).await;
    for path in ["/", "/-/login", "/-/deliveries", "/-/projects/42/slack", "/-/nothing", "/-/deliveries/99"] {
        let page = admin.get(path).await;
        if page.status == 303 {
            continue; // the log-in leads on
        }
        let policy = page.headers["content-security-policy"].to_str().unwrap();
        assert!(
            policy.starts_with("default-src 'none'") && policy.contains("frame-ancestors 'none'"),
            "{path}"
        );
        assert!(!policy.contains("unsafe") && !policy.contains("script-src"), "{path}: {policy}");
        assert_eq!(page.headers["cache-control"], "no-store", "{path}");
        assert_eq!(page.headers["x-content-type-options"], "nosniff", "{path}");
        assert!(!page.text.contains("<script") && !page.text.contains(" style="), "{path}");
    }
}

#[tokio::test]
async fn wrong_tokens_get_one_answer_and_are_limited_as_everywhere() {
    let api = Api::open_with(Config { login_failures: 3, ..config() }).await;
    let admin = api.admin().await;
    assert_eq!(api.get(&admin, "/version").await.status, 200, "the node knows it");
    let expired =
        api.token_until(ScopeKey::Instance, Right::Maintain, Some(NOW - Duration::from_secs(1))).await;
    let mut answers = Vec::new();
    for wrong in ["fbt-nonsense", "x", &expired] {
        let refused = log_in(&api, wrong).await;
        assert_eq!(refused.status, 401);
        assert!(
            refused
                .headers
                .get_all("set-cookie")
                .iter()
                .all(|set| !set.to_str().unwrap().starts_with("forgebell="))
        );
        answers.push(refused.text.replace(&form_key(&refused.text), ""));
    }
    assert!(answers.iter().all(|page| *page == answers[0]), "they say nothing of which tokens there are");
    assert_eq!(log_in(&api, "fbt-more").await.status, 429);
    assert_eq!(log_in(&api, &admin).await.status, 303, "a right token is accepted even then");
}

#[tokio::test]
async fn tokens_that_only_send_do_not_look() {
    let api = Api::open().await;
    for right in [Right::Ingest, Right::Alerts] {
        let token = api.token(ScopeKey::Project(42), right).await;
        assert_eq!(log_in(&api, &token).await.status, 403);
    }
}

#[tokio::test]
async fn a_log_in_needs_the_form_of_this_server() {
    let api = Api::open().await;
    let token = api.admin().await;
    let request = browser().post(format!("{}/-/login", api.base));
    let refused = answer(form(request, &[("token", &token), ("form_key", "guess")])).await;
    assert_eq!(refused.status, 403);
    assert!(!cookies(&refused).contains("forgebell="), "{refused:?}");
}

#[tokio::test]
async fn a_session_ends_by_time_by_log_out_and_with_its_token() {
    let api = Api::open().await;
    let token = api.admin().await;
    let (one, other) = (Person::with(&api, &token).await, Person::with(&api, &token).await);
    assert_eq!(one.get("/").await.status, 200);
    let left = one.post("/-/logout", &[]).await;
    assert_eq!((left.status, &left.headers["location"]), (303, &"/-/login".parse().unwrap()));
    assert_eq!(one.get("/").await.status, 303, "the cookie is worth nothing any more");
    assert_eq!(other.get("/").await.status, 200);
    api.later.store(12 * 3600 - 1, Ordering::Relaxed);
    assert_eq!(other.get("/").await.status, 200);
    api.later.store(12 * 3600, Ordering::Relaxed);
    assert_eq!(other.get("/").await.status, 303);
    let third = Person::with(&api, &token).await;
    let id = api.store.tokens().await.unwrap()[0].id;
    api.store.revoke_token(id, audit("token.revoke")).await.unwrap();
    assert_eq!(third.get("/").await.status, 303, "its token is revoked");
}

#[tokio::test]
async fn forms_of_other_sites_are_refused() {
    let api = Api::open().await;
    let token = api.admin().await;
    api.put(&token, SLACK, &json!({ "webhook": HOOK })).await;
    let (person, other) = (Person::with(&api, &token).await, Person::with(&api, &token).await);
    let foreign = form_key(&other.get("/").await.text);
    for key in ["", "guess", &foreign] {
        for path in
            ["/off", "/test", "/resume", "/mute", ""].map(|action| format!("/-/projects/42/slack{action}"))
        {
            let refused = person.post_with(key, &path, &[("webhook", HOOK)]).await;
            assert_eq!(refused.status, 403, "{path}");
        }
    }
    assert_eq!(api.get(&token, SLACK).await.json()["active"], true);
    assert!(api.service.heard.lock().unwrap().is_empty());
    assert_eq!(person.post("/-/projects/42/slack/off", &[]).await.status, 303);
    assert_eq!(api.get(&token, SLACK).await.json()["active"], false);
}

#[tokio::test]
async fn another_site_that_leads_here_finds_the_session_at_the_second_request() {
    let api = Api::open().await;
    let led = browser()
        .get(format!("{}/-/deliveries?state=failed", api.base))
        .header("sec-fetch-site", "cross-site");
    let page = answer(led).await;
    assert_eq!(page.status, 200);
    assert!(page.text.contains("content=\"0; url=/-/deliveries?state=failed\""), "{}", page.text);
    assert!(page.headers["content-security-policy"].to_str().unwrap().starts_with("default-src 'none'"));
    assert_eq!(page.headers["cache-control"], "no-store");
}

#[tokio::test]
async fn a_token_of_a_project_sees_its_project_and_nothing_else() {
    let api = Api::open().await;
    api.project(42, "acme/rocket").await;
    api.project(43, "acme/secretive").await;
    let admin = api.admin().await;
    for project in [42, 43] {
        api.put(&admin, &format!("/projects/{project}/integrations/slack"), &json!({ "webhook": HOOK }))
            .await;
    }
    let token = api.token(ScopeKey::Project(42), Right::Maintain).await;
    let person = Person::with(&api, &token).await;
    for path in
        ["/", "/-/integrations", "/-/deliveries", "/-/holds", "/-/projects/42", "/-/projects/42/slack"]
    {
        let page = person.get(path).await;
        assert_eq!(page.status, 200, "{path}");
        assert!(!page.text.contains("secretive") && !page.text.contains("/-/audit"), "{path}");
    }
    assert!(person.get("/-/integrations").await.text.contains("acme/rocket"));
    for path in ["/-/projects/43", "/-/projects/43/slack", "/-/projects/acme%2Fsecretive", "/-/groups/acme"] {
        assert_eq!(person.get(path).await.status, 404, "{path}");
    }
    for path in ["/-/instance", "/-/instance/slack", "/-/audit", "/-/quarantine", "/-/quarantine/1"] {
        assert_eq!(person.get(path).await.status, 403, "{path}");
    }
    for action in ["", "/off", "/test", "/resume", "/mute"] {
        let path = format!("/-/projects/43/slack{action}");
        assert_eq!(person.post(&path, &[("webhook", HOOK)]).await.status, 404, "{path}");
    }
    assert_eq!(api.get(&admin, "/projects/43/integrations/slack").await.json()["active"], true);
}

#[tokio::test]
async fn a_token_that_reads_gets_no_forms_and_its_forms_are_refused() {
    let api = Api::open().await;
    let admin = api.admin().await;
    api.put(&admin, SLACK, &json!({ "webhook": HOOK })).await;
    let person = Person::with(&api, &api.token(ScopeKey::Instance, Right::Read).await).await;
    let page = person.get("/-/projects/42/slack").await.text;
    assert!(page.contains("Slack") && !page.contains("action=\"/-/projects"), "{page}");
    assert_eq!(person.post("/-/projects/42/slack/off", &[]).await.status, 403);
    assert_eq!(api.get(&admin, SLACK).await.json()["active"], true);
    assert_eq!(person.post("/-/logout", &[]).await.status, 303, "it may log out");
}

#[tokio::test]
async fn settings_are_set_as_by_the_api_and_an_empty_secret_stays() {
    let api = Api::open().await;
    let admin = api.admin().await;
    let person = Person::with(&api, &admin).await;
    let address = "/-/projects/42/slack";
    let refused = person.post(address, &[("webhook", ""), ("channel", "#ops")]).await;
    assert_eq!(refused.status, 422);
    assert!(
        refused.text.contains("id=\"webhook-wrong\"") && refused.text.contains("value=\"#ops\""),
        "{}",
        refused.text
    );
    let refused = person.post(address, &[("webhook", "nonsense s3cret")]).await;
    assert!(
        refused.text.contains("must be a valid URL") && !refused.text.contains("s3cret"),
        "{}",
        refused.text
    );
    let saved =
        person.post(address, &[("webhook", HOOK), ("channel", "#ops"), ("push_events", "false")]).await;
    assert_eq!(saved.status, 303, "{}", saved.text);
    let saved = person.post(address, &[("webhook", ""), ("channel", "#dev")]).await;
    assert_eq!(
        (saved.status, &saved.headers["location"]),
        (303, &format!("{address}?done=saved").parse().unwrap())
    );
    let shown = api.get(&admin, SLACK).await.json();
    assert_eq!((&shown["properties"]["channel"], &shown["push_events"]), (&json!("#dev"), &json!(false)));
    let tested = person.post(&format!("{address}/test"), &[]).await;
    assert_eq!(tested.status, 200);
    assert!(tested.text.contains("the service accepted it"), "{}", tested.text);
    let heard = api.service.heard.lock().unwrap().pop().expect("the test was sent");
    assert_eq!(heard.url.as_str(), HOOK, "the webhook stayed");
    let page = person.get(address).await.text;
    assert!(page.contains("value=\"#dev\"") && !page.contains("s3cret"), "{page}");
}

#[tokio::test]
async fn a_channel_is_muted_and_unmuted() {
    let api = Api::open().await;
    let admin = api.admin().await;
    api.project(42, "acme/rocket").await;
    api.put(&admin, SLACK, &json!({ "webhook": HOOK, "channel": "#ops" })).await;
    let person = Person::with(&api, &admin).await;
    let address = "/-/projects/42/slack";
    let muted = person.post(&format!("{address}/mute"), &[("channel", "#ops"), ("for", "8h")]).await;
    assert_eq!(muted.status, 303, "{}", muted.text);
    let page = person.get(address).await.text;
    assert!(page.contains("The channel ops is muted by ci"), "{page}");
    assert_eq!(person.post(&format!("{address}/mute"), &[("channel", "ops")]).await.status, 303);
    assert!(!person.get(address).await.text.contains("is muted by"));
}

/// Texts that people put where only words belong.
const HOSTILE: [&str; 4] = [
    "<script>alert(1)</script>",
    "\"><img src=x onerror=alert(1)>",
    "\" onmouseover=\"alert(1)",
    "</title><iframe src=javascript:alert(1)>",
];

#[tokio::test]
async fn hostile_words_stay_words_on_every_page() {
    let api = Api::open().await;
    let admin = api.admin().await;
    let person = Person::with(&api, &admin).await;
    for (number, hostile) in HOSTILE.into_iter().enumerate() {
        let id = 50 + i64::try_from(number).unwrap();
        api.project(id, &format!("acme/{hostile}")).await;
        let settings = json!({ "webhook": HOOK, "channel": hostile.replace(',', " "), "username": hostile });
        api.put(&admin, &format!("/projects/{id}/integrations/slack"), &settings).await;
        let mut pages = vec!["/".to_owned(), "/-/integrations".to_owned(), "/-/audit".to_owned()];
        pages.extend(["", "/slack"].map(|more| format!("/-/projects/{id}{more}")));
        let query = encoded(&[
            ("project", hostile),
            ("integration", hostile),
            ("event", hostile),
            ("state", hostile),
        ]);
        pages.push(format!("/-/deliveries?{query}"));
        pages.push(format!("/-/integrations?{}", encoded(&[("path", hostile)])));
        for path in pages {
            let page = person.get(&path).await;
            assert_eq!(page.status, 200, "{path}");
            assert!(!page.text.contains(hostile), "{path}: {hostile}");
            assert!(!page.text.contains("<img src=x") && !page.text.contains("<iframe"), "{path}");
        }
    }
}

#[tokio::test]
async fn no_secret_is_on_any_page() {
    let api = Api::open().await;
    let admin = api.admin().await;
    api.put(&admin, SLACK, &json!({ "webhook": HOOK })).await;
    let jenkins = json!({ "jenkins_url": "https://ci.example.com/", "project_name": "x", "username": "ada", "password": "s3cret-s3cret" });
    api.put(&admin, "/projects/42/integrations/jenkins", &jenkins).await;
    let irker = json!({ "recipients": "irc://ada:s3cret@irc.example.net/ops#builds" });
    api.put(&admin, "/projects/42/integrations/irker", &irker).await;
    let person = Person::with(&api, &admin).await;
    api.service.status.store(404, Ordering::Relaxed);
    let tested = person.post("/-/projects/42/slack/test", &[]).await;
    assert!(tested.text.contains("no service at"), "the service quotes the webhook: {}", tested.text);
    let mut shown = vec![tested.text];
    for path in ["/", "/-/integrations", "/-/holds", "/-/audit", "/-/projects/42"] {
        shown.push(person.get(path).await.text);
    }
    for slug in ["slack", "jenkins", "irker"] {
        shown.push(person.get(&format!("/-/projects/42/{slug}")).await.text);
    }
    for page in shown {
        assert!(!page.contains("s3cret") && !page.contains(&admin), "{page}");
    }
}

#[tokio::test]
async fn over_tls_the_cookie_is_for_tls_alone() {
    let api =
        Api::open_with(Config { trusted_proxies: vec!["127.0.0.0/8".parse().unwrap()], ..config() }).await;
    let request = || browser().get(format!("{}/-/login", api.base));
    let plain = answer(request()).await;
    assert!(!plain.headers["set-cookie"].to_str().unwrap().contains("Secure"));
    let over_tls = answer(request().header("x-forwarded-proto", "https")).await;
    let set = over_tls.headers["set-cookie"].to_str().unwrap();
    assert!(
        set.starts_with("__Host-forgebell-login=") && set.ends_with("; HttpOnly; SameSite=Strict; Secure"),
        "{set}"
    );
}

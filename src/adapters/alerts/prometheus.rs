//! Prometheus: the monitoring system (<https://prometheus.io/docs/prometheus/latest/querying/api/>).
//!
//! Nothing is sent to it. Alertmanager sends its alerts to the project's alert addresses, whose token admits them: the
//! settings here are not needed for that. A test asks Prometheus for the value of the query `1`, as GitLab does; where both Google settings are
//! set, with a token for Google's Identity-Aware Proxy in front of it.

use std::time::Duration;

use jiff::Timestamp;
use serde::Deserialize;
use url::Url;

use super::alertmanager;
use super::iap::{self, ServiceAccount};
use super::reading::object;
use crate::adapters::contract::{
    About, Adapter, CommonSettings, Inbound, InboundKind, InboundRequest, Probe, Reaction,
};
use crate::adapters::operator::OperatorSettings;
use crate::call::{
    Answer, Bucket, Call, Failure, Health, HttpRequest, HttpResponse, Method, Pace, describe, excerpt,
    unavailable,
};
use crate::event::Triggers;
use crate::integration::Family;
use crate::settings::{FieldError, InternalUrl, Secret};

/// GitLab's name for it in URLs.
pub const SLUG: &str = "prometheus";
/// Our choice.
const PER_SERVER: (u32, u32) = (5, 10);
/// The limit is below Prometheus' own limit of two minutes, because this query needs hardly any time.
const TIMEOUT: Duration = Duration::from_secs(30);
/// The proxy marks what it answers itself.
const FROM_IAP: &str = "x-goog-iap-generated-response";

crate::settings! {
    /// The settings of a Prometheus server.
    pub struct Settings {
        /// The address of the server, with the path under which its API is, if there is one. The operator must permit one
        /// in a private network in `wire.allow_networks`.
        pub api_url: InternalUrl = "https://prometheus.example.com",
        /// The client ID of the OAuth credentials of Google's Identity-Aware Proxy, if the server is behind it.
        pub google_iap_audience_client_id: Option<String> = "32555940559.apps.googleusercontent.com",
        /// The JSON key of a service account that the proxy lets in. The addresses in it are not used: tokens are requested
        /// at the operator's `google.token_url`.
        pub google_iap_service_account_json: Option<Secret> = r#"{"client_email": "bell@acme.example", "private_key": "-----BEGIN PRIVATE KEY-----…"}"#,
        /// Whether the integration is in use. Set to false, it is switched off, as in GitLab.
        pub manual_configuration: bool = "true" or "true",
    }
}

impl Settings {
    /// The client and the account for Google's proxy. As in GitLab, one without the other has no effect.
    fn iap(&self) -> Option<(&str, &Secret)> {
        let client = self.google_iap_audience_client_id.as_deref().map(str::trim)?;
        Some((client, self.google_iap_service_account_json.as_ref()?))
    }
}

/// The adapter.
pub struct Prometheus;

impl Adapter for Prometheus {
    const ABOUT: About = About {
        slug: SLUG,
        title: "Prometheus",
        summary: "Tests the connection to a Prometheus server, also behind Google's Identity-Aware Proxy.",
        triggers: Triggers::of(&[]),
        family: Family::Hook,
        common: CommonSettings::NONE,
    };
    type Settings = Settings;

    fn is_in_use(settings: &Settings) -> bool {
        settings.manual_configuration
    }

    fn warnings(settings: &Settings) -> Vec<FieldError> {
        const CLIENT: &str = "google_iap_audience_client_id";
        const ACCOUNT: &str = "google_iap_service_account_json";
        let (client, account) =
            (&settings.google_iap_audience_client_id, &settings.google_iap_service_account_json);
        match (client, account) {
            (Some(_), None) => vec![FieldError::new(CLIENT, format!("has no effect without {ACCOUNT}"))],
            (None, Some(_)) => vec![FieldError::new(ACCOUNT, format!("has no effect without {CLIENT}"))],
            (Some(_), Some(account)) => {
                let problem = ServiceAccount::read(account).err();
                problem.into_iter().map(|problem| FieldError::new(ACCOUNT, problem)).collect()
            }
            (None, None) => Vec::new(),
        }
    }
}

impl Inbound for Prometheus {
    const LIMITS: &'static str =
        "100 alerts and 1 MiB in one report; 5 queries a second per server (bursts of 10).";
    const KIND: InboundKind = InboundKind::Alerts;

    fn receive(request: &InboundRequest) -> Result<Reaction, Failure> {
        let body = object(request)?;
        if !alertmanager::has_its_keys(&body) || !alertmanager::is_of_version_4(&body) {
            let why = "the body is not a report of Alertmanager's webhook, version 4";
            return Err(Failure::Rejected(why.to_owned()));
        }
        alertmanager::read(&body).map(Reaction::Alerts)
    }
}

impl Probe for Prometheus {
    const LIMITS: &'static str = "5 queries a second per server (bursts of 10).";
    const CALLS: u32 = 2;

    fn pace(settings: &Settings) -> Pace {
        let (count, burst) = PER_SERVER;
        let server = settings.api_url.0.origin().ascii_serialization();
        Pace::of(Bucket::new("prometheus server", &[&server], count, Duration::from_secs(1), burst))
            .calls(Self::CALLS)
    }

    fn probe(
        settings: &Settings,
        now: Timestamp,
        operator: &OperatorSettings,
    ) -> Result<Call<Health>, Failure> {
        let url = query(&settings.api_url.0);
        let Some((client, account)) = settings.iap() else { return Ok(ping(url, None)) };
        let request = iap::token_request(account, client, &operator.google, now)?;
        let call = Call::http(request, move |response| match iap::token(response) {
            Ok(token) => Answer::Next(ping(url, Some(&token))),
            Err(failure) => Answer::Failed(failure),
        });
        Ok(call.to_other_service())
    }
}

/// The address of the query `1`.
fn query(api_url: &Url) -> Url {
    let mut url = api_url.clone();
    url.set_fragment(None);
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop_if_empty().extend(["api", "v1", "query"]);
    }
    url.query_pairs_mut().append_pair("query", "1");
    url
}

/// The query, with a token for the proxy if there is one.
fn ping(url: Url, token: Option<&Secret>) -> Call<Health> {
    let mut headers = vec![("accept", "application/json".to_owned())];
    if let Some(token) = token {
        // A login in the address is the server's own. Then the proxy's token has its own header.
        let has_login = !url.username().is_empty() || url.password().is_some();
        let header = if has_login { "proxy-authorization" } else { "authorization" };
        headers.push((header, format!("Bearer {}", token.expose())));
    }
    Call::http(HttpRequest { headers, timeout: TIMEOUT, ..HttpRequest::new(Method::Get, url) }, read)
}

fn read(response: &HttpResponse) -> Answer<Health> {
    #[derive(Deserialize)]
    #[serde(tag = "status", rename_all = "lowercase")]
    enum Body {
        Success {},
        #[serde(rename_all = "camelCase")]
        Error {
            error_type: String,
            error: String,
        },
    }
    let body: Option<Body> = serde_json::from_slice(&response.body).ok();
    match (response.status, body) {
        (200, Some(Body::Success {})) => Answer::Done(Health { answer: "Checked API endpoint".to_owned() }),
        (400 | 422, Some(Body::Error { error_type, error })) => {
            let status = response.status;
            Answer::Failed(Failure::Rejected(format!(
                "answered {status}: {}",
                excerpt(&format!("{error_type}: {error}"))
            )))
        }
        (401 | 403, _) if response.header(FROM_IAP).is_some() => {
            Answer::Failed(Failure::Misconfigured(format!(
                "Google's Identity-Aware Proxy refuses the token: {}; give the service account access, and check \
             google_iap_audience_client_id",
                describe(response)
            )))
        }
        (429, _) => {
            let (wait, why) = (response.retry_after(), describe(response));
            Answer::Failed(Failure::Throttled { wait, why, shared: false })
        }
        _ => Answer::Failed(unavailable(response, false)),
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use serde_json::{Value as Json, json};

    use super::*;
    use crate::adapters::find;
    use crate::adapters::operator::GoogleConfig;
    use crate::adapters::tests::settings_with;
    use crate::call::{Egress, Receiver, Request, Response};

    const KEY: &str = include_str!("test_service_account_key.pem");
    const SERVER: (&str, &str) = ("api_url", "https://mon.example/prometheus/");
    const CLIENT: (&str, &str) = ("google_iap_audience_client_id", " 123.apps.googleusercontent.com ");

    fn account() -> String {
        json!({
            "type": "service_account",
            "client_email": "bell@example.iam.gserviceaccount.com",
            "private_key": KEY,
            "private_key_id": "k1",
            "token_uri": "https://evil.example/token",
            "token_credential_uri": "https://evil.example/token",
        })
        .to_string()
    }

    fn probe(settings: &[(&str, &str)]) -> Result<Call<Health>, Failure> {
        let operator = OperatorSettings {
            google: GoogleConfig { token_url: "https://google.example/token".to_owned() },
            ..OperatorSettings::default()
        };
        let probe = find("prometheus").unwrap().probe.as_ref().unwrap();
        probe.probe(&settings_with("prometheus", settings).unwrap(), Timestamp::UNIX_EPOCH, &operator)
    }

    fn http(call: &Call<Health>) -> &HttpRequest {
        match &call.request {
            Request::Http(request) => request,
            other => panic!("not HTTP: {other:?}"),
        }
    }

    fn answered(call: Call<Health>, status: u16, headers: &[(&str, &str)], body: &str) -> Answer<Health> {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let at = Timestamp::UNIX_EPOCH;
        (call.read)(&Response::Http(HttpResponse { status, headers, body: body.to_owned().into(), at }))
    }

    fn words(answer: Answer<Health>) -> String {
        match answer {
            Answer::Done(health) => health.answer,
            Answer::Failed(failure) => failure.to_string(),
            Answer::Skipped(why) => panic!("skipped: {why}"),
            Answer::Next(next) => format!("next: {}", http(&next).url),
        }
    }

    #[test]
    fn a_test_is_the_query_1_below_the_address() {
        for (address, asked) in [
            ("https://mon.example", "https://mon.example/api/v1/query?query=1"),
            (SERVER.1, "https://mon.example/prometheus/api/v1/query?query=1"),
            (
                "http://u:p@10.0.0.7:9090/p?tenant=a#x",
                "http://u:p@10.0.0.7:9090/p/api/v1/query?tenant=a&query=1",
            ),
        ] {
            let call = probe(&[("api_url", address)]).unwrap();
            assert_eq!((http(&call).url.as_str(), http(&call).method), (asked, Method::Get));
            assert!(http(&call).headers.iter().all(|(name, _)| *name != "authorization"));
        }
    }

    #[test]
    fn only_prometheus_own_answer_is_a_success_and_its_own_error_a_refusal() {
        const SUCCESS: &str =
            r#"{"status":"success","data":{"resultType":"scalar","result":[1700000000.1,"1"]}}"#;
        const TIMEOUT: &str = r#"{"status":"error","errorType":"timeout","error":"query timed out"}"#;
        const BAD: &str = r#"{"status":"error","errorType":"bad_data","error":"invalid parameter"}"#;
        for (status, headers, body, expected) in [
            (200, None, SUCCESS, "Checked API endpoint"),
            (200, None, "<html>login</html>", "unavailable: answered 200 with a page of HTML"),
            (200, None, r#"{"status":"ok"}"#, r#"unavailable: answered 200: {"status":"ok"}"#),
            (400, None, BAD, "rejected: answered 400: bad_data: invalid parameter"),
            (422, None, BAD, "rejected: answered 422: bad_data: invalid parameter"),
            (400, None, "no", "unavailable: answered 400: no"),
            (503, None, TIMEOUT, "unavailable: answered 503: "),
            (429, None, "", "throttled: answered 429"),
            (404, None, "404 page not found", "unavailable: answered 404: 404 page not found"),
            (401, None, "", "unavailable: answered 401; this is not in the service's own form"),
            (
                302,
                Some(("location", "https://accounts.google.com/o?x=y")),
                "",
                "unavailable: answered 302, which leads to https://accounts.google.com",
            ),
            (
                403,
                Some((FROM_IAP, "true")),
                "denied",
                "misconfigured: Google's Identity-Aware Proxy refuses the token: answered 403: denied",
            ),
        ] {
            let said = words(answered(probe(&[SERVER]).unwrap(), status, headers.as_slice(), body));
            assert!(said.starts_with(expected), "{status} {body}: {said}");
        }
    }

    #[test]
    fn a_token_for_the_proxy_comes_from_the_operators_address_alone() {
        let account = account();
        let with_account = ("google_iap_service_account_json", account.as_str());
        let call = probe(&[SERVER, CLIENT, with_account]).unwrap();
        let request = http(&call);
        assert_eq!((request.url.as_str(), request.method), ("https://google.example/token", Method::Post));
        assert_eq!((request.egress, call.receiver), (Egress::Operator, Receiver::Other));
        let form: Vec<(String, String)> = url::form_urlencoded::parse(&request.body).into_owned().collect();
        assert_eq!(
            form[0],
            ("grant_type".to_owned(), "urn:ietf:params:oauth:grant-type:jwt-bearer".to_owned())
        );
        let parts: Vec<&str> = form[1].1.split('.').collect();
        let part =
            |text: &str| -> Json { serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text).unwrap()).unwrap() };
        assert_eq!(part(parts[0]), json!({ "alg": "RS256", "typ": "JWT", "kid": "k1" }));
        let claims = json!({
            "iss": "bell@example.iam.gserviceaccount.com",
            "sub": "bell@example.iam.gserviceaccount.com",
            "aud": "https://google.example/token",
            "target_audience": "123.apps.googleusercontent.com",
            "iat": 0,
            "exp": 3600,
        });
        assert_eq!(part(parts[1]), claims);
        assert_eq!(URL_SAFE_NO_PAD.decode(parts[2]).unwrap().len(), 256, "as long as the key");

        let Answer::Next(next) = answered(call, 200, &[], r#"{"id_token":"a.b.c"}"#) else {
            panic!("no query")
        };
        assert_eq!(http(&next).url.as_str(), "https://mon.example/prometheus/api/v1/query?query=1");
        assert!(http(&next).headers.contains(&("authorization", "Bearer a.b.c".to_owned())));
        assert_eq!((http(&next).egress, next.receiver), (Egress::Public, Receiver::Service));
    }

    #[test]
    fn a_login_of_the_server_and_a_token_of_the_proxy_go_together() {
        let account = account();
        let with_account = ("google_iap_service_account_json", account.as_str());
        let call = probe(&[("api_url", "https://u:p@mon.example"), CLIENT, with_account]).unwrap();
        let Answer::Next(next) = answered(call, 200, &[], r#"{"id_token":"a.b.c"}"#) else {
            panic!("no query")
        };
        assert!(http(&next).headers.contains(&("proxy-authorization", "Bearer a.b.c".to_owned())));
    }

    #[test]
    fn googles_refusals_are_told_from_pages() {
        let account = account();
        let with_account = ("google_iap_service_account_json", account.as_str());
        for (status, body, expected) in [
            (
                400,
                r#"{"error":"invalid_grant","error_description":"Invalid JWT Signature."}"#,
                "misconfigured: Google gives no token for this service account: invalid_grant (Invalid JWT Signature.)",
            ),
            (
                401,
                r#"{"error":"invalid_client"}"#,
                "misconfigured: Google gives no token for this service account: invalid_client (no description)",
            ),
            (200, r#"{"access_token":"x"}"#, "unavailable: no token from google.token_url: answered 200"),
            (200, r#"{"id_token":""}"#, "unavailable: no token from google.token_url: answered 200"),
            (200, "<html>", "unavailable: no token from google.token_url: answered 200 with a page of HTML"),
            (500, "", "unavailable: no token from google.token_url: answered 500"),
        ] {
            let call = probe(&[SERVER, CLIENT, with_account]).unwrap();
            let said = words(answered(call, status, &[], body));
            assert!(said.starts_with(expected), "{status} {body}: {said}");
        }
    }

    #[test]
    fn an_account_that_cannot_sign_is_named_by_a_warning_or_by_the_test() {
        let key = json!({ "client_email": "a@b", "private_key": "no PEM" }).to_string();
        let is_not = "is not a service account's JSON with `client_email` and `private_key`";
        let no_key = "holds a `private_key` that is not an RSA key of at least 2048 bits in PEM";
        for (account, problem) in [("{", is_not), ("{}", is_not), ("[1]", is_not), (key.as_str(), no_key)] {
            let settings = [SERVER, CLIENT, ("google_iap_service_account_json", account)];
            let entry = find("prometheus").unwrap();
            let warnings = entry.warnings(&settings_with("prometheus", &settings).unwrap());
            // Whether the key can sign is found out when it is to sign.
            let warned =
                (problem == is_not).then(|| FieldError::new("google_iap_service_account_json", problem));
            assert_eq!(warnings, Vec::from_iter(warned));
            let failure = probe(&settings).err().expect("nothing is sent");
            assert_eq!(failure, Failure::Misconfigured(format!("google_iap_service_account_json {problem}")));
        }
    }

    #[test]
    fn one_of_the_two_google_settings_alone_has_no_effect_and_says_so() {
        let account = account();
        let with_account = ("google_iap_service_account_json", account.as_str());
        for (setting, problem) in [
            (CLIENT, "has no effect without google_iap_service_account_json"),
            (with_account, "has no effect without google_iap_audience_client_id"),
        ] {
            let call = probe(&[SERVER, setting]).unwrap();
            assert_eq!(http(&call).url.as_str(), "https://mon.example/prometheus/api/v1/query?query=1");
            let warnings = find("prometheus")
                .unwrap()
                .warnings(&settings_with("prometheus", &[SERVER, setting]).unwrap());
            assert_eq!(warnings, [FieldError::new(setting.0, problem)]);
        }
    }
}

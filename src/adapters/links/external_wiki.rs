//! A wiki of one's own (`app/models/concerns/integrations/base/external_wiki.rb` in
//! <https://gitlab.com/gitlab-org/gitlab>). Messages about the project's wiki lead to it.

use std::time::Duration;

use jiff::Timestamp;

use super::address::for_people;
use super::wiki;
use crate::adapters::contract::{About, Adapter, Link, Linked, Probe};
use crate::adapters::operator::OperatorSettings;
use crate::call::{Answer, Bucket, Call, Failure, Health, HttpRequest, Method, Pace, unavailable};
use crate::settings::PageUrl;

crate::settings! {
    /// What leads to the wiki.
    pub struct Settings {
        /// The wiki's address.
        pub external_wiki_url: PageUrl = "https://wiki.example.com/rocket",
    }
}

/// The adapter.
pub struct ExternalWiki;

impl Adapter for ExternalWiki {
    const ABOUT: About = wiki::about(
        "external-wiki",
        "External wiki",
        "Links messages about the project's wiki to a wiki of your own.",
    );
    type Settings = Settings;
}

impl Link for ExternalWiki {
    const LEADS_TO: Linked = Linked::Wiki;

    fn wiki(settings: &Settings) -> Option<String> {
        Some(for_people(&settings.external_wiki_url).into())
    }
}

/// GitLab's time limit lies between 3 and 5 s.
const TIMEOUT: Duration = Duration::from_secs(5);
/// How long an answer is kept, so that a test does not bother the wiki each time.
const KEPT: Duration = Duration::from_secs(5 * 60);
/// Our choice: one request in this time for each address, and bursts.
const PACE: (Duration, u32) = (Duration::from_secs(10), 3);

impl Probe for ExternalWiki {
    const LIMITS: &'static str =
        "Nothing is sent to it. A test asks for its page, once in 10 s at most (bursts of 3).";

    fn pace(settings: &Settings) -> Pace {
        Pace::of(Bucket::new("wiki page", &[settings.external_wiki_url.0.as_str()], 1, PACE.0, PACE.1))
    }

    /// Only 200 is a success, as in GitLab.
    fn probe(settings: &Settings, _: Timestamp, _: &OperatorSettings) -> Result<Call<Health>, Failure> {
        let url = settings.external_wiki_url.0.clone();
        let request =
            HttpRequest { timeout: TIMEOUT, keep: Some(KEPT), ..HttpRequest::new(Method::Get, url) };
        Ok(Call::http(request, |response| match response.status {
            200 => Answer::Done(Health { answer: "answered 200".to_owned() }),
            _ => Answer::Failed(unavailable(response, false)),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapters::find;
    use crate::adapters::tests::settings_with;
    use crate::call::{HttpResponse, Request, Response};

    fn probe() -> Call<Health> {
        let settings = settings_with("external-wiki", &[("external_wiki_url", "https://w.example/x?y=z")]);
        let probe = find("external-wiki").unwrap().probe.as_ref().unwrap();
        probe.probe(&settings.unwrap(), Timestamp::UNIX_EPOCH, &OperatorSettings::default()).unwrap()
    }

    #[test]
    fn a_test_asks_for_the_page_and_keeps_the_answer_for_five_minutes() {
        let Request::Http(request) = probe().request else { panic!("not HTTP") };
        assert_eq!((request.method, request.url.as_str()), (Method::Get, "https://w.example/x?y=z"));
        assert_eq!((request.timeout, request.keep), (Duration::from_secs(5), Some(Duration::from_secs(300))));
        assert!(request.verify_tls);
    }

    #[test]
    fn only_200_is_a_success() {
        for status in 100..=599 {
            let at = Timestamp::UNIX_EPOCH;
            let body = "<html>".to_owned().into();
            let answer =
                (probe().read)(&Response::Http(HttpResponse { status, headers: Vec::new(), body, at }));
            match answer {
                Answer::Done(health) => assert_eq!((status, health.answer.as_str()), (200, "answered 200")),
                Answer::Failed(failure) => {
                    assert!(
                        failure.why().starts_with(&format!("answered {status}")) && status != 200,
                        "{failure}"
                    );
                }
                Answer::Next(_) | Answer::Skipped(_) => panic!("{status}"),
            }
        }
    }
}

//! The probe of trackers that are only linked to: `HEAD` of the project's page, as GitLab sends it on every push.
//!
//! Any answer means that the tracker was reached, an error of the server too: whether a person may see the page is not the
//! question.

use std::time::Duration;

use jiff::Timestamp;

use crate::adapters::contract::{Link, Probe};
use crate::adapters::operator::OperatorSettings;
use crate::call::{Answer, Bucket, Call, Failure, Health, HttpRequest, Method, Pace, describe};

/// Our choice: one request in this time for each page, and bursts.
const PACE: (Duration, u32) = (Duration::from_secs(10), 3);
const TIMEOUT: Duration = Duration::from_secs(5);

/// A tracker whose project page is asked for.
pub trait ProjectPage: Link {}

impl<A: ProjectPage> Probe for A {
    const LIMITS: &'static str = "Nothing is sent to it. After pushes its project page is asked for, once in 10 s at most \
                                  (bursts of 3).";
    const AFTER_PUSHES: bool = true;

    fn pace(settings: &A::Settings) -> Pace {
        let page = A::project(settings).unwrap_or_default();
        Pace::of(Bucket::new("tracker page", &[&page], 1, PACE.0, PACE.1))
    }

    fn probe(settings: &A::Settings, _: Timestamp, _: &OperatorSettings) -> Result<Call<Health>, Failure> {
        let page = A::project(settings).and_then(|page| page.parse().ok());
        let page =
            page.ok_or_else(|| Failure::Misconfigured("the settings name no project page".to_owned()))?;
        let request = HttpRequest { timeout: TIMEOUT, ..HttpRequest::new(Method::Head, page) };
        Ok(Call::http(request, |response| Answer::Done(Health { answer: describe(response) })))
    }
}

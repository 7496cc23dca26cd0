//! Requests to Jira's REST API, version 2, which takes wiki markup
//! (<https://developer.atlassian.com/cloud/jira/platform/rest/v2/intro/>).

use std::time::Duration;

use serde_json::Value as Json;
use url::Url;

use super::Settings;
use crate::call::{HttpRequest, Method};

/// Jira may take long for a transition with workflow functions.
const TIMEOUT: Duration = Duration::from_secs(30);
/// The largest answer that is read, in bytes: fifty comments of the greatest length, each unit of which may take three
/// bytes. A cut answer can't be read at all.
pub(super) const ANSWER_LIMIT: usize = 8 * 1024 * 1024;

/// Jira's address and login.
#[derive(Clone)]
pub(super) struct Server {
    /// With the login, for Basic authorisation.
    api: Url,
    bearer: Option<String>,
}

impl Server {
    pub(super) fn of(settings: &Settings) -> Self {
        let mut api = settings.api().clone();
        api.set_fragment(None);
        api.set_query(None);
        let password = settings.password.expose().trim();
        if settings.uses_token() {
            // An http address takes both.
            let _ = api.set_username("");
            let _ = api.set_password(None);
            return Self { api, bearer: Some(password.to_owned()) };
        }
        let _ = api.set_username(settings.user());
        let _ = api.set_password(Some(password));
        Self { api, bearer: None }
    }

    /// A request to a resource of the API: `["issue", "10001", "comment"]`.
    pub(super) fn request(&self, method: Method, resource: &[&str], query: &[(&str, &str)]) -> HttpRequest {
        let mut url = self.api.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(["rest", "api", "2"]).extend(resource);
        }
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let mut headers = vec![("accept", "application/json".to_owned())];
        match &self.bearer {
            Some(token) => headers.push(("authorization", format!("Bearer {token}"))),
            // With it, Jira does not answer a refused login with its login page.
            None => headers.push(("cookie", "OBBasicAuth=fromDialog".to_owned())),
        }
        HttpRequest { headers, timeout: TIMEOUT, answer_limit: ANSWER_LIMIT, ..HttpRequest::new(method, url) }
    }

    /// A request with a body.
    pub(super) fn send(&self, method: Method, resource: &[&str], body: &Json) -> HttpRequest {
        let mut request = self.request(method, resource, &[]);
        request.headers.push(("content-type", "application/json".to_owned()));
        request.body = serde_json::to_vec(body).expect("a JSON value can be written").into();
        request
    }
}

//! A request to the page by a person who is logged in: [`Viewer`] looks, and [`Posted`] sends a form.
//!
//! The session's token is authenticated at every request, as in the API, with the API's limit for wrong tokens. Only
//! the token decides what the person may see and do.

use std::convert::Infallible;
use std::sync::Arc;

use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use maud::{Markup, html};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::layout::{Frame, Holder, POLICY, Section, headers};
use super::session::{Cookies, Session};
use crate::api::State;
use crate::api::client_addr::Peer;
use crate::api::error::ApiError;
use crate::api::v4::{Caller, Credential, Need, Params, PathParams, authenticate, check_right, read_body};
use crate::store::registry::{Right, ScopeKey};

/// A person who is logged in, with the request.
pub(super) struct Viewer {
    pub(super) caller: Caller,
    pub(super) session: Session,
    pub(super) cookies: Cookies,
    /// The address that was asked for, without its query.
    pub(super) address: String,
    pub(super) path: PathParams,
    /// The query. An unreadable query is read as empty.
    pub(super) query: Params,
}

/// A form from a person who may change things.
pub(super) struct Posted {
    pub(super) viewer: Viewer,
    pub(super) params: Params,
}

/// Why there is no page.
pub(super) enum Refused {
    /// The browser is not logged in. The log-in leads to this address.
    LogIn {
        to: String,
        cookies: Cookies,
    },
    /// The browser left out the cookie, because another site linked here. The answer makes the browser ask for the same
    /// page again.
    AskAgain {
        to: String,
    },
    Error(ApiError),
    /// The form is not one of the session's.
    ForeignForm,
}

impl From<ApiError> for Refused {
    fn from(error: ApiError) -> Self {
        Self::Error(error)
    }
}

impl From<crate::store::StoreError> for Refused {
    fn from(error: crate::store::StoreError) -> Self {
        Self::Error(error.into())
    }
}

/// The request's cookies.
pub(super) fn cookies_of(head: &Parts, state: &State) -> Cookies {
    let peer = head.extensions.get::<Peer>().map(|Peer(address)| *address);
    Cookies::of(peer, &head.headers, &state.config.get().trusted_proxies)
}

impl FromRequestParts<Arc<State>> for Viewer {
    type Rejection = Refused;

    async fn from_request_parts(head: &mut Parts, state: &Arc<State>) -> Result<Self, Refused> {
        let now = (state.clock)();
        let cookies = cookies_of(head, state);
        let cookie = cookies.session(&head.headers);
        let session = cookie.and_then(|cookie| state.sessions.read(&cookie, now));
        let Some(session) = session else { return Err(without_session(head, cookies)) };
        if session.is_ended(&*state.registry).await? {
            return Err(Refused::LogIn { to: way_back(head), cookies });
        }
        let credential = Credential::of_session(session.token);
        let token = match authenticate(state, head, Some(&credential), now).await {
            Ok(token) => token,
            Err(ApiError::Unauthorized { .. } | ApiError::TokenExpired | ApiError::TokenRevoked) => {
                return Err(Refused::LogIn { to: way_back(head), cookies });
            }
            Err(error) => return Err(error.into()),
        };
        check_right(token.access.right, Need::Read)?;
        let caller = Caller { state: Arc::clone(state), token, now };
        let Ok(path): Result<_, Infallible> = PathParams::from_request_parts(head, state).await;
        let query =
            Params::of_query(head.uri.query().unwrap_or_default()).unwrap_or_default().without_blanks();
        let address = head.uri.path().to_owned();
        Ok(Self { caller, session, cookies, address, path, query })
    }
}

impl FromRequest<Arc<State>> for Posted {
    type Rejection = Refused;

    async fn from_request(request: Request, state: &Arc<State>) -> Result<Self, Refused> {
        let (mut head, body) = request.into_parts();
        let viewer = Viewer::from_request_parts(&mut head, state).await?;
        let body = read_body(&head, body, state.config.get().body_timeout).await?;
        let mut params = Params::default();
        params.add_body(&head.headers, body).await?;
        let sent = params.text(FORM_KEY).ok().flatten().unwrap_or_default();
        if !viewer.session.owns_form(&sent) {
            return Err(Refused::ForeignForm);
        }
        let is_log_out = head.uri.path() == LOG_OUT;
        if !is_log_out {
            viewer.caller.require(Need::Write)?;
        }
        Ok(Self { viewer, params })
    }
}

/// The address of the log-out, which every token may use.
pub(super) const LOG_OUT: &str = "/-/logout";

/// The name of the hidden field that proves that a form belongs to the session.
pub(super) const FORM_KEY: &str = "form_key";

fn without_session(head: &Parts, cookies: Cookies) -> Refused {
    let to = way_back(head);
    let was_led_here = head.method == Method::GET && header(&head.headers, "sec-fetch-site") == "cross-site";
    if was_led_here { Refused::AskAgain { to } } else { Refused::LogIn { to, cookies } }
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

/// The page after the log-in: the requested page, or the overview after a form, which has to be sent again.
fn way_back(head: &Parts) -> String {
    let asked = head.uri.path_and_query().map_or("/", |asked| asked.as_str());
    if head.method == Method::GET { asked.to_owned() } else { "/".to_owned() }
}

impl Viewer {
    /// The page with this content.
    pub(super) fn page(&self, here: Section, title: &str, content: &Markup) -> Response {
        self.page_with(StatusCode::OK, here, title, content)
    }

    pub(super) fn page_with(
        &self,
        status: StatusCode,
        here: Section,
        title: &str,
        content: &Markup,
    ) -> Response {
        let frame = Frame { title, here: Some(here), holder: Some(self.holder()) };
        (status, frame.around(content)).into_response()
    }

    /// Whether the token may change things.
    pub(super) fn may_write(&self) -> bool {
        self.caller.require(Need::Write).is_ok()
    }

    pub(super) fn sees_instance(&self) -> bool {
        self.caller.reach() == ScopeKey::Instance
    }

    /// The hidden field of every form.
    pub(super) fn form_key(&self) -> Markup {
        html! { input type="hidden" name=(FORM_KEY) value=(self.session.form_key()); }
    }

    /// A form that is one button.
    pub(super) fn button(&self, action: &str, words: &str, label: &str) -> Markup {
        html! {
            form method="post" action=(action) {
                (self.form_key())
                button type="submit" aria-label=(label) { (words) }
            }
        }
    }

    fn holder(&self) -> Holder {
        let reach = match self.caller.reach() {
            ScopeKey::Instance => "the instance".to_owned(),
            ScopeKey::Project(id) => self.caller.state.catalog.read(|snapshot| {
                let known = snapshot.directory().project(id).and_then(|project| project.path.clone());
                known.unwrap_or_else(|| format!("project {id}"))
            }),
            ScopeKey::Group(key) => self.caller.state.catalog.read(|snapshot| {
                let known = snapshot.directory().group(key).and_then(|group| group.path.clone());
                known.unwrap_or_else(|| "a group".to_owned())
            }),
            ScopeKey::File(_) => String::new(),
        };
        let right = match self.caller.token.access.right {
            Right::Maintain => "may change",
            Right::Read | Right::Ingest | Right::Alerts => "may read",
        };
        Holder {
            token: self.caller.token.name.clone(),
            may: format!("{right} {reach}"),
            sees_instance: self.sees_instance(),
            form_key: self.form_key(),
        }
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        match self {
            Self::LogIn { to, cookies } => {
                let to = utf8_percent_encode(&to, NON_ALPHANUMERIC);
                let mut answer = Redirect::to(&format!("/-/login?to={to}")).into_response();
                answer.headers_mut().append(header::SET_COOKIE, cookies.remove_session());
                answer
            }
            Self::AskAgain { to } => {
                // A new request from this page includes the cookie.
                let page = html! {
                    (maud::DOCTYPE)
                    html lang="en" {
                        head {
                            meta charset="utf-8";
                            meta http-equiv="refresh" content={ "0; url=" (to) };
                            title { "Forgebell" }
                        }
                        body { a href=(to) { "Go on to Forgebell" } }
                    }
                };
                (headers(POLICY), axum::response::Html(page.into_string())).into_response()
            }
            Self::ForeignForm => problem(
                StatusCode::FORBIDDEN,
                "This form was refused",
                "It did not come from this session: it is older than the log-in, or another site sent it. Nothing was \
                 changed. Open the page again and repeat what you did.",
            ),
            Self::Error(error) => {
                let (title, words) = in_words(&error);
                let plain = error.into_response();
                let mut answer = problem(plain.status(), title, &words);
                if let Some(wait) = plain.headers().get(header::RETRY_AFTER) {
                    answer.headers_mut().insert(header::RETRY_AFTER, wait.clone());
                }
                answer
            }
        }
    }
}

fn problem(status: StatusCode, title: &str, words: &str) -> Response {
    let content = html! {
        h1 { (title) }
        p { (words) }
        p { a href="/" { "Back to the overview" } }
    };
    (status, Frame { title, here: None, holder: None }.around(&content)).into_response()
}

/// A refusal as a title and a sentence.
pub(super) fn in_words(error: &ApiError) -> (&'static str, String) {
    match error {
        ApiError::NotFound(_) | ApiError::NoSuchRoute | ApiError::UnknownSlug => {
            ("Not found", "There is no such thing here, or your token does not reach it.".to_owned())
        }
        ApiError::Forbidden | ApiError::InsufficientScope(_) => {
            ("Not allowed", "Your token may not do or see this.".to_owned())
        }
        ApiError::TooManyAttempts(wait) => (
            "Too many wrong tokens",
            format!(
                "Too many wrong tokens came from your address. Try again in {} seconds.",
                wait.as_secs().max(1)
            ),
        ),
        error => ("That did not work", error.words()),
    }
}

/// The answer after a form was carried out: a redirect to a page that the browser can safely reload.
pub(super) fn go_to(address: &str) -> Response {
    Redirect::to(address).into_response()
}

//! Log-in with an API token, and log-out.
//!
//! Every invalid token gets the same answer, which does not say whether such a token exists. Wrong tokens count against
//! the client's address, as everywhere in the API.

use std::sync::Arc;

use axum::extract::{FromRequestParts as _, Request};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use maud::{Markup, html};

use super::layout::Frame;
use super::parts::notice;
use super::session::{Cookies, of_log_in};
use super::viewer::{FORM_KEY, Posted, Refused, Viewer, cookies_of, go_to, in_words};
use crate::api::State;
use crate::api::error::ApiError;
use crate::api::v4::{Credential, Need, Params, authenticate, check_right, read_body};

const WRONG: &str = "This token is not valid. It may be mistyped, revoked or expired.";

/// `GET /-/login`
pub(super) async fn show(
    axum::extract::State(state): axum::extract::State<Arc<State>>,
    request: Request,
) -> Result<Response, Refused> {
    let (mut head, _) = request.into_parts();
    let query = Params::of_query(head.uri.query().unwrap_or_default()).unwrap_or_default();
    let to = way_back(&query);
    if Viewer::from_request_parts(&mut head, &state).await.is_ok() {
        return Ok(go_to(&to));
    }
    form(StatusCode::OK, cookies_of(&head, &state), &to, None)
}

/// `POST /-/login`
pub(super) async fn log_in(
    axum::extract::State(state): axum::extract::State<Arc<State>>,
    request: Request,
) -> Result<Response, Refused> {
    let now = (state.clock)();
    let (head, body) = request.into_parts();
    let cookies = cookies_of(&head, &state);
    let body = read_body(&head, body, state.config.get().body_timeout).await?;
    let mut params = Params::default();
    params.add_body(&head.headers, body).await?;
    let text = |name: &str| params.text(name).ok().flatten().unwrap_or_default();
    let to = way_back(&params);
    let owns_form =
        cookies.log_in(&head.headers).is_some_and(|cookie| of_log_in::owns_form(&cookie, &text(FORM_KEY)));
    if !owns_form {
        let why = "This form is too old, or your browser keeps no cookies for this page. Try again.";
        return form(StatusCode::FORBIDDEN, cookies, &to, Some(why));
    }
    let Some(credential) = Credential::entered(&text("token")) else {
        return form(StatusCode::UNPROCESSABLE_ENTITY, cookies, &to, Some("Enter a token."));
    };
    let token = match authenticate(&state, &head, Some(&credential), now).await {
        Ok(token) => token,
        Err(ApiError::Unauthorized { .. } | ApiError::TokenExpired | ApiError::TokenRevoked) => {
            return form(StatusCode::UNAUTHORIZED, cookies, &to, Some(WRONG));
        }
        Err(error @ ApiError::TooManyAttempts(_)) => {
            let (_, words) = in_words(&error);
            return form(StatusCode::TOO_MANY_REQUESTS, cookies, &to, Some(&words));
        }
        Err(error) => return Err(error.into()),
    };
    if check_right(token.access.right, Need::Read).is_err() {
        let why = "This token sends events or alerts. It may not look at anything.";
        return form(StatusCode::FORBIDDEN, cookies, &to, Some(why));
    }
    let session = state.sessions.begin(credential.hash(), now)?;
    tracing::info!(token = token.name, id = token.id, "a person logged in to the page");
    let mut answer = go_to(&to);
    answer.headers_mut().append(header::SET_COOKIE, cookies.set_session(&session));
    Ok(answer)
}

/// `POST /-/logout`
pub(super) async fn log_out(Posted { viewer, .. }: Posted) -> Result<Response, Refused> {
    viewer.session.end(&*viewer.caller.state.registry, viewer.caller.now).await?;
    let mut answer = go_to("/-/login");
    answer.headers_mut().append(header::SET_COOKIE, viewer.cookies.remove_session());
    Ok(answer)
}

/// Where to go after the log-in: a page of this server, and no other.
fn way_back(params: &Params) -> String {
    let asked = params.text("to").ok().flatten().unwrap_or_default();
    let is_ours = asked == "/" || asked.starts_with("/?") || asked.starts_with("/-/");
    let is_plain = asked.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    if is_ours && is_plain { asked } else { "/".to_owned() }
}

fn form(status: StatusCode, cookies: Cookies, to: &str, wrong: Option<&str>) -> Result<Response, Refused> {
    let cookie = of_log_in::cookie()?;
    let content = content(&of_log_in::form_key(&cookie), to, wrong);
    let frame = Frame { title: "Log in", here: None, holder: None };
    let mut answer = (status, frame.around(&content)).into_response();
    answer.headers_mut().append(header::SET_COOKIE, cookies.set_log_in(&cookie));
    Ok(answer)
}

fn content(form_key: &str, to: &str, wrong: Option<&str>) -> Markup {
    html! {
        div class="narrow card" {
            h1 { "Log in" }
            @if let Some(wrong) = wrong { (notice("bad", &html! { p id="wrong" { (wrong) } })) }
            form method="post" action="/-/login" {
                input type="hidden" name=(FORM_KEY) value=(form_key);
                input type="hidden" name="to" value=(to);
                div class="field" {
                    label for="token" { "API token" }
                    input type="password" id="token" name="token" required autocomplete="current-password" autofocus
                        aria-invalid=[wrong.map(|_| "true")] aria-describedby=[wrong.map(|_| "wrong")];
                }
                button type="submit" class="main" { "Log in" }
            }
            p class="quiet" {
                "A token that may read sees everything that it reaches; one that may change things can do that here too. "
                code { "forgebell token create" } " makes one."
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_in_leads_to_pages_of_this_server_alone() {
        let to = |query: &str| way_back(&Params::of_query(query).unwrap());
        assert_eq!(to("to=%2F-%2Fdeliveries%3Fstate%3Dfailed"), "/-/deliveries?state=failed");
        for foreign in [
            "to=https%3A%2F%2Fevil.example",
            "to=%2F%2Fevil.example",
            "to=%2F%5Cevil.example",
            "to=%2F-%2F%0d%0aset-cookie%3Ax",
            "to=%2F-%2F%5C..%5C",
            "to=javascript%3Aalert(1)",
            "",
        ] {
            assert_eq!(to(foreign), "/", "{foreign}");
        }
    }
}

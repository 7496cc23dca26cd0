//! Answers that do not come from the service, or do not mean what they seem to mean: of proxies, CDNs, firewalls, login
//! pages, captive portals, load balancers and gateways. Every adapter is held to them, at every step of its chain of calls.
//!
//! None of them proves that an address is dead, that settings are wrong, that a message was refused or that it was taken.
//! After such an answer, the delivery is tried again on schedule. Only the service's own code, in its own form, proves
//! more.

use super::*;
use crate::call::Receiver;

/// An answer that is not the service's own word.
pub struct Misleading {
    pub name: &'static str,
    pub status: u16,
    pub headers: &'static [(&'static str, &'static str)],
    pub body: &'static str,
}

const HTML: (&str, &str) = ("content-type", "text/html; charset=utf-8");
const JSON: (&str, &str) = ("content-type", "application/json");
const TEXT: (&str, &str) = ("content-type", "text/plain; charset=utf-8");

/// The answers. Add what is met in the field; an adapter at which one means something else declares it in its contract.
pub const MISLEADING: &[Misleading] = &[
    // Pages instead of the service's answer.
    page("a captive portal", 200, "<html><head><title>Sign in to the network</title></head></html>"),
    page(
        "a login page",
        200,
        "<!DOCTYPE html>\n<html><body><form action=\"/login\">Password</form></body></html>",
    ),
    page(
        "a login page in XHTML",
        200,
        "<?xml version=\"1.0\"?>\n<!DOCTYPE html><html><body>Log in</body></html>",
    ),
    page("a page after a byte order mark", 200, "\u{feff}<!doctype html><p>Welcome"),
    page("an accepted page", 202, "<HTML>Please wait while you are being redirected</HTML>"),
    page(
        "a proxy's bad request",
        400,
        "<html><head><title>400 No required SSL certificate was sent</title></head></html>",
    ),
    page("a page that wants a login", 401, "<html><h1>401 Authorization Required</h1><hr>nginx</html>"),
    page(
        "a firewall's page",
        403,
        "<html><title>Web Page Blocked</title>Access to the page was denied by policy</html>",
    ),
    page(
        "a CDN's page",
        403,
        "<!DOCTYPE HTML><TITLE>ERROR: The request could not be satisfied</TITLE>Request blocked.",
    ),
    page("a CDN's challenge", 403, "<!DOCTYPE html><title>Just a moment...</title>"),
    page(
        "a missing page",
        404,
        "<html><head><title>404 Not Found</title></head><hr><center>nginx</center></html>",
    ),
    page("a tunnel without an end", 404, "<!DOCTYPE html><html><body>ERR_NGROK_3200</body></html>"),
    page("a method that a proxy forbids", 405, "<html><title>405 Not Allowed</title></html>"),
    page("a proxy that wants a password", 407, "<html><title>ERROR: Cache Access Denied</title></html>"),
    page("a page that is gone", 410, "<html><title>410 Gone</title><h1>Gone</h1></html>"),
    page(
        "a page of an unprocessable request",
        422,
        "<!DOCTYPE html><title>The change you wanted was rejected</title>",
    ),
    page("a legal block", 451, "<html>Unavailable for legal reasons</html>"),
    page("a bad gateway", 502, "<html><title>502 Bad Gateway</title></html>"),
    page(
        "maintenance",
        503,
        "<html><title>Down for maintenance</title>This service has been retired until noon.</html>",
    ),
    page("a network that wants a login", 511, "<html><title>Network Authentication Required</title></html>"),
    // Nothing at all.
    bare("an empty redirect", 301),
    bare("an empty 401", 401),
    bare("an empty 403", 403),
    bare("an empty 404", 404),
    bare("an empty 405", 405),
    bare("an empty 410", 410),
    bare("an empty 500", 500),
    bare("an empty 501", 501),
    bare("an empty 503", 503),
    // Redirects, which are never followed.
    Misleading {
        name: "a redirect to a login",
        status: 302,
        headers: &[("location", "https://login.example.com/?return=somewhere"), HTML],
        body: "<html><body>You are being <a href=\"https://login.example.com\">redirected</a>.</body></html>",
    },
    Misleading { name: "see other", status: 303, headers: &[("location", "/users/sign_in")], body: "" },
    Misleading {
        name: "a temporary redirect",
        status: 307,
        headers: &[("location", "https://portal.example.net/")],
        body: "",
    },
    Misleading {
        name: "a permanent redirect",
        status: 308,
        headers: &[("location", "https://elsewhere.example.com/moved")],
        body: "",
    },
    // Texts of things in between.
    text("cloudflare 1010", 403, "error code: 1010"),
    text("cloudflare 1020", 403, "error code: 1020"),
    text("cloudflare 1003", 403, "error code: 1003"),
    text("a firewall's words", 403, "Access denied"),
    text("a router without a route", 404, "404 page not found\n"),
    text("an ingress without a service", 404, "default backend - 404"),
    text("a bucket's words", 404, "The specified resource does not exist."),
    text("a load balancer with nothing behind it", 404, "no healthy upstream"),
    text("words about maintenance", 403, "This service is down for maintenance. It will be gone until noon."),
    text("words of farewell", 410, "This service has been retired and is no longer supported."),
    text("a proxy's words", 407, "Proxy authentication required"),
    text("a mesh that can't connect", 503, "upstream connect error or disconnect/reset before headers"),
    // JSON of gateways, in forms that resemble those of services.
    json("cloudflare 40333", 403, r#"{"message": "internal network error", "code": 40333}"#),
    json("a gateway's refusal", 403, r#"{"message":"Forbidden"}"#),
    json(
        "a gateway without a key",
        401,
        r#"{"statusCode":401,"message":"Access denied due to missing subscription key."}"#,
    ),
    json("a gateway without a route", 404, r#"{"message":"no Route matched with those values"}"#),
    json("a gateway without a resource", 404, r#"{ "statusCode": 404, "message": "Resource not found" }"#),
    json("a framework's 404", 404, r#"{"timestamp":1767225600,"status":404,"error":"Not Found","path":"/"}"#),
    json("a framework's 403", 403, r#"{"status":403,"error":"Forbidden","message":"Access Denied"}"#),
    json("a bare code", 404, r#"{"code":404}"#),
    json("an error in a word", 401, r#"{"error":"unauthorized"}"#),
    json(
        "an error in an object",
        404,
        r#"{"error":{"code":"ResourceNotFound","message":"The resource was not found."}}"#,
    ),
    json("an error with a status", 403, r#"{"error":{"code":503,"type":"Blocked","message":"Blocked"}}"#),
    json("a list", 404, "[]"),
    json("null", 410, "null"),
    // Too fast, as said by something in between: the wait is kept to in any case.
    page("a proxy's limit", 429, "<html><title>429 Too Many Requests</title></html>"),
    text("cloudflare 1015", 429, "error code: 1015"),
];

/// The answers that a server may also give after it has started a build.
const MAY_FOLLOW_A_START: &[&str] = &["an empty 500", "a bad gateway"];

const fn page(name: &'static str, status: u16, body: &'static str) -> Misleading {
    Misleading { name, status, headers: &[HTML], body }
}

const fn text(name: &'static str, status: u16, body: &'static str) -> Misleading {
    Misleading { name, status, headers: &[TEXT], body }
}

const fn json(name: &'static str, status: u16, body: &'static str) -> Misleading {
    Misleading { name, status, headers: &[JSON], body }
}

const fn bare(name: &'static str, status: u16) -> Misleading {
    Misleading { name, status, headers: &[], body: "" }
}

impl Misleading {
    pub fn response(&self) -> Response {
        Response::Http(http_response(self.status, self.headers, self.body))
    }

    /// The consequence unless the adapter declares another one.
    pub const fn usual(&self) -> &'static str {
        if self.status == 429 { "throttled" } else { "unavailable" }
    }
}

/// The examples, and the settings with which answers are read in another way.
fn variants(entry: &Entry) -> Vec<Parsed> {
    let variant = |changes: &&[(&str, &str)]| {
        let mut properties = examples(entry);
        let change = |(name, value): &(&str, &str)| ((*name).to_owned(), Value::Text((*value).to_owned()));
        properties.extend(changes.iter().map(change));
        entry.read(&properties).unwrap_or_else(|errors| panic!("{}: {errors:?}", entry.about.slug))
    };
    std::iter::once(settings(entry)).chain(contract(entry).variants.iter().map(variant)).collect()
}

/// One step of a chain of calls.
struct Step<'a> {
    entry: &'static Entry,
    settings: &'a Parsed,
    case: &'a Case,
    before: Before,
    /// How many calls went before.
    number: usize,
}

impl Step<'_> {
    /// The call, as the contract's answers lead to it; `None` where the chain is shorter, or where it is no HTTP request.
    fn call(&self) -> Option<Call<Sent>> {
        let mut call = first_of_chain(self.entry, self.settings, self.case, self.before);
        for (status, body) in answers_of_chain(self.entry, self.before).iter().take(self.number) {
            call = match (call.read)(&Response::Http(http_response(*status, &[], body))) {
                Answer::Next(next) => next,
                _ => return None,
            };
        }
        matches!(call.request, Request::Http(_)).then_some(call)
    }

    /// The answers that are read wrongly at this step.
    fn misread(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        for misleading in MISLEADING {
            let Some(call) = self.call() else { break };
            let receiver = call.receiver;
            let came_to = (call.read)(&misleading.response());
            let expected = expected(self.entry, misleading);
            // A build that may have been started is not asked for again, so that word must be true.
            let gives_up = outcome(&came_to) == "unavailable, perhaps taken"
                && self.entry.deliver.as_ref().is_some_and(|deliver| !deliver.about.retry_ambiguous)
                && !MAY_FOLLOW_A_START.contains(&misleading.name);
            let is_right = match (receiver, consequence(&came_to)) {
                _ if gives_up => false,
                // Another service is only asked for additional content. The message is sent without it, or later.
                (Receiver::Other, "next call") => true,
                (_, came_to) => came_to == expected,
            };
            if !is_right {
                let (slug, case, number) = (self.entry.about.slug, &self.case.name, self.number);
                let (name, status, came_to) = (misleading.name, misleading.status, outcome(&came_to));
                let before = self.before;
                wrong.push(format!(
                    "{slug}, call {number} of {case} after {before:?}: {name} ({status}) came to {came_to}, not {expected}"
                ));
            }
        }
        wrong
    }
}

#[test]
fn an_answer_that_is_not_the_services_own_is_tried_again() {
    let mut wrong = Vec::new();
    for entry in tellers() {
        for settings in variants(entry) {
            let samples: Vec<Case> = entry.about.triggers.iter().map(sample).collect();
            let all = own_case(entry).into_iter().chain(&samples);
            for case in all.filter(|case| target(entry, case).is_some()) {
                let repeats = (!contract(entry).repeated.is_empty()).then_some(Before::Attempt);
                for before in [Before::Nothing].into_iter().chain(repeats) {
                    for number in 0..=answers_of_chain(entry, before).len() {
                        let step = Step { entry, settings: &settings, case, before, number };
                        wrong.extend(step.misread());
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} answers were misread:\n{}", wrong.len(), wrong.join("\n"));
}

fn expected(entry: &Entry, misleading: &Misleading) -> &'static str {
    let differs = contract(entry).misleading.iter().find(|differs| differs.answer == misleading.name);
    differs.map_or_else(|| misleading.usual(), |differs| differs.outcome)
}

#[test]
fn what_an_adapter_declares_of_misleading_answers_is_known_and_harmless() {
    for entry in tellers() {
        for Differs { answer, outcome, because } in contract(entry).misleading {
            let slug = entry.about.slug;
            assert!(MISLEADING.iter().any(|known| known.name == *answer), "{slug}: there is no `{answer}`");
            assert!(["throttled", "deferred", "temporarily_rejected"].contains(outcome), "{slug}: {answer}");
            assert!(because.len() > 10, "{slug}: {answer} needs a reason");
        }
    }
    let names: BTreeSet<&str> = MISLEADING.iter().map(|misleading| misleading.name).collect();
    assert_eq!(names.len(), MISLEADING.len(), "every answer has a name of its own");
}

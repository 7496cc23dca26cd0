//! Reads HTTP answers that have no code of the service in them.
//!
//! A status says nothing about who answered. Proxies, CDNs, login pages and captive portals send the same numbers as the
//! service behind them: a 404 may be a load balancer's, a 403 a firewall's, a 302 a login page's. So a status alone never
//! proves that an address is dead ([`Failure::Gone`]) or that settings are wrong ([`Failure::Misconfigured`]). An adapter
//! concludes that from the service's own codes only, and leaves everything else to [`by_status`].

use super::{Answer, Failure, HttpResponse, Sent};

/// How much of a body is shown, in characters.
const EXCERPT: usize = 200;
/// Where an excerpt ends before the body does.
pub const CUT: char = '…';

/// Reads an answer by its status alone: what adapters fall back on where they find no code of their service.
///
/// - 2xx means that the message is taken, unless the body is a page.
/// - 429 throttles.
/// - 400, 413 and 422 refuse this one message, unless the body is a page (a 413 refuses it in any case).
/// - Everything else is temporary, because something between this daemon and the service may have said it.
pub fn by_status(response: &HttpResponse) -> Answer<Sent> {
    let page = is_page(response);
    let (wait, why) = (response.retry_after(), describe(response));
    Answer::Failed(match response.status {
        200..=299 if !page => return Answer::Done(Sent),
        429 => Failure::Throttled { wait, why, shared: false },
        413 => Failure::Rejected(why),
        400 | 422 if !page => Failure::Rejected(why),
        status => Failure::Unavailable { maybe_taken: false, wait, why: why + advice(status) },
    })
}

/// The service did not take the message, or its answer does not say whether it did; it is sent again on schedule.
pub fn unavailable(response: &HttpResponse, maybe_taken: bool) -> Failure {
    let (wait, why) = (response.retry_after(), describe(response));
    Failure::Unavailable { maybe_taken, wait, why: why + advice(response.status) }
}

/// What a person may do if answers of this status go on.
const fn advice(status: u16) -> &'static str {
    match status {
        300..=399 => {
            "; redirects are not followed: if this goes on, check the address, and any proxy before the service"
        }
        401..=407 | 410 | 511 => {
            "; this is not in the service's own form: if it goes on, check the address, and any proxy before the service"
        }
        _ => "",
    }
}

/// Whether the body is a page of HTML, which no service sends to a program. XML is not HTML.
pub fn is_page(response: &HttpResponse) -> bool {
    let text = response.text();
    let start: String = text.trim_start_matches('\u{feff}').trim_start().chars().take(500).collect();
    let start = start.to_ascii_lowercase();
    let kind = response.header("content-type").unwrap_or_default().trim_start().to_ascii_lowercase();
    let is_xml = start.starts_with("<?xml") || kind.contains("xml");
    let says_html =
        kind.starts_with("text/html") || start.contains("<html") || start.contains("<!doctype html");
    start.starts_with('<') && (says_html || !is_xml)
}

/// The status and the start of the body, on one line, for people. Of a redirect, the origin that it leads to.
pub fn describe(response: &HttpResponse) -> String {
    let status = response.status;
    if let Some(origin) = redirected_to(response) {
        return format!("answered {status}, which leads to {origin}");
    }
    match excerpt(&response.text()).as_str() {
        "" => format!("answered {status}"),
        _ if is_page(response) => format!("answered {status} with a page of HTML"),
        excerpt => format!("answered {status}: {excerpt}"),
    }
}

/// The start of a service's words, on one line, without signs that a terminal would obey.
pub fn excerpt(words: &str) -> String {
    let words: String = words.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut letters = words.chars().filter(|c| !c.is_control());
    let mut excerpt: String = letters.by_ref().take(EXCERPT).collect();
    if letters.next().is_some() {
        excerpt.push(CUT);
    }
    excerpt
}

/// The origin of the address that a redirect leads to. Its path and query may quote secrets.
fn redirected_to(response: &HttpResponse) -> Option<String> {
    let location = response.header("location").filter(|_| (300..=399).contains(&response.status))?;
    let url = url::Url::parse(location.trim()).ok()?;
    url.has_host().then(|| url.origin().ascii_serialization())
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    fn answer(status: u16, headers: &[(&str, &str)], body: &str) -> HttpResponse {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        HttpResponse { status, headers, body: body.to_owned().into(), at: Timestamp::UNIX_EPOCH }
    }

    #[test]
    fn no_status_alone_proves_an_address_dead_or_settings_wrong() {
        for status in 100..=599 {
            for body in ["", "no", "<html>no</html>", "{\"error\":\"no\"}"] {
                let read = by_status(&answer(status, &[], body));
                let Answer::Failed(failure) = read else { continue };
                assert!(
                    !matches!(failure, Failure::Gone { .. } | Failure::Misconfigured(_)),
                    "{status} {body}: {failure}"
                );
            }
        }
    }

    #[test]
    fn a_page_is_told_from_xml_and_from_words() {
        let html = ("content-type", "Text/HTML; charset=utf-8");
        for (page, headers, body) in [
            (true, None, "<html>"),
            (true, None, "\u{feff}\n <!DOCTYPE html>"),
            (true, None, "<h1>It works!</h1>"),
            (true, Some(html), "<?xml version=\"1.0\"?><p>"),
            (true, None, "<?xml version=\"1.0\"?><!DOCTYPE html>"),
            (false, None, "<?xml version=\"1.0\"?><build id=\"1\"/>"),
            (false, Some(("content-type", "application/xml")), "<build id=\"1\"/>"),
            (false, Some(html), "ok"),
            (false, None, ""),
        ] {
            assert_eq!(is_page(&answer(200, headers.as_slice(), body)), page, "{body}");
        }
    }

    #[test]
    fn a_redirect_names_the_origin_that_it_leads_to_and_nothing_else_of_it() {
        let location = [("location", "https://login.example/sso?return=https://hooks.example/s3cr3t")];
        let Answer::Failed(failure) = by_status(&answer(302, &location, "<html>moved</html>")) else {
            panic!("taken")
        };
        let why = failure.why();
        assert!(why.starts_with("answered 302, which leads to https://login.example; redirects"), "{why}");
        assert!(!why.contains("s3cr3t"), "{why}");
        let relative = by_status(&answer(301, &[("location", "/login?x=s3cr3t")], ""));
        let Answer::Failed(failure) = relative else { panic!("taken") };
        assert!(failure.why().starts_with("answered 301; redirects"), "{failure}");
    }
}

//! The parts of Jira's answers about an issue that are read.

use jiff::{SignedDuration, Timestamp};
use serde_json::Value as Json;

use super::answers::moment;
use super::markup;
use crate::call::HttpResponse;

/// The HTTP header `Date` is exact to the second, and the answer takes a moment.
const INEXACT: SignedDuration = SignedDuration::from_secs(2);

/// The state of an issue.
#[derive(Clone, Debug, Default)]
pub(super) struct Issue {
    /// Jira's number. It does not change when an issue moves to another project and gets another key.
    pub id: String,
    /// When the issue was resolved, by Jira's clock and by this server's; `None` if it has no resolution.
    pub resolved: Option<Resolved>,
    status: String,
    /// The transitions on offer in this state.
    offers: Vec<Offer>,
}

/// When an issue was resolved.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Resolved {
    by_jiras_clock: Option<Timestamp>,
    by_ours: Option<Timestamp>,
}

#[derive(Clone, Debug)]
struct Offer {
    id: String,
    to_status: String,
    is_done: bool,
}

impl Issue {
    /// `None` if this is no issue.
    pub(super) fn read(json: &Json, response: &HttpResponse) -> Option<Self> {
        let (id, fields) = (text(&json["id"]), json["fields"].as_object()?);
        let is_id = !id.is_empty() && id.len() < 30 && id.bytes().all(|byte| byte.is_ascii_digit());
        let field = |name: &str| fields.get(name).unwrap_or(&Json::Null);
        let resolved = field("resolution").is_object().then(|| {
            let at = field("resolutiondate").as_str().and_then(moment);
            let date = response.header("date").and_then(|date| jiff::fmt::rfc2822::parse(date).ok());
            let ahead = date.map(|date| date.timestamp().duration_since(response.at)).unwrap_or_default();
            Resolved { by_jiras_clock: at, by_ours: at.and_then(|at| at.checked_sub(ahead).ok()) }
        });
        let offers = json["transitions"].as_array().into_iter().flatten().map(|offer| Offer {
            id: text(&offer["id"]),
            to_status: text(&offer["to"]["id"]),
            is_done: offer["to"]["statusCategory"]["key"] == "done",
        });
        is_id.then(|| Self { id, resolved, status: text(&field("status")["id"]), offers: offers.collect() })
    }

    /// The first transition on offer that leads to a state which is done.
    pub(super) fn done_transition(&self) -> Option<&str> {
        self.offers.iter().find(|offer| offer.is_done).map(|offer| offer.id.as_str())
    }

    /// The next available transition of a list, and its index. `taken` is the number of transitions that this attempt
    /// took. If an earlier attempt took some, the issue is in the state after the last of them, and the list continues
    /// from there.
    pub(super) fn next_transition<'a>(&self, list: &'a [String], taken: usize) -> Option<(usize, &'a str)> {
        let offer = |id: &String| self.offers.iter().find(|offer| offer.id == *id);
        let leads_here = |id: &String| {
            offer(id).is_some_and(|offer| !offer.to_status.is_empty() && offer.to_status == self.status)
        };
        let from = list.iter().rposition(leads_here).map_or(taken, |place| taken.max(place + 1));
        let rest = list.iter().enumerate().skip(from);
        rest.into_iter().find(|(_, id)| offer(id).is_some()).map(|(place, id)| (place, id.as_str()))
    }
}

impl Resolved {
    /// Whether the issue was resolved before this moment. An issue that was resolved at an unknown time counts as
    /// resolved before.
    pub(super) fn is_before(&self, moment: Timestamp) -> bool {
        self.by_ours.is_none_or(|at| at.checked_add(INEXACT).unwrap_or(at) < moment)
    }
}

/// The statements that an issue's comments already contain.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Said {
    /// Whether a comment says that the object mentions the issue.
    pub mentioned: bool,
    /// Whether a comment says that the object solved the issue.
    pub solved_by_this: bool,
    /// When a comment last said that it is solved, by any commit or merge request.
    solved_at: Option<Timestamp>,
    solved_at_some_time: bool,
}

impl Said {
    /// Reads comments, newest first. `None` if these are no comments.
    pub(super) fn read(json: &Json, url: &str, solved_url: &str) -> Option<Self> {
        let mut said = Self::default();
        for comment in json["comments"].as_array()? {
            let Some(body) = comment["body"].as_str() else { continue };
            said.mentioned |= markup::says_mentioned(body, url);
            if markup::says_solved(body) {
                said.solved_by_this |= markup::names(body, solved_url);
                said.solved_at_some_time = true;
                said.solved_at = said.solved_at.max(comment["created"].as_str().and_then(moment));
            }
        }
        Some(said)
    }

    /// Whether a comment says that this resolution solved it. One of before tells of an earlier resolution.
    pub(super) fn says_solved(&self, resolved: &Resolved) -> bool {
        let is_of_this = match (self.solved_at, resolved.by_jiras_clock) {
            (Some(said), Some(resolved)) => said >= resolved - INEXACT,
            _ => self.solved_at_some_time,
        };
        self.solved_by_this || is_of_this
    }
}

/// A remote link as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RemoteLink {
    pub global_id: String,
    pub url: String,
    pub title: String,
    pub icon: Option<String>,
    pub is_resolved: bool,
}

/// Jira's longest title and id of a link.
const LONGEST_TITLE: usize = 255;
pub(super) const LONGEST_ID: usize = 255;

impl RemoteLink {
    pub(super) fn body(&self) -> Json {
        let title: String = self.title.chars().take(LONGEST_TITLE).collect();
        let mut object = serde_json::json!({
            "url": self.url,
            "title": title,
            "status": { "resolved": self.is_resolved },
        });
        if let Some(icon) = &self.icon {
            object["icon"] = serde_json::json!({ "title": "GitLab", "url16x16": icon });
        }
        serde_json::json!({ "globalId": self.global_id, "relationship": "mentioned on", "object": object })
    }
}

/// The remote link of an object that an issue has.
#[derive(Clone, Debug)]
pub(super) struct Existing {
    /// Jira's number of the link; `None` where it did not say it.
    pub id: Option<String>,
    title: String,
    is_resolved: bool,
}

impl Existing {
    /// The link of this object among an issue's links. `Some(None)` if there is none, `None` if these are no links.
    #[expect(clippy::option_option, reason = "no list is something else than a list without the link")]
    pub(super) fn among(json: &Json, link: &RemoteLink) -> Option<Option<Self>> {
        let is_of_object = |known: &&Json| {
            known["object"]["url"] == link.url.as_str() || known["globalId"] == link.global_id.as_str()
        };
        let found = json.as_array()?.iter().find(is_of_object);
        Some(found.map(|known| Self {
            id: Some(text(&known["id"])).filter(|id| is_number(id)),
            title: text(&known["object"]["title"]),
            is_resolved: known["object"]["status"]["resolved"] == true,
        }))
    }

    /// A link that was made or changed just now; `known` is its number, where it had one.
    pub(super) fn made(json: &Json, known: Option<String>, link: &RemoteLink) -> Self {
        let id = known.or_else(|| Some(text(&json["id"])).filter(|id| is_number(id)));
        Self { id, title: link.title.clone(), is_resolved: link.is_resolved }
    }

    /// Whether the existing link needs no change. A link that says that the issue is solved is never changed back.
    pub(super) fn says(&self, link: &RemoteLink) -> bool {
        self.is_resolved || self.title == link.title && !link.is_resolved
    }
}

fn is_number(id: &str) -> bool {
    !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_digit())
}

/// Numbers are texts in some answers and numbers in others.
fn text(json: &Json) -> String {
    json.as_str().map_or_else(|| json.as_i64().map(|id| id.to_string()).unwrap_or_default(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn response(date: Option<&str>) -> HttpResponse {
        let headers = date.map(|date| ("date".to_owned(), date.to_owned())).into_iter().collect();
        let at = "2026-01-15T09:30:00Z".parse().expect("a moment");
        HttpResponse { status: 200, headers, body: Vec::new().into(), at }
    }

    fn issue(fields: &Json, transitions: &Json, date: Option<&str>) -> Issue {
        let json = json!({ "id": "10001", "key": "ABC-7", "fields": fields, "transitions": transitions });
        Issue::read(&json, &response(date)).expect("an issue")
    }

    #[test]
    fn a_resolution_is_dated_by_our_clock() {
        let at = |resolved: &str, date: Option<&str>| {
            let fields = json!({ "resolution": { "name": "Done" }, "resolutiondate": resolved });
            let resolved = issue(&fields, &json!([]), date).resolved.expect("resolved");
            resolved.is_before("2026-01-15T09:29:50Z".parse().expect("a moment"))
        };
        let same = Some("Thu, 15 Jan 2026 09:30:00 GMT");
        assert!(at("2026-01-15T09:29:40.000+0000", same) && at("2026-01-15T10:29:40.000+0100", None));
        assert!(!at("2026-01-15T09:29:55.000+0000", same));
        assert!(!at("2026-01-15T09:29:49.000+0000", same), "within what the clocks tell");
        let behind = Some("Thu, 15 Jan 2026 09:20:00 GMT");
        assert!(!at("2026-01-15T09:19:55.000+0000", behind), "Jira's clock is ten minutes behind");
        assert!(at("sometime", same), "left alone");
        let unresolved = issue(&json!({ "resolution": null, "resolutiondate": null }), &json!([]), same);
        assert!(unresolved.resolved.is_none());
    }

    #[test]
    fn the_next_transition_on_offer_is_taken() {
        let list = ["11", "21", "31"].map(str::to_owned);
        let in_state = |status: &str, offers: &[(&str, &str)], taken: usize| {
            let offers: Json =
                offers.iter().map(|(id, to)| json!({ "id": id, "to": { "id": to } })).collect();
            let issue = issue(&json!({ "status": { "id": status } }), &offers, None);
            issue.next_transition(&list, taken).map(|(_, id)| id.to_owned())
        };
        assert_eq!(in_state("1", &[("11", "3"), ("41", "9")], 0).as_deref(), Some("11"));
        assert_eq!(
            in_state("3", &[("21", "5"), ("5", "1")], 0).as_deref(),
            Some("21"),
            "an attempt ended behind 11"
        );
        assert_eq!(in_state("5", &[("31", "6")], 2).as_deref(), Some("31"));
        assert_eq!(in_state("6", &[("5", "1")], 3), None);
        // If every transition is available in every state, the state shows which transitions were taken.
        let all = [("11", "3"), ("21", "5"), ("31", "6")];
        assert_eq!(in_state("1", &all, 0).as_deref(), Some("11"));
        assert_eq!(in_state("3", &all, 0).as_deref(), Some("21"));
        assert_eq!(in_state("5", &all, 0).as_deref(), Some("31"));
        assert_eq!(in_state("6", &all, 0), None);
    }

    #[test]
    fn the_first_transition_to_a_done_state_is_found() {
        let to = |id: &str, category: &str| json!({ "id": id, "to": { "id": "1", "statusCategory": { "key": category } } });
        let offers = json!([to("11", "indeterminate"), to("21", "done"), to("31", "done")]);
        assert_eq!(issue(&json!({}), &offers, None).done_transition(), Some("21"));
        assert_eq!(issue(&json!({}), &json!([to("11", "new")]), None).done_transition(), None);
    }

    #[test]
    fn a_comment_about_an_earlier_resolution_says_nothing_of_this_one() {
        let comments = |created: &str| json!({ "comments": [{ "body": "Issue solved with [a|https://f.example/a].", "created": created }] });
        let resolved = Resolved { by_jiras_clock: moment("2026-01-15T09:30:00.000+0000"), by_ours: None };
        let said = |created: &str, url: &str| {
            Said::read(&comments(created), url, url).expect("comments").says_solved(&resolved)
        };
        assert!(said("2026-01-15T09:30:01.000+0000", "https://f.example/b"), "another commit solved it");
        assert!(!said("2025-01-15T09:30:01.000+0000", "https://f.example/b"));
        assert!(said("2025-01-15T09:30:01.000+0000", "https://f.example/a"), "this commit did");
    }

    #[test]
    fn what_is_no_issue_is_none() {
        for json in [
            json!({}),
            json!([]),
            json!({ "id": "../x", "fields": {} }),
            json!({ "id": "1" }),
            json!({ "id": "", "fields": {} }),
        ] {
            assert!(Issue::read(&json, &response(None)).is_none(), "{json}");
        }
    }
}

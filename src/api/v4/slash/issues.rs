//! `issue show` and `issue new`: where issues are.
//!
//! A project with an external tracker has its issues there. Without one, the forge answers these commands itself where they
//! are forwarded to it; where they are not, the answer is the forge's address for the issue.

use url::Url;

use super::CommandHandler;
use super::answer;
use super::command::NewIssue;
use crate::catalog::ResolvedScope;

/// The forge's name for people.
const FORGE: &str = "the forge";
const UNKNOWN_FORGE: &str = "This project has no external issue tracker, and the forge's address is unknown: the operator \
                             can set it as `forge.url`.";

/// The answer to `issue show`; `None` where the forge is to answer. Either the whole typed text is a name (`bug 12`),
/// or its first word. As in GitLab, text after a number is ignored.
pub(super) fn show(handler: &CommandHandler<'_>, scope: &ResolvedScope, typed: &str) -> Option<String> {
    let tracker = handler.catalog.read(|state| state.links_at(scope).tracker());
    let name = typed.split_whitespace().next().unwrap_or_default();
    if let Some(tracker) = &tracker
        && let Some((name, url)) =
            [typed, name].into_iter().find_map(|name| Some((name, tracker.issue(name)?)))
    {
        return Some(answer::issue(name, &tracker.name(), &url));
    }
    if handler.commands.is_some() {
        return None;
    }
    Some(match (number(name), tracker) {
        (Some(number), _) => match page(handler.forge, scope, &[number]) {
            Some(url) => answer::issue(&format!("#{number}"), FORGE, url.as_str()),
            None => UNKNOWN_FORGE.to_owned(),
        },
        (None, Some(tracker)) => answer::no_such_issue(name, &tracker.name()),
        (None, None) => answer::no_such_issue(name, "The forge"),
    })
}

/// The answer to `issue new`; `None` where the forge is to answer.
pub(super) fn new(handler: &CommandHandler<'_>, scope: &ResolvedScope, issue: &NewIssue) -> Option<String> {
    let tracker = handler.catalog.read(|state| state.links_at(scope).tracker());
    if let Some(tracker) = tracker {
        // A tracker without a page for new issues has one for the project.
        let page = tracker.new_issue().or_else(|| tracker.project());
        return page.map(|url| answer::new_issue(&tracker.name(), &url));
    }
    if handler.commands.is_some() {
        return None;
    }
    let Some(mut url) = page(handler.forge, scope, &["new"]) else { return Some(UNKNOWN_FORGE.to_owned()) };
    let given = [("issue[title]", &issue.title), ("issue[description]", &issue.description)];
    for (field, text) in given.into_iter().filter(|(_, text)| !text.is_empty()) {
        url.query_pairs_mut().append_pair(field, text);
    }
    Some(answer::new_issue(FORGE, url.as_str()))
}

/// The number in `5` or `#5`. As in GitLab, anything but a letter or a digit may follow it.
fn number(name: &str) -> Option<&str> {
    let name = name.strip_prefix('#').unwrap_or(name);
    let end = name.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(name.len());
    let is_whole = !name[end..].starts_with(char::is_alphanumeric);
    (end > 0 && is_whole).then(|| &name[..end])
}

/// The address of one of the project's pages for issues in the forge.
fn page(forge: &str, scope: &ResolvedScope, rest: &[&str]) -> Option<Url> {
    let mut url: Url = forge.parse().ok()?;
    let project = scope.path()?;
    url.path_segments_mut()
        .ok()?
        .pop_if_empty()
        .extend(project.split('/'))
        .extend(["-", "issues"])
        .extend(rest);
    Some(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_may_have_a_sign_before_it_and_no_letter_after_it() {
        for (name, expected) in
            [("5", Some("5")), ("#5", Some("5")), ("5,", Some("5")), ("#", None), ("5a", None)]
        {
            assert_eq!(number(name), expected, "{name}");
        }
        for name in ["", "ABC-5", "##5", "-5", "\u{665}"] {
            assert_eq!(number(name), None, "{name}");
        }
    }

    #[test]
    fn a_page_of_the_forge_is_below_its_address() {
        let scope = ResolvedScope::Project { id: Some(42), path: Some("acme/rocket".to_owned()) };
        let at = |forge: &str| page(forge, &scope, &["5"]).map(String::from);
        let expected = Some("https://forge.example/acme/rocket/-/issues/5".to_owned());
        assert_eq!(at("https://forge.example"), expected);
        assert_eq!(at("https://forge.example/"), expected);
        assert_eq!(
            at("https://h.example/git").as_deref(),
            Some("https://h.example/git/acme/rocket/-/issues/5")
        );
        assert_eq!(at(""), None);
        assert_eq!(
            page("https://forge.example", &ResolvedScope::Project { id: Some(42), path: None }, &["5"]),
            None
        );
    }
}

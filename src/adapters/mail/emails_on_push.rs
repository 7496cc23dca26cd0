//! Emails on push: the author, the commits and, if it is available, the diff.
//!
//! Each recipient gets a mail of their own, so that one bad address does not affect the others. The diff is taken from the
//! event, if its publisher included it, or else requested from the forge. If the forge does not answer, the mail is sent
//! without a diff.

use std::collections::HashMap;

use super::diffs::{self, Comparison, Diffs};
use super::head::{self, Head};
use super::page::{Mood, Page};
use super::{addresses, relay, replies};
use crate::adapters::ProjectLinks;
use crate::adapters::contract::{
    About, Adapter, CommonSettings, Deliver, Delivery, Notification, Preview, Targets,
};
#[cfg(test)]
use crate::adapters::tests::{Contract, is_seen};
use crate::call::{Answer, Call, Failure, HttpResponse, Mail, Pace, Sent};
use crate::event::{
    Commit, Event, Payload, Project, Push, RefChange, RefType, Trigger, Triggers, parse_time,
};
use crate::integration::Family;
use crate::message::{References, Text};
use crate::settings::FieldError;

/// GitLab's limit.
const MOST_RECIPIENTS: usize = 750;
/// The limits of a mail: commits, files, and characters of a commit's message.
const MOST_COMMITS: usize = 100;
const MOST_FILES: usize = 300;
const LONGEST_MESSAGE: usize = 10_000;
const LONGEST_NAME: usize = 200;

const NOT_CONFIGURED: &str = "The diff is not shown: the forge did not send it along with the push.";
const NOTHING_CHANGED: &str = "both commits hold the same: there is nothing to write";
const NOT_ANSWERED: &str = "The diff is not shown: the forge did not tell what was changed.";
const TOO_MUCH: &str = "The diff is not shown: it is too large for a mail.";

crate::settings! {
    /// What emails on push need.
    pub struct Settings {
        /// Mail addresses, separated by spaces, commas or line breaks, at most 750; each gets a mail of its own.
        pub recipients: String = "dev@example.com ops@example.com",
        /// Leaves diffs out, so that code does not leave the forge by mail.
        pub disable_diffs: bool = "false",
        /// Sends from the author's own address, if its domain is the forge's or a parent domain.
        pub send_from_committer_email: bool = "false",
    }
}

/// The adapter.
pub struct EmailsOnPush;

impl Adapter for EmailsOnPush {
    const ABOUT: About = About {
        slug: "emails-on-push",
        title: "Emails on push",
        summary: "Mails the commits and diff of each push to a list of recipients.",
        triggers: Triggers::of(&[Trigger::Push, Trigger::TagPush]),
        family: Family::PushMail,
        common: CommonSettings { branches: Some("all"), ..CommonSettings::NONE },
    };
    type Settings = Settings;

    fn validate(settings: &Settings) -> Vec<FieldError> {
        addresses::problems(&settings.recipients, MOST_RECIPIENTS)
    }

    fn warnings(settings: &Settings) -> Vec<FieldError> {
        addresses::warnings(&settings.recipients)
    }
}

impl Deliver for EmailsOnPush {
    const DELIVERY: Delivery = Delivery {
        max_age: relay::MAX_AGE,
        // A repeated mail has the same Message-ID.
        retry_ambiguous: true,
        concurrency: relay::CONCURRENCY,
        // The diff is requested from the forge, and for a force push also the commits that it removed.
        calls: 3,
        limits: "10 mails a second through the relay (bursts of 20); 750 recipients; a mail holds 30 files and 5,000 \
                 lines of a diff, and about 1 MB.",
        preview: Preview::Request,
    };

    #[cfg(test)]
    const CONTRACT: Contract = Contract {
        // Relays accept ten times as much, but a mail should be readable.
        largest_body: 1_000_000,
        fault: |mail| {
            (!is_seen(&mail["subject"]) || !is_seen(&mail["text"])).then_some("a mail without text")
        },
        // In a mail an @ notifies no one.
        mentions: &[],
        target: "dev@example.com",
        chain: &[(
            200,
            r#"{"commits": [], "diffs": [{"old_path": "a.rs", "new_path": "a.rs", "diff": "@@ -1 +1 @@\n-old\n+new\n"}]}"#,
        )],
        ..Contract::USUAL
    };

    fn targets(settings: &Settings, event: &Event, _channels: &[String]) -> Targets {
        match &event.payload {
            Payload::Push(push) if push.before == push.after && !push.before.is_empty() => {
                Targets::none("nothing was pushed: the branch is where it was")
            }
            _ => Targets::named(addresses::recipients(&settings.recipients)),
        }
    }

    fn pace(_settings: &Settings, _target: &str) -> Pace {
        relay::pace()
    }

    fn call(settings: &Settings, note: &Notification<'_>) -> Result<Call<Sent>, Failure> {
        let Payload::Push(push) = &note.event.payload else {
            return Err(Failure::Rejected(format!("a {} is no push", note.event.kind())));
        };
        let draft = Draft::of(settings, note, push);
        if push.change() != RefChange::Updated || settings.disable_diffs {
            return Ok(draft.send(&Diffs::None));
        }
        if let Some(diffs) = diffs::of_event(push) {
            return Ok(draft.send(&diffs));
        }
        let forge = &note.operator.forge;
        let ask = |from: &str, to: &str| diffs::request(forge, draft.project.id, from, to);
        let (forwards, backwards) = (ask(&push.before, &push.after), ask(&push.after, &push.before));
        let (Some(forwards), Some(backwards)) = (forwards, backwards) else {
            return Ok(draft.send(&Diffs::LeftOut(NOT_CONFIGURED)));
        };
        let on_no_response = draft.clone();
        let asked = Call::http(forwards, move |response| match Comparison::read(response) {
            // Nothing was added, so commits may have been removed. The comparison in the other direction shows them.
            Some(compared) if compared.is_empty() && draft.push.commits.is_empty() => {
                Answer::Next(draft.look_back(backwards))
            }
            Some(compared) if draft.push.commits.is_empty() => {
                let diffs = compared.diffs();
                Answer::Next(draft.knowing(Known::Added(compared)).send(&diffs))
            }
            Some(compared) => Answer::Next(draft.send(&compared.diffs())),
            None => Answer::Next(draft.send(&Diffs::LeftOut(why_unread(response)))),
        });
        Ok(asked.to_other_service().or_else_on_no_response(move |_| {
            Answer::Next(on_no_response.send(&Diffs::LeftOut(NOT_ANSWERED)))
        }))
    }
}

/// A mail whose diff may still be requested.
#[derive(Clone)]
struct Draft {
    mail: Mail,
    push: Push,
    project: Project,
    is_test: bool,
    links: ProjectLinks,
    known: Known,
}

/// The known facts about the commits.
#[derive(Clone)]
enum Known {
    /// The event lists the commits.
    Event,
    /// The event lists no commits, and the forge says which ones were added.
    Added(Comparison),
    /// The forge says that none were added, and which ones were removed.
    Removed(Comparison),
}

impl Draft {
    fn of(settings: &Settings, note: &Notification<'_>, push: &Push) -> Self {
        let project = note.event.project.clone().unwrap_or_default();
        let head = Head {
            subject: subject(&project, push, &Known::Event),
            thread: ["push", &push.full_ref],
            author: Some(&push.user),
            as_author: settings.send_from_committer_email,
            headers: vec![("X-GitLab-Author", push.user.username.to_string())],
        };
        Self {
            mail: head::blank(note, head),
            push: push.clone(),
            project,
            is_test: note.is_test,
            links: note.links.clone(),
            known: Known::Event,
        }
    }

    fn knowing(self, known: Known) -> Self {
        let subject = subject(&self.project, &self.push, &known);
        let mail = Mail { subject: head::subject(self.is_test, &subject), ..self.mail };
        Self { mail, known, ..self }
    }

    fn look_back(self, request: crate::call::HttpRequest) -> Call<Sent> {
        let on_no_response = self.clone();
        let asked = Call::http(request, move |response| match Comparison::read(response) {
            // No difference in either direction, so there is nothing to write.
            Some(compared) if compared.is_empty() => Answer::Skipped(NOTHING_CHANGED.to_owned()),
            Some(compared) => {
                let diffs = compared.diffs();
                Answer::Next(self.knowing(Known::Removed(compared)).send(&diffs))
            }
            None => Answer::Next(self.send(&Diffs::LeftOut(why_unread(response)))),
        });
        asked
            .to_other_service()
            .or_else_on_no_response(move |_| Answer::Next(on_no_response.send(&Diffs::LeftOut(NOT_ANSWERED))))
    }

    fn send(&self, diffs: &Diffs) -> Call<Sent> {
        Call::smtp(head::written(self.mail.clone(), self.page(diffs)), replies::read)
    }

    fn page(&self, diffs: &Diffs) -> Page {
        let Self { push, project, .. } = self;
        let references = References::new(&self.links);
        let mut page = Page::new();
        page.headline(&self.headline(), Mood::Neutral);
        match &self.known {
            Known::Removed(compared) => self.show_removed(&mut page, compared, &references),
            Known::Added(compared) => self.show_added(&mut page, compared, &references),
            Known::Event if push.change() == RefChange::Updated && push.commits.is_empty() => {
                page.notice(&format!(
                    "The event lists no commits: the {} went from {} to {}.",
                    push.ref_type().name(),
                    short(&push.before),
                    short(&push.after)
                ));
            }
            Known::Event => self.show_commits(&mut page, &references),
        }
        show_files(&mut page, push);
        diffs::show(&mut page, diffs);
        let host = url::Url::parse(&project.web_url).ok().and_then(|url| url.host_str().map(str::to_owned));
        let words = format!("View it on {}", host.as_deref().unwrap_or("GitLab"));
        let view = self.view();
        let name = project.full_name();
        page.foot(
            view.as_deref().map(|url| (words.as_str(), url)),
            &format!("You get this mail since your address is in the emails on push of {name}."),
        );
        page
    }

    /// `John Smith pushed to branch master at Mike / Diaspora`, and where the event names no one
    /// `Branch master at Mike / Diaspora was pushed to`.
    fn headline(&self) -> Text {
        let Self { push, project, .. } = self;
        let user = [&push.user.name, &push.user.username].into_iter().find(|name| !name.trim().is_empty());
        let (did, was) = match (push.change(), &self.known) {
            (RefChange::Created, _) => ("pushed new", "was pushed for the first time"),
            (RefChange::Removed, _) => ("deleted", "was deleted"),
            (RefChange::Updated, _) if push.commits.is_empty() && is_tag(push) => ("moved", "was moved"),
            (RefChange::Updated, Known::Removed(_)) => ("removed commits from", "lost commits"),
            (RefChange::Updated, Known::Event | Known::Added(_)) => ("pushed to", "was pushed to"),
        };
        let name = head::line(push.short_ref(), LONGEST_NAME);
        let tree = match push.change() {
            RefChange::Removed => None,
            _ => self.page_of("tree", push.short_ref()),
        };
        let kind = push.ref_type().name();
        let start = match user {
            Some(user) => format!("{} {did} {kind} ", head::line(user, LONGEST_NAME)),
            None if push.ref_type() == RefType::Tag => "Tag ".to_owned(),
            None => "Branch ".to_owned(),
        };
        let place = Text::new()
            .plain(start)
            .link(name, tree.unwrap_or_default())
            .plain(" at ")
            .link(head::line(&project.full_name(), LONGEST_NAME), project.web_url.as_str());
        if user.is_some() { place } else { place.plain(format!(" {was}")) }
    }

    fn show_commits(&self, page: &mut Page, references: &References<'_>) {
        let commits = &self.push.commits;
        if commits.is_empty() {
            return;
        }
        page.heading("Commits");
        let listed = &commits[commits.len().saturating_sub(MOST_COMMITS)..];
        let message = |commit: &Commit| references.linked(message(commit));
        let fitting = listed.iter().take_while(|commit| page.entry(&who_and_when(commit), &message(commit)));
        let shown = fitting.count() as u64;
        let more = total(&self.push).saturating_sub(shown);
        if more > 0 {
            let words = if more == 1 { "1 more commit".to_owned() } else { format!("{more} more commits") };
            page.paragraph(&Text::new().plain("and ").link(words, self.compare().unwrap_or_default()));
        }
    }

    fn show_removed(&self, page: &mut Page, compared: &Comparison, references: &References<'_>) {
        page.notice(&format!(
            "This was a force push that only removed commits. They are not in the {} any more:",
            self.push.ref_type().name()
        ));
        page.list(&self.compared(compared, references));
    }

    fn show_added(&self, page: &mut Page, compared: &Comparison, references: &References<'_>) {
        if !compared.commits.is_empty() {
            page.heading("Commits");
            page.list(&self.compared(compared, references));
        }
    }

    /// The newest commits of a comparison, with links, and the number of the others.
    fn compared(&self, compared: &Comparison, references: &References<'_>) -> Vec<Text> {
        let item = |commit: &diffs::Compared| {
            let page = self.page_of("commit", &commit.id).unwrap_or_default();
            let title = Text::new().plain(format!(": {}", head::line(&commit.title, LONGEST_NAME)));
            Text::new().link(short(&commit.id), page).then(references.linked(title))
        };
        let others = compared.commits.len().saturating_sub(MOST_COMMITS);
        let mut items: Vec<Text> = compared.commits[others..].iter().map(item).collect();
        match others {
            0 => {}
            1 => items.push(Text::new().plain("and 1 more commit")),
            many => items.push(Text::new().plain(format!("and {many} more commits"))),
        }
        items
    }

    /// The page that shows the whole push.
    fn view(&self) -> Option<String> {
        match self.push.change() {
            RefChange::Removed => None,
            RefChange::Created => self.page_of("tree", self.push.short_ref()),
            RefChange::Updated => match self.push.commits.as_slice() {
                [only] if total(&self.push) == 1 => Some(only.url.to_string())
                    .filter(|url| !url.is_empty())
                    .or_else(|| self.page_of("commit", &only.id)),
                _ => self.compare(),
            },
        }
    }

    fn compare(&self) -> Option<String> {
        self.page_of("compare", &format!("{}...{}", self.push.before, self.push.after))
    }

    /// A page of the project; `None` if a name is too long for a URL.
    fn page_of(&self, kind: &str, name: &str) -> Option<String> {
        let mut url = url::Url::parse(self.project.web_url.trim_end_matches('/')).ok()?;
        if name.len() > 512 {
            return None;
        }
        url.path_segments_mut().ok()?.extend(["-", kind]).extend(name.split('/'));
        Some(url.into())
    }
}

/// Why the forge's answer is not a comparison. An answer that was cut at the limit is reported as too large.
fn why_unread(response: &HttpResponse) -> &'static str {
    if response.status == 200 && response.body.len() >= diffs::ANSWER_LIMIT { TOO_MUCH } else { NOT_ANSWERED }
}

/// GitLab's: `[Git][mike/diaspora][master] 4 commits: Update Catalan translation`.
fn subject(project: &Project, push: &Push, known: &Known) -> String {
    let (path, name, kind) = (&project.path_with_namespace, push.short_ref(), push.ref_type().name());
    match push.change() {
        RefChange::Created => return format!("[Git][{path}] Pushed new {kind} {name}"),
        RefChange::Removed => return format!("[Git][{path}] Deleted {kind} {name}"),
        RefChange::Updated => {}
    }
    let title = |title: &str| {
        if title.trim().is_empty() { "(no message)".to_owned() } else { head::line(title, 200) }
    };
    let counted = |count: u64, first: &str| match count {
        1 => title(first),
        many => format!("{many} commits: {}", title(first)),
    };
    // A tag may also be moved forwards.
    let moved = || if is_tag(push) { format!("Moved to {}", short(&push.after)) } else { pushed(push) };
    let what = match known {
        Known::Removed(compared) => match compared.commits.as_slice() {
            [] => "Deleted commits".to_owned(),
            [only] => format!("Deleted 1 commit: {}", title(&only.title)),
            [first, ..] => format!("Deleted {} commits: {}", compared.commits.len(), title(&first.title)),
        },
        Known::Added(compared) if !is_tag(push) => compared
            .commits
            .first()
            .map_or_else(moved, |first| counted(compared.commits.len() as u64, &first.title)),
        Known::Added(_) => moved(),
        Known::Event => push.commits.first().map_or_else(moved, |first| counted(total(push), first.title())),
    };
    format!("[Git][{path}][{name}] {what}")
}

/// The description of a push without a list of its commits.
fn pushed(push: &Push) -> String {
    match push.commit_count() {
        None => format!("Pushed {}", short(&push.after)),
        Some(1) => "1 commit".to_owned(),
        Some(many) => format!("{many} commits"),
    }
}

/// The number of pushed commits; 0 if it is unknown.
fn total(push: &Push) -> u64 {
    push.commit_count().unwrap_or_default()
}

fn is_tag(push: &Push) -> bool {
    push.ref_type() == RefType::Tag
}

fn short(id: &str) -> String {
    id.chars().take(8).collect()
}

/// `b6568db1 by Jordi Mallach at 2011-12-12 12:27 UTC`.
fn who_and_when(commit: &Commit) -> Text {
    let author = head::line(&commit.author.name, LONGEST_NAME);
    let at = parse_time(&commit.timestamp).map(|at| at.strftime("%Y-%m-%d %H:%M UTC").to_string());
    let mut words = Text::new().link(head::line(commit.short_id(), 8), commit.url.as_str());
    if !author.is_empty() {
        words = words.plain(" by ").bold(author);
    }
    match at {
        Some(at) => words.plain(format!(" at {at}")),
        None => words,
    }
}

fn message(commit: &Commit) -> Text {
    let whole = commit.message.trim();
    let message = if whole.is_empty() { commit.title() } else { whole };
    match message.char_indices().nth(LONGEST_MESSAGE) {
        Some((end, _)) => Text::new().plain(format!("{}…", &message[..end])),
        None => Text::new().plain(message),
    }
}

/// A file that commits name: whether it existed before the first of them, and whether it exists after the last.
struct Touched<'a> {
    path: &'a str,
    before: bool,
    after: bool,
}

/// The files that differ after these commits, in the order in which they are named. Files that were added and removed again
/// are left out.
fn touched(commits: &[Commit]) -> Vec<Touched<'_>> {
    let mut files: Vec<Touched<'_>> = Vec::new();
    let mut known: HashMap<&str, usize> = HashMap::new();
    for commit in commits {
        let ends =
            [(&commit.added, false, true), (&commit.modified, true, true), (&commit.removed, true, false)];
        for (path, before, after) in ends
            .into_iter()
            .flat_map(|(paths, before, after)| paths.iter().map(move |path| (path, before, after)))
        {
            let at = *known.entry(path).or_insert_with(|| {
                files.push(Touched { path, before, after });
                files.len() - 1
            });
            files[at].after = after;
        }
    }
    files.retain(|file| file.before || file.after);
    files
}

fn show_files(page: &mut Page, push: &Push) {
    let mut files = touched(&push.commits);
    if files.is_empty() {
        return;
    }
    let more = files.len().saturating_sub(MOST_FILES);
    files.truncate(MOST_FILES);
    let count = files.len() + more;
    let count = if count == 1 { "1 changed file".to_owned() } else { format!("{count} changed files") };
    // The files of commits that are only counted are not known.
    let all_known = total(push) == push.commits.len() as u64;
    page.heading(&if all_known { count } else { format!("{count} in these commits") });
    let item = |file: &Touched<'_>| {
        let what = match (file.before, file.after) {
            (false, _) => " (new)",
            (_, false) => " (removed)",
            _ => "",
        };
        Text::new().code(head::line(file.path, LONGEST_NAME)).plain(what)
    };
    let mut items: Vec<Text> = files.iter().map(item).collect();
    if more > 0 {
        items.push(Text::new().plain(format!("and {more} more")));
    }
    page.list(&items);
}

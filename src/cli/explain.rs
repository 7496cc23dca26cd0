//! `explain`: which integrations would deliver an event, and why the others would not, by the functions that dispatch uses.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use bytes::Bytes;
use clap::ValueHint;
use jiff::Timestamp;
use serde::Serialize;
use uuid::Uuid;

use super::deliveries::{event_id, past_moment};
use super::events;
use super::options::Options;
use super::table::{Table, printable};
use super::{say, say_json, state};
use crate::api::resources::Explanation;
use crate::catalog::{Catalog as _, Snapshot};
use crate::daemon;
use crate::event::{Event, EventId};
use crate::integration::Integration;
use crate::integration::rules::why_untriggered;
use crate::message::{MOST_REFERENCES, compose_with};
use crate::pipeline::dispatch::{Verdict, verdicts};
use crate::pipeline::explain::heed;
use crate::pipeline::reasons::{muted, named, why_nothing};

#[derive(Debug, clap::Args)]
#[command(
    override_usage = "forgebell explain [OPTIONS] <FILE>...\n       \
    forgebell explain [OPTIONS] --event <ID>\n       \
    forgebell explain [OPTIONS] --at <TIME> [--project <PATH>]",
    after_help = "For example:\n  \
    forgebell explain payloads/push.json\n  \
    forgebell explain --project acme/rocket --at 14:03\n  \
    curl … | forgebell explain --json -\n\n\
    Exit codes: 0 explained; 1 an event could not be decoded, or the configuration is wrong."
)]
pub(super) struct Args {
    /// Webhook payloads (JSON); `-` reads standard input
    #[arg(required_unless_present_any = ["event", "at"], value_name = "FILE", value_hint = ValueHint::FilePath)]
    files: Vec<PathBuf>,
    /// An event of the event log, by its id: what became of it then, and what would become of it now
    #[arg(long, value_name = "ID", value_parser = event_id, conflicts_with_all = ["files", "at"])]
    event: Option<EventId>,
    /// The events of the event log that came in this minute (in this machine's time zone): `14:03`, or
    /// `2026-11-24 14:03`
    #[arg(long, value_name = "TIME", value_parser = past_moment, conflicts_with = "files")]
    at: Option<Timestamp>,
    /// With `--at`: only events of this project or group, by its full path
    #[arg(long, value_name = "PATH", requires = "at")]
    project: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(args: Args, options: &Options) -> anyhow::Result<ExitCode> {
    let config = options.config_for(&["store", "secrets"])?;
    let now = daemon::now();
    if args.event.is_some() || args.at.is_some() {
        let asked = events::Asked { event: args.event, at: args.at, project: args.project };
        return events::explain(&config, asked, args.json, now).await;
    }
    let (snapshot, holds) = state::view(&config, now).await?;
    // An error of the store was reported before.
    let store = if state::is_there(&config.store) { state::open(&config.store).await.ok() } else { None };
    let mut code = ExitCode::SUCCESS;
    let mut explained = Vec::new();
    for path in &args.files {
        let file = path.display().to_string();
        let raw = read(path)?;
        let (result, text) = match snapshot.decode(fresh_id(), now, raw) {
            Ok(event) => {
                let mut verdicts = verdicts(&event, &snapshot, &holds, now);
                if let Some(store) = &store {
                    heed(&mut verdicts, &event, &config.operator, &**store, now)
                        .await
                        .context("cannot read what is known of merge requests")?;
                }
                let text = text(&event, &verdicts, &snapshot);
                (FileResult::Explained(Explanation::new(&event, &verdicts)), text)
            }
            Err(error) => {
                code = ExitCode::FAILURE;
                let why = error.to_string();
                let text = format!("it would go to quarantine: {}\n", printable(&why));
                (FileResult::Undecodable { undecodable: why }, text)
            }
        };
        if args.json {
            explained.push(ExplainedFile { file, result });
        } else {
            say(&format!("{file}: {text}"))?;
        }
    }
    if args.json {
        say_json(&explained)?;
    }
    Ok(code)
}

/// The output of `--json` for one file.
#[derive(Serialize)]
struct ExplainedFile {
    file: String,
    #[serde(flatten)]
    result: FileResult,
}

#[derive(Serialize)]
#[serde(untagged)]
enum FileResult {
    Explained(Explanation),
    /// The reason for which the event would go to quarantine.
    Undecodable {
        undecodable: String,
    },
}

/// A payload, from a file or standard input.
pub(super) fn read(file: &Path) -> anyhow::Result<Bytes> {
    if file == Path::new("-") {
        let mut raw = Vec::new();
        std::io::stdin().lock().read_to_end(&mut raw).context("cannot read standard input")?;
        return Ok(raw.into());
    }
    Ok(std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?.into())
}

pub(super) fn fresh_id() -> EventId {
    EventId::new(&Uuid::now_v7().to_string()).expect("a UUID is short and printable")
}

/// `push event of acme/rocket (42), about ref:refs/heads/main`
pub(super) fn title(event: &Event) -> String {
    let place = match (&event.group, &event.project) {
        (Some(group), _) => format!("of group {}", group.path),
        (None, Some(project)) if project.path_with_namespace.is_empty() => {
            format!("of project {}", project.id)
        }
        (None, Some(project)) => format!("of {} ({})", project.path_with_namespace, project.id),
        (None, None) => "of no project".to_owned(),
    };
    printable(&format!("{} event {place}, about {}", event.kind(), event.subject))
}

fn text(event: &Event, verdicts: &[(Arc<Integration>, Verdict)], snapshot: &Snapshot) -> String {
    let mut text = format!("{}\n", title(event));
    if event.trigger.is_none() {
        let _ = writeln!(text, "  nothing is sent: {}", printable(&why_untriggered(event).to_string()));
        return text;
    }
    if verdicts.is_empty() {
        text.push_str(&not_concerned(event, snapshot));
        return text;
    }
    let mut table = Table::new(["INTEGRATION", "VERDICT", "WHERE, OR WHY NOT"]);
    for (integration, verdict) in verdicts {
        let name = integration.id.to_string();
        for (word, what) in lines(verdict) {
            table.row([name.clone(), word.to_owned(), what]);
        }
    }
    for line in table.to_string().lines() {
        let _ = writeln!(text, "  {line}");
    }
    let message = compose_with(event, &snapshot.links(event), None);
    if message.is_some_and(|message| message.has_unlinked_references) {
        let _ = writeln!(text, "  only the first {MOST_REFERENCES} references of the message become links");
    }
    text
}

fn lines(verdict: &Verdict) -> Vec<(&'static str, String)> {
    match verdict {
        Verdict::Sends { deliveries, left_out } if deliveries.is_empty() => {
            vec![("skip", why_nothing(left_out))]
        }
        Verdict::Sends { deliveries, left_out } => {
            let line = |target: &str, destination: &str| format!("{} ({destination})", named(target));
            let sent = deliveries.iter().map(|new| ("deliver", line(&new.target, &new.destination)));
            sent.chain(left_out.iter().map(|why| ("left out", why.clone()))).collect()
        }
        Verdict::Not(why) => vec![("skip", why.to_string())],
        Verdict::Muted { target, mute } => vec![("muted", muted(target, mute))],
        Verdict::SwitchedOff { why, .. } => vec![("switched off", why.clone())],
    }
}

/// The text where no integration is concerned: the names that would match, and the existing ones.
fn not_concerned(event: &Event, snapshot: &Snapshot) -> String {
    let mut text = String::new();
    let wanted = match (&event.group, &event.project) {
        (Some(group), _) => format!("group = \"{}\"", group.path),
        (None, Some(project)) if project.path_with_namespace.is_empty() => {
            format!("project = {}", project.id)
        }
        (None, Some(project)) => {
            format!("project = \"{}\" (or project = {})", project.path_with_namespace, project.id)
        }
        (None, None) => {
            return "  no integration is concerned: the event names neither a project nor a group\n"
                .to_owned();
        }
    };
    let _ = writeln!(text, "  no integration is concerned: none has {}", printable(&wanted));
    let scopes: BTreeSet<String> = snapshot.scopes().iter().map(ToString::to_string).collect();
    let _ = match scopes.len() {
        0 => writeln!(
            text,
            "  there are no integrations at all: files may name some (`provision.files`), or the API sets them"
        ),
        1..=12 => {
            let list = scopes.into_iter().collect::<Vec<_>>().join(", ");
            writeln!(text, "  there are integrations of {list}")
        }
        many => writeln!(text, "  there are integrations of {many} other projects and groups"),
    };
    text
}

/// The events of `payloads`.
#[cfg(test)]
pub(super) fn every_payload() -> Vec<Event> {
    let folders =
        ["payloads", "payloads/captured"].map(|name| Path::new(env!("CARGO_MANIFEST_DIR")).join(name));
    let entries =
        folders.iter().flat_map(|folder| std::fs::read_dir(folder).expect("the payloads are there"));
    let paths = entries.map(|entry| entry.expect("a folder can be read").path());
    let is_payload =
        |path: &PathBuf| path.extension().is_some_and(|end| end == "json") && !path.ends_with("index.json");
    let events: Vec<_> = paths
        .filter(is_payload)
        .map(|path| {
            Event::decode(
                fresh_id(),
                jiff::Timestamp::UNIX_EPOCH,
                read(&path).expect("a payload can be read"),
            )
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()))
        })
        .collect();
    assert!(events.len() > 40, "{} payloads", events.len());
    events
}

#[cfg(test)]
mod tests {
    use serde_json::Value as Json;

    use super::*;
    use crate::adapters;
    use crate::event::{Trigger, sample};
    use crate::pipeline::holds::HoldSet;
    use crate::provision;
    use crate::store::{Hold, HoldCause, HoldKey};

    const PROVISIONING: &str = r##"
        [[integration]]
        project = "acme/rocket"
        adapter = "slack"
        webhook = "https://hooks.slack.com/services/T0/B0/secretsecret"
        channel = "#ops, #dev"

        [[integration]]
        project = 42
        adapter = "mattermost"
        webhook = "https://chat.example.com/hooks/secretsecret"
        push_events = false
    "##;

    fn snapshot(text: &str) -> Snapshot {
        let no_secrets = |_: &Path| Err(std::io::Error::other("there are no files here"));
        let files = [(PathBuf::from("integrations.toml"), text.to_owned())];
        provision::read(&files, &no_secrets).expect("the test's provisioning is valid").into_snapshot()
    }

    fn explained(event: &Event, snapshot: &Snapshot) -> (String, Json) {
        let verdicts = verdicts(event, snapshot, &HoldSet::default(), Timestamp::UNIX_EPOCH);
        (text(event, &verdicts, snapshot), serde_json::to_value(Explanation::new(event, &verdicts)).unwrap())
    }

    #[test]
    fn a_push_is_explained_for_each_integration() {
        let (words, json) = explained(&sample(Trigger::Push), &snapshot(PROVISIONING));
        assert!(words.starts_with("push event of acme/rocket (42)"), "{words}");
        for part in ["deliver", "#ops", "#dev", "skip "] {
            assert!(words.contains(part), "{part} is missing in\n{words}");
        }
        assert!(!words.contains("secretsecret"), "{words}");
        assert_eq!(json["verdicts"].as_array().unwrap().len(), 2);
    }

    #[test]
    fn an_event_that_no_integration_takes_is_explained() {
        let words = |body: Json| {
            let event = Event::decode(fresh_id(), Timestamp::UNIX_EPOCH, body.to_string().into()).unwrap();
            explained(&event, &snapshot(PROVISIONING)).0
        };
        let mut push: Json = serde_json::from_slice(&sample(Trigger::Push).raw).unwrap();
        push["ref"] = "refs/merge-requests/1/head".into();
        let why = "nothing is sent: the ref `refs/merge-requests/1/head` is neither a branch nor a tag";
        assert!(words(push.clone()).contains(why), "{}", words(push));
        let emoji = serde_json::json!({ "object_kind": "emoji", "object_attributes": {} });
        let why = "nothing is sent: no integration takes `emoji` events";
        assert!(words(emoji.clone()).contains(why), "{}", words(emoji));
    }

    #[test]
    fn more_references_than_become_links_are_said() {
        let tracker = "[[integration]]\nproject = 42\nadapter = \"redmine\"\nproject_url = \"https://r.example/p\"\n\
                       issues_url = \"https://r.example/:id\"\nnew_issue_url = \"https://r.example/new\"\n";
        let snapshot = snapshot(&format!("{PROVISIONING}{tracker}"));
        let words = |references: usize| {
            let mut issue: Json = serde_json::from_slice(&sample(Trigger::Issue).raw).unwrap();
            issue["object_attributes"]["description"] = "ABC-1 ".repeat(references).into();
            let raw = issue.to_string().into();
            explained(&Event::decode(fresh_id(), Timestamp::UNIX_EPOCH, raw).unwrap(), &snapshot).0
        };
        let said = "only the first 100 references of the message become links";
        assert!(words(101).contains(said), "{}", words(101));
        assert!(!words(100).contains(said), "{}", words(100));
    }

    #[test]
    fn where_no_integration_is_concerned_the_matching_name_is_shown() {
        let (words, _) = explained(
            &sample(Trigger::Push),
            &snapshot(&PROVISIONING.replace("42", "43").replace("acme/rocket", "acme/other")),
        );
        assert!(words.contains("project = \"acme/rocket\" (or project = 42)"), "{words}");
        assert!(words.contains("project acme/other"), "{words}");
        let (words, _) = explained(&sample(Trigger::Push), &Snapshot::default());
        assert!(words.contains("provision.files"), "{words}");
    }

    #[test]
    fn an_integration_that_was_switched_off_says_why() {
        let snapshot = snapshot(PROVISIONING);
        let event = sample(Trigger::Push);
        let switched_off = snapshot.concerned(&event).into_iter().map(|integration| {
            let entry = adapters::find(integration.slug).unwrap();
            let channels = integration.channels.for_trigger(Trigger::Push);
            let target = entry.targets(&integration.settings, &event, channels).send.swap_remove(0).name;
            let destination = entry.destination(&integration.settings, &target);
            Hold {
                key: HoldKey::Address { integration: integration.id.clone(), destination },
                cause: HoldCause::SwitchedOff,
                reason: "answered 404: no_service".to_owned(),
                since: Timestamp::UNIX_EPOCH,
                until: Timestamp::MAX,
                strikes: 1,
                made_under: Some((integration.id.clone(), integration.fingerprint)),
            }
        });
        let holds: HoldSet = switched_off.collect();
        let text = text(&event, &verdicts(&event, &snapshot, &holds, Timestamp::UNIX_EPOCH), &snapshot);
        assert!(text.contains("switched off") && text.contains("no_service"), "{text}");
    }

    #[test]
    fn every_payload_we_have_is_explained() {
        let snapshot = snapshot(PROVISIONING);
        for event in every_payload() {
            let (words, json) = explained(&event, &snapshot);
            assert!(words.contains(event.kind()) && json["kind"] == event.kind(), "{words}");
        }
    }
}

//! `quarantine`: messages that could not be decoded: lists and shows them with the reason, decodes them again, deletes them.

use std::fmt::Write as _;
use std::process::ExitCode;

use anyhow::bail;
use bytes::Bytes;
use jiff::Timestamp;
use tokio::sync::OnceCell;

use super::options::Options;
use super::table::{Table, age, cut, local, printable};
use super::{command_audit, say, say_json, state};
use crate::api;
use crate::api::resources::{self, QuarantinedDetail};
use crate::catalog::CachedCatalog;
use crate::daemon;
use crate::event::{Event, EventId};
use crate::pipeline::quarantine::{self, Retried, audit_entry};
use crate::preview::pretty;
use crate::store::{Inbox, Quarantine, Quarantined};

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// List what is in quarantine, newest first
    List(ListArgs),
    /// Show one item: the reason and the bytes
    Show(ShowArgs),
    /// Decode items again with this version; events that can be decoded now are dispatched
    Retry(RetryArgs),
    /// Delete items for good
    Drop(DropArgs),
}

#[derive(Debug, clap::Args)]
pub(super) struct ListArgs {
    /// Only those with ids below this one: the next page
    #[arg(long, value_name = "NUMBER")]
    before: Option<i64>,
    /// At most this many
    #[arg(long, value_name = "N", default_value_t = 50)]
    limit: usize,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
pub(super) struct ShowArgs {
    /// The item's id, as shown by `quarantine list`
    number: i64,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
pub(super) struct RetryArgs {
    /// The items' ids
    #[arg(value_name = "NUMBER", required = true)]
    numbers: Vec<i64>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
pub(super) struct DropArgs {
    /// The items' ids
    #[arg(value_name = "NUMBER", required = true)]
    numbers: Vec<i64>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(command: Command, options: &Options) -> anyhow::Result<ExitCode> {
    let store = state::open(&options.config_for(&["store"])?.store).await?;
    let now = daemon::now();
    match command {
        Command::List(args) => {
            let items = store.list_quarantined(args.before, args.limit).await?;
            if args.json {
                say_json(&items.iter().map(resources::Quarantined::from).collect::<Vec<_>>())?;
            } else {
                say(&table(&items, now))?;
            }
            Ok(ExitCode::SUCCESS)
        }
        Command::Show(args) => {
            let Some((item, raw)) = store.quarantined(args.number).await? else {
                bail!("there is no number {} in quarantine", args.number);
            };
            if args.json {
                say_json(&QuarantinedDetail::new(&item, &raw))?;
            } else {
                say(&page(&item, &raw, now))?;
            }
            Ok(ExitCode::SUCCESS)
        }
        Command::Retry(args) => {
            let catalog = OnceCell::new();
            let step = async |number| retry(&*store, options, &catalog, number, now).await;
            each(&args.numbers, args.json, step).await
        }
        Command::Drop(args) => {
            each(&args.numbers, args.json, async |number| {
                let audit = audit_entry("quarantine.drop", number, command_audit::COMMAND_LINE, now);
                let dropped = store.remove_quarantined(number, audit).await?;
                Ok(if dropped { Ok("dropped".to_owned()) } else { Err(NOT_THERE.to_owned()) })
            })
            .await
        }
    }
}

const NOT_THERE: &str = "there is no such number in quarantine";

/// Does a step with each number, prints its result, and fails if one of them failed.
pub(super) async fn each(
    numbers: &[i64],
    as_json: bool,
    step: impl AsyncFn(i64) -> anyhow::Result<Result<String, String>>,
) -> anyhow::Result<ExitCode> {
    let mut code = ExitCode::SUCCESS;
    let mut results = Vec::new();
    for number in numbers {
        let (done, result) = match step(*number).await? {
            Ok(result) => (true, result),
            Err(why) => {
                code = ExitCode::FAILURE;
                (false, why)
            }
        };
        if as_json {
            results.push(resources::Step { id: *number, done, result });
        } else {
            say(&format!("{number}: {}", printable(&result)))?;
        }
    }
    if as_json {
        say_json(&results)?;
    }
    Ok(code)
}

/// Decodes a message again. The message is removed from quarantine after its event is in the inbox. A crash in between
/// leaves it in both, with the same id, so that the event is delivered once.
async fn retry<S: Inbox + Quarantine + ?Sized>(
    store: &S,
    options: &Options,
    catalog: &OnceCell<CachedCatalog>,
    number: i64,
    now: Timestamp,
) -> anyhow::Result<Result<String, String>> {
    // Only a message of a restricted token needs the catalogue, and with it the key. The files don't matter: they say
    // nothing of tokens, and the daemon notes their projects in the store.
    let admit = |sender: String, event: Event| async move {
        let open = || async { state::stored_catalog(&options.config_for(&["store", "secrets"])?).await };
        anyhow::Ok(api::event_of_sender(catalog.get_or_try_init(open).await?, &sender, event))
    };
    Ok(match quarantine::retry(store, store, number, command_audit::COMMAND_LINE, now, admit).await? {
        Retried::NotThere => Err(NOT_THERE.to_owned()),
        Retried::NotAdmitted(why) => Err(why),
        Retried::NotUnderstood(why) => Err(format!("still not understood: {why}")),
        Retried::Understood(kind) => {
            Ok(format!("understood now, as an event of kind {kind}; it is on its way"))
        }
        Retried::Repeated(id) => {
            Ok(format!("understood now, as event {id}, which was here before; nothing more to do"))
        }
    })
}

fn table(items: &[Quarantined], now: Timestamp) -> String {
    if items.is_empty() {
        return "nothing is in quarantine".to_owned();
    }
    let mut table = Table::new(["NUMBER", "CAME", "BY", "BYTES", "ID", "REASON"]);
    for item in items {
        table.row([
            item.number.to_string(),
            age(item.received_at, now),
            item.source.clone(),
            item.size.to_string(),
            item.id.as_ref().map_or("", EventId::as_str).to_owned(),
            cut(&item.reason, 90),
        ]);
    }
    table.to_string()
}

fn page(item: &Quarantined, raw: &Bytes, now: Timestamp) -> String {
    let mut text = format!("quarantine {}: {}\n", item.number, printable(&item.reason));
    let id = item.id.as_ref().map_or("(none)", EventId::as_str);
    let came = format!("{} ({}) by {}", local(item.received_at), age(item.received_at, now), item.source);
    for (name, value) in [("came", came.as_str()), ("id", id), ("bytes", &item.size.to_string())] {
        let _ = writeln!(text, "  {name:<6} {}", printable(value));
    }
    let _ = write!(text, "\n{}\n", pretty(raw));
    text
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::event::{Trigger, sample};
    use crate::store::NewQuarantined;
    use crate::store::registry::{
        Access, AuditEntry, Learned, NewToken, Registry as _, Right, ScopeKey, SeenProject,
    };
    use crate::store::seal::Keyring;
    use crate::store::sqlite::Sqlite;

    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        options: Options,
    }

    #[tokio::test]
    async fn a_message_of_a_restricted_token_is_retried_also_where_a_provisioning_file_cannot_be_read() {
        let now = Timestamp::from_second(1_770_000_000).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("forgebell.db");
        let store = Sqlite::open(&path, Keyring::none()).unwrap();
        let event = sample(Trigger::Push);
        let project = event.project.as_ref().unwrap();
        let seen = |id: i64, path: &str| SeenProject {
            id,
            path: Some(path.to_owned()),
            learned: Learned::default(),
        };
        let projects = vec![seen(project.id, &project.path_with_namespace), seen(7, "acme/other")];
        store.upsert_seen_projects(projects, now).await.unwrap();
        for (at, reach) in [project.id, 7].into_iter().enumerate() {
            let token = NewToken {
                name: format!("ci-{reach}"),
                hash: [u8::try_from(at).unwrap(); 32],
                access: Access { reach: ScopeKey::Project(reach), right: Right::Ingest },
                expires_at: None,
            };
            let audit = AuditEntry::whole(now, "command line", "token.create", "token".to_owned());
            let sender = store.create_token(token, audit).await.unwrap().as_sender();
            let message = NewQuarantined {
                source: "http",
                sender: Some(sender),
                id: Some(event.id.clone()),
                reason: "not understood then".to_owned(),
                received_at: now,
                raw: event.raw.clone(),
            };
            store.quarantine(vec![message]).await.unwrap();
        }
        let (store_path, files) = (format!("store.path={}", path.display()), "provision.files=none.toml");
        let Line { options } = Line::parse_from(["forgebell", "-o", &store_path, "-o", files]);
        let catalog = OnceCell::new();
        let numbers = store.list_quarantined(None, 10).await.unwrap().into_iter().map(|item| item.number);
        let mut retried = Vec::new();
        for number in numbers {
            retried.push(retry(&store, &options, &catalog, number, now).await.unwrap());
        }
        let [Err(refused), Ok(understood)] = retried.as_slice() else { panic!("{retried:?}") };
        assert!(refused.contains("does not reach the event's project"), "{refused}");
        assert!(understood.contains("an event of kind push"), "{understood}");
    }

    fn item(id: Option<&str>) -> Quarantined {
        Quarantined {
            number: 3,
            source: "amqp".to_owned(),
            sender: None,
            id: id.and_then(EventId::new),
            reason: "the body is not JSON: expected value at line 1".to_owned(),
            received_at: Timestamp::from_second(1_770_000_000).unwrap(),
            size: 9,
        }
    }

    #[test]
    fn lists_and_pages_show_the_reason() {
        let now = Timestamp::from_second(1_770_000_060).unwrap();
        assert!(table(&[item(None)], now).contains("60 s ago  amqp  9"));
        assert_eq!(table(&[], now), "nothing is in quarantine");
        let page = page(&item(None), &Bytes::from_static(b"not\x1b[2Jjson"), now);
        assert!(page.contains("the body is not JSON") && page.contains("not[2Jjson"), "{page}");
        let json = serde_json::to_value(resources::Quarantined::from(&item(None))).unwrap();
        assert!(json["event"].is_null() && json["id"] == 3, "{json}");
    }
}

//! `send`: makes one attempt to send one event to one service, without the daemon and its store.
//!
//! The settings are read like a provisioning file's, the message is composed by the daemon's functions, and the request
//! passes the same guard.

use std::cell::RefCell;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, anyhow, bail};
use bytes::Bytes;
use clap::ValueHint;
use clap::builder::PossibleValuesParser;
use ipnet::IpNet;
use serde_json::{Value as Json, json};

use super::adapters::slugs;
use super::explain::{fresh_id, read, title};
use super::options::Options;
use super::table::printable;
use super::{complain, say, say_json, state};
use crate::adapters::{self, Entry};
use crate::api::resources::AttemptOutcome;
use crate::call::{HttpRequest, Mail, Mailbox, Request};
use crate::catalog::{Catalog as _, Snapshot};
use crate::config::Config;
use crate::daemon;
use crate::event::{Event, Trigger, sample};
use crate::integration::{Integration, rules};
use crate::pipeline::attempt::{Outgoing, Report, attempt};
use crate::pipeline::reasons::named;
use crate::pipeline::retry::Outcome;
use crate::pipeline::trace::{masked, request_json};
use crate::provision;
use crate::settings::{Kind, Secrets};
use crate::wire::Wire;

/// Keys of a provisioning file that are no settings of the adapter.
const NOT_SETTINGS: [&str; 4] = ["project", "group", "adapter", "active"];

#[derive(Debug, clap::Args)]
#[command(
    override_usage = "forgebell send [OPTIONS] <SLUG> <FILE>\n       \
    forgebell send [OPTIONS] <SLUG> --sample <KIND>",
    after_help = "For example:\n  \
    forgebell send slack --sample push --set webhook=https://hooks.slack.com/services/T…/B…/… --dry-run\n  \
    forgebell send slack push.json --set webhook_file=/run/secrets/slack --target '#ops'"
)]
pub(super) struct Args {
    /// The service: see `forgebell adapters`
    #[arg(value_name = "SLUG", value_parser = slugs())]
    slug: String,
    /// The event: a webhook payload (JSON); `-` reads standard input
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath, required_unless_present = "sample")]
    file: Option<PathBuf>,
    /// Send a sample event of this kind instead of a file
    #[arg(long, value_name = "KIND", value_parser = kinds(), conflicts_with = "file")]
    sample: Option<String>,
    /// One of the adapter's settings; `NAME_file=PATH` reads a secret from a file
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = pair)]
    settings: Vec<(String, String)>,
    /// The channel or recipient, instead of the one in the settings
    #[arg(long, value_name = "TARGET")]
    target: Option<String>,
    /// A network that may be called although it is not public (`127.0.0.0/8`)
    #[arg(long, value_name = "CIDR")]
    allow_network: Vec<IpNet>,
    /// Print the request, with secrets masked, and send nothing
    #[arg(long)]
    dry_run: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

fn kinds() -> PossibleValuesParser {
    PossibleValuesParser::new(Trigger::ALL.map(Trigger::name))
}

pub(super) fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.trim().is_empty() => Ok((key.trim().to_owned(), value.to_owned())),
        _ => Err("write KEY=VALUE".to_owned()),
    }
}

pub(super) async fn run(args: Args, options: &Options) -> anyhow::Result<ExitCode> {
    let config = options.config_for(&["store", "secrets", "wire", "smtp", "forge", "google"])?;
    let entry = adapters::find(&args.slug).context("there is no such adapter")?;
    let event = event(&args, &config)?;
    let (integration, secrets) =
        one_off(entry, &args.settings, &event, |path| std::fs::read_to_string(path))?;
    let facts = Snapshot::default().facts(&event);
    let unwanted = rules::wants(&integration, &event, &facts).err().map(|why| why.to_string());
    if let Some(why) = &unwanted {
        complain(&format!("note: with these settings the daemon would not send this: {why}"));
    }
    let targets = match args.target {
        Some(target) => vec![target],
        None => targets(entry, &integration, &event),
    };
    let links = state::links(&config, &event).await;
    let id = event.id.to_string();
    let outgoing = |target| Outgoing {
        entry,
        integration: &integration,
        event: &event,
        target,
        id: &id,
        now: daemon::now(),
        operator: &config.operator,
        links: &links,
        open_request: None,
        may_have_been_sent: false,
        test: false,
    };
    if args.dry_run {
        let mut requests = Vec::new();
        for target in &targets {
            let request = request(outgoing(target), &secrets)?;
            if args.json {
                let mut json = request_json(&request);
                json["target"] = target.as_str().into();
                requests.push(secrets.mask_json(json));
            } else {
                say(&secrets.mask(format!("{} to {}\n\n{}", title(&event), named(target), shown(&request))))?;
            }
        }
        if args.json {
            say_json(&result_json(entry, &event, unwanted.as_deref(), "requests", &requests))?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    let mut wire = config.wire.clone();
    wire.allow_networks.extend(args.allow_network);
    let wire = Wire::new(&wire)?;
    let mut code = ExitCode::SUCCESS;
    let mut attempts = Vec::new();
    for target in &targets {
        let report = attempt(&wire, outgoing(target)).await;
        if !matches!(report.outcome, Outcome::Delivered(_)) {
            code = ExitCode::FAILURE;
        }
        if args.json {
            attempts.push(serde_json::to_value(AttemptOutcome::new(target, &report, &secrets))?);
        } else {
            let words = format!("{} to {}: {}", title(&event), named(target), ending(&report));
            say(&secrets.mask_echo(words))?;
        }
    }
    if args.json {
        say_json(&result_json(entry, &event, unwanted.as_deref(), "attempts", &attempts))?;
    }
    Ok(code)
}

fn event(args: &Args, config: &Config) -> anyhow::Result<Event> {
    if let Some(trigger) =
        args.sample.as_deref().and_then(|kind| Trigger::ALL.into_iter().find(|t| t.name() == kind))
    {
        return Ok(sample(trigger));
    }
    let file = args.file.as_deref().context("name a file, or --sample")?;
    state::decode(config, fresh_id(), read(file)?)
        .with_context(|| format!("{} is no event that we know", file.display()))
}

pub(super) fn targets(entry: &Entry, integration: &Integration, event: &Event) -> Vec<String> {
    let channels = event.trigger.map(|trigger| integration.channels.for_trigger(trigger)).unwrap_or_default();
    entry.targets(&integration.settings, event, channels).send.into_iter().map(|target| target.name).collect()
}

/// Whether an adapter has a setting of this name, of its own or shared, or a secret's file.
pub(super) fn has(entry: &Entry, key: &str) -> bool {
    let own = |name: &str| entry.fields.iter().any(|field| field.name == name);
    own(key)
        || key.strip_suffix("_file").is_some_and(own)
        || adapters::common_settings::common_fields(&entry.about).iter().any(|field| field.name == key)
}

/// The given settings that the adapter has, and its examples for all others.
pub(super) fn examples_with(entry: &Entry, settings: &[(String, String)]) -> Vec<(String, String)> {
    let given = |name: &str| {
        settings
            .iter()
            .any(|(key, _)| key == name || key.strip_suffix("_file").is_some_and(|key| key == name))
    };
    let examples = entry.fields.iter().filter(|field| !given(field.name));
    let examples = examples.map(|field| (field.name.to_owned(), field.example.to_owned()));
    examples.chain(settings.iter().filter(|(key, _)| has(entry, key)).cloned()).collect()
}

/// The integration, read as if it were in a provisioning file, and its secrets, which must not be printed.
fn one_off(
    entry: &Entry,
    settings: &[(String, String)],
    event: &Event,
    read_secret: impl Fn(&Path) -> std::io::Result<String>,
) -> anyhow::Result<(Integration, Secrets)> {
    let (integration, secrets, warnings) = one_off_quietly(entry, settings, event, read_secret)?;
    for warning in warnings {
        complain(&format!("warning: {warning}"));
    }
    Ok((integration, secrets))
}

/// The integration and its secrets, with warnings about the settings.
pub(super) fn one_off_quietly(
    entry: &Entry,
    settings: &[(String, String)],
    event: &Event,
    read_secret: impl Fn(&Path) -> std::io::Result<String>,
) -> anyhow::Result<(Integration, Secrets, Vec<String>)> {
    if let Some((key, _)) = settings.iter().find(|(key, _)| NOT_SETTINGS.contains(&key.as_str())) {
        bail!("--set {key}: the event says whose it is, and the command line which adapter");
    }
    let mut text = format!("[[integration]]\nadapter = {}\n", quoted(entry.about.slug));
    let _ = match (&event.group, &event.project) {
        (Some(group), _) => writeln!(text, "group = {}", quoted(&group.path)),
        (None, Some(project)) if !project.path_with_namespace.is_empty() => {
            writeln!(text, "project = {}", quoted(&project.path_with_namespace))
        }
        (None, Some(project)) => writeln!(text, "project = {}", project.id.max(1)),
        (None, None) => writeln!(text, "project = \"none/none\""),
    };
    for (key, value) in settings {
        let _ = writeln!(text, "{} = {}", quoted(key), quoted(value));
    }
    let mut secrets =
        Secrets::of(entry.fields, settings.iter().map(|(key, value)| (key.as_str(), value.as_str())));
    let from_files = RefCell::new(Vec::new());
    let read_secret = |path: &Path| {
        let content = read_secret(path)?;
        from_files.borrow_mut().push(content.clone());
        Ok(content)
    };
    let read = provision::read(&[(PathBuf::from("--set"), text)], &read_secret);
    for content in from_files.into_inner() {
        kinds_in_files(entry, settings).for_each(|kind| secrets.add_setting(kind, &content));
    }
    let provisioned = read.map_err(|problems| {
        let list = problems.iter().map(|problem| format!("\n  {}", problem_line(problem)));
        anyhow!("the settings are not valid:{}", list.collect::<String>())
    })?;
    let warnings = provisioned.warnings.iter().map(problem_line).collect();
    let integration = provisioned.each().into_iter().next();
    Ok((integration.context("the settings make no integration")?, secrets, warnings))
}

/// The kinds of the settings that are read from files.
fn kinds_in_files(entry: &Entry, settings: &[(String, String)]) -> impl Iterator<Item = Kind> {
    let is_read = |name: &str| {
        let key = format!("{name}_file");
        settings.iter().any(|(given, _)| *given == key)
    };
    entry.fields.iter().filter(move |field| is_read(field.name)).map(|field| field.kind)
}

/// A problem without its place, since there is no file.
fn problem_line(problem: &provision::Problem) -> String {
    let key = problem.key.as_deref().map(|key| format!("--set {key}: ")).unwrap_or_default();
    let remedy = problem.remedy.as_deref().map(|remedy| format!("; {remedy}")).unwrap_or_default();
    format!("{key}{}{remedy}", problem.problem)
}

fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

/// The request that would be sent.
fn request(telling: Outgoing<'_>, secrets: &Secrets) -> anyhow::Result<Request> {
    let call = telling.build_call().map_err(|outcome| {
        anyhow!("nothing would be sent: {}", secrets.mask_echo(outcome_words(&outcome)))
    })?;
    Ok(call.request)
}

/// A request as readable text. The parts that may hold credentials are masked.
pub(super) fn shown(request: &Request) -> String {
    match masked(request) {
        Request::Http(request) => shown_http(&request),
        Request::Smtp(mail) => shown_mail(&mail),
        Request::Tcp(request) => {
            format!("TCP {}:{}\n\n{}", request.host, request.port, String::from_utf8_lossy(&request.body))
        }
    }
}

/// A mail's headers and its plain text; the HTML has the same content.
fn shown_mail(mail: &Mail) -> String {
    let mailbox = |mailbox: &Mailbox| format!("{} <{}>", mailbox.name, mailbox.address);
    let mut text = format!("From: {}\nTo: {}\n", mailbox(&mail.from), mail.to);
    let mut add = |name: &str, value: &str| {
        let _ = writeln!(text, "{name}: {}", printable(value));
    };
    if let Some(reply_to) = &mail.reply_to {
        add("Reply-To", &mailbox(reply_to));
    }
    add("Subject", &mail.subject);
    add("Message-ID", &mail.message_id);
    if let Some(thread) = &mail.thread {
        add("References", thread);
    }
    mail.headers.iter().for_each(|(name, value)| add(name, value));
    format!("{text}\n{}\n", mail.text)
}

/// A request that is masked already.
fn shown_http(request: &HttpRequest) -> String {
    let mut text = format!("{} {}\n", request.method.name(), request.url);
    for (name, value) in &request.headers {
        let _ = writeln!(text, "{name}: {}", printable(value));
    }
    let _ = write!(text, "\n{}\n", body(&request.body));
    text
}

fn body(body: &Bytes) -> String {
    crate::preview::pretty(body)
}

/// The JSON output; `what` are the attempts, or the requests of a dry run.
fn result_json(entry: &Entry, event: &Event, unwanted: Option<&str>, what: &str, each: &[Json]) -> Json {
    json!({
        "adapter": entry.about.slug,
        "kind": event.kind(),
        "subject": event.subject,
        "unwanted": unwanted,
        what: each,
    })
}

fn ending(report: &Report) -> String {
    let status = report.status.map(|status| format!("answered {status}")).unwrap_or_default();
    let took = report.took.map(|took| format!("{} ms", took.as_millis())).unwrap_or_default();
    let facts = [status, took].into_iter().filter(|fact| !fact.is_empty()).collect::<Vec<_>>().join(", ");
    let words = outcome_words(&report.outcome);
    if facts.is_empty() { words } else { format!("{words} ({facts})") }
}

pub(super) fn outcome_words(outcome: &Outcome) -> String {
    printable(&outcome.to_string())
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use super::*;
    use crate::adapters::{ADAPTERS, OperatorSettings, ProjectLinks};
    use crate::cli::explain::every_payload;
    use crate::settings::Field;

    const SECRET: &str = "https://chat.example.com/hooks/deepsecretdeepsecret";

    fn no_files(_: &Path) -> std::io::Result<String> {
        Err(std::io::Error::other("there are no files here"))
    }

    fn examples(entry: &Entry) -> Vec<(String, String)> {
        let example = |field: &Field| (field.name.to_owned(), field.example.to_owned());
        entry.fields.iter().map(example).collect()
    }

    fn outgoing<'a>(
        entry: &'static Entry,
        integration: &'a Integration,
        event: &'a Event,
        target: &'a str,
    ) -> Outgoing<'a> {
        static OPERATOR: LazyLock<OperatorSettings> = LazyLock::new(OperatorSettings::default);
        let now = daemon::now();
        Outgoing {
            entry,
            integration,
            event,
            target,
            id: "id-1",
            now,
            operator: &OPERATOR,
            links: ProjectLinks::none(),
            open_request: None,
            may_have_been_sent: false,
            test: false,
        }
    }

    #[test]
    fn every_payload_and_every_sample_can_be_tried_dry_at_every_adapter() {
        let events: Vec<Event> = every_payload().into_iter().chain(Trigger::ALL.map(sample)).collect();
        let mut tried = 0;
        for (entry, event) in ADAPTERS.iter().flat_map(|entry| events.iter().map(move |event| (entry, event)))
        {
            let (integration, secrets) = one_off(entry, &examples(entry), event, no_files).unwrap();
            for target in targets(entry, &integration, event) {
                match request(outgoing(entry, &integration, event, &target), &secrets) {
                    Ok(request) => {
                        tried += 1;
                        let json = secrets.mask_json(request_json(&request)).to_string();
                        let text = secrets.mask(shown(&request));
                        let secrets = entry.fields.iter().filter(|field| field.kind.hides(field.example));
                        for secret in secrets {
                            let path = secret.example.splitn(4, '/').last().unwrap_or_default();
                            assert!(!json.contains(path), "{json}");
                            assert!(!text.contains(path), "{text}");
                        }
                    }
                    Err(why) => assert!(why.to_string().starts_with("nothing would be sent"), "{why:#}"),
                }
            }
        }
        assert!(tried > 100, "{tried} requests");
    }

    #[test]
    fn settings_are_checked_as_in_a_file_and_are_not_repeated() {
        let wrong = |settings: &[(&str, &str)]| {
            let settings: Vec<_> = settings.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
            let entry = adapters::find("slack").unwrap();
            format!("{:#}", one_off(entry, &settings, &sample(Trigger::Push), no_files).unwrap_err())
        };
        assert!(wrong(&[("webhok", "https://x.example/deepsecret")]).contains("did you mean `webhook`?"));
        assert!(wrong(&[]).contains("--set webhook: is missing"));
        assert!(wrong(&[("project", "a/b")]).contains("--set project"));
        let several = wrong(&[("webhok", "x"), ("chanel", "x")]);
        assert!(several.lines().skip(1).all(|line| line.starts_with("  --set ")), "{several}");
        assert!(!wrong(&[("webhook", "deepsecret")]).contains("deepsecret"));
    }

    #[test]
    fn secrets_from_files_are_read_and_masked_like_those_of_the_command_line() {
        let settings = [("webhook_file".to_owned(), "/run/secrets/slack".to_owned())];
        let read = |path: &Path| {
            assert_eq!(path, Path::new("/run/secrets/slack"));
            Ok(format!("{SECRET}\n"))
        };
        let entry = adapters::find("slack").unwrap();
        // The output may be shared with others, so the webhook is masked.
        let mut payload: serde_json::Value = serde_json::from_slice(&sample(Trigger::WikiPage).raw).unwrap();
        payload["object_attributes"]["title"] = SECRET.into();
        let event = Event::decode(fresh_id(), daemon::now(), payload.to_string().into()).unwrap();
        let (integration, secrets) = one_off(entry, &settings, &event, read).unwrap();
        let request = request(outgoing(entry, &integration, &event, ""), &secrets).unwrap();
        let json = secrets.mask_json(request_json(&request)).to_string();
        for text in [secrets.mask(shown(&request)), json] {
            assert!(text.contains("Put the weather first") && !text.contains("deepsecret"), "{text}");
        }
    }

    #[test]
    fn of_irc_addresses_the_keys_and_passwords_are_masked_and_the_rest_is_shown() {
        let entry = adapters::find("irker").unwrap();
        let event = sample(Trigger::Push);
        let text = "#ops?key=deepkey irc://h/b?deepword irc://me:deeppass@i/c";
        let default = ("default_irc_uri".to_owned(), "irc://bell:deepdefault@irc.example.net".to_owned());
        let from_file = |_: &Path| Ok(format!("{text}\n"));
        for name in ["recipients", "recipients_file"] {
            let value = if name == "recipients" { text } else { "/run/secrets/irc" };
            let settings = [(name.to_owned(), value.to_owned()), default.clone()];
            let (integration, secrets) = one_off(entry, &settings, &event, from_file).unwrap();
            let request = request(outgoing(entry, &integration, &event, ""), &secrets).unwrap();
            let json = secrets.mask_json(request_json(&request));
            assert_eq!(
                json["lines"][0]["to"][0],
                "irc://bell:************@irc.example.net/ops?key=************"
            );
            let shown = secrets.mask(shown(&request));
            assert!(shown.contains("irc://h/b?key=****") && shown.contains("irc://me:****"), "{shown}");
            assert!(!shown.contains("deep") && !json.to_string().contains("deep"), "{shown}");
        }
    }

    #[test]
    fn credentials_in_headers_are_masked() {
        let mut request = HttpRequest::post_json(SECRET.parse().unwrap(), &serde_json::json!({}));
        request.headers.push(("authorization", "Bearer deepsecret".to_owned()));
        request.headers.push(("x-some-token", "deepsecret".to_owned()));
        let text = shown(&Request::Http(request));
        assert!(text.contains("authorization: ****") && !text.contains("deepsecret"), "{text}");
    }

    #[test]
    fn pairs_are_split_at_the_first_sign() {
        assert_eq!(pair(" a =b=c"), Ok(("a".to_owned(), "b=c".to_owned())));
        assert!(pair("=x").is_err() && pair("x").is_err());
    }
}

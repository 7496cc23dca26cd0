//! `check`: reports for each part whether the daemon would start, and what to do where it would not.

use std::fmt::Write as _;
use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use serde_json::{Value as Json, json};
use tokio::net::TcpListener;

use super::options::Options;
use super::publish::near;
use super::table::printable;
use super::{say, say_json, state};
use crate::adapters;
use crate::call::{HttpRequest, Method, Request, Response};
use crate::catalog::{self, Configured, Snapshot, UrlPolicy};
use crate::config::Config;
use crate::daemon;
use crate::integration::{Family, Scope};
use crate::pipeline::{amqp, parts};
use crate::provision::{self, Problem, Severity};
use crate::store;
use crate::store::registry::Changes;
use crate::store::seal::Keyring;
use crate::store::sqlite::Sqlite;
use crate::wire::smtp::{self, RelayFault, Tls};
use crate::wire::{self, Transport as _, Wire};

/// How long the mail relay may take for all its answers.
const MAIL_LIMIT: Duration = Duration::from_secs(15);

#[derive(Debug, clap::Args)]
#[command(after_help = "For example:\n  \
    forgebell check\n  \
    forgebell --config new.toml check --json\n\n\
    It asks the broker and the mail relay whether they take the settings; nothing is sent or changed.\n\n\
    Exit codes: 0 if the daemon would start and every part works, 1 if a part failed; the output says what to do.")]
pub(super) struct Args {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// The result of checking one part.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Part {
    name: &'static str,
    state: PartState,
    /// The result, in a line.
    found: String,
    /// Details, or what to do.
    more: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PartState {
    Ok,
    Failed,
    /// The part is switched off, or can't be checked.
    Skipped,
}

impl Part {
    fn ok(name: &'static str, found: impl Into<String>) -> Self {
        Self { name, state: PartState::Ok, found: found.into(), more: Vec::new() }
    }

    fn failed(name: &'static str, found: impl Into<String>) -> Self {
        Self { state: PartState::Failed, ..Self::ok(name, found) }
    }

    fn skipped(name: &'static str, found: impl Into<String>) -> Self {
        Self { state: PartState::Skipped, ..Self::ok(name, found) }
    }

    fn with(mut self, more: impl Into<String>) -> Self {
        self.more.push(more.into());
        self
    }
}

pub(super) async fn run(args: Args, options: &Options) -> anyhow::Result<ExitCode> {
    let parts = match options.config() {
        Ok(config) => look(&config, options).await,
        Err(error) => unconfigured(&format!("{error:#}")),
    };
    if args.json {
        say_json(&as_json(&parts))?;
    } else {
        say(&words(&parts))?;
    }
    let failed = parts.iter().any(|part| part.state == PartState::Failed);
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

async fn look(config: &Config, options: &Options) -> Vec<Part> {
    vec![
        configuration(config, options),
        integrations(config),
        way_out(&config.wire),
        store(&config.store, Keyring::new(&config.secrets), &daemon::url_policy(config)).await,
        broker(&config.amqp).await,
        mail(config).await,
        exposure(config).into_iter().fold(address(config.http.listen, &config.wire).await, Part::with),
    ]
}

fn unconfigured(error: &str) -> Vec<Part> {
    let mut lines = error.lines();
    let mut part = Part::failed("configuration", lines.next().unwrap_or_default());
    part.more.extend(lines.map(|line| line.trim().to_owned()));
    let rest = ["provisioning", "http client", "store", "broker", "mail", "http"];
    let skipped = rest.map(|name| Part::skipped(name, "not checked: the configuration must be valid first"));
    std::iter::once(part).chain(skipped).collect()
}

fn configuration(config: &Config, options: &Options) -> Part {
    const NAME: &str = "configuration";
    let slugs = config.max_age.keys().map(|slug| ("max_age", slug));
    let slugs = slugs.chain(config.service_hosts.keys().map(|slug| ("service_hosts", slug)));
    let unknown: Vec<_> = slugs.filter(|(_, slug)| adapters::find(slug).is_none()).collect();
    if unknown.is_empty() {
        return Part::ok(NAME, options.summary());
    }
    let part = Part::failed(NAME, format!("{}, with a mistake", options.summary()));
    let describe = |part: Part, (section, slug): (&str, &String)| {
        part.with(format!("{section}.{slug}: there is no such adapter"))
    };
    unknown.into_iter().fold(part, describe)
}

fn integrations(config: &Config) -> Part {
    const NAME: &str = "provisioning";
    let describe = |problem: &Problem| {
        let severity = if problem.severity == Severity::Warning { "warning: " } else { "" };
        format!("{severity}{problem}")
    };
    match provision::load(&config.provision, &daemon::url_policy(config)) {
        Ok(provisioned) => {
            let count = provisioned.integrations.len();
            let active =
                provisioned.integrations.iter().filter(|placed| placed.configured.is_active()).count();
            let found = match count {
                0 => "no integrations in files; those that the API sets count".to_owned(),
                n if n == active => format!("{n} {}", plural(n, "integration")),
                n => format!("{n} {}, {active} of them active", plural(n, "integration")),
            };
            let off = provisioned.integrations.iter();
            let off = off.filter(|placed| placed.configured.unusable().is_some()).count();
            let mut part = match off {
                0 => Part::ok(NAME, found),
                n => Part::failed(NAME, format!("{found}; {n} {} off", if n == 1 { "is" } else { "are" })),
            };
            if count == 0 {
                part = part.with(
                    "name files or folders in `provision.files`; `forgebell adapters SLUG` shows a block",
                );
            }
            part.more.extend(provisioned.warnings.iter().map(describe));
            for placed in provisioned.integrations.iter().filter(|placed| placed.configured.is_active()) {
                let slug = placed.configured.slug();
                for problem in placeholders(&placed.configured) {
                    part = part.with(format!("warning: {slug} of {}: {problem}", placed.scope));
                }
            }
            part
        }
        Err(problems) => {
            let errors = problems.iter().filter(|problem| problem.severity == Severity::Error).count();
            let mut part = Part::failed(NAME, format!("{errors} {}", plural(errors, "mistake")));
            part.more.extend(problems.iter().map(describe));
            part
        }
    }
}

fn plural(count: usize, word: &str) -> String {
    if count == 1 { word.to_owned() } else { format!("{word}s") }
}

/// The HTTP client that calls services, with its certificates.
fn way_out(config: &wire::Config) -> Part {
    match Wire::new(config) {
        Ok(_) => Part::ok("http client", "the HTTP client and its certificates are ready"),
        Err(error) => Part::failed("http client", error.to_string()),
    }
}

async fn store(config: &store::Config, keys: Keyring, url_policy: &UrlPolicy<'_>) -> Part {
    const NAME: &str = "store";
    let path = &config.path;
    if config.url.is_none() && !state::may_exist(path) {
        if let Err(lost) = Sqlite::expect_no_lost_database(path) {
            return Part::failed(NAME, lost.to_string());
        }
        let folder = path.ancestors().skip(1).find(|folder| folder.exists());
        let folder = folder.filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        return match writable(folder) {
            Ok(()) => Part::ok(NAME, format!("{} is not there yet; the daemon will make it", path.display())),
            Err(error) => {
                Part::failed(NAME, format!("{} can't be made: {error}", path.display())).with(format!(
                    "let the daemon's user write in {}, or name another file: `store.path`",
                    folder.display()
                ))
            }
        };
    }
    let answers = async {
        let store = state::open_with(config, keys).await?;
        store.ping().await?;
        // Reading everything also decrypts the secrets, which shows that their keys exist.
        anyhow::Ok(store.changes(0).await?)
    };
    match answers.await {
        Ok(known) => {
            let answers = match config.url {
                Some(_) => "the database answers".to_owned(),
                None => format!("{} answers", path.display()),
            };
            stored(Part::ok(NAME, answers), known, url_policy)
        }
        Err(error) => Part::failed(NAME, printable(&format!("{error:#}"))),
    }
}

/// The integrations in the store.
fn stored(mut part: Part, known: Changes, url_policy: &UrlPolicy<'_>) -> Part {
    let mut snapshot = Snapshot::default();
    snapshot.take_changes(known);
    let configured = snapshot.all_configured();
    if configured.is_empty() {
        return part;
    }
    let active = configured.iter().filter(|(_, configured)| configured.configuration.active).count();
    let _ = write!(part.found, ", with {} {}", configured.len(), plural(configured.len(), "integration"));
    if active < configured.len() {
        let _ = write!(part.found, ", {active} of them active");
    }
    let unreadable = |(_, configured): &&(Scope, &Configured)| {
        configured.configuration.active && !configured.configuration.inherits && configured.resolved.is_err()
    };
    for (scope, configured) in configured.iter().filter(unreadable) {
        let errors = configured.resolved.as_ref().err().into_iter().flatten().map(ToString::to_string);
        let errors = errors.collect::<Vec<_>>().join(", ");
        part = part.with(format!("warning: {} of {scope} sends nothing: {errors}", configured.slug()));
    }
    for (scope, configured) in configured.iter().filter(|(_, configured)| configured.is_active()) {
        let slug = configured.slug();
        for error in catalog::warnings(configured, url_policy) {
            part = part.with(format!("warning: {slug} of {scope}: {error}"));
        }
        for problem in placeholders(configured) {
            part = part.with(format!("warning: {slug} of {scope}: {problem}"));
        }
    }
    part
}

/// Whether a file can be created in this folder. The check creates a file, because permissions alone do not show this.
fn writable(folder: &Path) -> std::io::Result<()> {
    let probe = folder.join(format!(".forgebell-check-{}", std::process::id()));
    std::fs::OpenOptions::new().write(true).create_new(true).open(&probe)?;
    std::fs::remove_file(&probe)
}

async fn broker(config: &amqp::Config) -> Part {
    const NAME: &str = "broker";
    if !config.enabled {
        return Part::skipped(NAME, "not used (amqp.enabled is false): events come over HTTP only");
    }
    match amqp::probe(config).await {
        Ok(remarks) => {
            let found = match config.partitions {
                0 | 1 => format!("answers; queue {} on exchange {}", config.queue, config.exchange),
                n => format!(
                    "answers; queue {} in {n} partitions on exchange {}",
                    config.queue, config.exchange
                ),
            };
            remarks.iter().fold(Part::ok(NAME, found), |part, remark| part.with(format!("warning: {remark}")))
        }
        Err(error) => {
            let part = Part::failed(NAME, printable(&error.to_string()));
            let remedy = error.remedy();
            if remedy.is_empty() { part } else { part.with(remedy) }
        }
    }
}

/// The active integrations of files and the store that send mail. An integration of the store that one of a file
/// replaces does not count. Files and stores that can't be read are other parts' failures.
async fn mailers(config: &Config) -> Vec<String> {
    let url_policy = daemon::url_policy(config);
    let provisioned = provision::load(&config.provision, &url_policy).unwrap_or_default();
    let mut snapshot = provisioned.into_snapshot();
    if state::is_there(&config.store)
        && let Ok(store) = state::open_with(&config.store, Keyring::new(&config.secrets)).await
        && let Ok(changes) = store.changes(0).await
    {
        snapshot.take_changes(changes);
    }
    let mails = |scope: &Scope, configured: &Configured| {
        let own = snapshot.inheritance(&snapshot.directory().resolve(scope), configured.slug()).own;
        configured.is_active()
            && matches!(configured.entry.about.family, Family::PushMail | Family::PipelineMail)
            && own.is_some_and(|own| std::ptr::eq(own, configured))
    };
    let all = snapshot.all_configured().into_iter().filter(|(scope, configured)| mails(scope, configured));
    all.map(|(scope, configured)| catalog::integration_id(&scope, configured.slug()).to_string()).collect()
}

/// What no relay means for these integrations, which send mail.
fn without_relay(mailers: &[String]) -> Part {
    const NAME: &str = "mail";
    let [first, others @ ..] = mailers else {
        return Part::skipped(NAME, "not used (smtp.host is empty), and no integration sends mail");
    };
    let others = match others.len() {
        0 => String::new(),
        n => format!(" and {n} {}", plural(n, "other")),
    };
    Part::failed(NAME, format!("there is no mail relay (smtp.host is empty), so {first}{others} can't send"))
        .with("set smtp.host to the relay, or switch these integrations off (active = false)")
}

/// The mail relay, up to the question whether it takes mail of the sender. No mail is sent.
async fn mail(config: &Config) -> Part {
    const NAME: &str = "mail";
    let (smtp, sender) = (&config.wire.smtp, config.operator.mail.from.as_str());
    let Some(asked) = smtp::probe(smtp, sender, MAIL_LIMIT).await else {
        return without_relay(&mailers(config).await);
    };
    let found = match asked {
        Ok(found) => found,
        Err(fault) => return Part::failed(NAME, printable(&fault.to_string())).with(mail_remedy(&fault)),
    };
    let part = Part::ok(NAME, parts::relay_in_words(&found, sender));
    let is_here = smtp.host == "localhost" || smtp.host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback());
    match found.encryption {
        Tls::None if !is_here => {
            part.with("warning: mail goes to another machine without encryption: set smtp.tls = \"starttls\"")
        }
        Tls::Starttls | Tls::Implicit if !found.is_verified => part.with(
            "warning: the relay's certificate is not verified: set smtp.verify = true, and smtp.ca_file for a private \
             authority",
        ),
        _ => part,
    }
}

/// One remedy for each kind of fault.
fn mail_remedy(fault: &RelayFault) -> &'static str {
    match fault {
        RelayFault::Settings(_) => "correct [smtp] or mail.from",
        RelayFault::Unreachable(_) => "is it running, and are smtp.host, smtp.port and smtp.tls right?",
        RelayFault::Login { .. } => "correct smtp.username and smtp.password",
        RelayFault::Sender { .. } => "set mail.from to an address that the relay takes mail from",
        RelayFault::Refused { .. } => {
            "the relay's answer names the cause; it may refuse this machine or smtp.hello_name"
        }
    }
}

/// What other machines can reach at the address on which the daemon listens.
fn exposure(settings: &Config) -> Vec<String> {
    let config = &settings.http;
    let mut warnings: Vec<_> = settings.weak_secret().iter().map(|weak| format!("warning: {weak}")).collect();
    let listen = config.listen;
    let is_far = !listen.ip().is_loopback();
    let is_open = config.webhook_token.is_none() && config.signing_keys.is_none();
    if is_open && (is_far || !config.trusted_proxies.is_empty()) {
        warnings.push(format!(
            "warning: every client that reaches {listen} may send events, because there is no token: set \
             http.webhook_token or http.webhook_signing_key"
        ));
    }
    if is_far && !is_private(listen.ip()) {
        warnings.push(format!(
            "warning: {listen} can be reached without TLS, so tokens go over the network in plain text: put a proxy with \
             TLS before it, and listen on 127.0.0.1"
        ));
    }
    warnings
}

/// Whether an address belongs to a private network. The unspecified address, which stands for all addresses, does not.
fn is_private(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => ip.is_private() || ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_unique_local() || ip.is_unicast_link_local(),
    }
}

/// The settings that still have an example's address.
fn placeholders(configured: &Configured) -> Vec<String> {
    let configuration = &configured.configuration;
    let secrets = configuration.secrets.iter().map(|(name, secret)| (name, secret.expose().to_owned()));
    let properties = configuration.properties.iter().map(|(name, value)| (name, value.as_text()));
    let written = secrets.chain(properties).filter(|(_, value)| is_placeholder(value));
    written.map(|(name, _)| format!("{name} is an example's address: put the real one there")).collect()
}

/// Whether an address is one from a documentation: RFC 2606 has names for these, and Slack's has `T000…/B000…/XXX…`.
fn is_placeholder(value: &str) -> bool {
    let Ok(url) = url::Url::parse(value.trim()) else { return false };
    let host = url.host_str().unwrap_or_default();
    let names = ["example.com", "example.org", "example.net", "example"];
    let is_example = names.iter().any(|name| host == *name || host.ends_with(&format!(".{name}")));
    let is_filler = |segment: &str| {
        let zeros = |first: char| {
            segment.strip_prefix(first).is_some_and(|rest| rest.len() >= 3 && rest.bytes().all(|b| b == b'0'))
        };
        (segment.len() >= 3 && segment.bytes().all(|b| b == b'X')) || zeros('T') || zeros('B')
    };
    is_example || url.path().split('/').any(is_filler) || value.contains('…')
}

async fn address(listen: SocketAddr, wire: &wire::Config) -> Part {
    const NAME: &str = "http";
    match TcpListener::bind(listen).await {
        Ok(_) => Part::ok(NAME, format!("{listen} is free")),
        Err(error) if error.kind() == ErrorKind::AddrInUse => {
            if greet(listen, wire).await {
                return Part::ok(NAME, format!("{listen} is used by a daemon that runs already"));
            }
            Part::failed(NAME, format!("{listen} is used by another program"))
                .with("stop that program, or set another address: `http.listen`")
        }
        Err(error) => Part::failed(NAME, format!("can't listen on {listen}: {error}"))
            .with("set an address of this machine and a port that this user may open: `http.listen`"),
    }
}

/// Whether a Forgebell daemon listens there.
async fn greet(listen: SocketAddr, config: &wire::Config) -> bool {
    let near = near(listen);
    let config =
        wire::Config { allow_networks: vec![near.ip().into()], system_proxy: false, ..config.clone() };
    let (Ok(wire), Ok(url)) = (Wire::new(&config), format!("http://{near}/healthz").parse()) else {
        return false;
    };
    let request = HttpRequest { timeout: Duration::from_secs(3), ..HttpRequest::new(Method::Get, url) };
    matches!(wire.send(&Request::Http(request)).await, Ok(Response::Http(response)) if response.status == 200)
}

fn words(parts: &[Part]) -> String {
    let mut text = String::new();
    for part in parts {
        let state = match part.state {
            PartState::Ok => "ok",
            PartState::Failed => "FAILED",
            PartState::Skipped => "-",
        };
        let _ = writeln!(text, "{:<14} {state:<7} {}", part.name, part.found);
        for more in &part.more {
            let _ = writeln!(text, "{:22} {more}", "");
        }
    }
    text
}

fn as_json(parts: &[Part]) -> Json {
    let part = |part: &Part| {
        let state = match part.state {
            PartState::Ok => "ok",
            PartState::Failed => "failed",
            PartState::Skipped => "skipped",
        };
        json!({ "part": part.name, "state": state, "found": part.found, "more": part.more })
    };
    parts.iter().map(part).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Sources;

    #[test]
    fn a_line_for_each_part_and_remedies_below() {
        let parts = [
            Part::ok("store", "there"),
            Part::failed("broker", "no answer").with("is it running?"),
            Part::skipped("http", "not looked at"),
        ];
        let expected = "\
store          ok      there
broker         FAILED  no answer
                       is it running?
http           -       not looked at
";
        assert_eq!(words(&parts), expected);
        assert_eq!(as_json(&parts)[1]["state"], "failed");
    }

    #[test]
    fn all_mistakes_of_a_configuration_are_shown() {
        let parts = unconfigured("2 mistakes\n  http.listen: no\n  log.format: no");
        assert_eq!(parts[0].more, ["http.listen: no", "log.format: no"]);
        assert!(parts[1..].iter().all(|part| part.state == PartState::Skipped));
    }

    #[test]
    fn addresses_of_examples_are_told_from_real_ones() {
        for example in [
            "https://example.com/hook",
            "https://chat.example.org/hooks/x",
            "https://hooks.slack.com/services/T000/B000/XXX",
            "https://hooks.slack.com/services/T00000000/B00000000/XXXXXXXXXXXXXXXXXXXXXXXX",
            "https://hooks.slack.com/services/…",
        ] {
            assert!(is_placeholder(example), "{example}");
        }
        for real in [
            "https://hooks.slack.com/services/T0AB12/B07XY/XXsecretXX",
            "https://chat.acme.com/hooks/example.com",
            "#ops",
            "T000/B000",
            "https://counterexample.com/x",
        ] {
            assert!(!is_placeholder(real), "{real}");
        }
    }

    #[test]
    fn an_open_endpoint_and_a_plaintext_listener_are_warned_of_where_others_reach_them() {
        let warnings = |options: &[&str]| {
            let options: Vec<String> = options.iter().map(ToString::to_string).collect();
            exposure(&Config::load(Sources::for_tests(&options)).unwrap())
        };
        assert_eq!(warnings(&["http.listen=127.0.0.1:8090"]), [""; 0]);
        let open = warnings(&["http.listen=10.0.0.7:8090"]);
        assert!(open.len() == 1 && open[0].contains("http.webhook_token"), "{open:?}");
        let proxied = warnings(&["http.listen=127.0.0.1:8090", "http.trusted_proxies=127.0.0.1/32"]);
        assert!(proxied.len() == 1 && proxied[0].contains("may send events"), "{proxied:?}");
        let token = "http.webhook_token=open sesame, as Ali Baba said";
        assert_eq!(warnings(&["http.listen=10.0.0.7:8090", token]), [""; 0]);
        let guessed = warnings(&["http.listen=127.0.0.1:8090", "http.webhook_token=open sesame"]);
        assert!(
            guessed.len() == 1 && guessed[0].contains("http.webhook_token has fewer than"),
            "{guessed:?}"
        );
        assert!(!guessed[0].contains("sesame"), "{guessed:?}");
        let public = warnings(&["http.listen=0.0.0.0:8090", token]);
        assert!(public.len() == 1 && public[0].contains("without TLS"), "{public:?}");
    }

    #[tokio::test]
    async fn an_integration_that_sends_mail_needs_a_relay() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("integrations.toml");
        let block = "[[integration]]\nproject = \"acme/rocket\"\nadapter = \"emails-on-push\"\n\
                     recipients = \"team@example.com\"\n";
        let options = [
            format!("provision.files={}", file.display()),
            format!("store.path={}", folder.path().join("forgebell.db").display()),
        ];
        let config = Config::load(Sources::for_tests(&options)).unwrap();
        std::fs::write(&file, block).unwrap();
        let part = mail(&config).await;
        assert_eq!(part.state, PartState::Failed, "{part:?}");
        assert!(part.found.contains("so acme/rocket:emails-on-push can't send"), "{part:?}");
        assert!(part.more[0].contains("set smtp.host"), "{part:?}");
        std::fs::write(&file, format!("{block}active = false\n")).unwrap();
        assert_eq!(mail(&config).await.state, PartState::Skipped);
        let names = ["a:x", "b:x", "c:x"].map(str::to_owned);
        assert!(without_relay(&names).found.contains("so a:x and 2 others can't send"));
    }

    #[tokio::test]
    async fn a_store_that_is_not_there_yet_is_no_failure_where_it_can_be_made() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/down/forgebell.db");
        let options = [format!("store.path={}", path.display())];
        let config = Config::load(Sources::for_tests(&options)).unwrap();
        let part = store(&config.store, Keyring::none(), &daemon::url_policy(&config)).await;
        assert_eq!(part.state, PartState::Ok, "{part:?}");
        assert!(
            !path.exists() && folder.path().read_dir().unwrap().next().is_none(),
            "nothing is left behind"
        );
    }

    #[tokio::test]
    async fn an_address_in_use_is_a_failure_unless_a_daemon_uses_it() {
        let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = super::address(taken.local_addr().unwrap(), &wire::Config::default()).await;
        assert_eq!(address.state, PartState::Failed, "{address:?}");
    }
}

//! Forgebell as a contender: the real program, with an ordinary configuration.

use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::Result;

use crate::contender::Job;

/// What events over HTTP are accepted with.
pub const TOKEN: &str = "a-token-for-the-bench-alone";

/// Writes configuration and integrations into the folder; the store will lie there too.
pub fn command(job: &Job, folder: &Path) -> Result<Command> {
    let config = folder.join("forgebell.toml");
    fs::write(&config, configuration(job, folder))?;
    fs::write(folder.join("integrations.toml"), integrations(&job.addresses, job.copies))?;
    fs::write(folder.join("authority.pem"), &job.authority)?;
    let mut command = Command::new(&job.forgebell);
    command.arg("serve").arg("--config").arg(config);
    command.args(job.settings.iter().flat_map(|setting| ["-o", setting]));
    Ok(command)
}

/// The same without a broker. Events are posted to [`Job::http_port`] with the token [`TOKEN`].
pub fn without_broker(job: &Job, folder: &Path) -> Result<Command> {
    let mut command = command(job, folder)?;
    let listen = format!("http.listen=127.0.0.1:{}", job.http_port);
    let token = format!("http.webhook_token={TOKEN}");
    command.args(["-o", "amqp.enabled=false", "-o", &listen, "-o", &token]);
    Ok(command)
}

fn configuration(job: &Job, folder: &Path) -> String {
    let Job { broker, queue, in_flight, prefetch, .. } = job;
    let folder = folder.display();
    format!(
        r#"
[http]
listen = "127.0.0.1:0"

[amqp]
enabled = true
url = "{broker}"
exchange = "{queue}"
queue = "{queue}"
declare = "passive"
prefetch = {prefetch}

[store]
path = "{folder}/store.db"

[provision]
files = ["{folder}/integrations.toml"]

[delivery]
concurrency = {in_flight}
shutdown_timeout = "1s"

[rate_limits]
enabled = false

[wire]
allow_networks = ["127.0.0.0/8"]
ca_file = "{folder}/authority.pem"
system_proxy = false
"#
    )
}

/// One Slack integration a project, each with a webhook of its own, which wants to hear of everything that it can, in so
/// many channels.
fn integrations(addresses: &[String], channels: u32) -> String {
    let mut text = String::new();
    let channels: Vec<_> = (1..=channels).map(|channel| format!("#channel-{channel}")).collect();
    let channels = channels.join(", ");
    for (project, address) in (1..).zip(addresses) {
        let block = format!(
            r#"
[[integration]]
project = {project}
adapter = "slack"
webhook = "{address}"
channel = "{channels}"
branches_to_be_notified = "all"
notify_only_broken_pipelines = false
confidential_issues_events = true
confidential_note_events = true
"#
        );
        text.write_str(&block).expect("a string takes everything");
    }
    text
}

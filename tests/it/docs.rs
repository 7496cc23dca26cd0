//! The pages for people: their commands are run, their configurations are loaded, and what they list is what there is.

mod asyncapi;
mod metrics;
mod page;
mod stage;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use forgebell::config::{Config, Sources};
use forgebell::provision;
use forgebell::store::State;
use serde_json::json;

use crate::harness::daemon::Home;
use crate::harness::payloads::payload;
use crate::harness::program::finished;
use crate::harness::receiver::Receiver;
use crate::harness::wait::eventually;
use crate::harness::{postgres, python, rabbit};
use page::{Block, Page};
use stage::Stage;

/// The pages, each with the number of its blocks that can't be run. It is written here, so that a further one is noticed.
const PAGES: [(&str, usize); 8] = [
    ("README.md", 6),
    ("CONTRIBUTING.md", 3),
    ("CHANGELOG.md", 0),
    ("docs/capacity.md", 0),
    ("docs/operators.md", 4),
    ("docs/publishers.md", 0),
    ("docs/teams.md", 0),
    ("docs/metrics.md", 0),
];

fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn pages() -> Vec<Page> {
    PAGES.iter().map(|(path, _)| Page::read(path)).collect()
}

/// All blocks of a language that are not marked, with their pages' names.
fn blocks(language: &str) -> Vec<(String, Block)> {
    let of = |page: &Page| {
        let blocks = page.blocks.iter().filter(|block| block.language == language && block.not_run.is_none());
        blocks.map(|block| (page.path.clone(), block.clone())).collect::<Vec<_>>()
    };
    pages().iter().flat_map(of).collect()
}

#[test]
fn every_block_is_of_a_language_that_is_tested_or_says_why_it_is_not_run() {
    for (page, (path, marked)) in pages().iter().zip(PAGES) {
        assert_eq!(page.blocks.iter().filter(|block| block.not_run.is_some()).count(), marked, "{path}");
        for block in &page.blocks {
            let known = ["sh", "toml", "yaml", "python", "nginx", "text"].contains(&block.language.as_str());
            assert!(known, "{path}:{}: the language {:?}", block.line, block.language);
            assert!(block.not_run.as_ref().is_none_or(|why| why.len() > 10), "{path}:{}", block.line);
        }
    }
}

#[test]
fn every_link_between_pages_leads_somewhere() {
    // What is run of these two is in `cli/stories.rs` and `deploy.rs`.
    let walked = ["docs/operating.md", "docs/runbooks.md"].map(Page::read);
    for page in pages().into_iter().chain(walked) {
        let folder = repository(&page.path).parent().expect("a file has a folder").to_owned();
        for (line, target) in page.links() {
            let (file, place) = target.split_once('#').unwrap_or((&target, ""));
            let path = if file.is_empty() { repository(&page.path) } else { folder.join(file) };
            assert!(path.exists(), "{}:{line}: {target}", page.path);
            if !place.is_empty() {
                let text = std::fs::read_to_string(&path).expect("a page");
                assert!(page::anchors(&text).contains(place), "{}:{line}: {target}", page.path);
            }
        }
    }
}

/// A name for a secret's content, by which it is valid for what uses it.
fn secret(name: &str) -> String {
    match name {
        _ if name.contains("amqp") => "amqp://forgebell:secret@127.0.0.1:5672/%2f".to_owned(),
        _ if name.contains("database") => "postgres://forgebell:secret@127.0.0.1/forgebell".to_owned(),
        _ if name.contains("forgebell-key") => "AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=".to_owned(),
        _ if name.contains("webhook") && !name.contains("token") => {
            format!("https://hooks.slack.com/services/T0/B0/{name}")
        }
        _ => format!("the-secret-of-{name}"),
    }
}

/// The settings of a block, where the files that it names exist.
fn load_settings(block: &Block) -> Result<Config, String> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut text = block.text.clone();
    for quoted in block.text.split('"').skip(1).step_by(2) {
        let is_file = ["/run/secrets/", "/etc/forgebell/secrets/", "/etc/ssl/"]
            .iter()
            .any(|start| quoted.starts_with(start));
        if is_file {
            let name = quoted.rsplit('/').next().expect("a path has a name");
            let file = folder.path().join(name);
            std::fs::write(&file, secret(name)).expect("the folder is ours");
            text = text.replace(&format!("\"{quoted}\""), &format!("{:?}", file.display().to_string()));
        }
    }
    let file = folder.path().join("forgebell.toml");
    std::fs::write(&file, text).expect("the folder is ours");
    let sources = Sources { file: Some(file), ..Sources::default() };
    Config::load(sources).map_err(|errors| errors.to_string())
}

#[test]
fn every_configuration_in_the_pages_is_valid() {
    let (mut settings, mut integrations) = (0, 0);
    for (page, block) in blocks("toml") {
        let place = format!("{page}:{}", block.line);
        if block.text.contains("[[integration]]") {
            let read_secret =
                |path: &Path| Ok(secret(path.file_name().and_then(|name| name.to_str()).unwrap_or("x")));
            let file = (PathBuf::from(&page), block.text.clone());
            let read = provision::read(&[file], &read_secret)
                .unwrap_or_else(|problems| panic!("{place}: {problems:#?}"));
            assert!(read.warnings.is_empty(), "{place}: {:#?}", read.warnings);
            integrations += read.integrations.len();
        } else {
            load_settings(&block).unwrap_or_else(|errors| panic!("{place}: {errors}"));
            settings += 1;
        }
    }
    assert!(settings >= 6 && integrations >= 14, "{settings} settings and {integrations} integrations");
}

#[tokio::test(flavor = "multi_thread")]
async fn yaml_in_the_pages_is_read_by_the_programs_that_it_is_for() {
    let blocks = blocks("yaml");
    assert!(blocks.len() >= 2);
    for (page, block) in blocks {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = folder.path().join("block.yaml");
        let rules = repository("deploy/alerts.yml").display().to_string();
        std::fs::write(&file, block.text.replace("/usr/share/doc/forgebell/alerts.yml", &rules))
            .expect("ours");
        let path = file.to_str().expect("a path of words");
        let read = python::script("yaml_as_json.py", &[path]).await;
        let read: serde_json::Value = serde_json::from_str(&read).expect("JSON");
        if read[0]["scrape_configs"].is_array() {
            let mut promtool = tokio::process::Command::new("promtool");
            promtool.args(["check", "config", path]);
            let said = finished(promtool).await;
            assert!(said.contains("1 rule files found"), "{said}");
        } else {
            let receiver = &read[0]["receivers"][0];
            assert!(receiver["webhook_configs"][0]["url"].is_string(), "{page}: {read}");
        }
    }
}

/// Each page's commands, in order, as a person would type them on a machine with the package.
#[tokio::test(flavor = "multi_thread")]
async fn the_commands_in_the_pages_work() {
    let mut run = 0;
    for page in pages() {
        let blocks: Vec<&Block> =
            page.blocks.iter().filter(|block| block.language == "sh" && block.not_run.is_none()).collect();
        if blocks.is_empty() {
            continue;
        }
        let receiver = Receiver::start().await;
        let stage = Stage::new(&receiver);
        stage.run(&page.path, &blocks).await;
        run += blocks.len();
    }
    assert!(run >= 9, "{run} blocks");
}

/// The commands for a store in PostgreSQL, from one database to another.
#[tokio::test(flavor = "multi_thread")]
async fn the_commands_for_postgresql_copy_a_store() {
    let page = Page::read("docs/operators.md");
    let block = page.blocks.iter().find(|block| block.text.starts_with("pg_dump ")).expect("the commands");
    let (from, to) = (postgres::database(), postgres::database());
    let folder = tempfile::tempdir().expect("a temporary folder");
    let program = env!("CARGO_BIN_EXE_forgebell");
    let store = |url: &str| format!("FORGEBELL__STORE__URL='{url}' {program:?}");
    let commands: Vec<&str> = block.text.lines().collect();
    let [dump, restore] = commands[..] else { panic!("{}", block.text) };
    let at = |command: &str, url: &str| {
        let given = "\"$(sudo cat /etc/forgebell/secrets/database-url)\"";
        assert!(command.contains(given), "{command}");
        command.replace(given, &format!("'{url}'"))
    };
    let path = "PATH=$PATH:$(echo /usr/lib/postgresql/*/bin | tr ' ' ':')";
    let script = format!(
        "set -eu\n{path}\n{first} migrate\n{first} token create --admin --name kept\n{dump}\n{restore}\n{second} migrate\n\
         {second} token list\n",
        first = store(&from),
        second = store(&to),
        dump = at(dump, &from),
        restore = at(restore, &to)
    );
    let mut bash = tokio::process::Command::new("bash");
    bash.args(["-c", &script]).current_dir(folder.path());
    let said = finished(bash).await;
    assert!(said.contains("the database is up to date") && said.contains("kept"), "{said}");
}

/// A publisher in another language, with another project's library.
#[tokio::test(flavor = "multi_thread")]
async fn the_publisher_in_python_publishes_an_event_that_is_delivered() {
    let blocks = blocks("python");
    let [(_, block)] = &blocks[..] else { panic!("one block") };
    let broker = rabbit::shared().await;
    let vhost = rabbit::unique("docs");
    broker.ctl(&["add_vhost", &vhost]).await;
    broker.ctl(&["set_permissions", "-p", &vhost, "guest", ".*", ".*", ".*"]).await;
    let receiver = Receiver::start().await;
    let hook = receiver.slack_like("/services/T0/B0/docs");
    let home = Home::new(&format!(
        "[[integration]]\nproject = \"mike/diaspora\"\nadapter = \"slack\"\nwebhook = \"{}\"\n",
        hook.url()
    ));
    // The names of the exchange and the queue are the defaults, as in the page.
    let url = broker.url_of(&vhost);
    let home = home.with(&["amqp.enabled=true", &format!("amqp.url={url}")]);
    let daemon = home.start().await;
    eventually("the broker is connected", Duration::from_secs(30), async || {
        let (_, body) = daemon.get("/readyz").await?;
        let ready: serde_json::Value = serde_json::from_str(&body).ok()?;
        (ready["broker"] == json!("ok")).then_some(())
    })
    .await;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (script, event) = (folder.path().join("publish.py"), folder.path().join("push.json"));
    std::fs::write(&script, &block.text).expect("ours");
    std::fs::write(&event, payload("push.json")).expect("ours");
    let words = [&script, &event].map(|path| path.to_str().expect("a path of words"));
    for _ in 0..2 {
        python::run("python", &[words[0], &url, words[1]]).await;
    }
    hook.wait_for(1).await;
    let delivered = home.until(State::Delivered, 1).await;
    let ids: BTreeSet<String> = delivered.iter().map(|line| line.event.to_string()).collect();
    assert_eq!(ids, BTreeSet::from(["push-4711".to_owned()]), "published twice, it is one event");
    daemon.stop().await;
}

//! Links against a real Redmine: Debian's, started privately from a copy of its program, with SQLite and its data in a
//! temporary folder.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use serde_json::json;
use tokio::process::{Child, Command};

use crate::harness::api::administered;
use crate::harness::daemon::Home;
use crate::harness::payloads::{payload, with};
use crate::harness::ports::free_port;
use crate::harness::receiver::Receiver;
use crate::harness::wait::eventually;

const PROGRAM: &str = "/usr/share/redmine";
const STARTS_WITHIN: Duration = Duration::from_secs(180);

/// A public project with twelve issues.
const SEED: &str = "
Redmine::DefaultData::Loader.load('en')
project = Project.create!(name: 'Rocket', identifier: 'rocket', is_public: true, trackers: Tracker.all,
                          enabled_module_names: ['issue_tracking'])
author = User.find_by!(admin: true)
(1..12).each do |number|
  Issue.create!(project: project, tracker: Tracker.first, author: author, subject: \"Weather #{number}\",
                status: IssueStatus.first, priority: IssuePriority.first)
end
";

/// A Redmine at work.
struct Redmine {
    base: String,
    _process: Child,
    _folder: tempfile::TempDir,
}

impl Redmine {
    async fn start() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let home = folder.path();
        copy(home).await;
        finished(bundle(home, &["rake", "db:migrate"])).await;
        std::fs::write(home.join("seed.rb"), SEED).expect("the file is ours");
        finished(bundle(home, &["rails", "runner", "seed.rb"])).await;
        let port = free_port();
        let pid = home.join("server.pid").display().to_string();
        let address =
            ["rails", "server", "-u", "webrick", "-b", "127.0.0.1", "-p", &port.to_string(), "-P", &pid];
        let process = bundle(home, &address).spawn().expect("Redmine can be started");
        let redmine = Self { base: format!("http://127.0.0.1:{port}"), _process: process, _folder: folder };
        eventually("Redmine answers", STARTS_WITHIN, async || {
            let answer = crate::harness::client().get(&redmine.base).send().await;
            answer.is_ok_and(|answer| answer.status().is_success()).then_some(())
        })
        .await;
        redmine
    }
}

/// Copies the program without what the system's instances have, and gives it an instance of its own.
async fn copy(home: &Path) {
    let mut copy = Command::new("cp");
    copy.args(["-r", &format!("{PROGRAM}/."), &home.display().to_string()]);
    // Links into the system's instances lead nowhere where none was made, and nothing here uses them.
    let _ = copy.stderr(Stdio::null()).status().await.expect("cp can be started");
    for link in ["instances", "Gemfile.lock", "config/database.yml"] {
        let _ = std::fs::remove_file(home.join(link));
        let _ = std::fs::remove_dir_all(home.join(link));
    }
    let instance = home.join("instances/default");
    for folder in ["config", "files", "log", "tmp"] {
        std::fs::create_dir_all(instance.join(folder)).expect("the folder is ours");
    }
    for folder in ["tmp", "log", "files", "plugins", "public/plugin_assets"] {
        std::fs::create_dir_all(home.join(folder)).expect("the folder is ours");
    }
    let database =
        format!("production:\n  adapter: sqlite3\n  database: {}\n", home.join("redmine.db").display());
    std::fs::write(instance.join("config/database.yml"), database).expect("the file is ours");
    // The list of gems looks for databases in the system's instances.
    let gems = std::fs::read_to_string(home.join("Gemfile")).expect("there is a list of gems");
    let ours = format!("Dir['{}/instances/*/config/database.yml']", home.display());
    let (before, rest) = gems.split_once("Dir['/usr/share/redmine/").expect("it looks for databases");
    let (_, after) = rest.split_once("']").expect("the pattern ends");
    std::fs::write(home.join("Gemfile"), format!("{before}{ours}{after}")).expect("the file is ours");
    std::fs::write(home.join("Gemfile.local"), "gem 'webrick'\n").expect("the file is ours");
}

fn bundle(home: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new("bundle");
    command.arg("exec").args(arguments).current_dir(home).env_clear();
    command.env("PATH", "/usr/local/bin:/usr/bin:/bin").env("HOME", home).env("LANG", "C.UTF-8");
    command.env("RAILS_ENV", "production").env("SECRET_KEY_BASE", "0123456789abcdef".repeat(4));
    command.env("BUNDLE_GEMFILE", home.join("Gemfile"));
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
    command
}

async fn finished(mut command: Command) {
    let output =
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).output().await.expect("it can be started");
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn links_in_messages_open_the_issues_that_people_mean() {
    let redmine = Redmine::start().await;
    let chat = Receiver::start().await;
    let hook = chat.slack_like("/services/T0/B0/hook");
    let home = Home::new("").with(&["rate_limits.enabled=false"]);
    let (daemon, admin) = administered(&home).await;
    admin.put("/projects/42", json!({})).await;
    admin.put("/projects/42/integrations/slack", json!({ "webhook": hook.url() })).await;
    let base = &redmine.base;
    let pages = json!({
        "project_url": format!("{base}/projects/rocket"),
        "issues_url": format!("{base}/issues/:id"),
        "new_issue_url": format!("{base}/projects/rocket/issues/new"),
        "short_references": true,
    });
    admin.put("/projects/42/integrations/redmine", pages).await;
    let push = with(&payload("push.json"), |push| {
        push["project"]["id"] = json!(42);
        push["project_id"] = json!(42);
        push["commits"][0]["title"] = json!("Fix #12 as ABC-7 says");
        push["commits"][0]["message"] = json!("Fix #12 as ABC-7 says");
    });
    assert_eq!(daemon.send("one", push).await.0, 202);
    let text = hook.wait_for(1).await[0].json().to_string();
    for (words, title) in [("#12", "Weather 12"), ("ABC-7", "Weather 7")] {
        let (before, _) = text.split_once(&format!("|{words}>")).unwrap_or_else(|| panic!("{words}: {text}"));
        let url = before.rsplit('<').next().expect("a link begins");
        let answer = crate::harness::client().get(url).send().await.expect("Redmine answers");
        assert_eq!(answer.status().as_u16(), 200, "{url}");
        let page = answer.text().await.expect("a page");
        assert!(page.contains(&format!(": {title} - Rocket - Redmine</title>")), "{url}");
    }
    daemon.stop().await;
}

//! The demo's story: the integrations of each project, the events in order, and the messages that must follow from each.
//! The expected messages are written by hand, not computed by the program.
//!
//! The payloads are GitLab's, from its documentation or captured from gitlab.com. Only the failed pipeline is made here,
//! from the one that passed.
//!
//! Services whose adapter this program does not have are left out.

use std::net::SocketAddr;
use std::sync::LazyLock;

use serde_json::{Value as Json, json};

use super::stand_ins::Service;
use crate::adapters;

/// A receiver: an incoming webhook, a room or a mail domain, and its project.
#[derive(Debug)]
pub(super) struct Hook {
    pub(super) service: Service,
    /// The adapter that sends to it.
    pub(super) slug: &'static str,
    /// The webhook's path; for IRC the channel's address, for mail the domain.
    pub(super) path: &'static str,
    project: &'static str,
    /// The rest of its block in the provisioning file.
    settings: &'static str,
}

/// An event, and the messages that must follow from it.
#[derive(Debug)]
pub(super) struct Scene {
    /// The event in a few words.
    pub(super) title: &'static str,
    pub(super) body: String,
    /// The expected messages, each exactly once.
    pub(super) heard_by: Vec<Heard>,
    pub(super) fate: Fate,
}

/// One expected message: the receiver, the channel, and words that the message contains.
#[derive(Debug)]
pub(super) struct Heard {
    pub(super) hook: &'static Hook,
    pub(super) channel: &'static str,
    pub(super) saying: &'static str,
}

/// The fate of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// The event is dispatched, even if filters stop every delivery.
    Matched,
    /// No integration takes events of this kind.
    Unrouted,
    /// It can't be decoded.
    Quarantined,
}

static HELLO_SLACK: Hook = Hook {
    service: Service::Slack,
    slug: "slack",
    path: "/services/T0DEMO/B0HELLO/kTz3vQpL9sWm",
    project: "gitlab-org/hello-world",
    settings: "channel = \"#hello-world\"\nmerge_request_channel = \"#reviews\"\nbranches_to_be_notified = \"all\"\n",
};
static HELLO_MATTERMOST: Hook = Hook {
    service: Service::Mattermost,
    slug: "mattermost",
    path: "/hooks/h3ll0w0rldh3ll0w0rldh3ll0w",
    project: "gitlab-org/hello-world",
    settings: "channel = \"hello-world\"\nbranches_to_be_notified = \"default\"\n",
};
static TEST_SLACK: Hook = Hook {
    service: Service::Slack,
    slug: "slack",
    path: "/services/T0DEMO/B0TESTS/2fXn8RbY4cHd",
    project: "gitlab-org/gitlab-test",
    settings: "channel = \"#dev\"\npipeline_channel = \"#ci, #oncall\"\n",
};
static TEST_MATTERMOST: Hook = Hook {
    service: Service::Mattermost,
    slug: "mattermost",
    path: "/hooks/t3stt3stt3stt3stt3stt3stt3",
    project: "gitlab-org/gitlab-test",
    settings: "channel = \"developers\"\npipeline_events = false\n",
};
static DIASPORA: Hook = Hook {
    service: Service::Slack,
    slug: "slack",
    path: "/services/T0DEMO/B0SPORA/x7JqWe5uKaZo",
    project: "mike/diaspora",
    settings: "channel = \"#diaspora\"\n",
};
static RELEASES: Hook = Hook {
    service: Service::Slack,
    slug: "slack",
    path: "/services/T0DEMO/B0RELES/m1GtYh6iNbVc",
    project: "jsmith/example",
    settings: "",
};
static LABELS: Hook = Hook {
    service: Service::Mattermost,
    slug: "mattermost",
    path: "/hooks/l4b3ll4b3ll4b3ll4b3ll4b3l4",
    project: "gitlabhq/gitlab-test",
    settings: "channel = \"api-team\"\nlabels_to_be_notified = \"~API\"\n",
};
static WIKI: Hook = Hook {
    service: Service::Mattermost,
    slug: "mattermost",
    path: "/hooks/w1k1w1k1w1k1w1k1w1k1w1k1w1",
    project: "root/awesome-project",
    settings: "",
};
static DEPLOYMENTS: Hook = Hook {
    service: Service::Slack,
    slug: "slack",
    path: "/services/T0DEMO/B0DEPLO/q9LwEr2pAsDf",
    project: "root/test-deployment-webhooks",
    settings: "channel = \"#deployments\"\ndeployment_events = true\n",
};

static DIASPORA_HIPCHAT: Hook = Hook {
    service: Service::HipChat,
    slug: "hipchat",
    path: "/v2/room/Diaspora/notification",
    project: "mike/diaspora",
    settings: "token = \"h1pch4th1pch4th1pch4th1pch4th1pch4t\"\nroom = \"Diaspora\"\ncolor = \"purple\"\n",
};
static DIASPORA_MAIL: Hook = Hook {
    service: Service::Mail,
    slug: "emails-on-push",
    path: "diaspora.example",
    project: "mike/diaspora",
    settings: "recipients = \"ada@diaspora.example grace@diaspora.example\"\n",
};
static HELLO_IRC: Hook = Hook {
    service: Service::Irker,
    slug: "irker",
    path: "irc://irc.example.net/hello-world",
    project: "gitlab-org/hello-world",
    settings: "default_irc_uri = \"irc://irc.example.net\"\nrecipients = \"#Hello-World\"\ncolorize_messages = true\n",
};
static TEST_TEAMS: Hook = Hook {
    service: Service::Teams,
    slug: "microsoft-teams",
    path: "/workflows/t34m5t34m5t34m5t34m5/triggers/manual/paths/invoke",
    project: "gitlab-org/gitlab-test",
    settings: "",
};
static TEST_MAIL: Hook = Hook {
    service: Service::Mail,
    slug: "pipelines-email",
    path: "oncall.example",
    project: "gitlab-org/gitlab-test",
    settings: "recipients = \"linus@oncall.example\"\n",
};
static LABELS_DISCORD: Hook = Hook {
    service: Service::Discord,
    slug: "discord",
    path: "/api/webhooks/123456789012345678/d1sc0rdd1sc0rdd1sc0rdd1sc0rd",
    project: "gitlabhq/gitlab-test",
    settings: "",
};

static HOOKS: [&Hook; 15] = [
    &HELLO_SLACK,
    &HELLO_MATTERMOST,
    &HELLO_IRC,
    &TEST_SLACK,
    &TEST_MATTERMOST,
    &TEST_TEAMS,
    &TEST_MAIL,
    &DIASPORA,
    &DIASPORA_HIPCHAT,
    &DIASPORA_MAIL,
    &RELEASES,
    &LABELS,
    &LABELS_DISCORD,
    &WIKI,
    &DEPLOYMENTS,
];

impl Hook {
    /// Whether this program has its adapter.
    fn is_there(&self) -> bool {
        adapters::find(self.slug).is_some()
    }

    /// Its block in the provisioning file.
    fn block(&self, address: SocketAddr) -> String {
        let Self { slug, path, project, settings, .. } = self;
        let place = match self.service {
            Service::Slack | Service::Mattermost | Service::Teams | Service::Discord => {
                format!("webhook = \"http://{address}{path}\"\n")
            }
            Service::HipChat => format!("server = \"http://{address}\"\n"),
            Service::Irker => {
                format!("server_host = \"{}\"\nserver_port = {}\n", address.ip(), address.port())
            }
            // Mail goes to the operator's relay; integrations have none.
            Service::Mail => String::new(),
        };
        format!("\n[[integration]]\nproject = \"{project}\"\nadapter = \"{slug}\"\n{place}{settings}")
    }
}

/// The receivers that exist: the webhooks' paths, the channels' addresses, the mail domains.
pub(super) fn webhooks() -> Vec<String> {
    HOOKS.iter().map(|hook| hook.path.to_owned()).collect()
}

/// The project of a receiver.
pub(super) fn project_of(path: &str) -> &'static str {
    HOOKS.iter().find(|hook| hook.path == path).map_or("", |hook| hook.project)
}

/// The provisioning file, for these addresses of the services.
pub(super) fn provisioning(address: impl Fn(Service) -> SocketAddr) -> String {
    let hooks = HOOKS.iter().filter(|hook| hook.is_there());
    let blocks = hooks.map(|hook| hook.block(address(hook.service))).collect::<String>();
    format!("# Who wants to know of what. `forgebell adapters slack` explains the settings.\n{blocks}")
}

macro_rules! payload {
    ($name:literal) => {
        include_str!(concat!("../../../payloads/", $name, ".json"))
    };
}

/// The payload in the instructions for sending an event by hand.
pub(super) const OWN_EVENT: &str = payload!("note_issue");

/// The whole story, in order.
pub(super) static STORY: LazyLock<Vec<Scene>> = LazyLock::new(|| {
    vec![
        scene("push to mike/diaspora", payload!("push"))
            .heard(&DIASPORA, "#diaspora", "Catalan")
            .heard(&DIASPORA_HIPCHAT, "", "Catalan")
            .heard(&DIASPORA_MAIL, "ada@diaspora.example", "Catalan")
            .heard(&DIASPORA_MAIL, "grace@diaspora.example", "Catalan"),
        scene("tag in jsmith/example", payload!("tag_push")).heard(&RELEASES, "", "v1.0.0"),
        scene("push to hello-world", payload!("captured/push"))
            .heard(&HELLO_SLACK, "#hello-world", "added readme")
            .heard(&HELLO_MATTERMOST, "hello-world", "added readme")
            .heard(&HELLO_IRC, "", "added readme"),
        scene("new branch in hello-world", payload!("captured/branch_create"))
            .heard(&HELLO_SLACK, "#hello-world", "feature")
            .heard(&HELLO_IRC, "", "has created a new branch"),
        scene("merge request opened in hello-world", payload!("captured/merge_request_create"))
            .heard(&HELLO_SLACK, "#reviews", "opened")
            .heard(&HELLO_MATTERMOST, "hello-world", "opened"),
        scene("comment on the merge request", payload!("captured/merge_request_comment_create"))
            .heard(&HELLO_SLACK, "#hello-world", "lgtm")
            .heard(&HELLO_MATTERMOST, "hello-world", "lgtm"),
        scene("merge request merged in hello-world", payload!("captured/merge_request_merge"))
            .heard(&HELLO_SLACK, "#reviews", "merged")
            .heard(&HELLO_MATTERMOST, "hello-world", "merged"),
        scene("issue opened in gitlabhq/gitlab-test", payload!("issue_open"))
            .heard(&LABELS, "api-team", "New API")
            .heard(&LABELS_DISCORD, "", "New API"),
        scene("merge request opened in gitlabhq/gitlab-test", payload!("merge_request_open"))
            .heard(&LABELS, "api-team", "MS-Viewport")
            .heard(&LABELS_DISCORD, "", "MS-Viewport"),
        scene("comment on an issue of gitlab-test", payload!("note_issue"))
            .heard(&TEST_SLACK, "#dev", "Hello world")
            .heard(&TEST_MATTERMOST, "developers", "Hello world")
            .heard(&TEST_TEAMS, "", "Hello world"),
        scene("comment on a merge request of gitlab-test", payload!("note_merge_request"))
            .heard(&TEST_SLACK, "#dev", "needs work")
            .heard(&TEST_MATTERMOST, "developers", "needs work")
            .heard(&TEST_TEAMS, "", "needs work"),
        scene("comment on a snippet of gitlab-test", payload!("note_snippet"))
            .heard(&TEST_SLACK, "#dev", "snippet doing")
            .heard(&TEST_MATTERMOST, "developers", "snippet doing")
            .heard(&TEST_TEAMS, "", "snippet doing"),
        scene("pipeline passed in gitlab-test", payload!("pipeline_success")),
        Scene { body: failed_pipeline(), ..scene("pipeline failed in gitlab-test", "") }
            .heard(&TEST_SLACK, "#ci", "Pipeline #32")
            .heard(&TEST_SLACK, "#oncall", "Pipeline #32")
            .heard(&TEST_TEAMS, "", "Pipeline #32")
            .heard(&TEST_MAIL, "linus@oncall.example", "Failed pipeline"),
        scene("reaction in gitlab-org/gitlab-test", payload!("emoji_award")).ending(Fate::Unrouted),
        scene("a body that broke off on its way", broken()).ending(Fate::Quarantined),
        scene("wiki page in root/awesome-project", payload!("wiki_page_create")).heard(&WIKI, "", "Awesome"),
        scene("deployment in root/test-deployment-webhooks", payload!("deployment_success")).heard(
            &DEPLOYMENTS,
            "#deployments",
            "staging",
        ),
    ]
});

/// The scene that is sent twice with the same id, as by a forge that missed the answer.
pub(super) const SENT_TWICE: usize = 4;

fn scene(title: &'static str, body: impl Into<String>) -> Scene {
    Scene { title, body: body.into(), heard_by: Vec::new(), fate: Fate::Matched }
}

impl Scene {
    fn heard(mut self, hook: &'static Hook, channel: &'static str, saying: &'static str) -> Self {
        if hook.is_there() {
            self.heard_by.push(Heard { hook, channel, saying });
        }
        self
    }

    fn ending(self, fate: Fate) -> Self {
        Self { fate, ..self }
    }
}

/// Two thirds of a push.
fn broken() -> &'static str {
    let whole = payload!("push");
    &whole[..whole.len() * 2 / 3]
}

fn failed_pipeline() -> String {
    let mut pipeline: Json = serde_json::from_str(payload!("pipeline_success")).unwrap_or_default();
    let about = &mut pipeline["object_attributes"];
    about["id"] = json!(32);
    about["status"] = json!("failed");
    about["detailed_status"] = json!("failed");
    about["url"] = json!("http://example.com/gitlab-org/gitlab-test/-/pipelines/32");
    pipeline.to_string()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::path::{Path, PathBuf};

    use jiff::Timestamp;

    use super::*;
    use crate::catalog::Snapshot;
    use crate::event::{Event, EventId};
    use crate::pipeline::dispatch::{Verdict, verdicts};
    use crate::pipeline::holds::HoldSet;
    use crate::provision;

    fn snapshot() -> Snapshot {
        let address: SocketAddr = "127.0.0.1:9".parse().unwrap();
        let files = [(PathBuf::from("demo.toml"), provisioning(|_| address))];
        let no_secrets = |_: &Path| Err(std::io::Error::other("there are no files here"));
        let read = provision::read(&files, &no_secrets).expect("the demo's provisioning is valid");
        assert!(read.warnings.is_empty(), "{:?}", read.warnings);
        read.into_snapshot()
    }

    fn decode(scene: &Scene) -> Option<Event> {
        let id = EventId::new("demo").unwrap();
        Event::decode(id, Timestamp::UNIX_EPOCH, scene.body.clone().into()).ok()
    }

    #[test]
    fn what_the_story_expects_is_what_the_rules_say() {
        let snapshot = snapshot();
        for scene in STORY.iter() {
            let Some(event) = decode(scene) else {
                assert_eq!(scene.fate, Fate::Quarantined, "{}", scene.title);
                continue;
            };
            assert_eq!(event.trigger.is_none(), scene.fate == Fate::Unrouted, "{}", scene.title);
            let verdicts = verdicts(&event, &snapshot, &HoldSet::default(), Timestamp::UNIX_EPOCH);
            let targets = verdicts.into_iter().flat_map(|(to, verdict)| {
                let sent =
                    if let Verdict::Sends { deliveries: sent, .. } = verdict { sent } else { Vec::new() };
                sent.into_iter().map(move |new| (to.scope.to_string(), to.slug, new.target.to_string()))
            });
            let expected = scene.heard_by.iter().map(|heard| {
                let target = heard.channel.to_owned();
                (format!("project {}", heard.hook.project), heard.hook.slug, target)
            });
            let (targets, expected): (HashSet<_>, HashSet<_>) = (targets.collect(), expected.collect());
            assert_eq!(targets, expected, "{}", scene.title);
        }
    }

    #[test]
    fn no_two_messages_of_one_channel_are_known_by_the_same_words() {
        let mut seen = HashSet::new();
        for heard in STORY.iter().flat_map(|scene| &scene.heard_by) {
            assert!(seen.insert((heard.hook.path, heard.channel, heard.saying)), "{heard:?}");
        }
        assert_eq!(HOOKS.iter().map(|hook| hook.path).collect::<HashSet<_>>().len(), HOOKS.len());
    }

    #[test]
    fn the_failed_pipeline_is_one() {
        let pipeline: Json = serde_json::from_str(&failed_pipeline()).unwrap();
        assert_eq!(pipeline["object_attributes"]["status"], "failed");
        assert_eq!(pipeline["builds"].as_array().map(Vec::len), Some(5));
    }
}

//! The recipes in `deploy/`: the daemon starts from their literal files, with the secrets that their comments name.
//!
//! A container is a mount namespace with a root of its own: the program at the image's path, the recipe's environment, files,
//! volumes and secrets at their places, and the image's user. What a test replaces: the published port, the addresses behind
//! the secrets, and that loopback may be called.

mod container;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::payloads::{payload, with};
use crate::harness::ports::free_port;
use crate::harness::receiver::Receiver;
use crate::harness::wait::eventually;
use crate::harness::{python, rabbit};
use container::{Container, Image};

const PATIENCE: Duration = Duration::from_secs(60);
const TOKEN: &str = "open sesame";

fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn text(path: &str) -> String {
    std::fs::read_to_string(repository(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The documents of a YAML file.
async fn documents(path: &str) -> Vec<Value> {
    let path = repository(path);
    let json = python::script("yaml_as_json.py", &[path.to_str().expect("a path of words")]).await;
    serde_json::from_str(&json).expect("a list of documents")
}

/// What a secret of this name contains here: the token, or an address that is valid for its service.
fn secret(name: &str, receiver: &Receiver) -> String {
    match name {
        "webhook-token" => TOKEN.to_owned(),
        "discord-webhook" => "https://discord.com/api/webhooks/1/token".to_owned(),
        "discord-webhook-ci" => "https://discord.com/api/webhooks/2/token".to_owned(),
        name => receiver.slack_like(&format!("/services/T0/B0/{name}")).url(),
    }
}

/// A push to the default branch of `acme/rocket`.
fn push() -> Vec<u8> {
    with(&payload("push.json"), |json| {
        json["project"]["path_with_namespace"] = json!("acme/rocket");
        json["project"]["default_branch"] = json!("main");
        json["ref"] = json!("refs/heads/main");
    })
}

/// The container works: it answers its probes, its configuration has no mistake and no missing secret, and a push arrives in
/// the channel of its Slack integration.
async fn works(container: &mut Container, receiver: &Receiver) {
    let client = crate::harness::client();
    let base = container.base.clone();
    for page in ["healthz", "readyz"] {
        eventually(&format!("/{page} answers"), PATIENCE, async || {
            container.expect_running();
            let answer = client.get(format!("{base}/{page}")).send().await.ok()?;
            answer.status().is_success().then_some(())
        })
        .await;
    }
    let listed = container.command(&["integrations", "list", "--json"]).await;
    let listed: Vec<Value> = serde_json::from_str(&listed).expect("a list");
    let log = container.log();
    assert!(!listed.is_empty() && !log.contains("can't be read"), "{log}");
    let request = client.post(format!("{base}/events")).header("x-gitlab-token", TOKEN).body(push());
    let answer = request.header("content-type", "application/json").send().await.expect("it answers");
    assert_eq!(answer.status().as_u16(), 202);
    let arrived = async || (!receiver.received_at("/services/T0/B0/slack-webhook").is_empty()).then_some(());
    eventually("the push is in Slack", PATIENCE, arrived).await;
    let refused = client.post(format!("{base}/events")).body(push()).send().await.expect("it answers");
    assert_eq!(refused.status().as_u16(), 401, "the token of the recipe is required");
    let home = container.path("/var/lib/forgebell/forgebell.db");
    assert!(home.exists(), "the store is in the volume");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_compose_recipe_starts_a_daemon_with_its_broker() {
    let recipe = &documents("deploy/compose.yaml").await[0];
    let service = &recipe["services"]["forgebell"];
    assert_eq!(service["build"]["dockerfile"], "deploy/Dockerfile");
    let receiver = Receiver::start().await;
    let broker = rabbit::shared().await;
    // The recipe's own broker: its address, its user and its password.
    let password = "0123456789abcdef";
    let named = &recipe["services"]["rabbitmq"];
    let user = named["environment"]["RABBITMQ_DEFAULT_USER"].as_str().expect("a user");
    let interpolated = |text: &str| {
        assert!(!text.contains("${") || text.contains("${RABBITMQ_PASSWORD:?"), "{text}");
        match (text.find("${"), text.find('}')) {
            (Some(start), Some(end)) => format!("{}{password}{}", &text[..start], &text[end + 1..]),
            _ => text.to_owned(),
        }
    };
    let given = named["environment"]["RABBITMQ_DEFAULT_PASS"].as_str().expect("a password");
    broker.ctl(&["add_user", user, &interpolated(given)]).await;
    broker.ctl(&["set_permissions", "-p", "/", user, ".*", ".*", ".*"]).await;

    let mut container = Container::new(&Image::read(&text("deploy/Dockerfile")), free_port());
    for (name, value) in service["environment"].as_object().expect("variables") {
        let value = interpolated(value.as_str().expect("a text"));
        // The broker listens at another port here, and is found by the recipe's name.
        let value = value.replace("@rabbitmq:5672/", &format!("@rabbitmq:{}/", broker.port()));
        container.variable(name, &value);
    }
    container.host("rabbitmq", "127.0.0.1");
    for volume in service["volumes"].as_array().expect("volumes") {
        let parts: Vec<&str> = volume.as_str().expect("a text").split(':').collect();
        match parts[..] {
            [from, at, "ro"] if from.starts_with('.') => container.copy(&repository("deploy").join(from), at),
            [named, at] => {
                assert!(recipe["volumes"].get(named).is_some(), "{named}");
                container.volume(at);
            }
            _ => panic!("{volume}"),
        }
    }
    let comment = text("deploy/compose.yaml");
    for name in service["secrets"].as_array().expect("secrets") {
        let name = name.as_str().expect("a name");
        let file = recipe["secrets"][name]["file"].as_str().expect("its file");
        assert!(
            comment.contains(&format!("> {}\n", file.trim_start_matches("./"))),
            "the comment makes {file}"
        );
        container.secret(&format!("/run/secrets/{name}"), &secret(name, &receiver));
    }
    container.start(&["serve"]);
    works(&mut container, &receiver).await;
    eventually("the broker is connected", PATIENCE, async || {
        let (_, ready) = container.get("/readyz").await?;
        (serde_json::from_str::<Value>(&ready).ok()?["broker"] == "ok").then_some(())
    })
    .await;
    // Every secret that the example names is among the recipe's.
    for file in ["config/examples/forgebell.toml", "config/examples/integrations.toml"] {
        for line in text(file).lines().filter(|line| !line.starts_with('#') && line.contains("/run/secrets/"))
        {
            let name =
                line.split("/run/secrets/").nth(1).and_then(|rest| rest.split('"').next()).expect("a name");
            assert!(recipe["secrets"].get(name).is_some(), "{file} names {name}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_kubernetes_manifest_starts_a_daemon() {
    let manifest = documents("deploy/kubernetes/forgebell.yaml").await;
    let of_kind =
        |kind: &str| manifest.iter().find(|object| object["kind"] == kind).expect("it is there").clone();
    let (settings, set, service) = (of_kind("ConfigMap"), of_kind("StatefulSet"), of_kind("Service"));
    let pod = &set["spec"]["template"];
    let spec = &pod["spec"];
    let main = &spec["containers"][0];
    assert_eq!(service["spec"]["selector"], pod["metadata"]["labels"]);
    assert_eq!(set["spec"]["selector"]["matchLabels"], pod["metadata"]["labels"]);

    let receiver = Receiver::start().await;
    let image = Image::read(&text("deploy/Dockerfile"));
    assert_eq!(spec["securityContext"]["runAsUser"].as_u64(), Some(u64::from(image.user)));
    let mut container = Container::new(&image, free_port());
    for variable in main["env"].as_array().expect("variables") {
        let name = variable["name"].as_str().expect("a name");
        if let Some(value) = variable["value"].as_str() {
            container.variable(name, value);
        } else {
            assert_eq!(variable["valueFrom"]["fieldRef"]["fieldPath"], "metadata.name");
            container.variable(name, "forgebell-0");
        }
    }
    // The secret, as the comment's command makes it.
    let comment = text("deploy/kubernetes/forgebell.yaml");
    let keys: BTreeMap<String, String> = comment
        .lines()
        .filter_map(|line| line.split("--from-literal=").nth(1)?.split('=').next())
        .map(|name| (name.to_owned(), secret(name, &receiver)))
        .collect();
    assert_eq!(keys.len(), 2, "{keys:?}");
    for mount in main["volumeMounts"].as_array().expect("mounts") {
        let (name, at) = (&mount["name"], mount["mountPath"].as_str().expect("a path"));
        let volumes = spec["volumes"].as_array().expect("volumes");
        let Some(volume) = volumes.iter().find(|volume| volume["name"] == *name) else {
            assert_eq!(set["spec"]["volumeClaimTemplates"][0]["metadata"]["name"], *name);
            container.volume(at);
            continue;
        };
        if volume["configMap"]["name"] == settings["metadata"]["name"] {
            for (file, content) in settings["data"].as_object().expect("files") {
                container.file(&format!("{at}/{file}"), content.as_str().expect("a text"));
            }
        } else {
            assert!(
                comment.contains(&format!(
                    "generic {} ",
                    volume["secret"]["secretName"].as_str().expect("a name")
                ))
            );
            for (key, content) in &keys {
                container.secret(&format!("{at}/{key}"), content);
            }
        }
    }
    let words: Vec<&str> = main["args"].as_array().expect("words").iter().filter_map(Value::as_str).collect();
    container.start(&words);
    works(&mut container, &receiver).await;

    let port = main["ports"][0]["containerPort"].as_u64().expect("a port");
    assert_eq!(image.port, Some(port), "the image exposes it");
    assert!(
        settings["data"]["forgebell.toml"].as_str().is_some_and(|text| text.contains(&format!(":{port}\"")))
    );
    for probe in ["livenessProbe", "readinessProbe", "startupProbe"] {
        let path = main[probe]["httpGet"]["path"].as_str().expect("a path");
        assert_eq!(container.get(path).await.map(|(status, _)| status), Some(200), "{probe}");
    }
    let shutdown =
        forgebell::config::Config::load(forgebell::config::Sources::default()).expect("the defaults");
    let grace = spec["terminationGracePeriodSeconds"].as_u64().expect("seconds");
    assert!(grace > shutdown.delivery.shutdown_timeout.as_secs() + 5);
}

/// What systemd itself says of the unit.
#[test]
fn systemd_accepts_the_unit_and_finds_little_exposed() {
    let unit = repository("deploy/forgebell.service");
    let folder = tempfile::tempdir().expect("a temporary folder");
    // The program is not installed here.
    let copy = folder.path().join("forgebell.service");
    let program = env!("CARGO_BIN_EXE_forgebell");
    let literal = std::fs::read_to_string(&unit).expect("the unit");
    std::fs::write(&copy, literal.replace("/usr/bin/forgebell", program)).expect("ours");
    let analyze = |words: &[&str]| {
        let ran = std::process::Command::new("systemd-analyze").args(words).output();
        let ran = ran.expect("systemd-analyze is installed (Debian's package is systemd)");
        let said = String::from_utf8_lossy(&ran.stdout).into_owned() + &String::from_utf8_lossy(&ran.stderr);
        (ran.status.success(), said)
    };
    let (accepted, said) = analyze(&["verify", "--man=no", "--generators=no", copy.to_str().expect("words")]);
    assert!(accepted && !said.contains("forgebell.service"), "{said}");
    let (ran, said) = analyze(&["security", "--offline=true", copy.to_str().expect("words")]);
    let level =
        said.split("exposure level for forgebell.service: ").nth(1).and_then(|rest| rest.split(' ').next());
    let level: f32 = level.and_then(|level| level.parse().ok()).unwrap_or_else(|| panic!("{ran}: {said}"));
    assert!(level <= 1.5, "{level}: {said}");
}

use std::net::SocketAddr;

use super::*;

/// What a load says with this file's text, these variables and these options.
fn load(text: &str, environment: &[(&str, &str)], options: &[&str]) -> Result<Config, Vec<String>> {
    let file = tempfile::NamedTempFile::with_suffix(".toml").expect("a file");
    std::fs::write(&file, text).expect("a written file");
    let sources = Sources {
        file: Some(file.path().to_owned()),
        environment: environment.iter().map(|(name, value)| (name.into(), value.into())).collect(),
        options: options.iter().map(ToString::to_string).collect(),
    };
    let name = file.path().display().to_string();
    Config::load(sources)
        .map_err(|errors| errors.0.iter().map(|error| error.to_string().replace(&name, "FILE")).collect())
}

fn errors(text: &str) -> Vec<String> {
    load(text, &[], &[]).expect_err("mistakes")
}

#[test]
fn the_defaults_are_a_configuration() {
    let config = Config::load(Sources::default()).expect("defaults without a mistake");
    assert_eq!(config.http.listen, SocketAddr::from(([127, 0, 0, 1], 8090)));
    assert!(!config.amqp.enabled && config.amqp.url.is_blank() && config.amqp.ca_file.is_none());
    assert!(config.http.signing_keys.is_none());
    assert!(config.http.webhook_token.is_none(), "an empty token is none, not one that is empty");
    assert!(config.max_age.is_empty() && config.provision.files.is_empty());
    assert!(config.service_hosts.is_empty());
    assert_eq!(config.delivery.shutdown_timeout, Duration::from_secs(20));
}

#[test]
fn the_wires_own_defaults_are_the_documented_ones() {
    let config = Config::load(Sources::default()).expect("defaults without a mistake");
    let mut wire = config.wire;
    assert_eq!(std::mem::take(&mut wire.smtp.mail_domain), "localhost", "filled in from mail.from");
    assert_eq!(wire, Wire::default());
    assert_eq!(config.rate_limits, crate::wire::pace::Config::default());
}

#[test]
fn a_connection_is_kept_for_each_attempt_unless_another_number_is_set() {
    let kept = |options: &[&str]| {
        let options: Vec<String> = options.iter().map(ToString::to_string).collect();
        Config::load(Sources::for_tests(&options)).expect("no mistake").wire.idle_per_host
    };
    assert_eq!(kept(&["delivery.concurrency=40"]), 40);
    assert_eq!(kept(&["delivery.concurrency=40", "wire.idle_per_host=7"]), 7);
}

#[test]
fn every_key_and_section_is_explained() {
    let mut before = "";
    for line in DEFAULT.lines() {
        let is_key = !line.starts_with('#') && line.contains('=');
        assert!(!is_key || before.starts_with("# "), "no comment above: {line}");
        assert!(line.len() <= 120, "too long: {line}");
        before = line;
    }
    assert!(DEFAULT.lines().filter(|line| line.starts_with('[')).count() >= 11);
}

#[test]
fn later_sources_go_before_earlier_ones() {
    let text =
        "[http]\nlisten = '127.0.0.1:1'\nbody_limit = 1\n[node]\nname = 'file'\n[log]\nfilter = 'debug'";
    let environment = [("FORGEBELL__HTTP__LISTEN", "127.0.0.1:2"), ("FORGEBELL__NODE__NAME", "environment")];
    let config = load(text, &environment, &["http.listen=127.0.0.1:3"]).expect("no mistake");
    assert_eq!(config.http.listen.port(), 3);
    assert_eq!(config.node.name, "environment");
    assert_eq!((config.log.filter.as_str(), config.http.body_limit), ("debug", 1));
    assert_eq!(config.http.body_timeout, Duration::from_secs(10), "a key that is not named has its default");
}

#[test]
fn texts_are_read_as_what_the_setting_is() {
    let environment = [
        ("FORGEBELL__AMQP__ENABLED", "yes"),
        ("FORGEBELL__AMQP__URL", "amqp://bell:a=b@broker/%2f"),
        ("FORGEBELL__AMQP__PREFETCH", "7"),
        ("FORGEBELL__AMQP__ROUTING_KEYS", "push.#, issue.#"),
        ("FORGEBELL__RATE_LIMITS__SCALE", "2"),
        ("FORGEBELL__MAX_AGE__MICROSOFT_TEAMS", "1h 30m"),
        ("FORGEBELL_CONFIG", "not ours to read"),
        ("OTHER", "nor this"),
    ];
    let options = [
        "wire.allow_networks=10.0.0.0/8,fd00::/8",
        "http.trusted_proxies=10.0.0.5/32",
        "wire.ca_file=/etc/ca.pem",
        "log.format=json",
        "service_hosts.discord=discordapp.com, 127.0.0.1",
        "provision.files=[\"/a, b.toml\"]",
    ];
    let config = load("", &environment, &options).expect("no mistake");
    assert!(config.amqp.enabled);
    assert_eq!(config.amqp.url.expose(), "amqp://bell:a=b@broker/%2f");
    assert_eq!(config.amqp.prefetch, 7);
    assert_eq!(config.amqp.routing_keys, ["push.#", "issue.#"]);
    assert!((config.rate_limits.scale - 2.0).abs() < f64::EPSILON);
    assert_eq!(config.max_age["microsoft-teams"], Duration::from_secs(5400));
    assert_eq!(config.service_hosts["discord"], ["discordapp.com", "127.0.0.1"]);
    assert_eq!(config.wire.allow_networks.len(), 2);
    assert_eq!(config.http.trusted_proxies.len(), 1);
    assert_eq!(config.provision.files, [PathBuf::from("/a, b.toml")]);
    assert_eq!(config.wire.ca_file, Some(PathBuf::from("/etc/ca.pem")));
    assert_eq!(format!("{:?}", config.log.format), "Json");
}

#[test]
fn all_mistakes_are_told_at_once_each_with_its_place_and_a_way_out() {
    let text = r#"
listen = "127.0.0.1:1"
[htpp]
listen = "127.0.0.1:1"
[http]
listen = "localhost"
body_limits = 5
body_limit = "much"
metrics = 1
prefetch = 5
[amqp]
prefetch = 70000
queue_type = "Quorum"
routing_keys = []
[delivery]
lesae = "1m"
lease = "1 moment"
shutdown_timeout = 20
[wire]
allow_networks = ["10.0.0.0/8", "10.0.0.1/99"]
[max_age]
slack = "soon"
[store]
sweep_every = "0s"
[service_hosts]
discord = "https://discordapp.com"
"#;
    let environment = [("FORGEBELL__RETRY__MULTIPLIER", "0.5"), ("FORGEBELL__LOG__FORMAT", "xml")];
    let mut errors_found = load(text, &environment, &["retry.max", "node.name="]).expect_err("mistakes");
    errors_found.sort();
    let errors_found = errors_found.join("\n");
    for part in [
        "FILE:2: listen: there is no such section; did you mean http.listen?",
        "FILE:4: htpp: there is no such section; did you mean [http]?",
        r#"FILE:6: http.listen = "localhost": invalid socket address syntax (the default is "127.0.0.1:8090")"#,
        "FILE:7: http.body_limits: there is no such setting; did you mean http.body_limit?",
        r#"FILE:8: http.body_limit = "much": must be a whole number (the default is 10485760)"#,
        "FILE:9: http.metrics = 1: must be true or false (the default is true)",
        "FILE:10: http.prefetch: there is no such setting; did you mean amqp.prefetch?",
        "FILE:12: amqp.prefetch = 70000: integer `70000`, expected 0 to 65535 (the default is 512)",
        r#"FILE:13: amqp.queue_type = "Quorum": unknown variant `Quorum`, expected `quorum` or `classic`"#,
        "FILE:16: delivery.lesae: there is no such setting; did you mean delivery.lease?",
        r#"FILE:17: delivery.lease = "1 moment": is no duration; they are written "300ms", "10s""#,
        r#"FILE:18: delivery.shutdown_timeout = 20: must be a text, in quotes (the default is "20s")"#,
        r#"FILE:20: wire.allow_networks = ["10.0.0.0/8", "10.0.0.1/99"]: "#,
        r#"FILE:22: max_age.slack = "soon": is no duration; "#,
        r#"FILE:24: store.sweep_every = "0s": must be above 0 (the default is "10m")"#,
        r#"FILE:26: service_hosts.discord = "https://discordapp.com": must be hosts without scheme, port and path"#,
        r#"FORGEBELL__RETRY__MULTIPLIER: retry.multiplier = "0.5": must be 1 or more (the default is 3.2)"#,
        r#"FORGEBELL__LOG__FORMAT: log.format = "xml": unknown variant `xml`, expected `human` or `json`"#,
        "the command line: an option has no `=`",
        r#"the command line: node.name = "": must not be empty (the default is "forgebell")"#,
    ] {
        assert!(errors_found.contains(part), "{part}\nis not among\n{errors_found}");
    }
    assert_eq!(errors_found.lines().count(), 20, "{errors_found}");
}

#[test]
fn secrets_are_read_from_files() {
    let secret = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(&secret, " t0psecret \r\n").expect("a written file");
    let path = secret.path().display();
    let config = load(&format!("[http]\nwebhook_token_file = '{path}'"), &[], &[]).expect("no mistake");
    assert_eq!(config.http.webhook_token.expect("a token").expose(), " t0psecret ");

    let both = format!("[http]\nwebhook_token = 'x'\nwebhook_token_file = '{path}'");
    let errors_found = errors(&both);
    assert!(
        errors_found[0].contains("http.webhook_token is set as well") && errors_found.len() == 1,
        "{errors_found:?}"
    );
    // What a file sets, the environment can unset.
    assert!(load(&both, &[("FORGEBELL__HTTP__WEBHOOK_TOKEN", "")], &[]).is_ok());

    let key = format!("whsec_{}=", "A".repeat(43));
    std::fs::write(&secret, format!("{key}\n{key}\n")).expect("a written file");
    let config = load(&format!("[http]\nwebhook_signing_key_file = '{path}'"), &[], &[]).expect("no mistake");
    assert!(config.http.signing_keys.is_some() && config.http.webhook_token.is_none());

    let errors_found = errors("[amqp]\nenabled = true\nurl_file = '/nowhere/url'");
    assert!(
        errors_found[0].starts_with("FILE:3: amqp.url_file = \"/nowhere/url\": cannot be read: "),
        "{errors_found:?}"
    );

    std::fs::write(&secret, "\n").expect("a written file");
    let errors_found = errors(&format!("[amqp]\nurl_file = '{path}'"));
    assert!(errors_found[0].ends_with("the file is empty"), "{errors_found:?}");
}

#[test]
fn sealing_keys_are_given_themselves_or_in_files() {
    let key = |byte: u8| format!("{}=", char::from(byte).to_string().repeat(43));
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(&file, format!("{}\n{}\n", key(b'E'), key(b'I'))).expect("a written file");
    let path = file.path().display();
    let config = load(&format!("[secrets]\nkey = '{}'\nold_keys_file = '{path}'", key(b'A')), &[], &[]);
    let secrets = config.expect("no mistake").secrets;
    assert_eq!(secrets.key.expect("a key").text().expose(), key(b'A'));
    let old: Vec<_> = secrets.old_keys.iter().map(|key| key.text().expose().to_owned()).collect();
    assert_eq!(old, [key(b'E'), key(b'I')]);
    let none = load("", &[], &[]).expect("no mistake").secrets;
    assert!(none.key.is_none() && none.old_keys.is_empty());

    let wrong = "[secrets]\nkey = 't0psecret'\nold_keys = ['t0psecret']";
    let errors_found = errors(wrong).join("\n");
    assert!(!errors_found.contains("t0psecret"), "{errors_found}");
    for (line, key) in [(2, "key"), (3, "old_keys")] {
        let problem = format!("FILE:{line}: secrets.{key}: is no key: it must be 32 bytes in base64");
        assert!(errors_found.contains(&problem), "{errors_found}");
    }
    let both = format!("[secrets]\nold_keys = ['{}']\nold_keys_file = '{path}'", key(b'A'));
    assert!(errors(&both)[0].contains("secrets.old_keys is set as well"));
}

#[test]
fn no_secret_is_told() {
    let cases = [
        "[amqp]\nurl = 'http://bell:t0psecret@broker'",
        "[amqp]\nurl = ['amqp://bell:t0psecret@broker']",
        "[amqp]\nulr = 'amqp://bell:t0psecret@broker'",
        "[amqp]\nurl = amqp://bell:t0psecret@broker",
        "[http]\nwebhook_token = 't0psecret\n",
        "[http]\nwebhook_token = { t0psecret = 1 }",
        "webhook_token = 't0psecret'",
        "[http]\nwebhook_signing_key = 't0psecret'",
    ];
    for case in cases {
        let errors_found = errors(case).join("\n");
        assert!(!errors_found.contains("t0psecret"), "{errors_found}");
        assert!(errors_found.starts_with("FILE:"), "{errors_found}");
    }
    let errors_found = load("", &[], &["t0psecret"]).expect_err("mistakes").join("\n");
    assert!(!errors_found.contains("t0psecret"), "{errors_found}");
    let errors_found = errors("[http]\nwebhook_signing_key = 't0psecret'").join("\n");
    assert!(
        errors_found.starts_with("FILE:2: http.webhook_signing_key: must be signing tokens"),
        "{errors_found}"
    );
    let errors_found = errors("[http]\nwebhook_token = 12345").join("\n");
    assert_eq!(errors_found, "FILE:2: http.webhook_token: must be a text, in quotes");
}

#[test]
fn a_broker_that_is_wanted_must_be_named() {
    let errors_found = errors("[amqp]\nenabled = true");
    assert_eq!(errors_found, ["amqp.url: is needed, since amqp.enabled is true; set it, or amqp.url_file"]);
}

#[test]
fn a_list_that_is_none_is_told() {
    let errors_found = load("", &[], &["provision.files=[1, 2]"]).expect_err("a mistake");
    assert_eq!(
        errors_found,
        [r#"the command line: provision.files = "[1, 2]": must be a list of texts: ["one", "two"]"#]
    );
    assert_eq!(errors("[amqp]\nrouting_keys = ['a', 1]").len(), 1);
}

#[test]
fn a_value_where_a_section_should_be_is_told() {
    assert_eq!(errors("http = 'x'"), ["FILE:1: http: is a section: its keys go under [http]"]);
}

#[test]
fn who_may_not_read_a_file_is_told_as_whom_to_run_the_command() {
    let of = |kind| layers::unreadable(&std::io::Error::from(kind));
    let denied = of(std::io::ErrorKind::PermissionDenied);
    assert!(
        denied.contains("run the command as the daemon's user (`sudo -u forgebell forgebell …`)"),
        "{denied}"
    );
    assert!(!of(std::io::ErrorKind::NotFound).contains("sudo"));
}

#[test]
fn a_file_that_is_not_there_or_no_toml_is_told() {
    let sources = Sources { file: Some("/nowhere/forgebell.toml".into()), ..Sources::default() };
    let errors_found = Config::load(sources).expect_err("a mistake").to_string();
    assert!(
        errors_found
            .starts_with("the configuration has a mistake:\n  /nowhere/forgebell.toml: cannot be read: "),
        "{errors_found}"
    );
    let errors_found = errors("[http]\nlisten == 1");
    assert!(errors_found[0].starts_with("FILE:2: is not TOML: "), "{errors_found:?}");
}

#[test]
fn the_systems_proxies_are_told_to_the_guard() {
    let environment = [
        ("HTTPS_PROXY", "http://bell:pw@Proxy.corp:3128"),
        ("http_proxy", "10.0.0.1:8080"),
        ("NO_PROXY", "x"),
    ];
    let config = load("", &environment, &[]).expect("no mistake");
    assert_eq!(config.wire.proxy_hosts, ["proxy.corp", "10.0.0.1"]);
    let config = load("[wire]\nsystem_proxy = false", &environment, &[]).expect("no mistake");
    assert!(config.wire.proxy_hosts.is_empty());
}

/// Only the daemon may read the files of its secrets. Commands that need none of them work for others too.
#[test]
fn a_command_fails_only_over_secrets_that_it_needs() {
    let text = "http.webhook_token_file = \"/nonexistent/token\"\n\
                [amqp]\nenabled = true\nurl_file = \"/nonexistent/url\"\n\
                [smtp]\nusername = \"bell\"\npassword_file = \"/nonexistent/password\"\n";
    let load_for = |needed: &[&str]| {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("forgebell.toml");
        std::fs::write(&file, text).unwrap();
        Config::load_for(Sources { file: Some(file), ..Sources::default() }, needed)
    };
    let config = load_for(&["store", "secrets"]).expect("none of these is needed");
    assert!(config.amqp.enabled && config.http.webhook_token.is_none());
    let keys =
        |errors: ConfigErrors| -> Vec<String> { errors.iter().map(|error| error.key.clone()).collect() };
    assert_eq!(keys(load_for(&["amqp"]).unwrap_err()), ["amqp.url_file"]);
    assert_eq!(
        keys(load_for(&["http", "smtp"]).unwrap_err()),
        ["http.webhook_token_file", "smtp.password_file"]
    );
}

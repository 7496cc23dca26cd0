//! What a request makes of what holds, after GitLab's rules.

use super::*;
use crate::adapters::Entry;
use crate::catalog::change::{self, InvalidChange, Request};
use crate::catalog::{PermittedHosts, ResolvedScope, UrlPolicy};
use crate::settings::{Field, Kind, Properties, Secret, SmallMap};

fn entry() -> &'static Entry {
    adapters::find("slack").unwrap()
}

fn rocket() -> ResolvedScope {
    ResolvedScope::Project { id: Some(42), path: Some("acme/web/rocket".to_owned()) }
}

fn request(settings: &[(&str, &str)]) -> Request {
    let settings =
        settings.iter().map(|(name, value)| ((*name).to_owned(), Value::Text((*value).to_owned())));
    Request { settings: settings.collect(), ..Request::default() }
}

fn put(snapshot: &Snapshot, request: &Request) -> Result<Configuration, InvalidChange> {
    change::put(entry(), snapshot.inheritance(&rocket(), "slack"), request, &UrlPolicy::allow_all())
}

fn own(configuration: Configuration) -> Snapshot {
    rows(vec![row(ScopeKey::Project(42), configuration)])
}

fn text<'a>(configuration: &'a Configuration, name: &str) -> Option<&'a Value> {
    configuration.properties.get(name)
}

#[test]
fn a_put_activates_and_keeps_the_settings_that_it_does_not_name() {
    let before = inactive(slack(&[("channel", "#ops"), ("username", "bell")]));
    let mut asked =
        request(&[("webhook", "https://hooks.slack.com/services/T0/B0/n3w"), ("channel", "#dev")]);
    asked.flags = SmallMap::from([("push_events".to_owned(), false)]);
    let after = put(&own(before), &asked).unwrap();
    assert!(after.active && !after.inherits);
    assert_eq!(text(&after, "channel"), Some(&Value::Text("#dev".to_owned())));
    assert_eq!(text(&after, "username"), Some(&Value::Text("bell".to_owned())));
    assert_eq!(after.secrets["webhook"], Secret::new("https://hooks.slack.com/services/T0/B0/n3w"));
    assert_eq!(after.flags, SmallMap::from([("push_events".to_owned(), false)]));
    assert!(!after.properties.contains_key("webhook"));
}

#[test]
fn a_put_where_the_default_is_gone_sets_the_integrations_own_settings() {
    let asked = request(&[("webhook", "https://hooks.slack.com/services/T0/B0/n3w")]);
    let after = put(&own(Configuration::following()), &asked).unwrap();
    assert!(after.active && !after.inherits, "{after:?}");
    assert!(after.secrets.contains_key("webhook"));
}

#[test]
fn an_address_is_at_the_services_host_or_at_one_that_the_operator_permits() {
    let discord = adapters::find("discord").unwrap();
    let at = |host: &str| format!("{host}/api/webhooks/1/s3cret");
    let put = |before: &Snapshot, permitted: &[&str], webhook: &str| {
        let permitted = permitted.iter().map(ToString::to_string).collect();
        let policy = UrlPolicy::new(|_| None, [("discord".to_owned(), permitted)].into());
        let inheritance = before.inheritance(&rocket(), "discord");
        change::put(discord, inheritance, &request(&[("webhook", webhook)]), &policy)
    };
    let nothing = rows(Vec::new());
    assert!(put(&nothing, &[], &at("https://discord.com")).is_ok());
    assert!(put(&nothing, &[], &at("https://Discord.COM:443")).is_ok());
    for elsewhere in [at("https://discordapp.com"), at("http://discord.com"), at("http://127.0.0.1:80")] {
        let Err(InvalidChange::Settings(errors)) = put(&nothing, &[], &elsewhere) else {
            panic!("{elsewhere}")
        };
        assert_eq!(errors[0].to_string(), "webhook: URL must point to discord.com");
    }
    assert!(put(&nothing, &["discordapp.com"], &at("https://discordapp.com")).is_ok());
    assert!(put(&nothing, &["127.0.0.1"], &at("http://127.0.0.1:80")).is_ok());
    assert!(put(&nothing, &["127.0.0.1"], &at("https://discordapp.com")).is_err());

    // An address from before the rule goes on working while it stays as it is.
    let stored = |active: bool| {
        let mut stored = Configuration { active, ..Configuration::default() };
        stored.secrets.insert("webhook".to_owned(), Secret::new(at("https://discordapp.com")));
        let row = row(ScopeKey::Project(42), stored);
        rows(vec![StoredIntegration { slug: "discord".to_owned(), ..row }])
    };
    assert!(put(&stored(true), &[], &at("https://discordapp.com")).is_ok());
    assert!(put(&stored(true), &[], &at("https://discordapp.com/v10")).is_err());
    assert!(put(&stored(false), &[], &at("https://discordapp.com")).is_err());
}

#[test]
fn a_forbidden_address_can_not_be_set() {
    let blocks = |url: &url::Url| (url.port() == Some(81)).then_some("Requests to port 81 are not allowed");
    let blocks = UrlPolicy::new(blocks, PermittedHosts::new());
    let put = |before: &Snapshot, asked: &Request| {
        change::put(entry(), before.inheritance(&rocket(), "slack"), asked, &blocks)
    };
    let asked =
        request(&[("webhook", "https://chat.example:81/s3cret"), ("labels_to_be_notified_behavior", "x")]);
    let Err(InvalidChange::Settings(errors)) = put(&rows(Vec::new()), &asked) else {
        panic!("the change was accepted")
    };
    let messages: Vec<_> = errors.iter().map(ToString::to_string).collect();
    assert_eq!(
        messages,
        [
            "labels_to_be_notified_behavior: is not included in the list",
            "webhook: is blocked: Requests to port 81 are not allowed"
        ]
    );
    assert!(put(&rows(Vec::new()), &request(&[("webhook", "https://chat.example:82/x")])).is_ok());
    // An inherited integration needs no address of its own, and settings that are sent are ignored.
    let default = rows(vec![row(ScopeKey::Instance, slack(&[]))]);
    assert!(put(&default, &asked).is_ok_and(|next| next.inherits));
    // An address that was set while it was permitted is reported at the next change of any setting.
    let mut before = slack(&[]);
    before.secrets.insert("webhook".to_owned(), Secret::new("https://chat.example:81/s3cret"));
    assert!(put(&own(before), &request(&[("channel", "#ops")])).is_err());
}

#[test]
fn all_errors_are_reported_together() {
    let asked = request(&[("webhook", "ftp://x"), ("labels_to_be_notified_behavior", "match_some")]);
    let Err(InvalidChange::Settings(errors)) = put(&rows(Vec::new()), &asked) else {
        panic!("the change was accepted")
    };
    let fields: Vec<_> = errors.iter().map(|error| error.field.as_str()).collect();
    assert_eq!(fields, ["webhook", "labels_to_be_notified_behavior"]);
}

#[test]
fn the_mask_keeps_the_stored_secret() {
    let asked = request(&[("webhook", Secret::MASK), ("channel", "#dev")]);
    assert_eq!(put(&own(slack(&[])), &asked).unwrap().secrets["webhook"], Secret::new(HOOK));
    assert!(put(&rows(Vec::new()), &asked).is_err());
}

#[test]
fn an_inheriting_integration_inherits_until_it_is_changed() {
    let default = row(ScopeKey::Instance, slack(&[("channel", "#all")]));
    let follows = rows(vec![default.clone(), row(ScopeKey::Project(42), following())]);
    let asked = request(&[("webhook", HOOK), ("channel", "#mine")]);
    assert_eq!(put(&follows, &asked).unwrap(), following());
    // In GitLab, every project below an active default has a row that follows it.
    assert_eq!(put(&rows(vec![default]), &asked).unwrap(), following());
    let own = Request { use_inherited_settings: Some(false), ..asked };
    let after = put(&follows, &own).unwrap();
    assert_eq!(text(&after, "channel"), Some(&Value::Text("#mine".to_owned())));
    assert!(!after.inherits);
}

#[test]
fn a_default_can_be_inherited_only_if_there_is_one() {
    let follow = Request { use_inherited_settings: Some(true), ..request(&[("channel", "#ignored")]) };
    assert_eq!(put(&own(slack(&[])), &follow), Err(InvalidChange::NoDefault));
    let group = row(ScopeKey::Group(GroupKey(1)), slack(&[]));
    assert_eq!(put(&rows(vec![group]), &follow).unwrap(), following());
}

#[test]
fn an_integration_that_stops_inheriting_keeps_no_secrets_of_the_default() {
    let default = row(ScopeKey::Instance, slack(&[]));
    let follows = rows(vec![default, row(ScopeKey::Project(42), following())]);
    let own = Request { use_inherited_settings: Some(false), ..request(&[("channel", "#mine")]) };
    let Err(InvalidChange::Settings(errors)) = put(&follows, &own) else { panic!("the change was accepted") };
    assert_eq!(errors[0].to_string(), "webhook: is missing");
}

#[test]
fn an_inactive_integration_keeps_its_settings_and_inherits_no_default() {
    let before = slack(&[("channel", "#ops")]);
    let snapshot = own(before.clone());
    let after = change::deactivate(snapshot.inheritance(&rocket(), "slack")).unwrap();
    assert_eq!(after, inactive(before));
    let inherited = rows(vec![row(ScopeKey::Instance, slack(&[]))]);
    let after = change::deactivate(inherited.inheritance(&rocket(), "slack")).unwrap();
    assert_eq!(after, Configuration::default());
    assert_eq!(change::deactivate(rows(Vec::new()).inheritance(&rocket(), "slack")), None);
}

/// HipChat's `server` is where its token is sent.
mod guarded {
    use super::*;

    fn hipchat(settings: &[(&str, &str)]) -> StoredIntegration {
        let mut configuration = Configuration { active: true, ..Configuration::default() };
        let settings: Properties = request(settings).settings;
        sort_secrets(adapters::find("hipchat").unwrap(), settings, &mut configuration);
        StoredIntegration { slug: "hipchat".to_owned(), ..row(ScopeKey::Project(42), configuration) }
    }

    fn put(before: StoredIntegration, asked: &Request) -> Result<Configuration, InvalidChange> {
        let snapshot = rows(vec![before]);
        change::put(
            adapters::find("hipchat").unwrap(),
            snapshot.inheritance(&rocket(), "hipchat"),
            asked,
            &UrlPolicy::allow_all(),
        )
    }

    const TOKEN: (&str, &str) = ("token", "t0ken");
    const ROOM: (&str, &str) = ("room", "ops");

    #[test]
    fn a_secret_does_not_follow_its_address_to_another_host() {
        let before = || hipchat(&[TOKEN, ROOM, ("server", "https://chat.example.com")]);
        for server in [
            "https://evil.example.com",
            "http://chat.example.com",
            "https://chat.example.com:8443",
            "https://chat.example.com.evil.example.com/",
            "",
        ] {
            let Err(InvalidChange::Settings(errors)) = put(before(), &request(&[("server", server)])) else {
                panic!("{server:?} was taken");
            };
            assert_eq!(errors[0].to_string(), "token: is missing", "{server:?}");
        }
        let moved =
            put(before(), &request(&[("server", "https://new.example.com"), ("token", "again")])).unwrap();
        assert_eq!(moved.secrets["token"], Secret::new("again"));
    }

    #[test]
    fn the_mask_does_not_keep_the_secret_for_another_host() {
        let before = hipchat(&[TOKEN, ROOM, ("server", "https://chat.example.com")]);
        let asked = request(&[
            ("token", crate::settings::Secret::MASK),
            ROOM,
            ("server", "https://evil.example.com"),
        ]);
        assert!(
            put(before, &asked).is_err(),
            "the token is missing, so the request does not prove knowledge of it"
        );
    }

    #[test]
    fn a_self_hosted_service_is_another_host_than_the_vendors() {
        let asked = request(&[("server", "https://evil.example.com")]);
        assert!(put(hipchat(&[TOKEN, ROOM]), &asked).is_err());
    }

    #[test]
    fn another_path_on_the_same_host_keeps_the_secret() {
        let before = hipchat(&[TOKEN, ROOM, ("server", "https://chat.example.com")]);
        let after = put(before, &request(&[("server", "https://CHAT.example.com:443/base")])).unwrap();
        assert_eq!(after.secrets["token"], Secret::new("t0ken"));
    }

    /// Of every adapter, also those that are added later: an address that is set, changed or removed.
    #[test]
    fn no_secret_follows_any_address_of_any_adapter() {
        let mut tried = Vec::new();
        for entry in adapters::ADAPTERS {
            let is_guarded = |kind: Kind| matches!(kind, Kind::Secret | Kind::Addresses | Kind::Base);
            let guarded: Vec<_> = entry.fields.iter().filter(|field| is_guarded(field.kind)).collect();
            let is_place = |kind: Kind| matches!(kind, Kind::Url | Kind::InternalUrl | Kind::Host);
            let urls = entry.fields.iter().filter(|field| is_place(field.kind));
            for url in urls.filter(|_| !guarded.is_empty()) {
                let elsewhere = match url.kind {
                    Kind::Host => "elsewhere.com",
                    _ => "https://elsewhere.example",
                };
                for (before, after) in
                    [(None, elsewhere), (Some(url.example), elsewhere), (Some(elsewhere), "")]
                {
                    let examples = entry.fields.iter().filter(|field| field.name != url.name);
                    let examples = examples.map(|field| (field.name, field.example));
                    let settings: Vec<_> = examples.chain(before.map(|before| (url.name, before))).collect();
                    let mut stored = Configuration { active: true, ..Configuration::default() };
                    sort_secrets(entry, request(&settings).settings, &mut stored);
                    assert!(guarded.iter().all(|field| stored.secrets.contains_key(field.name)));
                    let slug = entry.about.slug;
                    let row = row(ScopeKey::Project(42), stored);
                    let snapshot = rows(vec![StoredIntegration { slug: slug.to_owned(), ..row }]);
                    let inheritance = snapshot.inheritance(&rocket(), slug);
                    let changed = change::put(
                        entry,
                        inheritance,
                        &request(&[(url.name, after)]),
                        &UrlPolicy::allow_all(),
                    );
                    match changed {
                        Ok(next) => {
                            let kept = guarded.iter().find(|field| next.secrets.contains_key(field.name));
                            assert!(kept.is_none(), "{slug}: {before:?} -> {after:?} keeps {kept:?}");
                        }
                        Err(InvalidChange::Settings(errors)) => {
                            // A required secret is missing; or the address is, and everything is refused.
                            let is_named =
                                |field: &Field| errors.iter().any(|error| error.field == field.name);
                            let is_refused = guarded.iter().any(|field| is_named(field)) || is_named(url);
                            assert!(is_refused, "{slug}: {errors:?}");
                        }
                        Err(InvalidChange::NoDefault) => panic!("{slug}: nothing was said of defaults"),
                    }
                }
                tried.push((entry.about.slug, url.name));
            }
        }
        for place in [("hipchat", "server"), ("datadog", "datadog_site"), ("irker", "server_host")] {
            assert!(tried.contains(&place), "{tried:?}");
        }
    }

    /// irkerd gets the channels with their keys, so a person who may set its host could send the keys to another host.
    #[test]
    fn addresses_with_keys_in_them_do_not_follow_to_another_host() {
        let recipients = "irc://irc.example.net/ops?key=opensesame";
        let put = |asked: &[(&str, &str)]| put_irker(&[("recipients", recipients)], asked);
        let Err(InvalidChange::Settings(errors)) =
            put(&[("server_host", "evil.example.com"), ("recipients", Secret::MASK)])
        else {
            panic!("the change was accepted");
        };
        assert_eq!(errors[0].to_string(), "recipients: is missing");
        let moved = [("server_host", "irkerd.example.com"), ("recipients", recipients)];
        assert_eq!(put(&moved).unwrap().secrets["recipients"], Secret::new(recipients));
        let same = [("server_port", "6660"), ("recipients", Secret::MASK)];
        assert_eq!(put(&same).unwrap().secrets["recipients"], Secret::new(recipients));
    }

    /// A room that is a name alone is looked for on the default server, with its key.
    #[test]
    fn keys_of_rooms_do_not_follow_to_another_default_server() {
        let (recipients, server) = ("#ops?key=opensesame", "irc://bell:pa55@irc.example.net/");
        let before = [("recipients", recipients), ("default_irc_uri", server)];
        let put = |asked: &[(&str, &str)]| put_irker(&before, asked);
        for elsewhere in ["irc://irc.evil.example/", "ircs://bell:pa55@irc.example.net/", "irc://x"] {
            let moved = put(&[("default_irc_uri", elsewhere), ("recipients", Secret::MASK)]);
            let Err(InvalidChange::Settings(errors)) = moved else { panic!("{elsewhere} was taken") };
            assert_eq!(errors[0].to_string(), "recipients: is missing");
            let anew = put(&[("default_irc_uri", elsewhere), ("recipients", recipients)]).unwrap();
            assert_eq!(anew.secrets["recipients"], Secret::new(recipients));
        }
        for there in [server, Secret::MASK] {
            let after = put(&[("default_irc_uri", there), ("recipients", Secret::MASK)]).unwrap();
            assert_eq!(after.secrets["recipients"], Secret::new(recipients), "{there}");
            assert_eq!(after.secrets["default_irc_uri"], Secret::new(server), "{there}");
        }
        // Nor does the server's password, to another irkerd.
        let moved = [("server_host", "irkerd.example.com"), ("recipients", "irc://irc.example.org/ops")];
        assert!(!put(&moved).unwrap().secrets.contains_key("default_irc_uri"));
    }

    fn put_irker(before: &[(&str, &str)], asked: &[(&str, &str)]) -> Result<Configuration, InvalidChange> {
        let irker = adapters::find("irker").unwrap();
        let mut stored = Configuration { active: true, ..Configuration::default() };
        sort_secrets(irker, request(before).settings, &mut stored);
        let snapshot =
            rows(vec![StoredIntegration { slug: "irker".to_owned(), ..row(ScopeKey::Project(42), stored) }]);
        change::put(irker, snapshot.inheritance(&rocket(), "irker"), &request(asked), &UrlPolicy::allow_all())
    }

    fn put_jenkins(
        before: &[(&str, &str)],
        asked: &[(&str, &str)],
        url_policy: &UrlPolicy<'_>,
    ) -> Result<Configuration, InvalidChange> {
        let jenkins = adapters::find("jenkins").unwrap();
        let mut stored = Configuration { active: true, ..Configuration::default() };
        sort_secrets(jenkins, request(before).settings, &mut stored);
        let stored = StoredIntegration { slug: "jenkins".to_owned(), ..row(ScopeKey::Project(42), stored) };
        let snapshot = rows(vec![stored]);
        change::put(jenkins, snapshot.inheritance(&rocket(), "jenkins"), &request(asked), url_policy)
    }

    const JENKINS: [(&str, &str); 4] = [
        ("jenkins_url", "https://jenkins.example.com"),
        ("project_name", "rocket"),
        ("username", "ada"),
        ("password", "s3cret"),
    ];

    #[test]
    fn a_user_that_is_blanked_takes_the_password_along() {
        let asked = [JENKINS[0], JENKINS[1], ("username", " ")];
        let after = put_jenkins(&JENKINS, &asked, &UrlPolicy::allow_all()).unwrap();
        assert!(!after.secrets.contains_key("password"));
        let with_password = [JENKINS[0], JENKINS[1], ("username", ""), ("password", "new")];
        assert!(put_jenkins(&JENKINS, &with_password, &UrlPolicy::allow_all()).is_err(), "it needs a user");
        let same = put_jenkins(&JENKINS, &JENKINS[..2], &UrlPolicy::allow_all()).unwrap();
        assert_eq!(same.secrets["password"], Secret::new("s3cret"));
    }

    #[test]
    fn an_address_whose_password_is_masked_keeps_it() {
        let before = [("jenkins_url", "https://ada:s3cret@jenkins.example.com/ci"), JENKINS[1]];
        let shown =
            [("jenkins_url", "https://ada:************@jenkins.example.com/ci"), ("project_name", "other")];
        let after = put_jenkins(&before, &shown, &UrlPolicy::allow_all()).unwrap();
        assert_eq!(after.properties["jenkins_url"].as_text(), before[0].1);
        assert_eq!(after.properties["project_name"].as_text(), "other");
        let elsewhere = [("jenkins_url", "https://ada:************@jenkins.example.com/builds"), JENKINS[1]];
        let after = put_jenkins(&before, &elsewhere, &UrlPolicy::allow_all()).unwrap();
        let whole = "https://ada:s3cret@jenkins.example.com/builds";
        assert_eq!(after.properties["jenkins_url"].as_text(), whole, "another path on the same server");
    }

    #[test]
    fn a_masked_password_is_neither_sent_to_another_place_nor_stored_as_the_password() {
        let before = [("jenkins_url", "https://ada:s3cret@jenkins.example.com/ci"), JENKINS[1]];
        for moved in [
            "https://ada:************@evil.example.com/ci",
            "https://bob:************@jenkins.example.com/ci",
            "http://ada:************@jenkins.example.com/ci",
        ] {
            let asked = [("jenkins_url", moved), JENKINS[1]];
            let Err(InvalidChange::Settings(errors)) = put_jenkins(&before, &asked, &UrlPolicy::allow_all())
            else {
                panic!("{moved} was taken");
            };
            assert_eq!((errors[0].field.as_str(), errors.len()), ("jenkins_url", 1));
        }
        let new = [("jenkins_url", "https://ada:************@jenkins.example.com/ci"), JENKINS[1]];
        assert!(put_jenkins(&[], &new, &UrlPolicy::allow_all()).is_err(), "nothing is stored");
    }

    /// GitLab takes any http address for Jenkins, which is seldom in a public network.
    #[test]
    fn a_private_address_is_saved_where_services_of_ones_own_network_are_usual() {
        let private = [("jenkins_url", "http://10.0.0.5:8080"), JENKINS[1]];
        assert!(
            put_jenkins(&[], &private, &UrlPolicy::new(|_| Some("private"), PermittedHosts::new())).is_ok()
        );
        let Err(InvalidChange::Settings(errors)) =
            put_jenkins(&[], &[("jenkins_url", "ftp://10.0.0.5"), JENKINS[1]], &UrlPolicy::allow_all())
        else {
            panic!("ftp was taken");
        };
        assert_eq!(errors[0].to_string(), "jenkins_url: must be an http or https URL");
        let hipchat = adapters::find("hipchat").unwrap();
        let asked = request(&[("token", "t"), ("room", "r"), ("server", "http://10.0.0.5")]);
        let snapshot = rows(Vec::new());
        let inheritance = snapshot.inheritance(&rocket(), "hipchat");
        assert!(
            change::put(
                hipchat,
                inheritance,
                &asked,
                &UrlPolicy::new(|_| Some("private"), PermittedHosts::new())
            )
            .is_err()
        );
    }
}

//! A store of an earlier version is migrated: nothing in it is lost, and all work continues.
//!
//! The stores in `before_rebuild/` were written by the program whose schema had version 2, those in `before_digests/` by the
//! one that had version 3.

use std::sync::Arc;

use super::fixtures::{Case, Change, at, audit, configuration, delivery, event, from_broker, node, settled};
use super::{Backend, Former};
use crate::event::EventId;
use crate::integration::{Fingerprint, IntegrationId};
use crate::settings::{Secret, SmallMap, Value};
use crate::store::registry::{
    Access, Configuration, Corrected, GroupKey, Learned, Mute, Put, Right, ScopeKey, SeenProject,
    StoredGroup, StoredProject, StoredToken, Visibility,
};
use crate::store::{
    BodyDigest, DeliveryFilter, DeliveryId, Depth, Dispatched, Hold, HoldCause, HoldKey, Ledger, NewState,
    Origin, Outbox, Portion, Quarantine, Registry, Remembered, Retention, Settled, State, token,
};

const SLACK: &str = "acme/web:slack";
const DISCORD: &str = "acme/web:discord";
const MAIL: &str = "acme/web:emails-on-push";

async fn upgraded<B: Backend>() -> Case<B> {
    Case::<B>::restored(Former::BeforeRebuild).await
}

fn ids(numbers: &[i64]) -> Vec<DeliveryId> {
    numbers.iter().copied().map(DeliveryId).collect()
}

pub(super) async fn an_upgraded_store_lists_all_its_deliveries<B: Backend>() {
    let case = upgraded::<B>().await;
    let all = DeliveryFilter { limit: 100, ..Default::default() };
    let mut lines = case.store.deliveries(all).await.unwrap();
    lines.reverse();
    let shown: Vec<_> = lines
        .iter()
        .map(|line| {
            let whose = (&*line.integration.0, &*line.target, &*line.destination);
            (line.id.0, line.event.as_str(), whose, line.state, line.attempts)
        })
        .collect();
    let hooks = "hooks.slack.example";
    let expected = [
        (1, "delivered", (SLACK, "#ops", hooks), State::Delivered, 1),
        (2, "retried", (SLACK, "#ops", hooks), State::Waiting, 2),
        (3, "behind", (SLACK, "#ops", hooks), State::Waiting, 0),
        (4, "leased", ("acme/web:mattermost", "", "chat.example"), State::Waiting, 0),
        (5, "lapsed", (DISCORD, "", "discord.example"), State::Waiting, 0),
        (6, "failed", (SLACK, "#dev", hooks), State::Failed, 1),
        (7, "expired", (SLACK, "#dev", hooks), State::Expired, 1),
        (8, "cancelled", (SLACK, "#dev", hooks), State::Cancelled, 1),
        (9, "resent", (MAIL, "ada@example.com", "mail:example.com"), State::Waiting, 0),
        (10, "held", (MAIL, "bob@example.com", "mail:example.com"), State::Waiting, 1),
        (11, "no channel", (SLACK, "#gone", hooks), State::Waiting, 1),
        (12, "no webhook", (DISCORD, "", "discord.example/1"), State::Failed, 1),
        (13, "no id", (SLACK, "#ops", hooks), State::Delivered, 1),
    ];
    assert_eq!(shown, expected);
    assert!(lines.iter().all(|line| line.trigger.as_deref() == Some("push")));
    assert!(lines.iter().all(|line| line.subject == event("any").subject));
    let settled_at: Vec<_> = lines.iter().filter_map(|line| line.settled_at).collect();
    assert_eq!(settled_at, [at(1), at(16), at(16), at(16), at(26), at(28)]);

    let detail = case.store.delivery(DeliveryId(2)).await.unwrap().unwrap();
    assert_eq!((detail.line.due, detail.line.created_at), (Some(at(600)), at(2)));
    assert_eq!(detail.raw, Some(event("retried").raw));
    let attempts: Vec<_> =
        detail.attempts.iter().map(|(n, tried)| (*n, tried.at, &*tried.outcome, tried.status)).collect();
    assert_eq!(attempts, [(1, at(3), "unavailable", Some(503)), (2, at(11), "unavailable", Some(503))]);
    assert!(
        detail.attempts.iter().all(|(_, tried)| tried.latency_ms == 12 && tried.note.contains("Waiting"))
    );

    let depth =
        Depth { inbox: 2, waiting: 7, oldest_waiting: Some(at(2)), dead_letters: 3, quarantined: 2, held: 3 };
    assert_eq!(case.store.depth(at(1000)).await.unwrap(), depth);
}

pub(super) async fn an_upgraded_store_hands_out_what_waits_in_order<B: Backend>() {
    let case = upgraded::<B>().await;
    let expected =
        [("discord.example", at(14)), ("hooks.slack.example", at(600)), ("mail:example.com", at(2000))];
    let expected = expected.map(|(destination, moment)| (destination.to_owned(), moment));
    assert_eq!(case.waiting(at(1000)).await, expected, "chat.example is leased");

    assert_eq!(case.claim("c", "chat.example", at(1000)).await, []);
    case.store.release_leases(&node("a"), at(1000)).await.unwrap();
    let now = at(1020);
    assert_eq!(case.claim("c", "chat.example", now).await, ids(&[4]), "its node gave the lease back");
    assert_eq!(case.claim("c", "discord.example", now).await, ids(&[5]), "its lease has lapsed");
    let (got, more) = case.claim_some("c", "hooks.slack.example", Portion::rows(9), now).await;
    assert_eq!((got, more), (ids(&[2, 3]), true), "in the order of the lane; 11 waits for its hold");

    case.settle("c", Settled { attempts: 3, ..settled(DeliveryId(2), NewState::Delivered, at(1021)) }).await;
    let detail = case.store.delivery(DeliveryId(2)).await.unwrap().unwrap();
    assert_eq!((detail.line.state, detail.line.attempts), (State::Delivered, 3));
    assert_eq!(detail.attempts.iter().map(|(n, _)| *n).collect::<Vec<_>>(), [1, 2, 3]);

    let claim = crate::store::Claim {
        destinations: vec!["mail:example.com".into()],
        portion: Portion::rows(9),
        lease: super::fixtures::lease("c", at(2000)),
        now: at(2000),
    };
    let claimed = case.store.claim(claim).await.unwrap().remove(0).deliveries;
    let got: Vec<_> = claimed
        .iter()
        .map(|(delivery, event)| (delivery.id.0, delivery.attempts, delivery.fresh_since, &event.raw))
        .collect();
    let (resent, held) = (event("resent").raw, event("held").raw);
    assert_eq!(got, [(9, 0, at(20), &resent), (10, 1, at(-5), &held)], "a resent one is fresh");
}

pub(super) async fn an_upgraded_store_keeps_its_holds<B: Backend>() {
    let case = upgraded::<B>().await;
    let (slack, discord) = (IntegrationId::new(SLACK), IntegrationId::new(DISCORD));
    let mut holds = case.store.holds(at(1000)).await.unwrap();
    holds.sort_by_key(|hold| hold.until);
    let [breaker, route, off] = &holds[..] else { panic!("three holds: {holds:?}") };
    // Version 2 did not say since when, nor from what: this is known since the upgrade.
    let since = breaker.since;
    assert!(since > at(90_000) && holds.iter().all(|hold| hold.since == since));
    let expected = Hold {
        key: HoldKey::Destination("mail:example.com".into()),
        cause: HoldCause::Throttled,
        reason: "connection refused".to_owned(),
        since,
        until: at(2000),
        strikes: 3,
        made_under: None,
    };
    assert_eq!(*breaker, expected);
    let expected = Hold {
        key: HoldKey::Route { integration: slack.clone(), target: "#gone".into() },
        cause: HoldCause::Misconfigured,
        reason: "channel_not_found".to_owned(),
        since,
        until: at(3000),
        strikes: 2,
        made_under: Some((slack.clone(), Fingerprint(11))),
    };
    assert_eq!(*route, expected);
    let expected = Hold {
        key: HoldKey::Address { integration: discord.clone(), destination: "discord.example/1".into() },
        cause: HoldCause::SwitchedOff,
        reason: "Unknown Webhook".to_owned(),
        since,
        until: at(90_000),
        strikes: 1,
        made_under: Some((discord.clone(), Fingerprint(22))),
    };
    assert_eq!(*off, expected);
    for (id, hold) in [(10, breaker), (11, route)] {
        let detail = case.store.delivery(DeliveryId(id)).await.unwrap().unwrap();
        assert_eq!(detail.hold.as_ref(), Some(hold));
    }
    assert_eq!(case.claim("a", "mail:example.com", at(1999)).await, []);
    assert_eq!(case.claim("a", "hooks.slack.example", at(2999)).await, ids(&[2, 3]));

    let now_is = [(slack, Some(Fingerprint(12))), (discord, Some(Fingerprint(22)))];
    assert_eq!(
        case.store.end_outdated_holds(&now_is, at(2999)).await.unwrap(),
        1,
        "Slack's settings changed"
    );
    assert_eq!(case.claim("a", "hooks.slack.example", at(2999)).await, ids(&[11]));
    assert_eq!(case.store.holds(at(89_999)).await.unwrap().len(), 1);
}

pub(super) async fn an_upgraded_store_knows_repeats<B: Backend>() {
    let case = upgraded::<B>().await;
    let slack = || delivery().of(SLACK).to("#ops").over("hooks.slack.example");
    for id in ["delivered", "retried", "behind"] {
        assert!(case.write_all(id, vec![slack()], at(1000)).await[0].is_none(), "{id}");
    }
    let no_id = |id: &str, redelivered| Dispatched {
        event: Arc::new(event(id)),
        origin: Origin::Broker { digest: Some(BodyDigest([7; 32])), redelivered },
        deliveries: vec![slack()],
        remembered: Remembered::default(),
    };
    let batch = vec![no_id("another id", true), no_id("a third id", false)];
    let written = case.store.enqueue(batch, at(600)).await.unwrap();
    assert!(written[0][0].is_none(), "the same body once more");
    assert!(written[1][0].as_ref().unwrap().id > DeliveryId(13), "ids go on");

    for id in ["posted 1", "posted 2", "posted 3", "delivered"] {
        assert!(!case.push(id, at(1000)).await, "{id}");
    }
    assert_eq!(case.inbox(0).await, [(14, "posted 1".to_owned()), (16, "posted 3".to_owned())]);
    let from_inbox = Dispatched {
        event: Arc::new(event("posted 1")),
        origin: Origin::Inbox(14),
        deliveries: vec![slack()],
        remembered: Remembered::default(),
    };
    assert!(case.store.enqueue(vec![from_inbox], at(1000)).await.unwrap()[0][0].is_some());
    assert_eq!(case.inbox(0).await, [(16, "posted 3".to_owned())]);
    assert!(case.push("new", at(1000)).await);
}

pub(super) async fn an_upgraded_store_resends_and_sweeps<B: Backend>() {
    let case = upgraded::<B>().await;
    let quarantined = case.store.list_quarantined(None, 10).await.unwrap();
    let told: Vec<_> = quarantined
        .iter()
        .map(|one| {
            (one.number, &*one.source, one.id.as_ref().map(EventId::as_str), one.received_at, one.size)
        })
        .collect();
    assert_eq!(told, [(2, "http", Some("strange"), at(41), 2), (1, "amqp", None, at(40), 3)]);
    let (one, raw) = case.store.quarantined(1).await.unwrap().unwrap();
    assert_eq!((&*one.reason, &raw[..]), ("the body is no JSON", &b"\x00\xff{"[..]));
    assert!(case.store.remove_quarantined(1, audit("quarantine.drop", at(1000))).await.unwrap());

    assert!(case.store.resend(DeliveryId(6), audit("delivery.retry", at(1000))).await.unwrap().is_done());
    let got = case.claim("a", "hooks.slack.example", at(1001)).await;
    assert_eq!(got, ids(&[2, 3, 6]));
    case.end("a", DeliveryId(6), NewState::Delivered, at(1002)).await;
    let detail = case.store.delivery(DeliveryId(6)).await.unwrap().unwrap();
    assert_eq!(detail.attempts.len(), 2, "the record of before stays");

    let retention = Retention {
        settled_before: at(30),
        dead_letters_before: at(20),
        quarantine_before: at(50),
        merge_requests_before: at(-9),
    };
    let swept = case.store.sweep(retention, 100).await.unwrap();
    assert_eq!((swept.deliveries, swept.events, swept.quarantined), (4, 4, 1), "1, 7, 8 and 13");
    assert!(case.store.delivery(DeliveryId(1)).await.unwrap().is_none());
    let long_ago = Retention { settled_before: at(40), ..retention };
    assert_eq!(case.store.sweep(long_ago, 100).await.unwrap().events, 1, "the event without deliveries");
    assert!(case.push("posted 2", at(1003)).await, "it is forgotten with its time");
    assert!(case.write_all("delivered", vec![delivery()], at(1003)).await[0].is_some());
    case.store.enqueue(vec![from_broker(event("new"), vec![delivery()])], at(1003)).await.unwrap();
}

pub(super) async fn an_upgraded_store_keeps_what_is_configured<B: Backend>() {
    let case = upgraded::<B>().await;
    let changes = case.store.changes(0).await.unwrap();
    assert_eq!(changes.revision, 19);

    let told: Vec<_> = changes
        .integrations
        .iter()
        .map(|row| (row.id, row.owner, &*row.slug, row.revision, row.created_at, row.updated_at))
        .collect();
    let expected = [
        (1, ScopeKey::Instance, "slack", 1, at(50), at(50)),
        (2, ScopeKey::Group(GroupKey(1)), "slack", 4, at(53), at(53)),
        (3, ScopeKey::Project(42), "slack", 6, at(54), at(55)),
        (5, ScopeKey::Project(43), "slack", 7, at(56), at(56)),
        (6, ScopeKey::Project(43), "discord", 8, at(57), at(57)),
    ];
    let numbers = |told: &(i64, ScopeKey, &str, i64, jiff::Timestamp, jiff::Timestamp)| {
        (told.1, told.2.to_owned(), told.3, told.4, told.5)
    };
    assert!(told.iter().map(numbers).eq(expected.iter().map(numbers)), "{told:?}");
    let webhook = |secret: &str| configuration(&format!("https://hooks.slack.example/{secret}"));
    let configurations: Vec<_> = changes.integrations.iter().map(|row| row.configuration.clone()).collect();
    let expected = [
        Configuration { secrets: SmallMap::new(), ..configuration("") },
        webhook("group"),
        Configuration {
            properties: [("channel".to_owned(), Value::Text("#new".to_owned()))].into(),
            ..webhook("new")
        },
        Configuration::following(),
        Configuration { active: false, ..configuration("https://discord.example/1") },
    ];
    assert_eq!(configurations, expected, "and their secrets open");

    let learned = Learned { default_branch: Some("main".to_owned()), visibility: Some(Visibility::Private) };
    let corrected = Corrected {
        default_branch: Some("trunk".to_owned()),
        visibility: Some(Visibility::Public),
        protected_branches: Some(vec!["trunk".to_owned(), "release/*".to_owned()]),
    };
    let project = |id, path: Option<&str>, revision, second| StoredProject {
        id,
        path: path.map(str::to_owned),
        learned: Learned::default(),
        corrected: Corrected::default(),
        revision,
        created_at: at(second),
        updated_at: at(59),
    };
    let web =
        StoredProject { learned, corrected, updated_at: at(60), ..project(42, Some("acme/web"), 13, 58) };
    let expected = [project(43, None, 11, 58), project(44, Some("acme/api"), 12, 59), web.clone()];
    assert_eq!(changes.projects, expected);
    let found = case.store.project_by_path("acme/web").await.unwrap();
    assert_eq!(found, Some(web));

    let group = |key, id, path: &str, revision, second| StoredGroup {
        key: GroupKey(key),
        id,
        path: Some(path.to_owned()),
        revision,
        created_at: at(second),
    };
    assert_eq!(changes.groups, [group(1, Some(9), "acme", 2, 51), group(2, None, "acme/tools", 3, 52)]);

    let token = |id, name: &str, reach, right| StoredToken {
        id,
        name: name.to_owned(),
        hash: token::hash(name),
        access: Access { reach, right },
        expires_at: None,
        revoked_at: None,
        revision: 13 + id,
        created_at: at(61),
    };
    let expected = [
        token(1, "admin", ScopeKey::Instance, Right::Maintain),
        StoredToken {
            expires_at: Some(at(9999)),
            ..token(2, "group", ScopeKey::Group(GroupKey(1)), Right::Read)
        },
        StoredToken {
            revoked_at: Some(at(62)),
            revision: 17,
            ..token(3, "forge", ScopeKey::Project(42), Right::Ingest)
        },
    ];
    assert_eq!(changes.tokens, expected);
    let mute = |channel: &str, until, revision| Mute {
        project: 42,
        slug: "slack".to_owned(),
        channel: channel.to_owned(),
        until: at(until),
        by: "@ada".to_owned(),
        revision,
    };
    let mut mutes = changes.mutes;
    mutes.sort_by_key(|mute| mute.revision);
    assert_eq!(mutes, [mute("ops", 5000, 18), mute("dev", 60, 19)]);

    let log = case.store.audit_log(None, 100).await.unwrap();
    let actions: Vec<_> = log.iter().rev().map(|line| (&*line.action, line.at)).collect();
    let created = "integration.create";
    let expected = [
        ("delivery.retry", at(20)),
        (created, at(50)),
        ("group.create", at(51)),
        ("group.create", at(52)),
        (created, at(53)),
        (created, at(54)),
        ("integration.update", at(55)),
        (created, at(56)),
        (created, at(57)),
        ("project.update", at(60)),
        ("token.create", at(61)),
        ("token.create", at(61)),
        ("token.create", at(61)),
        ("token.revoke", at(62)),
        ("mute", at(63)),
        ("mute", at(63)),
    ];
    assert_eq!(actions, expected);
    assert!(log.iter().all(|line| line.who == "token ci (3)" && line.fields == ["webhook", "push_events"]));
}

pub(super) async fn an_upgraded_store_goes_on_changing_what_is_configured<B: Backend>() {
    let case = upgraded::<B>().await;
    let seen = SeenProject { id: 44, path: Some("acme/api".to_owned()), learned: Learned::default() };
    assert_eq!(
        case.store.upsert_seen_projects(vec![seen], at(1000)).await.unwrap()[0].revision,
        12,
        "nothing new"
    );
    let changed = Configuration {
        secrets: [("webhook".to_owned(), Secret::new("changed"))].into(),
        ..configuration("")
    };
    let put = |made_from| {
        let note = audit("integration.update", at(1000));
        case.store.put_integration(
            ScopeKey::Project(42),
            "slack",
            changed.clone(),
            Some(made_from).into(),
            note,
        )
    };
    assert_eq!(put(5).await.unwrap(), Put::Outdated);
    let Put::Done(stored) = put(6).await.unwrap() else { panic!("nothing else changed it") };
    assert_eq!((stored.id, stored.revision, &stored.configuration), (3, 20, &changed));
    assert!(!case.store.revoke_token(3, audit("token.revoke", at(1000))).await.unwrap(), "it is over");
    assert!(case.store.revoke_token(1, audit("token.revoke", at(1000))).await.unwrap());
    assert_eq!(case.store.rekey(audit("secrets.rekey", at(1000))).await.unwrap(), 3);

    let before = case.store.changes(0).await.unwrap();
    let case = case.reopened().await;
    assert_eq!(case.store.changes(0).await.unwrap(), before);
}

/// What the program of version 3 added to the store of version 2.
fn long(end: &str) -> String {
    format!("#büro-{}{end}", "x".repeat(2000))
}

pub(super) async fn routes_known_before_are_known_by_their_digests<B: Backend>() {
    let case = Case::<B>::restored(Former::BeforeDigests).await;
    let slack = |target: &str| delivery().of(SLACK).to(target).over("hooks.slack.example").lane(77);
    let again =
        case.write_all("two channels", vec![slack("#büro"), slack("#Büro"), slack("")], at(300)).await;
    assert!(again.iter().all(Option::is_none), "{again:?}");
    let again = case.write_all("a long channel", vec![slack(&long("")), slack(&long("y"))], at(300)).await;
    assert!(again.iter().all(Option::is_none), "{again:?}");
    let new = case.write_all("a new event", vec![slack("#new")], at(300)).await;
    assert!(new[0].as_ref().unwrap().id > DeliveryId(22), "ids go on");

    let all = DeliveryFilter { limit: 100, ..Default::default() };
    let lines = case.store.deliveries(all).await.unwrap();
    let state = |event: &str| {
        let of_event = lines.iter().filter(|line| line.event.as_str() == event).map(|line| line.state);
        of_event.collect::<Vec<_>>()
    };
    assert_eq!(state("skipped"), [State::Skipped]);
    assert_eq!((state("older state"), state("newer state")), (vec![State::Cancelled], vec![State::Waiting]));
    let cancelled = lines.iter().find(|line| line.event.as_str() == "older state").unwrap();
    assert_eq!(cancelled.last_note.as_deref(), Some(crate::store::REPLACED));
    // The lane is handed out in order, over all its targets.
    let got = case.claim("c", "hooks.slack.example", at(1020)).await;
    let waiting = lines.iter().rev().filter(|line| {
        line.state == State::Waiting && line.destination == "hooks.slack.example" && line.target != "#gone"
    });
    assert!(got.iter().copied().eq(waiting.map(|line| line.id)), "{got:?}");
}

pub(super) async fn holds_and_places_known_before_are_known_by_their_digests<B: Backend>() {
    let case = Case::<B>::restored(Former::BeforeDigests).await;
    let holds = case.store.holds(at(300)).await.unwrap();
    assert_eq!(holds.len(), 6, "{holds:?}");
    let route = HoldKey::Route { integration: IntegrationId::new(SLACK), target: long("z").into() };
    assert!(holds.iter().any(|hold| hold.key == route && hold.cause == HoldCause::Misconfigured));
    assert!(holds.iter().any(|hold| hold.key == HoldKey::Bucket("slack-token:0123".into())));
    assert_eq!(case.claim("c", "other.example", at(4499)).await, [], "its destination is held");
    assert_eq!(case.claim("c", "other.example", at(4600)).await, [], "its route is held");
    case.store.end_holds(&[route], at(4600)).await.unwrap();
    assert_eq!(case.claim("c", "other.example", at(4600)).await.len(), 1);

    let changes = case.store.changes(0).await.unwrap();
    assert_eq!((changes.mutes.len(), changes.projects.len(), changes.groups.len()), (4, 5, 3));
    let mute = |channel: &str| Mute {
        project: 44,
        slug: "slack".to_owned(),
        channel: channel.to_owned(),
        until: at(9999),
        by: "@bob".to_owned(),
        revision: 0,
    };
    for channel in ["büro", &long("")] {
        case.store.mute(mute(channel), audit("mute", at(300))).await.unwrap();
    }
    let mutes = case.store.changes(0).await.unwrap().mutes;
    let of_bob = mutes.iter().filter(|mute| mute.by == "@bob").count();
    assert_eq!((mutes.len(), of_bob), (4, 2), "they are replaced");

    let by_path = async |path: &str| case.store.project_by_path(path).await.unwrap().map(|found| found.id);
    assert_eq!(by_path("ACME/Über").await, Some(50), "in any case of ASCII letters");
    assert_eq!(by_path(&format!("Acme/{}", "P".repeat(1500))).await, Some(51));
    let renamed = SeenProject { id: 60, path: Some("acme/Über".to_owned()), learned: Learned::default() };
    case.store.upsert_seen_projects(vec![renamed], at(300)).await.unwrap();
    assert_eq!(by_path("acme/Über").await, Some(60));
    assert_eq!(
        case.store.project(50).await.unwrap().unwrap().path,
        None,
        "the path is another project's now"
    );

    let group = case.store.group_by_path("acme/deep/GROUP").await.unwrap().unwrap();
    assert_eq!(group.id, Some(70));
    let same = case.store.put_group(None, "acme/deep/group", audit("group.create", at(300))).await.unwrap();
    assert_eq!(same, group);
    let next = case.store.put_group(None, "another", audit("group.create", at(300))).await.unwrap();
    assert_eq!(next.key, GroupKey(group.key.0 + 1), "keys go on");
}

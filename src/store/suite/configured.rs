//! The configuration by people: revisions, concurrent changes, and the audit log.

use futures_util::future::join_all;

use super::Backend;
use super::fixtures::{Case, at, audit, configuration, keys};
use crate::settings::Value;
use crate::store::registry::{
    Access, AuditLine, Changes, Configuration, Correction, GroupKey, Learned, MadeFrom, Mute, NewToken,
    ProjectCorrection, Put, Right, Rivals, ScopeKey, SeenProject, StoredIntegration, Visibility,
};
use crate::store::{Ledger as _, Registry, Retention};

const PROJECT: ScopeKey = ScopeKey::Project(42);

pub(super) async fn an_integration_comes_back_as_it_was_set<B: Backend>() {
    let case = Case::<B>::new().await;
    assert_eq!(case.store.integration(PROJECT, "slack").await.unwrap(), None);
    let mut ids = Vec::new();
    for owner in [ScopeKey::Instance, ScopeKey::Group(GroupKey(42)), PROJECT, ScopeKey::Project(43)] {
        let settings = Configuration { inherits: owner == PROJECT, ..configuration(&format!("{owner:?}")) };
        let put = case
            .store
            .put_integration(
                owner,
                "slack",
                settings.clone(),
                None.into(),
                audit("integration.create", at(1)),
            )
            .await
            .unwrap();
        let Put::Done(stored) = put else { panic!("there was none before") };
        assert_eq!((stored.owner, &*stored.slug, &stored.configuration), (owner, "slack", &settings));
        assert_eq!((stored.created_at, stored.updated_at), (at(1), at(1)));
        assert_eq!(case.store.integration(owner, "slack").await.unwrap().as_ref(), Some(&stored));
        ids.push(stored.id);
    }
    ids.dedup();
    assert_eq!(ids.len(), 4, "each owner has its own");

    let bare = Configuration::default();
    let put = case.store.put_integration(
        PROJECT,
        "slack",
        bare.clone(),
        Some(3).into(),
        audit("integration.delete", at(9)),
    );
    let Put::Done(emptied) = put.await.unwrap() else { panic!("the third change made it") };
    assert_eq!((emptied.id, emptied.configuration), (ids[2], bare), "and its number stays");
    assert_eq!((emptied.created_at, emptied.updated_at), (at(1), at(9)));
}

pub(super) async fn every_change_gets_the_next_revision_and_is_found_after_the_one_before<B: Backend>() {
    let case = Case::<B>::new().await;
    let store = &case.store;
    assert_eq!(store.changes(0).await.unwrap(), Changes::default());
    let integration = case.set("slack", configuration("s")).await;
    let seen = SeenProject { id: 42, path: Some("acme/web".to_owned()), learned: Learned::default() };
    let project = store.upsert_seen_projects(vec![seen], at(0)).await.unwrap().remove(0);
    let group = store.put_group(None, "acme", audit("group.create", at(0))).await.unwrap();
    let token = store.create_token(new_token(), audit("token.create", at(0))).await.unwrap();
    store.mute(mute(60), audit("mute", at(0))).await.unwrap();
    let changed = case.set("slack", configuration("t")).await;
    let revisions =
        [integration.revision, project.revision, group.revision, token.revision, 5, changed.revision];
    assert_eq!(revisions, [1, 2, 3, 4, 5, 6]);

    let muted = Mute { revision: 5, ..mute(60) };
    let all = Changes {
        revision: 6,
        integrations: vec![changed],
        projects: vec![project],
        groups: vec![group],
        tokens: vec![token],
        mutes: vec![muted],
    };
    assert_eq!(store.changes(0).await.unwrap(), all);
    assert_eq!(store.changes(1).await.unwrap(), all, "the first state of it was passed by");
    let later = Changes { projects: Vec::new(), groups: Vec::new(), ..all.clone() };
    assert_eq!(store.changes(3).await.unwrap(), later);
    let last = Changes { tokens: Vec::new(), mutes: Vec::new(), ..later };
    assert_eq!(store.changes(5).await.unwrap(), last);
    assert_eq!(store.changes(6).await.unwrap(), Changes { revision: 6, ..Changes::default() });
}

pub(super) async fn whoever_was_ahead_of_the_store_gets_everything<B: Backend>() {
    let case = Case::<B>::new().await;
    let stored = case.set("slack", configuration("s")).await;
    let changes = case.store.changes(99).await.unwrap();
    assert_eq!((changes.revision, changes.integrations), (1, vec![stored]));
}

pub(super) async fn of_two_changes_made_from_the_same_state_one_is_outdated<B: Backend>() {
    let case = Case::<B>::new().await;
    let put = |secret: &'static str, made_from| {
        case.store.put_integration(
            PROJECT,
            "slack",
            configuration(secret),
            MadeFrom::from(made_from),
            audit("integration.update", at(0)),
        )
    };
    for made_from in [None, Some(1)] {
        let (one, other) = tokio::join!(put("one", made_from), put("other", made_from));
        let done: Vec<StoredIntegration> = [one.unwrap(), other.unwrap()]
            .into_iter()
            .filter_map(|put| match put {
                Put::Done(stored) => Some(stored),
                Put::Outdated => None,
            })
            .collect();
        assert_eq!(done.len(), 1, "made from {made_from:?}");
        assert_eq!(case.store.integration(PROJECT, "slack").await.unwrap().as_ref(), done.first());
    }
    assert_eq!(put("late", Some(1)).await.unwrap(), Put::Outdated);
    assert_eq!(put("late", None).await.unwrap(), Put::Outdated);
    assert_eq!(case.store.changes(0).await.unwrap().revision, 2);
}

/// Two nodes that read the same state each activate one of two rivals.
pub(super) async fn of_two_rivals_that_are_set_at_the_same_time_one_is_outdated<B: Backend>() {
    let case = Case::<B>::new().await;
    let beside = case.backend().open_beside(keys("present", &[])).await.unwrap();
    case.set("slack", configuration("s")).await;
    let seen = case.store.changes(0).await.unwrap().revision;
    let made_from = |rival: &'static str, seen: i64| MadeFrom {
        revision: None,
        rivals: Some(Rivals { slugs: vec!["bugzilla", rival], seen }),
    };
    let settings = || Configuration { active: true, ..Configuration::default() };
    let note = || audit("integration.update", at(1));
    let (one, other) = tokio::join!(
        case.store.put_integration(PROJECT, "redmine", settings(), made_from("youtrack", seen), note()),
        beside.put_integration(PROJECT, "youtrack", settings(), made_from("redmine", seen), note()),
    );
    let (one, other) = (one.unwrap(), other.unwrap());
    assert_eq!(
        [&one, &other].into_iter().filter(|put| matches!(put, Put::Done(_))).count(),
        1,
        "{one:?} {other:?}"
    );
    let (set, rival) = if other == Put::Outdated { ("redmine", "youtrack") } else { ("youtrack", "redmine") };
    let outdated = case.store.put_integration(PROJECT, rival, settings(), made_from(set, seen), note());
    assert_eq!(outdated.await.unwrap(), Put::Outdated);
    assert_eq!(case.store.audit_log(None, 100).await.unwrap().len(), 2, "what is refused leaves no line");
    // A caller that has seen the active rival may replace it. An integration that only inherits, or is off, is no
    // rival.
    let put = case.store.put_integration(PROJECT, rival, settings(), made_from(set, seen + 1), note());
    let Put::Done(second) = put.await.unwrap() else { panic!("it was seen") };
    for passive in [Configuration::following(), Configuration::default()] {
        let found = case.store.integration(PROJECT, "ewm").await.unwrap().map(|found| found.revision);
        case.store.put_integration(PROJECT, "ewm", passive, found.into(), note()).await.unwrap();
        let beside_it = MadeFrom {
            revision: case.store.integration(PROJECT, rival).await.unwrap().map(|found| found.revision),
            rivals: Some(Rivals { slugs: vec!["ewm"], seen: second.revision }),
        };
        let put = case.store.put_integration(PROJECT, rival, settings(), beside_it, note()).await.unwrap();
        assert!(matches!(put, Put::Done(_)), "{put:?}");
    }
    // Integrations of another owner do not matter.
    let of_another =
        case.store.put_integration(ScopeKey::Project(43), rival, settings(), made_from(set, seen), note());
    assert!(matches!(of_another.await.unwrap(), Put::Done(_)));
}

/// Reads, changes one property and writes. It starts again if another change came first.
async fn change_property(store: &impl Registry, name: &str, value: i64) {
    for _ in 0..1000 {
        let found = store.integration(PROJECT, "slack").await.unwrap();
        let made_from = found.as_ref().map(|found| found.revision);
        let mut settings = found.map(|found| found.configuration).unwrap_or_default();
        settings.properties.insert(name.to_owned(), Value::Integer(value));
        let note = audit("integration.update", at(value));
        match store.put_integration(PROJECT, "slack", settings, made_from.into(), note).await.unwrap() {
            Put::Done(_) => return,
            Put::Outdated => {}
        }
    }
    panic!("the row changed every time");
}

pub(super) async fn changers_of_different_fields_lose_nothing<B: Backend>() {
    let case = Case::<B>::new().await;
    let beside = case.backend().open_beside(keys("present", &[])).await.unwrap();
    let names: Vec<String> = (0..6).map(|n| format!("field_{n}")).collect();
    let changing = names.iter().enumerate().map(async |(n, name)| {
        let store = if n % 2 == 0 { &case.store } else { &beside };
        for value in 1..=5 {
            change_property(store, name, value).await;
        }
    });
    join_all(changing).await;
    let stored = case.store.integration(PROJECT, "slack").await.unwrap().unwrap();
    let expected = names.into_iter().map(|name| (name, Value::Integer(5))).collect();
    assert_eq!(stored.configuration.properties, expected);
    assert_eq!(stored.revision, 30, "one for each change that was made");
    assert_eq!(case.store.audit_log(None, 100).await.unwrap().len(), 30);
}

pub(super) async fn what_is_refused_leaves_no_line_in_the_audit_log<B: Backend>() {
    let case = Case::<B>::new().await;
    let outdated = case.store.put_integration(
        PROJECT,
        "slack",
        configuration("s"),
        Some(7).into(),
        audit("integration.update", at(0)),
    );
    assert_eq!(outdated.await.unwrap(), Put::Outdated);
    assert!(!case.store.revoke_token(1, audit("token.revoke", at(0))).await.unwrap());
    let token = new_token();
    case.store.create_token(token.clone(), audit("token.create", at(1))).await.unwrap();
    case.store.create_token(token, audit("token.create", at(2))).await.unwrap_err();
    let lines = case.store.audit_log(None, 10).await.unwrap();
    assert_eq!(lines.iter().map(|line| line.at).collect::<Vec<_>>(), [at(1)]);
    assert_eq!(case.store.changes(0).await.unwrap().revision, 1, "nor a revision");
}

pub(super) async fn the_audit_log_tells_who_changed_what_newest_first_in_pages<B: Backend>() {
    let case = Case::<B>::new().await;
    for (second, action) in [(0, "first"), (1, "second"), (2, "third")] {
        case.store.mute(mute(60), audit(action, at(second))).await.unwrap();
    }
    let lines = case.store.audit_log(None, 2).await.unwrap();
    let newest = AuditLine {
        id: lines[0].id,
        at: at(2),
        who: "token ci (3)".to_owned(),
        action: "third".to_owned(),
        object: "project 42 slack".to_owned(),
        fields: vec!["webhook".to_owned(), "push_events".to_owned()],
    };
    assert_eq!((lines.len(), &lines[0], &*lines[1].action), (2, &newest, "second"));
    let rest = case.store.audit_log(Some(lines[1].id), 2).await.unwrap();
    assert_eq!(rest.iter().map(|line| &*line.action).collect::<Vec<_>>(), ["first"]);
}

fn new_token() -> NewToken {
    NewToken {
        name: "ci".to_owned(),
        hash: [7; 32],
        access: Access { reach: PROJECT, right: Right::Maintain },
        expires_at: Some(at(1000)),
    }
}

fn mute(until: i64) -> Mute {
    Mute {
        project: 42,
        slug: "slack".to_owned(),
        channel: Mute::channel_of(" #Ops"),
        until: at(until),
        by: "@ada".to_owned(),
        revision: 0,
    }
}

pub(super) async fn a_mute_is_replaced_and_ended_by_a_moment_that_is_past<B: Backend>() {
    let case = Case::<B>::new().await;
    case.store.mute(mute(60), audit("mute", at(0))).await.unwrap();
    case.store.mute(Mute { channel: "dev".to_owned(), ..mute(90) }, audit("mute", at(0))).await.unwrap();
    case.store.mute(Mute { by: "@bob".to_owned(), ..mute(-1) }, audit("unmute", at(1))).await.unwrap();
    let mutes = case.store.changes(0).await.unwrap().mutes;
    let told: Vec<_> =
        mutes.iter().map(|mute| (&*mute.channel, mute.until, &*mute.by, mute.revision)).collect();
    assert_eq!(told, [("dev", at(90), "@ada", 2), ("ops", at(-1), "@bob", 3)]);
}

pub(super) async fn mutes_that_ended_long_ago_are_swept_and_others_stay<B: Backend>() {
    let case = Case::<B>::new().await;
    for (project, until) in [(41, 5), (42, 9), (43, 10), (44, 1000)] {
        case.store.mute(Mute { project, ..mute(until) }, audit("mute", at(0))).await.unwrap();
    }
    let retention = Retention {
        settled_before: at(10),
        dead_letters_before: at(0),
        quarantine_before: at(0),
        merge_requests_before: at(0),
    };
    assert!(case.store.sweep(retention, 1).await.unwrap().more, "a sweep removes a bounded number");
    assert!(case.store.sweep(retention, 10).await.is_ok_and(|swept| !swept.more));
    let mutes = case.store.changes(0).await.unwrap().mutes;
    let projects: Vec<_> = mutes.iter().map(|mute| mute.project).collect();
    assert_eq!(projects, [43, 44]);
}

pub(super) async fn a_restart_keeps_everything<B: Backend>() {
    let case = Case::<B>::new().await;
    case.set("slack", configuration("s")).await;
    let correction = ProjectCorrection {
        id: 42,
        path: Some("acme/web".to_owned()),
        default_branch: Correction::Is("trunk".to_owned()),
        visibility: Correction::Is(Visibility::Internal),
        protected_branches: Correction::Is(vec!["trunk".to_owned(), "release/*".to_owned()]),
    };
    case.store.override_project(correction, audit("project.update", at(0))).await.unwrap();
    case.store.put_group(Some(9), "acme", audit("group.create", at(0))).await.unwrap();
    case.store.create_token(new_token(), audit("token.create", at(0))).await.unwrap();
    case.store.mute(mute(60), audit("mute", at(0))).await.unwrap();
    let before = case.store.changes(0).await.unwrap();
    let log = case.store.audit_log(None, 100).await.unwrap();
    assert_eq!((before.revision, log.len()), (5, 5));
    let case = case.reopened().await;
    assert_eq!(case.store.changes(0).await.unwrap(), before);
    assert_eq!(case.store.audit_log(None, 100).await.unwrap(), log);
}

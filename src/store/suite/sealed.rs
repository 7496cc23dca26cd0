//! Secrets: encrypted in the store, bound to their rows, and readable only with a key.

use super::Backend;
use super::fixtures::{Case, at, audit, configuration, keys};
use crate::settings::{Secret, SmallMap};
use crate::store::registry::{Access, Configuration, NewToken, Put, Right, ScopeKey};
use crate::store::seal::Keyring;
use crate::store::{Registry, StoreError};

const PROJECT: ScopeKey = ScopeKey::Project(42);

fn without_secrets() -> Configuration {
    Configuration { secrets: SmallMap::new(), ..configuration("") }
}

async fn secret_of(store: &impl Registry, slug: &str) -> Secret {
    store.integration(PROJECT, slug).await.unwrap().unwrap().configuration.secrets["webhook"].clone()
}

pub(super) async fn secrets_are_in_the_store_and_nowhere_to_be_read<B: Backend>() {
    let case = Case::<B>::new().await;
    case.set("slack", configuration("https://hooks.example/t0psecret")).await;
    case.set("slack", configuration("https://hooks.example/newt0psecret")).await;
    let bytes = case.backend().bytes().await;
    let holds = |text: &str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
    assert!(holds("#ops, #dev"), "what is no secret is there to be found");
    assert!(!holds("t0psecret"));
    assert!(!holds("https://hooks.example"));
    assert_eq!(secret_of(&case.store, "slack").await.expose(), "https://hooks.example/newt0psecret");
}

pub(super) async fn secrets_of_another_row_do_not_open<B: Backend>() {
    let case = Case::<B>::new().await;
    let from = case.set("slack", configuration("one")).await.id;
    let to = case.set("jira", configuration("other")).await.id;
    case.backend().move_secrets(from, to).await;
    let error = case.store.integration(PROJECT, "jira").await.unwrap_err();
    assert!(matches!(&error, StoreError::Broken(why) if why.contains("jira of project 42")), "{error}");
    assert!(case.store.changes(0).await.is_err());
    assert_eq!(secret_of(&case.store, "slack").await.expose(), "one");
}

pub(super) async fn a_store_without_its_key_refuses_to_open_and_says_what_is_missing<B: Backend>() {
    let case = Case::<B>::new().await;
    case.set("slack", configuration("s")).await;
    let backend = case.closed();
    for wrong in [keys("other", &[]), keys("other", &["another"]), Keyring::none()] {
        let Err(error) = backend.open_with(wrong).await else { panic!("it opened") };
        let words = error.to_string();
        assert!(matches!(error, StoreError::Broken(_)), "{words}");
        assert!(words.contains("sealed with the key") && words.contains("secrets.key_file"), "{words}");
    }
    let store = backend.open_with(keys("other", &["present"])).await.unwrap();
    assert_eq!(secret_of(&store, "slack").await.expose(), "s");
}

pub(super) async fn a_command_that_needs_no_secret_needs_no_key<B: Backend>() {
    let case = Case::<B>::new().await;
    case.set("slack", configuration("s")).await;
    let command = case.backend().open_beside(Keyring::none()).await.unwrap();
    let token = NewToken {
        name: "ci".to_owned(),
        hash: [1; 32],
        access: Access { reach: PROJECT, right: Right::Read },
        expires_at: None,
    };
    command.create_token(token, audit("token.create", at(0))).await.unwrap();
    assert_eq!(command.tokens().await.unwrap(), case.store.tokens().await.unwrap());
    assert_eq!(command.audit_log(None, 10).await.unwrap().len(), 2);
    assert!(command.integration(PROJECT, "slack").await.is_err(), "what needs one says so");
}

pub(super) async fn without_a_key_no_secret_is_written<B: Backend>() {
    let case = Case::<B>::new().await;
    let command = case.backend().open_beside(Keyring::none()).await.unwrap();
    let put = |settings| {
        command.put_integration(PROJECT, "slack", settings, None.into(), audit("integration.create", at(0)))
    };
    let error = put(configuration("s")).await.unwrap_err().to_string();
    assert!(error.contains("no key") && error.contains("secrets.key_file"), "{error}");
    assert_eq!(case.store.changes(0).await.unwrap().revision, 0);
    assert!(case.store.audit_log(None, 10).await.unwrap().is_empty());
    assert!(command.rekey(audit("rekey", at(0))).await.is_err());
    assert!(
        matches!(put(without_secrets()).await.unwrap(), Put::Done(_)),
        "without one there is nothing to seal"
    );
}

pub(super) async fn rekeying_seals_everything_with_the_present_key<B: Backend>() {
    let case = Case::<B>::new().await;
    case.set("slack", configuration("one")).await;
    let case = case.reopened_with(keys("newer", &["present"])).await;
    case.set("jira", configuration("two")).await;
    case.set("irker", without_secrets()).await;
    let before = case.store.changes(0).await.unwrap();
    assert_eq!(case.store.rekey(audit("secrets.rekey", at(9))).await.unwrap(), 2);
    assert_eq!(case.store.changes(0).await.unwrap(), before, "nothing else changed, and no revision");
    assert_eq!(case.store.audit_log(None, 1).await.unwrap()[0].action, "secrets.rekey");

    let case = case.reopened_with(keys("newer", &[])).await;
    assert_eq!(case.store.changes(0).await.unwrap(), before);
    let Err(error) = case.closed().open_with(keys("present", &[])).await else {
        panic!("the old key opens nothing")
    };
    assert!(error.to_string().contains("sealed with the key"), "{error}");
}

pub(super) async fn what_no_key_opens_can_be_given_up_and_set_again<B: Backend>() {
    let case = Case::<B>::new().await;
    let lost = case.set("slack", configuration("lost")).await;
    case.set("irker", without_secrets()).await;
    let case = case.reopened_with(keys("newer", &["present"])).await;
    let kept = case.set("jira", configuration("kept")).await;
    let altered = case.set("discord", configuration("altered")).await;
    case.backend().move_secrets(kept.id, altered.id).await;
    let seen = case.store.changes(kept.revision).await.map(|changes| changes.revision);
    assert!(seen.is_err(), "one that does not open is not passed over");

    let command = case.backend().open_beside(keys("newer", &[])).await.unwrap();
    let given_up = command.drop_undecryptable(audit("secrets.give_up", at(9))).await.unwrap();
    assert_eq!(given_up, [(PROJECT, "slack".to_owned()), (PROJECT, "discord".to_owned())]);
    let log: Vec<_> = command.audit_log(None, 2).await.unwrap().into_iter().map(|line| line.object).collect();
    assert_eq!(log, ["project 42 discord", "project 42 slack"]);
    assert!(command.drop_undecryptable(audit("secrets.give_up", at(10))).await.unwrap().is_empty());

    let case = case.reopened_with(keys("newer", &[])).await;
    let changes = case.store.changes(altered.revision).await.unwrap();
    let mut now: Vec<_> = changes.integrations.into_iter().map(|row| (row.slug, row.configuration)).collect();
    now.sort_by(|one, other| one.0.cmp(&other.0));
    let off = Configuration { active: false, ..without_secrets() };
    assert_eq!(
        now,
        [("discord".to_owned(), off.clone()), ("slack".to_owned(), off)],
        "they are heard of as changed"
    );
    assert_eq!(secret_of(&case.store, "jira").await.expose(), "kept");
    let made_from = case.store.integration(PROJECT, "slack").await.unwrap().unwrap().revision;
    assert!(made_from > lost.revision);
    let again = case.store.put_integration(
        PROJECT,
        "slack",
        configuration("again"),
        Some(made_from).into(),
        audit("integration.update", at(11)),
    );
    assert!(matches!(again.await.unwrap(), Put::Done(_)));
    assert_eq!(secret_of(&case.store, "slack").await.expose(), "again");
}

pub(super) async fn rekeying_beside_a_daemon_loses_no_change<B: Backend>() {
    let case = Case::<B>::new().await;
    case.set("slack", configuration("0")).await;
    let case = case.reopened_with(keys("newer", &["present"])).await;
    let command = case.backend().open_beside(keys("newer", &["present"])).await.unwrap();
    let changing = async {
        for n in 1..=20 {
            case.set("slack", configuration(&n.to_string())).await;
        }
    };
    let rekeying = async {
        for _ in 0..5 {
            assert_eq!(command.rekey(audit("secrets.rekey", at(1))).await.unwrap(), 1);
        }
    };
    tokio::join!(changing, rekeying);
    let case = case.reopened_with(keys("newer", &[])).await;
    assert_eq!(secret_of(&case.store, "slack").await.expose(), "20");
}

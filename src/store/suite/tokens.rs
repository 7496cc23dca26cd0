//! Tokens: stored by their digests, expiring and revoked.

use super::Backend;
use super::fixtures::{Case, at, audit};
use crate::store::registry::{Access, GroupKey, NewToken, Right, ScopeKey, StoredToken};
use crate::store::{Registry, token};

fn new(name: &str, reach: ScopeKey, right: Right) -> NewToken {
    NewToken {
        name: name.to_owned(),
        hash: token::hash(name),
        access: Access { reach, right },
        expires_at: Some(at(100)),
    }
}

pub(super) async fn a_token_is_kept_by_its_digest<B: Backend>() {
    let case = Case::<B>::new().await;
    let kinds = [
        new("admin", ScopeKey::Instance, Right::Maintain),
        new("group", ScopeKey::Group(GroupKey(3)), Right::Read),
        NewToken { expires_at: None, ..new("door", ScopeKey::Project(42), Right::Ingest) },
    ];
    let mut stored = Vec::new();
    for new in kinds {
        let kept = case.store.create_token(new.clone(), audit("token.create", at(1))).await.unwrap();
        let expected = StoredToken {
            id: kept.id,
            name: new.name,
            hash: new.hash,
            access: new.access,
            expires_at: new.expires_at,
            revoked_at: None,
            revision: i64::try_from(stored.len()).unwrap() + 1,
            created_at: at(1),
        };
        assert_eq!(kept, expected);
        stored.push(kept);
    }
    assert_eq!(case.store.tokens().await.unwrap(), stored);
    assert_eq!(case.store.changes(0).await.unwrap().tokens, stored);
}

pub(super) async fn a_token_ends_once<B: Backend>() {
    let case = Case::<B>::new().await;
    let create = async |name| {
        let new = new(name, ScopeKey::Instance, Right::Read);
        case.store.create_token(new, audit("token.create", at(1))).await.unwrap()
    };
    let (first, second) = (create("first").await, create("second").await);
    let revoke =
        async |id, second| case.store.revoke_token(id, audit("token.revoke", at(second))).await.unwrap();
    assert!(revoke(first.id, 10).await);
    assert!(!revoke(first.id, 11).await, "it is over already");
    assert!(!revoke(second.id, 100).await, "it ended by itself");
    assert!(!revoke(4711, 10).await);
    let over = StoredToken { revoked_at: Some(at(10)), revision: 3, ..first };
    assert_eq!(case.store.changes(2).await.unwrap().tokens, std::slice::from_ref(&over));
    assert_eq!(case.store.tokens().await.unwrap(), [over, second], "and stays in the list");
}

pub(super) async fn a_token_that_was_there_before_is_refused<B: Backend>() {
    let case = Case::<B>::new().await;
    let create =
        |right| case.store.create_token(new("same", ScopeKey::Instance, right), audit("token.create", at(1)));
    create(Right::Read).await.unwrap();
    create(Right::Maintain).await.unwrap_err();
    assert_eq!(case.store.tokens().await.unwrap().len(), 1);
}

pub(super) async fn a_session_that_was_ended_is_known_to_every_node_until_it_would_have_ended<B: Backend>() {
    let case = Case::<B>::new().await;
    let (one, other) = ([1; 32], [2; 32]);
    case.store.end_session(one, at(100), at(0)).await.unwrap();
    case.store.end_session(one, at(100), at(1)).await.unwrap();
    assert!(case.store.session_ended(one).await.unwrap());
    assert!(!case.store.session_ended(other).await.unwrap());
    let case = case.reopened().await;
    assert!(case.store.session_ended(one).await.unwrap(), "a restart forgets no log-out");
    case.store.end_session(other, at(300), at(100)).await.unwrap();
    assert!(!case.store.session_ended(one).await.unwrap(), "the session is over by itself");
    assert!(case.store.session_ended(other).await.unwrap());
}

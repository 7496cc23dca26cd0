//! The page's lists of events and deliveries: what a token sees there, names that are not known, and hostile words.

use proptest::strategy::{Strategy as _, ValueTree as _};
use proptest::test_runner::TestRunner;

use super::event_records::logged;
use super::holds::route;
use super::others::delivered;
use super::page::Person;
use super::*;
use crate::event::EventId;
use crate::integration::IntegrationId;
use crate::store::{
    DeliveryFilter, Dispatched, EventLog as _, Hold, HoldCause, Lane, Ledger as _, LogLine, LoggedEvent,
    NewDelivery, NewQuarantined, NewState, Origin, Outbox as _, Quarantine as _, Remembered,
};

#[tokio::test]
async fn an_event_is_shown_with_what_became_of_it_then_and_now() {
    let (api, admin) = logged().await;
    let person = Person::with(&api, &admin).await;
    let list = person.get("/-/events").await;
    assert_eq!(list.status, 200);
    assert!(list.text.contains("1 waiting") && list.text.contains("told to none of 1 integration"));
    assert!(list.text.contains("href=\"/-/events/not%2Ftold\""), "{}", list.text);
    let untold = person.get("/-/events/not%2Ftold").await;
    assert_eq!(untold.status, 200, "{}", untold.text);
    for part in ["push events were off", "told #ops", "aria-current=\"page\"", "The event, as it came"] {
        assert!(untold.text.contains(part), "{part}: {}", untold.text);
    }
    let told = person.get("/-/events/told").await.text;
    let delivery = api.get(&admin, "/events/told").await.json()["verdicts"][0]["deliveries"][0]["id"].clone();
    assert!(told.contains("the same"), "{told}");
    let delivery = format!("/-/deliveries/{delivery}");
    assert!(told.contains(&format!("href=\"{delivery}\"")), "{told}");
    let shown = person.get(&delivery).await.text;
    assert!(shown.contains("href=\"/-/events/told\""), "{shown}");
    assert_eq!(person.get("/-/events/never").await.status, 404);
}

#[tokio::test]
async fn a_token_sees_the_events_that_it_reaches_on_the_page() {
    let (api, admin) = logged().await;
    api.put(&admin, "/projects/42", &json!({ "path_with_namespace": "acme/rocket" })).await;
    api.project(43, "other/place").await;
    let acme = api.group("acme").await;
    for (reach, sees) in
        [(ScopeKey::Project(42), true), (ScopeKey::Group(acme), true), (ScopeKey::Project(43), false)]
    {
        let person = Person::with(&api, &api.token(reach, Right::Read).await).await;
        let status = person.get("/-/events/told").await.status;
        assert_eq!(status, if sees { 200 } else { 404 }, "{reach}");
        for query in ["", "?project=acme%2Frocket", "?project=ACME", "?integration=acme%2Frocket:slack"] {
            let list = person.get(&format!("/-/events{query}")).await.text;
            // A project's token does not reach its group.
            let fits = sees && !(query.ends_with("ACME") && reach == ScopeKey::Project(42));
            assert_eq!(list.contains("1 waiting"), fits, "{reach} {query}");
        }
    }
}

#[tokio::test]
async fn names_that_are_not_known_are_said_on_the_page() {
    let (api, admin) = logged().await;
    api.put(&admin, "/projects/42", &json!({ "path_with_namespace": "acme/rocket" })).await;
    let person = Person::with(&api, &admin).await;
    let found = person.get("/-/deliveries?integration=acme%2Frocket:slack&project=").await.text;
    assert!(
        found.contains("#ops") && !found.contains("role=\"alert\""),
        "the integration's path finds: {found}"
    );
    for list in ["deliveries", "events"] {
        for (query, said) in [
            ("project=acme%2Frokcet", "There is no project or group acme/rokcet"),
            ("integration=acme%2Frocket:discord", "There is no integration acme/rocket:discord"),
            ("integration=acme%2Frocket", "Write it as acme/rocket:slack"),
        ] {
            if list == "events" && said.starts_with("Write") {
                continue; // the API's words
            }
            let page = person.get(&format!("/-/{list}?{query}")).await.text;
            assert!(page.contains(said) && page.contains("role=\"alert\""), "{list} {query}: {page}");
        }
    }
    let known = person.get("/-/deliveries?project=acme%2Frocket&state=expired").await.text;
    assert!(!known.contains("role=\"alert\""), "a known name without deliveries is no mistake: {known}");
}

#[tokio::test]
async fn a_project_that_gets_the_path_of_another_does_not_see_the_deliveries_of_that() {
    let api = Api::open().await;
    api.project(42, "acme/rocket").await;
    let delivery = delivered(&api, "acme/rocket:slack").await;
    api.project(43, "acme/rocket").await;
    let present = Person::with(&api, &api.token(ScopeKey::Project(43), Right::Read).await).await;
    let operator = Person::with(&api, &api.admin().await).await;
    let one = format!("/-/deliveries/{delivery}");
    assert_eq!((operator.get(&one).await.status, present.get(&one).await.status), (200, 404));
    for list in ["", "?project=acme%2Frocket", "?integration=acme%2Frocket:slack"] {
        let page = present.get(&format!("/-/deliveries{list}")).await;
        assert_eq!(page.status, 200, "{list}");
        assert!(!page.text.contains(&one), "{list}: {}", page.text);
    }
}

#[tokio::test]
async fn a_number_is_cleared_by_an_empty_field() {
    let api = Api::open().await;
    let admin = api.admin().await;
    let telegram = "/projects/42/integrations/telegram";
    let set = json!({ "token": "123:s3cret", "room": "@ops", "thread": 7 });
    assert_eq!(api.put(&admin, telegram, &set).await.status, 200);
    let person = Person::with(&api, &admin).await;
    let saved =
        person.post("/-/projects/42/telegram", &[("token", ""), ("room", "@ops"), ("thread", "")]).await;
    assert_eq!(saved.status, 303, "{}", saved.text);
    assert_eq!(api.get(&admin, telegram).await.json()["properties"]["thread"], Value::Null);
}

/// The tags of a page with the names of their attributes, without any text.
fn skeleton(page: &str) -> Vec<String> {
    let mut tags = Vec::new();
    let mut rest = page;
    while let Some((_, after)) = rest.split_once('<') {
        let end = after.find([' ', '>', '\n']).expect("a tag ends");
        let mut tag = after[..end].to_owned();
        rest = &after[end..];
        loop {
            rest = rest.trim_start();
            if let Some(after) = rest.strip_prefix('>') {
                rest = after;
                break;
            }
            let end = rest.find(['=', ' ', '>']).expect("an attribute ends");
            tag.push(' ');
            tag.push_str(&rest[..end]);
            rest = &rest[end..];
            if let Some(value) = rest.strip_prefix("=\"") {
                rest = value.split_once('"').expect("a value ends").1;
            }
        }
        tags.push(tag);
    }
    tags
}

/// Every page of a server on which everything that people choose is made of these words.
async fn skeletons(words: &str) -> Vec<(String, Vec<String>)> {
    let api = Api::open().await;
    api.project(42, "acme/rocket").await;
    let token = token::make().unwrap().expose().to_owned();
    let access = Access { reach: ScopeKey::Instance, right: Right::Maintain };
    let row = NewToken { name: words.to_owned(), hash: token::hash(&token), access, expires_at: None };
    let audited =
        AuditEntry { object: words.to_owned(), fields: vec![words.to_owned()], ..audit("token.create") };
    api.store.create_token(row, audited).await.unwrap();
    // A text with a NUL is refused as a setting, and can't be read in a query.
    let settable = words.replace('\0', "");
    let slack = json!({ "webhook": HOOK, "channel": "#ops", "username": settable });
    assert_eq!(api.put(&token, "/projects/42/integrations/slack", &slack).await.status, 200);
    let push = |id: &str| {
        let json = json!({
            "object_kind": "push", "ref": format!("refs/heads/{words}"), "user_name": words, "extra": words,
            "project": { "id": 42, "path_with_namespace": format!("acme/{words}"), "name": words },
        });
        Arc::new(Event::decode(EventId::new(id).unwrap(), NOW, json.to_string().into()).unwrap())
    };
    let delivery = NewDelivery {
        integration: IntegrationId::new("42:slack"),
        target: words.into(),
        destination: words.into(),
        share: words.into(),
        lane: Lane(1),
        replaces: false,
        lease: None,
    };
    let verdicts = Some(json!([["42:irker", words]]).to_string());
    let line = || LogLine { source: "amqp", verdicts: verdicts.clone() };
    let told = Dispatched {
        event: push("told"),
        origin: Origin::Broker { digest: None, redelivered: false },
        deliveries: vec![delivery],
        remembered: Remembered { log: Some(line()), ..Remembered::default() },
    };
    let told = api.store.enqueue(vec![told], NOW).await.unwrap()[0][0].as_ref().unwrap().id;
    let key = route(42, "#ops");
    let hold = api.made(42, key, HoldCause::Misconfigured, NOW + jiff::SignedDuration::from_secs(60));
    api.settle(told, NewState::Failed, words, vec![Hold { reason: words.to_owned(), ..hold }]).await;
    api.sync_holds().await;
    let untold = LoggedEvent { event: push("untold"), received_at: NOW, line: line(), keeps_json: true };
    api.store.log_events(vec![untold]).await.unwrap();
    let odd = NewQuarantined {
        source: "http",
        sender: Some(words.to_owned()),
        id: None,
        reason: words.to_owned(),
        received_at: NOW,
        raw: words.to_owned().into(),
    };
    api.store.quarantine(vec![odd]).await.unwrap();
    let newest = DeliveryFilter { limit: 1, ..DeliveryFilter::default() };
    let delivery = api.store.deliveries(newest).await.unwrap()[0].id;
    let number = api.store.list_quarantined(None, 1).await.unwrap()[0].number;
    let person = Person::with(&api, &token).await;
    let mut pages = Vec::new();
    for path in [
        "/".to_owned(),
        "/-/integrations".to_owned(),
        "/-/deliveries".to_owned(),
        format!("/-/deliveries/{delivery}"),
        "/-/events".to_owned(),
        "/-/events/told".to_owned(),
        "/-/events/untold".to_owned(),
        "/-/holds".to_owned(),
        "/-/preview".to_owned(),
        "/-/projects/42".to_owned(),
        "/-/projects/42/slack".to_owned(),
        "/-/quarantine".to_owned(),
        format!("/-/quarantine/{number}"),
        "/-/audit".to_owned(),
        format!("/-/deliveries?{}", encoded(&[("project", &settable), ("integration", &settable)])),
        format!("/-/events?{}", encoded(&[("project", &settable), ("integration", &settable)])),
    ] {
        let page = person.get(&path).await;
        assert_eq!(page.status, 200, "{path}: {}", page.text);
        pages.push((path.split('?').next().unwrap().to_owned(), skeleton(&page.text)));
    }
    pages
}

#[tokio::test]
async fn words_of_other_people_add_no_element_and_no_attribute_to_any_page() {
    let harmless = skeletons("x plain").await;
    assert!(harmless.iter().all(|(_, tags)| tags.len() > 20), "{harmless:?}");
    let mut runner = TestRunner::deterministic();
    let marks = "x[<>\"'&=/ qz\u{0}-]{1,20}";
    for _ in 0..12 {
        let hostile = marks.new_tree(&mut runner).unwrap().current();
        for ((path, expected), (_, found)) in harmless.iter().zip(skeletons(&hostile).await) {
            assert_eq!(*expected, found, "{path} with {hostile:?}");
        }
    }
}

//! The promises of the way through, each kept over both sources and both stores: an event comes in by the HTTP door or from
//! a broker, it is kept in SQLite or in PostgreSQL, and everything else is the same.

use std::time::{Duration, Instant};

use forgebell::store::State;
use forgebell::store::registry::AuditEntry;
use serde_json::json;

use crate::harness::daemon::{Daemon, Home};
use crate::harness::forge::Forge;
use crate::harness::payloads::{payload, with};
use crate::harness::receiver::{Answer, Receiver};
use crate::harness::wait::eventually;

/// Makes three tests of one promise: by HTTP, by HTTP with the store in PostgreSQL, and over AMQP.
macro_rules! promises {
    ($($name:ident)*) => {
        mod over_http {
            $(#[tokio::test(flavor = "multi_thread")] async fn $name() { super::$name(super::Forge::http()).await; })*
        }
        mod on_postgres {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $name() { super::$name(super::Forge::http_on_postgres()).await; })*
        }
        mod over_amqp {
            $(#[tokio::test(flavor = "multi_thread")] async fn $name() { super::$name(super::Forge::amqp().await).await; })*
        }
    };
}

promises! {
    an_event_is_heard_where_the_settings_say
    each_channel_is_told_once_though_another_has_to_be_told_again
    a_rate_limited_service_gets_everything_and_is_not_pressed
    a_service_that_is_down_gets_everything_when_it_is_back
    after_an_outage_the_whole_lane_follows_the_first_success
    an_answer_that_breaks_off_is_followed_by_another_attempt
    what_concerns_one_subject_is_told_in_order_though_an_attempt_fails
    events_larger_than_the_memory_are_told_all_the_same_and_in_order
    what_is_no_event_goes_to_quarantine_and_holds_up_nothing
    an_event_that_comes_twice_is_told_once
    an_event_that_nobody_wants_is_told_to_nobody
    a_wrong_webhook_is_healed_by_correcting_it
    a_correction_at_the_very_moment_of_a_refusal_is_heeded
    a_refused_message_is_a_dead_letter_that_says_why
    a_dead_address_is_switched_off_until_it_is_corrected
    a_power_cut_loses_nothing
    a_soft_stop_finishes_what_is_under_way_and_leaves_the_rest_for_the_next_start
    a_dead_destination_holds_up_no_other
}

/// One Slack integration of the project that `merge_request_open.json` and its like come from.
fn slack(webhook: &str, more: &str) -> String {
    format!(
        "[[integration]]\nproject = \"gitlabhq/gitlab-test\"\nadapter = \"slack\"\nwebhook = \"{webhook}\"\n\
         branches_to_be_notified = \"all\"\n{more}\n"
    )
}

/// A merge request's event: number, what was done, title.
fn merge_request(iid: i64, action: &str, title: &str) -> Vec<u8> {
    with(&payload("merge_request_open.json"), |json| {
        json["object_attributes"]["iid"] = json!(iid);
        json["object_attributes"]["action"] = json!(action);
        json["object_attributes"]["title"] = json!(title);
    })
}

async fn an_event_is_heard_where_the_settings_say(forge: Forge) {
    let slack_service = Receiver::start().await;
    let hook = slack_service.slack_like("/services/T0/B0/general");
    let home = forge.home(&slack(&hook.url(), "username = \"bell\"\nmerge_request_channel = \"#reviews\""));
    let daemon = home.start().await;
    forge.send(&daemon, "one", merge_request(1, "open", "MS-Viewport")).await;
    let heard = hook.wait_for(1).await;
    let said = heard[0].json();
    assert_eq!(said["channel"], "#reviews");
    assert_eq!(said["username"], "bell");
    assert!(said.to_string().contains("MS-Viewport"), "{said}");
    home.until(State::Delivered, 1).await;
    daemon.stop().await;
}

async fn each_channel_is_told_once_though_another_has_to_be_told_again(forge: Forge) {
    let service = Receiver::start().await;
    let hook = service
        .at("/services/T0/B0/x")
        .answer_then(vec![Answer::status(500).body("rollup_error")], Answer::ok());
    let home = forge.home(&slack(&hook.url(), "channel = \"#one, #two\""));
    let daemon = home.start().await;
    forge.send(&daemon, "one", merge_request(1, "open", "Title")).await;
    home.until(State::Delivered, 2).await;
    let mut accepted: Vec<_> = hook.received().into_iter().filter(|r| r.answered == Some(200)).collect();
    accepted.sort_by_key(|received| received.json()["channel"].to_string());
    let channels: Vec<_> = accepted.iter().map(|received| received.json()["channel"].clone()).collect();
    assert_eq!(channels, ["#one", "#two"]);
    assert_eq!(hook.received().len(), 3, "one attempt failed, and was made again");
    daemon.stop().await;
}

async fn a_rate_limited_service_gets_everything_and_is_not_pressed(forge: Forge) {
    let service = Receiver::start().await;
    let hook = service.slack_like("/services/T0/B0/x").rate_limited(
        2,
        Duration::from_secs(1),
        Answer::throttled(Duration::from_secs(1)).body("rate_limited"),
    );
    let home = forge.home(&slack(&hook.url(), "")).with(&["rate_limits.enabled=false"]);
    let daemon = home.start().await;
    for iid in 1..=6 {
        forge.send(&daemon, &format!("mr-{iid}"), merge_request(iid, "open", "Title")).await;
    }
    let delivered = home.until(State::Delivered, 6).await;
    assert_eq!(hook.max_concurrency(), 1, "a chat room is told one thing at a time");
    let refused: Vec<_> = hook.received().into_iter().filter(|r| r.answered == Some(429)).collect();
    assert!(!refused.is_empty(), "the limit was reached");
    for refusal in &refused {
        let next = hook.received().into_iter().find(|received| received.seq > refusal.seq);
        if let Some(next) = next {
            assert!(
                next.at - refusal.at >= Duration::from_secs(1),
                "asked for a second, got {:?}",
                next.at - refusal.at
            );
        }
    }
    assert!(delivered.iter().all(|line| line.attempts == 1), "throttling costs no attempt");
    daemon.stop().await;
}

async fn a_service_that_is_down_gets_everything_when_it_is_back(forge: Forge) {
    let service = Receiver::start().await;
    let hook = service.at("/services/T0/B0/x").answer_then(
        vec![Answer::status(503), Answer::status(502), Answer::close(), Answer::status(500)],
        Answer::ok(),
    );
    let home = forge.home(&slack(&hook.url(), ""));
    let daemon = home.start().await;
    for iid in 1..=3 {
        forge.send(&daemon, &format!("mr-{iid}"), merge_request(iid, "open", "Title")).await;
    }
    home.until(State::Delivered, 3).await;
    assert_eq!(hook.received().iter().filter(|received| received.answered == Some(200)).count(), 3);
    daemon.stop().await;
}

/// The delivery at the head fails often enough that its own schedule would have it wait for minutes.
async fn after_an_outage_the_whole_lane_follows_the_first_success(forge: Forge) {
    const WAITING: usize = 40;
    let service = Receiver::start().await;
    let hook = service.at("/services/T0/B0/x").answer_then(vec![Answer::close(); 3], Answer::status(503));
    let home = forge.home(&slack(&hook.url(), "")).with(&[
        "rate_limits.enabled=false",
        "retry.multiplier=40",
        "retry.max=4h",
        "delivery.breaker_max=2s",
    ]);
    let daemon = home.start().await;
    for n in 0..WAITING {
        forge.send(&daemon, &format!("step-{n}"), merge_request(7, "open", &format!("step {n} of it"))).await;
    }
    let failed = hook.wait_for(6).await.len();
    let back = Instant::now();
    let hook = hook.answer(Answer::ok());
    home.until(State::Delivered, WAITING).await;
    let accepted: Vec<_> = hook.received().into_iter().filter(|told| told.answered == Some(200)).collect();
    assert!(hook.received().len() - accepted.len() <= failed + 1, "the outage takes few attempts");
    // The schedule of the delivery at the head names 0.8 s, 32 s, 21 min, …, and the destination's rests are of 2 s.
    let (first, last) = (accepted[0].at - back, accepted[WAITING - 1].at - accepted[0].at);
    assert!(first < Duration::from_secs(4), "asked again after {first:?}");
    assert!(last < Duration::from_secs(4), "the others followed within {last:?}");
    let steps = accepted.iter().map(|told| told.text());
    let in_order = steps.enumerate().all(|(n, text)| text.contains(&format!("step {n} of it")));
    assert!(in_order, "each once, and in order");
    daemon.stop().await;
}

/// One rest is short enough for deliveries to wait in memory, the other is not.
#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_names_a_wait_is_asked_again_soon_after_it() {
    const EACH: i64 = 5;
    let service = Receiver::start().await;
    let forge = Forge::http();
    let hook = |seconds: u64, n: i64| {
        let throttled = Answer::throttled(Duration::from_secs(seconds));
        service.at(&format!("/{seconds}/{n}")).answer_then(vec![throttled], Answer::ok())
    };
    let hooks: Vec<_> = [2, 6].into_iter().flat_map(|wait| (0..EACH).map(move |n| (wait, n))).collect();
    let provisioned = hooks.iter().map(|(wait, n)| {
        let url = hook(*wait, *n).url();
        format!(
            "[[integration]]\nproject = \"acme/of-{wait}-{n}\"\nadapter = \"slack\"\nwebhook = \"{url}\"\n"
        )
    });
    let home = forge.home(&provisioned.collect::<String>());
    let daemon = home.start().await;
    for (wait, n) in &hooks {
        let event = with(&merge_request(1, "open", "Title"), |json| {
            json["project"]["path_with_namespace"] = json!(format!("acme/of-{wait}-{n}"));
        });
        forge.send(&daemon, &format!("{wait}-{n}"), event).await;
    }
    home.until(State::Delivered, hooks.len()).await;
    for seconds in [2, 6] {
        let wait = Duration::from_secs(seconds);
        let late = (0..EACH).map(|n| {
            let received = service.received_at(&format!("/{seconds}/{n}"));
            assert_eq!(received.len(), 2, "one refusal, one success");
            let waited = received[1].at - received[0].at;
            waited.checked_sub(wait).unwrap_or_else(|| panic!("asked for {wait:?}, got {waited:?}"))
        });
        let mut late: Vec<_> = late.collect();
        late.sort();
        println!("late after {seconds} s: {late:?}");
        // The median: other tests use the machine too.
        let allowed = (wait / 10).max(Duration::from_millis(250));
        assert!(late[late.len() / 2] <= allowed, "late after {wait:?}: {late:?}");
    }
    daemon.stop().await;
}

async fn an_answer_that_breaks_off_is_followed_by_another_attempt(forge: Forge) {
    let service = Receiver::start().await;
    let hook = service
        .at("/services/T0/B0/x")
        .answer_then(vec![Answer::close_mid().body("ok, or so it seems")], Answer::ok());
    let home = forge.home(&slack(&hook.url(), ""));
    let daemon = home.start().await;
    forge.send(&daemon, "one", merge_request(1, "open", "Title")).await;
    let lines = home.until(State::Delivered, 1).await;
    let outcomes: Vec<_> =
        home.delivery(&lines[0]).await.attempts.into_iter().map(|(_, a)| a.outcome).collect();
    assert_eq!(outcomes, ["unavailable", "delivered"]);
    daemon.stop().await;
}

async fn what_concerns_one_subject_is_told_in_order_though_an_attempt_fails(forge: Forge) {
    let service = Receiver::start().await;
    let hook = service
        .at("/services/T0/B0/x")
        .answer_then(vec![Answer::status(500), Answer::status(500)], Answer::ok());
    let home = forge.home(&slack(&hook.url(), ""));
    let daemon = home.start().await;
    for (id, action) in [("a", "open"), ("b", "approved"), ("c", "merge"), ("d", "close"), ("e", "reopen")] {
        forge.send(&daemon, id, merge_request(7, action, &format!("step {id}"))).await;
    }
    home.until(State::Delivered, 5).await;
    let accepted = hook.received().into_iter().filter(|received| received.answered == Some(200));
    let steps: Vec<_> = accepted
        .map(|received| {
            let text = received.text();
            let at = text.find("step ").expect("every message names its step") + 5;
            text[at..=at].to_owned()
        })
        .collect();
    assert_eq!(steps, ["a", "b", "c", "d", "e"]);
    daemon.stop().await;
}

async fn events_larger_than_the_memory_are_told_all_the_same_and_in_order(forge: Forge) {
    let service = Receiver::start().await;
    let hook = service
        .at("/services/T0/B0/x")
        .answer_then(vec![Answer::ok(), Answer::status(500), Answer::status(500)], Answer::ok());
    // 64 KiB of room, for events of twice as much.
    let home = forge.home(&slack(&hook.url(), "")).with(&["delivery.buffer=4", "rate_limits.enabled=false"]);
    let daemon = home.start().await;
    let long = "All that there is to say. ".repeat(5_000);
    for step in ["a", "b", "c", "d"] {
        for iid in 1..=3 {
            let event = with(&merge_request(iid, "open", &format!("MR {iid} step {step}")), |json| {
                json["object_attributes"]["description"] = json!(long);
            });
            forge.send(&daemon, &format!("{iid}{step}"), event).await;
        }
    }
    home.until(State::Delivered, 12).await;
    let accepted = hook.received().into_iter().filter(|received| received.answered == Some(200));
    let mut told = vec![String::new(); 3];
    for text in accepted.map(|received| received.text()) {
        let (_, words) = text.split_once("MR ").expect("every message names its merge request");
        let (iid, step) = words.split_once(" step ").expect("and its step");
        told[iid.parse::<usize>().expect("a number") - 1].push_str(&step[..1]);
    }
    assert_eq!(told, ["abcd"; 3], "each once, and in order");
    daemon.stop().await;
}

async fn what_is_no_event_goes_to_quarantine_and_holds_up_nothing(forge: Forge) {
    let service = Receiver::start().await;
    let hook = service.slack_like("/services/T0/B0/x");
    let home = forge.home(&slack(&hook.url(), ""));
    let daemon = home.start().await;
    forge.send(&daemon, "broken", b"{\"object_kind\": \"push\"".to_vec()).await;
    forge.send(&daemon, "strange", b"{\"object_kind\": \"moon_landing\"}".to_vec()).await;
    forge.send(&daemon, "good", merge_request(1, "open", "Title")).await;
    hook.wait_for(1).await;
    // It is written in no order with the other's deliveries, only before either is acknowledged.
    let quarantined = eventually("both are in quarantine", Duration::from_secs(20), async || {
        Some(home.quarantined().await).filter(|quarantined| quarantined.len() == 2)
    })
    .await;
    assert!(quarantined.iter().any(|item| item.reason.contains("moon_landing")), "{quarantined:?}");
    assert!(quarantined.iter().any(|item| item.reason.contains("not JSON")), "{quarantined:?}");
    daemon.stop().await;
}

async fn an_event_that_comes_twice_is_told_once(forge: Forge) {
    let service = Receiver::start().await;
    let hook = service.slack_like("/services/T0/B0/x");
    let home = forge.home(&slack(&hook.url(), ""));
    let daemon = home.start().await;
    for _ in 0..3 {
        forge.send(&daemon, "same", merge_request(1, "open", "Title")).await;
    }
    // Another event behind them, about the same thing: when it is told, the repeats have passed.
    forge.send(&daemon, "other", merge_request(1, "merge", "Title")).await;
    home.until(State::Delivered, 2).await;
    assert_eq!(hook.received().len(), 2);
    daemon.stop().await;
}

async fn an_event_that_nobody_wants_is_told_to_nobody(forge: Forge) {
    let service = Receiver::start().await;
    let hook = service.slack_like("/services/T0/B0/x");
    let home = forge.home(&slack(&hook.url(), "issues_events = false"));
    let daemon = home.start().await;
    forge.send(&daemon, "issue", payload("issue_open.json")).await;
    forge.send(&daemon, "update", merge_request(1, "update", "Title")).await;
    forge.send(&daemon, "release", payload("release_create.json")).await;
    forge.send(&daemon, "wanted", merge_request(2, "open", "Wanted")).await;
    let heard = hook.wait_for(1).await;
    assert!(heard[0].text().contains("Wanted"), "{}", heard[0].text());
    assert_eq!(hook.received().len(), 1);
    daemon.stop().await;
}

async fn a_wrong_webhook_is_healed_by_correcting_it(forge: Forge) {
    let service = Receiver::start().await;
    let wrong = service.at("/services/T0/B0/wrong").answer(Answer::status(404).body("channel_not_found"));
    let right = service.slack_like("/services/T0/B0/right");
    let home = forge.home(&slack(&wrong.url(), ""));
    let daemon = home.start().await;
    forge.send(&daemon, "one", merge_request(1, "open", "First")).await;
    forge.send(&daemon, "two", merge_request(2, "open", "Second")).await;
    wrong.wait_for(1).await;
    home.until(State::Waiting, 2).await;
    home.provision(&slack(&right.url(), ""));
    assert_eq!(daemon.reload().await.expect("the file is right"), 1);
    right.wait_for(2).await;
    home.until(State::Delivered, 2).await;
    daemon.stop().await;
}

/// What was found out under the old settings may not be written down over what the new ones set right.
async fn a_correction_at_the_very_moment_of_a_refusal_is_heeded(forge: Forge) {
    let service = Receiver::start().await;
    let wrong = service.at("/services/T0/B0/wrong").answer(Answer::status(404).body("channel_not_found"));
    let right = service.slack_like("/services/T0/B0/right");
    let home = forge.home(&slack(&wrong.url(), "")).with(&["rate_limits.enabled=false"]);
    let daemon = home.start().await;
    for round in 1..=30 {
        let iid = i64::try_from(round).expect("small");
        forge.send(&daemon, &format!("mr-{round}"), merge_request(iid, "open", "Title")).await;
        wrong.wait_for(round).await;
        home.provision(&slack(&right.url(), ""));
        daemon.reload().await.expect("the file is right");
        right.wait_for(round).await;
        home.provision(&slack(&wrong.url(), ""));
        daemon.reload().await.expect("the file is right");
    }
    home.until(State::Delivered, 30).await;
    daemon.stop().await;
}

async fn a_refused_message_is_a_dead_letter_that_says_why(forge: Forge) {
    let service = Receiver::start().await;
    let hook = service
        .at("/services/T0/B0/x")
        .answer_then(vec![Answer::status(400).body("invalid_payload")], Answer::ok());
    let home = forge.home(&slack(&hook.url(), ""));
    let daemon = home.start().await;
    forge.send(&daemon, "one", merge_request(1, "open", "First")).await;
    let failed = home.until(State::Failed, 1).await;
    assert!(
        failed[0].last_note.as_deref().is_some_and(|note| note.contains("invalid_payload")),
        "{failed:?}"
    );
    // People resend what they want to be told after all.
    let audit =
        AuditEntry::whole(forgebell::daemon::now(), "test", "delivery.retry", "a delivery".to_owned());
    assert!(home.ledger().await.resend(failed[0].id, audit).await.expect("the store answers").is_done());
    home.until(State::Delivered, 1).await;
    daemon.stop().await;
}

async fn a_dead_address_is_switched_off_until_it_is_corrected(forge: Forge) {
    let service = Receiver::start().await;
    let dead = service.at("/services/T0/B0/dead").answer(Answer::status(404).body("no_service"));
    let home = forge.home(&slack(&dead.url(), "")).with(&["rate_limits.enabled=false"]);
    let daemon = home.start().await;
    for iid in 1..=3 {
        forge.send(&daemon, &format!("mr-{iid}"), merge_request(iid, "open", "Title")).await;
        dead.wait_for(usize::try_from(iid).expect("small")).await;
    }
    daemon.stop().await;
    // It stays off over a restart …
    let daemon = home.start().await;
    let right = service.slack_like("/services/T0/B0/right");
    forge.send(&daemon, "unheard", merge_request(4, "open", "Unheard")).await;
    forge.settled(&daemon, &home).await;
    assert_eq!(dead.received().len(), 3, "nothing goes to a dead address");
    // … until it is corrected; then everything is sent that waited for it.
    home.provision(&slack(&right.url(), ""));
    daemon.reload().await.expect("the file is right");
    forge.send(&daemon, "heard", merge_request(5, "open", "Heard")).await;
    home.until(State::Delivered, 5).await;
    let heard: String = right.received().iter().map(|received| received.text()).collect();
    assert!(heard.contains("Unheard") && heard.contains("Heard"), "{heard}");
    assert_eq!(right.received().len(), 5);
    daemon.stop().await;
}

async fn a_power_cut_loses_nothing(forge: Forge) {
    let service = Receiver::start().await;
    let hook = service.slack_like("/services/T0/B0/x");
    let home = forge.home(&slack(&hook.url(), "")).with(&["rate_limits.enabled=false"]);
    let mut daemon = home.start().await;
    let mut expected = Vec::new();
    for round in 0..3 {
        for iid in 0..40 {
            let title = format!("title-{round}-{iid}-end");
            forge.send(&daemon, &title, merge_request(iid, "open", &title)).await;
            expected.push(title);
        }
        hook.wait_for(expected.len() - 20).await;
        daemon.crash();
        daemon = home.start().await;
    }
    home.until(State::Delivered, expected.len()).await;
    let heard: String = hook.received().iter().map(|received| received.text()).collect();
    for title in &expected {
        assert!(heard.contains(title.as_str()), "{title} was never told");
    }
    // A room has one attempt in flight at a time, and the settlements of a few before it may not have been committed yet:
    // those are what can be told again, per power cut.
    let repeats = hook.received().len() - expected.len();
    assert!(repeats <= 3 * 8, "{repeats} repeats over three power cuts");
    daemon.stop().await;
}

async fn a_soft_stop_finishes_what_is_under_way_and_leaves_the_rest_for_the_next_start(forge: Forge) {
    let service = Receiver::start().await;
    let hook = service.at("/services/T0/B0/x").answer(Answer::ok().delay(Duration::from_millis(150)));
    let home = forge.home(&slack(&hook.url(), "")).with(&["rate_limits.enabled=false"]);
    let daemon = home.start().await;
    for iid in 0..10 {
        forge.send(&daemon, &format!("mr-{iid}"), merge_request(iid, "open", "Title")).await;
    }
    hook.wait_for(2).await;
    daemon.stop().await;
    let told = hook.received().len();
    assert!(told < 10, "it stopped before the end");
    assert_eq!(home.deliveries(Some(State::Delivered)).await.len(), told, "what was sent is settled");
    let daemon = home.start().await;
    home.until(State::Delivered, 10).await;
    assert_eq!(hook.received().len(), 10, "nothing was told twice");
    daemon.stop().await;
}

async fn a_dead_destination_holds_up_no_other(forge: Forge) {
    let service = Receiver::start().await;
    let dead = service.at("/services/T1/B1/dead").answer(Answer::hang());
    let well = service.slack_like("/services/T0/B0/well");
    let both = format!(
        "{}[[integration]]\nproject = \"gitlabhq/gitlab-test\"\nadapter = \"mattermost\"\nwebhook = \"{}\"\n",
        slack(&well.url(), ""),
        dead.url()
    );
    let home = forge.home(&both).with(&["rate_limits.enabled=false"]);
    let daemon = home.start().await;
    for iid in 0..50 {
        forge.send(&daemon, &format!("mr-{iid}"), merge_request(iid, "open", "Title")).await;
    }
    well.wait_for(50).await;
    assert!(dead.received().len() <= 2, "one attempt at a time hangs there");
    eventually("the other fifty wait", Duration::from_secs(10), async || {
        (home.deliveries(Some(State::Waiting)).await.len() == 50).then_some(())
    })
    .await;
    daemon.crash(); // a soft stop would wait for the attempt that hangs
}

impl Forge {
    /// Waits until all events sent before are dispatched. An event without deliveries leaves no other trace.
    async fn settled(&self, daemon: &Daemon, home: &Home) {
        let before = home.quarantined().await.len();
        self.send(daemon, &format!("marker-{before}"), b"not an event".to_vec()).await;
        eventually("what came before is dispatched", Duration::from_secs(20), async || {
            (home.quarantined().await.len() > before).then_some(())
        })
        .await;
    }
}

//! Changes at Jira while a delivery waits or is under way.

use super::*;

const SILENT: (&str, &str) = ("comment_on_event_enabled", "false");

/// Without comments, nothing at Jira says what solved an issue.
#[test]
fn an_issue_that_a_person_resolved_meanwhile_is_mentioned_and_not_said_to_be_solved() {
    let event = at(push("Fixes ABC-7"), EVENT);
    let before = Tracker { status: 3, resolved: Some(NOW.to_owned()), ..Tracker::default() };
    let in_between = Tracker { status: 2, workflow: Workflow::Overtaken, ..Tracker::default() };
    for mut tracker in [before, in_between] {
        deliver(&[("jira_issue_transition_id", "31"), SILENT], &event, &mut tracker);
        assert_eq!(tracker.told(), (0, 0, 1, String::new()));
        let object = &tracker.links[0]["object"];
        let said = (&object["title"], &object["status"]["resolved"]);
        assert_eq!(said, (&json!("Commit - Fixes ABC-7"), &json!(false)));
    }
}

#[test]
fn a_transition_that_meets_with_another_change_is_taken_by_the_next_attempt() {
    let event = at(push("Fixes ABC-7"), EVENT);
    let by = [("jira_issue_transition_id", "31")];
    let mut tracker = Tracker { status: 2, conflicts: 1, ..Tracker::default() };
    let Some(Answer::Failed(failure)) = attempt(&by, &event, &mut tracker, usize::MAX) else {
        panic!("the conflict ends the attempt")
    };
    assert_eq!(failure.consequence(), "temporarily_rejected");
    deliver(&by, &event, &mut tracker);
    assert_eq!(tracker.told(), (1, 1, 1, "31".to_owned()));
}

/// A login page in place of the comments does not say that there are none.
#[test]
fn a_page_in_place_of_the_comments_writes_nothing() {
    let settings = settings(&[]);
    let case = tell("push", &serde_json::from_slice(&push("See ABC-7").raw).expect("JSON"));
    let entry = find("jira").expect("the adapter");
    let target = entry.targets(&settings, &case.event, &[]).send.remove(0).name;
    let read = |call: crate::call::Call<Sent>, body: &str| {
        let Request::Http(request) = &call.request else { panic!("no HTTP") };
        assert_eq!(request.method, Method::Get);
        (call.read)(&Response::Http(http_response(200, &[], body)))
    };
    let Answer::Next(comments) = read(call_with(entry, &settings, &case, &target), ISSUE) else {
        panic!("the comments are asked for")
    };
    let Answer::Failed(failure) = read(comments, "<!DOCTYPE html><title>Log in - Jira") else {
        panic!("nothing more is asked or written")
    };
    assert_eq!(failure.consequence(), "unavailable");
}

#[test]
fn a_refused_login_is_of_the_password_and_a_limit_of_the_user() {
    let entry = find("jira").expect("the adapter");
    let pace = |password: &str| {
        let settings =
            settings_with("jira", &[USUAL[0], USUAL[1], ("password", password)]).expect("settings");
        entry.pace(&settings, "ABC-7 x").expect("a pace")
    };
    let (wrong, right) = (pace("wrong"), pace("right"));
    assert_ne!(wrong.destination, right.destination, "a corrected password does not wait");
    assert_eq!(wrong.shared, right.shared);
    let probe = entry.probe.as_ref().expect("it can be asked").pace(&settings(&[]));
    assert_eq!(probe.destination, pace(USUAL[2].1).destination);
}

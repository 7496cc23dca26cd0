//! IRC's promises, kept with the real irkerd between the daemon and an IRC server.

use std::time::Duration;

use forgebell::store::State;
use serde_json::{Value, json};
use tokio::net::TcpStream;

use crate::harness::daemon::Home;
use crate::harness::forge::Forge;
use crate::harness::irc::{IRKERD, Ircd, Irkerd};
use crate::harness::payloads::{payload, with};
use crate::harness::ports::free_port;
use crate::harness::wait::eventually;

const NO_COMMIT: &str = "0000000000000000000000000000000000000000";

/// A home whose pushes to `mike/diaspora` are told to these; this machine's irkerd may be called, and have these IRC
/// servers called, and nothing else of it.
fn home(forge: &Forge, recipients: &str, more: &str) -> Home {
    let block = format!(
        "[[integration]]\nproject = \"mike/diaspora\"\nadapter = \"irker\"\nrecipients = \"{recipients}\"\n{more}\n"
    );
    let servers = block.match_indices("127.0.0.1:").map(|(at, _)| {
        let end = block[at + 10..].find(|c: char| !c.is_ascii_digit()).expect("a quote follows");
        block[at..at + 10 + end].to_owned()
    });
    let allowed: Vec<_> = servers.chain([IRKERD.to_string()]).collect();
    forge.home(&block).with(&["wire.allow_networks=", &format!("wire.allow_tcp={}", allowed.join(","))])
}

/// A push, changed.
fn push(change: impl FnOnce(&mut Value)) -> Vec<u8> {
    with(&payload("push.json"), change)
}

/// One line's worth of news.
fn removed(branch: &str) -> Vec<u8> {
    empty(branch, "after")
}

/// The same of a branch that begins where another one is.
fn made(branch: &str) -> Vec<u8> {
    empty(branch, "before")
}

fn empty(branch: &str, end: &str) -> Vec<u8> {
    push(|json| {
        json["ref"] = json!(format!("refs/heads/{branch}"));
        json[end] = json!(NO_COMMIT);
        json["commits"] = json!([]);
        json["total_commits_count"] = json!(0);
    })
}

fn has_deleted(branch: &str) -> String {
    format!("[Diaspora] John Smith has deleted the branch {branch}")
}

#[tokio::test(flavor = "multi_thread")]
async fn every_channel_receives_pushes_in_order() {
    let (ircd, _irkerd, forge) = (Ircd::start().await, Irkerd::start().await, Forge::http());
    let (mut one, mut two) = (ircd.listener("#one").await, ircd.listener("#two").await);
    let recipients = format!("#One %23two {}/#one", ircd.url());
    let home = home(&forge, &recipients, &format!("default_irc_uri = \"{}/\"", ircd.url()));
    let daemon = home.start().await;
    forge.send(&daemon, "a", payload("push.json")).await;
    forge.send(&daemon, "b", removed("old")).await;
    for listener in [&mut one, &mut two] {
        assert_eq!(
            listener.words(4).await,
            [
                "[Diaspora] John Smith pushed 4 new commits to master: \
                 http://example.com/mike/diaspora/-/compare/95790bf8...da156088",
                "Diaspora/master b6568db1 Jordi Mallach (2 files): Update Catalan translation to e38cb41.",
                "Diaspora/master da156088 GitLab dev user (2 files): fixed readme",
                &has_deleted("old"),
            ]
        );
    }
    let delivered = home.until(State::Delivered, 2).await;
    assert!(delivered.iter().all(|line| line.attempts == 1), "{delivered:?}");
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn channels_with_a_key_or_a_double_prefix_receive_messages() {
    let (ircd, _irkerd, forge) = (Ircd::start().await, Irkerd::start().await, Forge::http());
    let mut locked = ircd.listener("#vault").await;
    locked.lock("OpenSesame").await;
    let mut odd = ircd.listener("##odd").await;
    odd.lock("Too").await;
    let url = ircd.url();
    let home = home(&forge, &format!("{url}/#Vault?key=OpenSesame {url}/##odd?key=Too"), "");
    let daemon = home.start().await;
    forge.send(&daemon, "a", removed("old")).await;
    assert_eq!(locked.words(1).await, [has_deleted("old")]);
    assert_eq!(odd.words(1).await, [has_deleted("old")]);
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn long_lines_are_cut_between_characters_without_losing_the_connection() {
    let (ircd, _irkerd, forge) = (Ircd::start().await, Irkerd::start().await, Forge::http());
    let mut room = ircd.listener("#room").await;
    let home = home(&forge, &format!("{}/room", ircd.url()), "");
    let daemon = home.start().await;
    let long = push(|json| {
        json["commits"] = json!([json["commits"][0].clone()]);
        json["commits"][0]["title"] = json!(format!("größer\r\nQUIT :now\0 {}", "👩‍👩‍👧".repeat(300)));
        json["total_commits_count"] = json!(1);
    });
    forge.send(&daemon, "a", long).await;
    forge.send(&daemon, "b", removed("old")).await;
    let heard = room.hears(3).await;
    let line = &heard[1].words;
    assert!(
        line.starts_with("Diaspora/master b6568db1 Jordi Mallach (2 files): größer QUIT :now 👩‍👩‍👧👩‍👩‍👧"),
        "{line}"
    );
    assert!(line.ends_with("👩‍👩‍👧…") && (370..=400).contains(&line.len()), "{} bytes: {line}", line.len());
    assert_eq!(heard[2].words, has_deleted("old"));
    assert_eq!(heard[0].by, heard[2].by, "irkerd was not thrown out in between");
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn colours_arrive_where_they_are_wanted() {
    let (ircd, _irkerd, forge) = (Ircd::start().await, Irkerd::start().await, Forge::http());
    let mut room = ircd.listener("#room").await;
    let home = home(&forge, &format!("{}/room", ircd.url()), "colorize_messages = true");
    let daemon = home.start().await;
    forge.send(&daemon, "a", removed("old")).await;
    assert_eq!(room.words(1).await, ["[\x0304Diaspora\x0f] John Smith has deleted the branch \x0305old\x0f"]);
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_branch_is_announced_with_its_commits() {
    let (ircd, _irkerd, forge) = (Ircd::start().await, Irkerd::start().await, Forge::http());
    let mut room = ircd.listener("#room").await;
    let home = home(&forge, &format!("{}/room", ircd.url()), "");
    let daemon = home.start().await;
    let created = push(|json| {
        json["before"] = json!(NO_COMMIT);
        json["ref"] = json!("refs/heads/new");
        json["commits"] = json!([json["commits"][1].clone()]);
        json["total_commits_count"] = json!(1);
    });
    forge.send(&daemon, "a", created).await;
    assert_eq!(
        room.words(3).await,
        [
            "[Diaspora] John Smith has created a new branch new: http://example.com/mike/diaspora/-/branches",
            "[Diaspora] John Smith pushed 1 new commit to new: http://example.com/mike/diaspora/-/commits/da156088",
            "Diaspora/new da156088 GitLab dev user (2 files): fixed readme",
        ]
    );
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unreachable_irc_server_does_not_affect_the_others() {
    let (ircd, _irkerd, forge) = (Ircd::start().await, Irkerd::start().await, Forge::http());
    let (mut one, mut two) = (ircd.listener("#one").await, ircd.listener("#two").await);
    let gone = format!("irc://127.0.0.1:{}/gone", free_port());
    let home = home(&forge, &format!("{0}/one {gone} {0}/two", ircd.url()), "");
    let daemon = home.start().await;
    forge.send(&daemon, "a", payload("push.json")).await;
    forge.send(&daemon, "b", removed("old")).await;
    assert_eq!(one.words(4).await, two.words(4).await);
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn events_while_irkerd_is_down_are_sent_once_and_in_order_later() {
    let (ircd, mut irkerd, forge) = (Ircd::start().await, Irkerd::start().await, Forge::http());
    let mut room = ircd.listener("#room").await;
    let home = home(&forge, &format!("{}/room", ircd.url()), "");
    let daemon = home.start().await;
    irkerd.stop();
    for (id, push) in [("a", made("one")), ("b", removed("one")), ("c", made("one"))] {
        forge.send(&daemon, id, push).await;
    }
    eventually("an attempt has failed", Duration::from_secs(20), async || {
        let waiting = home.deliveries(Some(State::Waiting)).await;
        (waiting.len() == 3 && waiting.iter().any(|line| line.attempts > 0)).then_some(())
    })
    .await;
    irkerd.start_again().await;
    home.until(State::Delivered, 3).await;
    // What was told twice would be heard before this.
    forge.send(&daemon, "d", removed("two")).await;
    let has_made =
        "[Diaspora] John Smith has created a new branch one: http://example.com/mike/diaspora/-/branches";
    assert_eq!(room.words(4).await, [has_made, &has_deleted("one"), has_made, &has_deleted("two")]);
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_busy_irkerd_delays_messages_and_loses_none() {
    let (ircd, _irkerd, forge) = (Ircd::start().await, Irkerd::start().await, Forge::http());
    let mut room = ircd.listener("#room").await;
    let home = home(&forge, &format!("{}/room", ircd.url()), "");
    let daemon = home.start().await;
    let other = TcpStream::connect(IRKERD).await.expect("irkerd is there");
    forge.send(&daemon, "a", removed("first")).await;
    Irkerd::until_kept_waiting(1).await;
    assert_eq!(room.heard_by_now().await, []);
    assert_eq!(
        home.deliveries(Some(State::Delivered)).await.len(),
        0,
        "what irkerd has not read is not delivered"
    );
    drop(other);
    let delivered = home.until(State::Delivered, 1).await;
    assert_eq!(delivered[0].attempts, 1, "it only took longer");
    forge.send(&daemon, "b", removed("last")).await;
    assert_eq!(room.words(2).await, ["first", "last"].map(has_deleted));
    daemon.stop().await;
}

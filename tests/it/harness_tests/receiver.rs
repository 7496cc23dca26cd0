//! The scripted receiver: what it records, what it answers, how it misbehaves, and how it is waited for.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::SOON;
use crate::harness::receiver::{Answer, Receiver};
use crate::harness::{client, payloads, wait};

pub async fn post(url: &str) -> Result<(u16, String), reqwest::Error> {
    let response = client().post(url).body("hello").send().await?;
    let status = response.status().as_u16();
    Ok((status, response.text().await?))
}

#[tokio::test]
async fn a_receiver_answers_in_the_order_of_its_script() {
    let receiver = Receiver::start().await;
    let script = vec![
        Answer::status(503).header("x-reason", "lunch"),
        Answer::json(400, &serde_json::json!({"ok": false})),
        Answer::status(204),
    ];
    let hook = receiver.at("/hook/a").answer_then(script, Answer::ok());
    let (url, client) = (hook.url(), client());
    let mut said = Vec::new();
    for _ in 0..5 {
        let response = client.post(&url).body("hello").send().await.expect("an answer");
        said.push((response.status().as_u16(), response.text().await.expect("a body")));
    }
    let expected = [(503, ""), (400, r#"{"ok":false}"#), (204, ""), (200, "ok"), (200, "ok")];
    assert_eq!(said, expected.map(|(status, body)| (status, body.to_owned())));
    assert_eq!(receiver.connections(), 1, "connections are kept open");
}

#[tokio::test]
async fn a_receiver_records_requests() {
    let receiver = Receiver::start().await;
    let hook = receiver.slack_like("/hook");
    let sent = payloads::payload("push.json");
    let request =
        client().post(format!("{}?wait=true", hook.url())).header("x-token", "t").body(sent.clone());
    request.send().await.expect("an answer");
    post(&receiver.url("/elsewhere")).await.expect("an answer");

    let all = receiver.received();
    assert_eq!(all.len(), 2);
    let first = &all[0];
    assert_eq!((first.seq, first.method.as_str(), first.path.as_str()), (0, "POST", "/hook"));
    assert_eq!((first.query.as_str(), first.header("x-token")), ("wait=true", Some("t")));
    assert_eq!((first.body.as_slice(), first.answered), (sent.as_slice(), Some(200)));
    assert_eq!(first.json()["object_kind"], "push");
    let second = &receiver.received_at("/elsewhere")[0];
    assert_eq!((second.seq, second.answered, second.text().as_str()), (1, Some(404), "hello"));
    assert!(second.at >= first.at);
}

#[tokio::test]
async fn a_receiver_reads_bodies_in_chunks_and_requests_in_a_row() {
    let receiver = Receiver::start().await;
    let hook = receiver.slack_like("/hook");
    let mut stream = TcpStream::connect(receiver.address()).await.expect("a connection");
    let chunked = "POST /hook HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n";
    let last = "POST /hook HTTP/1.1\r\nContent-Length: 3\r\nConnection: close\r\n\r\nfgh";
    stream.write_all(format!("{chunked}{last}").as_bytes()).await.expect("written");
    let mut answers = String::new();
    stream.read_to_string(&mut answers).await.expect("both answers, then the end");
    assert_eq!(answers.matches("HTTP/1.1 200 OK").count(), 2, "{answers}");
    let bodies: Vec<String> = hook.received().iter().map(|received| received.text()).collect();
    assert_eq!(bodies, ["abcde", "fgh"]);
}

#[tokio::test]
async fn a_receiver_can_close_before_and_within_its_answer() {
    let receiver = Receiver::start().await;
    let hook = receiver.at("/rude").answer_then(vec![Answer::close(), Answer::close_mid()], Answer::ok());
    let closed = post(&hook.url()).await.expect_err("no answer at all");
    assert!(closed.is_request(), "{closed:?}");
    let broken = post(&hook.url()).await.expect_err("half an answer");
    assert!(broken.is_body() || broken.is_decode(), "{broken:?}");
    assert_eq!(post(&hook.url()).await.expect("a whole answer"), (200, "ok".to_owned()));
    let answered: Vec<Option<u16>> = hook.received().iter().map(|received| received.answered).collect();
    assert_eq!(answered, [None, Some(200), Some(200)]);
}

#[tokio::test]
async fn a_hanging_receiver_records_the_request_and_never_answers() {
    let receiver = Receiver::start().await;
    let hook = receiver.at("/hang").answer_then(vec![Answer::hang()], Answer::ok());
    let url = hook.url();
    let patient = client().post(&url).timeout(Duration::from_millis(300)).send();
    assert!(patient.await.expect_err("no answer").is_timeout());
    assert_eq!(hook.wait_for(1).await[0].answered, None);
    assert_eq!(post(&url).await.expect("an answer").0, 200);
}

#[tokio::test]
async fn a_delayed_answer_comes_late_and_counts_as_in_progress() {
    let receiver = Receiver::start().await;
    let delay = Duration::from_millis(300);
    let hook = receiver.at("/slow").answer(Answer::ok().delay(delay));
    let (url, begun) = (hook.url(), Instant::now());
    let (one, two, three) = tokio::join!(post(&url), post(&url), post(&url));
    assert!([one, two, three].iter().all(|answer| answer.as_ref().is_ok_and(|(status, _)| *status == 200)));
    assert!(begun.elapsed() >= delay);
    assert_eq!(hook.max_concurrency(), 3);
    let quick = receiver.slack_like("/quick");
    for _ in 0..10 {
        post(&quick.url()).await.expect("an answer");
    }
    assert_eq!(quick.max_concurrency(), 1);
}

#[tokio::test]
async fn a_rate_limited_path_refuses_requests_that_are_too_fast() {
    let receiver = Receiver::start().await;
    let refusal = Answer::throttled(Duration::from_millis(1500));
    let long = Duration::from_secs(3600);
    let hook = receiver.at("/strict").answer(Answer::status(204)).rate_limited(2, long, refusal);
    let client = client();
    let mut said = Vec::new();
    for _ in 0..3 {
        let response = client.post(hook.url()).send().await.expect("an answer");
        let after =
            response.headers().get("retry-after").map(|value| value.to_str().expect("text").to_owned());
        said.push((response.status().as_u16(), after));
    }
    assert_eq!(said, [(204, None), (204, None), (429, Some("2".to_owned()))]);
}

#[tokio::test]
async fn a_rate_limited_path_accepts_requests_at_its_rate() {
    let receiver = Receiver::start().await;
    let refusal = Answer::throttled(Duration::from_secs(1));
    let hook = receiver.at("/strict").rate_limited(1, Duration::from_millis(200), refusal);
    let url = hook.url();
    assert_eq!(post(&url).await.expect("an answer").0, 200);
    let granted = async || (post(&url).await.expect("an answer").0 == 200).then_some(());
    wait::eventually("the bucket has a token again", SOON, granted).await;
}

#[tokio::test]
async fn waiting_for_a_request_wakes_when_it_comes() {
    let receiver = Receiver::start().await;
    let hook = receiver.slack_like("/hook");
    let url = hook.url();
    let (received, ()) = tokio::join!(hook.wait_for(2), async {
        post(&url).await.expect("an answer");
        post(&receiver.url("/other")).await.expect("an answer");
        post(&url).await.expect("an answer");
    });
    assert_eq!(received.iter().map(|received| received.seq).collect::<Vec<_>>(), [0, 2]);
    assert_eq!(receiver.wait_for(3).await.len(), 3);
}

#[tokio::test]
#[should_panic(expected = "in vain for: a second post; 1 arrived\n#0 POST /hook → Some(200): hello")]
async fn a_failed_wait_lists_the_requests_that_arrived() {
    let receiver = Receiver::start().await;
    post(&receiver.slack_like("/hook").url()).await.expect("an answer");
    let two = |received: &[Arc<_>]| received.len() == 2;
    receiver.wait_until("a second post", Duration::from_millis(50), two).await;
}

#[tokio::test]
#[should_panic(expected = "at /hook for: a post; 0 arrived")]
async fn a_failed_wait_names_its_path() {
    let receiver = Receiver::start().await;
    let some = |received: &[Arc<_>]| !received.is_empty();
    receiver.at("/hook").wait_until("a post", Duration::from_millis(50), some).await;
}

//! Simulates irkerd: it reads lines of JSON over TCP, one connection at a time, and never answers.

use serde_json::{Value as Json, json};
use tokio::io::AsyncReadExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::UnboundedSender;
use tokio_util::sync::CancellationToken;

use super::{Receipt, Service};

pub(super) async fn listen(
    listener: TcpListener,
    receipts: UnboundedSender<Receipt>,
    stop: CancellationToken,
) {
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let Ok((stream, _)) = accepted else { continue };
        // The next connection waits until this one is closed, as with irkerd.
        tokio::select! {
            () = stop.cancelled() => return,
            () = hear(stream, &receipts) => {}
        }
    }
}

async fn hear(mut stream: TcpStream, receipts: &UnboundedSender<Receipt>) {
    let mut heard = Vec::new();
    // Data that came before a connection broke counts.
    let _ = stream.read_to_end(&mut heard).await;
    for receipt in understood(&heard) {
        // The demo may have stopped listening.
        let _ = receipts.send(receipt);
    }
}

/// The message to each channel, with its lines joined. irkerd ignores what is not a request.
fn understood(heard: &[u8]) -> Vec<Receipt> {
    let mut told: Vec<(String, Vec<String>)> = Vec::new();
    for line in heard.split(|byte| *byte == b'\n') {
        let request: Json = serde_json::from_slice(line).unwrap_or_default();
        let Some(words) = request["privmsg"].as_str() else { continue };
        let to = match &request["to"] {
            Json::Array(list) => list.iter().filter_map(Json::as_str).collect(),
            Json::String(one) => vec![one.as_str()],
            _ => Vec::new(),
        };
        for address in to {
            match told.iter_mut().find(|(known, _)| known == address) {
                Some((_, lines)) => lines.push(words.to_owned()),
                None => told.push((address.to_owned(), vec![words.to_owned()])),
            }
        }
    }
    let receipt = |(path, lines): (String, Vec<String>)| Receipt {
        service: Service::Irker,
        path,
        body: json!({ "text": lines.join("\n") }),
        status: 200,
    };
    told.into_iter().map(receipt).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::AsyncWriteExt as _;
    use tokio::sync::mpsc;
    use tokio::time::timeout;

    use super::*;

    const SOON: Duration = Duration::from_secs(10);

    #[test]
    fn each_channel_gets_its_lines_and_what_is_no_request_gets_nothing() {
        let said = b"{\"to\":[\"irc://h/a\",\"irc://h/b\"],\"privmsg\":\"one\"}\nno json\n{\"to\":5,\"privmsg\":\"x\"}\n\
                     {\"to\":\"irc://h/a\",\"privmsg\":\"two\"}";
        let told: Vec<_> = understood(said).into_iter().map(|receipt| (receipt.path, receipt.body)).collect();
        assert_eq!(
            told,
            [
                ("irc://h/a".to_owned(), json!({ "text": "one\ntwo" })),
                ("irc://h/b".to_owned(), json!({ "text": "one" })),
            ]
        );
    }

    #[tokio::test]
    async fn one_connection_is_heard_at_a_time_and_closed_behind_its_end() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, mut receipts) = mpsc::unbounded_channel();
        let stop = CancellationToken::new();
        let listening = listen(listener, sender, stop.clone());
        let talking = async {
            let mut first = TcpStream::connect(address).await.unwrap();
            let mut second = TcpStream::connect(address).await.unwrap();
            second.write_all(b"{\"to\":\"irc://h/a\",\"privmsg\":\"second\"}\n").await.unwrap();
            second.shutdown().await.unwrap();
            first.write_all(b"{\"to\":\"irc://h/a\",\"privmsg\":\"first\"}\n").await.unwrap();
            first.shutdown().await.unwrap();
            for stream in [&mut first, &mut second] {
                let mut answer = Vec::new();
                timeout(SOON, stream.read_to_end(&mut answer)).await.unwrap().unwrap();
                assert!(answer.is_empty());
            }
            let told = [receipts.recv().await.unwrap(), receipts.recv().await.unwrap()];
            assert_eq!(told.map(|receipt| receipt.body["text"].clone()), [json!("first"), json!("second")]);
            stop.cancel();
        };
        timeout(SOON, async { tokio::join!(listening, talking) }).await.unwrap();
    }
}

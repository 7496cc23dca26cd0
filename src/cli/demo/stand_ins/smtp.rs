//! Simulates the mail relay (RFC 5321). It accepts mail for the demo's domains, and once fails after it has received a whole
//! mail: only the last reply says whether a mail was accepted.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::json;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::UnboundedSender;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::letter::Letter;
use super::{Receipt, Service};

/// The number of the mail, from 0, that fails at its first attempt.
const NO_ROOM_FOR: usize = 1;

/// The state that the connections share.
struct Relay {
    /// The domains that it accepts mail for.
    domains: Vec<String>,
    mails: AtomicUsize,
    receipts: UnboundedSender<Receipt>,
}

pub(super) async fn listen(
    listener: TcpListener,
    domains: Vec<String>,
    receipts: UnboundedSender<Receipt>,
    stop: CancellationToken,
) {
    let relay = Arc::new(Relay { domains, mails: AtomicUsize::new(0), receipts });
    let talks = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        if let Ok((stream, _)) = accepted {
            let (relay, stop) = (Arc::clone(&relay), stop.clone());
            talks.spawn(async move {
                tokio::select! {
                    () = stop.cancelled() => {}
                    // A broken connection needs no answer.
                    _ = talk(stream, &relay) => {}
                }
            });
        }
    }
    talks.close();
    talks.wait().await;
}

/// The state of one mail.
#[derive(Default)]
struct Envelope {
    has_sender: bool,
    to: Vec<String>,
}

async fn talk(mut stream: TcpStream, relay: &Relay) -> std::io::Result<()> {
    let (reader, mut writer) = stream.split();
    let mut lines = BufReader::new(reader).split(b'\n');
    writer.write_all(b"220-relay.demo.example ESMTP\r\n220 at your service\r\n").await?;
    let mut envelope = Envelope::default();
    while let Some(line) = lines.next_segment().await? {
        let line = String::from_utf8_lossy(&line).trim().to_owned();
        let verb = line.split(' ').next().unwrap_or_default().to_ascii_uppercase();
        let mut is_over = false;
        let reply = match verb.as_str() {
            "EHLO" => {
                envelope = Envelope::default();
                "250-relay.demo.example\r\n250-SIZE 1048576\r\n250-8BITMIME\r\n250 ENHANCEDSTATUSCODES"
                    .to_owned()
            }
            "HELO" => "250 relay.demo.example".to_owned(),
            "NOOP" => "250 2.0.0 here I am".to_owned(),
            "RSET" => {
                envelope = Envelope::default();
                "250 2.0.0 forgotten".to_owned()
            }
            "MAIL" if !envelope.has_sender => {
                envelope.has_sender = true;
                "250 2.1.0 sender ok".to_owned()
            }
            "RCPT" if envelope.has_sender => relay.recipient(&line, &mut envelope),
            "DATA" if !envelope.to.is_empty() => {
                writer.write_all(b"354 go ahead, and end with a dot\r\n").await?;
                let mut content = Vec::new();
                while let Some(line) = lines.next_segment().await? {
                    if line == b".\r" || line == b"." {
                        break;
                    }
                    content.extend_from_slice(line.strip_prefix(b".").unwrap_or(&line));
                    content.push(b'\n');
                }
                relay.take(&std::mem::take(&mut envelope), &content)
            }
            "MAIL" | "RCPT" | "DATA" => "503 5.5.1 not now".to_owned(),
            "QUIT" => {
                is_over = true;
                "221-2.0.0 goodbye\r\n221 2.0.0 and come again".to_owned()
            }
            _ => "502 5.5.2 no such command".to_owned(),
        };
        writer.write_all(format!("{reply}\r\n").as_bytes()).await?;
        if is_over {
            break;
        }
    }
    Ok(())
}

impl Relay {
    fn recipient(&self, line: &str, envelope: &mut Envelope) -> String {
        let address =
            line.split_once('<').and_then(|(_, rest)| rest.split_once('>')).map(|(address, _)| address);
        match address {
            Some(address) if self.domains.iter().any(|domain| *domain == domain_of(address)) => {
                envelope.to.push(address.to_owned());
                "250 2.1.5 recipient ok".to_owned()
            }
            _ => "550 5.1.1 no such person here".to_owned(),
        }
    }

    fn take(&self, envelope: &Envelope, content: &[u8]) -> String {
        let number = self.mails.fetch_add(1, Ordering::Relaxed);
        let status = if number == NO_ROOM_FOR { 451 } else { 250 };
        let letter = Letter::read(content);
        for to in &envelope.to {
            let body = json!({ "channel": to, "subject": letter.subject, "text": letter.text });
            let path = domain_of(to).to_owned();
            // The demo may have stopped listening.
            let _ = self.receipts.send(Receipt { service: Service::Mail, path, body, status });
        }
        if status == 451 {
            "451-4.3.0 not written down\r\n451 4.3.0 queue file write error, try again".to_owned()
        } else {
            format!("250 2.0.0 taken as {number}")
        }
    }
}

fn domain_of(address: &str) -> &str {
    address.rsplit_once('@').map_or("", |(_, domain)| domain)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::AsyncReadExt as _;
    use tokio::sync::mpsc;
    use tokio::time::timeout;

    use super::*;

    /// Sends all lines at once, and returns the codes of the replies and what was received.
    async fn codes(said: &str) -> (Vec<String>, Vec<Receipt>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, mut receipts) = mpsc::unbounded_channel();
        let stop = CancellationToken::new();
        let listening = listen(listener, vec!["readers.example".to_owned()], sender, stop.clone());
        let talking = async {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(said.as_bytes()).await.unwrap();
            let mut answers = String::new();
            stream.read_to_string(&mut answers).await.unwrap();
            stop.cancel();
            answers
        };
        let both = async { tokio::join!(listening, talking) };
        let ((), answers) = timeout(Duration::from_secs(10), both).await.unwrap();
        let codes =
            answers.lines().filter(|line| line.as_bytes()[3] == b' ').map(|line| line[..3].to_owned());
        let mut received = Vec::new();
        while let Ok(receipt) = receipts.try_recv() {
            received.push(receipt);
        }
        (codes.collect(), received)
    }

    #[tokio::test]
    async fn a_mail_is_taken_as_a_relay_takes_it() {
        let (codes, received) = codes(
            "EHLO me\r\nNOOP\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<ada@readers.example>\r\nDATA\r\n\
             Subject: Hello\r\n\r\nOne\r\n..two\r\n.\r\nRSET\r\nQUIT\r\n",
        )
        .await;
        assert_eq!(codes, ["220", "250", "250", "250", "250", "354", "250", "250", "221"]);
        assert_eq!(received.len(), 1);
        assert_eq!((received[0].path.as_str(), received[0].status), ("readers.example", 250));
        assert_eq!(
            received[0].body,
            json!({ "channel": "ada@readers.example", "subject": "Hello", "text": "One\n.two\n" })
        );
    }

    #[tokio::test]
    async fn out_of_turn_for_strangers_and_once_without_a_reason_it_says_no() {
        let mail = "MAIL FROM:<a@b.example>\r\nRCPT TO:<ada@readers.example>\r\nDATA\r\n\r\nx\r\n.\r\n";
        let said = format!(
            "RCPT TO:<ada@readers.example>\r\nWHAT\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<x@else.example>\r\nDATA\r\nRSET\r\n\
             {mail}{mail}{mail}QUIT\r\n"
        );
        let (codes, received) = codes(&said).await;
        assert_eq!(codes[..7], ["220", "503", "502", "250", "550", "503", "250"]);
        assert_eq!(
            codes[7..],
            ["250", "250", "354", "250", "250", "250", "354", "451", "250", "250", "354", "250", "221"]
        );
        assert_eq!(received.iter().map(|receipt| receipt.status).collect::<Vec<_>>(), [250, 451, 250]);
    }
}

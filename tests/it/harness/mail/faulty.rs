//! A relay that breaks off where it is told to: each fault once, in turn, and after the last it takes everything.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_util::task::AbortOnDropHandle;

use super::Letter;

/// Where it breaks off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Instead of a greeting.
    AtOnce,
    /// Instead of a reply to the recipient.
    AtRecipient,
    /// After a few bytes of the content.
    WithinContent,
    /// After the final dot, with the mail taken and nothing said.
    AfterTheDot,
    /// It closes down in order: 421 to the sender.
    Closing,
}

#[derive(Default)]
struct State {
    faults: VecDeque<Fault>,
    /// Whole contents, with whether a yes was said to them.
    contents: Vec<(Vec<u8>, bool)>,
}

pub struct Faulty {
    pub port: u16,
    state: Arc<Mutex<State>>,
    _server: AbortOnDropHandle<()>,
}

impl Faulty {
    pub async fn start(faults: &[Fault]) -> Faulty {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port of our own");
        let port = listener.local_addr().expect("a bound listener has an address").port();
        let state =
            Arc::new(Mutex::new(State { faults: faults.iter().copied().collect(), contents: Vec::new() }));
        let shared = Arc::clone(&state);
        let server = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let Ok((stream, _)) = listener.accept().await else { continue };
                connections.spawn(converse(stream, Arc::clone(&shared)));
            }
        });
        Faulty { port, state, _server: AbortOnDropHandle::new(server) }
    }

    /// Every mail that came to its end, and whether a yes was said to it.
    pub fn taken(&self) -> Vec<(Letter, bool)> {
        let contents = self.state.lock().expect("no other thread panicked").contents.clone();
        contents.iter().map(|(raw, said)| (Letter::parse(raw), *said)).collect()
    }

    pub fn faults_left(&self) -> usize {
        self.state.lock().expect("no other thread panicked").faults.len()
    }
}

fn is_next(state: &Mutex<State>, fault: Fault) -> bool {
    let faults = &mut state.lock().expect("no other thread panicked").faults;
    let next = faults.front() == Some(&fault);
    if next {
        faults.pop_front();
    }
    next
}

/// An error is the other side's going away.
async fn converse(stream: TcpStream, state: Arc<Mutex<State>>) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    if is_next(&state, Fault::AtOnce) {
        return Ok(());
    }
    stream.write_all(b"220 faulty.example ESMTP\r\n").await?;
    let mut line = String::new();
    loop {
        line.clear();
        if stream.read_line(&mut line).await? == 0 {
            return Ok(());
        }
        let command = line.split([' ', '\r']).next().unwrap_or_default().to_ascii_uppercase();
        match command.as_str() {
            "MAIL" if is_next(&state, Fault::Closing) => {
                return stream.write_all(b"421 4.3.2 closing down\r\n").await;
            }
            "RCPT" if is_next(&state, Fault::AtRecipient) => return Ok(()),
            "DATA" => {
                stream.write_all(b"354 go ahead\r\n").await?;
                if is_next(&state, Fault::WithinContent) {
                    stream.read_exact(&mut [0; 100]).await?;
                    return Ok(());
                }
                let mut content = Vec::new();
                while !content.ends_with(b"\r\n.\r\n") {
                    if stream.read_until(b'\n', &mut content).await? == 0 {
                        return Ok(());
                    }
                }
                content.truncate(content.len() - 3);
                let silent = is_next(&state, Fault::AfterTheDot);
                state.lock().expect("no other thread panicked").contents.push((content, !silent));
                if silent {
                    return Ok(());
                }
                stream.write_all(b"250 2.0.0 taken\r\n").await?;
            }
            "QUIT" => return stream.write_all(b"221 2.0.0 bye\r\n").await,
            _ => stream.write_all(b"250 2.0.0 ok\r\n").await?,
        }
    }
}

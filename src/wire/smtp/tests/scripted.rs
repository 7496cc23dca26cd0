//! A scripted relay: it accepts every mail, except where the script replies otherwise.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::task::AbortOnDropHandle;

/// What the relay does instead of accepting.
#[derive(Clone)]
pub(super) enum Act {
    Say(String),
    Close,
    /// Accepts `DATA`, and closes the connection after so many bytes of the content.
    CloseWithin(usize),
    Hang,
}

/// What the script can base its reply on.
#[derive(Clone, Copy)]
pub(super) struct Seen {
    pub(super) connection: usize,
    /// Mails accepted over this connection.
    pub(super) mails: usize,
}

#[derive(Default)]
pub(super) struct Books {
    /// The received commands, by connection.
    pub(super) heard: Vec<Vec<String>>,
    contents: Vec<String>,
    open: usize,
    most_at_once: usize,
}

type Script = dyn Fn(Seen, &str) -> Option<Act> + Send + Sync;

pub(super) struct Scripted {
    pub(super) port: u16,
    books: Arc<Mutex<Books>>,
    changed: watch::Receiver<()>,
    _server: AbortOnDropHandle<()>,
}

struct Shared {
    script: Box<Script>,
    books: Arc<Mutex<Books>>,
    changed: watch::Sender<()>,
}

impl Scripted {
    /// The script is called for `greeting`, for every command, and with `.` for the content.
    pub(super) async fn start(script: impl Fn(Seen, &str) -> Option<Act> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let books = Arc::<Mutex<Books>>::default();
        let (changed, changes) = watch::channel(());
        let shared = Arc::new(Shared { script: Box::new(script), books: Arc::clone(&books), changed });
        #[expect(clippy::disallowed_methods, reason = "a test's own, ended with its handle")]
        let server = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                connections.spawn(converse(stream, Arc::clone(&shared)));
            }
        });
        Self { port, books, changed: changes, _server: AbortOnDropHandle::new(server) }
    }

    pub(super) fn heard(&self, connection: usize) -> Vec<String> {
        self.books.lock().unwrap().heard[connection].clone()
    }

    pub(super) fn contents(&self) -> Vec<String> {
        self.books.lock().unwrap().contents.clone()
    }

    pub(super) fn connections(&self) -> usize {
        self.books.lock().unwrap().heard.len()
    }

    pub(super) fn most_at_once(&self) -> usize {
        self.books.lock().unwrap().most_at_once
    }

    /// Waits until the records match.
    pub(super) async fn until(&self, wanted: impl Fn(&Books) -> bool) {
        let mut changed = self.changed.clone();
        let looking = async {
            while !wanted(&self.books.lock().unwrap()) {
                changed.changed().await.unwrap();
            }
        };
        tokio::time::timeout(Duration::from_secs(10), looking).await.expect("in time");
    }
}

async fn converse(stream: TcpStream, shared: Arc<Shared>) {
    let connection = {
        let mut books = shared.books.lock().unwrap();
        books.heard.push(Vec::new());
        books.open += 1;
        books.most_at_once = books.most_at_once.max(books.open);
        books.heard.len() - 1
    };
    // The session ends when the client closes the connection.
    let _ = talk(stream, connection, &shared).await;
    shared.books.lock().unwrap().open -= 1;
}

async fn talk(stream: TcpStream, connection: usize, shared: &Shared) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    let mut seen = Seen { connection, mails: 0 };
    let mut said = "greeting".to_owned();
    loop {
        let usual = match said.split(' ').next().unwrap_or_default() {
            "greeting" => "220 relay.example",
            "EHLO" => "250-relay.example greets you\r\n250 8BITMIME",
            "DATA" => "354 go ahead",
            "." => "250 2.0.0 fine",
            "QUIT" => "221 bye",
            _ => "250 2.1.0 ok",
        };
        let answer = match (shared.script)(seen, &said) {
            None => usual.to_owned(),
            Some(Act::Say(answer)) => answer,
            Some(Act::Close) => return Ok(()),
            Some(Act::CloseWithin(bytes)) => {
                stream.write_all(b"354 go ahead\r\n").await?;
                stream.read_exact(&mut vec![0; bytes]).await?;
                return Ok(());
            }
            Some(Act::Hang) => std::future::pending().await,
        };
        stream.write_all(format!("{answer}\r\n").as_bytes()).await?;
        if said == "." && answer.starts_with('2') {
            seen.mails += 1;
        }
        if said == "QUIT" || answer.starts_with("421") {
            return Ok(());
        }
        if said == "DATA" && answer.starts_with('3') {
            let mut content = Vec::new();
            while !content.ends_with(b"\r\n.\r\n") {
                if stream.read_until(b'\n', &mut content).await? == 0 {
                    return Ok(());
                }
            }
            shared.books.lock().unwrap().contents.push(String::from_utf8_lossy(&content).into_owned());
            ".".clone_into(&mut said);
        } else {
            said.clear();
            if stream.read_line(&mut said).await? == 0 {
                return Ok(());
            }
            said.truncate(said.trim_end().len());
            shared.books.lock().unwrap().heard[connection].push(said.clone());
        }
        shared.changed.send_replace(());
    }
}

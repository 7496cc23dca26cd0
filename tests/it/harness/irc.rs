//! IRC from end to end: a server, a real irkerd, and a client.
//!
//! * [`Ircd`]: a private ngIRCd, on a port and in a folder of its own.
//! * [`Irkerd`]: the real irkerd. It listens only at port 6659, so one test at a time can have it. It is a Python script
//!   that starts in a fraction of a second.
//! * [`Listener`]: a client in one channel, which receives all messages there.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{Mutex, MutexGuard};
use tokio::time::timeout;

use super::ports::free_port;
use super::rabbit::{Process, Watchdog};
use super::wait::eventually;

/// irkerd's only one.
pub const IRKERD: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 6659);
const NGIRCD: &str = "/usr/sbin/ngircd";
const SOON: Duration = Duration::from_secs(20);
/// A line a second is irkerd's pace, and a handshake comes first.
const HEARD: Duration = Duration::from_secs(40);

/// A private IRC server.
pub struct Ircd {
    // Dropped in this order: the process before the folder it writes to.
    _server: Process,
    _watchdog: Watchdog,
    _folder: TempDir,
    port: u16,
}

impl Ircd {
    pub async fn start() -> Self {
        assert!(
            Path::new(NGIRCD).exists(),
            "ngIRCd is not installed; `bash tests/run.sh` installs it (Debian)"
        );
        let folder = TempDir::with_prefix("ircd-").expect("a folder for the server");
        let port = free_port();
        let file = folder.path().join("ngircd.conf");
        // No ident look-ups, and no throttling except irkerd's own.
        let configuration = format!(
            "[Global]\nName = irc.forgebell.test\nInfo = tests\nListen = 127.0.0.1\nPorts = {port}\n\
             [Limits]\nMaxConnectionsIP = 0\nMaxJoins = 0\nMaxPenaltyTime = 0\nMaxNickLength = 20\n\
             [Options]\nDNS = no\nIdent = no\nPAM = no\n"
        );
        fs::write(&file, configuration).expect("the folder is ours");
        let mut watchdog = Watchdog::over(folder.path());
        let mut command = Command::new(NGIRCD);
        command.arg("-n").arg("-f").arg(&file);
        let log = folder.path().join("log");
        let mut server = Process::start(command, &log);
        watchdog.guard(&[&server]);
        eventually("the IRC server answers", SOON, async || {
            if let Some(status) = server.exited() {
                panic!("ngIRCd ended ({status}):\n{}", fs::read_to_string(&log).unwrap_or_default());
            }
            TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.ok().map(drop)
        })
        .await;
        Self { _server: server, _watchdog: watchdog, _folder: folder, port }
    }

    /// `irc://127.0.0.1:port`, to which a room is appended.
    pub fn url(&self) -> String {
        format!("irc://127.0.0.1:{}", self.port)
    }

    /// A client in this channel.
    pub async fn listener(&self, room: &str) -> Listener {
        Listener::join(self.port, room).await
    }
}

/// The real irkerd. While a test has it, others wait for theirs.
pub struct Irkerd {
    process: Process,
    watchdog: Watchdog,
    folder: TempDir,
    _turn: MutexGuard<'static, ()>,
}

impl Irkerd {
    pub async fn start() -> Self {
        static TURN: Mutex<()> = Mutex::const_new(());
        let turn = TURN.lock().await;
        let folder = TempDir::with_prefix("irkerd-").expect("a folder for irkerd");
        let mut watchdog = Watchdog::over(folder.path());
        let process = launch(folder.path(), &mut watchdog).await;
        Self { process, watchdog, folder, _turn: turn }
    }

    /// It is gone when this returns, and with it all that it had not yet said.
    pub fn stop(&mut self) {
        self.process.kill();
    }

    pub async fn start_again(&mut self) {
        self.process.kill();
        self.process = launch(self.folder.path(), &mut self.watchdog).await;
    }

    /// Waits until this many connections were made and ended by their clients, and irkerd has not yet come to them.
    pub async fn until_kept_waiting(count: usize) {
        eventually("a connection waits for irkerd", SOON, async || {
            let table = fs::read_to_string("/proc/net/tcp").expect("Linux tells of its connections");
            let ours = |line: &&str| {
                let mut columns = line.split_whitespace();
                let close_wait = "08";
                columns.nth(1) == Some("0100007F:1A03") && columns.nth(1) == Some(close_wait)
            };
            (table.lines().filter(ours).count() >= count).then_some(())
        })
        .await;
    }
}

async fn launch(folder: &Path, watchdog: &mut Watchdog) -> Process {
    eventually("irkerd answers", Duration::from_secs(90), async || {
        // Not so after an irkerd that ended a connection before its client did: then the port is left alone for a minute,
        // which irkerd does not know to ignore, and this does.
        let taken = TcpListener::bind(IRKERD).err();
        assert!(
            taken.is_none(),
            "port 6659, the only one that irkerd can listen at, is taken: stop the irkerd that has it"
        );
        let mut command = Command::new("irkerd");
        command.args(["-H", "127.0.0.1", "-H6", "::1", "-d", "debug", "-l"]).arg(folder.join("traffic"));
        let mut process = Process::start(command, &folder.join("log"));
        watchdog.guard(&[&process]);
        loop {
            if process.exited().is_some() {
                return None;
            }
            if TcpStream::connect(IRKERD).await.is_ok() {
                return Some(process);
            }
            tokio::task::yield_now().await;
        }
    })
    .await
}

/// What was said in a room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// `irker123!~irker@127.0.0.1`: another one after irkerd has lost its connection.
    pub by: String,
    pub words: String,
}

/// A person's client in one room.
pub struct Listener {
    lines: BufReader<OwnedReadHalf>,
    writer: OwnedWriteHalf,
    room: String,
}

impl Listener {
    async fn join(port: u16, room: &str) -> Self {
        static LISTENERS: AtomicUsize = AtomicUsize::new(1);
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.expect("the IRC server is there");
        let (reader, writer) = stream.into_split();
        let mut listener = Self { lines: BufReader::new(reader), writer, room: room.to_owned() };
        let name = format!("ear{}", LISTENERS.fetch_add(1, Ordering::Relaxed));
        listener.say(&format!("NICK {name}\r\nUSER {name} 0 * :{name}")).await;
        listener.until("its welcome", " 001 ").await;
        listener.say(&format!("JOIN {room}")).await;
        listener.until("the end of the names in the room", " 366 ").await;
        listener
    }

    /// Locks the room: only who knows the key comes in from now on.
    pub async fn lock(&mut self, key: &str) {
        self.say(&format!("MODE {} +k {key}", self.room)).await;
        self.until("the room is locked", " MODE ").await;
    }

    /// The next things that are said, so many of them.
    pub async fn hears(&mut self, count: usize) -> Vec<Said> {
        let mut heard = Vec::new();
        while heard.len() < count {
            let line = timeout(HEARD, self.line()).await;
            let line = line.unwrap_or_else(|_| {
                panic!("waited in vain in {} for {count} lines; heard {heard:#?}", self.room)
            });
            heard.extend(self.said(&line));
        }
        heard
    }

    /// The words of the next things that are said.
    pub async fn words(&mut self, count: usize) -> Vec<String> {
        self.hears(count).await.into_iter().map(|said| said.words).collect()
    }

    /// What the server had passed on by now and was not yet asked for.
    pub async fn heard_by_now(&mut self) -> Vec<Said> {
        self.say("PING :now").await;
        let mut heard = Vec::new();
        loop {
            let line = timeout(SOON, self.line()).await.expect("the server answers");
            if line.contains(" PONG ") {
                return heard;
            }
            heard.extend(self.said(&line));
        }
    }

    fn said(&self, line: &str) -> Option<Said> {
        let (by, rest) = line.strip_prefix(':')?.split_once(' ')?;
        let words = rest.strip_prefix(&format!("PRIVMSG {} :", self.room))?;
        Some(Said { by: by.to_owned(), words: words.to_owned() })
    }

    async fn until(&mut self, what: &str, sign: &str) {
        let waiting = async { while !self.line().await.contains(sign) {} };
        timeout(SOON, waiting).await.unwrap_or_else(|_| panic!("waited in vain for {what}"));
    }

    async fn line(&mut self) -> String {
        loop {
            let mut line = Vec::new();
            let read = self.lines.read_until(b'\n', &mut line).await.expect("the connection holds");
            assert!(read > 0, "the IRC server hung up");
            let line = String::from_utf8(line).expect("what is said arrives in UTF-8");
            let line = line.trim_end_matches(['\r', '\n']).to_owned();
            match line.strip_prefix("PING ") {
                Some(token) => self.say(&format!("PONG {token}")).await,
                None => return line,
            }
        }
    }

    async fn say(&mut self, line: &str) {
        self.writer.write_all(format!("{line}\r\n").as_bytes()).await.expect("the connection holds");
    }
}

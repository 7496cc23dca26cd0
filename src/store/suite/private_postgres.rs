//! A private PostgreSQL server for a test binary, with a new database for each test; and one that accepts TLS alone. The
//! servers end with the process that started them.
//!
//! The tests in `tests/it` take this file in as well.

use std::fs::OpenOptions;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{LazyLock, mpsc};
use std::time::Duration;

/// PostgreSQL refuses to run as root. The tests of root run it as the system user 65534.
const UNPRIVILEGED_USER: &str = "65534";
const PATIENCE: Duration = Duration::from_secs(60);
/// The end of the line that it prints when it accepts connections.
const READY: &str = "database system is ready to accept connections";

/// A running server.
pub struct Postgres {
    port: u16,
    folder: PathBuf,
    bin: PathBuf,
    databases: AtomicUsize,
}

/// A certificate and its key, in PEM.
type Identity<'a> = (&'a str, &'a str);

static RUNNING: LazyLock<Postgres> = LazyLock::new(|| Postgres::start("plain", None));

/// A new, empty database: its URL.
pub fn database() -> String {
    RUNNING.database()
}

impl Postgres {
    /// A separate server that requires TLS and has this certificate. `name` is the name of its folder.
    pub fn with_tls(name: &str, identity: Identity<'_>) -> Self {
        Self::start(name, Some(identity))
    }

    /// A separate server, which a test may end. `name` is the name of its folder.
    pub fn alone(name: &str) -> Self {
        Self::start(name, None)
    }

    /// Ends it as a crash of its machine does, and starts it again with its data.
    pub fn crash_and_restart(&self) {
        self.crash();
        self.launch(self.folder.join("data"), Vec::new());
    }

    /// Ends it without a farewell: what is not on disk is lost.
    fn crash(&self) {
        let file = self.folder.join("data/postmaster.pid");
        let id = std::fs::read_to_string(&file).expect("it runs").lines().next().map(str::to_owned);
        let id = id.expect("the file names the process");
        // QUIT ends all its processes at once, without a checkpoint.
        let sent = Command::new("kill").args(["-QUIT", &id]).status();
        assert!(sent.is_ok_and(|status| status.success()), "PostgreSQL can be ended");
        let until = std::time::Instant::now() + PATIENCE;
        while file.exists() {
            assert!(std::time::Instant::now() < until, "PostgreSQL does not end");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Runs SQL in a database of this server, as its owner.
    pub fn sql(&self, database: &str, sql: &str) {
        self.run_in(database, sql);
    }

    /// A new, empty database: its URL.
    pub fn database(&self) -> String {
        let name = format!("t{}", self.databases.fetch_add(1, Ordering::Relaxed));
        self.run(&format!("CREATE DATABASE {name}"));
        format!("postgres://forgebell@127.0.0.1:{}/{name}", self.port)
    }

    fn start(name: &str, identity: Option<Identity<'_>>) -> Self {
        let bin = bin();
        sweep();
        let all = std::env::temp_dir().join(format!("forgebell-postgres-{}", std::process::id()));
        let folder = all.join(name);
        std::fs::create_dir_all(&folder).expect("a folder");
        hand_over(&folder);
        let data = folder.join("data");
        let made = unprivileged(&bin.join("initdb"))
            .args([
                "--no-sync",
                "--auth=trust",
                "--encoding=UTF8",
                "--locale=C",
                "--username=forgebell",
                "-D",
            ])
            .arg(&data)
            .output()
            .expect("initdb runs");
        assert!(made.status.success(), "initdb: {}", String::from_utf8_lossy(&made.stderr));
        let port =
            TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|l| l.local_addr()).expect("a port").port();
        let server = Self { port, folder, bin, databases: AtomicUsize::new(0) };
        let tls = identity.map(|identity| server.show(&data, identity)).unwrap_or_default();
        server.launch(data, tls);
        server
    }

    /// Writes the certificate, and a rule that requires TLS; returns the settings for them.
    fn show(&self, data: &Path, (certificate, key): Identity<'_>) -> Vec<String> {
        let written = |name: &str, pem: &str| {
            let path = self.folder.join(name);
            let mut file =
                OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path).expect("a file");
            file.write_all(pem.as_bytes()).expect("it is written");
            hand_over(&path);
            path.display().to_string()
        };
        let settings =
            [("ssl_cert_file", written("cert.pem", certificate)), ("ssl_key_file", written("key.pem", key))];
        std::fs::write(data.join("pg_hba.conf"), "hostssl all all 127.0.0.1/32 trust\n")
            .expect("it is written");
        let settings = settings.iter().map(|(name, path)| format!("{name}={path}"));
        settings.chain(["ssl=on".to_owned()]).collect()
    }

    /// The thread that starts it lives as long as the process: when that ends, the system ends the server.
    fn launch(&self, data: PathBuf, more: Vec<String>) {
        let (bin, folder, port) = (self.bin.clone(), self.folder.clone(), self.port);
        let (ready, wait) = mpsc::channel::<()>();
        std::thread::spawn(move || {
            let mut log = std::fs::File::create(folder.join("log")).expect("a log");
            let mut server = unprivileged(&bin.join("postgres"));
            server.arg("-D").arg(data).arg("-k").arg(&folder).args(["-p", &port.to_string()]);
            let settings = ["listen_addresses=127.0.0.1", "max_connections=200", "shared_buffers=32MB"];
            for setting in settings.into_iter().chain(more.iter().map(String::as_str)) {
                server.args(["-c", setting]);
            }
            let server = server.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn();
            let told = server.expect("postgres starts").stderr.take().expect("it is piped");
            for line in BufReader::new(told).split(b'\n').map_while(Result::ok) {
                let line = String::from_utf8_lossy(&line).into_owned();
                if line.ends_with(READY) {
                    let _ = ready.send(());
                }
                let _ = writeln!(log, "{line}");
            }
            drop(ready); // it ended, so waiting for it ends too
            loop {
                std::thread::park();
            }
        });
        let started = wait.recv_timeout(PATIENCE);
        assert!(started.is_ok(), "PostgreSQL does not start; see {}/log", self.folder.display());
    }

    fn run(&self, sql: &str) {
        self.run_in("postgres", sql);
    }

    fn run_in(&self, database: &str, sql: &str) {
        let port = self.port.to_string();
        let told = Command::new(self.bin.join("psql"))
            .args(["-qX", "-h", "127.0.0.1", "-p", &port, "-U", "forgebell", "-d", database, "-c", sql])
            .output()
            .expect("psql runs");
        assert!(told.status.success(), "{sql}: {}", String::from_utf8_lossy(&told.stderr));
    }
}

/// The newest PostgreSQL that Debian's packages have put here.
fn bin() -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let bins = versions.map(|version| version.path().join("bin")).filter(|bin| bin.join("initdb").exists());
    bins.max().expect("PostgreSQL is missing: install Debian's package postgresql, or run tests/run.sh")
}

/// The user that PostgreSQL runs as.
fn hand_over(path: &Path) {
    if is_root() {
        let owned = Command::new("chown").arg(UNPRIVILEGED_USER).arg(path).status();
        assert!(owned.is_ok_and(|status| status.success()), "cannot change the owner of {}", path.display());
    }
}

fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|me| std::os::unix::fs::MetadataExt::uid(&me) == 0)
}

/// The program, run as an unprivileged user if this is root. It ends when the thread that started it ends.
fn unprivileged(program: &Path) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "QUIT"]);
    if is_root() {
        command.args(["--reuid", UNPRIVILEGED_USER, "--regid", UNPRIVILEGED_USER, "--clear-groups"]);
    }
    command.arg(program).current_dir("/");
    command
}

/// Removes what test runs left that are no more.
fn sweep() {
    for folder in std::fs::read_dir(std::env::temp_dir()).into_iter().flatten().flatten() {
        let name = folder.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.strip_prefix("forgebell-postgres-")) else {
            continue;
        };
        if !Path::new("/proc").join(pid).exists() {
            let _ = std::fs::remove_dir_all(folder.path());
        }
    }
}

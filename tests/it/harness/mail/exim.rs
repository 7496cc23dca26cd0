//! A private exim4: a real mail server with its own folder and port, which takes mail for everybody and puts it into one
//! Maildir. It starts in a moment and leaves nothing behind.
//!
//! Some recipients are special: `gone@…` is refused, `grey@…` is asked to come back once.
//!
//! exim reads another configuration than its own for root alone, so the tests must run as root, as they do in a container.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

use super::Letter;
use crate::harness::ports::free_port;
use crate::harness::rabbit::{Process, Watchdog};
use crate::harness::wait::eventually;

const EXIM: &str = "/usr/sbin/exim4";
const BOOT_BOUND: Duration = Duration::from_secs(20);

pub struct Exim {
    // Dropped in this order: the process before the folder it writes to.
    daemon: Process,
    _watchdog: Watchdog,
    folder: TempDir,
    pub port: u16,
}

/// Which clients the server accepts.
pub enum Access {
    /// All clients.
    Open,
    /// Clients that log in with this name and password after STARTTLS. The certificate is for `localhost`.
    Login { name: &'static str, password: &'static str },
    /// All clients, over TLS from the first byte. The certificate is for `localhost`.
    Encrypted,
}

impl Exim {
    pub async fn start(access: Access) -> Exim {
        assert!(
            Path::new(EXIM).exists(),
            "exim4 is not installed; `bash tests/run.sh` installs what the tests need"
        );
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path();
        // exim works as a user of its own.
        open_to_all(path, 0o755);
        for name in ["spool", "log", "maildir"] {
            fs::create_dir(path.join(name)).expect("a folder of ours");
            open_to_all(&path.join(name), 0o777);
        }
        let issued = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
        fs::write(path.join("cert.pem"), issued.cert.pem()).expect("a file of ours");
        fs::write(path.join("key.pem"), issued.signing_key.serialize_pem()).expect("a file of ours");
        open_to_all(&path.join("key.pem"), 0o644);
        let port = free_port();
        let configuration = path.join("exim.conf");
        fs::write(&configuration, configured(path, port, &access)).expect("a file of ours");

        let mut watchdog = Watchdog::over(path);
        let mut command = Command::new(EXIM);
        command.arg("-C").arg(&configuration).arg("-bdf");
        let daemon = Process::start(command, &path.join("exim.log"));
        watchdog.guard(&[&daemon]);
        let mut exim = Exim { daemon, _watchdog: watchdog, folder, port };
        exim.until_greeted(matches!(access, Access::Encrypted)).await;
        exim
    }

    async fn until_greeted(&mut self, silently: bool) {
        let port = self.port;
        let log = self.folder.path().join("exim.log");
        eventually("exim greets", BOOT_BOUND, async || {
            if let Some(status) = self.daemon.exited() {
                let said = fs::read_to_string(&log).unwrap_or_default();
                panic!("exim ended ({status}); it reads our configuration only for root: {said}");
            }
            let mut stream = TcpStream::connect(("127.0.0.1", port)).await.ok()?;
            if silently {
                return Some(());
            }
            let mut greeting = [0; 3];
            stream.read_exact(&mut greeting).await.ok().filter(|_| greeting == *b"220").map(|_| ())
        })
        .await;
    }

    /// The authority to trust: its own certificate.
    pub fn certificate(&self) -> String {
        self.folder.path().join("cert.pem").display().to_string()
    }

    /// What was delivered so far, in the order of delivery, to whom in the envelope first.
    pub fn delivered(&self) -> Vec<Letter> {
        let Ok(entries) = fs::read_dir(self.folder.path().join("maildir/new")) else { return Vec::new() };
        let mut files: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
        files.sort();
        files.iter().map(|file| Letter::parse(&fs::read(file).expect("a delivered mail"))).collect()
    }

    /// Waits until so many mails were delivered.
    pub async fn until_delivered(&self, count: usize) -> Vec<Letter> {
        let new = self.folder.path().join("maildir/new");
        eventually(&format!("{count} mails in the Maildir"), Duration::from_secs(30), async || {
            fs::read_dir(&new).ok().map(Iterator::count).filter(|found| *found >= count)
        })
        .await;
        self.delivered()
    }
}

fn open_to_all(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("a path of ours");
}

fn configured(path: &Path, port: u16, access: &Access) -> String {
    let path = path.display();
    let (tls, login, authenticators) = match access {
        Access::Open => ("tls_advertise_hosts =\n".to_owned(), String::new(), String::new()),
        Access::Encrypted => (
            format!(
                "tls_advertise_hosts = *\ntls_certificate = {path}/cert.pem\ntls_privatekey = {path}/key.pem\n\
                 tls_on_connect_ports = {port}\n"
            ),
            String::new(),
            String::new(),
        ),
        Access::Login { name, password } => (
            format!(
                "tls_advertise_hosts = *\ntls_certificate = {path}/cert.pem\ntls_privatekey = {path}/key.pem\n\
                 auth_advertise_hosts = ${{if eq{{$tls_in_cipher}}{{}}{{}}{{*}}}}\n"
            ),
            "  deny !authenticated = *\n       message = 5.7.1 log in first\n".to_owned(),
            format!(
                "begin authenticators\nplain:\n  driver = plaintext\n  public_name = PLAIN\n  server_prompts = :\n  \
                 server_condition = ${{if and{{{{eq{{$auth2}}{{{name}}}}}{{eq{{$auth3}}{{{password}}}}}}}}}\n"
            ),
        ),
    };
    format!(
        "primary_hostname = relay.example.test
local_interfaces = 127.0.0.1
daemon_smtp_ports = {port}
spool_directory = {path}/spool
log_file_path = {path}/log/%slog
pid_file_path = {path}/exim.pid
keep_environment =
host_lookup =
rfc1413_query_timeout = 0s
never_users =
deliver_drop_privilege = true
acl_smtp_rcpt = recipient
{tls}
begin acl
recipient:
{login}  deny local_parts = gone
       message = 5.1.1 no such user here
  defer local_parts = grey
        condition = ${{if exists{{{path}/log/seen}}{{no}}{{yes}}}}
        set acl_m0 = ${{run{{/usr/bin/touch {path}/log/seen}}}}
        message = 4.7.1 greylisted, come back later
  accept
begin routers
all:
  driver = accept
  transport = maildir
begin transports
maildir:
  driver = appendfile
  directory = {path}/maildir
  maildir_format
  create_directory
  envelope_to_add
  return_path_add
  user = Debian-exim
  group = Debian-exim
{authenticators}"
    )
}

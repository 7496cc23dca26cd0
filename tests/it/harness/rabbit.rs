//! A private `RabbitMQ` node: real broker, own folder, own ports on loopback, own `epmd`; it clashes with nothing on the
//! machine and leaves nothing behind.
//!
//! * [`RabbitNode`]: the broker. [`RabbitNode::kill`] is a power cut, [`RabbitNode::start_again`] boots from the same
//!   data, [`RabbitNode::pause`] is a broker that hangs. A boot takes about four seconds.
//! * [`shared`]: the one node which every test may use that doesn't disturb it; keep apart with [`unique`] names.
//!   A test that stops the broker starts its own.
//! * [`Process`]: a child process that ends with its owner, also when a test panics.
//! * [`Watchdog`]: cleans up when the test process ends without running destructors. The [`shared`] node is in a
//!   `static`, so this is how it normally ends.
//!
//! A queue that was declared just before [`RabbitNode::kill`] can be lost for good, with the messages that were confirmed
//! in it, since the broker answers before what it notes of its queues is on the disk: a classic one in about one of
//! fifteen tries, until [`RabbitNode::save_queues`]; a quorum queue for two seconds, so that a test of that kind lets
//! other work pass first.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::Write;
use std::net::Ipv4Addr;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{self, Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use std::{env, io};

use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::OnceCell;
use tokio::time::timeout;

use super::ports::free_port;
use super::wait::eventually;

/// Where Debian's package, and the project's own, put the server.
const RELEASES: &str = "/usr/lib/rabbitmq/lib";
const NOT_INSTALLED: &str =
    "RabbitMQ is not installed; `bash tests/run.sh` installs what the tests need (Debian) and runs them";
const BOOT_BOUND: Duration = Duration::from_secs(60);

/// The node that all tests share who only need *a* broker. It is started by the first who asks.
pub async fn shared() -> &'static RabbitNode {
    static SHARED: OnceCell<RabbitNode> = OnceCell::const_new();
    SHARED.get_or_init(RabbitNode::start).await
}

/// A name that no other test uses, for a queue, an exchange or a virtual host.
pub fn unique(prefix: &str) -> String {
    static COUNT: AtomicUsize = AtomicUsize::new(1);
    format!("{prefix}-{}-{}", process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}

pub struct RabbitNode {
    // Dropped in this order: the processes before the folder they write to.
    node: Process,
    epmd: Process,
    watchdog: Watchdog,
    folder: TempDir,
    ports: Ports,
}

#[derive(Clone, Copy)]
struct Ports {
    amqp: u16,
    amqps: Option<u16>,
    epmd: u16,
    distribution: u16,
}

impl RabbitNode {
    pub async fn start() -> RabbitNode {
        Self::boot(None).await
    }

    /// A node that also listens for TLS, at [`Self::tls_url`]. All three in PEM.
    pub async fn with_tls(cert: &str, key: &str, ca: &str) -> RabbitNode {
        Self::boot(Some([("cert.pem", cert), ("key.pem", key), ("ca.pem", ca)])).await
    }

    async fn boot(tls: Option<[(&str, &str); 3]>) -> RabbitNode {
        let installation = installation();
        let folder = TempDir::with_prefix("rabbit-node-").expect("a folder for the node");
        let ports = Ports {
            amqp: free_port(),
            amqps: tls.map(|_| free_port()),
            epmd: free_port(),
            distribution: free_port(),
        };
        furnish(folder.path(), &installation, ports).expect("the node's folder can be furnished");
        for (name, pem) in tls.into_iter().flatten() {
            fs::write(folder.path().join(name), pem).expect("the node's certificates can be written");
        }
        let mut watchdog = Watchdog::over(folder.path());
        let epmd = start_epmd(folder.path(), ports);
        watchdog.guard(&[&epmd]);
        await_epmd(ports).await;
        let node = launch(folder.path(), ports);
        watchdog.guard(&[&node, &epmd]);
        let mut rabbit = RabbitNode { node, epmd, watchdog, folder, ports };
        rabbit.ready().await;
        rabbit
    }

    pub fn port(&self) -> u16 {
        self.ports.amqp
    }

    /// The default virtual host as guest, who may do anything.
    pub fn url(&self) -> String {
        self.url_of("%2f")
    }

    /// Another virtual host, to be made first: `ctl(&["add_vhost", …])`, then `set_permissions`.
    pub fn url_of(&self, vhost: &str) -> String {
        format!("amqp://guest:guest@127.0.0.1:{}/{vhost}", self.ports.amqp)
    }

    pub fn tls_url(&self) -> String {
        let port = self.ports.amqps.expect("the node was started with `with_tls`");
        format!("amqps://guest:guest@localhost:{port}/%2f")
    }

    /// A power cut: the process has ended when this returns, and everything not yet synced is lost.
    pub fn kill(&mut self) {
        self.node.kill();
    }

    /// Has the broker write down which queues there are: from now on a power cut costs none of them. Half a second.
    pub async fn save_queues(&self) {
        // A quorum queue's members are in tables of their own. Without them, it finds no leader after the cut.
        let said =
            self.ctl(&["eval", "lists:foreach(fun dets:sync/1, dets:all()), mnesia:sync_log()."]).await;
        assert_eq!(said.trim(), "ok", "the broker's database is on the disk");
    }

    /// Boots again at the same address with the data that is there, and waits until the node answers.
    pub async fn start_again(&mut self) {
        self.node.kill();
        self.node = launch(self.folder.path(), self.ports);
        self.watchdog.guard(&[&self.node, &self.epmd]);
        self.ready().await;
    }

    /// The broker hangs: connections stay open, the kernel accepts new ones, and there are no answers.
    pub fn pause(&self) {
        self.node.signal("STOP");
    }

    pub fn resume(&self) {
        self.node.signal("CONT");
    }

    /// `rabbitmqctl` for this node, for what AMQP can't do: virtual hosts, alarms, closing connections. Half a second.
    pub async fn ctl(&self, arguments: &[&str]) -> String {
        let script = self.folder.path().join("home/sbin/rabbitmqctl");
        let output = tokio::process::Command::new(script)
            .args(arguments)
            .env_clear()
            .envs(environment(self.folder.path(), self.ports))
            .stdin(Stdio::null())
            .output()
            .await
            .expect("rabbitmqctl can be started");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "rabbitmqctl {arguments:?} failed: {said}{complaint}");
        said
    }

    /// What must not be there any more when the node is gone: its folder and its processes.
    pub fn traces(&self) -> (PathBuf, [u32; 2]) {
        (self.folder.path().to_owned(), [self.node.id(), self.epmd.id()])
    }

    async fn ready(&mut self) {
        let Self { node, folder, ports, .. } = self;
        let log = folder.path().join("node.log");
        let look = async || {
            if let Some(status) = node.exited() {
                panic!("the RabbitMQ node ended while booting ({status}):\n{}", tail(&log));
            }
            if !speaks_amqp(ports.amqp).await {
                return None;
            }
            match ports.amqps {
                Some(port) => TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.ok().map(drop),
                None => Some(()),
            }
        };
        eventually("the RabbitMQ node answers (its log is in node.log)", BOOT_BOUND, look).await;
    }
}

/// Any answer will do: a booting node refuses, a paused one accepts and is silent.
async fn speaks_amqp(port: u16) -> bool {
    let probe = async {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
        stream.write_all(b"AMQP\0\0\x09\x01").await?;
        stream.read_u8().await
    };
    matches!(timeout(Duration::from_secs(1), probe).await, Ok(Ok(_)))
}

fn tail(log: &Path) -> String {
    let text = fs::read(log).unwrap_or_default();
    let from = text.len().saturating_sub(3000);
    String::from_utf8_lossy(&text[from..]).into_owned()
}

/// The newest release on this machine.
fn installation() -> PathBuf {
    let releases = fs::read_dir(RELEASES).into_iter().flatten().flatten();
    releases
        .map(|entry| entry.path())
        .filter(|path| path.join("sbin/rabbitmq-server").exists())
        .max()
        .unwrap_or_else(|| panic!("{NOT_INSTALLED}"))
}

// ---- the folder of a node ----------------------------------------------------------------------------------------

fn furnish(folder: &Path, installation: &Path, ports: Ports) -> io::Result<()> {
    for name in ["data", "log", "home/plugins", "home/sbin"] {
        fs::create_dir_all(folder.join(name))?;
    }
    slim_home(&folder.join("home"), installation)?;
    write_cookie(&folder.join("home/.erlang.cookie"))?;
    fs::write(folder.join("enabled_plugins"), "[rabbitmq_consistent_hash_exchange].\n")?;
    fs::write(folder.join("advanced.config"), "[].\n")?;
    fs::write(folder.join("rabbitmq.conf"), configuration(folder, ports))
}

/// A `RABBITMQ_HOME` with few plugins in it: Erlang searches every folder on its path for every module, and so the
/// node boots in little more than half the time.
fn slim_home(home: &Path, installation: &Path) -> io::Result<()> {
    for plugin in fs::read_dir(installation.join("plugins"))? {
        let plugin = plugin?;
        let name = plugin.file_name().into_string().unwrap_or_default();
        if is_needed(&name) {
            symlink(plugin.path(), home.join("plugins").join(name))?;
        }
    }
    symlink(installation.join("escript"), home.join("escript"))?;
    // Copied, since the scripts find their home by where they lie.
    for script in fs::read_dir(installation.join("sbin"))? {
        let script = script?;
        fs::copy(script.path(), home.join("sbin").join(script.file_name()))?;
    }
    Ok(())
}

/// Of the plugins proper two; of the libraries all but those which only the other plugins use. So a later release,
/// with a library more, still boots.
fn is_needed(plugin: &str) -> bool {
    const PLUGINS: [&str; 2] = ["rabbitmq_prelaunch", "rabbitmq_consistent_hash_exchange"];
    const UNUSED: [&str; 10] = [
        "accept",
        "amqp10_client",
        "base64url",
        "cowboy",
        "cowlib",
        "eetcd",
        "gun",
        "jose",
        "prometheus",
        "quantile_estimator",
    ];
    let name = plugin.split('-').next().unwrap_or_default();
    PLUGINS.contains(&name) || !(name.starts_with("rabbitmq_") || UNUSED.contains(&name))
}

/// Erlang requires that no other user can read the file.
fn write_cookie(file: &Path) -> io::Result<()> {
    fs::write(file, uuid::Uuid::now_v7().simple().to_string())?;
    fs::set_permissions(file, fs::Permissions::from_mode(0o400))
}

/// The limits are absolute, since on a full disk or a small machine the relative ones block publishers.
fn configuration(folder: &Path, ports: Ports) -> String {
    let common = format!(
        "listeners.tcp.default = 127.0.0.1:{}\n\
         loopback_users = none\n\
         log.console = false\n\
         disk_free_limit.absolute = 50MB\n\
         vm_memory_high_watermark.absolute = 1GB\n",
        ports.amqp
    );
    let Some(port) = ports.amqps else { return common };
    let folder = folder.display();
    format!(
        "{common}\
         listeners.ssl.default = 127.0.0.1:{port}\n\
             ssl_options.cacertfile = {folder}/ca.pem\n\
             ssl_options.certfile = {folder}/cert.pem\n\
             ssl_options.keyfile = {folder}/key.pem\n"
    )
}

/// All that a node is told. It is cleared first: a stray `RABBITMQ_…` of the machine's own broker must not reach it.
fn environment(folder: &Path, ports: Ports) -> Vec<(&'static str, OsString)> {
    let within = |name: &str| OsString::from(folder.join(name));
    let port = |port: u16| OsString::from(port.to_string());
    vec![
        ("PATH", env::var_os("PATH").unwrap_or_else(|| "/usr/bin:/bin".into())),
        ("LC_ALL", "C.UTF-8".into()),
        ("HOME", within("home")),
        ("ERL_EPMD_PORT", port(ports.epmd)),
        ("ERL_EPMD_ADDRESS", "127.0.0.1".into()),
        ("RABBITMQ_NODENAME", format!("node{}@localhost", ports.amqp).into()),
        ("RABBITMQ_NODE_IP_ADDRESS", "127.0.0.1".into()),
        ("RABBITMQ_NODE_PORT", port(ports.amqp)),
        ("RABBITMQ_DIST_PORT", port(ports.distribution)),
        ("RABBITMQ_MNESIA_BASE", within("data")),
        ("RABBITMQ_LOG_BASE", within("log")),
        ("RABBITMQ_PID_FILE", within("pid")),
        ("RABBITMQ_ENABLED_PLUGINS_FILE", within("enabled_plugins")),
        ("RABBITMQ_CONFIG_FILE", within("rabbitmq.conf")),
        ("RABBITMQ_ADVANCED_CONFIG_FILE", within("advanced.config")),
        ("RABBITMQ_CONF_ENV_FILE", within("none")),
        ("RABBITMQ_SCRIPTS_DIR", within("home/sbin")),
        ("RABBITMQ_PLUGINS_DIR", within("home/plugins")),
        // On loopback alone, and without the schedulers' busy waiting, which the tests' own threads would pay for.
        (
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS",
            "-kernel inet_dist_use_interface {127,0,0,1} +sbwt none +sbwtdcpu none +sbwtdio none".into(),
        ),
    ]
}

// ---- the processes of a node -------------------------------------------------------------------------------------

/// A node without one starts `epmd -daemon`, which outlives it; this one stays in the foreground and is ours.
fn start_epmd(folder: &Path, ports: Ports) -> Process {
    let mut command = Command::new("epmd");
    command.args(["-port", &ports.epmd.to_string(), "-address", "127.0.0.1"]);
    command.env_clear().envs(environment(folder, ports));
    Process::start(command, &folder.join("epmd.log"))
}

async fn await_epmd(ports: Ports) {
    let look = async || TcpStream::connect((Ipv4Addr::LOCALHOST, ports.epmd)).await.ok().map(drop);
    eventually("epmd accepts connections", Duration::from_secs(10), look).await;
}

fn launch(folder: &Path, ports: Ports) -> Process {
    let mut command = Command::new(folder.join("home/sbin/rabbitmq-server"));
    command.env_clear().envs(environment(folder, ports)).current_dir(folder);
    // The script then replaces itself with the broker, instead of standing between us and it.
    command.env("RUNNING_UNDER_SYSTEMD", "true");
    Process::start(command, &folder.join("node.log"))
}

/// A child process that is killed and reaped when it is dropped.
pub struct Process(Child);

impl Process {
    pub fn start(mut command: Command, log: &Path) -> Process {
        let log = File::options().create(true).append(true).open(log).expect("a log file for the process");
        let errors = log.try_clone().expect("a second handle of the log file");
        command.stdin(Stdio::null()).stdout(log).stderr(errors);
        // A group of its own: Ctrl-C is for the test process, and the watchdog does the rest.
        command.process_group(0);
        Process(command.spawn().unwrap_or_else(|error| panic!("cannot start {command:?}: {error}")))
    }

    pub fn id(&self) -> u32 {
        self.0.id()
    }

    pub fn kill(&mut self) {
        // Fails only where it is dead already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }

    pub fn exited(&mut self) -> Option<process::ExitStatus> {
        self.0.try_wait().expect("a child can be asked whether it lives")
    }

    /// `signal("TERM")`.
    pub fn signal(&self, name: &str) {
        let status = Command::new("sh")
            .args(["-c", "kill -s \"$0\" \"$1\"", name, &self.id().to_string()])
            .status()
            .expect("a shell to send a signal with");
        assert!(status.success(), "signal {name} could not be sent to the node");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A shell that reads from the test process, line by line, whom to kill. When the test process is gone, however it
/// went, the reading ends: then the shell kills those named last, and removes the folder.
pub struct Watchdog(Child);

impl Watchdog {
    const SCRIPT: &str = "while read -r line; do pids=$line; done; \
                          if [ -n \"$pids\" ]; then kill -9 $pids; fi; rm -rf \"$0\"";

    pub fn over(folder: &Path) -> Watchdog {
        let child = Command::new("sh")
            .args(["-c", Self::SCRIPT])
            .arg(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // What ends the test process by its group must not end the one who cleans up after it.
            .process_group(0)
            .spawn()
            .expect("a shell to keep watch");
        Watchdog(child)
    }

    pub fn guard(&mut self, processes: &[&Process]) {
        let pids: Vec<String> = processes.iter().map(|process| process.id().to_string()).collect();
        self.tell(&pids.join(" ")).expect("the watchdog is there");
    }

    fn tell(&mut self, line: &str) -> io::Result<()> {
        self.0.stdin.as_mut().map_or(Ok(()), |stdin| writeln!(stdin, "{line}"))
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        // The processes are gone by now, and their numbers may be others': it is left with the folder alone.
        let _ = self.tell("");
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

//! Attacks on the HTTP server, over loopback and bounded: a number of connections that each misbehave in one way, and come
//! again some time after they were closed.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;

/// How long a connection that was closed stays away.
const PAUSE: Duration = Duration::from_secs(2);

/// What a connection does.
#[derive(Clone)]
pub enum Habit {
    /// Sends this, and then nothing.
    Silent(Arc<Vec<u8>>),
    /// Sends this again and again, and reads nothing.
    DoesNotRead(Arc<Vec<u8>>),
    /// Sends this, and then one byte every half second.
    Drips(Arc<Vec<u8>>),
}

/// The connections of an attack, until it is dropped.
pub struct Attack {
    tasks: JoinSet<()>,
    open: Arc<AtomicUsize>,
}

impl Attack {
    pub fn new() -> Self {
        Self { tasks: JoinSet::new(), open: Arc::default() }
    }

    /// Adds connections from these addresses, by turns.
    pub fn add(&mut self, count: usize, from: &[Ipv4Addr], to: SocketAddr, habit: &Habit) {
        for number in 0..count {
            let (from, habit, open) = (from[number % from.len()], habit.clone(), Arc::clone(&self.open));
            self.tasks.spawn(async move {
                // They do not all come at the same moment.
                tokio::time::sleep(Duration::from_millis((number % 500) as u64)).await;
                loop {
                    if let Some(stream) = connect(from, to).await {
                        open.fetch_add(1, Ordering::Relaxed);
                        habit.misbehave(stream).await;
                        open.fetch_sub(1, Ordering::Relaxed);
                    }
                    tokio::time::sleep(PAUSE).await;
                }
            });
        }
    }

    /// Connections that are open now.
    pub fn open(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }
}

async fn connect(from: Ipv4Addr, to: SocketAddr) -> Option<TcpStream> {
    let socket = TcpSocket::new_v4().ok()?;
    // What is not read should not fit into the buffers of the kernel.
    socket.set_recv_buffer_size(4096).ok()?;
    socket.bind(SocketAddr::from((from, 0))).ok()?;
    socket.connect(to).await.ok()
}

impl Habit {
    /// Until the other end closes the connection.
    async fn misbehave(&self, mut stream: TcpStream) {
        match self {
            Self::Silent(bytes) => {
                let _ = stream.write_all(bytes).await;
                until_closed(stream).await;
            }
            Self::DoesNotRead(bytes) => while stream.write_all(bytes).await.is_ok() {},
            Self::Drips(bytes) => {
                let _ = stream.write_all(bytes).await;
                while stream.write_all(b" ").await.is_ok() {
                    tokio::time::sleep(Duration::from_millis(500)).await;
                }
            }
        }
    }
}

async fn until_closed(mut stream: TcpStream) {
    let mut buffer = [0; 1024];
    while stream.read(&mut buffer).await.is_ok_and(|size| size > 0) {}
}

/// How many connections this process may open for an attack: what was asked for, or what its limit of files allows.
pub fn at_most(wanted: usize) -> usize {
    let limits = std::fs::read_to_string("/proc/self/limits").expect("the limits of this process");
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"));
    let soft = line.and_then(|line| line.split_whitespace().next()?.parse::<usize>().ok());
    // A connection through a proxy of this process takes three.
    wanted.min(soft.map_or(usize::MAX, |files| files.saturating_sub(200) / 3))
}

//! A reverse proxy as simple as one can be: it reads the head of a request, adds where it came from in `X-Forwarded-For`,
//! and passes the rest both ways, one request a connection.

use std::net::{Ipv4Addr, SocketAddr};

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::task::AbortOnDropHandle;

/// The address that it calls the daemon from.
pub const FROM: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 9);

pub struct ReverseProxy {
    address: SocketAddr,
    _accepting: AbortOnDropHandle<()>,
}

impl ReverseProxy {
    pub async fn start(upstream: SocketAddr) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
        let address = listener.local_addr().expect("a bound listener has an address");
        let accepting = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((client, from)) = listener.accept().await {
                connections.spawn(pass_on(client, from, upstream));
                while connections.try_join_next().is_some() {}
            }
        });
        Self { address, _accepting: AbortOnDropHandle::new(accepting) }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

async fn pass_on(mut client: TcpStream, from: SocketAddr, upstream: SocketAddr) -> std::io::Result<()> {
    const END: &[u8] = b"\r\n\r\n";
    let mut read = Vec::new();
    let end = loop {
        if client.read_buf(&mut read).await? == 0 {
            return Ok(());
        }
        if let Some(at) = read.windows(END.len()).position(|bytes| bytes == END) {
            break at + 2;
        }
    };
    let body = read.split_off(end);
    let added = format!("X-Forwarded-For: {}\r\nConnection: close\r\n", from.ip());
    let socket = tokio::net::TcpSocket::new_v4()?;
    socket.bind(SocketAddr::from((FROM, 0)))?;
    let mut server = socket.connect(upstream).await?;
    server.write_all(&[&read, added.as_bytes(), &body].concat()).await?;
    copy_bidirectional(&mut client, &mut server).await.map(drop)
}

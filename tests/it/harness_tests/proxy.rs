//! The cable: cut, frozen, healed, and cut after so many bytes.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use super::SOON;
use super::rabbit::{channel, round_trip};
use super::receiver::post;
use crate::harness::proxy::CuttingProxy;
use crate::harness::receiver::Receiver;
use crate::harness::{rabbit, wait};

/// Sends back what it is sent.
async fn echo() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut from, mut to) = stream.split();
                tokio::io::copy(&mut from, &mut to).await
            });
        }
    });
    address
}

async fn said_back(stream: &mut TcpStream, text: &str) -> io::Result<String> {
    stream.write_all(text.as_bytes()).await?;
    let mut answer = vec![0; text.len()];
    timeout(SOON, stream.read_exact(&mut answer)).await.expect("an echo in time")?;
    Ok(String::from_utf8(answer).expect("what was sent"))
}

#[tokio::test]
async fn a_cut_cable_closes_and_refuses_connections_until_it_is_restored() {
    let proxy = CuttingProxy::start(echo().await).await;
    let mut stream = TcpStream::connect(proxy.addr()).await.expect("a connection");
    assert_eq!(said_back(&mut stream, "hello").await.expect("an echo"), "hello");
    assert_eq!((proxy.connections(), proxy.accepted()), (1, 1));

    proxy.cut().await;
    assert_eq!(proxy.connections(), 0);
    let end = timeout(SOON, stream.read_u8()).await.expect("the end, at once");
    assert!(end.is_err(), "the connection was to be closed");
    let refused = TcpStream::connect(proxy.addr()).await.expect_err("no server listens");
    assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);

    proxy.heal().await;
    let mut stream = TcpStream::connect(proxy.addr()).await.expect("a connection");
    assert_eq!(said_back(&mut stream, "again").await.expect("an echo"), "again");
    assert_eq!((proxy.connections(), proxy.accepted()), (1, 2));
}

#[tokio::test]
async fn a_frozen_cable_keeps_connections_and_passes_nothing() {
    let proxy = CuttingProxy::start(echo().await).await;
    let mut stream = TcpStream::connect(proxy.addr()).await.expect("a connection");
    assert_eq!(said_back(&mut stream, "hello").await.expect("an echo"), "hello");

    proxy.freeze();
    let mut newcomer = TcpStream::connect(proxy.addr()).await.expect("new connections are accepted");
    stream.write_all(b"held").await.expect("the kernel takes it");
    newcomer.write_all(b"too").await.expect("the kernel takes it");
    assert!(timeout(Duration::from_millis(200), stream.read_u8()).await.is_err(), "nothing passes");
    assert_eq!(proxy.connections(), 2);

    proxy.heal().await;
    let mut held = [0; 4];
    timeout(SOON, stream.read_exact(&mut held)).await.expect("in time").expect("what was held");
    assert_eq!(&held, b"held");
    let mut too = [0; 3];
    timeout(SOON, newcomer.read_exact(&mut too)).await.expect("in time").expect("what was held");
    assert_eq!(&too, b"too");
}

#[tokio::test]
async fn a_fuse_passes_exactly_so_many_bytes() {
    let proxy = CuttingProxy::start(echo().await).await;
    proxy.cut_after_bytes(8);
    let mut stream = TcpStream::connect(proxy.addr()).await.expect("a connection");
    stream.write_all(b"hello").await.expect("written");
    let mut back = Vec::new();
    let _ = timeout(SOON, stream.read_to_end(&mut back)).await.expect("the end, at once");
    assert_eq!(back, b"hel", "five up, three down");
    proxy.until_cut(SOON).await;

    proxy.heal().await;
    let mut stream = TcpStream::connect(proxy.addr()).await.expect("a connection");
    assert_eq!(said_back(&mut stream, "no fuse any more").await.expect("an echo"), "no fuse any more");
}

#[tokio::test]
async fn a_fuse_can_cut_only_the_answer() {
    let receiver = Receiver::start().await;
    let hook = receiver.slack_like("/hook");
    let proxy = CuttingProxy::start(receiver.address()).await;
    proxy.cut_after_bytes_back(20);
    post(&format!("http://{}/hook", proxy.addr())).await.expect_err("the answer is cut off");
    assert_eq!(hook.received().len(), 1, "the request arrived");
}

#[tokio::test]
async fn the_cable_of_a_broker_can_be_cut() {
    let node = rabbit::shared().await;
    let proxy = CuttingProxy::start((Ipv4Addr::LOCALHOST, node.port()).into()).await;
    let url = format!("amqp://guest:guest@{}/%2f", proxy.addr());
    round_trip(&url).await;
    let channel = channel(&url).await;
    proxy.cut().await;
    let gone = async || (!channel.status().connected()).then_some(());
    wait::eventually("the client notices the cut", SOON, gone).await;
    proxy.heal().await;
    round_trip(&url).await;
}

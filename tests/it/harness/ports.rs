//! Loopback ports for servers that must know their port beforehand, or return at the same port.
//!
//! Port 0 does not work there: between two binds, the kernel may use the same port for an outgoing connection. The ports
//! here are below the range of outgoing connections (`net.ipv4.ip_local_port_range`, by default 32768 and up).

use std::net::{Ipv4Addr, TcpListener};
use std::process;
use std::sync::atomic::{AtomicUsize, Ordering};

const FIRST: usize = 20_000;
const COUNT: usize = 12_000;

/// A port that is free now. This process never returns the same one twice.
pub fn free_port() -> u16 {
    static USED: AtomicUsize = AtomicUsize::new(0);
    // Test processes that run at the same time start at different offsets.
    let start = process::id() as usize * 97;
    for _ in 0..COUNT {
        let next = USED.fetch_add(1, Ordering::Relaxed);
        let port = u16::try_from(FIRST + (start + next) % COUNT).expect("the range lies below 65536");
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
    panic!("no free port between {FIRST} and {}", FIRST + COUNT);
}

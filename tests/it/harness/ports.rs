//! Ports on loopback for what must know its port beforehand, or come back at the same one.
//!
//! Port 0 will not do there: between two binds the kernel may lend that port to somebody's outgoing connection. These
//! lie below the range from which it lends (`net.ipv4.ip_local_port_range`, by default 32768 and up).

use std::net::{Ipv4Addr, TcpListener};
use std::process;
use std::sync::atomic::{AtomicUsize, Ordering};

const FIRST: usize = 20_000;
const COUNT: usize = 12_000;

/// A port that is free now and that this process hands out once.
pub fn free_port() -> u16 {
    static HANDED_OUT: AtomicUsize = AtomicUsize::new(0);
    // Two test processes at once start at different places.
    let start = process::id() as usize * 97;
    for _ in 0..COUNT {
        let next = HANDED_OUT.fetch_add(1, Ordering::Relaxed);
        let port = u16::try_from(FIRST + (start + next) % COUNT).expect("the range lies below 65536");
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
    panic!("no free port between {FIRST} and {}", FIRST + COUNT);
}

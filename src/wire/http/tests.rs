//! The HTTP client over real sockets, with receivers that are slow, unreachable, broken, or whose certificate is wrong.
#![expect(clippy::disallowed_methods, reason = "receivers of a test end with its runtime")]

use std::io::{Read as _, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;

const TAKEN: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// A receiver on this machine that handles each connection with `serve`. Returns its address and the connection count.
async fn receiver<F, S>(serve: S) -> (String, Arc<AtomicUsize>)
where
    F: Future<Output = ()> + Send + 'static,
    S: Fn(TcpStream) -> F + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    let connections = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&connections);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            counted.fetch_add(1, Ordering::SeqCst);
            tokio::spawn(serve(stream));
        }
    });
    (origin, connections)
}

/// One whole request, or the part that arrived before the connection ended.
async fn read_request(stream: &mut TcpStream) -> String {
    let mut request = String::new();
    loop {
        if let Some((head, body)) = request.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            if body.len() >= length.map_or(0, |length| length.parse().unwrap()) {
                return request;
            }
        }
        let mut piece = [0; 4096];
        match stream.read(&mut piece).await.unwrap() {
            0 => return request,
            read => request.push_str(std::str::from_utf8(&piece[..read]).unwrap()),
        }
    }
}

/// A receiver that answers every request of every connection with these bytes.
async fn answering(answer: impl Into<String>) -> (String, Arc<AtomicUsize>) {
    let answer: Arc<str> = answer.into().into();
    receiver(move |mut stream| {
        let answer = Arc::clone(&answer);
        async move {
            while !read_request(&mut stream).await.is_empty() {
                if stream.write_all(answer.as_bytes()).await.is_err() {
                    return;
                }
            }
        }
    })
    .await
}

/// For receivers on this machine: ignores the proxies in the environment.
fn config() -> Config {
    Config {
        allow_networks: vec!["127.0.0.0/8".parse().unwrap()],
        system_proxy: false,
        connect_timeout: Duration::from_secs(2),
        ..Config::default()
    }
}

fn post(url: &str) -> HttpRequest {
    let url = format!("{url}/hooks/T0PS3CRET?token=T0PS3CRET").parse().unwrap();
    HttpRequest {
        timeout: Duration::from_secs(5),
        ..HttpRequest::post_json(url, &serde_json::json!({"text": "ding"}))
    }
}

async fn send(config: &Config, request: HttpRequest) -> Result<HttpResponse, SendError> {
    let answer = Wire::new(config).unwrap().send(&Request::Http(request)).await;
    if let Err(error) = &answer {
        let text = error.to_string();
        assert!(!text.contains("T0PS3CRET") && !text.contains('\n'), "{text}");
    }
    answer.map(|answer| match answer {
        Response::Http(answer) => answer,
        other => panic!("{other:?}"),
    })
}

#[tokio::test]
async fn a_request_is_sent_as_it_was_made_and_its_response_is_returned() {
    let (seen, mut requests) = tokio::sync::mpsc::unbounded_channel();
    let (origin, _) = receiver(move |mut stream| {
        let seen = seen.clone();
        async move {
            seen.send(read_request(&mut stream).await).unwrap();
            let answer =
                "HTTP/1.1 429 Slow Down\r\nRetry-After: 7\r\nX-Odd: \u{e9}\r\nContent-Length: 4\r\n\r\nwait";
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    })
    .await;
    let mut request = post(&origin);
    request.headers.push(("X-Trace", "abc".to_owned()));

    let answer = send(&config(), request).await.unwrap();

    let sent = requests.recv().await.unwrap();
    assert!(sent.starts_with("POST /hooks/T0PS3CRET?token=T0PS3CRET HTTP/1.1\r\n"), "{sent}");
    for header in ["content-type: application/json\r\n", "x-trace: abc\r\n", "content-length: 15\r\n"] {
        assert!(sent.contains(header), "{sent}");
    }
    assert!(sent.contains(concat!("user-agent: Forgebell/", env!("CARGO_PKG_VERSION"), "\r\n")), "{sent}");
    assert!(sent.ends_with(r#"{"text":"ding"}"#), "{sent}");
    assert_eq!((answer.status, answer.text().as_ref()), (429, "wait"));
    assert_eq!(answer.retry_after(), Some(Duration::from_secs(7)));
    assert_eq!(answer.header("x-odd"), Some("\u{e9}"));
}

#[tokio::test]
async fn users_in_addresses_become_basic_authorisation_unless_the_adapter_has_its_own() {
    let (seen, mut requests) = tokio::sync::mpsc::unbounded_channel();
    let (origin, _) = receiver(move |mut stream| {
        let seen = seen.clone();
        async move {
            seen.send(read_request(&mut stream).await).unwrap();
            stream.write_all(TAKEN.as_bytes()).await.unwrap();
        }
    })
    .await;
    let with_user = origin.replace("http://", "http://bell:p%40ss@");

    send(&config(), post(&with_user)).await.unwrap();
    let sent = requests.recv().await.unwrap();
    assert!(sent.contains("authorization: Basic YmVsbDpwQHNz\r\n"), "{sent}");

    let mut request = post(&with_user);
    request.headers.push(("authorization", "Bearer mine".to_owned()));
    send(&config(), request).await.unwrap();
    let sent = requests.recv().await.unwrap();
    assert!(sent.contains("authorization: Bearer mine\r\n") && !sent.contains("Basic"), "{sent}");
}

#[tokio::test]
async fn connections_are_kept() {
    let (origin, connections) = answering(TAKEN).await;
    let wire = Wire::new(&config()).unwrap();
    for _ in 0..20 {
        wire.send(&Request::Http(post(&origin))).await.unwrap();
    }
    assert_eq!(connections.load(Ordering::SeqCst), 1);
}

/// The receiver holds every request until the test lets it go.
#[tokio::test]
async fn a_service_that_limits_connections_gets_no_more_requests_at_once_than_it_accepts() {
    let (arrived, mut arrivals) = tokio::sync::mpsc::unbounded_channel();
    let (origin, _) = receiver(move |mut stream| {
        let arrived = arrived.clone();
        async move {
            while !read_request(&mut stream).await.is_empty() {
                let (answer, may_answer) = tokio::sync::oneshot::channel();
                arrived.send(answer).unwrap();
                may_answer.await.unwrap();
                stream.write_all(TAKEN.as_bytes()).await.unwrap();
            }
        }
    })
    .await;
    let wire = Wire::new(&config()).unwrap();
    let sent: Vec<_> = (0..3)
        .map(|_| {
            let (wire, request) = (wire.clone(), HttpRequest { at_once: Some(2), ..post(&origin) });
            tokio::spawn(async move { wire.send(&Request::Http(request)).await })
        })
        .collect();

    let first = arrivals.recv().await.unwrap();
    let second = arrivals.recv().await.unwrap();
    // A request without this limit shows that the third one would have arrived by now.
    let unlimited = tokio::spawn({
        let (wire, request) = (wire.clone(), post(&origin));
        async move { wire.send(&Request::Http(request)).await }
    });
    let last = arrivals.recv().await.unwrap();
    last.send(()).unwrap();
    unlimited.await.unwrap().unwrap();
    assert!(arrivals.try_recv().is_err(), "the third request waits for a place");

    first.send(()).unwrap();
    let third = arrivals.recv().await.unwrap();
    for answer in [second, third] {
        answer.send(()).unwrap();
    }
    for sent in sent {
        sent.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn a_request_that_gets_no_place_in_time_is_not_sent_and_says_nothing_of_the_service() {
    let (origin, connections) = receiver(|stream| async move {
        let _open = stream;
        std::future::pending::<()>().await;
    })
    .await;
    let wire = Wire::new(&config()).unwrap();
    let of = |timeout| HttpRequest { at_once: Some(1), timeout, ..post(&origin) };
    let (first, second) = (of(Duration::from_secs(60)), of(Duration::from_millis(200)));
    let held = tokio::spawn({
        let wire = wire.clone();
        async move { wire.send(&Request::Http(first)).await }
    });
    while connections.load(Ordering::SeqCst) == 0 {
        tokio::task::yield_now().await;
    }

    let error = wire.send(&Request::Http(second)).await.unwrap_err();

    let expected = format!("could not send to {origin}: its places for requests (1) were taken for 100ms");
    assert_eq!(error, SendError::NoPlace(expected));
    assert_eq!(connections.load(Ordering::SeqCst), 1);
    held.abort();
}

#[tokio::test]
async fn a_long_response_is_read_up_to_64_kib() {
    let endless = format!("HTTP/1.1 200 OK\r\nContent-Length: 99000000\r\n\r\n{}", "x".repeat(200_000));
    let (origin, _) = answering(endless).await;
    let answer = send(&config(), post(&origin)).await.unwrap();
    assert_eq!(answer.body.len(), 64 * 1024);
}

#[tokio::test]
async fn redirects_are_answers() {
    let (elsewhere, visits) = answering(TAKEN).await;
    let (origin, _) =
        answering(format!("HTTP/1.1 307 Moved\r\nLocation: {elsewhere}/\r\nContent-Length: 0\r\n\r\n")).await;
    let answer = send(&config(), post(&origin)).await.unwrap();
    assert_eq!((answer.status, answer.header("location")), (307, Some(format!("{elsewhere}/").as_str())));
    assert_eq!(visits.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_request_that_gets_no_response_in_time_may_have_been_received() {
    let (origin, _) = receiver(|mut stream| async move {
        read_request(&mut stream).await;
        std::future::pending::<()>().await;
    })
    .await;
    let request = HttpRequest { timeout: Duration::from_millis(200), ..post(&origin) };
    let expected = SendError::NoAnswer(format!("no answer from {origin}: nothing within 200ms"));
    assert_eq!(send(&config(), request).await.unwrap_err(), expected);
}

#[tokio::test]
async fn a_connection_that_ends_after_the_request_may_have_received_it() {
    let (origin, connections) = receiver(|mut stream| async move {
        read_request(&mut stream).await;
    })
    .await;
    let error = send(&config(), post(&origin)).await.unwrap_err();
    let expected = format!("no answer from {origin}: connection closed before message completed");
    assert_eq!(error, SendError::NoAnswer(expected));
    assert_eq!(connections.load(Ordering::SeqCst), 1, "sent again without being asked to");
}

#[tokio::test]
async fn half_a_response_means_the_request_may_have_been_received() {
    let (origin, _) = receiver(|mut stream| async move {
        read_request(&mut stream).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf").await.unwrap();
    })
    .await;
    let error = send(&config(), post(&origin)).await.unwrap_err();
    assert!(
        matches!(&error, SendError::NoAnswer(why) if why.contains("answered 200, then broke off: ")),
        "{error}"
    );
}

#[tokio::test]
async fn a_refused_connection_means_not_sent() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let error = send(&config(), post(&origin)).await.unwrap_err();
    assert_eq!(error, SendError::NotSent(format!("could not connect to {origin}: connection refused")));
}

#[tokio::test]
async fn a_name_without_an_address_means_not_sent() {
    let error = send(&config(), post("http://nobody.invalid")).await.unwrap_err();
    let SendError::NotSent(why) = error else { panic!("{error:?}") };
    assert!(
        why.starts_with(
            "could not connect to http://nobody.invalid: could not find the address of nobody.invalid: "
        ),
        "{why}"
    );
}

#[tokio::test]
async fn a_tls_handshake_that_never_begins_means_not_sent() {
    // The receiver accepts the connection and sends nothing.
    let (origin, _) = receiver(|stream| async move {
        std::future::pending::<()>().await;
        drop(stream);
    })
    .await;
    let config = Config { connect_timeout: Duration::from_millis(200), ..config() };
    let origin = origin.replace("http:", "https:");
    let expected = SendError::NotSent(format!("could not connect to {origin}: nothing within 200ms"));
    assert_eq!(send(&config, post(&origin)).await.unwrap_err(), expected);
}

#[tokio::test]
async fn the_guard_checks_literal_addresses_and_what_names_resolve_to() {
    let (origin, connections) = answering(TAKEN).await;
    let port = origin.rsplit(':').next().unwrap();
    let config = Config { allow_networks: Vec::new(), ..config() };
    let hosts = [
        "2130706433",
        "0x7f.1",
        "127.1",
        "[::ffff:127.0.0.1]",
        "[::1]",
        "169.254.169.254",
        "0.0.0.0",
        "localhost",
    ];
    for host in hosts {
        let error = send(&config, post(&format!("http://{host}:{port}"))).await.unwrap_err();
        assert!(
            matches!(&error, SendError::Refused(why) if why.contains("wire.allow_networks")),
            "{error:?}"
        );
    }
    // One loopback address is permitted, so the name is resolved; it resolves to another loopback address.
    let config = Config { allow_networks: vec!["::1/128".parse().unwrap()], ..config };
    let error = send(&config, post(&format!("http://localhost:{port}"))).await.unwrap_err();
    let SendError::Refused(why) = &error else { panic!("{error:?}") };
    assert!(
        why.contains("localhost resolves to 127.0.0.1, a loopback address; wire.allow_networks"),
        "{why}"
    );
    assert_eq!(connections.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_header_that_cannot_be_sent_is_refused_and_its_value_is_not_shown() {
    let mut request = post("http://127.0.0.1:1");
    request.headers.push(("x-token", "T0PS3CRET\r\nx: y".to_owned()));
    let error = send(&config(), request).await.unwrap_err();
    assert!(
        matches!(&error, SendError::Refused(why) if why.contains("the header x-token contains")),
        "{error:?}"
    );
}

/// Makes a certificate authority and a TLS receiver with a certificate of it. Returns the receiver's origin and the
/// authority's PEM.
fn tls_receiver() -> (String, String) {
    let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let authority_key = rcgen::KeyPair::generate().unwrap();
    let authority = params.self_signed(&authority_key).unwrap();
    let issuer = rcgen::Issuer::new(params, authority_key);
    let key = rcgen::KeyPair::generate().unwrap();
    let params = rcgen::CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    let certificate = params.signed_by(&key, &issuer).unwrap();

    let chain = vec![CertificateDer::from(certificate)];
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let server =
        rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let server = Arc::new(server.with_no_client_auth().with_single_cert(chain, key).unwrap());
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let origin = format!("https://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut session = rustls::ServerConnection::new(Arc::clone(&server)).unwrap();
            let mut tls = rustls::Stream::new(&mut session, &mut stream);
            let mut request = [0; 4096];
            if tls.read(&mut request).is_ok() {
                tls.write_all(TAKEN.as_bytes()).unwrap();
            }
        }
    });
    (origin, authority.pem())
}

#[tokio::test]
async fn private_authorities_are_trusted_where_the_settings_say_so() {
    let (origin, authority) = tls_receiver();

    let error = send(&config(), post(&origin)).await.unwrap_err();
    let expected = format!(
        "could not connect to {origin}: invalid peer certificate: UnknownIssuer (wire.ca_file can add its authority)"
    );
    assert_eq!(error, SendError::NotSent(expected));

    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(&file, authority).unwrap();
    let config = Config { ca_file: Some(file.path().to_owned()), ..config() };
    assert_eq!(send(&config, post(&origin)).await.unwrap().text(), "ok");
}

#[tokio::test]
async fn a_request_may_switch_off_certificate_verification_but_not_the_guard() {
    let (origin, _) = tls_receiver();
    let unverified = |origin: &str| HttpRequest { verify_tls: false, ..post(origin) };
    let wire = Wire::new(&config()).unwrap();
    let sent = |request| {
        let wire = wire.clone();
        async move { wire.send_http(&request).await }
    };
    assert_eq!(sent(unverified(&origin)).await.unwrap().text(), "ok");
    let error = sent(post(&origin)).await.unwrap_err();
    assert!(matches!(&error, SendError::NotSent(why) if why.contains("UnknownIssuer")), "{error:?}");
    let nowhere = Config { allow_networks: Vec::new(), ..config() };
    let error = send(&nowhere, unverified(&origin)).await.unwrap_err();
    assert!(matches!(&error, SendError::Refused(_)), "{error:?}");
}

#[test]
fn a_wrong_ca_file_is_named() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let paths = [file.path().to_owned(), "/nowhere/ca.pem".into()];
    for path in paths {
        let error = Wire::new(&Config { ca_file: Some(path.clone()), ..config() }).unwrap_err().to_string();
        assert!(error.starts_with(&format!("failed to read wire.ca_file {}: ", path.display())), "{error}");
    }
}

use axum::http::HeaderValue;
use proptest::prelude::*;

use super::*;

async fn read(kind: Option<&str>, body: impl Into<Bytes>) -> Result<Params, ApiError> {
    let mut headers = HeaderMap::new();
    if let Some(kind) = kind {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_str(kind).unwrap());
    }
    let mut params = Params::default();
    params.add_body(&headers, body.into()).await.map(|()| params)
}

async fn json(body: &str) -> Result<Params, ApiError> {
    read(Some("application/json"), body.to_owned()).await
}

async fn form(body: &str) -> Result<Params, ApiError> {
    read(Some("application/x-www-form-urlencoded"), body.to_owned()).await
}

fn multipart(parts: &[(&str, &[u8])]) -> (String, Vec<u8>) {
    let mut body = Vec::new();
    for (disposition, value) in parts {
        body.extend_from_slice(b"--edge\r\ncontent-disposition: form-data; ");
        body.extend_from_slice(disposition.as_bytes());
        body.extend_from_slice(b"\r\n\r\n");
        body.extend_from_slice(value);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(b"--edge--\r\n");
    ("multipart/form-data; boundary=edge".to_owned(), body)
}

fn text(params: &Params, name: &str) -> Option<String> {
    params.text(name).unwrap()
}

fn why(read: Result<Params, ApiError>) -> String {
    match read {
        Err(ApiError::Unreadable(why)) => why,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn the_three_kinds_of_body_say_the_same() {
    let (kind, body) = multipart(&[
        ("name=\"webhook\"", "https://a.example/ä+b".as_bytes()),
        ("name=\"push_events\"", b"true"),
        ("name=\"protected_branches[]\"", b"main"),
        ("name=\"protected_branches[]\"", b"*-stable"),
    ]);
    for params in [
        json(r#"{"webhook":"https://a.example/ä+b","push_events":true,"protected_branches":["main","*-stable"]}"#)
            .await
            .unwrap(),
        form(
            "webhook=https%3A%2F%2Fa.example%2F%C3%A4%2bb&push_events=true\
             &protected_branches[]=main&protected_branches%5B%5D=*-stable",
        )
        .await
        .unwrap(),
        read(Some(&kind), body).await.unwrap(),
    ] {
        assert_eq!(text(&params, "webhook").as_deref(), Some("https://a.example/ä+b"));
        assert_eq!(params.boolean("push_events"), Ok(Some(true)));
        assert_eq!(params.list("protected_branches"), Ok(Some(vec!["main".into(), "*-stable".into()])));
    }
}

#[tokio::test]
async fn a_body_without_a_content_type_is_a_form_and_an_unknown_type_is_refused() {
    let params = read(None, "token=a+b").await.unwrap();
    assert_eq!(text(&params, "token").as_deref(), Some("a b"));
    let refused = read(Some("text/plain; charset=utf-8"), "token=a").await;
    assert_eq!(refused, Err(ApiError::UnsupportedType("text/plain".to_owned())));
    assert_eq!(read(Some("text/plain"), "").await, Ok(Params::default()), "nothing was sent");
    assert!(read(Some("application/vnd.api+json; charset=utf-8"), "{}").await.is_ok());
}

#[tokio::test]
async fn the_body_goes_before_the_query_and_the_later_before_the_earlier() {
    let mut params = Params::of_query("?room=a&token=q&room=b".trim_start_matches('?')).unwrap();
    assert_eq!(text(&params, "room").as_deref(), Some("b"));
    let headers =
        HeaderMap::from_iter([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))]);
    params.add_body(&headers, Bytes::from_static(br#"{"room":"c","room":"d"}"#)).await.unwrap();
    assert_eq!(text(&params, "room").as_deref(), Some("d"));
    assert_eq!(text(&params, "token").as_deref(), Some("q"));
}

#[tokio::test]
async fn blank_and_null_were_sent_and_say_nothing_of_truth_or_number() {
    let params = json(r#"{"a":"","b":null,"c":"  "}"#).await.unwrap();
    assert!(params.has("a") && params.has("b") && !params.has("d"));
    assert_eq!((text(&params, "a"), text(&params, "b")), (Some(String::new()), None));
    assert_eq!(
        (params.boolean("a"), params.boolean("b"), params.boolean("c")),
        (Ok(None), Ok(None), Ok(None))
    );
    assert_eq!((params.integer("a"), params.integer("b")), (Ok(None), Ok(None)));
}

#[tokio::test]
async fn truth_has_many_names() {
    for word in ["true", "T", "1", "on", "YES", "y"] {
        assert_eq!(form(&format!("x={word}")).await.unwrap().boolean("x"), Ok(Some(true)), "{word}");
    }
    for word in ["false", "F", "0", "off", "No", "n"] {
        assert_eq!(form(&format!("x={word}")).await.unwrap().boolean("x"), Ok(Some(false)), "{word}");
    }
    let numbers = json(r#"{"one":1,"nought":0,"two":2}"#).await.unwrap();
    assert_eq!((numbers.boolean("one"), numbers.boolean("nought")), (Ok(Some(true)), Ok(Some(false))));
    assert_eq!(numbers.boolean("two"), Err(Invalid));
    assert_eq!(form("x=maybe").await.unwrap().boolean("x"), Err(Invalid));
}

#[tokio::test]
async fn numbers_are_numbers_and_texts_of_digits() {
    let params =
        json(r#"{"a":6659,"b":"6659","c":6659.5,"d":99999999999999999999,"e":"x","f":true}"#).await.unwrap();
    assert_eq!((params.integer("a"), params.integer("b")), (Ok(Some(6659)), Ok(Some(6659))));
    for name in ["c", "d", "e", "f"] {
        assert_eq!(params.integer(name), Err(Invalid), "{name}");
    }
    assert_eq!(text(&params, "a").as_deref(), Some("6659"), "a number is text where text is asked for");
    assert_eq!(text(&params, "f").as_deref(), Some("true"));
}

#[tokio::test]
async fn what_no_parameter_can_be_is_known_to_have_been_there() {
    let (kind, body) = multipart(&[("name=\"o\"; filename=\"a.txt\"", b"words")]);
    for params in [
        json(r#"{"o":{"a":[1]}}"#).await.unwrap(),
        json(r#"{"o":[["a"]]}"#).await.unwrap(),
        form("o[key]=v").await.unwrap(),
        read(Some(&kind), body).await.unwrap(),
    ] {
        assert!(params.has("o"));
        assert_eq!(params.text("o"), Err(Invalid));
        assert_eq!(params.boolean("o"), Err(Invalid));
        assert_eq!(params.list("o"), Err(Invalid));
    }
    let list = json(r#"{"o":["a"]}"#).await.unwrap();
    assert_eq!(list.text("o"), Err(Invalid), "a list is no text");
}

#[tokio::test]
async fn a_list_may_be_a_text_with_commas() {
    let params = form("branches=main,+*-stable+,,").await.unwrap();
    assert_eq!(params.list("branches"), Ok(Some(vec!["main".into(), "*-stable".into()])));
    assert_eq!(form("branches=").await.unwrap().list("branches"), Ok(Some(Vec::new())));
}

#[tokio::test]
async fn malformed_json_is_reported_without_its_values() {
    for body in ["{\"token\":\"s3cret\"", "{", "{\"token\":\"s3cret\"} x", "{'token':'s3cret'}"] {
        let why = why(json(body).await);
        assert!(why.starts_with("the body is malformed JSON: "), "{why}");
        assert!(!why.contains("s3cret"), "{why}");
    }
    for body in ["\"s3cret\"", "[\"s3cret\"]", "12", "null"] {
        assert_eq!(why(json(body).await), "the body is not a JSON object");
    }
}

#[tokio::test]
async fn deep_json_is_malformed_or_read_over_and_never_fatal() {
    let lists = format!("{{\"a\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
    assert!(why(json(&lists).await).contains("recursion limit"));
    let objects = format!("{{\"a\":{}1{}}}", "{\"b\":".repeat(100_000), "}".repeat(100_000));
    assert_eq!(json(&objects).await.unwrap().text("a"), Err(Invalid));
}

#[tokio::test]
async fn what_is_no_utf8_is_refused_in_every_kind_of_body() {
    let (kind, body) = multipart(&[("name=\"a\"", b"\xff")]);
    for refused in [
        read(Some("application/json"), Bytes::from_static(b"{\"a\":\"\xff\"}")).await,
        form("a=%FF").await,
        read(None, Bytes::from_static(b"a=\xff")).await,
        read(Some(&kind), body).await,
    ] {
        assert_eq!(why(refused), "the parameters are not valid UTF-8");
    }
    assert!(Params::of_query("a=%FF").is_err());
}

#[tokio::test]
async fn null_bytes_are_refused_wherever_they_are() {
    for refused in [
        json(r#"{"a":"x\u0000"}"#).await,
        json(r#"{"a":["x\u0000"]}"#).await,
        json(r#"{"x\u0000":"a"}"#).await,
        form("a=%00").await,
    ] {
        assert_eq!(why(refused), "a parameter holds a null byte");
    }
}

#[tokio::test]
async fn endless_parameters_are_refused() {
    let names = (0..=MAX_COUNT).map(|number| format!("p{number}=x")).collect::<Vec<_>>().join("&");
    assert_eq!(why(form(&names).await), "there are more than 1000 parameters");
    let items = "p[]=x&".repeat(MAX_COUNT + 1);
    assert_eq!(why(form(&items).await), "there are more than 1000 parameters");
    let json_names = (0..=MAX_COUNT).map(|number| format!("\"p{number}\":1")).collect::<Vec<_>>().join(",");
    assert_eq!(why(json(&format!("{{{json_names}}}")).await), "there are more than 1000 parameters");
    let same = "p=x&".repeat(10 * MAX_COUNT);
    assert!(form(&same).await.is_ok(), "one name is one parameter");
    let list = format!("{{\"p\":[{}1]}}", "1,".repeat(MAX_COUNT));
    assert_eq!(json(&list).await.unwrap().list("p"), Err(Invalid));
}

#[tokio::test]
async fn half_a_multipart_body_is_refused() {
    let (kind, body) = multipart(&[("name=\"a\"", b"words")]);
    let half = body[..body.len() / 2].to_vec();
    assert_eq!(why(read(Some(&kind), half).await), "the body is no multipart/form-data");
    assert_eq!(why(read(Some("multipart/form-data"), body).await), "the body is no multipart/form-data");
}

#[tokio::test]
async fn the_names_can_be_printed_and_the_values_not() {
    let params = json(r#"{"token":"s3cret"}"#).await.unwrap();
    assert_eq!(format!("{params:?}"), "{\"token\"}");
}

fn head(method: Method) -> Parts {
    Request::builder().method(method).body(()).unwrap().into_parts().0
}

#[tokio::test(start_paused = true)]
async fn a_body_that_does_not_come_is_not_waited_for_longer_than_it_may_take() {
    let never = Body::from_stream(futures_util::stream::pending::<Result<Bytes, std::io::Error>>());
    let patience = Duration::from_secs(10);
    let refused = read_body(&head(Method::PUT), never, patience).await;
    assert_eq!(refused, Err(ApiError::BodyTooSlow(patience)));
}

#[tokio::test]
async fn an_incomplete_body_is_distinguished_from_an_empty_one() {
    let broken =
        futures_util::stream::iter([Ok(Bytes::from_static(b"{")), Err(std::io::Error::other("gone"))]);
    let refused = read_body(&head(Method::PUT), Body::from_stream(broken), Duration::from_secs(10)).await;
    assert_eq!(refused, Err(ApiError::BodyIncomplete));
    let empty = read_body(&head(Method::PUT), Body::empty(), Duration::from_secs(10)).await;
    assert_eq!(empty, Ok(Bytes::new()));
}

proptest! {
    #[test]
    fn nothing_that_can_be_sent_is_fatal(
        kind in prop_oneof![
            Just("application/json"),
            Just("application/x-www-form-urlencoded"),
            Just("multipart/form-data; boundary=edge"),
        ],
        body in prop::collection::vec(any::<u8>(), 0..400),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        if let Ok(params) = runtime.block_on(read(Some(kind), body)) {
            prop_assert!(params.0.len() <= MAX_COUNT);
        }
    }
}

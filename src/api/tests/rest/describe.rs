//! The API's description, served without a token.

use super::*;

#[tokio::test]
async fn the_description_and_its_page_are_for_everybody() {
    let api = Api::open().await;
    let document = answer(api.request("GET", "/openapi.json")).await;
    assert_eq!((document.status, &document.json()["openapi"]), (200, &json!("3.1.0")));
    let page = answer(api.request("GET", "/docs")).await;
    assert_eq!(
        (page.status, page.headers["content-type"].to_str().unwrap()),
        (200, "text/html; charset=utf-8")
    );
    assert!(page.text.contains("Forgebell API"));
    assert_eq!(page.headers["x-content-type-options"], "nosniff");
}

#[tokio::test]
async fn every_route_that_is_described_is_there_and_no_other_method() {
    let api = Api::open().await;
    let admin = api.admin().await;
    api.project(42, "acme/rocket").await;
    api.group("acme").await;
    let document = answer(api.request("GET", "/openapi.json")).await.json();
    for (path, item) in document["paths"].as_object().unwrap() {
        let at = filled_in(path);
        for method in ["get", "put", "post", "delete"] {
            let response = api.ask(&admin, &method.to_uppercase(), &at).await;
            let described = &item[method]["responses"];
            if described.is_null() {
                assert_eq!(response.status, 405, "{method} {at}: {response:?}");
            } else {
                assert_ne!(
                    (response.status, response.text.as_str()),
                    (404, r#"{"error":"404 Not Found"}"#),
                    "{method} {at}"
                );
                assert!(described[response.status.to_string()].is_object(), "{method} {at}: {response:?}");
            }
        }
    }
}

/// A path of the document with something in each of its parameters.
fn filled_in(path: &str) -> String {
    let id = if path.starts_with("/groups") { "acme" } else { "42" };
    path.replace("{id}", id).replace("{slug}", "slack").replace("{delivery_id}", "7")
}

#[tokio::test]
async fn what_comes_of_a_body_without_a_token_in_the_head_is_described_wherever_one_is_looked_at() {
    let api = Api::open().await;
    let document = answer(api.request("GET", "/openapi.json")).await.json();
    let mut looked_at = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        for method in ["put", "post", "delete"] {
            let described = &item[method]["responses"];
            if described.is_null() {
                continue;
            }
            let head =
                format!("{} /api/v4{} HTTP/1.1\r\nhost: x\r\n", method.to_uppercase(), filled_in(path));
            let body = "content-type: text/plain\r\nconnection: close\r\ncontent-length: 5\r\n\r\nx=y&z";
            let too_much = "content-length: 500000000\r\n\r\n";
            for rest in [body, too_much] {
                let response = say(&api, &format!("{head}{rest}")).await;
                let status = response.split(' ').nth(1).unwrap();
                assert!(described[status].is_object(), "{method} {path}: {response}");
            }
            assert_eq!(described["408"].is_object(), described["413"].is_object(), "{method} {path}");
            looked_at += 1;
        }
    }
    assert!(looked_at > 60, "{looked_at} operations");
    let half = format!("DELETE /api/v4{} HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\nx", "/quarantine/7");
    assert!(say(&api, &half).await.starts_with("http/1.1 408 "));
}

#[tokio::test]
async fn former_names_are_described_wherever_they_are_served() {
    let api = Api::open().await;
    let document = answer(api.request("GET", "/openapi.json")).await.json();
    for level in ["projects", "groups"] {
        for (rest, methods) in [("", &["get"][..]), ("/{slug}", &["get", "put", "delete"])] {
            let item = &document["paths"][format!("/{level}/{{id}}/services{rest}")];
            for method in methods {
                assert_eq!(item[method]["deprecated"], true, "{method} {level} {rest}");
            }
        }
    }
}

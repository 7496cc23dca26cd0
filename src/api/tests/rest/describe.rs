//! The API's description, served to whoever asks.

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
        let id = if path.starts_with("/groups") { "acme" } else { "42" };
        let at = path
            .replace("{id}", id)
            .replace("{slug}", "slack")
            .replace("{delivery_id}", "7")
            .replace("{number}", "7");
        for method in ["get", "put", "post", "delete"] {
            let told = api.ask(&admin, &method.to_uppercase(), &at).await;
            let described = &item[method]["responses"];
            if described.is_null() {
                assert_eq!(told.status, 405, "{method} {at}: {told:?}");
            } else {
                assert_ne!(
                    (told.status, told.text.as_str()),
                    (404, r#"{"error":"404 Not Found"}"#),
                    "{method} {at}"
                );
                assert!(described[told.status.to_string()].is_object(), "{method} {at}: {told:?}");
            }
        }
    }
}

//! The API, fuzzed by a tester that reads the description which the daemon serves of itself.

use serde_json::json;

use crate::harness::api::administered;
use crate::harness::daemon::Home;
use crate::harness::python;

#[tokio::test(flavor = "multi_thread")]
async fn every_request_that_openapi_allows_has_a_documented_answer() {
    let home = Home::new("").with(&["http.login_failures=1000000"]);
    let (daemon, admin) = administered(&home).await;
    admin.put("/projects/42", json!({ "path_with_namespace": "acme/rocket" })).await;
    let webhook = json!({ "webhook": "https://hooks.slack.com/services/T0/B0/s3cret" });
    admin.put("/projects/42/integrations/slack", webhook).await;
    let header = format!("PRIVATE-TOKEN: {}", admin.token);
    let description = format!("{}/api/v4/openapi.json", daemon.base());
    python::run(
        "schemathesis",
        &[
            "run",
            &description,
            "--header",
            &header,
            // A test is a real attempt, and what is made up here leads anywhere. Groups, the instance and the older name
            // of the paths share their handlers and schemas with projects: one service stands for all there, and what lies
            // below it is asked of projects alone.
            "--exclude-path-regex",
            "/test$|/services/|^(/groups/[^/]+)?/integrations/((?!slack$)[a-z-]+$|.+/)|^/groups/[^/]+/events",
            "--checks",
            "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance",
            "--max-examples",
            "10",
            "--seed",
            "20260115",
            "--no-color",
        ],
    )
    .await;
    daemon.stop().await;
}

//! GitLab's Integrations API as the Go client speaks to it that Terraform's GitLab provider is built on.

use std::path::{Path, PathBuf};

use serde_json::json;
use tokio::process::Command;

use crate::harness::api::administered;
use crate::harness::daemon::Home;
use crate::harness::program::finished;

/// The client, as Debian packages it with all that it needs.
const GOPATH: &str = "/usr/share/gocode";

/// The project of `payloads/push.json`.
const PROJECT: &str = "15";

/// Builds the program of `tests/go`, from what is on this machine alone.
async fn built(folder: &Path) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let program = folder.join("integrations");
    let mut command = Command::new("go");
    command.arg("build").arg("-o").arg(&program).arg("integrations.go").current_dir(root.join("tests/go"));
    command.env("GOPATH", GOPATH).env("GO111MODULE", "off").env("GOPROXY", "off");
    command.env("GOCACHE", root.join("target/go-cache")).env("GOFLAGS", "");
    finished(command).await;
    program
}

/// What a client creates, reads, sends back and reads again is the same, for each service that it has methods for.
#[tokio::test(flavor = "multi_thread")]
async fn go_client_sees_no_drift_in_any_service_that_it_knows() {
    let home = Home::new("");
    let (daemon, admin) = administered(&home).await;
    admin.put(&format!("/projects/{PROJECT}"), json!({ "path_with_namespace": "mike/diaspora" })).await;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut command = Command::new(built(folder.path()).await);
    command.args([daemon.base(), &admin.token, PROJECT]);
    command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("payloads/push.json"));
    let said = finished(command).await;
    println!("{said}");
    assert!(said.ends_with("no drift\n"), "{said}");
    daemon.stop().await;
}

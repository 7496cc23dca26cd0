//! The dependency files that a push touched, and how they are read from the forge
//! (<https://docs.gitlab.com/api/repository_files/#retrieve-a-raw-file-from-a-repository>).

use std::collections::HashMap;

use bytes::Bytes;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value as Json;
use sha1::{Digest as _, Sha1};

use super::Upload;
use crate::adapters::operator::ForgeConfig;
use crate::call::{
    Answer, Call, Egress, Failure, HttpRequest, HttpResponse, Method, Sent, by_status, is_page, unavailable,
};
use crate::event::Push;

/// The most files of one push.
pub(super) const MOST: usize = 20;
/// In bytes. A larger file is left out.
pub(super) const LARGEST: usize = 1024 * 1024;
/// All files together, in bytes. A file beyond that is left out.
pub(super) const ALL: usize = 8 * LARGEST;
/// Names of files, whole.
const NAMES: [&str; 11] = [
    "Gemfile",
    "Gemfile.lock",
    "package.json",
    "npm-shrinkwrap.json",
    "setup.py",
    "requires.txt",
    "requirements.pip",
    "composer.json",
    "composer.lock",
    "bower.json",
    ".gemspec",
];
/// The characters that need no encoding in one segment of an address.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');
/// GitLab gives the id of a file's content in this header.
const BLOB_ID: &str = "x-gitlab-blob-id";

/// The dependency files that a push added or changed, and did not remove after that.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct TouchedFiles {
    /// In the order in which they were first touched.
    pub(super) read: Vec<String>,
    /// How many more there are.
    pub(super) more: usize,
}

impl TouchedFiles {
    pub(super) fn of(push: &Push) -> Self {
        // A path, and whether a later commit removed it. There may be hundreds of thousands.
        let (mut files, mut places) = (Vec::<Option<&str>>::new(), HashMap::<&str, usize>::new());
        for commit in &push.commits {
            let touched = commit.added.iter().chain(&commit.modified);
            for path in touched.filter(|path| is_dependency_file(path)) {
                places.entry(path).or_insert_with(|| {
                    files.push(Some(path));
                    files.len() - 1
                });
            }
            for path in &commit.removed {
                if let Some(place) = places.remove(path.as_str()) {
                    files[place] = None;
                }
            }
        }
        let files: Vec<&str> = files.into_iter().flatten().collect();
        let more = files.len().saturating_sub(MOST);
        Self { read: files.into_iter().take(MOST).map(str::to_owned).collect(), more }
    }
}

/// The service's own rule: a path that ends like this, so that `old-package.json` is one too.
fn is_dependency_file(path: &str) -> bool {
    let is_requirements = || {
        let behind = path.split_once("requirements").map(|(_, behind)| behind);
        behind.and_then(|behind| behind.strip_suffix(".txt")).is_some()
    };
    NAMES.iter().any(|name| path.ends_with(name)) || is_requirements()
}

/// A file as it is uploaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Content {
    pub(super) path: String,
    /// The id that git has for the content.
    pub(super) blob_id: String,
    pub(super) bytes: Bytes,
}

/// Reads files one after the other, then uploads them.
pub(super) struct Read {
    /// The address of the repository's files in the forge's API.
    files: String,
    commit: String,
    token: String,
    /// The paths that are still to be read, the next one last.
    paths: Vec<String>,
    contents: Vec<Content>,
    left_out: LeftOut,
    upload: Upload,
}

/// How many files are not uploaded, by the reason. Their names are not said: in addresses, they may be secrets.
#[derive(Clone, Copy, Debug, Default)]
struct LeftOut {
    missing: usize,
    large: usize,
    beyond: usize,
}

impl LeftOut {
    /// The reasons; `None` if no file was left out.
    fn reasons(self) -> Option<String> {
        let Self { missing, large, beyond } = self;
        let all = [
            (missing, "not in the pushed commit"),
            (large, "larger than 1 MiB"),
            (beyond, "beyond 8 MiB of all files together"),
        ];
        let said: Vec<String> =
            all.iter().filter(|(count, _)| *count > 0).map(|(count, why)| format!("{count} {why}")).collect();
        (!said.is_empty()).then(|| said.join(", "))
    }
}

impl Read {
    /// The call that begins with the first file; `None` where there is none.
    pub(super) fn at(
        forge: &ForgeConfig,
        project: i64,
        commit: &str,
        mut paths: Vec<String>,
        upload: Upload,
    ) -> Option<Call<Sent>> {
        let api = forge.api_url.trim_end_matches('/');
        paths.reverse();
        let read = Self {
            files: format!("{api}/projects/{project}/repository/files"),
            commit: commit.to_owned(),
            token: forge.token.expose().to_owned(),
            paths,
            contents: Vec::new(),
            left_out: LeftOut::default(),
            upload,
        };
        match read.next() {
            Answer::Next(call) => Some(call),
            _ => None,
        }
    }

    /// The next file, or the upload of all.
    fn next(mut self) -> Answer<Sent> {
        if let Some(path) = self.paths.pop() {
            let Some(request) = self.request(&path) else {
                let why = "`forge.api_url` is not an address";
                return Answer::Failed(Failure::OperatorError(why.to_owned()));
            };
            let call = Call::http(request, move |response| self.take(path, response));
            return Answer::Next(call.to_other_service());
        }
        if self.contents.is_empty() {
            let why = self.left_out.reasons().unwrap_or_default();
            return Answer::Skipped(format!("no dependency file could be read: {why}"));
        }
        let upload = self.upload.post(&self.contents);
        Answer::Next(match self.left_out.reasons() {
            Some(why) => upload.remarking(format!("dependency files are left out: {why}")),
            None => upload,
        })
    }

    fn request(&self, path: &str) -> Option<HttpRequest> {
        let (path, commit) = (utf8_percent_encode(path, SEGMENT), utf8_percent_encode(&self.commit, SEGMENT));
        let url = url::Url::parse(&format!("{}/{path}/raw?ref={commit}", self.files)).ok()?;
        Some(HttpRequest {
            headers: vec![("private-token", self.token.clone())],
            egress: Egress::Operator,
            // One byte more shows that a file is larger.
            answer_limit: LARGEST + 1,
            ..HttpRequest::new(Method::Get, url)
        })
    }

    fn take(mut self, path: String, response: &HttpResponse) -> Answer<Sent> {
        match response.status {
            200 if looks_like_a_page(response) => return Answer::Failed(unavailable(response, false)),
            200 if response.body.len() > LARGEST => self.left_out.large += 1,
            // The other files are uploaded without this one.
            200 if self.size() + response.body.len() > ALL => self.left_out.beyond += 1,
            200 => {
                let (bytes, blob_id) = (response.body.clone(), blob_id(response));
                self.contents.push(Content { path, blob_id, bytes });
            }
            404 if says(response, "404 File Not Found") => self.left_out.missing += 1,
            404 if says(response, "404 Commit Not Found") => {
                return Answer::Skipped("the forge does not have the pushed commit any more".to_owned());
            }
            201..=299 => return Answer::Failed(unavailable(response, false)),
            _ => return by_status(response),
        }
        self.next()
    }

    fn size(&self) -> usize {
        self.contents.iter().map(|content| content.bytes.len()).sum()
    }
}

/// Whether a login page or the like came instead of the file. A conflict that was committed begins with `<` too.
fn looks_like_a_page(response: &HttpResponse) -> bool {
    is_page(response) && !response.body.starts_with(b"<<<<<<<")
}

/// GitLab's own word for what is missing.
fn says(response: &HttpResponse, message: &str) -> bool {
    let answer: Json = serde_json::from_slice(&response.body).unwrap_or_default();
    answer["message"] == message
}

/// The id that git has for the content: as the forge says it, or computed.
fn blob_id(response: &HttpResponse) -> String {
    let is_id = |id: &&str| matches!(id.len(), 40 | 64) && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    if let Some(id) = response.header(BLOB_ID).map(str::trim).filter(is_id) {
        return id.to_owned();
    }
    // Git's ids are SHA-1; nothing is secured by them here.
    let mut hash = Sha1::new();
    hash.update(format!("blob {}\0", response.body.len()));
    hash.update(&response.body);
    format!("{:x}", hash.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapters::tests::changed_push;
    use crate::event::Payload;
    use serde_json::json;

    fn touched(commits: Json) -> TouchedFiles {
        let event = changed_push(|push| push["commits"] = commits);
        let Payload::Push(push) = &event.payload else { panic!("no push") };
        TouchedFiles::of(push)
    }

    #[test]
    fn dependency_files_are_known_by_the_end_of_their_path() {
        for file in [
            "Gemfile",
            "a/b c/Gemfile.lock",
            "rocket.gemspec",
            "web/package.json",
            "old-package.json",
            "npm-shrinkwrap.json",
            "setup.py",
            "requires.txt",
            "requirements.txt",
            "requirements-dev.txt",
            "requirements/test.txt",
            "requirements.pip",
            "composer.json",
            "composer.lock",
            "bower.json",
            "ü/100%/Gemfile",
        ] {
            assert!(is_dependency_file(file), "{file}");
        }
        for file in
            ["README.md", "Gemfile.old", "package.json5", "requirements.md", "Cargo.toml", "", "a.txt"]
        {
            assert!(!is_dependency_file(file), "{file}");
        }
    }

    #[test]
    fn files_that_a_later_commit_removed_are_not_read() {
        let commits = json!([
            { "id": "1", "added": ["Gemfile", "a/package.json", "x.rs"], "modified": ["setup.py"] },
            { "id": "2", "modified": ["Gemfile"], "removed": ["a/package.json"] },
            { "id": "3", "added": ["composer.json"], "removed": ["setup.py"] },
            { "id": "4", "added": ["setup.py"] },
        ]);
        assert_eq!(touched(commits).read, ["Gemfile", "composer.json", "setup.py"]);
        let again = json!([
            { "id": "1", "added": ["Gemfile", "package.json"] },
            { "id": "2", "removed": ["Gemfile"] },
            { "id": "3", "added": ["Gemfile"], "modified": ["package.json"] },
        ]);
        assert_eq!(touched(again).read, ["package.json", "Gemfile"]);
    }

    #[test]
    fn twenty_files_are_read_and_the_others_are_counted() {
        let many: Vec<String> = (0..5_000).map(|number| format!("{number}/package.json")).collect();
        let TouchedFiles { read, more } = touched(json!([{ "id": "1", "added": many }]));
        assert_eq!((read.len(), read[19].as_str(), more), (20, "19/package.json", 4_980));
    }

    /// `printf 'hello\n' | git hash-object --stdin`
    #[test]
    fn the_id_of_a_content_is_gits() {
        let at = jiff::Timestamp::UNIX_EPOCH;
        let mut response = HttpResponse { status: 200, headers: Vec::new(), body: "hello\n".into(), at };
        assert_eq!(blob_id(&response), "ce013625030ba8dba906f756967f9e9ca394464a");
        response.headers.push((BLOB_ID.to_owned(), "ab".repeat(20)));
        assert_eq!(blob_id(&response), "ab".repeat(20));
        response.headers[0].1 = "no id".to_owned();
        assert_eq!(blob_id(&response), "ce013625030ba8dba906f756967f9e9ca394464a");
    }
}

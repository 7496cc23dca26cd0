//! Holds the code to the map in `src/lib.rs` and to the rules beside it.
//!
//! * [`map`]: what each module may use, read from the table in `src/lib.rs`.
//! * [`rules`]: where crates from outside, the clock and SQL may be used.
//! * [`circles`]: modules that use each other.
//! * [`source`]: what a source file names.
//! * [`check`]: every breach, with its file and line.

mod circles;
mod map;
mod rules;
mod source;

use std::collections::HashSet;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use map::{Map, Module};
use rules::{Home, MOST_LINES, OUTSIDE, PURE, SQL, WAITING_WORDS};
use source::{Source, What};

#[derive(Debug)]
struct Breach {
    path: String,
    line: usize,
    rule: String,
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "src/{}:{}: {}", self.path, self.line, self.rule)
    }
}

/// Every breach of the map and the rules.
fn check(map: &Map, sources: &[Source]) -> Vec<Breach> {
    let code = Code::of(sources);
    let mut breaches: Vec<Breach> = sources.iter().flat_map(|source| code.breaches(map, source)).collect();
    breaches.extend(code.circles(sources));
    breaches.extend(code.unregistered_adapters(sources));
    breaches
}

/// What must be known of all files to judge one.
struct Code {
    modules: HashSet<Vec<String>>,
    test_modules: Vec<Vec<String>>,
    /// The modules that implement `Adapter`, each with its type.
    adapters: Vec<(Vec<String>, String)>,
}

impl Code {
    fn of(sources: &[Source]) -> Code {
        let code = Code {
            modules: sources.iter().map(|source| source.module.clone()).collect(),
            test_modules: sources.iter().flat_map(|source| source.test_modules.iter().cloned()).collect(),
            adapters: Vec::new(),
        };
        let mut adapters = Vec::new();
        for source in sources.iter().filter(|source| source.top() == "adapters" && !code.is_for_tests(source))
        {
            let words: Vec<&str> = source.words().collect();
            for implemented in words.windows(4).filter(|words| words[..3] == ["impl", "Adapter", "for"]) {
                adapters.push((source.module.clone(), implemented[3].to_owned()));
            }
        }
        Code { adapters, ..code }
    }

    fn is_for_tests(&self, source: &Source) -> bool {
        self.test_modules.iter().any(|module| source.module.starts_with(module))
    }

    fn breaches(&self, map: &Map, source: &Source) -> Vec<Breach> {
        let mut breaches = Vec::new();
        let mut breach = |line: usize, rule: Option<String>| {
            breaches.extend(rule.map(|rule| Breach { path: source.path.clone(), line, rule }));
        };
        if source.module.is_empty() {
            return breaches; // lib.rs and main.rs
        }
        let Some(module) = map.module(source.top()) else {
            breach(1, Some(format!("`{}` is not on the map in src/lib.rs", source.top())));
            return breaches;
        };
        for found in &source.found {
            let for_tests = found.for_tests || self.is_for_tests(source);
            match &found.what {
                What::Path { segments, is_macro } => {
                    if segments[0] == "crate" {
                        breach(found.line, self.map_rule(map, module, &segments[1..], *is_macro));
                    }
                    if !for_tests {
                        breach(found.line, self.adapter_rule(source, segments));
                        breach(found.line, outside_rule(source, segments));
                    }
                }
                What::Word(word) if !for_tests => breach(found.line, waiting_rule(source, word)),
                What::Text(text) => {
                    breach(found.line, tests_rule(source, text));
                    if !for_tests {
                        breach(found.line, sql_rule(source, text));
                    }
                }
                What::Word(_) => {}
            }
        }
        breaches
    }

    /// A module uses what its row on the map grants it.
    fn map_rule(&self, map: &Map, module: &Module, used: &[String], is_macro: bool) -> Option<String> {
        let first = used.first()?;
        if *first == module.name || first == "*" {
            return None;
        }
        if map.module(first).is_none() {
            // A macro is exported from the crate's root, wherever it is written.
            return (!is_macro).then(|| format!("`{first}` is not on the map in src/lib.rs"));
        }
        let is_granted = module.may_use(used, |path| self.modules.contains(path));
        (!is_granted).then(|| format!("`{}` may not use `{}`", module.name, module.named(used)))
    }

    /// Only the table uses adapters, so that each can be removed without a change elsewhere.
    fn adapter_rule(&self, source: &Source, used: &[String]) -> Option<String> {
        let is_within =
            |module: &[String]| source.module.starts_with(module) || module.starts_with(&source.module);
        let used = used.strip_prefix(&["crate".to_owned()])?;
        let (adapter, _) = self.adapters.iter().find(|(module, _)| used.starts_with(module))?;
        (source.top() == "adapters" && !is_within(adapter))
            .then(|| format!("an adapter may not use another: `{}`", adapter.join("::")))
    }

    /// Each adapter has a row in `ADAPTERS`.
    fn unregistered_adapters(&self, sources: &[Source]) -> Vec<Breach> {
        let table = sources.iter().find(|source| source.module == ["adapters"]);
        let from_table = table.into_iter().flat_map(Source::words).skip_while(|word| *word != "ADAPTERS");
        let rows: Vec<&str> = from_table.take_while(|word| !["pub", "fn", "impl"].contains(word)).collect();
        let of = |module: &Vec<String>| sources.iter().find(|source| source.module == *module);
        let missing = self.adapters.iter().filter(|(_, adapter)| !rows.contains(&adapter.as_str()));
        missing
            .filter_map(|(module, adapter)| {
                let rule = format!("`{adapter}` is missing from ADAPTERS in src/adapters/mod.rs");
                Some(Breach { path: of(module)?.path.clone(), line: 1, rule })
            })
            .collect()
    }

    /// Modules beside each other do not use each other.
    fn circles(&self, sources: &[Source]) -> Vec<Breach> {
        let mut edges = Vec::new();
        for source in sources.iter().filter(|source| !self.is_for_tests(source)) {
            for found in source.found.iter().filter(|found| !found.for_tests) {
                let What::Path { segments, .. } = &found.what else { continue };
                let Some(used) = segments.strip_prefix(&["crate".to_owned()]) else { continue };
                let known = (0..=used.len()).rev().find(|length| self.modules.contains(&used[..*length]));
                let used = &used[..known.unwrap_or_default()];
                edges.extend(circles::edge(&source.module, used, (source.path.clone(), found.line)));
            }
        }
        let breach = |circle: Vec<&circles::Edge>| {
            let (path, line) = circle[0].place.clone();
            let members: Vec<_> = circle.iter().map(|edge| format!("`{}`", edge.from)).collect();
            let places: Vec<_> =
                circle[1..].iter().map(|edge| format!("src/{}:{}", edge.place.0, edge.place.1)).collect();
            let (members, places) = (members.join(" -> "), places.join(", "));
            Breach { path, line, rule: format!("a circle: {members} -> `{}` ({places})", circle[0].from) }
        };
        circles::circles(&edges).into_iter().map(breach).collect()
    }
}

fn outside_rule(source: &Source, segments: &[String]) -> Option<String> {
    OUTSIDE.iter().find_map(|(patterns, home, reason)| {
        let found = patterns.iter().find(|pattern| matches(pattern, segments))?;
        let (allowed, scope) = match home {
            Home::Only(places) => (is_in(source, places), format!("belongs in {}", places.join(", "))),
            Home::AllBut(places) => (!is_in(source, places), format!("is not for {}", places.join(", "))),
        };
        let found = found.trim_matches(':');
        (!allowed).then(|| format!("`{found}` {scope}: {reason}"))
    })
}

fn matches(pattern: &str, segments: &[String]) -> bool {
    let path = segments.join("::");
    match pattern.strip_prefix("::") {
        Some(end) => path == end || path.ends_with(pattern),
        None => format!("{path}::").starts_with(pattern),
    }
}

fn is_in(source: &Source, places: &[&str]) -> bool {
    let below =
        |place: &str| source.path.strip_prefix(place).is_some_and(|rest| rest.starts_with(['.', '/']));
    places.iter().any(|place| *place == source.top() || below(place))
}

fn waiting_rule(source: &Source, word: &str) -> Option<String> {
    (WAITING_WORDS.contains(&word) && is_in(source, PURE))
        .then(|| format!("`{word}` is not for {}: they only compute", PURE.join(", ")))
}

fn sql_rule(source: &Source, text: &str) -> Option<String> {
    (source.top() != "store" && SQL.iter().any(|start| text.starts_with(start)))
        .then(|| "SQL belongs in store".to_owned())
}

/// `src` takes in no file of `tests`, be it code or data.
fn tests_rule(source: &Source, text: &str) -> Option<String> {
    let below = text.trim_start_matches("../");
    let up = (text.len() - below.len()) / "../".len();
    // Without `../` it is a path from the crate's root, or a file beside this one, which has an ending.
    let is_folder = below.split('/').nth(1).is_some_and(|name| !name.contains('.'));
    let is_outside = if up == 0 { is_folder } else { up > source.path.matches('/').count() };
    (is_outside && below.starts_with("tests/"))
        .then(|| "a file of `src` may not use one of `tests`".to_owned())
}

// ---- the code as it stands ---------------------------------------------------------------------------------------

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All files below a folder that people write.
fn written_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        for entry in entries {
            let path = entry.expect("an entry of a folder").path();
            if path.is_dir() {
                // Other people's code, and dumps of databases, are not written by hand.
                let is_written = !["node_modules", "before_rebuild", "before_digests"]
                    .iter()
                    .any(|name| path.ends_with(name));
                folders.extend(is_written.then_some(path));
            } else if path
                .extension()
                .is_some_and(|is| ["rs", "sql", "sh", "toml", "md"].iter().any(|e| is == *e))
            {
                files.push(path);
            }
        }
    }
    files.sort();
    files
}

fn read(file: &Path) -> String {
    fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

fn real_map() -> Map {
    Map::read(&read(&root().join("src/lib.rs")))
}

fn assert_none(breaches: &[String]) {
    assert!(breaches.is_empty(), "the code breaks its rules:\n{}\n", breaches.join("\n"));
}

#[test]
fn the_code_uses_only_what_the_map_allows() {
    let folder = root().join("src");
    let files =
        written_files(&folder).into_iter().filter(|file| file.extension().is_some_and(|is| is == "rs"));
    let sources: Vec<Source> = files
        .map(|file| {
            let path = file
                .strip_prefix(&folder)
                .expect("below the folder")
                .to_str()
                .expect("plain names")
                .to_owned();
            Source::read(&path, &read(&file))
        })
        .collect();
    assert!(!sources.is_empty(), "there are sources to look at");
    let map = real_map();
    for row in &map.0 {
        let is_there = sources.iter().any(|source| source.module == [row.name.as_str()]);
        assert!(is_there, "`{}` is on the map in src/lib.rs, and there is no such module", row.name);
    }
    assert_none(&check(&map, &sources).iter().map(ToString::to_string).collect::<Vec<_>>());
}

#[test]
fn no_file_is_too_long() {
    let files = ["src", "tests"].into_iter().flat_map(|folder| written_files(&root().join(folder)));
    let too_long = files.filter_map(|file| {
        let lines = read(&file).lines().count();
        let name = file.strip_prefix(root()).expect("below the root").display().to_string();
        (lines > MOST_LINES).then(|| format!("{name}: {lines} lines, more than {MOST_LINES}"))
    });
    assert_none(&too_long.collect::<Vec<_>>());
}

// ---- planted breaches --------------------------------------------------------------------------------------------

fn breaches_of(files: &[(&str, &str)]) -> Vec<String> {
    let sources: Vec<Source> = files.iter().map(|(path, text)| Source::read(path, text)).collect();
    check(&real_map(), &sources).iter().map(ToString::to_string).collect()
}

/// Files without a breach, among which a breach is planted.
const SOUND: [(&str, &str); 4] = [
    ("adapters/chat/discord.rs", "impl Adapter for Discord {}"),
    (
        "adapters/mod.rs",
        "pub static ADAPTERS: [Entry; 2] = [Entry::of::<slack::Slack>(), Entry::of::<Discord>()];",
    ),
    ("wire/http.rs", ""),
    ("catalog/mod.rs", "use crate::integration::Integration;"),
];

#[test]
fn a_forbidden_use_is_found() {
    let planted = [
        ("event/mod.rs", "use crate::store::Outbox;", ":1: `event` may not use `store`"),
        ("event/mod.rs", "\nuse super::store::Outbox;", ":2: `event` may not use `store`"),
        ("message/mod.rs", "use crate::{event::Event, wire::Wire};", ":1: `message` may not use `wire`"),
        ("store/sqlite.rs", "fn f(c: crate::wire::Wire) {}", ":1: `store` may not use `wire`"),
        ("store/sqlite.rs", "fn f() { g!(a, crate::wire::Wire) }", ":1: `store` may not use `wire`"),
        ("wire/pace.rs", "use crate::adapters::Bucket;", ":1: `wire` may not use `adapters`"),
        ("wire/pace.rs", "use crate::settings::Field;", ":1: `wire` may not use `settings::Field`"),
        ("pipeline/deliver.rs", "use crate::api;", ":1: `pipeline` may not use `api`"),
        ("api/mod.rs", "use crate::wire::http::Client;", ":1: `api` may not use `wire::http`"),
        ("config.rs", "use crate::store::Store;", ":1: `config` may not use `store`"),
        ("provision.rs", "use crate::store::Catalog;", ":1: `provision` may not use `store::Catalog`"),
        (
            "metrics.rs",
            "#[cfg(test)] mod tests { use crate::store::X; }",
            ":1: `metrics` may not use `store`",
        ),
        ("common.rs", "", ":1: `common` is not on the map"),
        ("api/mod.rs", "use crate::common::Helper;", ":1: `common` is not on the map"),
        ("pipeline/deliver.rs", "use axum::Router;", "`axum` belongs in api"),
        ("pipeline/deliver.rs", "fn f() { ::reqwest::get(u) }", "`reqwest` belongs in wire"),
        ("api/mod.rs", "use rusqlite::Connection;", "`rusqlite` belongs in store"),
        ("pipeline/deliver.rs", "use backoff::backoff::Backoff;", "`backoff` belongs in pipeline/retry"),
        ("adapters/chat/slack.rs", "fn f() { tokio::spawn(g) }", "`tokio` is not for"),
        ("adapters/chat/slack.rs", "#[tracing::instrument] fn f() {}", "`tracing` is not for"),
        ("adapters/chat/slack.rs", "fn f() { metrics::counter!(\"x\") }", "`metrics` is not for"),
        ("adapters/chat/slack.rs", "async fn f() {}", "`async` is not for"),
        ("settings.rs", "use std::{fmt, fs::File};", "`std::fs` is not for"),
        ("adapters/chat/slack.rs", "use super::discord::Colour;", "an adapter may not use another"),
        ("adapters/chat/slack.rs", "use crate::adapters::chat::discord;", "an adapter may not use another"),
        ("adapters/redact.rs", "use super::chat::discord::Colour;", "an adapter may not use another"),
        ("adapters/chat/teams.rs", "impl Adapter for Teams {}", "`Teams` is missing from ADAPTERS"),
        (
            "store/mod.rs",
            "use std::time::Instant;\nfn f() { Instant::now() }",
            ":2: `Instant::now` belongs in wire",
        ),
        ("integration/rules.rs", "fn f() { jiff::Timestamp::now() }", "`Timestamp::now` belongs in"),
        ("pipeline/retry.rs", "fn f() { Timestamp::now() }", "`Timestamp::now` is not for pipeline/retry"),
        ("api/events.rs", "const Q: &str = \"\n SELECT id FROM deliveries\";", ":1: SQL belongs in store"),
        ("api/events.rs", "const Q: &str = \"\\n SELECT id FROM deliveries\";", ":1: SQL belongs in store"),
        (
            "store/suite/mod.rs",
            "#[cfg(test)] #[path = \"../../../tests/it/a.rs\"] mod a;",
            ":1: a file of `src` may not use one of `tests`",
        ),
        (
            "event/push.rs",
            "const T: &str = \"tests/payloads/push.json\";",
            "a file of `src` may not use one of `tests`",
        ),
        ("api/events.rs", "const Q: &str = r#\"DELETE FROM inbox\"#;", ":1: SQL belongs in store"),
    ];
    for (path, text, expected) in planted {
        let files: Vec<_> =
            SOUND.into_iter().filter(|(other, _)| *other != path).chain([(path, text)]).collect();
        let breaches = breaches_of(&files);
        assert!(
            matches!(breaches.as_slice(), [only] if only.contains(expected) && only.contains(path)),
            "{path}: {text}\nexpected one breach: {expected}\nfound: {breaches:#?}"
        );
    }
}

#[test]
fn circles_are_found() {
    let breaches = breaches_of(&[
        ("store/mod.rs", "mod a; mod b; mod c; pub use a::A;"),
        ("store/a.rs", "use super::b::B;"),
        ("store/b.rs", "\nfn f() { crate::store::c::deep::g() }"),
        ("store/c/deep.rs", "use crate::store::a;"),
        ("store/d.rs", "use super::a; #[cfg(test)] mod tests { use crate::store::e; }"),
        ("store/e.rs", "use super::{d, Result};"),
    ]);
    let circle =
        "src/store/a.rs:1: a circle: `a` -> `b` -> `c` -> `a` (src/store/b.rs:2, src/store/c/deep.rs:1)";
    assert_eq!(breaches, [circle]);

    // Between modules at the top, too.
    let breaches = breaches_of(&[
        ("cli/mod.rs", "use crate::daemon;"),
        ("daemon/mod.rs", "mod run;"),
        ("daemon/run.rs", "fn f() { crate::cli::say() }"),
    ]);
    assert_eq!(breaches, ["src/cli/mod.rs:1: a circle: `cli` -> `daemon` -> `cli` (src/daemon/run.rs:1)"]);
}

#[test]
fn allowed_uses_are_not_reported() {
    let files = [
        ("lib.rs", "//! The map.\npub mod event;\npub mod adapters;"),
        ("main.rs", "use forgebell::cli; fn main() { cli::run() }"),
        (
            "event/mod.rs",
            "mod push; use push::Push; use self::push::x; /* crate::store */ const A: &str = \"crate::api\";",
        ),
        (
            "event/push.rs",
            "use super::Event;\n#[cfg(test)]\nmod tests { use super::*; fn t() { std::fs::read(p); Timestamp::now(); } }",
        ),
        ("settings.rs", "#[macro_export] macro_rules! settings { () => { $crate::settings::Field } }"),
        ("integration/mod.rs", "crate::settings! { struct S {} } crate::common_fields!();"),
        (
            "message/markup.rs",
            "use crate::event::Event; use std::net::IpAddr; const W: &str = \"Select a branch\";",
        ),
        (
            "adapters/chat/slack.rs",
            "use super::{About, helper}; use crate::adapters::Bucket; use crate::call::{Call, Failure};\n\
             use crate::integration::Family; use crate::adapters::chat::slack::Card; impl Adapter for Slack {}",
        ),
        ("adapters/chat/helper.rs", "use crate::message::Message;"),
        (
            "adapters/mod.rs",
            "pub mod chat; #[cfg(test)] mod contract; pub const ADAPTERS: &[Entry] = &[of::<chat::slack::Slack>()];",
        ),
        ("adapters/contract.rs", "use super::chat::slack; async fn t() { tokio::spawn(x) }"),
        ("store/sqlite.rs", "use crate::call::Failure; const Q: &str = \"SELECT 1\"; use rusqlite::Row;"),
        (
            "store/sqlite/a.rs",
            "const T: &str = include_str!(\"../tests/a.sql\"); const U: &str = include_str!(\"tests/u.json\");",
        ),
        ("wire/http.rs", "use crate::settings::Secret; fn f() { Instant::now(); reqwest::get() }"),
        (
            "api/mod.rs",
            "use crate::wire::{Transport, Wire}; fn f() { crate::wire::Wire::new(); crate::metrics::render() }",
        ),
        ("config.rs", "use crate::store::Config as Store; struct C { wire: crate::wire::pace::Config }"),
        (
            "daemon/mod.rs",
            "use crate::{api, wire::http, config::Config}; async fn run() { axum::serve(l, a).await }",
        ),
        ("pipeline/retry.rs", "use backoff::ExponentialBackoff;"),
        ("pipeline/retry/delay.rs", "use backoff::ExponentialBackoff;"),
        (
            "provision.rs",
            "use crate::catalog::{ConfiguredAt, Snapshot}; use crate::store::registry::ScopeKey;",
        ),
        ("cli/send.rs", "use crate::daemon; fn f() { reqwest::Client::new() }"),
        ("cli/demo/mod.rs", "use crate::adapters::chat::slack;"),
    ];
    assert_eq!(breaches_of(&files), Vec::<String>::new());
}

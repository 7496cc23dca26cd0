//! Holds the map of the rooms to the code.
//!
//! * [`rules`]: who may use whom, as tables.
//! * [`reading`]: how a source file is read.
//! * [`check`]: every breach of the rules; it says which line breaks which.

mod reading;
mod rules;

use std::collections::{BTreeSet, HashSet};
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use reading::{Kind, Source};
use rules::{Home, MOST_LINES, OUTSIDE, PURE, ROOMS, SHARED_BY_ADAPTERS, SQL, Uses, WAITING_WORDS};

// ---- the inspection ----------------------------------------------------------------------------------------------

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

fn check(sources: &[Source]) -> Vec<Breach> {
    let house = House::survey(sources);
    sources
        .iter()
        .flat_map(|source| house.inspect(source))
        .chain(unregistered_adapters(&house, sources))
        .collect()
}

/// What must be known of all files to judge one.
struct House {
    modules: HashSet<Vec<String>>,
    test_modules: Vec<Vec<String>>,
}

impl House {
    fn survey(sources: &[Source]) -> House {
        House {
            modules: sources.iter().map(|source| source.module.clone()).collect(),
            test_modules: sources.iter().flat_map(Source::test_modules).collect(),
        }
    }

    fn is_for_tests(&self, source: &Source) -> bool {
        self.test_modules.iter().any(|module| source.module.starts_with(module))
    }

    fn inspect(&self, source: &Source) -> Vec<Breach> {
        let Some((_, uses)) = ROOMS.iter().find(|(room, _)| *room == source.room()) else {
            let rule = format!("`{}` is not on the map: give it a row in ROOMS", source.room());
            return vec![Breach { path: source.path.clone(), line: 1, rule }];
        };
        let for_tests = self.is_for_tests(source);
        let mut breaches = Vec::new();
        let mut breach = |line: usize, rule: Option<String>| {
            breaches.extend(rule.map(|rule| Breach { path: source.path.clone(), line, rule }));
        };
        for path in source.paths() {
            if path.segments[0] == "crate" {
                breach(path.line, self.room_rule(source, uses, &path));
            }
            if !(path.for_tests || for_tests) {
                breach(path.line, self.sibling_rule(source, &path));
                breach(path.line, outside_rule(source, &path.segments));
            }
        }
        for token in source.tokens.iter().filter(|token| !(token.for_tests || for_tests)) {
            match token.kind {
                Kind::Word => breach(token.line, waiting_rule(source, &token.text)),
                Kind::Literal => breach(token.line, sql_rule(source, &token.text)),
                Kind::Mark => {}
            }
        }
        breaches
    }

    fn room_rule(&self, source: &Source, uses: &Uses, path: &reading::Path) -> Option<String> {
        let used = &path.segments[1..];
        let room = used.first()?;
        if room == source.room() || room == "*" {
            return None;
        }
        if !ROOMS.iter().any(|(name, _)| name == room) {
            // A macro is exported from the crate's root, wherever it is written.
            return (!path.is_macro).then(|| format!("`crate::{room}` is no room of the map"));
        }
        let Uses::Only(grants) = uses else { return None };
        if grants.iter().any(|grant| self.covers(grant, used)) {
            return None;
        }
        let granted = if grants.is_empty() { "no other room".to_owned() } else { grants.join(", ") };
        Some(format!("`{}` may not use `{}`; it may use: {granted}", source.room(), path.segments.join("::")))
    }

    fn covers(&self, grant: &str, used: &[String]) -> bool {
        match grant.split_once("::") {
            None => used[0] == grant,
            Some(("*", item)) => used.iter().any(|segment| segment == item),
            Some((room, "*")) => used[0] == room && !self.modules.contains(&used[..used.len().min(2)]),
            Some((room, item)) => used[0] == room && used.get(1).is_some_and(|segment| segment == item),
        }
    }

    /// Adapters share what `mod.rs` offers; one must be removable without another's noticing.
    fn sibling_rule(&self, source: &Source, path: &reading::Path) -> Option<String> {
        let [room, file, ..] = path.segments.get(1..)? else { return None };
        let is_about_adapters = source.room() == "adapters" && source.module.len() > 1 && room == "adapters";
        let other = source.module.get(1) != Some(file)
            && self.modules.contains(&path.segments[1..3])
            && !SHARED_BY_ADAPTERS.contains(&file.as_str());
        (is_about_adapters && other)
            .then(|| format!("an adapter may not use another: `{}`", path.segments.join("::")))
    }
}

fn outside_rule(source: &Source, segments: &[String]) -> Option<String> {
    OUTSIDE.iter().find_map(|(patterns, home, reason)| {
        let found = patterns.iter().find(|pattern| matches(pattern, segments))?;
        let (allowed, told) = match home {
            Home::Only(places) => (is_in(source, places), format!("is at home in {}", places.join(", "))),
            Home::AllBut(places) => (!is_in(source, places), format!("is not for {}", places.join(", "))),
        };
        let found = found.trim_matches(':');
        (!allowed).then(|| format!("`{found}` {told}: {reason}"))
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
    places.iter().any(|place| *place == source.room() || below(place))
}

fn waiting_rule(source: &Source, word: &str) -> Option<String> {
    (WAITING_WORDS.contains(&word) && is_in(source, PURE))
        .then(|| format!("`{word}` is not for {}: these rooms don't wait", PURE.join(", ")))
}

fn sql_rule(source: &Source, literal: &str) -> Option<String> {
    let statement = literal.trim_start();
    (source.room() != "store" && SQL.iter().any(|start| statement.starts_with(start)))
        .then(|| "SQL is at home in store".to_owned())
}

/// Each file in the folder stands in the table, by its module's name or by its type's.
fn unregistered_adapters(house: &House, sources: &[Source]) -> Vec<Breach> {
    let is_adapter = |source: &&Source| {
        source.room() == "adapters"
            && source.module.len() == 2
            && !house.is_for_tests(source)
            && !SHARED_BY_ADAPTERS.contains(&source.module[1].as_str())
    };
    let registry = sources.iter().find(|source| source.module == ["adapters"]);
    let registered = registry.map(registered_words).unwrap_or_default();
    sources
        .iter()
        .filter(is_adapter)
        .filter(|source| {
            let module = &source.module[1];
            !registered.iter().any(|word| *word == module || *word == camel_case(module))
        })
        .map(|source| {
            let rule = "this adapter is missing from ADAPTERS in src/adapters/mod.rs".to_owned();
            Breach { path: source.path.clone(), line: 1, rule }
        })
        .collect()
}

/// The words of `ADAPTERS … = … ;`
fn registered_words(registry: &Source) -> Vec<&str> {
    let declared = |at: usize| {
        registry.tokens[at].is("ADAPTERS")
            && at > 0
            && ["static", "const"].iter().any(|w| registry.tokens[at - 1].is(w))
    };
    let Some(start) = (0..registry.tokens.len()).find(|at| declared(*at)) else { return Vec::new() };
    let value = registry.tokens[start..].iter().skip_while(|token| !token.is("="));
    value.take_while(|token| !token.is(";")).map(|token| token.text.as_str()).collect()
}

fn camel_case(module: &str) -> String {
    let capitalised = |word: &str| {
        let mut letters = word.chars();
        letters
            .next()
            .map(|first| first.to_uppercase().chain(letters).collect::<String>())
            .unwrap_or_default()
    };
    module.split('_').map(capitalised).collect()
}

// ---- the house as it stands --------------------------------------------------------------------------------------

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All files below a folder that people write, by their paths from it.
fn written_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        for entry in entries {
            let path = entry.expect("an entry of a folder").path();
            if path.is_dir() {
                // What others wrote is not ours to judge.
                folders.extend((!path.ends_with("node_modules")).then_some(path));
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

fn complain(breaches: &[String]) {
    assert!(breaches.is_empty(), "the code has left the map:\n{}\n", breaches.join("\n"));
}

#[test]
fn the_code_keeps_to_the_map() {
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
    complain(&check(&sources).iter().map(ToString::to_string).collect::<Vec<_>>());
}

/// What each may use stands there in prose, and is not compared.
#[test]
fn the_map_and_the_rules_name_the_same_rooms() {
    let lib = read(&root().join("src/lib.rs"));
    let rows = lib
        .lines()
        .filter_map(|line| line.strip_prefix("//! | [`"))
        .filter_map(|row| row.split(" | ").next());
    let mapped: BTreeSet<String> =
        rows.flat_map(|first| first.split(", ")).map(|room| room.replace(['[', '`', ']'], "")).collect();
    let ruled = ROOMS.iter().map(|(room, _)| (*room).to_owned());
    let ruled: BTreeSet<String> = ruled.filter(|room| !["main", "lib"].contains(&room.as_str())).collect();
    assert_eq!(mapped, ruled, "the rooms in the map of src/lib.rs, and those in ROOMS");
}

#[test]
fn no_file_is_too_long() {
    let files = ["src", "tests"].into_iter().flat_map(|folder| written_files(&root().join(folder)));
    let too_long = files.filter_map(|file| {
        let lines = read(&file).lines().count();
        let name = file.strip_prefix(root()).expect("below the root").display().to_string();
        (lines > MOST_LINES)
            .then(|| format!("{name}: {lines} lines, which is more than {MOST_LINES}: it is two files"))
    });
    complain(&too_long.collect::<Vec<_>>());
}

// ---- the inspection, inspected -----------------------------------------------------------------------------------

fn breaches_of(files: &[(&str, &str)]) -> Vec<String> {
    let sources: Vec<Source> = files.iter().map(|(path, text)| Source::read(path, text)).collect();
    check(&sources).iter().map(ToString::to_string).collect()
}

#[test]
fn a_planted_breach_is_found() {
    let planted = [
        ("event/mod.rs", "use crate::store::Outbox;", "`event` may not use `crate::store::Outbox`"),
        ("event/mod.rs", "use super::store::Outbox;", "`event` may not use `crate::store::Outbox`"),
        (
            "message/mod.rs",
            "use crate::{event::Event, wire::Wire};",
            "`message` may not use `crate::wire::Wire`",
        ),
        ("store/sqlite.rs", "fn f(c: crate::wire::Wire) {}", "`store` may not use `crate::wire::Wire`"),
        ("wire/pace.rs", "use crate::adapters::Bucket;", "`wire` may not use `crate::adapters::Bucket`"),
        ("pipeline/deliver.rs", "use crate::api;", "`pipeline` may not use `crate::api`"),
        ("api/mod.rs", "use crate::wire::http::Client;", "`api` may not use `crate::wire::http::Client`"),
        ("config.rs", "use crate::store::Store;", "`config` may not use `crate::store::Store`"),
        ("provision.rs", "use crate::store::Catalog;", "`provision` may not use `crate::store::Catalog`"),
        (
            "metrics.rs",
            "#[cfg(test)] mod tests { use crate::store::X; }",
            "`metrics` may not use `crate::store::X`",
        ),
        ("common.rs", "", "`common` is not on the map"),
        ("api/mod.rs", "use crate::common::Helper;", "`crate::common` is no room of the map"),
        ("pipeline/deliver.rs", "use axum::Router;", "`axum` is at home in api"),
        ("pipeline/deliver.rs", "fn f() { ::reqwest::get(u) }", "`reqwest` is at home in wire"),
        ("api/mod.rs", "use rusqlite::Connection;", "`rusqlite` is at home in store"),
        ("pipeline/deliver.rs", "use backoff::backoff::Backoff;", "`backoff` is at home in pipeline/retry"),
        ("adapters/slack.rs", "fn f() { tokio::spawn(g) }", "`tokio` is not for"),
        ("adapters/slack.rs", "#[tracing::instrument] fn f() {}", "`tracing` is not for"),
        ("adapters/slack.rs", "fn f() { metrics::counter!(\"x\") }", "`metrics` is not for"),
        ("adapters/slack.rs", "async fn f() {}", "`async` is not for"),
        ("settings.rs", "use std::{fmt, fs::File};", "`std::fs` is not for"),
        ("adapters/slack.rs", "use super::discord::Colour;", "an adapter may not use another"),
        ("adapters/slack.rs", "use crate::adapters::discord;", "an adapter may not use another"),
        (
            "store/mod.rs",
            "use std::time::Instant;\nfn f() { Instant::now() }",
            ":2: `Instant::now` is at home in wire",
        ),
        ("integration/rules.rs", "fn f() { jiff::Timestamp::now() }", "`Timestamp::now` is at home in"),
        ("pipeline/retry.rs", "fn f() { Timestamp::now() }", "`Timestamp::now` is not for pipeline/retry"),
        ("api/events.rs", "const Q: &str = \"\n SELECT id FROM deliveries\";", ":1: SQL is at home in store"),
        ("api/events.rs", "const Q: &str = r#\"DELETE FROM inbox\"#;", ":1: SQL is at home in store"),
        ("adapters/teams.rs", "", "teams.rs:1: this adapter is missing from ADAPTERS"),
    ];
    let house = [
        ("adapters/discord.rs", ""),
        (
            "adapters/mod.rs",
            "pub static ADAPTERS: [Entry; 2] = [Entry::of::<slack::Slack>(), Entry::of::<Discord>()];",
        ),
        ("wire/http.rs", ""),
    ];
    for (path, text, expected) in planted {
        let files: Vec<_> =
            house.into_iter().filter(|(other, _)| *other != path).chain([(path, text)]).collect();
        let breaches = breaches_of(&files);
        assert!(
            matches!(breaches.as_slice(), [only] if only.contains(expected) && only.contains(path)),
            "{path}: {text}\nexpected one breach: {expected}\nfound: {breaches:#?}"
        );
    }
}

#[test]
fn what_the_map_allows_is_no_breach() {
    let house = [
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
            "adapters/slack.rs",
            "use super::{About, helper}; use crate::adapters::Bucket; use crate::call::{Call, Failure}; use crate::integration::Family;",
        ),
        ("adapters/microsoft_teams.rs", "use crate::adapters::microsoft_teams::Card;"),
        (
            "adapters/mod.rs",
            "pub mod slack; #[cfg(test)] mod contract; pub const ADAPTERS: &[Entry] = &[slack::ENTRY, of::<MicrosoftTeams>()];",
        ),
        ("adapters/contract.rs", "use super::slack; async fn t() { tokio::spawn(x) }"),
        ("store/sqlite.rs", "use crate::call::Failure; const Q: &str = \"SELECT 1\"; use rusqlite::Row;"),
        ("wire/http.rs", "fn f() { Instant::now(); reqwest::get() }"),
        (
            "api/mod.rs",
            "use crate::wire::{Transport, Wire}; fn f() { crate::wire::Wire::new(); crate::metrics::render() }",
        ),
        ("config.rs", "use crate::store::Config as Store; struct C { wire: crate::wire::pace::Config }"),
        (
            "daemon.rs",
            "use crate::{api, wire::http, config::Config}; async fn run() { axum::serve(l, a).await }",
        ),
        ("pipeline/retry.rs", "use backoff::ExponentialBackoff;"),
        ("pipeline/retry/delay.rs", "use backoff::ExponentialBackoff;"),
        ("provision.rs", "use crate::catalog::{Placed, Snapshot}; use crate::store::registry::ScopeKey;"),
        ("cli/send.rs", "use crate::daemon; fn f() { reqwest::Client::new() }"),
        ("demo/mod.rs", "use crate::adapters::slack;"),
    ];
    assert_eq!(breaches_of(&house), Vec::<String>::new());
}

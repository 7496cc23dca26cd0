//! What the catalogue costs: memory for each integration, the time until it can be used, and the time to look up and match
//! an event, with few integrations and with many.
//!
//! `cargo bench --bench catalog [INTEGRATIONS]`. Five chat integrations a project, from files. *held* is what stays
//! allocated once the files are read, and *beyond* is that without the bytes of the integrations' own texts, each counted
//! once. *reload* is the most that was allocated while the same files were read again beside what was in use, the files'
//! text and what a parser makes of it included.

use std::hint::black_box;
use std::path::PathBuf;
use std::time::Instant;

use forgebell::catalog::{Catalog as _, Snapshot};
use forgebell::event::{Event, EventId};
use forgebell::integration::{ProjectFacts, rules};
use forgebell::provision;
use jiff::Timestamp;
use peak_alloc::PeakAlloc;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

const FEW: usize = 10;
const MANY: usize = 20_000;
const A_PROJECT: usize = 5;
const ADAPTERS: [&str; A_PROJECT] = ["slack", "mattermost", "discord", "pumble", "hangouts-chat"];
/// So many integrations in one file.
const A_FILE: usize = 50_000;
const EVENTS: u32 = 1_000;
const ROUNDS: usize = 20;

fn main() {
    let number = |argument: String| argument.replace('_', "").parse().ok();
    let many = std::env::args().skip(1).find_map(number).unwrap_or(MANY);
    let titles = ["integrations", "ready s", "held B", "beyond B", "reload B", "match ns"];
    println!(
        "{:>12} {:>9} {:>8} {:>9} {:>9} {:>9}",
        titles[0], titles[1], titles[2], titles[3], titles[4], titles[5]
    );
    let few = measure(FEW);
    let many = measure(many);
    println!("match, many to few: {:.2}", many / few);
}

/// Prints a line, and returns the nanoseconds of a match.
fn measure(integrations: usize) -> f64 {
    let each = |bytes: usize| bytes / integrations;
    let before = MEMORY.current_usage();
    let start = Instant::now();
    let snapshot = read(integrations);
    let ready = start.elapsed().as_secs_f64();
    let held = MEMORY.current_usage() - before;
    assert_eq!(snapshot.len(), integrations);

    MEMORY.reset_peak_usage();
    let again = read(integrations);
    let reload = MEMORY.peak_usage() - before;
    drop(again);

    let matched = matching(&snapshot, integrations / A_PROJECT);
    let beyond = held.saturating_sub(texts(integrations));
    println!(
        "{integrations:>12} {ready:>9.2} {:>8} {:>9} {:>9} {matched:>9.0}",
        each(held),
        each(beyond),
        each(reload)
    );
    matched
}

fn project(number: usize) -> String {
    format!("group-{}/project-{number}", number % 100)
}

fn webhook(number: usize, adapter: &str) -> String {
    match adapter {
        "discord" => {
            format!("https://discord.com/api/webhooks/{number:018}/0123456789abcdef0123456789abcdef")
        }
        "pumble" => {
            format!(
                "https://api.pumble.com/workspaces/{number:08}/incomingWebhooks/postMessage/0123456789abcdef"
            )
        }
        "hangouts-chat" => {
            format!(
                "https://chat.googleapis.com/v1/spaces/{number:08}/messages?key=0123456789&token=0123456789"
            )
        }
        "slack" => {
            format!("https://hooks.slack.com/services/T{number:08}/B00000000/0123456789abcdef01234567")
        }
        _ => format!("https://chat.example.com/hooks/{number:026}"),
    }
}

fn files(integrations: usize) -> Vec<(PathBuf, String)> {
    let block = |number: usize| {
        let (project, adapter) = (project(number / A_PROJECT), ADAPTERS[number % A_PROJECT]);
        let webhook = webhook(number, adapter);
        format!(
            "[[integration]]\nproject = \"{project}\"\nadapter = \"{adapter}\"\nwebhook = \"{webhook}\"\n\
             deployment_events = true\n\n"
        )
    };
    let starts = (0..integrations).step_by(A_FILE);
    starts
        .map(|start| {
            let name = format!("{start}.toml").into();
            (name, (start..integrations.min(start + A_FILE)).map(block).collect())
        })
        .collect()
}

/// The bytes of the integrations' texts.
fn texts(integrations: usize) -> usize {
    let of = |number: usize| {
        webhook(number, ADAPTERS[number % A_PROJECT]).len() + project(number / A_PROJECT).len()
    };
    (0..integrations).map(of).sum()
}

fn read(integrations: usize) -> Snapshot {
    let files = files(integrations);
    let read = provision::read(&files, &|_| Err(std::io::ErrorKind::NotFound.into()));
    read.unwrap_or_else(|problems| panic!("{:?}", &problems[..problems.len().min(3)])).into_snapshot()
}

/// The nanoseconds of a look-up and a match of all integrations of a project, over many projects.
fn matching(snapshot: &Snapshot, projects: usize) -> f64 {
    let event = |number: u32| {
        let number = number.wrapping_mul(2_654_435_761) as usize % projects;
        let body = format!(
            r#"{{"object_kind":"push","ref":"refs/heads/main","project":{{"id":{},"path_with_namespace":"{}"}}}}"#,
            number + 1,
            project(number)
        );
        let id = EventId::new("bench").expect("an id");
        Event::decode(id, Timestamp::UNIX_EPOCH, body.into()).expect("a push is an event")
    };
    let events: Vec<Event> = (0..EVENTS).map(event).collect();
    let facts = ProjectFacts::default();
    let round = || {
        let start = Instant::now();
        for event in &events {
            let concerned = snapshot.concerned(black_box(event));
            assert_eq!(concerned.len(), A_PROJECT);
            for integration in concerned {
                let _ = black_box(rules::wants(&integration, event, &facts));
            }
        }
        start.elapsed().as_secs_f64() * 1e9 / f64::from(EVENTS)
    };
    (0..ROUNDS).map(|_| round()).fold(f64::INFINITY, f64::min)
}

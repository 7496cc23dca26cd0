//! `backup` and `restore`: nothing is missing, nothing is overwritten, and what is no whole store is refused in words.

use std::collections::BTreeSet;
use std::os::unix::fs::{FileExt as _, PermissionsExt as _};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use super::*;

/// A process that is killed, as by the kernel.
async fn kill(mut daemon: Child) {
    daemon.kill().await.expect("it is ours");
}

/// Sends events without an end, and notes those that were acknowledged.
struct Senders {
    acknowledged: Arc<Mutex<BTreeSet<String>>>,
    stop: Arc<AtomicBool>,
    tasks: Vec<tokio::task::JoinHandle<()>>,
}

impl Senders {
    fn start(desk: &Desk, count: usize) -> Self {
        let acknowledged = Arc::new(Mutex::new(BTreeSet::new()));
        let stop = Arc::new(AtomicBool::new(false));
        let url = format!("http://127.0.0.1:{}/events", desk.port);
        let tasks = (0..count).map(|sender| {
            let (acknowledged, stop, url) = (Arc::clone(&acknowledged), Arc::clone(&stop), url.clone());
            tokio::spawn(async move {
                let client = crate::harness::client();
                for number in 0.. {
                    if stop.load(Ordering::Relaxed) {
                        return;
                    }
                    let id = format!("load-{sender}-{number}");
                    let request = client.post(&url).header("idempotency-key", &id);
                    let request = request.header("x-gitlab-token", "open sesame");
                    let answer =
                        request.header("content-type", "application/json").body(payload(PUSH)).send();
                    if answer.await.is_ok_and(|answer| answer.status() == 202) {
                        acknowledged.lock().expect("no sender panics").insert(id);
                    }
                }
            })
        });
        let tasks = tasks.collect();
        Self { acknowledged, stop, tasks }
    }

    fn acknowledged(&self) -> BTreeSet<String> {
        self.acknowledged.lock().expect("no sender panics").clone()
    }

    async fn until(&self, count: usize) {
        let found = async || (self.acknowledged().len() >= count).then_some(());
        eventually(&format!("{count} events are acknowledged"), PATIENCE, found).await;
    }

    async fn stop(self) {
        self.stop.store(true, Ordering::Relaxed);
        for task in self.tasks {
            task.await.expect("no sender panics");
        }
    }
}

async fn delivered(desk: &Desk) -> BTreeSet<String> {
    let list = ["deliveries", "list", "--state", "delivered", "--limit", "100000", "--json"];
    let list = desk.run(&list).await.ends_with(0).json();
    let list = list.as_array().expect("a list").iter();
    list.map(|delivery| delivery["event"].as_str().expect("an id").to_owned()).collect()
}

fn mode(path: &Path) -> u32 {
    path.metadata().expect("it is there").permissions().mode() & 0o777
}

/// The names in the desk's folder that begin like this.
fn files(desk: &Desk, start: &str) -> Vec<String> {
    let folder = std::fs::read_dir(desk.folder.path()).expect("the folder is ours");
    let names = folder.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned());
    let mut names: Vec<String> = names.filter(|name| name.starts_with(start)).collect();
    names.sort();
    names
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_under_load_misses_nothing_that_was_acknowledged_before_it_began() {
    const FAST: &str = "rate_limits.enabled = false\n";
    let (_receiver, hook) = hook().await;
    let desk = Desk::with(&slack(&hook, ""), FAST);
    let daemon = desk.serve().await;
    let senders = Senders::start(&desk, 4);
    senders.until(200).await;
    hook.wait_for(20).await;

    let before = senders.acknowledged();
    let file = desk.file("night.db").display().to_string();
    let made = desk.run(&["backup", &file]).await.ends_with(0).out;
    let during = senders.acknowledged().len() - before.len();
    assert!(during > 0, "events come in while the backup is made");
    senders.until(before.len() + during + 50).await;
    senders.stop().await;
    kill(daemon).await;
    assert!(made.contains("night.db holds the store") && made.contains("forgebell.db.key"), "{made}");
    assert_eq!(files(&desk, "night.db"), ["night.db"], "one file is all of it");
    assert_eq!(mode(&desk.file("night.db")), 0o600);

    let (_receiver, other_hook) = super::hook().await;
    let there = Desk::with(&slack(&other_hook, ""), FAST);
    std::fs::copy(desk.file("forgebell.db.key"), there.file("forgebell.db.key"))
        .expect("the key is kept apart");
    let restored = there.run(&["restore", &file, "--json"]).await.ends_with(0).json();
    assert_eq!((&restored["former_store"], &restored["missing_key"]), (&Value::Null, &Value::Null));
    assert!(restored["waiting"].is_u64(), "{restored}");
    let _daemon = there.serve().await;
    let missing = async || {
        let delivered = delivered(&there).await;
        before.iter().filter(|id| !delivered.contains(*id)).cloned().collect::<Vec<_>>()
    };
    eventually("all that was acknowledged is delivered", PATIENCE, async || {
        missing().await.is_empty().then_some(())
    })
    .await;
    // The backup knows what was told.
    assert!(other_hook.received().len() < delivered(&there).await.len(), "what was told is not told again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_overwrites_nothing_and_is_not_left_half_done() {
    let desk = Desk::new("");
    let file = desk.write("letter.txt", "Dear Sir or Madam");
    let missing = desk.run(&["backup", &desk.file("new.db").display().to_string()]).await.ends_with(1);
    assert!(missing.err.contains("there is no store at"), "{}", missing.err);
    desk.run(&["migrate"]).await.ends_with(0);
    let taken = desk.run(&["backup", &file]).await.ends_with(1);
    assert!(taken.err.contains("letter.txt is there already: name a new file"), "{}", taken.err);
    assert_eq!(std::fs::read_to_string(&file).expect("it is there"), "Dear Sir or Madam");
    // What a killed backup leaves is replaced.
    desk.write("new.db.partial", vec![7; 1_000_000]);
    desk.run(&["backup", &desk.file("new.db").display().to_string()]).await.ends_with(0);
    assert_eq!(files(&desk, "new.db"), ["new.db"]);
    assert!(desk.file("new.db").metadata().expect("it is there").len() < 1_000_000);
    let nowhere = desk.run(&["backup", "/nonexistent/x.db"]).await.ends_with(1);
    assert!(nowhere.err.contains("/nonexistent/x.db"), "{}", nowhere.err);
    for words in [["backup", "x.db"], ["restore", "x.db"]] {
        let url = "store.url=postgres://forgebell:deepsecret@127.0.0.1:1/forgebell";
        let refused = desk.run(&[&["-o", url][..], &words[..]].concat()).await.ends_with(1);
        assert!(refused.err.contains("pg_"), "{}", refused.err);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_is_restored_beside_the_former_one_and_not_under_a_daemon() {
    let (_receiver, hook) = hook().await;
    let desk = Desk::new(&slack(&hook, ""));
    let push = desk.write("push.json", payload(PUSH));
    let mut daemon = desk.serve().await;
    desk.run(&["publish", &push, "--id", "first"]).await.ends_with(0);
    hook.wait_for(1).await;
    eventually("it is settled", PATIENCE, async || (delivered(&desk).await.len() == 1).then_some(())).await;
    let file = desk.file("backup.db").display().to_string();
    desk.run(&["backup", &file, "--json"]).await.ends_with(0);
    desk.run(&["publish", &push, "--id", "second"]).await.ends_with(0);
    eventually("it is settled", PATIENCE, async || (delivered(&desk).await.len() == 2).then_some(())).await;

    let refused = desk.run(&["restore", &file]).await.ends_with(1);
    assert!(refused.err.contains("another forgebell works with"), "{}", refused.err);
    signal(&daemon, "TERM");
    assert_eq!(end_of(&mut daemon).await, Some(0));
    let kept = std::fs::read(&file).expect("the backup");
    let done = desk.run(&["restore", &file]).await.ends_with(0).out;
    assert!(done.contains("the former store is kept as") && done.contains("0 waiting"), "{done}");
    assert!(!done.contains("before the daemon can start"), "the key is there: {done}");
    assert_eq!(std::fs::read(&file).expect("the backup"), kept, "the backup itself is left alone");
    assert_eq!(mode(&desk.file("forgebell.db")), 0o600);
    let _daemon = desk.serve().await;
    assert_eq!(delivered(&desk).await, BTreeSet::from(["first".to_owned()]));

    let aside = files(&desk, "forgebell.db.before-");
    assert_eq!(aside.len(), 1, "{aside:?}");
    let former = format!("store.path={}", desk.file(&aside[0]).display());
    let list = desk.run(&["-o", &former, "deliveries", "list", "--json"]).await.ends_with(0).json();
    assert_eq!(list.as_array().map(Vec::len), Some(2), "the former store can be read");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_whole_store_is_refused_in_words_and_nothing_is_replaced() {
    let desk = Desk::new("");
    let daemon = desk.serve().await;
    let name = |name: &str| desk.file(name).display().to_string();
    desk.run(&["backup", &name("backup.db")]).await.ends_with(0);
    let backup = std::fs::read(desk.file("backup.db")).expect("the backup");
    // A copy of a busy store as `cp` makes it, by another process: SQLite's locks belong to the process.
    std::fs::copy(desk.file("forgebell.db"), desk.file("copied.db")).expect("a copy");
    std::fs::copy(desk.file("forgebell.db"), desk.file("logged.db")).expect("a copy");
    std::fs::copy(desk.file("forgebell.db-wal"), desk.file("logged.db-wal")).expect("a copy");
    kill(daemon).await;

    desk.write("short.db", &backup[..backup.len() / 2]);
    desk.write("letter.txt", "Dear Sir or Madam");
    desk.write("empty.db", "");
    let changed = |name: &str, bytes: &[u8], at: usize| {
        let mut changed = backup.clone();
        changed[at..at + bytes.len()].copy_from_slice(bytes);
        desk.write(name, changed);
    };
    // `user_version` is at 60, `application_id` at 68: <https://www.sqlite.org/fileformat.html>.
    changed("future.db", &4711_u32.to_be_bytes(), 60);
    changed("theirs.db", &7_u32.to_be_bytes(), 68);
    changed("damaged.db", &[0xff; 64], 4096);
    let before = std::fs::read(desk.file("forgebell.db")).expect("the store");
    for (file, words) in [
        ("missing.db", "failed to read"),
        ("letter.txt", "is no SQLite database"),
        ("empty.db", "is no SQLite database"),
        ("short.db", "is cut off"),
        ("copied.db", "without its log"),
        ("future.db", "was written by a newer forgebell (schema version 4711"),
        ("theirs.db", "is a database of another program"),
        ("damaged.db", "is damaged"),
    ] {
        let refused = desk.run(&["restore", &name(file)]).await.ends_with(1).err;
        assert!(refused.contains(words), "{file}: {refused}");
        assert_eq!(std::fs::read(desk.file("forgebell.db")).expect("the store"), before, "{file}");
        assert_eq!(files(&desk, "forgebell.db.restoring"), [""; 0], "{file}");
    }
    // This closes the store. A copy of it is whole, which the file does not show.
    desk.run(&["migrate"]).await.ends_with(0);
    std::fs::copy(desk.file("forgebell.db"), desk.file("stopped.db")).expect("a copy");
    let refused = desk.run(&["restore", &name("stopped.db")]).await.ends_with(1).err;
    assert!(refused.contains("say so with --stopped"), "{refused}");
    let there = Desk::new("");
    for words in [&["restore", &name("logged.db")][..], &["restore", "--stopped", &name("stopped.db")]] {
        there.run(words).await.ends_with(0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_lost_its_log_is_refused_until_it_is_mended() {
    let desk = Desk::new("");
    let daemon = desk.serve().await;
    desk.run(&["backup", &desk.file("backup.db").display().to_string()]).await.ends_with(0);
    kill(daemon).await;
    // Commands leave the log of a daemon that crashed where it is.
    desk.run(&["deliveries", "list"]).await.ends_with(0);
    let log = desk.file("forgebell.db-wal");
    assert!(log.exists());
    let content = std::fs::read(&log).expect("the log");
    std::fs::remove_file(&log).expect("it is lost");
    for words in ["serve", "migrate"] {
        let refused = desk.run(&[words]).await.ends_with(1).err;
        assert!(refused.contains("forgebell.db-wal of") && refused.contains("is missing"), "{refused}");
        assert!(refused.contains("`forgebell restore FILE`"), "{refused}");
    }
    std::fs::write(&log, &content).expect("it is found");
    let mut daemon = desk.serve().await;
    signal(&daemon, "TERM");
    assert_eq!(end_of(&mut daemon).await, Some(0));
    assert!(!log.exists(), "a store that was closed needs no log");

    kill(desk.serve().await).await;
    std::fs::remove_file(&log).expect("it is lost again");
    desk.run(&["restore", &desk.file("backup.db").display().to_string()]).await.ends_with(0);
    desk.serve().await;
}

/// A damage that is met when the store is opened. (A full check at every start would take long.)
#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_store_is_refused_and_a_backup_of_it_too() {
    let desk = Desk::new("");
    let mut daemon = desk.serve().await;
    signal(&daemon, "TERM");
    assert_eq!(end_of(&mut daemon).await, Some(0));
    let database =
        std::fs::OpenOptions::new().write(true).open(desk.file("forgebell.db")).expect("the store");
    database.write_all_at(&[0xff; 3000], 100).expect("it is damaged");
    drop(database);
    let refused = desk.run(&["serve"]).await.ends_with(1).err;
    assert!(refused.contains("malformed") && refused.contains("`forgebell restore FILE`"), "{refused}");
    let copy = desk.file("copy.db");
    let refused = desk.run(&["backup", &copy.display().to_string()]).await.ends_with(1).err;
    assert!(refused.contains("there is no backup of"), "{refused}");
    assert!(!copy.exists());
}

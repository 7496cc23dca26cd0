//! Logging: readable lines for people, or JSON for programs.

use std::io::{self, BufWriter, IsTerminal as _, Write};
use std::sync::OnceLock;
use std::time::Duration;

use serde::Deserialize;
use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::util::SubscriberInitExt as _;

/// The settings in `[log]`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    pub format: Format,
    /// What is logged: a level (`info`), or levels by module (`info,forgebell::pipeline=debug`).
    pub filter: String,
}

/// The format of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// One readable line; coloured on a terminal.
    Human,
    /// One JSON object per line.
    Json,
}

/// Why logging could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    #[error("log.filter `{filter}` is not a filter: {why}; try `info`, or `info,forgebell::pipeline=debug`")]
    Filter { filter: String, why: String },
    #[error("a logger is already installed: {0}")]
    Taken(String),
}

/// The log of this process. Lines that are not written yet are written when it is dropped.
#[must_use]
pub struct Log {
    _writer: WorkerGuard,
}

/// After a write, the log's thread waits this long. Under load, waking it for each line costs more than writing the line.
const BETWEEN_WRITES: Duration = Duration::from_millis(5);

/// Writes what has gathered, then waits for [`BETWEEN_WRITES`], while further lines gather in the thread's queue. A line
/// that follows no other one is written at once.
struct InBatches<W>(W);

impl<W: Write> Write for InBatches<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    /// The thread calls this when its queue is empty.
    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()?;
        std::thread::sleep(BETWEEN_WRITES);
        Ok(())
    }
}

/// Starts logging to standard error.
///
/// # Errors
/// The filter cannot be parsed, or a logger is already installed.
pub fn init(config: &Config) -> Result<Log, LogError> {
    let ansi = std::io::stderr().is_terminal();
    let taken = |error: tracing_subscriber::util::TryInitError| LogError::Taken(error.to_string());
    // A thread writes the lines, as many at once as there are: under load they come in thousands a second.
    let (writer, guard) = NonBlockingBuilder::default()
        .lossy(false)
        .thread_name("log-writer")
        .finish(InBatches(BufWriter::new(std::io::stderr())));
    let (subscriber, filter) = reloadable(config, writer, ansi)?;
    subscriber.try_init().map_err(taken)?;
    let _ = FILTER.set(filter);
    Ok(Log { _writer: guard })
}

/// Replaces the filter of the log, once there is one.
type SetFilter = Box<dyn Fn(EnvFilter) -> Result<(), String> + Send + Sync>;

static FILTER: OnceLock<SetFilter> = OnceLock::new();

/// Applies another filter to the log of this process, where [`init`] began it. The format stays.
///
/// # Errors
/// The filter can't be parsed.
pub fn set_filter(config: &Config) -> Result<(), LogError> {
    let filter = filter(config)?;
    let Some(set) = FILTER.get() else { return Ok(()) };
    set(filter).map_err(|why| LogError::Filter { filter: config.filter.clone(), why })
}

fn filter(config: &Config) -> Result<EnvFilter, LogError> {
    EnvFilter::try_new(format!("{QUIET},{}", config.filter))
        .map_err(|error| LogError::Filter { filter: config.filter.clone(), why: error.to_string() })
}

/// The broker's client logs what it returns as an error too, and calls a connection that we close an error: the source logs
/// what counts. The operator's filter may say otherwise.
const QUIET: &str = "lapin=off";

/// The log, and what replaces its filter.
fn reloadable<W>(
    config: &Config,
    writer: W,
    ansi: bool,
) -> Result<(Box<dyn tracing::Subscriber + Send + Sync>, SetFilter), LogError>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let filter = filter(config)?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer).with_ansi(ansi);
    Ok(match config.format {
        Format::Human => {
            let builder = builder.with_target(false).with_filter_reloading();
            let handle = builder.reload_handle();
            (
                Box::new(builder.finish()),
                Box::new(move |filter| handle.reload(filter).map_err(|error| error.to_string())),
            )
        }
        Format::Json => {
            let builder = builder.json().flatten_event(true).with_filter_reloading();
            let handle = builder.reload_handle();
            (
                Box::new(builder.finish()),
                Box::new(move |filter| handle.reload(filter).map_err(|error| error.to_string())),
            )
        }
    })
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().expect("no writer panics").extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn logged(format: Format, filter: &str) -> String {
        let lines = Lines::default();
        let writer = lines.clone();
        let config = Config { format, filter: filter.to_owned() };
        let subscriber = reloadable(&config, move || writer.clone(), false).expect("a filter").0;
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!(delivery = 7, "delivered");
            tracing::debug!("details");
        });
        String::from_utf8(lines.0.lock().expect("no writer panics").clone()).expect("text")
    }

    /// Counts writes, as the system would see them.
    #[derive(Clone, Default)]
    struct Writes(Arc<Mutex<(usize, Vec<u8>)>>);

    impl Write for Writes {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            let mut writes = self.0.lock().expect("no writer panics");
            writes.0 += 1;
            writes.1.extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn lines_that_follow_each_other_are_written_together_and_in_order() {
        const LINES: usize = 1000;
        let writes = Writes::default();
        let batches = InBatches(BufWriter::with_capacity(1 << 20, writes.clone()));
        let begun = std::time::Instant::now();
        let (mut lines, thread) = NonBlockingBuilder::default().lossy(false).finish(batches);
        for line in 0..LINES {
            writeln!(lines, "{line}").expect("the thread takes lines");
        }
        drop((lines, thread)); // waits for the last line
        let waits = begun.elapsed().as_millis() / BETWEEN_WRITES.as_millis();
        let (count, written) = writes.0.lock().expect("no writer panics").clone();
        let expected: Vec<_> = (0..LINES).map(|line| line.to_string()).collect();
        let written = String::from_utf8(written).expect("text");
        assert_eq!(written.lines().collect::<Vec<_>>(), expected);
        assert!(count as u128 <= waits + 1, "{count} writes in {waits} waits");
    }

    #[test]
    fn human_lines_are_messages_with_fields() {
        let text = logged(Format::Human, "info");
        assert!(text.contains("INFO delivered delivery=7"), "{text}");
        assert!(!text.contains("details"), "the filter excludes details: {text}");
    }

    #[test]
    fn json_lines_are_objects() {
        let text = logged(Format::Json, "debug");
        let first: serde_json::Value =
            serde_json::from_str(text.lines().next().expect("a line")).expect("a JSON object");
        assert_eq!(first["message"], "delivered");
        assert_eq!(first["delivery"], 7);
        assert_eq!(text.lines().count(), 2);
    }

    /// A field with the name of one that the format itself writes would be there twice, and readers would keep only one.
    #[test]
    fn json_lines_have_no_duplicate_keys() {
        let lines = Lines::default();
        let writer = lines.clone();
        let config = Config { format: Format::Json, filter: "debug".to_owned() };
        let subscriber = reloadable(&config, move || writer.clone(), false).expect("a filter").0;
        tracing::subscriber::with_default(subscriber, || {
            tracing::debug!(delivery = 7, event = "e-1", integration = "a/b:slack", to = "#ops", "delivered");
            tracing::info!(delivery = 7, reason = "503", until = "soon", "not delivered yet");
        });
        let text = String::from_utf8(lines.0.lock().expect("no writer panics").clone()).expect("text");
        for line in text.lines() {
            let Keys(mut keys) = serde_json::from_str(line).expect("a JSON object");
            let all = keys.len();
            keys.sort();
            keys.dedup();
            assert_eq!(keys.len(), all, "{line}");
        }
        assert_eq!(text.lines().count(), 2);
    }

    /// An object's keys, including duplicates.
    struct Keys(Vec<String>);

    impl<'de> Deserialize<'de> for Keys {
        fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            struct Visitor;
            impl<'de> serde::de::Visitor<'de> for Visitor {
                type Value = Keys;

                fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                    f.write_str("an object")
                }

                fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Keys, A::Error> {
                    let mut keys = Vec::new();
                    while let Some((key, _)) = map.next_entry::<String, serde::de::IgnoredAny>()? {
                        keys.push(key);
                    }
                    Ok(Keys(keys))
                }
            }
            deserializer.deserialize_map(Visitor)
        }
    }

    #[test]
    fn another_filter_applies_at_once() {
        let lines = Lines::default();
        let writer = lines.clone();
        let config = |filter: &str| Config { format: Format::Human, filter: filter.to_owned() };
        let made = reloadable(&config("info"), move || writer.clone(), false).expect("a filter");
        let (subscriber, set) = made;
        tracing::subscriber::with_default(subscriber, || {
            tracing::debug!("before");
            set(filter(&config("debug")).expect("a filter")).expect("the log is there");
            tracing::debug!("after");
        });
        let text = String::from_utf8(lines.0.lock().expect("no writer panics").clone()).expect("text");
        assert!(text.contains("after") && !text.contains("before"), "{text}");
    }

    #[test]
    fn the_error_names_an_invalid_filter() {
        let config = Config { format: Format::Human, filter: "forgebell=loud".to_owned() };
        let error = reloadable(&config, std::io::stderr, false).err().expect("an error").to_string();
        assert!(error.contains("log.filter `forgebell=loud`"), "{error}");
    }
}

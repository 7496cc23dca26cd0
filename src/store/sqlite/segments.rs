//! The JSON of delivered events, in files beside the database that are only appended to.
//!
//! The files are only for people, so nothing is synced. If a file is damaged or missing, people can't look at its
//! events or send them again. The row of an event names the file and the position of its JSON. A file is removed as a
//! whole when its whole content is older than the retention. Files are written one after another, each up to
//! [`SEGMENT_BYTES`].

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{ErrorKind, Result, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use bytes::Bytes;
use tracing::warn;

use crate::event::EventId;

/// When a file reaches this size, a new file begins.
const SEGMENT_BYTES: u64 = 64 << 20;
/// Before each JSON: its length and its checksum, of 4 bytes each.
const HEADER: usize = 8;
/// The longest JSON that is read. A longer one is a damaged length.
const LONGEST: usize = 1 << 30;

/// The location of an event's JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Location {
    /// The file's number.
    pub(super) segment: i64,
    /// The position in the file, in bytes.
    pub(super) position: i64,
}

/// The files of one database.
#[derive(Debug)]
pub(super) struct Segments {
    folder: PathBuf,
    current: Option<Current>,
    buffer: Vec<u8>,
    /// Whether the last write failed and the failure was logged.
    fails: bool,
}

/// The file that is being written.
#[derive(Debug)]
struct Current {
    file: File,
    number: i64,
    length: u64,
}

impl Segments {
    /// The files beside this database. A file is created only when something is appended.
    pub(super) fn beside(database: &Path) -> Self {
        let mut name = database.file_name().unwrap_or_default().to_owned();
        name.push("-history");
        Self { folder: database.with_file_name(name), current: None, buffer: Vec::new(), fails: false }
    }

    /// Appends a JSON. It is in the file after [`Segments::write`].
    pub(super) fn append(&mut self, id: &EventId, json: &[u8]) -> Result<Location> {
        let full = |current: &Current, buffered| current.length + buffered >= SEGMENT_BYTES;
        if self.current.as_ref().is_none_or(|current| full(current, self.buffer.len() as u64)) {
            self.write()?;
            self.current = Some(self.next_file()?);
        }
        let Some(current) = &self.current else { return Err(ErrorKind::NotFound.into()) };
        let length = u32::try_from(json.len()).map_err(|_| ErrorKind::FileTooLarge)?;
        let position = current.length + self.buffer.len() as u64;
        self.buffer.extend_from_slice(&length.to_le_bytes());
        self.buffer.extend_from_slice(&checksum(id, json).to_le_bytes());
        self.buffer.extend_from_slice(json);
        Ok(Location { segment: current.number, position: i64::try_from(position).unwrap_or(i64::MAX) })
    }

    /// As [`Self::append`]; `None` where the JSON can't be kept. The other data of the event is written nevertheless.
    pub(super) fn append_if_possible(&mut self, id: &EventId, json: &[u8]) -> Option<Location> {
        let appended = self.append(id, json);
        self.say(appended.as_ref().err());
        appended.ok()
    }

    /// Writes what was appended, if that is possible.
    pub(super) fn write_if_possible(&mut self) {
        if self.buffer.is_empty() {
            return;
        }
        let written = self.write();
        self.say(written.as_ref().err());
        self.fails = written.is_err();
    }

    /// Logs that the JSON of events is not kept, once until it is kept again.
    fn say(&mut self, error: Option<&std::io::Error>) {
        if let Some(error) = error
            && !std::mem::replace(&mut self.fails, true)
        {
            let folder = self.folder.display();
            warn!(
                %error, %folder,
                "cannot keep the JSON of events: people can't look at them or send them again; correct the rights of \
                 this folder, or free some space on its disk"
            );
        }
    }

    /// Writes what was appended, without syncing it.
    pub(super) fn write(&mut self) -> Result<()> {
        let Some(current) = &mut self.current else { return Ok(()) };
        if self.buffer.is_empty() {
            return Ok(());
        }
        let written = current.file.write_all(&self.buffer);
        let length = self.buffer.len() as u64;
        self.buffer.clear();
        if written.is_err() {
            // It is unknown how much was written. The next JSON replaces it at the same position, or goes to a new
            // file.
            if current.file.set_len(current.length).is_err() {
                self.current = None;
            }
            return written;
        }
        current.length += length;
        Ok(())
    }

    /// The JSON of this event at this location; `None` where the file is missing or damaged, or has another event
    /// there.
    pub(super) fn read(&self, at: Location, id: &EventId) -> Option<Bytes> {
        let file = File::open(self.path(at.segment)).ok()?;
        let position = u64::try_from(at.position).ok()?;
        let mut header = [0; HEADER];
        file.read_exact_at(&mut header, position).ok()?;
        let [a, b, c, d, expected @ ..] = header;
        let length = u32::from_le_bytes([a, b, c, d]) as usize;
        if length > LONGEST || file.metadata().ok()?.len() < position + (HEADER + length) as u64 {
            return None;
        }
        let mut json = vec![0; length];
        file.read_exact_at(&mut json, position + HEADER as u64).ok()?;
        (checksum(id, &json) == u32::from_le_bytes(expected)).then(|| json.into())
    }

    /// Removes the files to which nothing was appended since this moment. Returns their number.
    pub(super) fn sweep(&self, before: SystemTime) -> Result<usize> {
        let current = self.current.as_ref().map(|current| current.number);
        let mut removed = 0;
        for number in self.numbers()?.into_iter().filter(|number| Some(*number) != current) {
            let path = self.path(number);
            if fs::metadata(&path)?.modified()? < before {
                fs::remove_file(path)?;
                removed += 1;
            }
        }
        Ok(removed)
    }

    /// Begins a new file after those of former runs, because the ends of those files may be damaged.
    fn next_file(&self) -> Result<Current> {
        DirBuilder::new().recursive(true).mode(0o700).create(&self.folder)?;
        let number = self.numbers()?.into_iter().max().unwrap_or(0) + 1;
        let file = OpenOptions::new().append(true).create_new(true).mode(0o600).open(self.path(number))?;
        Ok(Current { file, number, length: 0 })
    }

    fn numbers(&self) -> Result<Vec<i64>> {
        let entries = match fs::read_dir(&self.folder) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let mut numbers = Vec::new();
        for entry in entries {
            let path = entry?.path();
            let stem = path.file_stem().and_then(|stem| stem.to_str());
            numbers.extend(stem.and_then(|stem| stem.parse::<i64>().ok()));
        }
        Ok(numbers)
    }

    fn path(&self, number: i64) -> PathBuf {
        self.folder.join(format!("{number:08}.events"))
    }
}

/// A checksum that includes the event's id: after a database was restored without its files, its locations may belong
/// to other events.
fn checksum(id: &EventId, json: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(id.as_str().as_bytes());
    hasher.update(json);
    hasher.finalize()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn id(name: &str) -> EventId {
        EventId::new(name).unwrap()
    }

    fn segments(folder: &Path) -> Segments {
        Segments::beside(&folder.join("forgebell.db"))
    }

    #[test]
    fn what_was_appended_is_read_again_also_by_the_next_process() {
        let folder = tempfile::tempdir().unwrap();
        let mut first = segments(folder.path());
        let one = first.append(&id("1"), b"{\"a\":1}").unwrap();
        let two = first.append(&id("2"), b"").unwrap();
        first.write().unwrap();
        let mut next = segments(folder.path());
        let three = next.append(&id("3"), b"third").unwrap();
        next.write().unwrap();
        assert_ne!(one.segment, three.segment, "the end of a former file may be damaged");
        for (at, name, json) in [(one, "1", &b"{\"a\":1}"[..]), (two, "2", b""), (three, "3", b"third")] {
            assert_eq!(next.read(at, &id(name)).as_deref(), Some(json));
        }
        assert_eq!(next.read(one, &id("2")), None, "the place is another event's");
    }

    #[test]
    fn damaged_and_missing_files_cost_their_events_only() {
        let folder = tempfile::tempdir().unwrap();
        let mut segments = segments(folder.path());
        let one = segments.append(&id("1"), b"first").unwrap();
        let two = segments.append(&id("2"), b"second").unwrap();
        segments.write().unwrap();
        let path = segments.path(one.segment);
        let mut bytes = fs::read(&path).unwrap();
        bytes[HEADER] ^= 1;
        fs::write(&path, &bytes).unwrap();
        assert_eq!(segments.read(one, &id("1")), None);
        assert_eq!(segments.read(two, &id("2")).as_deref(), Some(&b"second"[..]));
        fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
        assert_eq!(segments.read(two, &id("2")), None, "its end is cut off");
        assert_eq!(segments.read(Location { segment: 99, position: 0 }, &id("1")), None);
        assert_eq!(segments.read(Location { position: 1 << 40, ..one }, &id("1")), None);
    }

    #[test]
    fn old_files_are_removed_and_the_current_one_stays() {
        let folder = tempfile::tempdir().unwrap();
        let mut former = segments(folder.path());
        let old = former.append(&id("1"), b"old").unwrap();
        former.write().unwrap();
        let mut segments = segments(folder.path());
        let new = segments.append(&id("2"), b"new").unwrap();
        segments.write().unwrap();
        assert_eq!(segments.sweep(SystemTime::UNIX_EPOCH).unwrap(), 0);
        let later =
            fs::metadata(segments.path(new.segment)).unwrap().modified().unwrap() + Duration::from_secs(60);
        assert_eq!(segments.sweep(later).unwrap(), 1);
        assert_eq!(segments.read(old, &id("1")), None);
        assert!(segments.read(new, &id("2")).is_some());
    }
}

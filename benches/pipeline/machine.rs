//! The machine: what figures mean nothing without.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use crate::figures::percentile;

/// Prints what is under us. `folder` is where the store will be.
pub fn describe(folder: &Path, broker: &str) -> io::Result<()> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let cpu = field("/proc/cpuinfo", "model name").unwrap_or_else(|| "unknown processor".to_owned());
    let memory = field("/proc/meminfo", "MemTotal").unwrap_or_default();
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    println!("machine   {cores} cores, {cpu}, {memory}, Linux {}", kernel.trim());
    println!("broker    {broker}");
    println!("disk      {}: 4 KiB written and synced in {:.0?} (median)", disk(folder), sync_time(folder)?);
    println!("load      {} beforehand", load());
    Ok(())
}

/// What others are using: figures from a busy machine are no baseline.
pub fn load() -> String {
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    load.split(' ').next().unwrap_or_default().to_owned()
}

fn field(file: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(file).ok()?;
    let (_, value) = text.lines().find(|line| line.starts_with(name))?.split_once(':')?;
    Some(value.trim().to_owned())
}

/// Device and file system of the mount that the folder lies on.
fn disk(folder: &Path) -> String {
    let folder = folder.canonicalize().unwrap_or_default();
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let mounts = mounts.lines().filter_map(|line| {
        let mut words = line.split(' ');
        Some((words.next()?, words.next()?, words.next()?))
    });
    let of_folder =
        mounts.filter(|(_, place, _)| folder.starts_with(place)).max_by_key(|(_, place, _)| place.len());
    of_folder.map_or_else(|| "unknown".to_owned(), |(device, _, kind)| format!("{device} ({kind})"))
}

/// What a durable write costs here at least.
fn sync_time(folder: &Path) -> io::Result<Duration> {
    let path = folder.join(format!("sync-{}", std::process::id()));
    let mut file = File::create(&path)?;
    let measured: io::Result<Vec<Duration>> = (0..100)
        .map(|_| {
            let start = Instant::now();
            file.write_all(&[7; 4096])?;
            file.sync_data()?;
            Ok(start.elapsed())
        })
        .collect();
    fs::remove_file(path)?;
    let mut measured = measured?;
    measured.sort();
    Ok(percentile(&measured, 50))
}

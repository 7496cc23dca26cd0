//! Figures: what time it is, medians and percentiles.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The wall clock, since publisher and sink are different processes.
pub fn now_nanos() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

/// The middle one; of an even number, the mean of the middle two. 0 of nothing.
pub fn median(figures: impl IntoIterator<Item = f64>) -> f64 {
    let mut figures: Vec<f64> = figures.into_iter().collect();
    figures.sort_by(f64::total_cmp);
    match figures.len() {
        0 => 0.0,
        odd if odd % 2 == 1 => figures[odd / 2],
        even => f64::midpoint(figures[even / 2 - 1], figures[even / 2]),
    }
}

/// The nearest rank: `percentile(&sorted, 99)`. Zero of nothing.
pub fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or_default()
}

/// A count as a number to reckon with.
#[expect(clippy::cast_precision_loss, reason = "no count here comes near 2^52")]
pub fn count(n: usize) -> f64 {
    n as f64
}

/// How many a second.
pub fn rate(n: usize, nanos: u64) -> f64 {
    count(n) / Duration::from_nanos(nanos.max(1)).as_secs_f64()
}

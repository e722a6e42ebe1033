//! Clocks, medians, and what the machine is.

use std::collections::BTreeMap;
use std::thread::available_parallelism;
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use rustix::time::{ClockId, clock_gettime};
use tokio_postgres::Client;

use crate::Result;
use crate::options::Options;

/// The wall clock and the processor time since a moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stopwatch {
    begun: Instant,
    cpu: Duration,
    whose: ClockId,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Spent {
    pub(crate) wall: Duration,
    pub(crate) cpu: Duration,
}

impl Stopwatch {
    /// With the processor time of the whole process.
    pub(crate) fn start() -> Self {
        Self::with(ClockId::ProcessCPUTime)
    }

    /// With the processor time of this thread.
    pub(crate) fn start_in_thread() -> Self {
        Self::with(ClockId::ThreadCPUTime)
    }

    fn with(whose: ClockId) -> Self {
        Self {
            begun: Instant::now(),
            cpu: cpu_time(whose),
            whose,
        }
    }

    pub(crate) fn stop(self) -> Spent {
        Spent {
            wall: self.begun.elapsed(),
            cpu: cpu_time(self.whose).saturating_sub(self.cpu),
        }
    }
}

fn cpu_time(whose: ClockId) -> Duration {
    let time = clock_gettime(whose);
    let seconds = Duration::from_secs(u64::try_from(time.tv_sec).unwrap_or(0));
    seconds + Duration::from_nanos(u64::try_from(time.tv_nsec).unwrap_or(0))
}

/// Somebody who takes part, and how to have its turn.
pub(crate) struct Entry<T> {
    pub(crate) name: &'static str,
    pub(crate) turn: Box<dyn Fn() -> BoxFuture<'static, Result<T>> + Send + Sync>,
}

/// Lets every contender have its turn in each round, in an order that is reversed from
/// round to round, and takes what `read` reads off as its figures.
pub(crate) async fn interleave<T: Send + 'static>(
    rounds: usize,
    entries: &[Entry<T>],
    read: impl Fn(T) -> Vec<f64> + Send + Sync,
) -> Result<Samples> {
    let mut samples = Samples::default();
    for round in 0..rounds {
        let forward = entries.iter();
        let order: Vec<_> = if round % 2 == 0 {
            forward.collect()
        } else {
            forward.rev().collect()
        };
        for Entry { name, turn } in order {
            let figures = read((turn)().await?);
            samples.add(name, &figures);
        }
    }
    Ok(samples)
}

/// Figures of each contender, one after the other for each round.
#[derive(Debug, Default)]
pub(crate) struct Samples(BTreeMap<&'static str, Vec<Vec<f64>>>);

impl Samples {
    pub(crate) fn add(&mut self, contender: &'static str, figures: &[f64]) {
        let kept = self.0.entry(contender).or_default();
        kept.resize_with(figures.len(), Vec::new);
        for (column, figure) in kept.iter_mut().zip(figures) {
            column.push(*figure);
        }
    }

    fn column(&self, contender: &str, at: usize) -> &[f64] {
        let columns = self.0.get(contender).map(Vec::as_slice).unwrap_or_default();
        columns.get(at).map(Vec::as_slice).unwrap_or_default()
    }

    /// The medians of a contender's figures.
    pub(crate) fn medians(&self, contender: &str) -> Vec<f64> {
        let columns = self.0.get(contender).map(Vec::as_slice).unwrap_or_default();
        columns.iter().map(|column| median(column)).collect()
    }

    pub(crate) fn median(&self, contender: &str, at: usize) -> f64 {
        median(self.column(contender, at))
    }

    /// The median over the rounds of one contender's figure divided by another's.
    pub(crate) fn ratio(&self, contender: &str, to: &str, at: usize) -> f64 {
        let pairs = self.column(contender, at).iter().zip(self.column(to, at));
        let ratios: Vec<f64> = pairs.map(|(one, other)| one / other).collect();
        median(&ratios)
    }
}

pub(crate) fn median(samples: &[f64]) -> f64 {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match (sorted.get(middle), sorted.get(middle.wrapping_sub(1))) {
        (Some(upper), Some(lower)) if sorted.len().is_multiple_of(2) => {
            f64::midpoint(*lower, *upper)
        }
        (Some(middle), _) => *middle,
        _ => f64::NAN,
    }
}

/// The machine, as far as it decides what the figures mean.
#[derive(Debug, serde::Serialize)]
pub(crate) struct Machine {
    pub(crate) cores: usize,
    pub(crate) workers: usize,
    pub(crate) rounds: usize,
    pub(crate) quick: bool,
    pub(crate) server: String,
    /// The load averages over one minute, of all processes.
    pub(crate) load_before: f64,
    pub(crate) load_after: f64,
}

impl Machine {
    pub(crate) async fn now(options: &Options, client: &Client) -> Result<Self> {
        let row = client.query_one("SHOW server_version", &[]).await?;
        Ok(Self {
            cores: available_parallelism()?.get(),
            workers: options.workers,
            rounds: options.rounds,
            quick: options.quick,
            server: row.get(0),
            load_before: load(),
            load_after: f64::NAN,
        })
    }
}

pub(crate) fn load() -> f64 {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let first = text.split(' ').next().map(str::parse);
    first.and_then(std::result::Result::ok).unwrap_or(f64::NAN)
}

/// A duration in the unit of a column.
pub(crate) fn nanos(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e9
}

pub(crate) fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

/// Memory of this process that no file backs, in bytes.
pub(crate) fn resident() -> Result<f64> {
    let text = std::fs::read_to_string("/proc/self/smaps_rollup")?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("Anonymous:"));
    let kilobytes = line.and_then(|rest| rest.trim().strip_suffix(" kB"));
    let kilobytes: f64 = kilobytes
        .ok_or("no Anonymous in smaps_rollup")?
        .trim()
        .parse()?;
    Ok(kilobytes * 1024.0)
}

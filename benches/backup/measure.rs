//! What a program costs: time, the processors of both sides, memory.

use std::fs;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::Result;

/// In which unit the kernel counts the time of processes.
const TICKS_PER_SECOND: f64 = 100.0;
const PAGE: u64 = 4096;

/// What one run cost.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cost {
    pub(crate) seconds: f64,
    /// Of the program and its children.
    pub(crate) client_cpu: f64,
    /// Of the server's processes.
    pub(crate) server_cpu: f64,
    /// The most that the program and its children had in memory at once, in MiB.
    pub(crate) peak_mib: f64,
}

impl Cost {
    pub(crate) fn cpu(self) -> f64 {
        self.client_cpu + self.server_cpu
    }
}

/// Runs a program, whose standard output is returned.
pub(crate) fn measure(
    postmaster: Option<u32>,
    command: &mut Command,
    input: &[u8],
) -> Result<(Cost, Vec<u8>)> {
    let server = || postmaster.map_or(0.0, |pid| cpu(&pid.to_string(), 13..=16));
    let (own_before, server_before) = (cpu("self", 15..=16), server());
    let begun = Instant::now();
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let pid = child.id();
    if let Some(mut stdin) = child.stdin.take() {
        // A program that reads nothing may have closed it.
        let _ = std::io::Write::write_all(&mut stdin, input);
    }
    let (ended, peak) = (AtomicBool::new(false), AtomicU64::new(0));
    let output = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !ended.load(Ordering::Relaxed) {
                peak.fetch_max(resident(pid), Ordering::Relaxed);
                std::thread::sleep(Duration::from_millis(5));
            }
        });
        let output = child.wait_with_output();
        ended.store(true, Ordering::Relaxed);
        output
    })?;
    let seconds = begun.elapsed().as_secs_f64();
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let printed = String::from_utf8_lossy(&output.stdout);
        return Err(format!("{command:?}: {}: {said}{printed}", output.status).into());
    }
    // The server's processes have to end to be counted.
    std::thread::sleep(Duration::from_millis(200));
    #[expect(clippy::cast_precision_loss, reason = "memory is shown in MiB")]
    let peak_mib = peak.into_inner() as f64 / f64::from(1 << 20);
    let cost = Cost {
        seconds,
        client_cpu: cpu("self", 15..=16) - own_before,
        server_cpu: server() - server_before,
        peak_mib,
    };
    Ok((cost, output.stdout))
}

/// The seconds in some of the counters of a process: user, system, and both of its children
/// that have ended are 13 to 16.
pub(crate) fn cpu(process: &str, counters: std::ops::RangeInclusive<usize>) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    // The name, in parentheses, may hold anything.
    let rest = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let skip = counters.start().saturating_sub(2);
    let fields = rest.split_whitespace().skip(skip);
    let ticks: f64 = fields
        .take(counters.count())
        .filter_map(|field| field.parse::<f64>().ok())
        .sum();
    ticks / TICKS_PER_SECOND
}

/// The bytes that a process and its children have in memory.
fn resident(pid: u32) -> u64 {
    let statm = fs::read_to_string(format!("/proc/{pid}/statm")).unwrap_or_default();
    let pages = statm.split_whitespace().nth(1);
    let own = pages
        .and_then(|it| it.parse::<u64>().ok())
        .unwrap_or_default()
        * PAGE;
    let children = format!("/proc/{pid}/task/{pid}/children");
    let children = fs::read_to_string(children).unwrap_or_default();
    let children = children.split_whitespace().filter_map(|it| it.parse().ok());
    own + children.map(resident).sum::<u64>()
}

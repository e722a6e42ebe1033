//! Progress: bars on a terminal, plain lines otherwise.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{HumanBytes, ProgressBar, ProgressStyle};
use ops_backup::{Event, Job, Phase, Progress};

use crate::Result;

/// How often a plain line is printed.
const LINE_EVERY: Duration = Duration::from_secs(2);

/// Follows a job to its end.
pub(crate) async fn follow<R: Send + 'static>(name: &'static str, mut job: Job<R>) -> Result<R> {
    let mut shown = Shown::new(name);
    while let Some(event) = job.next_event().await {
        match event {
            Event::Phase(phase) => shown.phase(phase),
            Event::Progress(progress) => shown.progress(&progress),
            Event::Warning(text) => shown.line(&format!("warning: {text}")),
            _ => {}
        }
    }
    let result = job.finish().await;
    shown.end();
    Ok(result.map_err(|err| ops_core::Report(&err).to_string())?)
}

struct Shown {
    name: &'static str,
    bar: Option<ProgressBar>,
    printed: Instant,
}

impl Shown {
    fn new(name: &'static str) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new(0);
            let template =
                "{prefix:8} {msg:10} [{wide_bar}] {bytes}/{total_bytes} {bytes_per_sec} eta {eta}";
            if let Ok(style) = ProgressStyle::with_template(template) {
                bar.set_style(style);
            }
            bar.set_prefix(name);
            bar
        });
        Self {
            name,
            bar,
            printed: Instant::now(),
        }
    }

    fn phase(&mut self, phase: Phase) {
        match &self.bar {
            Some(bar) => bar.set_message(phase.as_str()),
            None => self.line(phase.as_str()),
        }
    }

    fn progress(&mut self, progress: &Progress) {
        if let Some(bar) = &self.bar {
            bar.set_length(
                progress
                    .bytes_expected
                    .unwrap_or(progress.bytes_in)
                    .max(progress.bytes_in),
            );
            bar.set_position(progress.bytes_in);
        } else if self.printed.elapsed() >= LINE_EVERY {
            self.printed = Instant::now();
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "shown, not reckoned with"
            )]
            let rate = HumanBytes(progress.bytes_per_second as u64);
            let (read, stored) = (
                HumanBytes(progress.bytes_in),
                HumanBytes(progress.bytes_stored),
            );
            self.line(&format!("{read} plain, {stored} stored, {rate}/s"));
        }
    }

    fn line(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.println(text),
            None => eprintln!("{}: {text}", self.name),
        }
    }

    fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

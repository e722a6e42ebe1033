//! Objectives over a restart.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ops_core::usage::Period;
use ops_core::{Clock as _, ErrorKind};
use ops_health::slo::{Slo, SloReport, SloState};
use ops_testkit::ManualClock;
use proptest::prelude::*;
use tempfile::TempDir;

use crate::support::{minutes, seconds};

const HOUR: Duration = Duration::from_secs(3600);

struct Setup {
    clock: ManualClock,
    path: PathBuf,
    _folder: TempDir,
}

impl Setup {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self {
            clock: ManualClock::at("2026-01-02T12:00:00Z"),
            path: folder.path().join("slo.journal"),
            _folder: folder,
        }
    }

    fn open(&self) -> Slo {
        self.try_open().unwrap()
    }

    fn try_open(&self) -> ops_core::Result<Slo> {
        Slo::builder("availability")
            .objective(0.99)
            .with_requests()
            .clock(Arc::new(self.clock.clone()))
            .journal(&self.path)
            .build()
    }

    /// Lives through a span, both clocks together.
    async fn live(&self, slo: &Slo, state: SloState, span: Duration) {
        slo.observe(state);
        let mut left = span;
        while !left.is_zero() {
            let step = left.min(seconds(30));
            tokio::time::advance(step).await;
            self.clock.advance(step);
            slo.observe(state);
            left -= step;
        }
    }

    fn report(&self, slo: &Slo, span: Duration) -> SloReport {
        let now = self.clock.now();
        let period = Period::new(now.saturating_sub(span), now).unwrap();
        slo.report(period, &[])
    }
}

fn aside(path: &Path) -> PathBuf {
    path.with_extension("unreadable")
}

#[tokio::test(start_paused = true)]
async fn everything_that_was_flushed_is_there_after_a_restart() {
    let setup = Setup::new();
    let slo = setup.open();
    setup.live(&slo, SloState::Good, HOUR * 7).await;
    setup.live(&slo, SloState::Bad, minutes(3)).await;
    slo.record_requests(1000, 13);
    slo.mark_drained().unwrap();
    let before = [minutes(5), HOUR, HOUR * 8].map(|span| setup.report(&slo, span));
    let burns = [minutes(5), HOUR, HOUR * 8].map(|span| slo.burn(span).to_bits());
    drop(slo);

    let slo = setup.open();
    let after = [minutes(5), HOUR, HOUR * 8].map(|span| setup.report(&slo, span));
    assert_eq!(after, before);
    assert_eq!(
        [minutes(5), HOUR, HOUR * 8].map(|span| slo.burn(span).to_bits()),
        burns
    );
    assert_eq!(after[1].bad, minutes(3));
    assert_eq!(after[1].bad_requests, Some(13));
}

#[tokio::test(start_paused = true)]
async fn the_gap_of_a_restart_is_bad_without_a_farewell_and_unknown_with_one() {
    for (says_goodbye, bad, unknown) in [
        (false, minutes(20), minutes(0)),
        (true, minutes(0), minutes(20)),
    ] {
        let setup = Setup::new();
        let slo = setup.open();
        setup.live(&slo, SloState::Good, HOUR).await;
        if says_goodbye {
            slo.mark_drained().unwrap();
        } else {
            slo.flush().unwrap();
        }
        drop(slo);
        setup.clock.advance(minutes(20));
        let slo = setup.open();
        setup.live(&slo, SloState::Good, minutes(10)).await;
        let report = setup.report(&slo, minutes(90));
        assert_eq!(
            (report.bad, report.unknown),
            (bad, unknown),
            "{says_goodbye}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_farewell_is_taken_back_by_whoever_goes_on() {
    let setup = Setup::new();
    let slo = setup.open();
    setup.live(&slo, SloState::Good, HOUR).await;
    slo.mark_drained().unwrap();
    setup.live(&slo, SloState::Good, minutes(1)).await;
    slo.flush().unwrap();
    drop(slo);
    setup.clock.advance(minutes(20));
    assert_eq!(setup.report(&setup.open(), HOUR).bad, minutes(20));
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_went_back_over_the_restart_makes_no_gap() {
    let setup = Setup::new();
    let slo = setup.open();
    setup.live(&slo, SloState::Good, HOUR * 2).await;
    slo.flush().unwrap();
    drop(slo);
    setup.clock.step_back(HOUR);
    let slo = setup.open();
    setup.live(&slo, SloState::Good, minutes(5)).await;
    assert_eq!(setup.report(&slo, HOUR * 3).bad, Duration::ZERO);
}

#[test]
fn a_journal_has_one_owner() {
    let setup = Setup::new();
    let first = setup.open();
    let err = setup.try_open().unwrap_err();
    assert_eq!(err.kind(), ErrorKind::Conflict);
    assert!(err.message().contains("in use"), "{err}");
    drop(first);
    setup.open();
}

#[test]
fn a_file_that_is_no_journal_is_put_aside() {
    let setup = Setup::new();
    fs::write(&setup.path, "these are notes").unwrap();
    let slo = setup.open();
    slo.flush().unwrap();
    assert_eq!(fs::read(aside(&setup.path)).unwrap(), b"these are notes");
    // So is the journal of an objective of another shape.
    drop(slo);
    let other = Slo::builder("b").journal(&setup.path).build().unwrap();
    other.flush().unwrap();
    assert!(fs::metadata(aside(&setup.path)).unwrap().len() > 100_000);
}

#[test]
fn a_folder_that_is_not_there_is_an_error_that_names_the_file() {
    let setup = Setup::new();
    let path = setup.path.join("nowhere").join("slo.journal");
    let err = Slo::builder("a").journal(&path).build().unwrap_err();
    assert_eq!(err.kind(), ErrorKind::NotFound);
    assert!(err.message().contains("slo.journal"), "{err}");
}

#[tokio::test(start_paused = true)]
async fn the_file_never_grows() {
    let setup = Setup::new();
    let slo = setup.open();
    let size = fs::metadata(&setup.path).unwrap().len();
    assert!(size < 370_000, "{size}");
    for _ in 0..50 {
        setup.live(&slo, SloState::Good, HOUR).await;
        slo.flush().unwrap();
    }
    assert_eq!(fs::metadata(&setup.path).unwrap().len(), size);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    /// A crash tears what was being written; a disk loses a byte, or the end of the file.
    #[test]
    fn a_damaged_journal_costs_what_is_damaged_and_nothing_else(
        place in any::<prop::sample::Index>(),
        flip in 1_u8..=255,
        cut in any::<bool>(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let setup = Setup::new();
            let slo = setup.open();
            setup.live(&slo, SloState::Good, HOUR * 2).await;
            setup.live(&slo, SloState::Bad, minutes(10)).await;
            slo.flush().unwrap();
            slo.mark_drained().unwrap();
            let whole = setup.report(&slo, HOUR * 3);
            drop(slo);

            let mut bytes = fs::read(&setup.path).unwrap();
            let at = place.index(bytes.len());
            if cut {
                bytes.truncate(at);
            } else {
                bytes[at] ^= flip;
            }
            fs::write(&setup.path, &bytes).unwrap();

            let slo = setup.open();
            let report = setup.report(&slo, HOUR * 3);
            prop_assert!(report.good <= whole.good && report.bad <= whole.bad);
            if !cut && at >= 64 {
                // One of the two states, or one record: at most a bucket of five minutes.
                let lost = (whole.good + whole.bad).saturating_sub(report.good + report.bad);
                prop_assert!(lost <= minutes(5), "{lost:?} by byte {at}");
            }
            // And it works on.
            setup.live(&slo, SloState::Bad, minutes(1)).await;
            slo.flush().unwrap();
            Ok(())
        })?;
    }
}

//! Every case against every sabotaged provider.

use std::cell::Cell;
use std::panic;
use std::sync::Once;

use ops_conformance::run::{Verdict, block_on, run};
use ops_conformance::{Case, Fixture};

thread_local! {
    /// Whether the panics of this thread are expected, by the hundred.
    static QUIET: Cell<bool> = const { Cell::new(false) };
}

/// Keeps this thread's panics from being printed.
pub(crate) fn be_quiet() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let loud = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if !QUIET.get() {
                loud(info);
            }
        }));
    });
    QUIET.set(true);
}

/// The ids of the cases that a provider fails, and of those that could not be tried.
pub(crate) async fn failures<F: Fixture + ?Sized>(
    cases: &[Case<F>],
    make: impl Fn() -> Box<F>,
) -> (Vec<&'static str>, Vec<&'static str>) {
    let (mut failed, mut untried) = (Vec::new(), Vec::new());
    for case in cases {
        let fixture = make();
        match run(case, &*fixture).await {
            Verdict::Failed(_) => failed.push(case.id),
            Verdict::NotOffered(_) => untried.push(case.id),
            _ => {}
        }
    }
    (failed, untried)
}

/// The provider that `make` sabotages for a case fails that case and no other one; the
/// one that it does not sabotage passes all of them, and all are tried.
pub(crate) fn each_case_is_failed_by_its_sabotage_alone<F: Fixture + ?Sized>(
    cases: &[Case<F>],
    make: impl Fn(&'static str) -> Box<F>,
) {
    be_quiet();
    let problems = block_on(async {
        let mut problems = Vec::new();
        let (failed, untried) = failures(cases, || make("none")).await;
        if !failed.is_empty() || !untried.is_empty() {
            problems.push(format!(
                "without sabotage: fails {failed:?}, does not try {untried:?}"
            ));
        }
        for case in cases {
            let (failed, _) = failures(cases, || make(case.id)).await;
            if failed != [case.id] {
                problems.push(format!("sabotaged for {}: fails {failed:?}", case.id));
            }
        }
        problems
    });
    QUIET.set(false);
    assert!(problems.is_empty(), "\n{}", problems.join("\n"));
}

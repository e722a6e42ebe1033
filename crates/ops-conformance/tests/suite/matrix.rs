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
    let (problems, not_tried) = block_on(async {
        let (mut problems, mut not_tried) = (Vec::new(), 0);
        let (failed, untried) = failures(cases, || make("none")).await;
        if !failed.is_empty() || !untried.is_empty() {
            problems.push(format!(
                "without sabotage: fails {failed:?}, does not try {untried:?}"
            ));
        }
        for case in cases {
            let (failed, untried) = failures(cases, || make(case.id)).await;
            if failed != [case.id] {
                problems.push(format!("sabotaged for {}: fails {failed:?}", case.id));
            }
            // What a fault takes away cannot be tried, such as a lost ability.
            not_tried += untried.len();
        }
        (problems, not_tried)
    });
    QUIET.set(false);
    assert!(problems.is_empty(), "\n{}", problems.join("\n"));
    tell(cases, not_tried);
}

/// Says how many cases have been tried on how many providers.
#[expect(clippy::print_stdout, reason = "the counts of a test that passes")]
pub(crate) fn tell<F: ?Sized>(cases: &[Case<F>], not_tried: usize) {
    let suite = cases.first().unwrap().id.split('-').next().unwrap();
    let count = cases.len();
    println!(
        "{suite}: {count} sabotaged providers, each fails its own of {count} cases alone; \
         {} runs, {not_tried} not tried",
        count * count
    );
}

/// The provider that offers no ability passes what is for every provider, and one that does
/// not say its name where it lacks an ability fails what asks for it by name.
pub(crate) fn the_bare_provider_passes<F: Fixture + ?Sized>(
    cases: &[Case<F>],
    make: impl Fn(&'static str) -> Box<F>,
) {
    be_quiet();
    let (bare, nameless) = block_on(async {
        let bare = failures(cases, || make("bare")).await.0;
        (bare, failures(cases, || make("nameless")).await.0)
    });
    QUIET.set(false);
    let by_name = |case: &&Case<F>| case.name.ends_with("unsupported_by_name");
    let by_name: Vec<_> = cases.iter().filter(by_name).map(|case| case.id).collect();
    assert!(bare.is_empty(), "without abilities: fails {bare:?}");
    let overlooks = |id: &&&str| !nameless.contains(*id);
    let passed: Vec<_> = by_name.iter().filter(overlooks).collect();
    assert!(passed.is_empty(), "without a name: passes {passed:?}");
}

//! How a case is run, and what its test prints.

use std::any::Any;
use std::panic::{AssertUnwindSafe, resume_unwind};

use futures_util::FutureExt;

use crate::case::{Case, Outcome};
use crate::fixture::Fixture;
use crate::quirk::{Quirk, problems};

/// How a case has ended for a provider.
#[derive(Debug)]
#[non_exhaustive]
pub enum Verdict {
    /// The provider behaves.
    Passed,
    /// The case cannot be tried with this provider, and why.
    NotOffered(String),
    /// The provider does not behave: what the case panicked with.
    Failed(Box<dyn Any + Send>),
}

impl Verdict {
    /// The text of a failure; `None` where the case has not failed.
    #[must_use]
    pub fn failure(&self) -> Option<&str> {
        let Self::Failed(payload) = self else {
            return None;
        };
        let text = payload.downcast_ref::<String>().map(String::as_str);
        text.or_else(|| payload.downcast_ref::<&str>().copied())
            .or(Some("a panic without a text"))
    }
}

/// Runs a case against a fixture, and cleans up however it ends.
pub async fn run<F: Fixture + ?Sized>(case: &Case<F>, fixture: &F) -> Verdict {
    if !(case.offered)(fixture) {
        return Verdict::NotOffered(format!("the provider does not offer {}", case.requirement));
    }
    let deadline = fixture.deadline();
    let work = tokio::time::timeout(deadline, (case.run)(fixture));
    let verdict = match AssertUnwindSafe(work).catch_unwind().await {
        Ok(Ok(Outcome::Passed)) => Verdict::Passed,
        Ok(Ok(Outcome::NotOffered(why))) => Verdict::NotOffered(why.to_owned()),
        Ok(Err(_)) => Verdict::Failed(Box::new(format!(
            "{} has not ended within {deadline:?}",
            case.id
        ))),
        Err(panic) => Verdict::Failed(panic),
    };
    fixture.clean_up().await;
    verdict
}

/// The test of one case: what the macros expand to.
///
/// # Panics
/// Where the case fails; where it is skipped by a quirk and passes.
#[doc(hidden)]
#[expect(
    clippy::panic,
    clippy::print_stdout,
    reason = "this is the body of a test"
)]
pub fn test<F, M>(cases: &[Case<F>], name: &str, quirks: &[Quirk], fixture: M)
where
    F: Fixture + ?Sized,
    M: Future<Output = Box<F>>,
{
    let Some(case) = cases.iter().find(|case| case.name == name) else {
        panic!("{name} is no case");
    };
    let id = case.id;
    let tried = block_on(async {
        let fixture = fixture.await;
        match fixture.unavailable() {
            Some(why) => Err(why),
            None => Ok(run(case, &*fixture).await),
        }
    });
    let verdict = match tried {
        Ok(verdict) => verdict,
        Err(why) => return println!("SKIPPED: {id}: {why}"),
    };
    let Some(quirk) = quirks.iter().find(|quirk| quirk.id() == id) else {
        match verdict {
            Verdict::Passed => println!("PASSED: {id}"),
            Verdict::NotOffered(why) => println!("NOT OFFERED: {id}: {why}"),
            Verdict::Failed(panic) => resume_unwind(panic),
        }
        return;
    };
    match verdict {
        Verdict::Failed(_) => println!("SKIPPED: {id}: {} ({})", quirk.reason(), quirk.link()),
        Verdict::Passed => panic!("{id} passes: remove its quirk"),
        Verdict::NotOffered(why) => panic!("{id} is not tried ({why}): remove its quirk"),
    }
}

/// The test of a provider's quirks: what the macros expand to.
///
/// # Panics
/// Where a quirk is for no case, has no reason, or no link.
#[doc(hidden)]
pub fn test_quirks<F: ?Sized>(cases: &[Case<F>], quirks: &[Quirk]) {
    let problems = problems(cases, quirks);
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

/// Runs a future on a runtime of its own, with two threads, so that races are real.
///
/// # Panics
/// Where the runtime cannot be started, and inside of another one.
#[doc(hidden)]
pub fn block_on<T>(work: impl Future<Output = T>) -> T {
    #[expect(clippy::expect_used, reason = "a test cannot go on without a runtime")]
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("the runtime starts");
    runtime.block_on(work)
}

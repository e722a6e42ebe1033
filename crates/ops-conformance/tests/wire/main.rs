//! The wire cases tested by themselves: a client that is well made passes every case, and
//! each case is failed by a client that was made to fail it and passes all the others.

#![expect(clippy::unwrap_used, reason = "what is sabotaged is a test")]

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use ops_conformance::run::block_on;
use ops_conformance::wire::{CASES, WireFixture};

use crate::matrix::{be_quiet, failures, tell};

mod acme;
#[path = "../suite/matrix.rs"]
#[expect(dead_code, reason = "the other suites run theirs one after the other")]
mod matrix;
mod sabotage;

mod reference {
    ops_conformance::wire!(crate::acme::wire("none"));
}

/// As the matrix of the other suites, several clients at a time: some of the cases wait.
#[test]
fn each_case_is_needed() {
    let (next, problems) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..12 {
            scope.spawn(|| {
                be_quiet();
                while let Some(case) = CASES.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let make = || Box::new(acme::wire(case.id)) as Box<dyn WireFixture>;
                    let (failed, untried) = block_on(failures(CASES, make));
                    if failed != [case.id] || !untried.is_empty() {
                        let problem = format!(
                            "sabotaged for {}: fails {failed:?}, does not try {untried:?}",
                            case.id
                        );
                        problems.lock().unwrap().push(problem);
                    }
                }
            });
        }
    });
    let problems = problems.into_inner().unwrap();
    assert!(problems.is_empty(), "\n{}", problems.join("\n"));
    tell(CASES, 0);
}

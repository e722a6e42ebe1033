//! What a suite's macro takes beside the fixture: quirks, which are justified and do not
//! outlive their cause, and an attribute.

use std::panic::{AssertUnwindSafe, catch_unwind};

use ops_conformance::Quirk;
use ops_conformance::cdn::{CASES, CdnFixture};
use ops_conformance::quirk::problems;
use ops_conformance::run::test;

use crate::cdn::SabotagedFixture;

const WHY: &str = "the vendor answers 409";
const LINK: &str = "https://vendor.example/docs";

#[test]
fn a_quirk_needs_a_case_a_reason_and_a_link() {
    let good = Quirk::skip("C-031", WHY, LINK);
    assert!(problems(CASES, &[good]).is_empty());
    for (quirks, problem) in [
        (
            vec![Quirk::skip("C-999", WHY, LINK)],
            "C-999 is no case of this suite",
        ),
        (
            vec![Quirk::skip("C-031", " ", LINK)],
            "C-031 is skipped without a reason",
        ),
        (
            vec![Quirk::skip("C-031", WHY, "docs")],
            "C-031 is skipped without a link",
        ),
        (vec![good, good], "C-031 is skipped twice"),
    ] {
        assert_eq!(problems(CASES, &quirks), [problem]);
    }
}

fn sabotaged(fault: &'static str) -> Box<dyn CdnFixture> {
    Box::new(SabotagedFixture::new(fault))
}

/// What the test of a case ends with under a quirk.
fn under_a_quirk(id: &'static str, fault: &'static str) -> Option<String> {
    let name = CASES.iter().find(|case| case.id == id).unwrap().name;
    let quirks = [Quirk::skip(id, WHY, LINK)];
    let run = || test(CASES, name, &quirks, async { sabotaged(fault) });
    let panic = catch_unwind(AssertUnwindSafe(run)).err()?;
    Some(panic.downcast_ref::<String>().cloned().unwrap_or_default())
}

#[test]
fn a_quirk_whose_case_fails_is_skipped() {
    let found = under_a_quirk("C-010", "C-010");
    assert_eq!(found, None);
}

#[test]
fn a_quirk_whose_case_passes_is_stale() {
    let found = under_a_quirk("C-010", "none");
    assert_eq!(found.unwrap(), "C-010 passes: remove its quirk");
}

#[test]
fn a_quirk_whose_case_is_not_tried_is_stale() {
    let found = under_a_quirk("C-051", "bare");
    let why = "the provider does not offer `as_purge_tags`";
    assert_eq!(
        found.unwrap(),
        format!("C-051 is not tried ({why}): remove its quirk")
    );
}

/// A quirk for each case.
fn all() -> Vec<Quirk> {
    let all = CASES.iter();
    all.map(|case| Quirk::skip(case.id, WHY, LINK)).collect()
}

/// The macro hands on its quirks, and puts its attribute on every case.
mod stale {
    use super::{SabotagedFixture, all};

    ops_conformance::cdn!(
        #[should_panic(expected = "passes: remove its quirk")]
        SabotagedFixture::new("none"),
        quirks: &all()
    );
}

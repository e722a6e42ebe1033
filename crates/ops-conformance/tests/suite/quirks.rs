//! Quirks are justified, and do not outlive their cause.

use std::panic::{AssertUnwindSafe, catch_unwind};

use ops_conformance::Quirk;
use ops_conformance::hosting::{CASES, HostingFixture};
use ops_conformance::memory::MemoryHostingFixture;
use ops_conformance::quirk::problems;
use ops_conformance::run::test;

const WHY: &str = "the vendor answers 409";
const LINK: &str = "https://vendor.example/docs";

#[test]
fn a_quirk_needs_a_case_a_reason_and_a_link() {
    let good = Quirk::skip("H-008", WHY, LINK);
    assert!(problems(CASES, &[good]).is_empty());
    for (quirks, problem) in [
        (
            vec![Quirk::skip("H-999", WHY, LINK)],
            "H-999 is no case of this suite",
        ),
        (
            vec![Quirk::skip("H-008", " ", LINK)],
            "H-008 is skipped without a reason",
        ),
        (
            vec![Quirk::skip("H-008", WHY, "docs")],
            "H-008 is skipped without a link",
        ),
        (vec![good, good], "H-008 is skipped twice"),
    ] {
        assert_eq!(problems(CASES, &quirks), [problem]);
    }
}

/// What the test of H-008 ends with under a quirk.
fn under_a_quirk<F: HostingFixture>(make: impl FnOnce() -> F) -> Option<String> {
    let quirks = [Quirk::skip("H-008", WHY, LINK)];
    let name = "h_008_deleting_an_app_twice_is_success";
    let run = || {
        let fixture = async { Box::new(make()) as Box<dyn HostingFixture> };
        test(CASES, name, &quirks, fixture);
    };
    let panic = catch_unwind(AssertUnwindSafe(run)).err()?;
    Some(panic.downcast_ref::<String>().cloned().unwrap_or_default())
}

#[test]
fn a_quirk_whose_case_fails_is_skipped() {
    let sabotaged = || crate::hosting::SabotagedFixture::new("H-008");
    assert_eq!(under_a_quirk(sabotaged), None);
}

#[test]
fn a_quirk_whose_case_passes_is_stale() {
    let found = under_a_quirk(MemoryHostingFixture::new);
    assert_eq!(found.as_deref(), Some("H-008 passes: remove its quirk"));
}

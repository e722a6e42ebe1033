//! What a vendor does otherwise, declared by its provider.

use crate::case::Case;

/// A case that a provider does not pass, why, and where that can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quirk {
    id: &'static str,
    reason: &'static str,
    link: &'static str,
}

impl Quirk {
    /// Leaves out a case.
    ///
    /// The case is run all the same, and the test fails where it passes: a quirk does not
    /// outlive its cause.
    #[must_use]
    pub const fn skip(id: &'static str, reason: &'static str, link: &'static str) -> Self {
        Self { id, reason, link }
    }

    /// The case that is left out.
    #[must_use]
    pub const fn id(&self) -> &'static str {
        self.id
    }

    /// Why.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        self.reason
    }

    /// Where that can be read.
    #[must_use]
    pub const fn link(&self) -> &'static str {
        self.link
    }
}

/// What is wrong with a provider's quirks, one line each.
#[must_use]
pub fn problems<F: ?Sized>(cases: &[Case<F>], quirks: &[Quirk]) -> Vec<String> {
    let mut problems = Vec::new();
    for (at, quirk) in quirks.iter().enumerate() {
        let id = quirk.id;
        if !cases.iter().any(|case| case.id == id) {
            problems.push(format!("{id} is no case of this suite"));
        }
        if quirk.reason.trim().is_empty() {
            problems.push(format!("{id} is skipped without a reason"));
        }
        if !(quirk.link.starts_with("https://") || quirk.link.starts_with("http://")) {
            problems.push(format!("{id} is skipped without a link"));
        }
        if quirks.iter().take(at).any(|earlier| earlier.id == id) {
            problems.push(format!("{id} is skipped twice"));
        }
    }
    problems
}

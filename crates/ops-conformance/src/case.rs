//! One behavior that is looked at.

use std::fmt;

use futures_util::future::BoxFuture;

/// Whom a case is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Requirement {
    /// Every provider of the trait.
    Must,
    /// Providers that offer all of these abilities, by the names of their accessors, such
    /// as `as_rollback`.
    IfSome(&'static [&'static str]),
}

impl Requirement {
    /// `Must` where no ability is named.
    #[must_use]
    pub const fn abilities(accessors: &'static [&'static str]) -> Self {
        if accessors.is_empty() {
            Self::Must
        } else {
            Self::IfSome(accessors)
        }
    }
}

impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Must => f.write_str("must"),
            Self::IfSome(accessors) => write!(f, "`{}`", accessors.join("`, `")),
        }
    }
}

/// How a case has ended, other than by a panic, which is a failure.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[must_use]
pub enum Outcome {
    /// The provider behaves.
    Passed,
    /// The case cannot be tried with this provider, and why.
    NotOffered(&'static str),
}

impl From<()> for Outcome {
    fn from((): ()) -> Self {
        Self::Passed
    }
}

/// One behavior that is looked at. `F` is the suite's fixture, such as
/// `dyn HostingFixture`.
pub struct Case<F: ?Sized + 'static> {
    /// The stable id, such as `H-017`.
    pub id: &'static str,
    /// The name of its test, such as `h_017_deleting_an_app_twice_is_success`.
    pub name: &'static str,
    /// Whom it is about.
    pub requirement: Requirement,
    /// Whether the fixture's provider offers the abilities that are required.
    pub offered: fn(&F) -> bool,
    /// Looks at the behavior. Panics where the provider does not show it.
    pub run: for<'a> fn(&'a F) -> BoxFuture<'a, Outcome>,
}

impl<F: ?Sized> Case<F> {
    /// The behavior in words, such as `deleting an app twice is success`.
    #[must_use]
    pub fn title(&self) -> String {
        let words = self.name.splitn(3, '_').nth(2).unwrap_or(self.name);
        words.replace('_', " ")
    }
}

impl<F: ?Sized> fmt::Debug for Case<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Case")
            .field("id", &self.id)
            .field("name", &self.name)
            .field("requirement", &self.requirement)
            .finish_non_exhaustive()
    }
}

//! Who may see details.

use std::borrow::Cow;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use http::header::AUTHORIZATION;
use http::request::Parts;
use ops_core::Secret;
use subtle::ConstantTimeEq;

use crate::private::Authorized;

mod peers;

pub(crate) use peers::Peers;
pub use peers::{Network, Peer};

/// Who may see the names, causes and numbers behind a verdict.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Visibility {
    /// Nobody.
    Never,
    /// Callers whom a bearer token, their network or a closure lets through; nobody where
    /// there is none of these.
    #[default]
    WhenAuthorized,
    /// Everybody. For listeners that only operators can reach.
    Always,
}

/// The shortest bearer token, in characters.
pub(crate) const MIN_TOKEN_CHARS: usize = 32;

type Authorizer = Box<dyn Fn(&Parts) -> bool + Send + Sync>;

#[derive(Default)]
pub(crate) struct Access {
    pub(crate) visibility: Visibility,
    pub(crate) tokens: Vec<Secret>,
    pub(crate) authorizers: Vec<Authorizer>,
    pub(crate) peers: Peers,
}

impl Access {
    /// The proof that this caller may see details, if it may.
    pub(crate) fn authorize(&self, request: &Parts) -> Option<Authorized> {
        let allowed = match self.visibility {
            Visibility::Never => false,
            Visibility::Always => true,
            Visibility::WhenAuthorized => {
                self.has_token(request)
                    || self.peers.allow(request)
                    || self.authorizers.iter().any(|f| ask(f, request))
            }
        };
        allowed.then(Authorized::caller)
    }

    /// Whether there is a way to be let through.
    pub(crate) fn is_open_to_someone(&self) -> bool {
        match self.visibility {
            Visibility::Never => false,
            Visibility::Always => true,
            Visibility::WhenAuthorized => {
                !self.tokens.is_empty()
                    || !self.authorizers.is_empty()
                    || !self.peers.allowed.is_empty()
            }
        }
    }

    pub(crate) fn problems(&self) -> Vec<String> {
        let short = self
            .tokens
            .iter()
            .any(|token| token.expose().chars().count() < MIN_TOKEN_CHARS);
        short
            .then(|| format!("the bearer token is shorter than {MIN_TOKEN_CHARS} characters"))
            .into_iter()
            .collect()
    }

    fn has_token(&self, request: &Parts) -> bool {
        let Some(value) = request.headers.get(AUTHORIZATION) else {
            return false;
        };
        let given = bearer(value.as_bytes()).map(Cow::Borrowed);
        // What a browser sends.
        #[cfg(feature = "ui")]
        let given = given.or_else(|| crate::ui::basic_password(value.as_bytes()).map(Cow::Owned));
        let Some::<Cow<'_, [u8]>>(given) = given else {
            return false;
        };
        // Every token is compared, in a time that does not depend on what is equal.
        let mut found = subtle::Choice::from(0);
        for token in &self.tokens {
            found |= token.expose().as_bytes().ct_eq(&given);
        }
        found.into()
    }
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Access")
            .field("visibility", &self.visibility)
            .finish_non_exhaustive()
    }
}

/// A closure that panics lets nobody through.
fn ask(authorizer: &Authorizer, request: &Parts) -> bool {
    catch_unwind(AssertUnwindSafe(|| authorizer(request))).unwrap_or(false)
}

fn bearer(value: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = value.split_at_checked("bearer ".len())?;
    scheme
        .eq_ignore_ascii_case(b"bearer ")
        .then(|| token.trim_ascii())
}

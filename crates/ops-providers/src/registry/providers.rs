//! The providers of one trait, by name.

use std::collections::BTreeMap;
use std::sync::Arc;

use ops_core::{Error, Result};

use super::{Fields, Known, Opener, Opening};

/// The providers of one trait.
pub(super) struct Providers<T: ?Sized> {
    trait_name: &'static str,
    by_name: BTreeMap<String, Provider<T>>,
}

enum Provider<T: ?Sized> {
    On(Arc<Opener<T>>),
    /// Behind a feature that is off.
    Off(&'static str),
}

impl<T: ?Sized> Clone for Providers<T> {
    fn clone(&self) -> Self {
        Self {
            trait_name: self.trait_name,
            by_name: self.by_name.clone(),
        }
    }
}

impl<T: ?Sized> Clone for Provider<T> {
    fn clone(&self) -> Self {
        match self {
            Self::On(opener) => Self::On(Arc::clone(opener)),
            Self::Off(feature) => Self::Off(feature),
        }
    }
}

impl<T: ?Sized> Providers<T> {
    pub(super) fn new(trait_name: &'static str) -> Self {
        Self {
            trait_name,
            by_name: BTreeMap::new(),
        }
    }

    pub(super) fn add(
        &mut self,
        name: impl Into<String>,
        opener: impl for<'a> Fn(Fields<'a>) -> Opening<'a, T> + Send + Sync + 'static,
    ) {
        self.by_name
            .insert(name.into(), Provider::On(Arc::new(opener)));
    }

    /// Remembers the feature of a provider, until it is added.
    pub(super) fn lacks(&mut self, name: &'static str, feature: &'static str) {
        self.by_name.insert(name.to_owned(), Provider::Off(feature));
    }

    pub(super) fn find(&self, name: &str) -> Result<&Opener<T>> {
        let problem = match self.by_name.get(name) {
            Some(Provider::On(opener)) => return Ok(&**opener),
            Some(Provider::Off(feature)) => format!(
                "the {} {name} is not compiled in: turn on the feature {feature} of ops-providers",
                self.trait_name
            ),
            None => {
                let known: Vec<&str> = self.by_name.keys().map(String::as_str).collect();
                format!(
                    "no {} is called {name:?}; there are {}",
                    self.trait_name,
                    known.join(", ")
                )
            }
        };
        Err(Error::invalid_config([problem]))
    }

    pub(super) fn known(&self) -> impl Iterator<Item = Known> {
        self.by_name.iter().map(|(name, provider)| Known {
            name: name.clone(),
            trait_name: self.trait_name,
            missing_feature: match provider {
                Provider::On(_) => None,
                Provider::Off(feature) => Some(feature),
            },
        })
    }
}

//! Providers by name: what a configuration says becomes an `Arc<dyn Trait>`.
//!
//! ```
//! # #[cfg(feature = "local")]
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use ops_providers::registry::{Registry, Settings};
//!
//! let folder = std::env::temp_dir();
//! let settings: Settings = serde_json::from_value(serde_json::json!({ "path": folder }))?;
//! let store = Registry::from_env().open_object_store("local", &settings).await?;
//! assert_eq!(store.provider().as_str(), "local");
//! # Ok(())
//! # }
//! # #[cfg(not(feature = "local"))]
//! # fn main() {}
//! ```
//!
//! Settings come from anything that serde reads. They hold no secret, but [where it is
//! found](ops_core::SecretRef). The README lists the settings of each provider; one that is
//! not listed is refused, and all problems are told at once.
//!
//! An application adds providers of its own by [`Registry::with_database`] and its like.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use ops_core::{
    Cdn, Database, Dns, Error, Hosting, Monitor, Notifier, ObjectStore, Pipeline, Result,
    SecretStore,
};

mod fields;
mod providers;
mod secrets;
mod settings;
mod value;
mod vendors;

pub use fields::Fields;
use providers::Providers;
pub use secrets::Secrets;
pub use settings::Settings;
pub use value::Value;

/// A provider that is being opened.
pub type Opening<'a, T> = Pin<Box<dyn Future<Output = Result<Arc<T>>> + Send + 'a>>;

/// Opens a provider by its settings.
pub type Opener<T> = dyn for<'a> Fn(Fields<'a>) -> Opening<'a, T> + Send + Sync;

/// One provider that a [`Registry`] knows by name.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Known {
    /// The name.
    pub name: String,
    /// The trait that it is opened as, such as `Database`.
    pub trait_name: &'static str,
    /// The feature that must be turned on first; `None` where it can be opened.
    pub missing_feature: Option<&'static str>,
}

macro_rules! registry {
    ($($trait_name:ident: $field:ident, $open:ident, $with:ident;)+) => {
        /// Providers by name, and where their secrets are found.
        #[derive(Clone)]
        pub struct Registry {
            secrets: Secrets,
            $($field: Providers<dyn $trait_name>,)+
        }

        impl Registry {
            /// All providers of this crate, with secrets that are found here.
            #[must_use]
            pub fn new(secrets: Secrets) -> Self {
                let mut registry = Self {
                    secrets,
                    $($field: Providers::new(stringify!($trait_name)),)+
                };
                vendors::register(&mut registry);
                registry
            }

            $(
                #[doc = concat!(
                    "Opens the [`", stringify!($trait_name), "`](ops_core::", stringify!($trait_name),
                    ") of this name."
                )]
                ///
                /// # Errors
                /// `InvalidConfig` with all problems: for a name that is not known, with those
                /// that are; for one whose feature is off, with the feature; for settings that
                /// are missing, unknown or wrong; for a secret that is not there. Otherwise what
                /// the provider or the store of a secret says.
                ///
                /// # Cancel safety
                /// Dropping the future opens nothing.
                pub async fn $open(
                    &self,
                    name: &str,
                    settings: &Settings,
                ) -> Result<Arc<dyn $trait_name>> {
                    let opener = self.$field.find(name)?;
                    let opened = opener(Fields::new(settings, &self.secrets)).await;
                    opened.map_err(|err| named(err, name))
                }

                #[doc = concat!(
                    "Adds a [`", stringify!($trait_name), "`](ops_core::", stringify!($trait_name),
                    ") of the application, or replaces the one of this name."
                )]
                #[must_use]
                pub fn $with(
                    mut self,
                    name: impl Into<String>,
                    opener: impl for<'a> Fn(Fields<'a>) -> Opening<'a, dyn $trait_name>
                        + Send + Sync + 'static,
                ) -> Self {
                    self.$field.add(name, opener);
                    self
                }
            )+

            /// What is known, by trait and name; also what would be known with another feature.
            pub fn known(&self) -> impl Iterator<Item = Known> {
                std::iter::empty()$(.chain(self.$field.known()))+
            }
        }
    };
}

registry! {
    Hosting: hosting, open_hosting, with_hosting;
    Database: database, open_database, with_database;
    ObjectStore: object_store, open_object_store, with_object_store;
    Monitor: monitor, open_monitor, with_monitor;
    SecretStore: secret_store, open_secret_store, with_secret_store;
    Notifier: notifier, open_notifier, with_notifier;
    Pipeline: pipeline, open_pipeline, with_pipeline;
    Dns: dns, open_dns, with_dns;
    Cdn: cdn, open_cdn, with_cdn;
}

impl Registry {
    /// All providers of this crate, with secrets from the variables of the environment and
    /// from files.
    #[must_use]
    pub fn from_env() -> Self {
        Self::new(Secrets::from_env())
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registry")
            .field("secrets", &self.secrets)
            .field("known", &self.known().collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

/// An error that says which entry of a configuration it is about.
fn named(err: Error, name: &str) -> Error {
    if err.provider().is_some() {
        return err;
    }
    err.with_provider(name.to_owned())
}

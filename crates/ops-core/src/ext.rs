//! What every provider can do because its trait can.
//!
//! The traits stay minimal; what can be written in terms of them is here, once, for every
//! provider and for `dyn`. Nothing here can be implemented by others.
//!
//! This crate knows no runtime, so that what must wait takes the sleep as an argument:
//! `tokio::time::sleep` fits as it is.

mod cdn;
mod database;
mod dns;
mod gate;
mod hosting;
mod monitor;
mod notifier;
mod object_store;
mod offload;
mod pipeline;
mod secret_store;
mod transfer;
mod wait;

pub use cdn::CdnExt;
pub use database::DatabaseExt;
pub use dns::DnsExt;
pub use gate::{Gate, GateOutcome, GateReport};
pub use hosting::{DeployOutcome, HostingExt};
pub use monitor::MonitorExt;
pub use notifier::NotifierExt;
pub use object_store::ObjectStoreExt;
pub use offload::{OffloadOptions, OffloadReport};
pub use pipeline::{PipelineExt, RunOutcome};
pub use secret_store::SecretStoreExt;
pub use transfer::{SyncOptions, SyncReport};
pub use wait::WaitOptions;

/// Writes the `require_*` methods: the ability, or `Unsupported` with the provider's name.
macro_rules! require {
    ($($method:ident: $accessor:ident -> $ability:ident = $name:literal;)+) => {$(
        #[doc = concat!("The ability [`", stringify!($ability), "`].")]
        ///
        /// # Errors
        /// `Unsupported` where the provider does not have it.
        fn $method(&self) -> $crate::Result<&dyn $ability> {
            self.$accessor()
                .ok_or_else(|| $crate::Error::unsupported($name).with_provider(self.provider()))
        }
    )+};
}

use require;

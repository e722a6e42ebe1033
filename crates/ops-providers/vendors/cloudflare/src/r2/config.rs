//! How a bucket is opened.

use ops_core::{Error, Result};
use ops_s3::{S3Credentials, S3Store, S3StoreBuilder, StoreProfile};

use super::{Bucket, R2};
use crate::config::variable;
use crate::{Cloudflare, PROVIDER};

/// Where a bucket was made to stay. It is chosen when the bucket is made and must be named
/// by every request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Jurisdiction {
    /// The European Union.
    Eu,
    /// The United States.
    Us,
    /// `FedRAMP`.
    FedRamp,
    /// `FedRAMP` High.
    FedRampHigh,
}

impl Jurisdiction {
    /// The vendor's name of it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Eu => "eu",
            Self::Us => "us",
            Self::FedRamp => "fedramp",
            Self::FedRampHigh => "fedramp-high",
        }
    }
}

/// Builds [`R2`].
#[derive(Clone, Debug)]
#[must_use]
pub struct R2Builder {
    account: String,
    bucket: String,
    store: S3StoreBuilder,
    jurisdiction: Option<Jurisdiction>,
    endpoint: Option<String>,
    profile: Option<StoreProfile>,
    admin: Option<Cloudflare>,
}

impl R2 {
    /// Begins with the id of an account, the name of a bucket, and the S3 credentials of an R2
    /// API token.
    pub fn builder(
        account: impl Into<String>,
        bucket: impl Into<String>,
        credentials: S3Credentials,
    ) -> R2Builder {
        let bucket = bucket.into();
        let store = S3Store::builder(bucket.as_str())
            .provider(PROVIDER)
            .region("auto")
            .credentials(credentials);
        R2Builder {
            account: account.into(),
            bucket,
            store,
            jurisdiction: None,
            endpoint: None,
            profile: Some(StoreProfile::r2()),
            admin: None,
        }
    }

    /// Begins from the environment.
    ///
    /// | variable | what |
    /// | --- | --- |
    /// | `CLOUDFLARE_ACCOUNT_ID` | the account; required |
    /// | `R2_BUCKET` | the bucket; required |
    /// | `R2_ACCESS_KEY_ID` | the id of the access key; required |
    /// | `R2_SECRET_ACCESS_KEY` | the access key; required |
    ///
    /// # Errors
    /// `InvalidConfig` where a variable is missing.
    pub fn from_env() -> Result<R2Builder> {
        let credentials = S3Credentials::new(
            variable("R2_ACCESS_KEY_ID")?,
            variable("R2_SECRET_ACCESS_KEY")?,
        );
        let (account, bucket) = (variable("CLOUDFLARE_ACCOUNT_ID")?, variable("R2_BUCKET")?);
        Ok(Self::builder(account, bucket, credentials))
    }
}

impl R2Builder {
    /// Sets the jurisdiction that the bucket is in. Defaults to none.
    pub fn jurisdiction(mut self, jurisdiction: Jurisdiction) -> Self {
        self.jurisdiction = Some(jurisdiction);
        self
    }

    /// Administers the bucket through this, whose token needs the permission `Workers R2
    /// Storage Write`. Defaults to no administration: neither
    /// [`Lifecycle`](ops_core::object_store::Lifecycle) nor
    /// [`BucketAdmin`](ops_core::object_store::BucketAdmin).
    pub fn admin(mut self, cloudflare: Cloudflare) -> Self {
        self.admin = Some(cloudflare);
        self
    }

    /// Sets where S3 is. Defaults to `https://<account>.r2.cloudflarestorage.com`, with the
    /// jurisdiction behind the account.
    pub fn endpoint(mut self, url: impl Into<String>) -> Self {
        self.endpoint = Some(url.into());
        self
    }

    /// Finds out what the store can do by trying when it is opened. Defaults to what is known
    /// of R2, with which opening sends nothing.
    pub fn probed(mut self) -> Self {
        self.profile = None;
        self
    }

    /// Sets what [`ops_s3`] leaves to be set: a prefix, sizes of parts, budgets, times.
    ///
    /// ```no_run
    /// # fn build(builder: ops_cloudflare::R2Builder) -> ops_cloudflare::R2Builder {
    /// builder.store(|s3| s3.prefix("backups/").part_bytes(16 * 1024 * 1024))
    /// # }
    /// ```
    pub fn store(mut self, set: impl FnOnce(S3StoreBuilder) -> S3StoreBuilder) -> Self {
        self.store = set(self.store);
        self
    }

    /// Opens the bucket.
    ///
    /// # Errors
    /// `InvalidConfig` with all problems; where it is [`probed`](Self::probed), as
    /// [`S3StoreBuilder::open`].
    ///
    /// # Cancel safety
    /// As [`S3StoreBuilder::open`].
    pub async fn open(self) -> Result<R2> {
        let Self {
            account,
            bucket,
            mut store,
            jurisdiction,
            endpoint,
            profile,
            admin,
        } = self;
        let fits = |c: char| c.is_ascii_alphanumeric() || c == '-';
        if account.is_empty() || !account.chars().all(fits) {
            // It becomes a part of the name of a host.
            let problem = "the account is not made of letters, digits and -";
            return Err(Error::invalid_config([problem]).with_provider(PROVIDER));
        }
        store = store.endpoint(endpoint.unwrap_or_else(|| host(&account, jurisdiction)));
        if let Some(profile) = profile {
            store = store.profile(profile);
        }
        Ok(R2 {
            store: store.open().await?,
            bucket: Bucket {
                account,
                name: bucket,
                jurisdiction,
            },
            admin,
        })
    }
}

fn host(account: &str, jurisdiction: Option<Jurisdiction>) -> String {
    match jurisdiction {
        Some(it) => format!("https://{account}.{}.r2.cloudflarestorage.com", it.as_str()),
        None => format!("https://{account}.r2.cloudflarestorage.com"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_jurisdiction_is_part_of_the_host() {
        assert_eq!(host("a1", None), "https://a1.r2.cloudflarestorage.com");
        assert_eq!(
            host("a1", Some(Jurisdiction::Eu)),
            "https://a1.eu.r2.cloudflarestorage.com"
        );
    }
}

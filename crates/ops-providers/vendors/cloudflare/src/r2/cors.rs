//! Which pages of browsers may use a bucket.

use std::time::Duration;

use ops_core::Result;

use super::{R2, api, model};

/// A rule by which pages of other origins may use a bucket.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CorsRule {
    /// The rule's name, where it has one.
    pub id: Option<String>,
    /// The origins, such as `https://shop.example`, or `*`.
    pub origins: Vec<String>,
    /// The methods: `GET`, `PUT`, `POST`, `DELETE` and `HEAD`.
    pub methods: Vec<String>,
    /// The headers that a request may have. Defaults to none.
    pub headers: Vec<String>,
    /// The headers of an answer that a page may see. Defaults to none.
    pub expose_headers: Vec<String>,
    /// How long browsers may remember the rule. Defaults to the vendor's own choice.
    pub max_age: Option<Duration>,
}

impl CorsRule {
    /// Pages of these origins may use these methods.
    pub fn new<O: Into<String>, M: Into<String>>(
        origins: impl IntoIterator<Item = O>,
        methods: impl IntoIterator<Item = M>,
    ) -> Self {
        Self {
            origins: origins.into_iter().map(Into::into).collect(),
            methods: methods.into_iter().map(Into::into).collect(),
            ..Self::default()
        }
    }
}

impl R2 {
    /// The CORS rules of the bucket.
    ///
    /// # Errors
    /// `InvalidConfig` without [`admin`](super::R2Builder::admin); `PermissionDenied`.
    ///
    /// # Cancel safety
    /// Reading changes nothing.
    pub async fn cors_rules(&self) -> Result<Vec<CorsRule>> {
        let found = self.admin()?.api.execute(api::get_cors(&self.bucket)).await;
        match found {
            Ok(found) => Ok(found.result.rules.into_iter().map(CorsRule::from).collect()),
            // A bucket without rules is told by the same status as one that is not there.
            Err(err) if err.code() == Some("10059") => Ok(Vec::new()),
            Err(err) => Err(err),
        }
    }

    /// Replaces all CORS rules of the bucket.
    ///
    /// # Errors
    /// `InvalidInput` for what is no origin or method; `InvalidConfig` without
    /// [`admin`](super::R2Builder::admin); `NotFound` for the bucket; `PermissionDenied`.
    ///
    /// # Cancel safety
    /// Dropping the future may leave the new rules in force.
    pub async fn set_cors_rules(&self, rules: Vec<CorsRule>) -> Result<()> {
        let api = &self.admin()?.api;
        if rules.is_empty() {
            return api.execute(api::delete_cors(&self.bucket)).await.map(drop);
        }
        let rules = rules.into_iter().map(model::CorsRule::from).collect();
        api.execute(api::put_cors(&self.bucket, rules))
            .await
            .map(drop)
    }
}

impl From<model::CorsRule> for CorsRule {
    fn from(rule: model::CorsRule) -> Self {
        let max_age = rule.max_age_seconds;
        Self {
            id: rule.id,
            origins: rule.allowed.origins,
            methods: rule.allowed.methods,
            headers: rule.allowed.headers,
            expose_headers: rule.expose_headers,
            max_age: max_age.and_then(|age| Duration::try_from_secs_f64(age).ok()),
        }
    }
}

impl From<CorsRule> for model::CorsRule {
    fn from(rule: CorsRule) -> Self {
        Self {
            id: rule.id,
            allowed: model::Allowed {
                methods: rule.methods,
                origins: rule.origins,
                headers: rule.headers,
            },
            expose_headers: rule.expose_headers,
            max_age_seconds: rule.max_age.map(|age| age.as_secs_f64()),
        }
    }
}

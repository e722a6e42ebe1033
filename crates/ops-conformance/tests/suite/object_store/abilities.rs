//! Signed URLs, rules and the bucket, with their faults.

use std::time::Duration;

use ops_conformance::async_trait;
use ops_core::object_store::{
    BucketAdmin, Lifecycle, LifecycleRule, ObjectKey, Presign, PresignedUrl,
};
use ops_core::{Error, ErrorKind, Result, Timestamp};

use super::sabotage::{Sabotaged, cut};

const WEEK: Duration = Duration::from_secs(7 * 24 * 60 * 60);

#[async_trait]
impl Presign for Sabotaged {
    async fn presign_get(&self, key: &ObjectKey, valid_for: Duration) -> Result<PresignedUrl> {
        let key = if self.is("O-115") {
            cut(key)?
        } else {
            key.clone()
        };
        let mut signed = self.memory().presign_get(&key, valid_for).await?;
        if self.is("O-114") {
            signed.expires_at = Timestamp::UNIX_EPOCH;
        }
        Ok(signed)
    }

    async fn presign_put(&self, key: &ObjectKey, valid_for: Duration) -> Result<PresignedUrl> {
        let mut key = key.clone();
        if self.is("O-111") {
            key = ObjectKey::new("elsewhere")?;
        }
        let valid_for = if self.is("O-116") {
            valid_for.min(WEEK)
        } else {
            valid_for
        };
        self.memory().presign_put(&key, valid_for).await
    }
}

#[async_trait]
impl Lifecycle for Sabotaged {
    async fn lifecycle_rules(&self) -> Result<Vec<LifecycleRule>> {
        if self.is("O-123") {
            return Ok(self.notes().rules.clone());
        }
        let mut rules = self.memory().lifecycle_rules().await?;
        if self.is("O-120") {
            for rule in &mut rules {
                rule.prefix.clear();
            }
        }
        Ok(rules)
    }

    async fn set_lifecycle_rules(&self, rules: Vec<LifecycleRule>) -> Result<()> {
        let mut sent = rules.clone();
        if self.is("O-121") {
            let mut earlier = self.memory().lifecycle_rules().await?;
            earlier.retain(|old| rules.iter().all(|new| new.id != old.id));
            sent.extend(earlier);
        }
        if self.is("O-122") {
            sent.dedup_by(|a, b| a.id == b.id);
        }
        self.memory().set_lifecycle_rules(sent).await?;
        if self.is("O-123") {
            // Kept, and never carried out.
            self.notes().rules = rules;
            self.memory().set_lifecycle_rules(Vec::new()).await?;
        }
        Ok(())
    }
}

#[async_trait]
impl BucketAdmin for Sabotaged {
    async fn create_bucket(&self) -> Result<()> {
        if self.is("O-130") && !self.notes().has_no_bucket {
            return Err(Error::new(ErrorKind::AlreadyExists, "sabotaged"));
        }
        self.notes().has_no_bucket = false;
        self.memory().create_bucket().await
    }

    async fn delete_bucket(&self) -> Result<()> {
        if self.is("O-132") && self.notes().has_no_bucket {
            return Err(Error::not_found("the bucket"));
        }
        match self.memory().delete_bucket().await {
            Err(_) if self.is("O-131") => return Ok(()),
            deleted => deleted?,
        }
        self.notes().has_no_bucket = true;
        Ok(())
    }
}

//! Heartbeats.

use async_trait::async_trait;
use futures_util::{StreamExt, TryStreamExt, future};
use ops_core::id::HeartbeatId;
use ops_core::monitor::{Beat, Heartbeat, HeartbeatSpec, Heartbeats};
use ops_core::{DeleteOutcome, Ensured, ItemStream, Result};

use crate::error::invalid;
use crate::model::body::MonitorBody;
use crate::{UptimeRobot, api};

#[async_trait]
impl Heartbeats for UptimeRobot {
    fn list_heartbeats(&self) -> ItemStream<Heartbeat> {
        let listed = self.inner.api.pages(api::monitors(None));
        let beating = listed.try_filter(|monitor| future::ready(monitor.is_heartbeat()));
        let heartbeat_url = self.inner.heartbeat_url.clone();
        beating
            .map(move |monitor| monitor?.into_heartbeat(&heartbeat_url))
            .boxed()
    }

    async fn heartbeat(&self, heartbeat: &HeartbeatId) -> Result<Heartbeat> {
        let id = super::known(heartbeat.as_str())?;
        let seen = self.inner.api.execute(api::monitor(id)).await?;
        if !seen.is_heartbeat() {
            return Err(super::missing(heartbeat.as_str()));
        }
        seen.into_heartbeat(&self.inner.heartbeat_url)
    }

    /// A period of 30 s to 31 days, and a grace of a day at most, in whole seconds.
    ///
    /// UptimeRobot takes no idempotency keys and its listing lags behind: a heartbeat that
    /// was made with an unknown outcome may be made twice where it is ensured again at once.
    async fn ensure_heartbeat(&self, spec: HeartbeatSpec) -> Result<Ensured<Heartbeat>> {
        let wanted = MonitorBody::heartbeat(&spec)?;
        let seen = self.ours(Some(&spec.key), true).await?.remove(&spec.key);
        let ensured = self.settle(&wanted, seen).await?;
        let heartbeat = ensured.resource.into_heartbeat(&self.inner.heartbeat_url)?;
        Ok(Ensured::new(heartbeat.with_key(spec.key), ensured.outcome))
    }

    /// UptimeRobot knows successes alone, and takes no message: other beats are dropped.
    async fn beat(&self, heartbeat: &Heartbeat, beat: Beat) -> Result<()> {
        if beat.kind.is_success() != Some(true) {
            return Ok(());
        }
        let url = match &heartbeat.url {
            Some(url) => Some(url.clone()),
            None => self.heartbeat(&heartbeat.id).await?.url,
        };
        let url = url.ok_or_else(|| super::missing(heartbeat.id.as_str()))?;
        let key = self.beat_key(url.expose())?;
        let call = api::beat(key, heartbeat.id.as_str());
        self.inner.beats.execute(call).await
    }

    async fn delete_heartbeat(&self, heartbeat: &HeartbeatId) -> Result<DeleteOutcome> {
        self.delete(heartbeat.as_str()).await
    }
}

impl UptimeRobot {
    /// The last part of an address of UptimeRobot. Nothing is sent to any other.
    fn beat_key<'a>(&self, url: &'a str) -> Result<&'a str> {
        let key = url.strip_prefix(self.inner.heartbeat_url.as_str());
        let key = key.and_then(|key| key.strip_prefix('/'));
        let is_key = |key: &&str| {
            let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
            !key.is_empty() && key.bytes().all(is_plain)
        };
        key.filter(is_key)
            .ok_or_else(|| invalid("the heartbeat's address is not one of UptimeRobot"))
    }
}

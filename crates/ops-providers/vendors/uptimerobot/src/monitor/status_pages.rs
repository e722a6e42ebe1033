//! Status pages.

use async_trait::async_trait;
use futures_util::StreamExt;
use ops_core::id::StatusPageId;
use ops_core::monitor::{StatusPage, StatusPages, StatusUpdate};
use ops_core::{ItemStream, Result};

use crate::error::unsupported;
use crate::model::page::AnnouncementBody;
use crate::{UptimeRobot, api};

#[async_trait]
impl StatusPages for UptimeRobot {
    fn list_status_pages(&self) -> ItemStream<StatusPage> {
        let listed = self.inner.api.pages(api::pages());
        listed.map(|page| page?.try_into()).boxed()
    }

    async fn status_page(&self, page: &StatusPageId) -> Result<StatusPage> {
        let id = super::known(page.as_str())?;
        self.inner.api.execute(api::page(id)).await?.try_into()
    }

    /// An announcement that is published at once. What the page says of the service follows
    /// from its monitors: a status is refused.
    async fn post_status_update(&self, page: &StatusPageId, update: StatusUpdate) -> Result<()> {
        let id = super::known(page.as_str())?;
        if update.status.is_some() {
            return Err(unsupported("a status of a page"));
        }
        let body = AnnouncementBody::new(&update, self.inner.clock.now())?;
        let call = api::create_announcement(id, &body);
        self.inner.api.execute(call).await
    }
}

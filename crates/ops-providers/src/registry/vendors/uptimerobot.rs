//! `UptimeRobot`.

use std::sync::Arc;

use ops_core::{Monitor, Result};
use ops_uptimerobot::{UptimeRobot, UptimeRobotBuilder};

use crate::registry::Fields;

pub(super) async fn monitor(mut fields: Fields<'_>) -> Result<Arc<dyn Monitor>> {
    let builder = UptimeRobot::builder(fields.secret("api_key", "missing").await);
    let builder = fields.set(builder, "min_interval", UptimeRobotBuilder::min_interval);
    let offset = UptimeRobotBuilder::utc_offset_minutes;
    let builder = fields.set(builder, "utc_offset_minutes", offset);
    let builder = fields.set(builder, "base_url", |b, url: String| b.base_url(url));
    let builder = fields.set(builder, "heartbeat_url", |b, url: String| {
        b.heartbeat_url(url)
    });
    let builder = fields.set(builder, "allow_http", UptimeRobotBuilder::allow_http);
    Ok(Arc::new(fields.finish(builder.build())?))
}

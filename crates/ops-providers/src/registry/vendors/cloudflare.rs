//! Cloudflare: DNS, the cache, and R2.

use std::sync::Arc;

use ops_cloudflare::{Cloudflare, CloudflareBuilder};
use ops_core::dns::DnsName;
use ops_core::id::ZoneId;
use ops_core::{Cdn, Dns, Result};

use crate::registry::Fields;

#[cfg(feature = "cloudflare-r2")]
mod r2;

#[cfg(feature = "cloudflare-r2")]
pub(super) use r2::object_store;

async fn account(fields: &mut Fields<'_>) -> CloudflareBuilder {
    let builder = Cloudflare::builder(fields.secret("api_token", "missing").await);
    let builder = fields.set(
        builder,
        "attempt_timeout",
        CloudflareBuilder::attempt_timeout,
    );
    let builder = fields.set(builder, "base_url", |b, url: String| b.base_url(url));
    fields.set(builder, "allow_http", CloudflareBuilder::allow_http)
}

pub(super) async fn dns(mut fields: Fields<'_>) -> Result<Arc<dyn Dns>> {
    let builder = account(&mut fields).await;
    Ok(Arc::new(fields.finish(builder.build())?))
}

pub(super) async fn cdn(mut fields: Fields<'_>) -> Result<Arc<dyn Cdn>> {
    let builder = account(&mut fields).await;
    let zone = ZoneId::new(fields.required("zone_id", "missing".to_owned()));
    let name = DnsName::new(fields.required("zone", "missing.example".to_owned()));
    for (key, problem) in [
        ("zone_id", zone.as_ref().err()),
        ("zone", name.as_ref().err()),
    ] {
        if let Some(problem) = problem {
            fields.problem(format!("{key}: {}", problem.message()));
        }
    }
    let cloudflare = fields.finish(builder.build())?;
    Ok(Arc::new(cloudflare.cdn(zone?, name?)))
}

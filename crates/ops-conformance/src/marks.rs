//! What every `DeployMarkers` must do, whichever trait offers it.

#![expect(clippy::unwrap_used, reason = "what a case finds out fails a test")]

use async_trait::async_trait;
use ops_core::Timestamp;
use ops_core::monitor::{DeployMarker, DeployMarkers};

use crate::fixture::Fixture;
use crate::notifier::NotifierFixture;
use crate::pipeline::PipelineFixture;
use crate::support::{done, eventually};

/// The versions that were marked, where they are seen.
#[async_trait]
pub(crate) trait Marked: Send + Sync {
    async fn marked(&self) -> Option<Vec<String>>;
    fn fixture(&self) -> &dyn Fixture;
}

#[async_trait]
impl Marked for dyn NotifierFixture {
    async fn marked(&self) -> Option<Vec<String>> {
        self.received_deploys().await
    }

    fn fixture(&self) -> &dyn Fixture {
        self
    }
}

#[async_trait]
impl Marked for dyn PipelineFixture {
    async fn marked(&self) -> Option<Vec<String>> {
        self.received_deploys().await
    }

    fn fixture(&self) -> &dyn Fixture {
        self
    }
}

/// A version and nothing else.
pub(crate) fn plain(at: Timestamp) -> DeployMarker {
    DeployMarker::new("1.4.2", at)
}

/// A deployment of which all is known.
pub(crate) fn full(at: Timestamp) -> DeployMarker {
    DeployMarker::new("1.4.3", at)
        .with_environment("production")
        .with_commit("0123456789abcdef0123456789abcdef01234567")
        .with_url("https://ci.example/runs/7?a=b&c=d")
        .with_actor("Ada & Bob <ada@shop.example>")
}

/// Versions that do harm where they become part of something else.
pub(crate) fn awkward(at: Timestamp) -> [DeployMarker; 2] {
    ["v1.4.2-rc.1+build/7 é", "<1.4> & \"5\""].map(|version| DeployMarker::new(version, at))
}

/// Marks a deployment, and waits until that is seen, where it can be.
pub(crate) async fn arrives(
    fixture: &(impl Marked + ?Sized),
    markers: &dyn DeployMarkers,
    marker: DeployMarker,
) {
    let version = marker.version.clone();
    done(markers.mark_deploy(marker).await);
    if fixture.marked().await.is_some() {
        let looks = fixture.fixture();
        eventually!(looks, format!("{version:?} is marked"), {
            let seen = fixture.marked().await.unwrap();
            seen.contains(&version).then_some(())
        });
    }
}

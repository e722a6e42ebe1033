//! The wrapper that does one thing wrong.

use std::fmt;

use ops_conformance::async_trait;
use ops_core::cdn::{
    Cdn, CdnLimits, Purge, PurgeHosts, PurgeRequest, PurgeScope, PurgeState, PurgeStatus, PurgeTags,
};
use ops_core::id::{ProviderId, PurgeId};
use ops_core::memory::MemoryCdn;
use ops_core::{Error, ErrorKind, Result};

use crate::saboteur::Saboteur;

mod abilities;
mod twist;

pub(super) const CREDENTIAL: &str = "canary-cdn-7f3a9d61c0";

pub(super) type Sabotaged = Saboteur<MemoryCdn, Notes>;

/// What a fault needs to remember.
#[derive(Default)]
pub(super) struct Notes {
    asked: Option<PurgeScope>,
    seen_done: Vec<PurgeId>,
    purges: u32,
}

impl Sabotaged {
    /// Purges and sees to it that it is done.
    async fn at_once(&self, request: PurgeRequest) -> Result<Purge> {
        let mut purge = self.memory().purge(request).await?;
        while purge.state != PurgeState::Done {
            purge = self
                .memory()
                .purge_status(purge.id.as_ref().unwrap())
                .await?;
        }
        Ok(purge)
    }

    /// What a fault makes of an error.
    fn excuse(&self, err: Error) -> Error {
        if self.is("C-002") {
            return Error::new(err.kind(), err.message().to_owned());
        }
        if self.is("C-003") {
            return err.with_source(Error::new(ErrorKind::Internal, CREDENTIAL));
        }
        err
    }

    /// An accepted purge as a fault shows it.
    async fn answered(&self, purge: Purge) -> Result<Purge> {
        if !self.is("C-071") {
            return Ok(purge);
        }
        // Done behind the caller's back, and nobody can ask.
        let id = purge.id.unwrap();
        while self.memory().purge_status(&id).await?.state != PurgeState::Done {}
        Ok(Purge::new(PurgeState::InProgress))
    }
}

impl fmt::Debug for Sabotaged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sabotaged({})", self.fault())
    }
}

#[async_trait]
impl Cdn for Sabotaged {
    fn provider(&self) -> ProviderId {
        if self.is("nameless") {
            return ProviderId::from_static("");
        }
        self.memory().provider()
    }

    fn limits(&self) -> CdnLimits {
        self.memory().limits()
    }

    async fn purge(&self, mut request: PurgeRequest) -> Result<Purge> {
        if self.is("C-036") {
            self.wait_for_permit().await?;
        }
        if self.is("C-035") {
            self.notes().asked = Some(request.scope.clone());
            tokio::task::yield_now().await;
            request.scope = self.notes().asked.clone().unwrap();
        }
        self.notes().purges += 1;
        if self.forgets(&request.scope) {
            request.idempotency_key = None;
        }
        let purge = self.twisted(request).await;
        self.answered(purge.map_err(|err| self.excuse(err))?).await
    }

    fn as_purge_tags(&self) -> Option<&dyn PurgeTags> {
        (!self.is_bare() && !self.is("C-001")).then_some(self as &dyn PurgeTags)
    }

    fn as_purge_hosts(&self) -> Option<&dyn PurgeHosts> {
        (!self.is_bare()).then_some(self as &dyn PurgeHosts)
    }

    fn as_purge_status(&self) -> Option<&dyn PurgeStatus> {
        (!self.is_bare()).then_some(self as &dyn PurgeStatus)
    }
}

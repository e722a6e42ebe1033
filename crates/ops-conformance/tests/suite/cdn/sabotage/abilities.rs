//! Tags, hosts, and how far a purge has come.

use ops_conformance::async_trait;
use ops_core::cdn::{
    Cdn, Purge, PurgeHosts, PurgeRequest, PurgeScope, PurgeState, PurgeStatus, PurgeTags,
};
use ops_core::id::PurgeId;
use ops_core::{ErrorKind, Result};

use super::Sabotaged;

#[async_trait]
impl PurgeTags for Sabotaged {
    async fn purge_tags(&self, mut tags: Vec<String>) -> Result<Purge> {
        let bad = |tag: &String| tag.contains(' ');
        if (self.is("C-050") && self.memory().cached().len() == 1 && tags == ["assets"])
            || (self.is("C-053") && tags.iter().any(bad))
        {
            return Ok(Purge::new(PurgeState::Done));
        }
        if self.is("C-051") {
            let longer: Vec<_> = tags.iter().map(|tag| format!("{tag}-2")).collect();
            tags.extend(longer);
        }
        if self.is("C-052") && tags.is_empty() {
            return self.memory().purge(PurgeRequest::everything()).await;
        }
        if self.is("C-054") && tags.len() > 1 {
            self.also(|_| true).await;
        }
        if self.is("C-055") {
            tags.truncate(30);
        }
        self.memory().purge_tags(tags).await
    }
}

#[async_trait]
impl PurgeHosts for Sabotaged {
    async fn purge_hosts(&self, mut hosts: Vec<String>) -> Result<Purge> {
        let is_odd = |host: &String| {
            (self.is("C-063") && host.contains('@'))
                || (self.is("C-064") && host.starts_with("work"))
        };
        if hosts.iter().any(is_odd) {
            return Ok(Purge::new(PurgeState::Done));
        }
        if self.is("C-060") && hosts.len() == 1 && self.memory().cached().len() == 2 {
            self.also(|url| !url.contains('?')).await;
            return Ok(Purge::new(PurgeState::Done));
        }
        if self.is("C-061") {
            let below = |url: &str| hosts.iter().any(|host| url.contains(&format!(".{host}/")));
            self.also(below).await;
        }
        if self.is("C-062") && hosts.is_empty() {
            return self.memory().purge(PurgeRequest::everything()).await;
        }
        if self.is("C-065") && hosts.len() == 2 {
            self.also(|_| true).await;
        }
        if self.is("C-066") {
            hosts.truncate(30);
        }
        self.memory().purge_hosts(hosts).await
    }
}

#[async_trait]
impl PurgeStatus for Sabotaged {
    async fn purge_status(&self, purge: &PurgeId) -> Result<Purge> {
        let mut asked = purge.clone();
        if self.is("C-075") {
            let known = purge.as_str().split('?').next().unwrap();
            asked = PurgeId::new(known)?;
        }
        let mut seen = match self.memory().purge_status(&asked).await {
            Err(err)
                if self.is("C-074")
                    && err.kind() == ErrorKind::NotFound
                    && purge.as_str().starts_with("ops-test") =>
            {
                return Ok(Purge::new(PurgeState::Done));
            }
            seen => seen?,
        };
        if self.is("C-070") {
            seen.state = PurgeState::InProgress;
        }
        if self.is("C-072") {
            seen.id = None;
        }
        if self.is("C-073") && seen.state == PurgeState::Done {
            let mut notes = self.notes();
            if notes.seen_done.contains(purge) {
                seen.state = PurgeState::InProgress;
            }
            notes.seen_done.push(purge.clone());
        }
        Ok(seen)
    }
}

/// The key of a purge is forgotten where the same thing is asked for again.
impl Sabotaged {
    pub(super) fn forgets(&self, scope: &PurgeScope) -> bool {
        let before = self.notes().asked.replace(scope.clone());
        self.is("C-037") && before.as_ref() == Some(scope)
    }
}

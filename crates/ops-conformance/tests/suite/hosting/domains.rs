//! Domains and logs, with their faults.

use futures_util::{StreamExt, stream};
use ops_conformance::async_trait;
use ops_core::hosting::{CertificateState, Domain, DomainState, Domains, LogLine, LogQuery, Logs};
use ops_core::id::{AppId, DomainId};
use ops_core::{DeleteOutcome, Error, ErrorKind, ItemStream, Result};

use super::sabotage::{Sabotaged, is_missing};
use crate::saboteur::wrong;

fn made_up() -> Result<Domain> {
    let id = DomainId::new("made-up")?;
    Ok(Domain::new(id, "made-up", DomainState::Pending))
}

#[async_trait]
impl Domains for Sabotaged {
    async fn add_domain(&self, app: &AppId, name: &str) -> Result<Domain> {
        if self.is("H-131") && is_missing(app) {
            return wrong();
        }
        let id = DomainId::new(name.to_ascii_lowercase());
        let is_there = match &id {
            Ok(id) => self.memory().domain(app, id).await.is_ok(),
            Err(_) => false,
        };
        let mut added = match self.memory().add_domain(app, name).await {
            Err(err) if self.is("H-122") && err.kind() == ErrorKind::AlreadyExists => made_up()?,
            Err(err) if self.is("H-123") && err.kind() == ErrorKind::InvalidInput => made_up()?,
            added => added?,
        };
        if self.is("H-120") {
            added.records.clear();
        }
        if self.is("H-121") && is_there {
            added.id = DomainId::new("another")?;
        }
        Ok(added)
    }

    async fn domain(&self, app: &AppId, domain: &DomainId) -> Result<Domain> {
        if self.is("H-129") && domain.as_str() == "nobody.example" {
            return wrong();
        }
        if let (true, Some(removed)) = (self.is("H-127"), self.notes().removed.get(domain)) {
            return Ok(removed.clone());
        }
        self.memory().domain(app, domain).await
    }

    fn list_domains(&self, app: &AppId) -> ItemStream<Domain> {
        if self.is("H-130") && is_missing(app) {
            return Box::pin(stream::empty());
        }
        let listed = self.memory().list_domains(app);
        if self.is("H-126") {
            return Box::pin(listed.chain(self.memory().list_domains(app)));
        }
        listed
    }

    async fn check_domain(&self, app: &AppId, domain: &DomainId) -> Result<Domain> {
        let mut seen = self.memory().check_domain(app, domain).await?;
        if self.is("H-124") {
            seen.state = DomainState::Pending;
        }
        if self.is("H-125") && matches!(seen.certificate, CertificateState::Valid { .. }) {
            seen.certificate = CertificateState::Failed("sabotaged".to_owned());
        }
        Ok(seen)
    }

    async fn remove_domain(&self, app: &AppId, domain: &DomainId) -> Result<DeleteOutcome> {
        if let Ok(removed) = self.memory().domain(app, domain).await {
            self.notes().removed.insert(domain.clone(), removed);
        }
        match self.memory().remove_domain(app, domain).await? {
            DeleteOutcome::AlreadyGone if self.is("H-128") => {
                Err(Error::not_found(domain.as_str()))
            }
            outcome => Ok(outcome),
        }
    }
}

impl Logs for Sabotaged {
    fn logs(&self, app: &AppId, mut query: LogQuery) -> ItemStream<LogLine> {
        if self.is("H-117") && is_missing(app) {
            return Box::pin(stream::empty());
        }
        let is_plain = query == LogQuery::default();
        match () {
            () if self.is("H-111") => query.tail = None,
            () if self.is("H-112") => query.since = None,
            () if self.is("H-113") => query.until = None,
            () if self.is("H-114") => query.source = None,
            () if self.is("H-115") => query.follow = false,
            () if self.is("H-118") => query.deployment = None,
            () => {}
        }
        let follows = query.follow;
        let lines = self.memory().logs(app, query);
        if self.is("H-110") && is_plain {
            let all = stream::once(lines.collect::<Vec<_>>());
            return Box::pin(all.flat_map(|all| stream::iter(all.into_iter().rev())));
        }
        if self.is("H-116") && follows {
            return Box::pin(lines.chain(stream::pending()));
        }
        lines
    }
}

//! What a fault makes of a purge.

use ops_core::cdn::{Cdn, Purge, PurgeRequest, PurgeScope, PurgeState};
use ops_core::memory::MemoryCdn;
use ops_core::{Error, ErrorKind, Result};

use super::Sabotaged;
use crate::saboteur::wrong;

const LIMIT: usize = 30;

/// Scheme, host, and the rest of a URL that is cached.
fn parts(url: &str) -> (&str, &str, &str) {
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    let at = rest.find('/').unwrap_or(rest.len());
    (scheme, &rest[..at], &rest[at..])
}

impl Sabotaged {
    fn cached(&self, choose: impl Fn(&str) -> bool) -> Vec<String> {
        let mut cached = self.memory().cached();
        cached.retain(|url| choose(url));
        cached
    }

    /// Purges those that are cached of these, behind the caller's back.
    pub(super) async fn also(&self, choose: impl Fn(&str) -> bool) {
        let urls = self.cached(choose);
        if !urls.is_empty() {
            self.at_once(PurgeRequest::urls(urls)).await.unwrap();
        }
    }

    /// Purges these instead of what was asked for, which must be fit.
    async fn instead(&self, request: PurgeRequest, urls: Vec<String>) -> Result<Purge> {
        let purge = MemoryCdn::new(["shop.example"]).purge(request).await?;
        if urls.is_empty() {
            return Ok(purge);
        }
        self.memory().purge(PurgeRequest::urls(urls)).await
    }

    pub(super) async fn twisted(&self, request: PurgeRequest) -> Result<Purge> {
        let key = request.idempotency_key.clone();
        let purge = match request.scope.clone() {
            PurgeScope::Everything => self.everything(request).await,
            PurgeScope::Urls(urls) => self.urls(request, urls).await,
            PurgeScope::Prefixes(prefixes) => self.prefixes(request, prefixes).await,
            _ => wrong(),
        };
        match purge {
            Err(err) if self.is("C-038") && key.is_some() && err.kind() == ErrorKind::Conflict => {
                self.memory().purge(PurgeRequest::everything()).await
            }
            purge => purge,
        }
    }

    async fn everything(&self, request: PurgeRequest) -> Result<Purge> {
        if self.is("C-010") {
            let urls = self.cached(|url| !url.contains('?'));
            if !urls.is_empty() {
                return self.instead(request, urls).await;
            }
        }
        if self.is("C-031") && self.notes().purges > 1 {
            return wrong();
        }
        self.memory().purge(request).await
    }

    async fn urls(&self, mut request: PurgeRequest, mut urls: Vec<String>) -> Result<Purge> {
        for url in urls.clone() {
            self.take_too_much(&url).await;
        }
        let is_cached = |url: &String| self.memory().cached().contains(url);
        let odd = |url: &String| parts(url).2.starts_with("/never");
        let mut sorted = urls.clone();
        sorted.sort();
        sorted.dedup();
        if (self.is("C-030") && !urls.iter().any(is_cached) && urls.iter().any(odd))
            || (self.is("C-034") && sorted.len() < urls.len())
        {
            return wrong();
        }
        if self.is("C-011") {
            urls.retain(|url| !url.ends_with('/'));
        }
        if self.is("C-032") {
            urls.truncate(LIMIT);
        }
        if self.is("C-040") && urls.is_empty() {
            return self.memory().purge(PurgeRequest::everything()).await;
        }
        if self.accepts(&urls, ["C-042", "C-044"]) {
            return Ok(Purge::new(PurgeState::Done));
        }
        request.scope = PurgeScope::Urls(urls.clone());
        let purge = self.memory().purge(request).await;
        if self.is("C-047") && purge.is_err() {
            self.also(|cached| urls.iter().any(|url| url == cached))
                .await;
        }
        purge.map_err(|err| self.repeats(err, &urls))
    }

    async fn prefixes(&self, mut request: PurgeRequest, prefixes: Vec<String>) -> Result<Purge> {
        let mut prefixes = prefixes;
        let bare = |text: &str| text.split_once("://").unwrap_or(("", text)).1.to_owned();
        if self.is("C-017") {
            let is_child = |url: &str| {
                let below = |prefix: &String| {
                    let (url, prefix) = (bare(url), bare(prefix));
                    url.strip_prefix(&prefix)
                        .is_some_and(|rest| !rest.contains('/'))
                };
                prefixes.iter().any(below)
            };
            let urls = self.cached(is_child);
            return self.instead(request, urls).await;
        }
        if self.is("C-019") {
            let begins = |url: &str| prefixes.iter().any(|prefix| url.starts_with(prefix));
            let urls = self.cached(begins);
            return self.instead(request, urls).await;
        }
        if let (true, [prefix]) = (self.is("C-018") || self.is("C-020"), &prefixes[..]) {
            let (_, host, path) = parts(prefix);
            self.also(|url| {
                let (_, its_host, its_path) = parts(url);
                if self.is("C-018") {
                    its_host == host && its_path.contains(path)
                } else {
                    its_path.starts_with(path)
                }
            })
            .await;
        }
        if self.is("C-033") {
            prefixes.truncate(LIMIT);
        }
        if self.is("C-041") && prefixes.is_empty() {
            return self.memory().purge(PurgeRequest::everything()).await;
        }
        if self.is("C-046") {
            let cut = |prefix: &String| prefix.split('?').next().unwrap().to_owned();
            prefixes = prefixes.iter().map(cut).collect();
        }
        if self.accepts(&prefixes, ["C-043", "C-045"]) {
            return Ok(Purge::new(PurgeState::Done));
        }
        request.scope = PurgeScope::Prefixes(prefixes.clone());
        let purge = self.memory().purge(request).await;
        if self.is("C-048") && purge.is_err() {
            self.also(|cached| prefixes.iter().any(|prefix| cached.starts_with(prefix)))
                .await;
        }
        purge.map_err(|err| self.repeats(err, &prefixes))
    }

    /// Whether what is no URL, or is one of another zone, is taken for one.
    fn accepts(&self, urls: &[String], [nonsense, outside]: [&str; 2]) -> bool {
        let is_odd = |url: &String| {
            (self.is(nonsense) && url.ends_with("#top"))
                || (self.is(outside) && url.contains("://work"))
        };
        urls.iter().any(is_odd)
    }

    fn repeats(&self, err: Error, urls: &[String]) -> Error {
        if self.is("C-049") {
            return Error::new(err.kind(), format!("{} is no URL", urls.join(" ")))
                .with_provider(self.memory().provider());
        }
        err
    }

    /// What a fault purges besides a URL.
    async fn take_too_much(&self, url: &str) {
        let (scheme, host, path) = parts(url);
        let version = |text: &str| text.split("?v=").next().unwrap().to_owned();
        let decoded = |text: &str| text.replace("%2F", "/");
        self.also(|cached| {
            if cached == url {
                return false;
            }
            let (its_scheme, its_host, its_path) = parts(cached);
            match self.fault() {
                "C-012" => cached
                    .strip_prefix(url)
                    .is_some_and(|rest| !rest.starts_with('?')),
                "C-013" => version(cached) == version(url),
                "C-014" => its_scheme != scheme && (its_host, its_path) == (host, path),
                "C-015" => its_host != host && (its_scheme, its_path) == (scheme, path),
                "C-016" => decoded(cached) == decoded(url),
                _ => false,
            }
        })
        .await;
    }
}

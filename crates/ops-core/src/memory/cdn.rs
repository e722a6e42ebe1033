//! A cache in memory.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;

use super::{Idempotency, PROVIDER, Sequence, error, lock, missing};
use crate::cdn::{
    Cdn, CdnLimits, Purge, PurgeHosts, PurgeRequest, PurgeScope, PurgeState, PurgeStatus, PurgeTags,
};
use crate::dns::DnsName;
use crate::error::{Error, ErrorKind, Result};
use crate::id::{ProviderId, PurgeId};

const MAX_PER_REQUEST: usize = 30;

/// A cache of some host names and all names below them, in memory, with every ability.
///
/// Clones are the same cache. A purge is done when it is answered; on
/// [`slow`](Self::slow) caches it is done when [`purge_status`](PurgeStatus::purge_status)
/// looks at it for the second time.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// use ops_core::cdn::{Cdn, PurgeRequest};
/// use ops_core::memory::MemoryCdn;
///
/// let cdn = MemoryCdn::new(["shop.example"]);
/// cdn.cache("https://shop.example/app.js?v=1", &[])?;
/// cdn.purge(PurgeRequest::everything()).await?;
/// assert!(cdn.cached().is_empty());
/// # Ok::<(), ops_core::Error>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct MemoryCdn {
    hosts: Arc<[String]>,
    slow: bool,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    cached: BTreeMap<Url, BTreeSet<String>>,
    /// What is purged when it is looked at so many times more.
    pending: HashMap<PurgeId, (u32, Vec<Url>)>,
    purged: Idempotency,
    requests: u64,
    sequence: Sequence,
}

/// A URL as the cache knows it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Url {
    scheme: String,
    host: String,
    /// With the query.
    path: String,
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { scheme, host, path } = self;
        write!(f, "{scheme}://{host}{path}")
    }
}

impl MemoryCdn {
    /// A cache of these host names, with nothing cached.
    pub fn new<H: Into<String>>(hosts: impl IntoIterator<Item = H>) -> Self {
        Self {
            hosts: hosts.into_iter().map(Into::into).collect(),
            slow: false,
            state: Arc::default(),
        }
    }

    /// The same cache, whose purges take time.
    #[must_use]
    pub fn slow(mut self) -> Self {
        self.slow = true;
        self
    }

    /// Caches a URL that the origin has marked with tags.
    ///
    /// # Errors
    /// `InvalidInput` for a URL outside the cache's host names.
    pub fn cache(&self, url: &str, tags: &[&str]) -> Result<()> {
        let url = self.url("memory.cache", url)?;
        let tags = tags.iter().map(|tag| (*tag).to_owned()).collect();
        lock(&self.state).cached.insert(url, tags);
        Ok(())
    }

    /// The URLs that are cached.
    #[must_use]
    pub fn cached(&self) -> Vec<String> {
        let state = lock(&self.state);
        state.cached.keys().map(ToString::to_string).collect()
    }

    /// How many requests a vendor would have been sent for the purges so far.
    #[must_use]
    pub fn requests(&self) -> u64 {
        lock(&self.state).requests
    }

    fn owns(&self, host: &str) -> bool {
        let below = |zone: &String| {
            let before = host.strip_suffix(zone.as_str());
            before.is_some_and(|before| before.is_empty() || before.ends_with('.'))
        };
        self.hosts.iter().any(below)
    }

    fn host(&self, operation: &'static str, host: &str) -> Result<String> {
        let name = DnsName::new(host).map(String::from);
        match name {
            Ok(name) if self.owns(&name) => Ok(name),
            _ => Err(refused(operation, "not a host name of this cache")),
        }
    }

    fn url(&self, operation: &'static str, url: &str) -> Result<Url> {
        let (scheme, rest) = url
            .split_once("://")
            .ok_or_else(|| refused(operation, "not an absolute URL"))?;
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        let scheme = scheme.to_ascii_lowercase();
        let fits = matches!(scheme.as_str(), "http" | "https")
            && !authority.contains('@')
            && !path.contains(|c: char| c == '#' || c.is_whitespace() || c.is_control());
        if !fits {
            return Err(refused(operation, "not a URL that can be cached"));
        }
        let path = if path.starts_with('/') {
            path.to_owned()
        } else {
            format!("/{path}")
        };
        Ok(Url {
            scheme,
            host: self.host(operation, authority)?,
            path,
        })
    }

    /// Reads what a scope names; of nothing it is an error.
    fn read<T>(
        operation: &'static str,
        texts: &[String],
        read: impl Fn(&str) -> Result<T>,
    ) -> Result<Vec<T>> {
        if texts.is_empty() {
            return Err(refused(operation, "nothing is named"));
        }
        texts.iter().map(|text| read(text)).collect()
    }

    /// Purges what `names` chooses, which takes one request per [`MAX_PER_REQUEST`] names.
    fn run(
        &self,
        state: &mut State,
        names: usize,
        chosen: impl Fn(&Url, &BTreeSet<String>) -> bool,
    ) -> Result<Purge> {
        state.requests += names.div_ceil(MAX_PER_REQUEST) as u64;
        let cached = state.cached.iter();
        let urls: Vec<_> = cached
            .filter(|(url, tags)| chosen(url, tags))
            .map(|(url, _)| url.clone())
            .collect();
        let id = PurgeId::new(format!("purge-{}", state.sequence.next()))?;
        let looks = if self.slow { 2 } else { 0 };
        state.pending.insert(id.clone(), (looks, urls));
        state.look(&id)
    }
}

impl State {
    fn look(&mut self, id: &PurgeId) -> Result<Purge> {
        let found = self.pending.get_mut(id);
        let (looks, urls) = found.ok_or_else(|| missing("cdn.purge_status", id))?;
        if *looks > 0 {
            *looks -= 1;
            return Ok(Purge::new(PurgeState::InProgress).with_id(id.clone()));
        }
        for url in urls.drain(..) {
            self.cached.remove(&url);
        }
        Ok(Purge::new(PurgeState::Done).with_id(id.clone()))
    }
}

#[cold]
fn refused(operation: &'static str, problem: &str) -> Error {
    error(ErrorKind::InvalidInput, operation, problem)
}

impl fmt::Debug for MemoryCdn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryCdn")
            .field("hosts", &self.hosts)
            .field("cached", &lock(&self.state).cached.len())
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Cdn for MemoryCdn {
    fn provider(&self) -> ProviderId {
        PROVIDER
    }

    fn limits(&self) -> CdnLimits {
        CdnLimits::default().with_max_per_request(30)
    }

    async fn purge(&self, request: PurgeRequest) -> Result<Purge> {
        let operation = "cdn.purge";
        let mut state = lock(&self.state);
        let key = request.idempotency_key.as_ref();
        if let Some(id) = state.purged.find(operation, key, &request)? {
            let id = PurgeId::new(id)?;
            return state.look(&id);
        }
        let purge = match &request.scope {
            PurgeScope::Everything => self.run(&mut state, 1, |_, _| true),
            PurgeScope::Urls(urls) => {
                let urls = Self::read(operation, urls, |url| self.url(operation, url))?;
                self.run(&mut state, urls.len(), |url, _| urls.contains(url))
            }
            PurgeScope::Prefixes(prefixes) => {
                let read = |prefix: &str| match self.url(operation, prefix)? {
                    url if url.path.contains('?') => {
                        Err(refused(operation, "a prefix has no query"))
                    }
                    url => Ok(url),
                };
                let prefixes = Self::read(operation, prefixes, read)?;
                self.run(&mut state, prefixes.len(), |url, _| {
                    let begins =
                        |p: &Url| p.host == url.host && url.path.starts_with(p.path.as_str());
                    prefixes.iter().any(begins)
                })
            }
        }?;
        if let Some(id) = &purge.id {
            let key = request.idempotency_key.clone();
            state.purged.remember(key, &request, id.as_str());
        }
        Ok(purge)
    }

    fn as_purge_tags(&self) -> Option<&dyn PurgeTags> {
        Some(self)
    }

    fn as_purge_hosts(&self) -> Option<&dyn PurgeHosts> {
        Some(self)
    }

    fn as_purge_status(&self) -> Option<&dyn PurgeStatus> {
        Some(self)
    }
}

#[async_trait]
impl PurgeTags for MemoryCdn {
    async fn purge_tags(&self, tags: Vec<String>) -> Result<Purge> {
        let operation = "cdn.purge_tags";
        let tags = Self::read(operation, &tags, |tag| {
            let fits = !tag.is_empty() && !tag.contains(|c: char| c == ',' || c.is_whitespace());
            let tag = fits.then(|| tag.to_owned());
            tag.ok_or_else(|| refused(operation, "a tag has no space and no comma"))
        })?;
        let mut state = lock(&self.state);
        self.run(&mut state, tags.len(), |_, marked| {
            tags.iter().any(|tag| marked.contains(tag))
        })
    }
}

#[async_trait]
impl PurgeHosts for MemoryCdn {
    async fn purge_hosts(&self, hosts: Vec<String>) -> Result<Purge> {
        let operation = "cdn.purge_hosts";
        let hosts = Self::read(operation, &hosts, |host| self.host(operation, host))?;
        let mut state = lock(&self.state);
        self.run(&mut state, hosts.len(), |url, _| hosts.contains(&url.host))
    }
}

#[async_trait]
impl PurgeStatus for MemoryCdn {
    async fn purge_status(&self, purge: &PurgeId) -> Result<Purge> {
        lock(&self.state).look(purge)
    }
}

//! Tokens that expire: cached, refreshed in time, fetched by one caller at a time.

use std::sync::Arc;
use std::time::Duration;

use ops_core::{Error, Result, Secret};
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::auth::TokenSource;
use crate::limit::later;

/// A token is replaced when less than this is left of it.
const MIN_TTL: Duration = Duration::from_secs(60);
/// After a failed fetch, the source is left alone for this long while the old token lasts.
const RETRY_PAUSE: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub(crate) struct TokenCache {
    source: Arc<dyn TokenSource>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    token: Option<Cached>,
    not_before: Option<Instant>,
}

#[derive(Debug, Clone)]
struct Cached {
    secret: Secret,
    /// From here on a new one is fetched; `None` for never.
    refresh_at: Option<Instant>,
    /// From here on it is refused; `None` for never.
    expires_at: Option<Instant>,
}

impl TokenCache {
    pub(crate) fn new(source: Arc<dyn TokenSource>) -> Self {
        Self {
            source,
            state: Mutex::new(State::default()),
        }
    }

    /// A token that is valid. Whoever comes while one is fetched waits for it.
    pub(crate) async fn get(&self) -> Result<Secret> {
        let mut state = self.state.lock().await;
        let now = Instant::now();
        let valid = state.token.clone().filter(|it| it.is_valid(now));
        if let Some(cached) = &valid
            && (cached.is_fresh(now) || state.not_before.is_some_and(|until| now < until))
        {
            return Ok(cached.secret.clone());
        }
        match self.source.fetch().await {
            Ok(token) => {
                let cached = Cached::new(token.secret, token.ttl);
                let secret = cached.secret.clone();
                *state = State {
                    token: Some(cached),
                    not_before: None,
                };
                Ok(secret)
            }
            Err(err) => {
                state.not_before = Some(Instant::now() + RETRY_PAUSE);
                valid
                    .map(|cached| cached.secret)
                    .ok_or_else(|| refused(err))
            }
        }
    }

    /// Drops the token: it was refused although it should be valid.
    pub(crate) async fn forget(&self) {
        self.state.lock().await.token = None;
    }

    /// The token that is in use, if there is one.
    pub(crate) async fn present(&self) -> Option<Secret> {
        let state = self.state.lock().await;
        state.token.as_ref().map(|cached| cached.secret.clone())
    }
}

fn refused(err: Error) -> Error {
    Error::new(err.kind(), "no token could be had")
        .with_retry(err.retry())
        .with_source(err)
}

impl Cached {
    fn new(secret: Secret, ttl: Option<Duration>) -> Self {
        Self {
            secret,
            // A token that lives shorter than the margin is used for half of its life.
            refresh_at: ttl.map(|ttl| later(ttl.saturating_sub(MIN_TTL).max(ttl / 2))),
            expires_at: ttl.map(later),
        }
    }

    fn is_fresh(&self, now: Instant) -> bool {
        self.refresh_at.is_none_or(|at| now < at)
    }

    fn is_valid(&self, now: Instant) -> bool {
        self.expires_at.is_none_or(|at| now < at)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use async_trait::async_trait;
    use ops_core::ErrorKind;

    use super::*;
    use crate::auth::Token;

    #[derive(Debug, Default)]
    struct Source {
        fetched: AtomicU32,
        fails: std::sync::atomic::AtomicBool,
    }

    #[async_trait]
    impl TokenSource for Source {
        async fn fetch(&self) -> Result<Token> {
            tokio::time::sleep(Duration::from_millis(10)).await;
            let number = self.fetched.fetch_add(1, Ordering::SeqCst) + 1;
            if self.fails.load(Ordering::SeqCst) {
                return Err(Error::new(ErrorKind::Unavailable, "no answer"));
            }
            Ok(Token::new(
                format!("token-{number}"),
                Duration::from_secs(600),
            ))
        }
    }

    fn cache() -> (Arc<Source>, Arc<TokenCache>) {
        let source = Arc::new(Source::default());
        let cache = TokenCache::new(Arc::clone(&source) as Arc<dyn TokenSource>);
        (source, Arc::new(cache))
    }

    #[tokio::test(start_paused = true)]
    async fn many_callers_cause_one_fetch() {
        let (source, cache) = cache();
        let callers = (0..20).map(|_| {
            let cache = Arc::clone(&cache);
            tokio::spawn(async move { cache.get().await.unwrap().expose().to_owned() })
        });
        for caller in callers.collect::<Vec<_>>() {
            assert_eq!(caller.await.unwrap(), "token-1");
        }
        assert_eq!(source.fetched.load(Ordering::SeqCst), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_token_is_replaced_before_it_expires() {
        let (_, cache) = cache();
        cache.get().await.unwrap();
        tokio::time::advance(Duration::from_secs(530)).await;
        assert_eq!(cache.get().await.unwrap().expose(), "token-1");
        tokio::time::advance(Duration::from_secs(20)).await;
        assert_eq!(cache.get().await.unwrap().expose(), "token-2");
    }

    #[tokio::test(start_paused = true)]
    async fn a_failed_fetch_leaves_the_valid_token_in_use_and_the_source_alone() {
        let (source, cache) = cache();
        cache.get().await.unwrap();
        source.fails.store(true, Ordering::SeqCst);
        tokio::time::advance(Duration::from_secs(550)).await;
        for _ in 0..3 {
            assert_eq!(cache.get().await.unwrap().expose(), "token-1");
        }
        assert_eq!(source.fetched.load(Ordering::SeqCst), 2);
        tokio::time::advance(Duration::from_secs(60)).await;
        assert_eq!(
            cache.get().await.unwrap_err().kind(),
            ErrorKind::Unavailable
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_token_that_was_refused_is_fetched_anew() {
        let (_, cache) = cache();
        cache.get().await.unwrap();
        cache.forget().await;
        assert_eq!(cache.get().await.unwrap().expose(), "token-2");
    }
}

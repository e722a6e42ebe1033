//! What apps print.
//!
//! Fly documents the call as one that its own client depends on and that others may use: it
//! answers pages behind an instant, and a token for what follows.

use std::collections::{BTreeSet, VecDeque};

use async_trait::async_trait;
use futures_util::{StreamExt, stream};
use ops_core::hosting::{Hosting, LogLine, LogQuery, LogSource, Logs};
use ops_core::id::{AppId, DeploymentId};
use ops_core::{ErrorKind, ItemStream, Result, Timestamp};
use tokio::time::sleep;

use super::LOG_RETENTION;
use crate::error::refuse;
use crate::model::{RELEASE_ID, provider_of};
use crate::{Fly, api};

/// As many lines Fly answers without being told where to begin.
const NEWEST: usize = 100;

#[async_trait]
impl Logs for Fly {
    /// Fly does not tell the standard output from the standard error: all that an app prints
    /// is taken for the former. Lines of a deployment are those of its machines; for a
    /// machine with a volume, only of the release that it is at.
    fn logs(&self, app: &AppId, query: LogQuery) -> ItemStream<LogLine> {
        let reader = Reader {
            fly: self.clone(),
            app: app.clone(),
            tail: query.tail,
            query,
            position: None,
            is_begun: false,
            filter: None,
            lines: VecDeque::new(),
            is_over: false,
        };
        stream::unfold(reader, |mut reader| async move {
            let line = reader.next().await.transpose()?;
            if line.is_err() {
                reader.lines.clear();
                reader.is_over = true;
            }
            Some((line, reader))
        })
        .boxed()
    }
}

/// Which lines belong to a deployment.
struct Filter {
    machines: BTreeSet<String>,
    since: Option<Timestamp>,
}

struct Reader {
    fly: Fly,
    app: AppId,
    query: LogQuery,
    /// How many of the last lines are wanted, as long as the first reading goes on.
    tail: Option<usize>,
    /// Where the next page begins.
    position: Option<String>,
    is_begun: bool,
    filter: Option<Filter>,
    lines: VecDeque<LogLine>,
    /// Whether no page is to be asked for.
    is_over: bool,
}

impl Reader {
    async fn next(&mut self) -> Result<Option<LogLine>> {
        loop {
            // With `tail`, nothing is told before everything was seen.
            if self.tail.is_none()
                && let Some(line) = self.lines.pop_front()
            {
                return Ok(Some(line));
            }
            if self.is_over {
                return Ok(None);
            }
            self.read().await?;
        }
    }

    /// Reads one page.
    async fn read(&mut self) -> Result<()> {
        if !self.is_begun {
            self.filter = self.filter().await?;
            self.position = self.beginning();
            self.is_begun = true;
        }
        let call = api::logs(&self.app, self.position.as_deref());
        let page = self.fly.inner.platform.execute(call).await;
        let page = match page {
            // The app was there, and was deleted.
            Err(err) if err.is_not_found() && self.query.follow && self.position.is_some() => {
                self.end();
                return Ok(());
            }
            page => page?,
        };
        let next = page.next_token();
        let is_empty = page.data.is_empty();
        let is_short = self.position.is_none() && !self.query.follow;
        for entry in page.data {
            self.take(entry.into());
        }
        if is_short || (is_empty && !self.query.follow) {
            self.end();
        } else if is_empty {
            self.settle();
            self.pause().await;
        } else if next.is_none() && !self.query.follow {
            self.end();
        } else if next.is_none() || next == self.position {
            let text = "the log goes round in circles: a page names itself as the next";
            return Err(refuse(ErrorKind::Decode, text));
        }
        if next.is_some() {
            self.position = next;
        }
        Ok(())
    }

    /// Waits before a follower asks again.
    async fn pause(&mut self) {
        if let Some(until) = self.query.until
            && self.fly.inner.clock.now() >= until
        {
            self.is_over = true;
            return;
        }
        if self.lines.is_empty() {
            sleep(self.fly.inner.settings.interval).await;
        }
    }

    /// What was there has been seen.
    fn settle(&mut self) {
        self.tail = None;
    }

    fn end(&mut self) {
        self.settle();
        self.is_over = true;
    }

    /// Where to begin: everything that is kept, unless fewer lines are certain to do.
    fn beginning(&self) -> Option<String> {
        let LogQuery {
            since,
            until,
            source,
            ..
        } = &self.query;
        let is_plain = until.is_none() && source.is_none() && self.query.deployment.is_none();
        let few = self.tail.is_some_and(|tail| tail <= NEWEST);
        if since.is_none() && few && is_plain && !self.query.follow {
            return None;
        }
        let kept = self.fly.inner.clock.now().saturating_sub(LOG_RETENTION);
        let one = std::time::Duration::from_millis(1);
        // Fly answers what comes after the instant.
        Some(api::log_token(
            since.map_or(kept, |since| since.saturating_sub(one).max(kept)),
        ))
    }

    async fn filter(&self) -> Result<Option<Filter>> {
        // A log that is empty does not tell whether the app is there.
        let Some(id) = &self.query.deployment else {
            self.fly.machines(&self.app).await?;
            return Ok(None);
        };
        Ok(Some(self.machines_of(id).await?))
    }

    async fn machines_of(&self, id: &DeploymentId) -> Result<Filter> {
        let deployment = self.fly.deployment(&self.app, id).await?;
        let call = api::list_machines(&self.app, true);
        let machines = self.fly.inner.machines.execute(call).await?;
        let machines = machines
            .into_iter()
            .filter(|it| it.config.metadata(RELEASE_ID) == Some(id.as_str()));
        Ok(Filter {
            machines: machines.map(|it| it.id).collect(),
            since: deployment.created_at,
        })
    }

    /// Keeps a line that was asked for.
    fn take(&mut self, line: LogLine) {
        if let Some(until) = self.query.until
            && line.at >= until
        {
            // Pages go forward in time, and nothing earlier follows.
            self.end();
            return;
        }
        let is_early = self.query.since.is_some_and(|since| line.at < since);
        if is_early || !self.has_source(&line.source) || !self.is_of_deployment(&line) {
            return;
        }
        self.lines.push_back(line);
        if let Some(tail) = self.tail {
            while self.lines.len() > tail {
                self.lines.pop_front();
            }
        }
    }

    fn has_source(&self, source: &LogSource) -> bool {
        let Some(wanted) = &self.query.source else {
            return true;
        };
        provider_of(wanted).is_some() && wanted == source
    }

    fn is_of_deployment(&self, line: &LogLine) -> bool {
        let Some(filter) = &self.filter else {
            return true;
        };
        let is_late = filter.since.is_none_or(|since| line.at >= since);
        let instance = line.instance.as_ref();
        is_late && instance.is_some_and(|it| filter.machines.contains(it))
    }
}

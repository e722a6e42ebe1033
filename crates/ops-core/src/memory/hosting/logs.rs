//! What apps print.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use async_trait::async_trait;
use futures_core::Stream;

use super::super::{lock, missing};
use super::state::AppRecord;
use super::{MemoryHosting, Shared};
use crate::error::Result;
use crate::hosting::{LogLine, LogQuery, Logs};
use crate::id::{AppId, DeploymentId};
use crate::object_store::ItemStream;

#[async_trait]
impl Logs for MemoryHosting {
    fn logs(&self, app: &AppId, query: LogQuery) -> ItemStream<LogLine> {
        let shared = Arc::clone(&self.0);
        Box::pin(Reader {
            shared,
            app: app.clone(),
            query,
            at: None,
            end: 0,
            is_over: false,
        })
    }
}

struct Reader {
    shared: Arc<Shared>,
    app: AppId,
    query: LogQuery,
    /// The number of the next line to look at; `None` before the first poll.
    at: Option<u64>,
    /// One past the number of the last line that was there at the first poll.
    end: u64,
    is_over: bool,
}

fn matches(query: &LogQuery, line: &LogLine, deployment: Option<&DeploymentId>) -> bool {
    query.since.is_none_or(|since| line.at >= since)
        && query.until.is_none_or(|until| line.at < until)
        && query
            .source
            .as_ref()
            .is_none_or(|source| *source == line.source)
        && query
            .deployment
            .as_ref()
            .is_none_or(|wanted| Some(wanted) == deployment)
}

/// The lines from a number on, with their numbers.
fn lines(
    record: &AppRecord,
    from: u64,
) -> impl DoubleEndedIterator<Item = (u64, &LogLine, Option<&DeploymentId>)> {
    let skip = usize::try_from(from.saturating_sub(record.first_line)).unwrap_or(usize::MAX);
    let first = record.first_line.max(from);
    let numbered = record.log.iter().skip(skip).enumerate();
    numbered.map(move |(index, (line, id))| (first + index as u64, line, id.as_ref()))
}

impl Reader {
    /// Where to begin: at the first line, or at the last so many that match.
    fn start(&self, record: &AppRecord) -> u64 {
        match self.query.tail {
            None => 0,
            Some(0) => self.end,
            Some(tail) => {
                let matching = lines(record, 0).rev();
                let mut matching = matching.filter(|(_, line, id)| matches(&self.query, line, *id));
                matching.nth(tail - 1).map_or(0, |(number, ..)| number)
            }
        }
    }
}

impl Stream for Reader {
    type Item = Result<LogLine>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.is_over {
            return Poll::Ready(None);
        }
        let shared = Arc::clone(&self.shared);
        let mut state = lock(&shared.state);
        let Some(record) = state.apps.get_mut(&self.app) else {
            self.is_over = true;
            let err = self
                .at
                .is_none()
                .then(|| Err(missing("hosting.logs", &self.app)));
            return Poll::Ready(err);
        };
        let at = if let Some(at) = self.at {
            at
        } else {
            self.end = record.first_line + record.log.len() as u64;
            self.start(record)
        };
        let next = lines(record, at).find(|(_, line, id)| matches(&self.query, line, *id));
        let next = next.filter(|(number, ..)| self.query.follow || *number < self.end);
        if let Some((number, line, _)) = next {
            self.at = Some(number + 1);
            return Poll::Ready(Some(Ok(line.clone())));
        }
        self.at = Some(record.first_line + record.log.len() as u64);
        let is_late = self
            .query
            .until
            .is_some_and(|until| shared.clock.now() >= until);
        if !self.query.follow || is_late {
            self.is_over = true;
            return Poll::Ready(None);
        }
        record.readers.push(cx.waker().clone());
        Poll::Pending
    }
}

//! The last body for everybody, for as long as it would come out the same.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use bytes::Bytes;

use super::{PublicReport, Shape};
use crate::aggregate::Verdict;

/// Keeps one anonymous body. Its time stamp has a resolution of a millisecond, so under
/// load most requests get a body that was made already, and none gets an older one.
///
/// Bodies for authorized callers never come here.
#[derive(Default)]
pub(crate) struct BodyCache(ArcSwapOption<Kept>);

struct Kept {
    shape: Shape,
    verdict: Verdict,
    millis: i64,
    body: Bytes,
}

impl BodyCache {
    pub(crate) fn anonymous(&self, shape: Shape, report: &PublicReport<'_>) -> Bytes {
        if report.names.is_some() {
            return shape.anonymous(report);
        }
        let (verdict, millis) = (report.verdict, report.timestamp.unix_millis());
        if let Some(kept) = &*self.0.load()
            && (kept.shape, kept.verdict, kept.millis) == (shape, verdict, millis)
        {
            return kept.body.clone();
        }
        let body = shape.anonymous(report);
        self.0.store(Some(Arc::new(Kept {
            shape,
            verdict,
            millis,
            body: body.clone(),
        })));
        body
    }
}

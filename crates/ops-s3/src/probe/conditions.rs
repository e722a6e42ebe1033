//! Which conditions a store obeys.

use ops_core::Result;
use ops_core::object_store::ETag;

use super::requests::Condition;
use super::{CONTENT, Expected, Finding, Probe, clone_of, says_nothing};
use crate::profile::EtagForm;

/// How many writers race for one key.
const RACERS: usize = 16;

impl Probe {
    pub(super) async fn put_conditions(&mut self) -> Result<()> {
        let key = self.scratch.key();
        let first = self.requests.put(&key, CONTENT, None, Condition::NoneMatch);
        let first = first.await;
        let etag = first.as_ref().ok().and_then(|put| put.etag.clone());
        let makes = self.record(
            "PutObject If-None-Match, nothing there",
            &first.map(drop),
            Expected::Success,
        )?;
        let again = self.requests.put(&key, CONTENT, None, Condition::NoneMatch);
        let again = again.await.map(drop);
        let refuses = self.record(
            "PutObject If-None-Match, object there",
            &again,
            Expected::PreconditionFailed,
        )?;
        self.report.profile.put_if_none_match = makes && refuses && self.race().await?;
        let Some(etag) = etag else {
            return Ok(());
        };
        for (form, matching, other) in [
            (
                EtagForm::Quoted,
                "PutObject If-Match, same version",
                "PutObject If-Match, another version",
            ),
            (
                EtagForm::Bare,
                "PutObject If-Match, same version, no quotes",
                "PutObject If-Match, another version, no quotes",
            ),
        ] {
            let condition = Condition::Match(&etag, form);
            let same = self.requests.put(&key, CONTENT, None, condition).await;
            let swaps = self.record(matching, &same.map(drop), Expected::Success)?;
            let stale = ETag::new("0123456789abcdef0123456789abcdef");
            let condition = Condition::Match(&stale, form);
            let stale = self.requests.put(&key, CONTENT, None, condition).await;
            let refuses = self.record(other, &stale.map(drop), Expected::PreconditionFailed)?;
            if swaps && refuses {
                self.report.profile.put_if_match = Some(form);
                break;
            }
        }
        Ok(())
    }

    /// A store that looks first and writes then lets more than one of several through.
    async fn race(&mut self) -> Result<bool> {
        let key = self.scratch.key();
        let put = || self.requests.put(&key, CONTENT, None, Condition::NoneMatch);
        let racing = (0..RACERS).map(|_| put());
        let answers = futures_util::future::join_all(racing).await;
        if let Some(err) = answers.iter().find_map(|answer| answer.as_ref().err())
            && says_nothing(err)
        {
            return Err(clone_of(err));
        }
        let winners = answers.iter().filter(|answer| answer.is_ok()).count();
        self.report.findings.push(Finding {
            tried: "PutObject If-None-Match, 16 at once",
            holds: winners == 1,
            answer: format!("{winners} done"),
        });
        Ok(winners == 1)
    }

    pub(super) async fn get_condition(&mut self) -> Result<()> {
        let key = self.scratch.key();
        let put = self
            .requests
            .put(&key, CONTENT, None, Condition::None)
            .await?;
        let Some(etag) = put.etag else {
            return Ok(());
        };
        for (form, tried) in [
            (EtagForm::Quoted, "GetObject If-Match, same version"),
            (
                EtagForm::Bare,
                "GetObject If-Match, same version, no quotes",
            ),
        ] {
            let answer = self.requests.get_if_match(&key, &etag, form).await;
            if self.record(tried, &answer, Expected::Success)? {
                self.report.profile.get_if_match = Some(form);
                break;
            }
        }
        Ok(())
    }
}

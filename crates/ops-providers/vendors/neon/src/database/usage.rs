//! What was used. Neon's API tells no money.

use async_trait::async_trait;
use ops_core::Result;
use ops_core::database::Usage;
use ops_core::usage::{Period, UsageQuery, UsageReport};

use crate::model::History;
use crate::{Neon, PROVIDER, api};

#[async_trait]
impl Usage for Neon {
    /// Of the present billing period every plan tells; of another one Scale, Business and
    /// Enterprise do, by the hour for 7 days, by the day for 60 and by the month for a year.
    /// The report is about whole hours, days or months.
    async fn usage(&self, query: UsageQuery) -> Result<UsageReport> {
        let report = match query.period {
            Some(period) => self.history(period).await,
            None => self.billing_period().await,
        };
        let mut report = report.map_err(|err| err.with_provider(PROVIDER))?;
        report.budget = query.budget;
        Ok(report)
    }
}

impl Neon {
    async fn billing_period(&self) -> Result<UsageReport> {
        let call = api::get_project(&self.inner.project);
        let used = self.inner.api.execute(call).await?.project.used;
        Ok(UsageReport::new(used.period()?, used.items()))
    }

    async fn history(&self, period: Period) -> Result<UsageReport> {
        let history = History::of(period, self.inner.clock.now());
        let organization = self.inner.settings.organization.as_deref();
        let call = api::consumption(&self.inner.project, organization, history);
        let consumption = self.inner.api.execute(call).await?;
        let period = Period::new(history.from, history.to)?;
        Ok(UsageReport::new(period, consumption.items()))
    }
}

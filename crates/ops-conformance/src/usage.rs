//! What every `Usage` must do, whichever trait offers it.

#![expect(clippy::unwrap_used, reason = "what a case finds out fails a test")]

use std::time::Duration;

use ops_core::usage::{Currency, Money, Period, Usage, UsageQuery};
use ops_core::{Clock, ErrorKind, SystemClock};

use crate::case::Outcome;
use crate::support::done;

pub(crate) async fn answers_for_the_period(usage: &dyn Usage) -> Outcome {
    let now = SystemClock.now();
    let period = Period::new(now.saturating_sub(Duration::from_secs(86_400)), now).unwrap();
    let query = UsageQuery::default().with_period(period);
    match usage.usage(query).await {
        Err(err) if err.kind() == ErrorKind::InvalidInput => {
            Outcome::NotOffered("the vendor keeps no such period")
        }
        // A vendor may round to days; it may not answer for another time.
        report => {
            let answered = done(report).period;
            assert!(
                answered.start <= period.start && period.end <= answered.end,
                "{answered:?}"
            );
            Outcome::Passed
        }
    }
}

pub(crate) async fn tells_the_budget(usage: &dyn Usage) {
    let budget = Money::from_cents(Currency::USD, 1_234);
    let query = UsageQuery::default().with_budget(budget);
    assert_eq!(done(usage.usage(query).await).budget, Some(budget));
}

pub(crate) async fn is_never_below_zero(usage: &dyn Usage) {
    let report = done(usage.usage(UsageQuery::default()).await);
    for item in &report.items {
        let is_fine = |value: f64| value.is_finite() && value >= 0.0;
        assert!(is_fine(item.used), "{item:?}");
        assert!(item.included.is_none_or(is_fine), "{item:?}");
    }
}

//! What was used and what it costs, against free limits and a budget.

use std::fmt;

use async_trait::async_trait;

use crate::error::{Error, ErrorKind, Result};
use crate::macros::setters;
use crate::time::Timestamp;

/// An amount of money in millionths of a currency's unit.
///
/// Vendors bill fractions of a cent, and a sum of rounded items drifts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Money {
    currency: Currency,
    micros: i64,
}

/// A currency by its ISO 4217 code, such as `USD`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(try_from = "String", into = "String"))]
pub struct Currency([u8; 3]);

impl Currency {
    /// The United States dollar.
    pub const USD: Self = Self(*b"USD");
    /// The euro.
    pub const EUR: Self = Self(*b"EUR");

    /// Checks and wraps a code.
    ///
    /// # Errors
    /// `InvalidInput` where the code is not three ASCII letters.
    pub fn new(code: &str) -> Result<Self> {
        match code.as_bytes() {
            &[a, b, c] if code.bytes().all(|byte| byte.is_ascii_alphabetic()) => {
                Ok(Self([a, b, c].map(|byte| byte.to_ascii_uppercase())))
            }
            _ => Err(Error::new(
                ErrorKind::InvalidInput,
                "a currency is three letters, such as USD",
            )),
        }
    }

    /// The code.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or("XXX")
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl TryFrom<String> for Currency {
    type Error = Error;

    fn try_from(code: String) -> Result<Self> {
        Self::new(&code)
    }
}

impl From<Currency> for String {
    fn from(currency: Currency) -> Self {
        currency.as_str().to_owned()
    }
}

impl Money {
    /// An amount in millionths of the currency's unit.
    #[must_use]
    pub const fn from_micros(currency: Currency, micros: i64) -> Self {
        Self { currency, micros }
    }

    /// An amount in hundredths of the currency's unit.
    #[must_use]
    pub const fn from_cents(currency: Currency, cents: i64) -> Self {
        Self {
            currency,
            micros: cents.saturating_mul(10_000),
        }
    }

    /// The currency.
    #[must_use]
    pub const fn currency(self) -> Currency {
        self.currency
    }

    /// The amount in millionths of the currency's unit.
    #[must_use]
    pub const fn micros(self) -> i64 {
        self.micros
    }

    /// The sum; `None` for two currencies or an amount that does not fit.
    #[must_use]
    pub fn checked_add(self, other: Self) -> Option<Self> {
        if self.currency != other.currency {
            return None;
        }
        let micros = self.micros.checked_add(other.micros)?;
        Some(Self { micros, ..self })
    }

    /// This amount divided by another of the same currency; `None` for another currency or zero.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a ratio for a report")]
    pub fn ratio_of(self, whole: Self) -> Option<f64> {
        (self.currency == whole.currency && whole.micros != 0)
            .then(|| self.micros as f64 / whole.micros as f64)
    }
}

impl fmt::Display for Money {
    /// Prints as `USD 12.50`, with as many digits as the amount has, at least two.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.micros < 0 { "-" } else { "" };
        let micros = self.micros.unsigned_abs();
        let mut fraction = format!("{:06}", micros % 1_000_000);
        while fraction.len() > 2 && fraction.ends_with('0') {
            fraction.pop();
        }
        write!(
            f,
            "{} {sign}{}.{fraction}",
            self.currency,
            micros / 1_000_000
        )
    }
}

/// A span of time: from `start`, up to but not including `end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Period {
    /// The first instant.
    pub start: Timestamp,
    /// The first instant after it.
    pub end: Timestamp,
}

impl Period {
    /// A span of time.
    ///
    /// # Errors
    /// `InvalidInput` where `end` does not lie after `start`.
    pub fn new(start: Timestamp, end: Timestamp) -> Result<Self> {
        if end <= start {
            return Err(Error::new(
                ErrorKind::InvalidInput,
                "the period ends before it starts",
            ));
        }
        Ok(Self { start, end })
    }

    /// Whether an instant lies in the span.
    #[must_use]
    pub fn contains(&self, instant: Timestamp) -> bool {
        self.start <= instant && instant < self.end
    }
}

/// What a quantity is counted in.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum UsageUnit {
    /// Things: apps, seats, deployments.
    Count,
    /// Requests, commands or function calls.
    Requests,
    /// Bytes stored or moved.
    Bytes,
    /// Bytes stored, times seconds.
    ByteSeconds,
    /// Seconds of wall time.
    Seconds,
    /// Seconds of one processor.
    CpuSeconds,
    /// Anything else, in the vendor's own word.
    Other(String),
}

/// One metered quantity.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct UsageItem {
    /// What is metered, in the vendor's own words, such as `bandwidth`.
    pub name: String,
    /// What it is counted in.
    pub unit: UsageUnit,
    /// How much was used in the period.
    pub used: f64,
    /// How much of it the plan includes without charge; `None` where nothing is known.
    pub included: Option<f64>,
    /// What it costs in the period so far, where the vendor tells.
    pub cost: Option<Money>,
}

impl UsageItem {
    /// A quantity without limit or price.
    pub fn new(name: impl Into<String>, unit: UsageUnit, used: f64) -> Self {
        Self {
            name: name.into(),
            unit,
            used,
            included: None,
            cost: None,
        }
    }

    /// The used part of what is included; `None` where that is unknown or zero.
    #[must_use]
    pub fn used_ratio(&self) -> Option<f64> {
        self.included
            .filter(|included| *included > 0.0)
            .map(|included| self.used / included)
    }
}

setters! { UsageItem {
    opt { with_included(included: f64), with_cost(cost: Money) }
} }

/// Which usage to read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct UsageQuery {
    /// The span of time. Defaults to the vendor's current billing period.
    pub period: Option<Period>,
    /// What may be spent in the period; it is copied to the report. Defaults to the
    /// spending limit that is set at the vendor, where there is one.
    pub budget: Option<Money>,
}

setters! { UsageQuery {
    opt { with_period(period: Period), with_budget(budget: Money) }
} }

/// What was used in a period and what it costs.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct UsageReport {
    /// The span of time that the report is about.
    pub period: Period,
    /// The metered quantities.
    pub items: Vec<UsageItem>,
    /// What the period costs so far, where the vendor tells.
    pub cost: Option<Money>,
    /// What the whole period will cost by the vendor's own estimate.
    pub estimate: Option<Money>,
    /// What may be spent in the period.
    pub budget: Option<Money>,
}

impl UsageReport {
    /// A report without money.
    #[must_use]
    pub fn new(period: Period, items: Vec<UsageItem>) -> Self {
        Self {
            period,
            items,
            cost: None,
            estimate: None,
            budget: None,
        }
    }

    /// The quantities that have reached this part of what is included, worst first.
    ///
    /// `items_above(0.8)` names what will leave the free plan soon, `items_above(1.0)`
    /// what has left it.
    #[must_use]
    pub fn items_above(&self, ratio: f64) -> Vec<&UsageItem> {
        let mut items: Vec<(f64, &UsageItem)> = self
            .items
            .iter()
            .filter_map(|item| Some((item.used_ratio()?, item)))
            .filter(|(used, _)| *used >= ratio)
            .collect();
        items.sort_by(|(a, _), (b, _)| b.total_cmp(a));
        items.into_iter().map(|(_, item)| item).collect()
    }

    /// The spent part of the budget, by the larger of cost and estimate; `None` where
    /// either side is unknown or the currencies differ.
    #[must_use]
    pub fn budget_ratio(&self) -> Option<f64> {
        let budget = self.budget?;
        let spent = [self.cost, self.estimate]
            .into_iter()
            .flatten()
            .max_by_key(|m| m.micros())?;
        spent.ratio_of(budget)
    }
}

setters! { UsageReport {
    opt { with_cost(cost: Money), with_estimate(estimate: Money), with_budget(budget: Money) }
} }

/// Reading quantities and money. An ability of [`Hosting`](crate::Hosting) and
/// [`Database`](crate::Database).
#[async_trait]
pub trait Usage: fmt::Debug + Send + Sync + 'static {
    /// What was used in a period and what it costs.
    ///
    /// # Behavior
    /// 1. A quantity that the vendor does not meter is absent, not zero.
    /// 2. The report's period is the one that the vendor answered for.
    ///
    /// # Errors
    /// `InvalidInput` for a period that the vendor does not keep; `PermissionDenied` for
    /// a token that may not read billing.
    ///
    /// # Cancel safety
    /// Reading changes nothing.
    async fn usage(&self, query: UsageQuery) -> Result<UsageReport>;
}

const _: fn(&dyn Usage) = |_| {};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_prints_what_it_is() {
        let cases = [
            (Money::from_cents(Currency::USD, 1250), "USD 12.50"),
            (Money::from_micros(Currency::EUR, 1), "EUR 0.000001"),
            (Money::from_micros(Currency::USD, -1_500_000), "USD -1.50"),
            (
                Money::from_micros(Currency::USD, i64::MIN),
                "USD -9223372036854.775808",
            ),
        ];
        for (money, text) in cases {
            assert_eq!(money.to_string(), text);
        }
    }

    #[test]
    fn money_of_two_currencies_is_never_mixed() {
        let (usd, eur) = (
            Money::from_cents(Currency::USD, 1),
            Money::from_cents(Currency::EUR, 1),
        );
        assert_eq!(usd.checked_add(eur), None);
        assert_eq!(usd.ratio_of(eur), None);
        assert_eq!(
            usd.checked_add(usd),
            Some(Money::from_cents(Currency::USD, 2))
        );
        assert_eq!(
            Money::from_micros(Currency::USD, i64::MAX).checked_add(usd),
            None
        );
    }

    #[test]
    fn a_currency_is_three_letters() {
        assert_eq!(Currency::new("usd").unwrap(), Currency::USD);
        for bad in ["", "US", "USDT", "U1D", "€"] {
            assert_eq!(
                Currency::new(bad).unwrap_err().kind(),
                ErrorKind::InvalidInput,
                "{bad}"
            );
        }
    }

    #[test]
    fn a_report_names_what_leaves_the_free_plan_and_the_budget() {
        let period = Period::new(
            Timestamp::UNIX_EPOCH,
            "1970-02-01T00:00:00Z".parse().unwrap(),
        );
        let report = UsageReport::new(
            period.unwrap(),
            vec![
                UsageItem::new("builds", UsageUnit::Count, 10.0).with_included(100.0),
                UsageItem::new("transfer", UsageUnit::Bytes, 90.0).with_included(100.0),
                UsageItem::new("calls", UsageUnit::Requests, 300.0).with_included(100.0),
                UsageItem::new("unmetered", UsageUnit::Count, 5.0),
            ],
        )
        .with_cost(Money::from_cents(Currency::USD, 300))
        .with_estimate(Money::from_cents(Currency::USD, 900))
        .with_budget(Money::from_cents(Currency::USD, 1000));

        let names: Vec<_> = report
            .items_above(0.8)
            .iter()
            .map(|item| item.name.as_str())
            .collect();
        assert_eq!(names, ["calls", "transfer"]);
        assert_eq!(report.budget_ratio(), Some(0.9));
    }
}

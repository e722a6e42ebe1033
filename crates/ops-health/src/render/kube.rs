//! Plain text as Kubernetes' own servers answer: `ok`, or a line for each check.

use std::fmt::{Display, Write as _};

use bytes::Bytes;

use super::{FullReport, PublicReport};
use crate::status::Status;

pub(crate) fn anonymous(report: &PublicReport<'_>, route: &str, verbose: bool) -> Bytes {
    let names = report.names.iter().flatten().copied().filter(|_| verbose);
    text(report.verdict.status, route, names)
}

pub(crate) fn authorized(report: &FullReport<'_>, route: &str, verbose: bool) -> Bytes {
    let states = report
        .checks
        .iter()
        .map(|check| (check.name.as_str(), check.status));
    text(report.verdict.status, route, states.filter(|_| verbose))
}

fn text(
    status: Status,
    route: &str,
    checks: impl Iterator<Item = (impl Display, Status)>,
) -> Bytes {
    let mut out = String::new();
    for (name, status) in checks {
        // Writing to a string does not fail.
        let _ = if status.is_up() {
            writeln!(out, "[+]{name} ok")
        } else {
            writeln!(out, "[-]{name} failed: reason withheld")
        };
    }
    match (status.is_up(), out.is_empty()) {
        (true, true) => out.push_str("ok"),
        (true, false) => {
            let _ = writeln!(out, "{route} check passed");
        }
        (false, _) => {
            let _ = writeln!(out, "{route} check failed");
        }
    }
    Bytes::from(out)
}

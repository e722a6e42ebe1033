//! What every benchmark shares: rounds, medians, and the report as a table, JSON and SVG.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;

/// A benchmark's result, as it is written to `target/bench/<name>.json`.
#[derive(Debug, serde::Serialize)]
pub(crate) struct Report {
    pub(crate) name: &'static str,
    pub(crate) rounds: usize,
    pub(crate) cases: Vec<Case>,
}

/// One measured thing beside its peers; medians over the rounds.
#[derive(Debug, serde::Serialize)]
pub(crate) struct Case {
    #[serde(rename = "case")]
    pub(crate) name: &'static str,
    pub(crate) unit: &'static str,
    pub(crate) ours: f64,
    pub(crate) peers: BTreeMap<&'static str, f64>,
    pub(crate) goals: Vec<Goal>,
}

/// What we want to be, as a ratio to a peer: ours divided by the peer's.
#[derive(Debug, serde::Serialize)]
pub(crate) struct Goal {
    pub(crate) peer: &'static str,
    pub(crate) ratio: f64,
    pub(crate) op: &'static str,
    #[serde(rename = "goal")]
    pub(crate) limit: f64,
    pub(crate) met: bool,
}

impl Case {
    /// A case by the samples of each contender, ours under the name `ours`.
    pub(crate) fn new(
        name: &'static str,
        unit: &'static str,
        samples: &BTreeMap<&'static str, Vec<f64>>,
        goals: &[(&'static str, f64)],
    ) -> Self {
        let medians: BTreeMap<_, _> = samples
            .iter()
            .map(|(name, samples)| (*name, median(samples)))
            .collect();
        let ours = medians.get("ours").copied().unwrap_or(f64::NAN);
        let peers: BTreeMap<_, _> = medians
            .into_iter()
            .filter(|(name, _)| *name != "ours")
            .collect();
        let goals = goals
            .iter()
            .map(|&(peer, limit)| {
                let ratio = ours / peers.get(peer).copied().unwrap_or(f64::NAN);
                Goal {
                    peer,
                    ratio,
                    op: "<=",
                    limit,
                    met: ratio <= limit,
                }
            })
            .collect();
        Self {
            name,
            unit,
            ours,
            peers,
            goals,
        }
    }
}

pub(crate) fn median(samples: &[f64]) -> f64 {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match (sorted.get(middle), sorted.get(middle.wrapping_sub(1))) {
        (Some(upper), Some(lower)) if sorted.len().is_multiple_of(2) => {
            f64::midpoint(*lower, *upper)
        }
        (Some(middle), _) => *middle,
        _ => f64::NAN,
    }
}

impl Report {
    /// Prints the table and writes `target/bench/<name>.json` and `.svg`.
    pub(crate) fn publish(&self) -> std::io::Result<()> {
        print!("{}", self.table());
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../target/bench");
        std::fs::create_dir_all(&folder)?;
        let json = serde_json::to_vec_pretty(self).map_err(std::io::Error::other)?;
        std::fs::write(folder.join(format!("{}.json", self.name)), json)?;
        std::fs::write(folder.join(format!("{}.svg", self.name)), self.svg())
    }

    fn table(&self) -> String {
        let mut out = format!("\n{}, medians of {} rounds\n", self.name, self.rounds);
        for case in &self.cases {
            let _ = writeln!(out, "\n{} ({})", case.name, case.unit);
            let _ = writeln!(out, "  {:32} {:>10.2}", "ours", case.ours);
            for (peer, value) in &case.peers {
                let _ = writeln!(
                    out,
                    "  {peer:32} {value:>10.2}   ours/peer {:.3}",
                    case.ours / value
                );
            }
            for goal in &case.goals {
                let met = if goal.met { "met" } else { "NOT MET" };
                let Goal {
                    peer,
                    ratio,
                    op,
                    limit,
                    ..
                } = goal;
                let _ = writeln!(out, "  goal: {op} {limit} x {peer}: {ratio:.3}, {met}");
            }
        }
        out
    }

    fn svg(&self) -> String {
        const BAR: f64 = 22.0;
        let mut y = 10.0;
        let mut body = String::new();
        for case in &self.cases {
            let _ = write!(
                body,
                "<text x='10' y='{}' font-weight='bold'>{} ({})</text>",
                y + 14.0,
                case.name,
                case.unit
            );
            y += BAR;
            let bars = std::iter::once(("ours", case.ours))
                .chain(case.peers.iter().map(|(k, v)| (*k, *v)));
            let longest = bars.clone().map(|(_, value)| value).fold(0.0, f64::max);
            for (name, value) in bars {
                let width = if longest > 0.0 {
                    400.0 * value / longest
                } else {
                    0.0
                };
                let fill = if name == "ours" { "#2a6f97" } else { "#a9b4c2" };
                let _ = write!(
                    body,
                    "<text x='10' y='{}'>{name}</text><rect x='260' y='{y}' width='{width:.1}' height='16' fill='{fill}'/>\
                     <text x='{:.1}' y='{}'>{value:.2}</text>",
                    y + 13.0,
                    265.0 + width,
                    y + 13.0,
                );
                y += BAR;
            }
            y += BAR / 2.0;
        }
        format!(
            "<svg xmlns='http://www.w3.org/2000/svg' width='760' height='{y:.0}' font-family='sans-serif' font-size='13'>{body}</svg>\n"
        )
    }
}

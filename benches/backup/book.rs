//! What was measured, while a benchmark runs.

use std::collections::BTreeMap;

use crate::Samples;
use crate::harness::Case;
use crate::measure::Cost;

/// The name of ours, beside those of the peers.
pub(crate) const OURS: &str = "ours";

/// Everything that is measured, by what and by contender.
#[derive(Default)]
pub(crate) struct Book(BTreeMap<&'static str, Samples>);

impl Book {
    pub(crate) fn note(&mut self, what: &'static str, who: &'static str, value: f64) {
        self.0
            .entry(what)
            .or_default()
            .entry(who)
            .or_default()
            .push(value);
    }

    /// Under three names: the time, the processors, the memory.
    pub(crate) fn cost(
        &mut self,
        [wall, cpu, memory]: [&'static str; 3],
        who: &'static str,
        cost: Cost,
    ) {
        self.note(wall, who, cost.seconds);
        self.note(cpu, who, cost.cpu());
        self.note(memory, who, cost.peak_mib);
    }

    /// `None` where nothing was measured.
    pub(crate) fn case(
        &self,
        name: &'static str,
        unit: &'static str,
        goals: &[(&'static str, f64)],
    ) -> Option<Case> {
        let samples = self.0.get(name)?;
        let there = |goal: &&(&'static str, f64)| samples.contains_key(goal.0);
        let goals: Vec<_> = goals.iter().filter(there).copied().collect();
        Some(Case::new(name, unit, samples, &goals))
    }
}

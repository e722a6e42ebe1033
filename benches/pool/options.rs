//! What a run is asked to do.

use std::str::FromStr;

use crate::footprint::Job;
use crate::{Result, contended, footprint, outage, spike, uncontended, waiters, wedge};

/// In the order in which they run.
const ALL: [&str; 7] = [
    uncontended::NAME,
    contended::NAME,
    spike::NAME,
    wedge::NAME,
    outage::NAME,
    waiters::NAME,
    footprint::NAME,
];

#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) quick: bool,
    pub(crate) rounds: usize,
    pub(crate) workers: usize,
    pub(crate) scenarios: Scenarios,
    /// This process is to hold connections and to tell what they cost.
    pub(crate) footprint: Option<Job>,
}

#[derive(Clone, Debug)]
pub(crate) struct Scenarios {
    pub(crate) wanted: Vec<String>,
}

impl Options {
    pub(crate) fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Self> {
        let mut options = Self {
            quick: false,
            rounds: 7,
            workers: 2,
            scenarios: Scenarios { wanted: Vec::new() },
            footprint: None,
        };
        while let Some(name) = arguments.next() {
            let mut value = || arguments.next().ok_or(format!("{name} needs a value"));
            match name.as_str() {
                "--quick" => (options.quick, options.rounds) = (true, 3),
                "--rounds" => options.rounds = number::<usize>(&value()?)?.max(1),
                "--workers" => options.workers = number::<usize>(&value()?)?.max(1),
                "--only" => options.scenarios.wanted.push(value()?),
                "--footprint" => options.footprint = Some(value()?.parse()?),
                // What cargo bench adds.
                "--bench" => {}
                _ => return Err(format!("{name} is not known").into()),
            }
        }
        let wanted = &mut options.scenarios.wanted;
        if let Some(unknown) = wanted.iter().find(|name| !ALL.contains(&name.as_str())) {
            return Err(format!("no scenario {unknown}; there are: {}", ALL.join(", ")).into());
        }
        if wanted.is_empty() {
            wanted.extend(ALL.map(str::to_owned));
        }
        Ok(options)
    }

    /// A count or a length of time, a fifth of it in a quick run.
    pub(crate) fn scaled<T: std::ops::Div<u32, Output = T>>(&self, full: T) -> T {
        if self.quick { full / 5 } else { full }
    }
}

fn number<T: FromStr>(text: &str) -> Result<T>
where
    T::Err: std::error::Error + Send + Sync + 'static,
{
    Ok(text.parse()?)
}

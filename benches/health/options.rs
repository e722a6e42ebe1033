//! What a run is asked to do.

use std::ops::Div;

use crate::{Result, footprint, queries, routes, start, traffic};

/// In the order in which they run.
const ALL: [&str; 5] = [
    routes::NAME,
    queries::NAME,
    traffic::NAME,
    footprint::NAME,
    start::NAME,
];

#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) quick: bool,
    pub(crate) rounds: usize,
    pub(crate) workers: usize,
    pub(crate) wanted: Vec<String>,
}

impl Options {
    pub(crate) fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Self> {
        let mut options = Self {
            quick: false,
            rounds: 7,
            workers: 2,
            wanted: Vec::new(),
        };
        while let Some(name) = arguments.next() {
            let mut value = || arguments.next().ok_or(format!("{name} needs a value"));
            match name.as_str() {
                "--quick" => (options.quick, options.rounds) = (true, 3),
                "--rounds" => options.rounds = value()?.parse::<usize>()?.max(1),
                "--workers" => options.workers = value()?.parse::<usize>()?.max(1),
                "--only" => options.wanted.push(value()?),
                // What cargo bench adds.
                "--bench" => {}
                _ => return Err(format!("{name} is not known").into()),
            }
        }
        let unknown = options.wanted.iter().find(|it| !ALL.contains(&it.as_str()));
        if let Some(unknown) = unknown {
            return Err(format!("no scenario {unknown}; there are: {}", ALL.join(", ")).into());
        }
        if options.wanted.is_empty() {
            options.wanted.extend(ALL.map(str::to_owned));
        }
        Ok(options)
    }

    /// A length of time, a fifth of it in a quick run.
    pub(crate) fn scaled<T: Div<u32, Output = T>>(&self, full: T) -> T {
        if self.quick { full / 5 } else { full }
    }
}

//! Lanes of the queue.

use std::borrow::Cow;

use crate::core::{LaneId, LaneSettings};

/// The name of the lane of callers that ask for no other.
pub(crate) const DEFAULT: &str = "default";

/// A lane of the queue: callers of one kind, such as web requests or jobs.
///
/// Inside a lane callers are served in the order of arrival. Among lanes in which somebody
/// waits turns go round, [`weight`](Self::weight) callers each, so no lane can starve
/// another: the head of a lane is overtaken by at most as many later callers as the other
/// lanes have weight together.
///
/// Every pool has the lane `default`, of weight 1 unless a lane of that name is described.
///
/// ```
/// use ops_pool::Lane;
///
/// // Eight web requests for each job, and two connections that only the console may use.
/// let lanes = [
///     Lane::new("default").weight(8),
///     Lane::new("jobs"),
///     Lane::new("console").reserved(2),
/// ];
/// # let _ = lanes;
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "a lane is given to a pool's builder"]
pub struct Lane {
    name: Cow<'static, str>,
    weight: u32,
    reserved: usize,
}

impl Lane {
    /// A lane of weight 1 with nothing reserved.
    pub fn new(name: impl Into<Cow<'static, str>>) -> Self {
        Self {
            name: name.into(),
            weight: 1,
            reserved: 0,
        }
    }

    /// Sets how many callers of this lane are served in a row while others wait in other
    /// lanes. Defaults to 1. Zero is refused by the pool.
    pub fn weight(mut self, weight: u32) -> Self {
        self.weight = weight;
        self
    }

    /// Sets how many of the pool's connections no other lane may take. Defaults to 0. The
    /// lane may use more than that where others leave it something.
    pub fn reserved(mut self, connections: usize) -> Self {
        self.reserved = connections;
        self
    }
}

/// The lanes of a pool. The default one comes first.
#[derive(Clone, Debug)]
pub(crate) struct Lanes(Vec<Lane>);

impl Lanes {
    /// Puts the default lane first. What is wrong is told to `problem`.
    pub(crate) fn new(lanes: &[Lane], pool_size: usize, problem: &mut impl FnMut(String)) -> Self {
        let mut all: Vec<Lane> = vec![Lane::new(DEFAULT)];
        for lane in lanes {
            if lane.weight == 0 {
                problem(format!("the weight of lane {} is 0", lane.name));
            }
            match all.iter().position(|other| other.name == lane.name) {
                Some(0) if lanes.iter().filter(|it| it.name == DEFAULT).count() == 1 => {
                    if let Some(default) = all.first_mut() {
                        default.clone_from(lane);
                    }
                }
                Some(_) => problem(format!("there are two lanes {}", lane.name)),
                None => all.push(lane.clone()),
            }
        }
        let lanes = Self(all);
        let (reserved, nothing_left) = (lanes.reserved(), lanes.starves(pool_size));
        if let Some(lane) = nothing_left {
            problem(format!(
                "{reserved} of {pool_size} connections are reserved: nothing is left for lane {lane}"
            ));
        }
        lanes
    }

    pub(crate) fn reserved(&self) -> usize {
        self.0.iter().map(|lane| lane.reserved).sum()
    }

    /// A lane that would never get a connection.
    pub(crate) fn starves(&self, pool_size: usize) -> Option<&str> {
        if self.reserved() > pool_size {
            return Some(DEFAULT);
        }
        let left = pool_size - self.reserved();
        let starved = self.0.iter().find(|lane| left == 0 && lane.reserved == 0);
        starved.map(|lane| &*lane.name)
    }

    pub(crate) fn find(&self, name: &str) -> Option<LaneId> {
        let place = self.0.iter().position(|lane| lane.name == name);
        place.map(LaneId)
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = (LaneId, &str)> {
        let names = self.0.iter().enumerate();
        names.map(|(index, lane)| (LaneId(index), &*lane.name))
    }

    pub(crate) fn settings(&self) -> Vec<LaneSettings> {
        let settings = self.0.iter().map(|lane| LaneSettings {
            weight: lane.weight,
            reserved: lane.reserved,
        });
        settings.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(lanes: &[Lane], pool_size: usize) -> Vec<String> {
        let mut problems = Vec::new();
        Lanes::new(lanes, pool_size, &mut |problem| problems.push(problem));
        problems
    }

    #[test]
    fn the_default_lane_comes_first_whether_described_or_not() {
        let none = Lanes::new(&[Lane::new("jobs")], 5, &mut |it| panic!("{it}"));
        assert_eq!(none.find("default"), Some(LaneId(0)));
        assert_eq!(none.find("jobs"), Some(LaneId(1)));
        let described = [Lane::new("jobs"), Lane::new("default").weight(8)];
        let described = Lanes::new(&described, 5, &mut |it| panic!("{it}"));
        assert_eq!(described.find("jobs"), Some(LaneId(1)));
        assert_eq!(
            described.settings().first().map(|lane| lane.weight),
            Some(8)
        );
        assert_eq!(described.find("web"), None);
    }

    #[test]
    fn every_problem_is_told() {
        let lanes = [
            Lane::new("a").weight(0),
            Lane::new("a"),
            Lane::new("default"),
            Lane::new("default"),
            Lane::new("b").reserved(4),
        ];
        assert_eq!(
            problems(&lanes, 4),
            [
                "the weight of lane a is 0",
                "there are two lanes a",
                "there are two lanes default",
                "there are two lanes default",
                "4 of 4 connections are reserved: nothing is left for lane default",
            ]
        );
        assert_eq!(problems(&[Lane::new("b").reserved(3)], 4), [""; 0]);
    }
}

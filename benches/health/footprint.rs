//! What a service's checks and an objective take in memory.

use std::time::Duration;

use ops_health::slo::Slo;
use ops_health::{Health, Question, Scheduler, Watch, WatchTask};

use crate::Result;
use crate::child::Child;
use crate::job::{Job, Task};
use crate::measure::{Samples, resident};
use crate::options::Options;
use crate::report::{Gate, Table};
use crate::site::{CHECKS, service};

pub(crate) const NAME: &str = "memory";

/// How many services are taken together, so that the pages of one matter little.
const SERVICES: u16 = 32;
const LIMIT: f64 = 1024.0;

const PLAIN: &str = "20 checks";
const WITH_SLO: &str = "20 checks and 1 objective";

pub(crate) async fn run(options: &Options) -> Result<Vec<Table>> {
    let mut samples = Samples::default();
    for _ in 0..options.rounds.min(3) {
        for (name, objectives) in [(PLAIN, false), (WITH_SLO, true)] {
            let job = Job {
                task: Task::Footprint { objectives },
                workers: options.workers,
                half: None,
            };
            let bytes: f64 = Child::start(&job).await?.finish().await?.parse()?;
            samples.add(name, &[bytes / 1024.0]);
        }
    }
    let title = format!("memory of a service, one of {SERVICES} in a process");
    let table = Table::new(title, &[("resident", "KiB")]);
    let table = table.with_medians(&samples, &[PLAIN, WITH_SLO]);
    let value = samples.median(WITH_SLO, 0);
    let gate = Gate::at_most(format!("KiB, {WITH_SLO}"), value, LIMIT);
    Ok(vec![table.with_gates([gate])])
}

type Running = (Health, Scheduler, Option<(Watch, WatchTask)>);

/// Makes services that run, and prints how many bytes each takes.
pub(crate) async fn child(objectives: bool) -> Result<()> {
    // What the first one makes is there for all.
    let first = running(objectives)?;
    well(&first.0).await;
    let before = resident()?;
    let all: Vec<Running> = (0..SERVICES)
        .map(|_| running(objectives))
        .collect::<Result<_>>()?;
    for (health, ..) in &all {
        well(health).await;
    }
    // The watch looks once a second.
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    println!("{}", (resident()? - before) / f64::from(SERVICES));
    drop((first, all));
    Ok(())
}

fn running(objectives: bool) -> Result<Running> {
    let health = service(Duration::ZERO).build()?;
    assert_eq!(health.checks().len(), CHECKS, "all checks are there");
    let scheduler = health.start()?;
    let watch = objectives.then(|| -> Result<_> {
        let slo = Slo::builder("availability").objective(0.999).build()?;
        let watch = Watch::builder(&health).slo(slo).build()?;
        let task = watch.start()?;
        Ok((watch, task))
    });
    Ok((health, scheduler, watch.transpose()?))
}

/// Waits until every check has run.
async fn well(health: &Health) {
    while !health.verdict(Question::Health).status.is_up() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

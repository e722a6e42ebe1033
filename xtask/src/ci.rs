//! What must hold before a change is merged, beside the tests.

use std::time::{Duration, Instant};

use crate::command::{self, Cmd};
use crate::failure::{Failure, Result};
use crate::new_provider;
use crate::providers;
use crate::tidy;
use crate::workspace::{self, Package};

mod deny;
mod features;
mod tree;

type Run = fn(&[Package]) -> Result<Outcome>;

/// How a step ended that did not fail.
enum Outcome {
    Passed,
    /// Its tool is not here, and is not worth building: why.
    NotRun(&'static str),
}

/// Cheap steps first, so that a small mistake shows early.
const STEPS: [(&str, Run); 10] = [
    ("fmt", fmt),
    ("tidy", |_| tidy::check(false).map(passed)),
    ("typos", typos),
    ("tree", |packages| tree::check(packages).map(passed)),
    ("clippy", clippy),
    ("features", |packages| features::check(packages).map(passed)),
    ("skeleton", |_| new_provider::check().map(passed)),
    ("providers", |packages| {
        providers::check(packages).map(|why| why.map_or(Outcome::Passed, Outcome::NotRun))
    }),
    ("docs", docs),
    ("deny", |_| deny::check().map(passed)),
];

/// `cargo xtask ci`.
pub(crate) fn command(args: &[String]) -> Result {
    if args == ["--list"] {
        for (name, _) in STEPS {
            println!("{name}");
        }
        return Ok(());
    }
    let steps = chosen(args)?;
    let packages = workspace::packages()?;
    let start = Instant::now();
    let mut report = Vec::new();
    let mut failed = Vec::new();
    for (name, run) in steps {
        println!("\n== {name}");
        let step = Instant::now();
        let outcome = run(&packages);
        report.push(line(name, &outcome, step.elapsed()));
        if let Err(failure) = outcome {
            eprintln!("error: {}", failure.message());
            failed.push(name);
        }
    }
    println!("\n== ci: {:.0} s", start.elapsed().as_secs_f64());
    println!("{}", report.join("\n"));
    if failed.is_empty() {
        Ok(())
    } else {
        Err(Failure::new(format!(
            "these steps of ci failed: {}",
            failed.join(", ")
        )))
    }
}

fn chosen(args: &[String]) -> Result<Vec<(&'static str, Run)>> {
    if args.is_empty() {
        return Ok(STEPS.to_vec());
    }
    let find = |arg: &String| {
        let step = STEPS.into_iter().find(|(name, _)| name == arg);
        step.ok_or_else(|| Failure::usage(format!("ci has no step `{arg}`")))
    };
    args.iter().map(find).collect()
}

fn passed((): ()) -> Outcome {
    Outcome::Passed
}

fn line(name: &str, outcome: &Result<Outcome>, took: Duration) -> String {
    let verdict = match outcome {
        Ok(Outcome::Passed) => "passed".to_owned(),
        Ok(Outcome::NotRun(why)) => format!("NOT RUN: {why}"),
        Err(_) => "FAILED".to_owned(),
    };
    format!("{name:<10} {:>6.1} s  {verdict}", took.as_secs_f64())
}

fn cargo(args: &[&str]) -> Cmd {
    Cmd::cargo()
        .args(args.iter().copied())
        .folder(workspace::root())
}

fn fmt(_: &[Package]) -> Result<Outcome> {
    cargo(&["fmt", "--all", "--check"]).run().map(passed)
}

/// The spelling checker takes minutes to build and finds little that matters.
fn typos(_: &[Package]) -> Result<Outcome> {
    if command::find("typos").is_none() {
        return Ok(Outcome::NotRun("typos is not installed"));
    }
    Cmd::new("typos")
        .folder(workspace::root())
        .run()
        .map(passed)
}

/// The library crates without their features are linted by the step `features`.
fn clippy(_: &[Package]) -> Result<Outcome> {
    let args = [
        "clippy",
        "--workspace",
        "--all-targets",
        "--all-features",
        "--",
        "-D",
        "warnings",
    ];
    cargo(&args).run().map(passed)
}

fn docs(_: &[Package]) -> Result<Outcome> {
    cargo(&["doc", "--no-deps", "--workspace", "--all-features"])
        .env("RUSTDOCFLAGS", "-Dwarnings")
        .run()
        .map(passed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_arguments_every_step_runs() {
        assert_eq!(chosen(&[]).unwrap().len(), STEPS.len());
    }

    #[test]
    fn steps_can_be_chosen_by_name() {
        let names: Vec<_> = chosen(&["tree".to_owned(), "fmt".to_owned()])
            .unwrap()
            .iter()
            .map(|step| step.0)
            .collect();
        assert_eq!(names, ["tree", "fmt"]);
        assert!(matches!(
            chosen(&["lint".to_owned()]),
            Err(Failure::Usage(_))
        ));
    }

    #[test]
    fn a_step_that_did_not_run_does_not_look_passed() {
        let line = line(
            "typos",
            &Ok(Outcome::NotRun("why")),
            Duration::from_millis(20),
        );
        assert_eq!(line, "typos         0.0 s  NOT RUN: why");
    }
}

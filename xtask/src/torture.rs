//! Kills and faults at points that seeds choose.

use std::time::Instant;

use crate::command::Cmd;
use crate::failure::{Failure, Result};
use crate::{setup, workspace};

/// How many seeds run where nothing is said.
const SEEDS: u64 = 200;

/// What is to run.
#[derive(Debug, PartialEq, Eq)]
struct Options {
    seeds: u64,
    first: u64,
    /// What the stores are: `local`, `s3`, or `mixed`, as each seed says.
    store: String,
    release: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            seeds: SEEDS,
            first: 1,
            store: "mixed".to_owned(),
            release: false,
        }
    }
}

/// `cargo xtask torture backup [--seeds N] [--seed S] [--store local|s3|mixed] [--release]`.
pub(crate) fn command(args: &[String]) -> Result {
    let options = parse(args)?;
    setup::ensure()?;
    backup(&options)
}

/// What runs with the tests.
pub(crate) fn usual() -> Result {
    backup(&Options::default())
}

fn backup(options: &Options) -> Result {
    let start = Instant::now();
    let seeds = options.seeds;
    let arguments = [
        "--seeds".to_owned(),
        seeds.to_string(),
        "--seed".to_owned(),
        options.first.to_string(),
        "--store".to_owned(),
        options.store.clone(),
    ];
    let profile = options.release.then_some("--release");
    let outcome = setup::with_majors(Cmd::cargo())
        .args(["test", "--workspace", "--all-features", "--test", "torture"])
        .args(profile)
        .args(["--"])
        .args(arguments)
        .env("OPS_TESTKIT_REQUIRE", "1")
        .folder(workspace::root())
        .run();
    let verdict = if outcome.is_ok() { "passed" } else { "FAILED" };
    let seconds = start.elapsed().as_secs_f64();
    println!("torture backup: {seeds} seeds {verdict} in {seconds:.1} s, building included");
    outcome
}

fn parse(args: &[String]) -> Result<Options> {
    let Some((subject, rest)) = args.split_first() else {
        return Err(Failure::usage("torture what? There is `backup`"));
    };
    if subject != "backup" {
        return Err(Failure::usage(format!(
            "torture has no `{subject}`; there is `backup`"
        )));
    }
    let mut options = Options::default();
    let mut rest = rest.iter();
    while let Some(flag) = rest.next() {
        let slot = match flag.as_str() {
            "--seeds" => &mut options.seeds,
            "--seed" => &mut options.first,
            "--release" => {
                options.release = true;
                continue;
            }
            "--store" => {
                let store = rest.next().map(String::as_str);
                let known = store.filter(|it| ["local", "s3", "mixed"].contains(it));
                let usage = || Failure::usage("--store is local, s3 or mixed");
                known.ok_or_else(usage)?.clone_into(&mut options.store);
                continue;
            }
            _ => return Err(Failure::usage(format!("torture does not take `{flag}`"))),
        };
        let number = rest.next().and_then(|text| text.parse().ok());
        *slot = number.ok_or_else(|| Failure::usage(format!("{flag} needs a number")))?;
    }
    Ok(options)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Options> {
        let args: Vec<_> = line.split_whitespace().map(str::to_owned).collect();
        parse(&args)
    }

    #[test]
    fn two_hundred_seeds_run_over_both_stores_unless_something_else_is_asked_for() {
        assert_eq!(parsed("backup").unwrap(), Options::default());
        let asked = Options {
            seeds: 3,
            first: 9,
            store: "s3".to_owned(),
            release: true,
        };
        let line = "backup --seed 9 --seeds 3 --release --store s3";
        assert_eq!(parsed(line).unwrap(), asked);
    }

    #[test]
    fn what_is_not_known_is_a_usage_error() {
        for line in [
            "",
            "pool",
            "backup --seeds",
            "backup --seeds x",
            "backup --store",
            "backup --store tape",
            "backup --fast",
        ] {
            assert!(matches!(parsed(line), Err(Failure::Usage(_))), "{line}");
        }
    }
}

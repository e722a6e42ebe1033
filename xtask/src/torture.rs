//! Kills and faults at points that seeds choose.

use std::time::Instant;

use crate::command::Cmd;
use crate::failure::{Failure, Result};
use crate::{setup, workspace};

/// How many seeds run where nothing is said.
const SEEDS: u64 = 200;

/// `cargo xtask torture backup [--seeds N] [--seed S]`.
pub(crate) fn command(args: &[String]) -> Result {
    let (seeds, first) = parse(args)?;
    setup::ensure()?;
    backup(seeds, first)
}

/// What runs with the tests.
pub(crate) fn usual() -> Result {
    backup(SEEDS, 1)
}

fn backup(seeds: u64, first: u64) -> Result {
    let start = Instant::now();
    let arguments = [
        "--seeds".to_owned(),
        seeds.to_string(),
        "--seed".to_owned(),
        first.to_string(),
    ];
    let outcome = setup::with_majors(Cmd::cargo())
        .args([
            "test",
            "--workspace",
            "--all-features",
            "--test",
            "torture",
            "--",
        ])
        .args(arguments)
        .env("OPS_TESTKIT_REQUIRE", "1")
        .folder(workspace::root())
        .run();
    let verdict = if outcome.is_ok() { "passed" } else { "FAILED" };
    let seconds = start.elapsed().as_secs_f64();
    println!("torture backup: {seeds} seeds {verdict} in {seconds:.1} s, building included");
    outcome
}

fn parse(args: &[String]) -> Result<(u64, u64)> {
    let Some((subject, rest)) = args.split_first() else {
        return Err(Failure::usage("torture what? There is `backup`"));
    };
    if subject != "backup" {
        return Err(Failure::usage(format!(
            "torture has no `{subject}`; there is `backup`"
        )));
    }
    let (mut seeds, mut first) = (SEEDS, 1);
    let mut rest = rest.iter();
    while let Some(flag) = rest.next() {
        let slot = match flag.as_str() {
            "--seeds" => &mut seeds,
            "--seed" => &mut first,
            _ => return Err(Failure::usage(format!("torture does not take `{flag}`"))),
        };
        let number = rest.next().and_then(|text| text.parse().ok());
        *slot = number.ok_or_else(|| Failure::usage(format!("{flag} needs a number")))?;
    }
    Ok((seeds, first))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<(u64, u64)> {
        let args: Vec<_> = line.split_whitespace().map(str::to_owned).collect();
        parse(&args)
    }

    #[test]
    fn two_hundred_seeds_run_unless_another_number_is_given() {
        assert_eq!(parsed("backup").unwrap(), (200, 1));
        assert_eq!(parsed("backup --seed 9 --seeds 3").unwrap(), (3, 9));
    }

    #[test]
    fn what_is_not_known_is_a_usage_error() {
        for line in [
            "",
            "pool",
            "backup --seeds",
            "backup --seeds x",
            "backup --fast",
        ] {
            assert!(matches!(parsed(line), Err(Failure::Usage(_))), "{line}");
        }
    }
}

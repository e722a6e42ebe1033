//! Every test, with every real server it needs.

use std::sync::Mutex;
use std::time::Instant;

use crate::command::{self, Cmd};
use crate::failure::{Failure, Result};
use crate::{localstack, setup, torture, workspace};

/// How many tests a run had.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Tally {
    passed: u64,
    failed: u64,
}

impl Tally {
    fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
    }
}

/// `cargo xtask test`.
pub(crate) fn command(args: &[String]) -> Result {
    let (quick, filters) = parse(args)?;
    let start = Instant::now();
    setup::ensure()?;
    let localstack = if quick {
        None
    } else {
        setup::ensure_majors();
        setup::ensure_s3()?;
        setup::start_localstack()?
    };
    let nextest = command::find("cargo-nextest").is_some();
    let mut failures = Vec::new();
    let mut run = |cmd: Cmd, read: fn(&str) -> Option<Tally>| {
        let cmd = match &localstack {
            Some(server) => cmd.env(localstack::URL, server.endpoint()),
            None => cmd,
        };
        let tally = Mutex::new(Tally::default());
        let see = |line: &str| {
            if let (Some(more), Ok(mut tally)) = (read(line), tally.lock()) {
                tally.add(more);
            }
        };
        if let Err(failure) = cmd.run_seen(&see) {
            failures.push(failure.message().to_owned());
        }
        tally.into_inner().unwrap_or_default()
    };

    let (cmd, read) = if nextest {
        (
            nextest_command(quick),
            read_nextest as fn(&str) -> Option<Tally>,
        )
    } else {
        (
            libtest_command(quick),
            read_libtest as fn(&str) -> Option<Tally>,
        )
    };
    if !nextest && !quick {
        // Tests run example programs, which cargo test alone does not build.
        run(examples_command(), |_| None);
    }
    let tests = run(cmd.args(filters), read);
    let mut doctests = Tally::default();
    if !quick && filters.is_empty() {
        doctests = run(doctest_command(), read_libtest);
    }
    if !quick
        && filters.is_empty()
        && let Err(failure) = torture::usual()
    {
        failures.push(failure.message().to_owned());
    }

    let seconds = start.elapsed().as_secs_f64();
    if !nextest {
        // cargo prints a result per binary and no total.
        let (passed, failed) = (
            tests.passed + doctests.passed,
            tests.failed + doctests.failed,
        );
        println!("{passed} passed, {failed} failed");
    }
    println!(
        "test: {} tests and {} doctests in {seconds:.1} s",
        tests.passed + tests.failed,
        doctests.passed + doctests.failed
    );
    println!(
        "test: where all majors count, on PostgreSQL {}",
        setup::majors().join(", ")
    );
    if failures.is_empty() {
        Ok(())
    } else {
        Err(Failure::new(failures.join("\n")))
    }
}

fn parse(args: &[String]) -> Result<(bool, &[String])> {
    let (quick, filters) = match args.split_first() {
        Some((first, rest)) if first == "--quick" => (true, rest),
        _ => (false, args),
    };
    match filters.iter().find(|filter| filter.starts_with('-')) {
        Some(flag) => Err(Failure::usage(format!("test does not take `{flag}`"))),
        None => Ok((quick, filters)),
    }
}

/// What every command that runs tests has in common: the same packages and features
/// everywhere, so that everything is compiled once.
fn with_everything(cmd: Cmd) -> Cmd {
    setup::with_s3(setup::with_majors(cmd))
        .args(["--workspace", "--all-features"])
        .env("OPS_TESTKIT_REQUIRE", "1")
        .env("INSTA_UPDATE", "no")
        .folder(workspace::root())
}

fn nextest_command(quick: bool) -> Cmd {
    let cmd = with_everything(Cmd::cargo().args(["nextest", "run"])).arg("--no-fail-fast");
    if quick {
        cmd.args(["--lib", "--bins"])
    } else {
        cmd
    }
}

fn libtest_command(quick: bool) -> Cmd {
    let cmd = with_everything(Cmd::cargo().arg("test")).args(["--no-fail-fast", "--lib", "--bins"]);
    if quick { cmd } else { cmd.arg("--tests") }
}

fn examples_command() -> Cmd {
    with_everything(Cmd::cargo().args(["build", "--examples"]))
}

/// Neither nextest nor `--all-targets` runs doctests.
fn doctest_command() -> Cmd {
    with_everything(Cmd::cargo().args(["test", "--doc"])).arg("--no-fail-fast")
}

/// Reads `Summary [ 1.2s] 9 tests run: 7 passed (1 slow), 1 failed, 1 timed out, 2 skipped`.
fn read_nextest(line: &str) -> Option<Tally> {
    let counts = line
        .trim_start()
        .strip_prefix("Summary ")?
        .split_once("run: ")?
        .1;
    let mut tally = Tally::default();
    for count in without_remarks(counts).split(", ") {
        let mut words = count.split_whitespace();
        let number: u64 = words.next()?.parse().ok()?;
        match words.next()? {
            "passed" => tally.passed += number,
            "skipped" => {}
            // Failed, timed out, could not be started.
            _ => tally.failed += number,
        }
    }
    Some(tally)
}

/// Removes what stands in parentheses: remarks on tests that were counted already.
fn without_remarks(text: &str) -> String {
    let mut parts = text.split('(');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |kept, part| {
        kept + part.split_once(')').map_or("", |(_, rest)| rest)
    })
}

/// Reads `test result: ok. 5 passed; 0 failed; 1 ignored; 0 measured; ...`.
fn read_libtest(line: &str) -> Option<Tally> {
    let counts = line.strip_prefix("test result: ")?.split_once(". ")?.1;
    let of = |word: &str| -> Option<u64> {
        let mut parts = counts.split(';').map(str::trim);
        parts.find_map(|part| part.strip_suffix(word)?.trim().parse().ok())
    };
    Some(Tally {
        passed: of("passed")?,
        failed: of("failed")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_of_nextest_is_read() {
        let line = "     Summary [   4.301s] 120 tests run: 117 passed (1 slow, 2 leaky), 1 failed, 2 timed out, 3 skipped\n";
        assert_eq!(
            read_nextest(line),
            Some(Tally {
                passed: 117,
                failed: 3
            })
        );
        let interrupted = "     Summary [   0.107s] 1/20 tests run: 1 passed, 0 skipped";
        assert_eq!(
            read_nextest(interrupted),
            Some(Tally {
                passed: 1,
                failed: 0
            })
        );
        assert_eq!(
            read_nextest("        PASS [   0.010s] ops-core id::tests::ok"),
            None
        );
    }

    #[test]
    fn the_result_line_of_cargo_test_is_read() {
        let line = "test result: FAILED. 5 passed; 2 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s\n";
        assert_eq!(
            read_libtest(line),
            Some(Tally {
                passed: 5,
                failed: 2
            })
        );
        assert_eq!(read_libtest("test id::tests::ok ... ok"), None);
    }

    #[test]
    fn every_run_covers_the_workspace_and_requires_the_servers() {
        for cmd in [
            nextest_command(false),
            libtest_command(false),
            doctest_command(),
        ] {
            let line = cmd.to_string();
            assert!(line.contains("OPS_TESTKIT_REQUIRE=1 "), "{line}");
            assert!(line.contains(" --workspace --all-features"), "{line}");
        }
    }

    #[test]
    fn filters_come_after_the_flag() {
        let args = ["--quick".to_owned(), "secret".to_owned()];
        assert_eq!(parse(&args).unwrap(), (true, &args[1..]));
        assert!(matches!(
            parse(&["--fast".to_owned()]),
            Err(Failure::Usage(_))
        ));
    }
}

//! The demo and the benchmarks.

use crate::command::Cmd;
use crate::failure::{Failure, Result};
use crate::{setup, workspace};

const BENCHES: &str = "ops-benches";

/// The benchmark that needs S3 servers.
const OBJECT_STORE: &str = "object-store";

/// The benchmark with a peer that nothing else needs, and an S3 server of ours.
const BACKUP: &str = "backup";

/// Runs the demo, with everything it needs installed first.
pub(crate) fn demo(args: &[String]) -> Result {
    let args = args.strip_prefix(&["--".to_owned()]).unwrap_or(args);
    setup::ensure()?;
    setup::with_majors(Cmd::cargo())
        .args([
            "run",
            "--release",
            "-p",
            "ops-examples",
            "--example",
            "demo",
            "--",
        ])
        .args(args)
        .folder(workspace::root())
        .with_terminal()
        .run()
}

/// Runs one benchmark, or all of them. What comes after `--` is for the benchmark itself.
pub(crate) fn bench(args: &[String]) -> Result {
    let known = benches()?;
    let (args, options) = split(args);
    let (names, quick) = chosen(args, &known)?;
    setup::ensure()?;
    if names.contains(&OBJECT_STORE) {
        setup::ensure_s3()?;
    }
    if names.contains(&BACKUP) {
        setup::ensure_tool("pgbackrest");
        Cmd::cargo()
            .args(["build", "--release", "-p", "ops-testkit"])
            .args(["--features", "s3", "--bin", "ops-s3s-fs"])
            .folder(workspace::root())
            .run()?;
    }
    for name in names {
        let mut cmd = setup::with_s3(setup::with_majors(Cmd::cargo()))
            .args(["bench", "-p", BENCHES, "--bench", name]);
        let options = options.iter().map(String::as_str);
        let options: Vec<_> = quick
            .then_some("--quick")
            .into_iter()
            .chain(options)
            .collect();
        if !options.is_empty() {
            cmd = cmd.arg("--").args(options);
        }
        cmd.folder(workspace::root()).run()?;
    }
    Ok(())
}

/// What comes before `--`, and what comes after it.
fn split(args: &[String]) -> (&[String], &[String]) {
    let at = args.iter().position(|arg| arg == "--");
    at.and_then(|at| Some((args.get(..at)?, args.get(at + 1..)?)))
        .unwrap_or((args, &[]))
}

fn benches() -> Result<Vec<String>> {
    let packages = workspace::packages()?;
    let found = packages.into_iter().find(|package| package.name == BENCHES);
    Ok(found.map(|package| package.benches).unwrap_or_default())
}

fn chosen<'a>(args: &[String], known: &'a [String]) -> Result<(Vec<&'a str>, bool)> {
    let mut names = Vec::new();
    let mut quick = false;
    for arg in args {
        if arg == "--quick" {
            quick = true;
        } else if let Some(name) = known.iter().find(|name| *name == arg) {
            names.push(name.as_str());
        } else {
            let known = known.join(", ");
            return Err(Failure::usage(format!(
                "no benchmark `{arg}`; there are: {known}"
            )));
        }
    }
    if names.is_empty() {
        names.extend(known.iter().map(String::as_str));
    }
    Ok((names, quick))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known() -> Vec<String> {
        vec!["backup".to_owned(), "pool".to_owned()]
    }

    #[test]
    fn without_a_name_every_benchmark_runs() {
        assert_eq!(
            chosen(&[], &known()).unwrap(),
            (vec!["backup", "pool"], false)
        );
    }

    #[test]
    fn a_name_and_a_flag_come_in_any_order() {
        let args = ["--quick".to_owned(), "pool".to_owned()];
        assert_eq!(chosen(&args, &known()).unwrap(), (vec!["pool"], true));
    }

    #[test]
    fn what_comes_after_two_dashes_is_for_the_benchmark() {
        let args = ["pool", "--", "--rounds", "9"].map(str::to_owned);
        assert_eq!(split(&args), (&args[..1], &args[2..]));
        assert_eq!(split(&args[..1]), (&args[..1], &[][..]));
        assert_eq!(split(&args[..2]), (&args[..1], &[][..]));
    }

    #[test]
    fn an_unknown_benchmark_is_a_usage_error_that_lists_the_known() {
        let err = chosen(&["pol".to_owned()], &known()).unwrap_err();
        assert!(
            matches!(&err, Failure::Usage(said) if said.contains("backup, pool")),
            "{err:?}"
        );
    }
}

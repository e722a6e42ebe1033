//! Finding, and where it is missing installing, what tests and the demo need.

use std::path::PathBuf;
use std::time::Instant;

use crate::command::{self, Cmd};
use crate::failure::{Failure, Result};
use crate::localstack::LocalStack;
use crate::workspace;

mod find;
mod install;
mod majors;
mod s3;

use find::Found;
use install::Manager;

/// `cargo xtask setup`.
pub(crate) fn command(args: &[String]) -> Result {
    let options = Options::parse(args)?;
    let found = find::look(&workspace::target());
    let unpacking = majors::describe(&options.majors)?;
    print!("{found}");
    let manager = Manager::detect(&command::search_path(), find::is_root());
    let missing = found.missing();
    let target = workspace::target();
    if options.print || s3::find(&target).is_some() {
        println!("{}", s3::describe(&target));
    }
    if missing.is_empty() {
        if s3::find(&target).is_some() {
            println!("nothing to install");
        }
    } else if options.print {
        println!("{}", install::plan(manager, &missing)?);
    } else {
        install_missing(&found, manager)?;
    }
    if options.print {
        for line in unpacking {
            println!("{line}");
        }
        return Ok(());
    }
    s3::ensure(&target, manager)?;
    majors::unpack(&options.majors, &target)
}

/// Finds or installs the S3 servers that are not ours.
pub(crate) fn ensure_s3() -> Result {
    let manager = Manager::detect(&command::search_path(), find::is_root());
    s3::ensure(&workspace::target(), manager)
}

/// Starts LocalStack for all that is run until the result is dropped; none where the
/// environment names one that runs already.
pub(crate) fn start_localstack() -> Result<Option<LocalStack>> {
    let target = workspace::target();
    match s3::find(&target) {
        Some(environment) => LocalStack::start(&environment, &target),
        None => Ok(None),
    }
}

/// Tells a command where the S3 servers are.
pub(crate) fn with_s3(cmd: Cmd) -> Cmd {
    s3::with_localstack(cmd, &workspace::target())
}

/// Finds or installs everything, and says little when all is there.
pub(crate) fn ensure() -> Result {
    let start = Instant::now();
    let found = find::look(&workspace::target());
    if found.missing().is_empty() {
        println!(
            "setup: {} ({:.1} s)",
            found.summary(),
            start.elapsed().as_secs_f64()
        );
        return Ok(());
    }
    print!("{found}");
    install_missing(
        &found,
        Manager::detect(&command::search_path(), find::is_root()),
    )
}

/// Unpacks the majors that tests run on beside the system's. Where one cannot be had, that is
/// said, and it is done without: the tests say which majors they ran on.
pub(crate) fn ensure_majors() {
    let target = workspace::target();
    if !find::lets_servers_through(&target) {
        let shown = target.display();
        println!("going on without further majors: a folder above {shown} lets no servers through");
        return;
    }
    for major in majors::TESTED {
        if let Err(failure) = majors::unpack(&[major], &target) {
            println!("going on without PostgreSQL {major}: {}", failure.message());
        }
    }
}

/// The majors that tests find: those of this machine, and those that we unpacked.
pub(crate) fn majors() -> Vec<String> {
    let unpacked = unpacked();
    let there = |major: &u32| {
        let program = |folder: &PathBuf| folder.join(major.to_string()).join("bin/postgres");
        let ours = unpacked.as_ref().map(program);
        ours.is_some_and(|it| it.exists()) || find::has_major(*major)
    };
    find::MAJORS
        .filter(there)
        .map(|major| major.to_string())
        .collect()
}

/// Finds or installs a program that one command alone needs. Where there is no way to install
/// it, that is said, and it is done without.
pub(crate) fn ensure_tool(name: &'static str) {
    if command::find(name).is_some() {
        return;
    }
    let manager = Manager::detect(&command::search_path(), find::is_root());
    let installed = install::plan(manager, &[find::Need::Tool(name)]).and_then(|plan| {
        println!("{plan}");
        plan.run()
    });
    if let Err(failure) = installed {
        println!("going on without {name}: {}", failure.message());
    }
}

/// The folder of the majors that we unpacked, where servers can run them.
fn unpacked() -> Option<PathBuf> {
    let folder = workspace::target().join("pg");
    (folder.exists() && find::lets_servers_through(&folder)).then_some(folder)
}

/// Tells a command where the majors are that we unpacked, beside those that the
/// environment names already.
pub(crate) fn with_majors(cmd: Cmd) -> Cmd {
    let mut folders = find::explicit_folders();
    folders.extend(unpacked());
    // A test that asks for no major gets the system's: its build has everything.
    let cmd = match find::system_major() {
        Some(major) if std::env::var_os(find::DEFAULT_MAJOR).is_none() => {
            cmd.env(find::DEFAULT_MAJOR, major.to_string())
        }
        _ => cmd,
    };
    match std::env::join_paths(&folders) {
        Ok(joined) if !folders.is_empty() => cmd.env(find::EXPLICIT, joined),
        _ => cmd,
    }
}

fn install_missing(found: &Found, manager: Manager) -> Result {
    let plan = install::plan(manager, &found.missing())?;
    println!("{plan}");
    plan.run()?;
    let found = find::look(&workspace::target());
    let still: Vec<_> = found.missing().iter().map(|need| need.describe()).collect();
    if still.is_empty() {
        println!("setup: {}", found.summary());
        return Ok(());
    }
    Err(Failure::new(format!(
        "still missing after the installation: {}; is its folder in PATH?",
        still.join(", ")
    )))
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Options {
    print: bool,
    majors: Vec<u32>,
}

impl Options {
    fn parse(args: &[String]) -> Result<Self> {
        let mut options = Self::default();
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            match arg.as_str() {
                "--print" => options.print = true,
                "--majors" => {
                    let list = args
                        .next()
                        .ok_or_else(|| Failure::usage("--majors needs a list"))?;
                    options.majors = parse_majors(list)?;
                }
                other => match other.strip_prefix("--majors=") {
                    Some(list) => options.majors = parse_majors(list)?,
                    None => return Err(Failure::usage(format!("setup does not take `{other}`"))),
                },
            }
        }
        Ok(options)
    }
}

fn parse_majors(list: &str) -> Result<Vec<u32>> {
    let parse = |item: &str| {
        let problem = || Failure::usage(format!("`{item}` is not a major version of PostgreSQL"));
        item.trim().parse::<u32>().map_err(|_| problem())
    };
    list.split(',').map(parse).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(args: &[&str]) -> Result<Options> {
        Options::parse(&args.iter().map(|&arg| arg.to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn options_are_read_in_both_forms() {
        let expected = Options {
            print: true,
            majors: vec![16, 18],
        };
        assert_eq!(parse(&["--print", "--majors", "16,18"]).unwrap(), expected);
        assert_eq!(parse(&["--majors=16, 18", "--print"]).unwrap(), expected);
    }

    #[test]
    fn nonsense_is_a_usage_error() {
        for args in [&["--majors"][..], &["--majors", "x"], &["--prnt"]] {
            assert!(matches!(parse(args), Err(Failure::Usage(_))), "{args:?}");
        }
    }
}

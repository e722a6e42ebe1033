#![doc = include_str!("../README.md")]
#![expect(
    clippy::disallowed_methods,
    reason = "this program exists to run cargo and package managers, before any crate of ours is built"
)]
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command line program talks through its output"
)]

use std::process::ExitCode;

mod ci;
mod command;
mod failure;
mod localstack;
mod new_provider;
mod providers;
mod run;
mod setup;
mod test;
mod tidy;
mod torture;
mod workspace;

use failure::{Failure, Result};

const USAGE: &str = "\
usage: cargo xtask <command>

  setup [--print] [--majors 16,18]   find or install what tests and the demo need
  test [--quick] [FILTER..]          every test, with every real server it needs
  demo [ARG..]                       the main job on a throwaway PostgreSQL
  bench [NAME] [--quick] [-- OPTIONS]
                                     benchmarks beside peers
  torture backup [--seeds N] [--seed S] [--store local|s3|mixed] [--release]
                                     kills and faults at points that seeds choose
  ci [STEP..]                        format, lints, docs, features, dependency policy
  providers                          what each vendor crate can send, and its contract coverage
  new-provider NAME TRAIT..          lay the skeleton of a vendor crate
  tidy [--fix]                       repository checks that no other tool makes
  help                               this text

setup --print   print what is there and what would be installed, and change nothing
setup --majors  also unpack these majors of PostgreSQL below target/pg
test --quick    unit tests of libraries and programs alone, without doctests
tidy --fix      rewrite the generated tables

cargo xtask ci --list names the steps.
";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match dispatch(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Usage(problem)) => {
            eprintln!("error: {problem}\n\n{USAGE}");
            ExitCode::from(2)
        }
        Err(Failure::Failed(message)) => {
            eprintln!("error: {message}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch(args: &[String]) -> Result {
    let Some((command, rest)) = args.split_first() else {
        return Err(Failure::usage("no command given"));
    };
    match command.as_str() {
        "setup" => setup::command(rest),
        "test" => test::command(rest),
        "demo" => run::demo(rest),
        "bench" => run::bench(rest),
        "torture" => torture::command(rest),
        "ci" => ci::command(rest),
        "new-provider" => new_provider::command(rest),
        "providers" => providers::command(rest),
        "tidy" => tidy::command(rest),
        "help" | "--help" | "-h" => {
            print!("{USAGE}");
            Ok(())
        }
        unknown => Err(Failure::usage(format!("unknown command `{unknown}`"))),
    }
}

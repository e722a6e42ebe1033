//! Supervised children.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use ops_core::{ErrorKind, Report, Secret};
use ops_pg::process::{Io, Program, Supervised, User};
use ops_testkit::wait_until;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};

const SOON: Duration = Duration::from_secs(10);
const CANARY: &str = "canary-7f3b";

fn sh(script: &str) -> Program {
    Program::new("/bin/sh").arg("-c").arg(script)
}

async fn first_line(child: &mut Supervised) -> String {
    let mut line = String::new();
    let mut out = BufReader::new(child.take_stdout().unwrap());
    tokio::time::timeout(SOON, out.read_line(&mut line))
        .await
        .unwrap()
        .unwrap();
    line.trim().to_owned()
}

/// Whether a process is there: running, or a zombie.
fn exists(pid: &str) -> bool {
    Path::new("/proc").join(pid).exists()
}

#[tokio::test]
async fn a_child_starts_with_a_small_environment_and_nothing_of_ours() {
    let mut child = Program::new("/usr/bin/env")
        .env("PGHOST", "db.internal")
        .env("TZ", "Europe/Berlin")
        .secret_env("PGPASSWORD", CANARY)
        .stdout(Io::Piped)
        .spawn()
        .unwrap();
    let mut text = String::new();
    child
        .take_stdout()
        .unwrap()
        .read_to_string(&mut text)
        .await
        .unwrap();
    assert!(child.wait().await.unwrap().success());

    let mut names: Vec<_> = text
        .lines()
        .filter_map(|it| Some(it.split_once('=')?.0))
        .collect();
    names.sort_unstable();
    assert_eq!(
        names,
        [
            "HOME",
            "LANG",
            "LC_ALL",
            "PATH",
            "PGHOST",
            "PGPASSWORD",
            "TZ"
        ]
    );
    assert!(text.contains(&format!("PGPASSWORD={CANARY}\n")), "{text}");
    assert!(
        text.contains("TZ=Europe/Berlin\n") && text.contains("LC_ALL=C\n"),
        "{text}"
    );
}

#[tokio::test]
async fn a_secret_shows_in_no_debug_no_error_and_no_argument() {
    let program = sh("sleep 60").secret_env("PGPASSWORD", Secret::from(CANARY));
    let mut child = program.spawn().unwrap();
    let arguments = fs::read(format!("/proc/{}/cmdline", child.pid().unwrap())).unwrap();
    let exit = child.kill().await.unwrap();
    let missing = Program::new("/nonexistent/pg_dump").secret_env("PGPASSWORD", CANARY);
    let err = missing.spawn().unwrap_err();

    for text in [
        format!("{program:?} {program:#?} {missing:?}"),
        format!("{child:?} {child:#?}"),
        format!(
            "{exit:?} {exit} {:?}",
            exit.to_error(ErrorKind::Unavailable)
        ),
        format!("{err} {err:?} {}", Report(&err)),
        String::from_utf8_lossy(&arguments).into_owned(),
    ] {
        assert!(!text.contains(CANARY), "{text}");
    }
    assert!(format!("{program:?}").contains("PGPASSWORD"));
}

#[tokio::test]
async fn standard_input_and_output_are_piped_when_asked_for() {
    let mut child = Program::new("/bin/cat")
        .stdin(Io::Piped)
        .stdout(Io::Piped)
        .spawn()
        .unwrap();
    let mut stdin = child.take_stdin().unwrap();
    stdin.write_all(b"through").await.unwrap();
    drop(stdin);
    let mut text = String::new();
    child
        .take_stdout()
        .unwrap()
        .read_to_string(&mut text)
        .await
        .unwrap();
    assert_eq!(text, "through");
    assert!(child.wait().await.unwrap().success());
    assert!(child.take_stdin().is_none() && child.take_stdout().is_none());
}

#[tokio::test]
async fn an_output_can_be_read_by_a_blocking_thread() {
    let mut child = sh("echo from the child").stdout(Io::Piped).spawn().unwrap();
    let out = child.take_stdout().unwrap().into_owned_fd().unwrap();
    let text = tokio::task::spawn_blocking(|| {
        let mut text = String::new();
        std::io::Read::read_to_string(&mut fs::File::from(out), &mut text).unwrap();
        text
    });
    assert_eq!(text.await.unwrap(), "from the child\n");
}

#[tokio::test]
async fn an_input_that_was_not_taken_is_closed_by_waiting() {
    let mut child = Program::new("/bin/cat").stdin(Io::Piped).spawn().unwrap();
    let exit = tokio::time::timeout(SOON, child.wait())
        .await
        .unwrap()
        .unwrap();
    assert!(exit.success());
}

#[tokio::test]
async fn the_end_of_a_long_standard_error_is_kept() {
    let script = "i=0; while [ $i -lt 5000 ]; do echo \"line $i\" >&2; i=$((i+1)); done; exit 3";
    let exit = sh(script).spawn().unwrap().wait().await.unwrap();
    assert_eq!(
        (exit.success(), exit.code(), exit.signal()),
        (false, Some(3), None)
    );
    assert_eq!(exit.stderr_tail().len(), 16 * 1024);
    assert!(exit.stderr_tail().ends_with("line 4998\nline 4999\n"));
    let written: usize = (0..5000).map(|n| format!("line {n}\n").len()).sum();
    assert_eq!(exit.stderr_dropped(), written as u64 - 16 * 1024);
}

#[tokio::test]
async fn a_failure_is_one_line_that_says_what_the_program_said() {
    let script = "echo 'first problem' >&2; echo >&2; echo 'second problem' >&2; exit 1";
    let exit = sh(script).spawn().unwrap().wait().await.unwrap();
    let err = exit.check(ErrorKind::Unavailable).unwrap_err();
    assert_eq!(err.kind(), ErrorKind::Unavailable);
    assert_eq!(err.to_string(), "sh ended with exit status 1");
    let report = Report(&err).to_string();
    assert_eq!(
        report,
        "sh ended with exit status 1: first problem; second problem"
    );

    let exit = sh("kill -TERM $$").spawn().unwrap().wait().await.unwrap();
    assert_eq!((exit.code(), exit.signal()), (None, Some(15)));
    assert_eq!(
        exit.to_error(ErrorKind::Internal).to_string(),
        "sh ended with signal 15"
    );
}

#[tokio::test]
async fn killing_takes_the_whole_process_group() {
    let mut child = sh("sleep 60 & echo $!; wait")
        .stdout(Io::Piped)
        .spawn()
        .unwrap();
    let (pid, grandchild) = (
        child.pid().unwrap().to_string(),
        first_line(&mut child).await,
    );
    assert!(exists(&grandchild));
    let exit = child.kill().await.unwrap();
    assert_eq!(exit.signal(), Some(9));
    assert!(!exists(&pid));
    wait_until("the grandchild to end", SOON, async || !runs(&grandchild)).await;
    // Killing what has ended is fine, and tells the same.
    assert_eq!(child.kill().await.unwrap().signal(), Some(9));
}

/// Whether a process runs; a zombie, which its new parent has yet to reap, does not.
fn runs(pid: &str) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(") ")
        .next()
        .is_some_and(|rest| !rest.is_empty() && !rest.starts_with('Z'))
}

#[tokio::test]
async fn a_dropped_child_is_killed_and_leaves_no_zombie() {
    let mut child = sh("sleep 60 & echo $!; wait")
        .stdout(Io::Piped)
        .spawn()
        .unwrap();
    let (pid, grandchild) = (
        child.pid().unwrap().to_string(),
        first_line(&mut child).await,
    );
    drop(child);
    assert!(!exists(&pid), "the child is running or a zombie");
    wait_until("the grandchild to end", SOON, async || !runs(&grandchild)).await;
}

#[tokio::test]
async fn waiting_can_be_given_up_and_taken_up_again() {
    let mut child = sh("sleep 0.3; echo done >&2").spawn().unwrap();
    let given_up = tokio::time::timeout(Duration::from_millis(20), child.wait()).await;
    assert!(given_up.is_err());
    let exit = child.wait().await.unwrap();
    assert!(exit.success());
    assert_eq!(exit.stderr_tail(), "done\n");
}

#[tokio::test]
async fn a_grandchild_that_keeps_standard_error_open_does_not_hold_up_the_end() {
    let mut child = sh("echo said >&2; sleep 30 & exit 0").spawn().unwrap();
    let begun = Instant::now();
    let exit = child.wait().await.unwrap();
    assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
    assert_eq!(exit.stderr_tail(), "said\n");
}

#[tokio::test]
async fn what_cannot_be_run_says_why() {
    let err = Program::new("/nonexistent/pg_dump").spawn().unwrap_err();
    assert_eq!(err.kind(), ErrorKind::NotFound);
    assert_eq!(err.to_string(), "/nonexistent/pg_dump cannot be run");

    let err = Program::new("/etc/passwd").spawn().unwrap_err();
    assert_eq!(err.kind(), ErrorKind::PermissionDenied);

    let err = Program::new("/bin/true").arg("a\0b").spawn().unwrap_err();
    assert_eq!(err.kind(), ErrorKind::InvalidInput);
}

#[test]
fn a_child_outside_a_runtime_is_refused_without_a_panic() {
    let err = Program::new("/bin/true").spawn().unwrap_err();
    assert_eq!(err.kind(), ErrorKind::Internal);
}

#[tokio::test]
async fn a_program_runs_as_another_user_without_the_groups_of_root() {
    if !rustix::process::geteuid().is_root() {
        return ops_testkit::fixture::inapplicable("only root can run a program as another user");
    }
    let user = User::unprivileged(Some("nobody")).unwrap().unwrap();
    let mut child = sh("id -u; id -G")
        .run_as(user.clone())
        .stdout(Io::Piped)
        .spawn()
        .unwrap();
    let mut text = String::new();
    child
        .take_stdout()
        .unwrap()
        .read_to_string(&mut text)
        .await
        .unwrap();
    assert_eq!(text, format!("{}\n{}\n", user.uid(), user.gid()));
}

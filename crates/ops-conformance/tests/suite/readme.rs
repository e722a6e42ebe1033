//! The tables of the README are the lists of cases.

use std::fmt::Write;
use std::path::Path;

use ops_conformance::{
    Case, cdn, database, dns, hosting, monitor, notifier, object_store, pipeline, secret_store,
    wire,
};

const START: &str = "<!-- cases -->\n";
const END: &str = "<!-- end of cases -->\n";
const README: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/README.md");

fn table<F: ?Sized>(out: &mut String, name: &str, cases: &[Case<F>]) {
    writeln!(out, "\n### `{name}`: {} cases\n", cases.len()).unwrap();
    out.push_str("| id | behavior | for |\n| --- | --- | --- |\n");
    for case in cases {
        let (id, title) = (case.id, case.title());
        writeln!(out, "| {id} | {title} | {} |", case.requirement).unwrap();
    }
}

fn tables() -> String {
    let mut out = String::new();
    table(&mut out, "Hosting", hosting::CASES);
    table(&mut out, "Database", database::CASES);
    table(&mut out, "ObjectStore", object_store::CASES);
    table(&mut out, "Monitor", monitor::CASES);
    table(&mut out, "SecretStore", secret_store::CASES);
    table(&mut out, "Notifier", notifier::CASES);
    table(&mut out, "Pipeline", pipeline::CASES);
    table(&mut out, "Dns", dns::CASES);
    table(&mut out, "Cdn", cdn::CASES);
    table(&mut out, "wire", wire::CASES);
    out.push('\n');
    out
}

/// The README before, in and after its tables.
fn parts(readme: &str) -> (&str, &str, &str) {
    let (before, rest) = readme.split_once(START).unwrap();
    let (tables, after) = rest.split_once(END).unwrap();
    (before, tables, after)
}

#[test]
fn the_readme_tells_the_cases() {
    let readme = std::fs::read_to_string(Path::new(README)).unwrap();
    let (_, written, _) = parts(&readme);
    assert!(
        written == tables(),
        "the tables are old: cargo test -p ops-conformance --features memory,wire \
         write_the_readme -- --ignored"
    );
}

#[test]
#[ignore = "writes the README"]
fn write_the_readme() {
    let readme = std::fs::read_to_string(Path::new(README)).unwrap();
    let (before, _, after) = parts(&readme);
    let readme = format!("{before}{START}{}{END}{after}", tables());
    std::fs::write(README, readme).unwrap();
}

fn assert_well_formed<F: ?Sized>(prefix: &str, cases: &[Case<F>]) {
    for case in cases {
        let (letters, number) = case.id.split_once('-').unwrap();
        assert_eq!((letters, number.len()), (prefix, 3), "{}", case.id);
        let head = format!("{}_{number}_", letters.to_lowercase());
        assert!(case.name.starts_with(&head), "{} {}", case.id, case.name);
    }
    let is_sorted = cases.is_sorted_by(|a, b| a.id < b.id);
    assert!(is_sorted, "the ids of {prefix} are in order and different");
}

#[test]
fn an_id_and_the_name_of_its_test_agree() {
    assert_well_formed("H", hosting::CASES);
    assert_well_formed("D", database::CASES);
    assert_well_formed("O", object_store::CASES);
    assert_well_formed("M", monitor::CASES);
    assert_well_formed("S", secret_store::CASES);
    assert_well_formed("N", notifier::CASES);
    assert_well_formed("P", pipeline::CASES);
    assert_well_formed("DNS", dns::CASES);
    assert_well_formed("C", cdn::CASES);
    assert_well_formed("W", wire::CASES);
}

//! What each vendor crate can send, and how much of it its contract test has tried.

use std::path::{Path, PathBuf};

use crate::command::Cmd;
use crate::failure::{Failure, Result};
use crate::workspace::{self, Package};

mod size;
mod table;

use size::Size;
use table::Vendor;

const README: &str = "crates/ops-providers/README.md";
const BEGIN: &str = "<!-- operations: written by `cargo xtask providers` -->\n";
const END: &str = "<!-- end of operations -->";

/// `cargo xtask providers`: runs the contract tests, prints the table and writes it.
pub(crate) fn command(args: &[String]) -> Result {
    if let Some(arg) = args.first() {
        return Err(Failure::usage(format!("providers does not take `{arg}`")));
    }
    let packages = workspace::packages()?;
    println!("{}", sizes(&packages)?);
    let Some(vendors) = measure(&packages)? else {
        return Ok(());
    };
    let table = table::render(&vendors);
    print!("{table}");
    let path = workspace::root().join(README);
    let text = read(&path)?;
    let new = with_table(&text, &table)?;
    if new != text {
        std::fs::write(&path, new)
            .map_err(|err| Failure::new(format!("{README} cannot be written: {err}")))?;
        println!("wrote {README}");
    }
    complete(&vendors)
}

/// The step of `cargo xtask ci`: nothing uncovered, and the table in the README is the present one.
/// Answers why nothing was checked, where the descriptions are not here.
pub(crate) fn check(packages: &[Package]) -> Result<Option<&'static str>> {
    let Some(vendors) = measure(packages)? else {
        return Ok(Some("no contract test could read a vendor's description"));
    };
    complete(&vendors)?;
    let text = read(&workspace::root().join(README))?;
    if with_table(&text, &table::render(&vendors))? == text {
        Ok(None)
    } else {
        Err(Failure::new(format!(
            "the table in {README} is old: run `cargo xtask providers`"
        )))
    }
}

/// How large the vendor crates are.
fn sizes(packages: &[Package]) -> Result<String> {
    let vendors = packages.iter().filter(|package| package.is_vendor());
    let sizes: Vec<Size> = vendors
        .map(|package| Size::of(&package.name, &workspace::root().join(&package.folder)))
        .collect::<Result<_>>()?;
    Ok(size::render(&sizes))
}

/// Runs the contract test of each vendor that has one, and reads what it wrote; `None`
/// where the vendors' descriptions are not here.
fn measure(packages: &[Package]) -> Result<Option<Vec<Vendor>>> {
    let tested: Vec<&Package> = packages.iter().filter(|it| has_contract(it)).collect();
    if tested.is_empty() {
        return Ok(None);
    }
    let folder = workspace::target().join("contract");
    let files: Vec<PathBuf> = tested
        .iter()
        .map(|package| folder.join(format!("{}.json", vendor_of(package))))
        .collect();
    for file in &files {
        // A result of an earlier run must not speak for this one.
        if let Err(err) = std::fs::remove_file(file)
            && err.kind() != std::io::ErrorKind::NotFound
        {
            return Err(Failure::new(format!("{}: {err}", file.display())));
        }
    }
    let tests = tested
        .iter()
        .fold(Cmd::cargo().arg("test"), |cmd, package| {
            cmd.args(["-p", package.name.as_str()])
        })
        .args(["--all-features", "--test", "suite", "--", "contract::"])
        .folder(workspace::root());
    tests.run()?;
    if files.iter().all(|file| !file.exists()) {
        println!("SKIPPED: the contract tests found no descriptions of the vendors' APIs");
        return Ok(None);
    }
    let vendors = files.iter().map(|file| Vendor::parse(&read(file)?));
    vendors.collect::<Result<Vec<_>>>().map(Some)
}

fn has_contract(package: &Package) -> bool {
    let test = package.folder.join("tests/suite/contract.rs");
    package.is_vendor() && workspace::root().join(test).exists()
}

fn vendor_of(package: &Package) -> &str {
    package.name.strip_prefix("ops-").unwrap_or(&package.name)
}

fn complete(vendors: &[Vendor]) -> Result {
    let gaps: Vec<String> = vendors.iter().flat_map(Vendor::uncovered).collect();
    if gaps.is_empty() {
        let operations: usize = vendors.iter().map(Vendor::len).sum();
        println!(
            "{operations} operations of {} vendors, 0 uncovered",
            vendors.len()
        );
        Ok(())
    } else {
        Err(Failure::new(format!(
            "no contract test covers {}",
            gaps.join(", ")
        )))
    }
}

fn read(path: &Path) -> Result<String> {
    std::fs::read_to_string(path)
        .map_err(|err| Failure::new(format!("{} cannot be read: {err}", path.display())))
}

/// The text with the table between its marks replaced.
fn with_table(text: &str, table: &str) -> Result<String> {
    let parts = text
        .split_once(BEGIN)
        .and_then(|(before, rest)| Some((before, rest.split_once(END)?.1)));
    let (before, after) = parts.ok_or_else(|| {
        Failure::new(format!("{README} has no place for the table: {BEGIN}{END}"))
    })?;
    Ok(format!("{before}{BEGIN}\n{table}\n{END}{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_replaced_and_what_is_around_it_stays() {
        let text = format!("above\n{BEGIN}old\n{END}\nbelow\n");
        let once = with_table(&text, "| new |\n").unwrap();
        assert_eq!(once, format!("above\n{BEGIN}\n| new |\n\n{END}\nbelow\n"));
        assert_eq!(with_table(&once, "| new |\n").unwrap(), once);
    }

    #[test]
    fn a_text_without_the_marks_is_refused() {
        assert!(with_table("no marks", "").is_err());
        assert!(with_table(BEGIN, "").is_err());
    }

    #[test]
    fn an_operation_that_no_test_sent_is_named() {
        let text = r#"{"vendor": "x", "operations": [
            {"id": "a", "serves": ["Dns"], "sent": 1, "answers": 2},
            {"id": "b", "serves": ["Dns"], "sent": 1, "answers": 0},
            {"id": "c", "serves": ["Dns"], "sent": 0, "answers": 1}]}"#;
        let err = complete(&[Vendor::parse(text).unwrap()]).unwrap_err();
        assert!(err.message().ends_with("covers x: b, x: c"), "{err:?}");
    }
}

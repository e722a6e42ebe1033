//! The skeleton of a vendor crate, and the proof that it builds.

use std::path::{Path, PathBuf};

use crate::command::Cmd;
use crate::failure::{Failure, Result};
use crate::workspace;

mod stubs;
mod suites;

use stubs::Stub;

const VENDORS: &str = "crates/ops-providers/vendors";

/// Where each file comes from and goes to. What is between `{{` and `}}` is filled in.
const FILES: [(&str, &str); 13] = [
    (
        "Cargo.toml",
        include_str!("../templates/provider/Cargo.toml.txt"),
    ),
    (
        "README.md",
        include_str!("../templates/provider/README.md.txt"),
    ),
    (
        "src/lib.rs",
        include_str!("../templates/provider/lib.rs.txt"),
    ),
    (
        "src/api.rs",
        include_str!("../templates/provider/api.rs.txt"),
    ),
    (
        "src/config.rs",
        include_str!("../templates/provider/config.rs.txt"),
    ),
    (
        "src/error.rs",
        include_str!("../templates/provider/error.rs.txt"),
    ),
    (
        "src/model.rs",
        include_str!("../templates/provider/model.rs.txt"),
    ),
    (
        "tests/suite/main.rs",
        include_str!("../templates/provider/tests/main.rs.txt"),
    ),
    (
        "tests/suite/config.rs",
        include_str!("../templates/provider/tests/config.rs.txt"),
    ),
    (
        "tests/suite/conformance.rs",
        include_str!("../templates/provider/tests/conformance.rs.txt"),
    ),
    (
        "tests/suite/contract.rs",
        include_str!("../templates/provider/tests/contract.rs.txt"),
    ),
    (
        "tests/suite/fake.rs",
        include_str!("../templates/provider/tests/fake.rs.txt"),
    ),
    (
        "tests/suite/wire.rs",
        include_str!("../templates/provider/tests/wire.rs.txt"),
    ),
];

/// `cargo xtask new-provider NAME TRAIT..`.
pub(crate) fn command(args: &[String]) -> Result {
    let Some((name, traits)) = args.split_first().filter(|(_, traits)| !traits.is_empty()) else {
        return Err(Failure::usage("new-provider takes a name and the traits"));
    };
    let root = workspace::root();
    let folder = root.join(VENDORS).join(name);
    if folder.exists() {
        return Err(Failure::new(format!("{} exists", folder.display())));
    }
    write(&folder, name, traits)?;
    let manifest = root.join("Cargo.toml");
    let line = format!(
        "ops-{name} = {{ path = \"{VENDORS}/{name}\", version = \"0.1.0\", default-features = false }}"
    );
    edit(&manifest, |text| with_dependency(text, &line))?;
    println!("wrote {}", folder.display());
    println!("next: docs/adding-a-provider.md, from its second section");
    Ok(())
}

/// The step of `cargo xtask ci`: a skeleton with every trait builds without a warning, and
/// its tests pass.
pub(crate) fn check() -> Result {
    let home = workspace::target().join("skeleton");
    match std::fs::remove_dir_all(&home) {
        Err(err) if err.kind() != std::io::ErrorKind::NotFound => {
            return Err(Failure::new(format!("{}: {err}", home.display())));
        }
        _ => {}
    }
    let traits: Vec<String> = stubs::TRAITS.iter().map(|it| it.name.to_owned()).collect();
    write(&home.join("acme"), "acme", &traits)?;
    let root = workspace::root();
    let manifest = read(&root.join("Cargo.toml"))?;
    save(&home.join("Cargo.toml"), &outside(&manifest, &root)?)?;
    for file in [
        "Cargo.lock",
        "clippy.toml",
        "rust-toolchain.toml",
        "rustfmt.toml",
    ] {
        save(&home.join(file), &read(&root.join(file))?)?;
    }
    let cargo = |args: &[&str]| {
        Cmd::cargo()
            .args(args.iter().copied())
            .env("CARGO_TARGET_DIR", workspace::target())
            .folder(&home)
    };
    cargo(&["fmt", "--check"]).run()?;
    cargo(&["clippy", "--all-targets", "--", "-D", "warnings"]).run()?;
    cargo(&["test"]).run()
}

/// Writes the files of a crate.
fn write(folder: &Path, name: &str, traits: &[String]) -> Result {
    let valid = name.starts_with(|c: char| c.is_ascii_lowercase())
        && name
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
    if !valid {
        return Err(Failure::usage(format!(
            "`{name}` is no name of a crate: a-z, 0-9 and -, with a letter first"
        )));
    }
    let stubs = traits
        .iter()
        .map(|it| Stub::load(it))
        .collect::<Result<Vec<_>>>()?;
    let each = |line: fn(&Stub) -> String, between: &str| {
        stubs.iter().map(line).collect::<Vec<_>>().join(between)
    };
    let values = [
        ("{{vendor}}", name.to_owned()),
        ("{{module}}", name.replace('-', "_")),
        ("{{VENDOR}}", name.replace('-', "_").to_uppercase()),
        ("{{Type}}", type_name(name)),
        (
            "{{bytes}}",
            if stubs.iter().any(Stub::needs_bytes) {
                "bytes.workspace = true\n"
            } else {
                ""
            }
            .to_owned(),
        ),
        ("{{rows}}", each(|it| format!("| `{}` | |", it.name), "\n")),
        ("{{mods}}", each(|it| format!("mod {};", it.module), "\n")),
        ("{{suite imports}}", suites::imports(&stubs)),
        ("{{suites}}", suites::suites(&stubs)),
        ("{{serves}}", each(|it| format!("\"{}\"", it.name), ", ")),
    ];
    let fill = |text: &str| {
        values.iter().fold(text.to_owned(), |text, (mark, value)| {
            text.replace(mark, value)
        })
    };
    for (path, template) in FILES {
        save(&folder.join(path), &fill(template))?;
    }
    for stub in &stubs {
        let path = folder.join(format!("src/{}.rs", stub.module));
        save(&path, &stub.source(&type_name(name)))?;
    }
    format(folder)
}

/// Stubs are generated: what they look like is the formatter's business.
fn format(folder: &Path) -> Result {
    let sources = folder.join("src");
    let entries = std::fs::read_dir(&sources)
        .map_err(|err| Failure::new(format!("{}: {err}", sources.display())))?;
    let files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    let modules = [folder.join("tests/suite/main.rs")];
    let formatted = Cmd::new("rustfmt")
        .args(["--edition", "2024", "--style-edition", "2024"])
        .args(files)
        .args(modules)
        .output();
    formatted.map(drop)
}

fn type_name(name: &str) -> String {
    let words = name.split('-').map(|word| {
        let mut chars = word.chars();
        let first = chars.next().map(|c| c.to_ascii_uppercase());
        first.into_iter().chain(chars).collect::<String>()
    });
    words.collect()
}

/// The workspace's manifest for a workspace elsewhere whose only member is the skeleton.
fn outside(manifest: &str, root: &Path) -> Result<String> {
    let section = |name: &str| {
        let (before, rest) = manifest.split_once(name)?;
        Some((before, rest))
    };
    let members = "[workspace]\nresolver = \"3\"\nmembers = [\"acme\"]\n\n[workspace.package]";
    let (_, rest) = section("[workspace.package]")
        .ok_or_else(|| Failure::new("the manifest has no [workspace.package]"))?;
    let crates = format!("path = \"{}/crates/", root.display());
    Ok(format!("{members}{rest}").replace("path = \"crates/", &crates))
}

/// The manifest with a dependency added among ours, in the order of the alphabet.
fn with_dependency(text: &str, line: &str) -> Option<String> {
    let (before, rest) = text.split_once("# Ours.\n")?;
    let (ours, after) = rest.split_once("\n\n")?;
    let mut lines: Vec<&str> = ours.lines().collect();
    lines.push(line);
    lines.sort_unstable_by_key(|line| line.split(' ').next().unwrap_or_default());
    Some(format!("{before}# Ours.\n{}\n\n{after}", lines.join("\n")))
}

fn edit(path: &Path, change: impl FnOnce(&str) -> Option<String>) -> Result {
    let text = read(path)?;
    let new = change(&text)
        .ok_or_else(|| Failure::new(format!("{} is not as expected", path.display())))?;
    save(path, &new)
}

fn read(path: &Path) -> Result<String> {
    std::fs::read_to_string(path)
        .map_err(|err| Failure::new(format!("{} cannot be read: {err}", path.display())))
}

fn save(path: &Path, text: &str) -> Result {
    let parent = path.parent().unwrap_or(path);
    std::fs::create_dir_all(parent)
        .and_then(|()| std::fs::write(path, text))
        .map_err(|err| Failure::new(format!("{} cannot be written: {err}", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dependency_finds_its_place() {
        let text = "[x]\n# Ours.\nops-aws = 1\nops-pg = 2\n\n# Others.\n";
        assert_eq!(
            with_dependency(text, "ops-core = 3").unwrap(),
            "[x]\n# Ours.\nops-aws = 1\nops-core = 3\nops-pg = 2\n\n# Others.\n"
        );
        assert_eq!(with_dependency("nothing", "x"), None);
    }

    #[test]
    fn a_name_becomes_a_type() {
        assert_eq!(type_name("acme"), "Acme");
        assert_eq!(type_name("acme-cloud2"), "AcmeCloud2");
    }

    #[test]
    fn names_that_are_none_are_refused_before_anything_is_written() {
        let folder = Path::new("/nowhere/at/all");
        for name in ["", "Acme", "a/b", "../x", "2x", "a b"] {
            assert!(
                matches!(write(folder, name, &[]), Err(Failure::Usage(_))),
                "{name}"
            );
        }
    }

    #[test]
    fn the_workspace_elsewhere_has_one_member_and_our_crates() {
        let manifest = "[workspace]\nmembers = [\"a\"]\n[workspace.package]\nx = 1\n\
                        [workspace.dependencies]\nops-core = { path = \"crates/ops-core\" }\n";
        let text = outside(manifest, Path::new("/r")).unwrap();
        assert!(text.contains("members = [\"acme\"]"), "{text}");
        assert!(text.contains("path = \"/r/crates/ops-core\""), "{text}");
    }
}

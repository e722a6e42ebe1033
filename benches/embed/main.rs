//! What it costs to embed: the number of crates and the cold debug build of an application.
//!
//! `--quick`: 1 round instead of 3.
//!
//! The first application has ops-core, one REST vendor and ops-health; the second has an
//! object store on R2 as well. The floor is a web service that has axum and reqwest alone.
//! No crate of AWS may be in the first: that ends the benchmark with an error.

#![expect(clippy::print_stdout, reason = "a program prints")]
#![expect(
    clippy::disallowed_methods,
    reason = "cargo is run as a user would run it"
)]

#[path = "../harness.rs"]
mod harness;

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use harness::{Case, Report};

type Result<T, E = Box<dyn Error>> = std::result::Result<T, E>;

const FLOOR: &str = "axum and reqwest alone";
const WITH_R2: &str = "with R2";

/// An application: its name in the report and what its manifest depends on.
struct App {
    name: &'static str,
    ours: &'static [(&'static str, &'static str)],
}

const APPS: [App; 3] = [
    App {
        name: "ours",
        ours: &[
            ("ops-core", "crates/ops-core"),
            ("ops-fly", "crates/ops-providers/vendors/fly"),
            ("ops-health", "crates/ops-health"),
        ],
    },
    App {
        name: WITH_R2,
        ours: &[
            ("ops-core", "crates/ops-core"),
            ("ops-fly", "crates/ops-providers/vendors/fly"),
            ("ops-health", "crates/ops-health"),
            ("ops-cloudflare", "crates/ops-providers/vendors/cloudflare"),
        ],
    },
    App {
        name: FLOOR,
        ours: &[],
    },
];

fn main() -> Result<()> {
    let rounds = if std::env::args().any(|arg| arg == "--quick") {
        1
    } else {
        3
    };
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("..")
        .canonicalize()?;
    let folder = tempfile::Builder::new().prefix("ops-embed-").tempdir()?;
    let mut crates: BTreeMap<&'static str, Vec<f64>> = BTreeMap::new();
    let mut seconds: BTreeMap<&'static str, Vec<f64>> = BTreeMap::new();
    for app in &APPS {
        let home = app.write(folder.path(), &root)?;
        let tree = tree(&home)?;
        let aws: Vec<&String> = tree.iter().filter(|it| it.starts_with("aws-")).collect();
        if app.name == "ours" && !aws.is_empty() {
            return Err(format!("the application without R2 compiles {aws:?}").into());
        }
        println!("{}: {} crates, {} of AWS", app.name, tree.len(), aws.len());
        let count = u32::try_from(tree.len())?;
        crates.insert(app.name, vec![f64::from(count)]);
    }
    for round in 0..rounds {
        for index in 0..APPS.len() {
            // A different order in each round.
            let Some(app) = APPS.get((index + round) % APPS.len()) else {
                continue;
            };
            let took = cold_build(&app.home(folder.path()))?;
            println!("round {round}: {}: {took:.1} s", app.name);
            seconds.entry(app.name).or_default().push(took);
        }
    }
    let report = Report {
        name: "embed",
        rounds,
        cases: vec![
            Case::new("crates in the tree", "crates", &crates, &[]),
            Case::new("cold debug build", "s", &seconds, &[]),
        ],
    };
    Ok(report.publish()?)
}

impl App {
    fn home(&self, folder: &Path) -> PathBuf {
        folder.join(self.name.replace(' ', "-"))
    }

    /// Writes the package: a `main` and a manifest, with the lock file of the workspace.
    fn write(&self, folder: &Path, root: &Path) -> Result<PathBuf> {
        let home = self.home(folder);
        std::fs::create_dir_all(home.join("src"))?;
        let mut manifest = "[package]\nname = \"app\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n\
            [workspace]\n\n[profile.dev]\ndebug = \"line-tables-only\"\n\n[dependencies]\n\
            axum = { version = \"0.8\", default-features = false, features = [\"http1\", \"tokio\"] }\n\
            reqwest = { version = \"0.13\", default-features = false, features = [\"rustls-no-provider\"] }\n\
            rustls = { version = \"0.23\", default-features = false, features = [\"ring\", \"std\"] }\n\
            tokio = { version = \"1\", features = [\"macros\", \"rt-multi-thread\"] }\n"
            .to_owned();
        for (name, path) in self.ours {
            let features = match *name {
                "ops-health" => ", features = [\"axum\"]",
                "ops-cloudflare" => ", features = [\"r2\"]",
                _ => "",
            };
            let path = root.join(path);
            writeln!(
                manifest,
                "{name} = {{ path = {:?}{features} }}",
                path.display().to_string()
            )?;
        }
        std::fs::write(home.join("Cargo.toml"), manifest)?;
        std::fs::write(home.join("src/main.rs"), "fn main() {}\n")?;
        std::fs::copy(root.join("Cargo.lock"), home.join("Cargo.lock"))?;
        std::fs::copy(
            root.join("rust-toolchain.toml"),
            home.join("rust-toolchain.toml"),
        )?;
        Ok(home)
    }
}

/// The names and versions that the application compiles, build scripts and macros included.
fn tree(home: &Path) -> Result<BTreeSet<String>> {
    let output = cargo(home)
        .args(["tree", "-e", "normal,build", "--prefix", "none"])
        .args(["--format", "{p}"])
        .output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned().into());
    }
    let text = String::from_utf8(output.stdout)?;
    let name_and_version = |line: &str| {
        let mut words = line.split_whitespace();
        let (name, version) = (words.next()?, words.next()?);
        Some(format!("{name} {version}"))
    };
    Ok(text.lines().filter_map(name_and_version).collect())
}

/// Builds with nothing compiled and everything downloaded.
fn cold_build(home: &Path) -> Result<f64> {
    match std::fs::remove_dir_all(home.join("target")) {
        Err(err) if err.kind() != std::io::ErrorKind::NotFound => return Err(err.into()),
        _ => {}
    }
    let begun = Instant::now();
    let status = cargo(home).args(["build", "--quiet"]).status()?;
    if !status.success() {
        return Err(format!("cargo build failed in {}", home.display()).into());
    }
    Ok(begun.elapsed().as_secs_f64())
}

fn cargo(home: &Path) -> Command {
    let mut cargo = Command::new("cargo");
    cargo
        .current_dir(home)
        .env("CARGO_TARGET_DIR", home.join("target"))
        .env_remove("RUSTFLAGS");
    cargo
}

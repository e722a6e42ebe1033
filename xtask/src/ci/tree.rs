//! What must not be in a dependency tree.

use std::collections::BTreeSet;

use crate::command::Cmd;
use crate::failure::{Failure, Result};
use crate::workspace::{self, Package};

/// Crates that speak HTTP, run tasks or encrypt: none of the core's business.
const NOT_IN_CORE: [&str; 8] = [
    "axum",
    "hyper",
    "reqwest",
    "ring",
    "rustls",
    "tokio",
    "tokio-postgres",
    "tower",
];

/// TLS that is not rustls, and the crypto provider that is not `ring`.
const BANNED: [&str; 6] = [
    "aws-lc-fips-sys",
    "aws-lc-rs",
    "aws-lc-sys",
    "native-tls",
    "openssl",
    "openssl-sys",
];

/// A tree and what it must not hold.
struct Rule {
    /// What the rule keeps true.
    why: String,
    /// Arguments of `cargo tree`.
    args: Vec<String>,
    banned: Box<dyn Fn(&str) -> bool>,
}

/// Checks every rule, and reports all that are broken.
pub(super) fn check(packages: &[Package]) -> Result {
    let mut broken = Vec::new();
    for rule in rules(packages) {
        let cmd = Cmd::cargo()
            .args(["tree", "--prefix", "none", "--format", "{p}"])
            .args(&rule.args)
            .folder(workspace::root());
        let found = offenders(&cmd.output()?, &rule.banned);
        if found.is_empty() {
            println!("ok: {}", rule.why);
        }
        for name in found {
            broken.push(format!(
                "{}, but {name} is there; see `cargo tree {} -i {name}`",
                rule.why,
                rule.args.join(" ")
            ));
        }
    }
    if broken.is_empty() {
        Ok(())
    } else {
        Err(Failure::new(broken.join("\n")))
    }
}

fn rules(packages: &[Package]) -> Vec<Rule> {
    let ours: Vec<String> = packages
        .iter()
        .map(|package| package.name.clone())
        .collect();
    let vendors: Vec<String> = packages
        .iter()
        .filter(|package| package.is_vendor())
        .map(|p| p.name.clone())
        .collect();
    let mut rules = vec![
        Rule {
            why: "ops-core knows no runtime, no HTTP, no TLS and no other crate of ours".to_owned(),
            args: tree_of("ops-core"),
            banned: Box::new(move |name| {
                NOT_IN_CORE.contains(&name)
                    || (name != "ops-core" && ours.iter().any(|our| our == name))
            }),
        },
        Rule {
            why: "nothing in the workspace uses a TLS other than rustls with ring".to_owned(),
            args: words(&[
                "--workspace",
                "--all-features",
                "-e",
                "all",
                "--target",
                "all",
            ]),
            banned: Box::new(|name| BANNED.contains(&name)),
        },
        Rule {
            why: "the demo needs no crate of AWS".to_owned(),
            args: words(&["-p", "ops-examples", "-e", "normal", "--all-features"]),
            banned: Box::new(is_aws),
        },
        Rule {
            why: "what is built by default needs no crate of AWS".to_owned(),
            args: words(&["-e", "normal"]),
            banned: Box::new(is_aws),
        },
    ];
    if packages.iter().any(|package| package.name == "ops-aws") {
        rules.push(Rule {
            why: "ops-aws without features needs no crate of AWS".to_owned(),
            args: words(&["-p", "ops-aws", "-e", "normal", "--no-default-features"]),
            banned: Box::new(is_aws),
        });
    }
    for engine in ["ops-backup", "ops-health", "ops-pool"] {
        let vendors = vendors.clone();
        rules.push(Rule {
            why: format!("{engine} names no vendor and no crate of AWS"),
            args: tree_of(engine),
            banned: Box::new(move |name| {
                is_aws(name) || name == "ops-s3" || vendors.iter().any(|vendor| vendor == name)
            }),
        });
    }
    for vendor in &vendors {
        let others: Vec<String> = vendors
            .iter()
            .filter(|other| *other != vendor)
            .cloned()
            .collect();
        rules.push(Rule {
            why: format!("{vendor} knows no other vendor"),
            args: tree_of(vendor),
            banned: Box::new(move |name| others.iter().any(|other| other == name)),
        });
    }
    rules
}

fn is_aws(name: &str) -> bool {
    name.starts_with("aws-")
}

/// What users of a library compile: its normal dependencies, with every feature.
fn tree_of(package: &str) -> Vec<String> {
    words(&["-p", package, "-e", "normal", "--all-features"])
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|&word| word.to_owned()).collect()
}

/// The banned names among the packages that `cargo tree` printed.
fn offenders(tree: &str, banned: &dyn Fn(&str) -> bool) -> BTreeSet<String> {
    let names = tree
        .lines()
        .filter_map(|line| line.split_whitespace().next());
    names
        .filter(|name| banned(name))
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TREE: &str = "\
ops-core v0.1.0 (/r/crates/ops-core)
bytes v1.11.0
tokio v1.47.0 (*)

ops-local v0.1.0 (/r/crates/ops-providers/vendors/local)
aws-lc-sys v0.30.0
";

    fn package(name: &str, folder: &str) -> Package {
        Package {
            name: name.to_owned(),
            folder: folder.into(),
            is_library: true,
            features: vec![],
            benches: vec![],
        }
    }

    fn packages() -> Vec<Package> {
        vec![
            package("ops-aws", "crates/ops-providers/vendors/aws"),
            package("ops-core", "crates/ops-core"),
            package("ops-local", "crates/ops-providers/vendors/local"),
            package("ops-postgres", "crates/ops-providers/vendors/postgres"),
        ]
    }

    /// What the rule that starts with `why` finds in the tree above.
    fn found(why: &str) -> Vec<String> {
        let rules = rules(&packages());
        let rule = rules.iter().find(|rule| rule.why.starts_with(why)).unwrap();
        offenders(TREE, &rule.banned).into_iter().collect()
    }

    #[test]
    fn a_runtime_or_another_crate_of_ours_in_the_core_is_found() {
        assert_eq!(found("ops-core"), ["ops-local", "tokio"]);
    }

    #[test]
    fn a_second_crypto_provider_is_found() {
        assert_eq!(found("nothing in the workspace"), ["aws-lc-sys"]);
    }

    #[test]
    fn a_crate_of_aws_in_the_demo_is_found() {
        assert_eq!(found("the demo"), ["aws-lc-sys"]);
        assert_eq!(found("what is built by default"), ["aws-lc-sys"]);
        assert_eq!(found("ops-aws without features"), ["aws-lc-sys"]);
    }

    #[test]
    fn a_vendor_in_an_engine_or_in_another_vendor_is_found() {
        assert_eq!(found("ops-backup"), ["aws-lc-sys", "ops-local"]);
        assert_eq!(found("ops-postgres"), ["ops-local"]);
        assert_eq!(found("ops-local"), Vec::<String>::new());
    }
}

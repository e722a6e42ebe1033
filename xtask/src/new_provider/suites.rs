//! The fixture and the suite of a trait, as a vendor crate begins with them.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::stubs::Stub;

/// What a fixture must tell beside the provider and its abilities: the trait, what is named,
/// and the method.
const MORE: &[(&str, &[&str], &str)] = &[
    (
        "Cdn",
        &[],
        "fn host(&self) -> String {\n        \"shop.example\".to_owned()\n    }",
    ),
    (
        "Dns",
        &["dns::DnsName", "id::ZoneId"],
        "async fn new_zone(&self) -> (ZoneId, DnsName) {\n        let zone = ZoneId::new(\"zone-1\").unwrap();\n        \
         (zone, DnsName::new(\"shop.example\").unwrap())\n    }",
    ),
];

/// What the file of the suites names.
pub(super) fn imports(stubs: &[Stub]) -> String {
    let mut names: BTreeSet<String> = ["ops_conformance::Fixture", "ops_conformance::async_trait"]
        .map(str::to_owned)
        .into();
    for Stub { name, module, .. } in stubs {
        names.insert(format!("ops_conformance::{module}::{name}Fixture"));
        names.insert(format!("ops_core::{module}::{name}"));
        let more = more(name).map(|(named, _)| named).unwrap_or_default();
        names.extend(more.iter().map(|named| format!("ops_core::{named}")));
    }
    names.iter().fold(String::new(), |mut text, name| {
        // Writing into a text cannot fail.
        let _ = writeln!(text, "use {name};");
        text
    })
}

/// The fixture of each trait and the tests of its suite, which wait for their provider.
pub(super) fn suites(stubs: &[Stub]) -> String {
    stubs.iter().map(suite).collect()
}

fn suite(Stub { name, module, .. }: &Stub) -> String {
    let provider = match *module {
        "object_store" | "secret_store" => "store",
        module => module,
    };
    let mut text = format!(
        "\n#[async_trait]\nimpl {name}Fixture for Account {{\n    \
         fn {provider}(&self) -> Arc<dyn {name}> {{\n        Arc::new(self.0.provider())\n    }}\n\n    \
         fn abilities(&self) -> &'static [&'static str] {{\n        &[]\n    }}\n"
    );
    if let Some((_, method)) = more(name) {
        let _ = writeln!(text, "\n    {method}");
    }
    let _ = write!(
        text,
        "}}\n\nmod {module} {{\n    use super::Account;\n\n    \
         ops_conformance::{module}!(#[ignore = \"the provider is not written yet\"] Account::new());\n}}\n"
    );
    text
}

fn more(name: &str) -> Option<(&'static [&'static str], &'static str)> {
    let found = MORE.iter().find(|(of, ..)| *of == name)?;
    Some((found.1, found.2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_trait_gets_its_fixture_and_its_suite() {
        let stubs = ["SecretStore", "Cdn"].map(|name| Stub::load(name).unwrap());
        let text = suites(&stubs);
        for part in [
            "impl SecretStoreFixture for Account",
            "fn store(&self) -> Arc<dyn SecretStore>",
            "ops_conformance::secret_store!(",
            "fn host(&self) -> String",
            "ops_conformance::cdn!(",
        ] {
            assert!(text.contains(part), "{part} is not in {text}");
        }
        let imports = imports(&stubs);
        assert!(imports.contains("use ops_conformance::cdn::CdnFixture;\n"));
    }

    #[test]
    fn what_a_trait_needs_is_named() {
        let imports = imports(&[Stub::load("Dns").unwrap()]);
        assert!(imports.contains("use ops_core::id::ZoneId;\n"), "{imports}");
    }
}

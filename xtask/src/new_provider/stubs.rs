//! An `impl` of a trait in which nothing is written yet, made from the trait itself.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use crate::failure::{Failure, Result};

/// A trait of ops-core, by the file that declares it.
pub(super) struct Trait {
    pub(super) name: &'static str,
    module: &'static str,
    source: &'static str,
}

macro_rules! traits {
    ($($name:literal $module:literal)+) => {
        pub(super) const TRAITS: &[Trait] = &[$(Trait {
            name: $name,
            module: $module,
            source: include_str!(concat!("../../../crates/ops-core/src/", $module, ".rs")),
        }),+];
    };
}

traits! {
    "Hosting" "hosting"
    "Database" "database"
    "ObjectStore" "object_store"
    "Monitor" "monitor"
    "SecretStore" "secret_store"
    "Notifier" "notifier"
    "Pipeline" "pipeline"
    "Dns" "dns"
    "Cdn" "cdn"
}

const IDS: &str = include_str!("../../../crates/ops-core/src/id.rs");

/// The methods of a trait without its accessors.
pub(super) struct Stub {
    pub(super) name: &'static str,
    pub(super) module: &'static str,
    methods: Vec<String>,
}

impl Stub {
    pub(super) fn load(name: &str) -> Result<Self> {
        let known = TRAITS.iter().find(|it| it.name == name);
        let found = known.ok_or_else(|| {
            let names: Vec<&str> = TRAITS.iter().map(|it| it.name).collect();
            Failure::usage(format!(
                "no trait `{name}`; there are: {}",
                names.join(", ")
            ))
        })?;
        Ok(Self {
            name: found.name,
            module: found.module,
            methods: methods(found.source, found.name),
        })
    }

    /// Whether its signatures name `Bytes`.
    pub(super) fn needs_bytes(&self) -> bool {
        let mut words = self.methods.iter().flat_map(|method| types(method));
        words.any(|word| word == "Bytes")
    }

    /// The file of the `impl`.
    pub(super) fn source(&self, type_name: &str) -> String {
        let mut body = String::new();
        for method in &self.methods {
            // Writing into a text cannot fail.
            let _ = writeln!(
                body,
                "\n    {} {{\n        {}\n    }}",
                method,
                self.answer(method)
            );
        }
        let streams = if body.contains("stream::once") {
            "use futures_util::{future, stream};\n"
        } else {
            ""
        };
        format!(
            "//! [`{name}`] at the vendor.\n\nuse async_trait::async_trait;\n{streams}{imports}\n\
             use crate::{{PROVIDER, {type_name}}};\n\n#[async_trait]\nimpl {name} for {type_name} {{{body}}}\n\n{helper}",
            name = self.name,
            imports = self.imports(),
            helper = NOT_WRITTEN,
        )
    }

    fn answer(&self, method: &str) -> String {
        let name = name_of(method);
        let arguments = arguments_of(method);
        let unused = match arguments.as_slice() {
            [] => String::new(),
            [one] => format!("let _ = {one};\n"),
            several => format!("let _ = ({});\n", several.join(", ")),
        };
        let answer = if name == "provider" {
            "PROVIDER".to_owned()
        } else if name == "limits" {
            let (_, kind) = method.split_once("-> ").unwrap_or_default();
            format!("{kind}::default()")
        } else {
            let err = format!("Err(not_written(\"{}.{name}\"))", self.module);
            if method.contains("-> ItemStream<") {
                format!("Box::pin(stream::once(future::ready({err})))")
            } else {
                err
            }
        };
        format!("{unused}{answer}")
    }

    /// The types that the methods name, from where ops-core has them.
    fn imports(&self) -> String {
        let mut places: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        places.entry("").or_default().extend(["Error"]);
        places.entry(self.module).or_default().insert(self.name);
        let mut extra = "";
        for word in self.methods.iter().flat_map(|method| types(method)) {
            let place = match word {
                "Bytes" => {
                    extra = "use bytes::Bytes;\n";
                    continue;
                }
                "Vec" => continue,
                "Result" | "DeleteOutcome" => "",
                "ItemStream" | "ByteStream" => "object_store",
                id if is_id(id) => "id",
                _ => self.module,
            };
            places.entry(place).or_default().insert(word);
        }
        let mut text = extra.to_owned();
        for (place, names) in places {
            let path = if place.is_empty() {
                String::new()
            } else {
                format!("::{place}")
            };
            let names: Vec<&str> = names.into_iter().collect();
            let names = match names.as_slice() {
                [one] => (*one).to_owned(),
                several => format!("{{{}}}", several.join(", ")),
            };
            let _ = writeln!(text, "use ops_core{path}::{names};");
        }
        text
    }
}

const NOT_WRITTEN: &str = "fn not_written(operation: &'static str) -> Error {\n    \
    Error::unsupported(operation).with_provider(PROVIDER).with_operation(operation)\n}\n";

/// The signatures before the first accessor that have no body, each on one line.
fn methods(source: &str, name: &str) -> Vec<String> {
    let start = format!("pub trait {name}:");
    let Some((_, rest)) = source.split_once(&start) else {
        return Vec::new();
    };
    let (mut code, mut signature) = (Vec::new(), Vec::new());
    let mut in_body = false;
    for line in rest.lines().skip(1) {
        if in_body {
            in_body = line != "    }";
            continue;
        }
        let line = line.trim();
        if line.starts_with("#[expect") {
            break;
        }
        if line.starts_with("//") {
            continue;
        }
        signature.push(line);
        // What has a body need not be written.
        in_body = line.ends_with('{');
        if in_body {
            signature.clear();
        } else if line.ends_with(';') {
            code.append(&mut signature);
        }
    }
    let code = code.join(" ");
    let parts = code.split(';').map(|part| {
        let part = part.split_whitespace().collect::<Vec<_>>().join(" ");
        part.replace("( ", "(").replace(", )", ")")
    });
    parts.filter(|part| part.contains("fn ")).collect()
}

fn name_of(method: &str) -> &str {
    let (_, rest) = method.split_once("fn ").unwrap_or_default();
    rest.split('(').next().unwrap_or_default()
}

/// The names of the arguments after `&self`.
fn arguments_of(method: &str) -> Vec<&str> {
    let inside = method
        .split_once('(')
        .and_then(|(_, rest)| rest.split_once(')'))
        .map_or("", |(inside, _)| inside);
    let arguments = inside.split(", ").skip(1);
    arguments
        .filter_map(|it| Some(it.split_once(": ")?.0))
        .collect()
}

/// The words of a signature that begin with a capital.
fn types(method: &str) -> impl Iterator<Item = &str> {
    method
        .split(|c: char| !c.is_alphanumeric() && c != '_')
        .filter(|word| word.starts_with(|c: char| c.is_ascii_uppercase()))
}

fn is_id(word: &str) -> bool {
    IDS.contains(&format!("    {word};\n")) || IDS.contains(&format!("pub struct {word}("))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stub_has_the_methods_of_its_trait_and_no_accessor() {
        let stub = Stub::load("Hosting").unwrap();
        let names: Vec<&str> = stub.methods.iter().map(|it| name_of(it)).collect();
        assert_eq!(
            names,
            [
                "provider",
                "limits",
                "list_apps",
                "app",
                "deploy",
                "deployment",
                "list_deployments",
                "delete_app"
            ]
        );
    }

    #[test]
    fn every_trait_has_methods() {
        for it in TRAITS {
            let stub = Stub::load(it.name).unwrap();
            assert!(stub.methods.len() >= 3, "{}: {:?}", it.name, stub.methods);
        }
    }

    #[test]
    fn a_signature_over_several_lines_is_read() {
        let source = "pub trait X: Y {\n    /// Doc; with a semicolon.\n    async fn put(\n        &self,\n        key: &Key,\n        data: Bytes,\n    ) -> Result<Meta>;\n\n    #[expect(\n";
        let methods = methods(source, "X");
        assert_eq!(
            methods,
            ["async fn put(&self, key: &Key, data: Bytes) -> Result<Meta>"]
        );
        assert_eq!(arguments_of(&methods[0]), ["key", "data"]);
    }

    #[test]
    fn a_method_that_has_a_body_is_left_out() {
        let source = "pub trait X: Y {\n    fn a(&self);\n\n    async fn b(\n        &self,\n        c: u8,\n    ) -> u8 {\n        if c > 0 {\n            return c;\n        }\n        0\n    }\n\n    fn d(&self);\n    #[expect(\n";
        assert_eq!(methods(source, "X"), ["fn a(&self)", "fn d(&self)"]);
    }

    #[test]
    fn an_unknown_trait_is_refused_with_those_that_there_are() {
        let err = Stub::load("Storage").err().unwrap();
        assert!(
            matches!(&err, Failure::Usage(said) if said.contains("ObjectStore")),
            "{err:?}"
        );
    }
}

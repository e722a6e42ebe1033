//! Struct fields that by their name hold a secret, and by their type would print it.

use std::collections::BTreeSet;

use super::source::{Source, is_word, line_at};
use super::{Finding, Tree};

/// Fields that only sound like a secret: file, field, and why it is none.
/// An entry that matches nothing is an error, so that none outlives its field.
const NOT_SECRET: &[(&str, &str, &str)] = &[];

const SECRET_WORDS: [&str; 4] = ["token", "secret", "password", "passphrase"];

pub(super) fn check(tree: &Tree, findings: &mut Vec<Finding>) {
    check_with(tree, NOT_SECRET, findings);
}

fn check_with(tree: &Tree, allowed: &[(&str, &str, &str)], findings: &mut Vec<Finding>) {
    let mut used = BTreeSet::new();
    for (path, _) in tree.files() {
        let Some(source) = tree.rust(path) else {
            continue;
        };
        for field in fields(&source).into_iter().filter(Field::is_bare_secret) {
            if allowed
                .iter()
                .any(|(file, name, _)| *file == path && *name == field.name)
            {
                used.insert((path.to_owned(), field.name));
                continue;
            }
            let message = format!(
                "`{}: {}` would print a secret: make it an ops_core::Secret, or say in xtask why it is none",
                field.name, field.kind
            );
            findings.push(Finding::error(path, field.line, message));
        }
    }
    for (file, name, _) in allowed {
        if !used.contains(&((*file).to_owned(), (*name).to_owned())) {
            let message = format!("the exception for `{name}` in {file} is not needed");
            findings.push(Finding::error(
                "xtask/src/tidy/secret_fields.rs",
                0,
                message,
            ));
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
struct Field {
    name: String,
    kind: String,
    line: usize,
}

impl Field {
    fn is_bare_secret(&self) -> bool {
        names_secret(&self.name) && is_text(&self.kind)
    }
}

/// Whether a name means a secret: `api_token`, `secrets`, `private_key`, `apikey`.
///
/// A `key` by itself is what something is looked up by, and a `key_id` names a key.
fn names_secret(name: &str) -> bool {
    let mut parts = name
        .split('_')
        .map(|part| part.strip_suffix('s').unwrap_or(part));
    let is_key = parts
        .clone()
        .next_back()
        .is_some_and(|last| last.ends_with("key") && last != "monkey");
    let is_lookup = parts.clone().eq(["key"]);
    parts.any(|part| SECRET_WORDS.iter().any(|word| part.ends_with(word))) || (is_key && !is_lookup)
}

/// Whether a type is a text that prints itself, also inside a container.
fn is_text(kind: &str) -> bool {
    let kind: String = kind.split_whitespace().collect::<Vec<_>>().join(" ");
    let kind = kind.trim_start_matches('&').trim_start();
    let kind = match kind.strip_prefix('\'') {
        Some(rest) => rest.trim_start_matches(is_word).trim_start(),
        None => kind,
    };
    if matches!(kind, "str" | "String" | "std::string::String") {
        return true;
    }
    let Some((outer, inner)) = kind.strip_suffix('>').and_then(|kind| kind.split_once('<')) else {
        return false;
    };
    let container = outer.rsplit("::").next().unwrap_or(outer);
    matches!(container, "Option" | "Vec" | "Box" | "Arc" | "Rc" | "Cow")
        && is_text(inner.rsplit(',').next().unwrap_or(inner))
}

/// The named fields of every struct.
fn fields(source: &Source) -> Vec<Field> {
    let code = source.code.as_str();
    let mut fields = Vec::new();
    for (at, _) in code.match_indices("struct ") {
        let starts_word = code
            .get(..at)
            .and_then(|code| code.chars().next_back())
            .is_some_and(is_word);
        if starts_word {
            continue;
        }
        let Some(body) = body_after(code, at + "struct ".len()) else {
            continue;
        };
        for (start, text) in split_fields(code, body) {
            fields.extend(parse_field(code, start, text));
        }
    }
    fields
}

/// The span between the braces of a struct that is declared here, if it has any.
fn body_after(code: &str, name: usize) -> Option<(usize, usize)> {
    let rest = code.get(name..)?;
    let generics = rest.find(|c: char| !is_word(c))?;
    let mut depth = 0_i32;
    let mut before = ' ';
    for (at, c) in rest.char_indices().skip_while(|(at, _)| *at < generics) {
        match c {
            '<' => depth += 1,
            '>' if before != '-' => depth -= 1,
            // A tuple struct, unless the parenthesis belongs to a bound.
            '(' if depth == 0 && !rest.get(..at)?.contains(" where") => return None,
            ';' if depth == 0 => return None,
            '{' if depth == 0 => {
                let start = name + at + 1;
                return Some((start, closing_brace(code, start)?));
            }
            _ => {}
        }
        before = c;
    }
    None
}

fn closing_brace(code: &str, start: usize) -> Option<usize> {
    let mut depth = 1_i32;
    for (at, c) in code.get(start..)?.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some(start + at);
        }
    }
    None
}

/// The parts between the commas that separate fields.
fn split_fields(code: &str, (start, end): (usize, usize)) -> Vec<(usize, &str)> {
    let body = code.get(start..end).unwrap_or_default();
    let mut parts = Vec::new();
    let (mut depth, mut from, mut before) = (0_i32, 0, ' ');
    for (at, c) in body.char_indices() {
        match c {
            '<' | '(' | '[' | '{' => depth += 1,
            '>' if before != '-' => depth -= 1,
            ')' | ']' | '}' => depth -= 1,
            ',' if depth == 0 => {
                parts.push((start + from, body.get(from..at).unwrap_or_default()));
                from = at + 1;
            }
            _ => {}
        }
        before = c;
    }
    parts.push((start + from, body.get(from..).unwrap_or_default()));
    parts
}

/// Reads `#[attribute] pub(crate) name: Type`.
fn parse_field(code: &str, start: usize, text: &str) -> Option<Field> {
    let mut rest = text.trim_start();
    while let Some(attribute) = rest.strip_prefix("#[") {
        let mut depth = 1_i32;
        let end = attribute.find(|c| {
            depth += i32::from(c == '[') - i32::from(c == ']');
            depth == 0
        })?;
        rest = attribute.get(end + 1..)?.trim_start();
    }
    let (name, kind) = rest.split_once(':')?;
    let name = name
        .split_whitespace()
        .next_back()?
        .trim_start_matches("r#");
    let line = line_at(code, start + (text.len() - rest.len()));
    Some(Field {
        name: name.to_owned(),
        kind: kind.trim().to_owned(),
        line,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<(usize, String)> {
        let source = Source::new("a.rs", text);
        let secret = fields(&source).into_iter().filter(Field::is_bare_secret);
        secret.map(|field| (field.line, field.name)).collect()
    }

    fn names(text: &str) -> Vec<String> {
        found(text).into_iter().map(|(_, name)| name).collect()
    }

    #[test]
    fn a_secret_in_a_bare_text_is_found_with_its_line() {
        let text = "pub struct A {\n    /// Doc.\n    #[serde(default, rename = \"t\")]\n    pub(crate) api_token: String,\n}";
        assert_eq!(found(text), [(4, "api_token".to_owned())]);
    }

    #[test]
    fn every_shape_of_text_counts() {
        for kind in [
            "String",
            "&'a str",
            "Option<String>",
            "Cow<'a, str>",
            "Box<str>",
            "Vec<String>",
        ] {
            assert_eq!(
                names(&format!("struct A<'a> {{ password: {kind} }}")),
                ["password"],
                "{kind}"
            );
        }
    }

    #[test]
    fn a_wrapped_secret_and_a_harmless_name_are_fine() {
        let text =
            "struct A { password: Secret, token: Option<Secret>, keyword: String, monkey: String,
            access_key_file: PathBuf, name: String, keys: HashMap<ObjectKey, Entry> }";
        assert_eq!(names(text), Vec::<String>::new());
    }

    #[test]
    fn names_are_read_by_their_parts() {
        let text = "struct A { apikey: String, secrets: Vec<String>, password_old: String,
            signing_keys: Vec<String>, key: String, keys: Vec<String>, key_id: String,
            hockey_team: String, monkey: String }";
        assert_eq!(
            names(text),
            ["apikey", "secrets", "password_old", "signing_keys"]
        );
    }

    #[test]
    fn generics_bounds_and_tuples_do_not_confuse() {
        let text = "struct T(String);\nstruct U;\nstruct F<F> where F: Fn(u8) -> u8 { run: F, token: String }
            fn f(password: String) { let constructed = A { token: x }; }";
        assert_eq!(names(text), ["token"]);
    }

    #[test]
    fn an_exception_serves_its_own_field_only_and_not_longer_than_it() {
        let tree = Tree::from([
            ("a.rs", "struct A { token: String }"),
            ("b.rs", "struct B { token: String }"),
        ]);
        let allowed = [("a.rs", "token", "public"), ("c.rs", "token", "gone")];
        let mut findings = Vec::new();
        check_with(&tree, &allowed, &mut findings);
        let paths: Vec<_> = findings
            .iter()
            .map(|finding| finding.path.as_str())
            .collect();
        assert_eq!(paths, ["b.rs", "xtask/src/tidy/secret_fields.rs"]);
    }
}

//! The answer to an introspection query as a schema in its own language.

use std::fmt::Write as _;

use serde_json::Value;

/// Types that every schema has.
const BUILT_IN: [&str; 5] = ["Int", "Float", "String", "Boolean", "ID"];

pub(super) fn to_sdl(document: &Value) -> Result<String, String> {
    let found = document
        .pointer("/data/__schema")
        .or_else(|| document.get("__schema"));
    let schema = found.ok_or("there is no __schema")?;
    let mut sdl = String::from("schema {");
    for (key, name) in [
        ("queryType", "query"),
        ("mutationType", "mutation"),
        ("subscriptionType", "subscription"),
    ] {
        if let Some(root) = schema.get(key).and_then(|it| it.get("name")?.as_str()) {
            let _ = write!(sdl, " {name}: {root}");
        }
    }
    sdl.push_str(" }\n");
    for definition in list(schema, "types") {
        let name = text(definition, "name");
        if !name.starts_with("__") && !BUILT_IN.contains(&name) {
            define(&mut sdl, definition, name);
        }
    }
    Ok(sdl)
}

fn text<'a>(object: &'a Value, key: &str) -> &'a str {
    object.get(key).and_then(Value::as_str).unwrap_or_default()
}

fn list<'a>(object: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
    object
        .get(key)
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
}

fn names(object: &Value, key: &str, separator: &str) -> String {
    let names: Vec<&str> = list(object, key).map(|it| text(it, "name")).collect();
    names.join(separator)
}

fn define(sdl: &mut String, definition: &Value, name: &str) {
    let implements = match names(definition, "interfaces", " & ") {
        none if none.is_empty() => none,
        some => format!(" implements {some}"),
    };
    let _ = match text(definition, "kind") {
        "SCALAR" => writeln!(sdl, "scalar {name}"),
        "ENUM" => writeln!(
            sdl,
            "enum {name} {{ {} }}",
            names(definition, "enumValues", " ")
        ),
        "UNION" => writeln!(
            sdl,
            "union {name} = {}",
            names(definition, "possibleTypes", " | ")
        ),
        "OBJECT" => writeln!(sdl, "type {name}{implements} {{\n{}}}", fields(definition)),
        "INTERFACE" => writeln!(
            sdl,
            "interface {name}{implements} {{\n{}}}",
            fields(definition)
        ),
        "INPUT_OBJECT" => {
            let inputs: String = list(definition, "inputFields")
                .map(|it| input(it) + "\n")
                .collect();
            writeln!(sdl, "input {name} {{\n{inputs}}}")
        }
        _ => Ok(()),
    };
}

fn fields(definition: &Value) -> String {
    let mut text_of = String::new();
    for field in list(definition, "fields") {
        let arguments: Vec<String> = list(field, "args").map(input).collect();
        let mut arguments = arguments.join(", ");
        if !arguments.is_empty() {
            arguments = format!("({arguments})");
        }
        let ty = field.get("type").map(of_type).unwrap_or_default();
        let _ = writeln!(text_of, "  {}{arguments}: {ty}", text(field, "name"));
    }
    text_of
}

fn input(definition: &Value) -> String {
    let ty = definition.get("type").map(of_type).unwrap_or_default();
    let default = definition.get("defaultValue").and_then(Value::as_str);
    let default = default.map(|it| format!(" = {it}")).unwrap_or_default();
    format!("{}: {ty}{default}", text(definition, "name"))
}

fn of_type(ty: &Value) -> String {
    let inner = || ty.get("ofType").map(of_type).unwrap_or_default();
    match text(ty, "kind") {
        "NON_NULL" => format!("{}!", inner()),
        "LIST" => format!("[{}]", inner()),
        _ => text(ty, "name").to_owned(),
    }
}

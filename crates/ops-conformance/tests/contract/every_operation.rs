//! Every operation of every description: what is made of it is accepted, what is spoiled is
//! refused.

use std::collections::BTreeMap;

use bytes::Bytes;
use ops_conformance::contract::{Description, Descriptions, Request, lines};
use serde_json::{Value, json};

/// Runs over all operations of all descriptions.
fn each(mut visit: impl FnMut(&Description, &str)) {
    let Some(descriptions) = Descriptions::find_or_skip() else {
        return;
    };
    for name in descriptions.names().expect("a folder") {
        let description = descriptions.load(&name).expect("a description");
        for operation in description.operations() {
            visit(&description, &operation.id);
        }
    }
}

#[test]
fn a_request_that_is_made_from_a_description_is_accepted_as_that_operation() {
    let mut count = 0;
    let mut problems = Vec::new();
    each(|description, id| {
        for request in description.sample_requests(id) {
            count += 1;
            match description.check(&request) {
                Ok(checked) if checked.operation_id == id => {}
                Ok(checked) => problems.push(format!(
                    "{} {id}: taken for {}",
                    description.name(),
                    checked.operation_id
                )),
                Err(violations) => problems.push(format!(
                    "{} {id}: {} {}\n  {}",
                    description.name(),
                    request.method,
                    request.path_and_query,
                    lines(&violations)
                )),
            }
        }
    });
    println!("{count} requests");
    assert!(
        problems.is_empty(),
        "{} problems\n{}",
        problems.len(),
        problems.join("\n")
    );
}

/// The pointers of all objects within a value.
fn objects(value: &Value, pointer: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            found.push(pointer.to_owned());
            for (name, value) in fields {
                let name = name.replace('~', "~0").replace('/', "~1");
                objects(value, &format!("{pointer}/{name}"), found);
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                objects(item, &format!("{pointer}/{index}"), found);
            }
        }
        _ => {}
    }
}

#[test]
fn an_unknown_field_is_refused_at_every_depth_unless_the_schema_is_free_form() {
    let mut tried = 0;
    let mut free: BTreeMap<String, usize> = BTreeMap::new();
    each(|description, id| {
        for request in description.sample_requests(id) {
            let Ok(body) = serde_json::from_slice::<Value>(&request.body) else {
                continue;
            };
            let mut places = Vec::new();
            objects(&body, "", &mut places);
            for place in places {
                tried += 1;
                let mut spoiled = body.clone();
                spoiled.pointer_mut(&place).unwrap()["opsUnknownField"] = json!({ "x": 1 });
                let mut sent = request.clone();
                sent.body = Bytes::from(spoiled.to_string());
                match description.check(&sent) {
                    Ok(_) => {
                        assert!(
                            description.is_free_form(id, &place),
                            "{} {id}: an unknown field at {place:?} is accepted",
                            description.name()
                        );
                        *free.entry(description.name().to_owned()).or_default() += 1;
                    }
                    Err(violations) => {
                        // The place of a variable is told from the variables on.
                        let variables = description.name().contains("graphql");
                        let place = place
                            .strip_prefix("/variables")
                            .filter(|_| variables)
                            .unwrap_or(&place);
                        let of_field = violations.iter().any(|one| one.pointer.starts_with(place));
                        assert!(
                            of_field,
                            "{} {id} {place}: {}",
                            description.name(),
                            lines(&violations)
                        );
                    }
                }
            }
        }
    });
    println!(
        "{tried} objects, free-form: {} {free:#?}",
        free.values().sum::<usize>()
    );
}

#[test]
fn an_unknown_query_parameter_is_refused_by_every_operation() {
    let mut tried = 0;
    each(|description, id| {
        for request in description.sample_requests(id) {
            tried += 1;
            let separator = if request.path_and_query.contains('?') {
                '&'
            } else {
                '?'
            };
            let target = format!("{}{separator}opsUnknown=1", request.path_and_query);
            let sent = Request::from_parts(request.method, target, request.headers, request.body);
            let violations = description.check(&sent).expect_err(id);
            let found = violations.iter().any(|one| one.pointer == "/opsUnknown");
            assert!(found, "{} {id}: {}", description.name(), lines(&violations));
        }
    });
    println!("{tried} requests");
}

#[test]
fn minimal_and_full_answers_are_allowed_by_their_schemas() {
    let mut count = 0;
    let mut problems = Vec::new();
    each(|description, id| {
        for answer in description.answers(id) {
            count += 1;
            let good = answer.label.ends_with("minimal") || answer.label.ends_with("full");
            // No text has the length and the pattern of this one.
            let text = String::from_utf8_lossy(&answer.body);
            let impossible = text.contains("\"ServiceId\":\"textxxxx");
            if good && !answer.allowed && !impossible {
                problems.push(format!(
                    "{} {id} {}: {:.300?}",
                    description.name(),
                    answer.label,
                    answer.body
                ));
            }
            if good
                && let Err(violations) = description.check_answer(id, answer.status, &answer.body)
            {
                problems.push(format!(
                    "{} {id} {} check: {}",
                    description.name(),
                    answer.label,
                    lines(&violations)
                ));
            }
        }
    });
    println!("{count} answers");
    assert!(
        problems.is_empty(),
        "{} problems\n{}",
        problems.len(),
        problems.join("\n")
    );
}

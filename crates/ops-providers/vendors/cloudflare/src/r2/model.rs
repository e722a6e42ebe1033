//! Rules of buckets, named as the vendor names them.

use std::time::Duration;

use ops_core::object_store::LifecycleRule;
use ops_http::decode::or_default;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

const DAY: f64 = 86_400.0;

#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Rules {
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) rules: Vec<Rule>,
}

/// A lifecycle rule. What we do not know of it is kept.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Rule {
    id: String,
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) enabled: bool,
    #[serde(default, deserialize_with = "or_default")]
    conditions: Conditions,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    delete_objects_transition: Option<Transition>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    abort_multipart_uploads_transition: Option<Transition>,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

#[derive(Debug, Default, Deserialize, Serialize)]
struct Conditions {
    #[serde(default, deserialize_with = "or_default")]
    prefix: String,
}

#[derive(Debug, Deserialize, Serialize)]
struct Transition {
    #[serde(skip_serializing_if = "Option::is_none")]
    condition: Option<Condition>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct Condition {
    #[serde(rename = "type")]
    kind: String,
    /// In seconds, for the type `Age`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    max_age: Option<f64>,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

impl Transition {
    fn after(days: u32) -> Self {
        Self {
            condition: Some(Condition {
                kind: "Age".to_owned(),
                max_age: Some(f64::from(days) * DAY),
                rest: Map::new(),
            }),
        }
    }

    /// Days that have begun count: nothing is removed before them.
    fn days(&self) -> Option<u32> {
        let age = self.condition.as_ref()?.max_age?;
        let age = Duration::try_from_secs_f64(age).ok()?;
        u32::try_from(age.as_secs().div_ceil(86_400)).ok()
    }
}

impl From<Rule> for LifecycleRule {
    fn from(rule: Rule) -> Self {
        let mut known = Self::new(rule.id, rule.conditions.prefix);
        known.expire_after_days = rule.delete_objects_transition.and_then(|it| it.days());
        known.abort_uploads_after_days = rule
            .abort_multipart_uploads_transition
            .and_then(|it| it.days());
        known
    }
}

/// The wanted rules with what of the present ones cannot be said here.
pub(super) fn replaced(present: Vec<Rule>, wanted: Vec<LifecycleRule>) -> Vec<Rule> {
    let (mut named, others): (Vec<Rule>, Vec<Rule>) = present
        .into_iter()
        .partition(|rule| wanted.iter().any(|wanted| wanted.id == rule.id));
    let mut rules: Vec<Rule> = others.into_iter().filter(|rule| !rule.enabled).collect();
    for wanted in wanted {
        let there = named.iter().position(|rule| rule.id == wanted.id);
        rules.push(merged(there.map(|index| named.swap_remove(index)), wanted));
    }
    rules
}

fn merged(there: Option<Rule>, wanted: LifecycleRule) -> Rule {
    // A condition that is no age, such as a date, is none of ours.
    let foreign = |transition: Option<Transition>| transition.filter(|it| it.days().is_none());
    let (delete, abort, rest) = match there {
        Some(there) => (
            foreign(there.delete_objects_transition),
            foreign(there.abort_multipart_uploads_transition),
            there.rest,
        ),
        None => (None, None, Map::new()),
    };
    Rule {
        id: wanted.id,
        enabled: true,
        conditions: Conditions {
            prefix: wanted.prefix,
        },
        delete_objects_transition: wanted.expire_after_days.map(Transition::after).or(delete),
        abort_multipart_uploads_transition: wanted
            .abort_uploads_after_days
            .map(Transition::after)
            .or(abort),
        rest,
    }
}

#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct CorsRules {
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) rules: Vec<CorsRule>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CorsRule {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) id: Option<String>,
    pub(crate) allowed: Allowed,
    #[serde(
        default,
        deserialize_with = "or_default",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub(crate) expose_headers: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) max_age_seconds: Option<f64>,
}

#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Allowed {
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) methods: Vec<String>,
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) origins: Vec<String>,
    #[serde(
        default,
        deserialize_with = "or_default",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub(crate) headers: Vec<String>,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_cannot_be_said_of_a_rule_is_kept() {
        let moves = json!([{"condition": {"type": "Age", "maxAge": 864_000}, "storageClass": "InfrequentAccess"}]);
        let present = json!([
            {"id": "a", "enabled": true, "conditions": {"prefix": "old/"}, "storageClassTransitions": moves,
             "deleteObjectsTransition": {"condition": {"type": "Date", "date": "2027-01-01T00:00:00Z"}}},
            {"id": "b", "enabled": true, "conditions": {"prefix": ""}},
            {"id": "c", "enabled": false, "conditions": {"prefix": "c/"}},
        ]);
        let present: Vec<Rule> = serde_json::from_value(present).unwrap();
        let wanted = vec![
            LifecycleRule::new("a", "a/").with_abort_uploads_after_days(7),
            LifecycleRule::new("d", "").with_expire_after_days(1),
        ];
        let expected = json!([
            {"id": "c", "enabled": false, "conditions": {"prefix": "c/"}},
            {"id": "a", "enabled": true, "conditions": {"prefix": "a/"}, "storageClassTransitions": moves,
             "deleteObjectsTransition": {"condition": {"type": "Date", "date": "2027-01-01T00:00:00Z"}},
             "abortMultipartUploadsTransition": {"condition": {"type": "Age", "maxAge": 604_800.0}}},
            {"id": "d", "enabled": true, "conditions": {"prefix": ""},
             "deleteObjectsTransition": {"condition": {"type": "Age", "maxAge": 86_400.0}}},
        ]);
        assert_eq!(
            serde_json::to_value(replaced(present, wanted)).unwrap(),
            expected
        );
    }

    #[test]
    fn an_age_is_told_in_days_that_have_begun() {
        let days = |age: Value| {
            let rule = json!({"id": "a", "enabled": true, "conditions": {"prefix": ""},
                "deleteObjectsTransition": {"condition": {"type": "Age", "maxAge": age}}});
            let rule: Rule = serde_json::from_value(rule).unwrap();
            LifecycleRule::from(rule).expire_after_days
        };
        assert_eq!(days(json!(86_400)), Some(1));
        assert_eq!(days(json!(86_401)), Some(2));
        assert_eq!(days(json!(-1)), None);
        assert_eq!(days(json!(null)), None);
    }
}

//! The table of vendors, abilities and operations.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::Value;

use crate::failure::{Failure, Result};

/// What the contract test of a vendor crate wrote.
#[derive(Debug)]
pub(super) struct Vendor {
    name: String,
    operations: Vec<Operation>,
}

#[derive(Debug)]
struct Operation {
    id: String,
    serves: Vec<String>,
    covered: bool,
}

impl Vendor {
    pub(super) fn parse(text: &str) -> Result<Self> {
        let parsed: Option<Self> = serde_json::from_str(text).ok().and_then(|it| vendor(&it));
        parsed.ok_or_else(|| Failure::new("a contract test wrote something unexpected"))
    }

    pub(super) fn len(&self) -> usize {
        self.operations.len()
    }

    /// The operations that were not both sent and answered.
    pub(super) fn uncovered(&self) -> impl Iterator<Item = String> {
        let open = self.operations.iter().filter(|it| !it.covered);
        open.map(|it| format!("{}: {}", self.name, it.id))
    }
}

fn vendor(document: &Value) -> Option<Vendor> {
    let operations = document.get("operations")?.as_array()?;
    Some(Vendor {
        name: document.get("vendor")?.as_str()?.to_owned(),
        operations: operations.iter().map(operation).collect::<Option<_>>()?,
    })
}

fn operation(entry: &Value) -> Option<Operation> {
    let tried = |field| Some(entry.get(field)?.as_u64()? > 0);
    let serves = entry.get("serves")?.as_array()?.iter();
    Some(Operation {
        id: entry.get("id")?.as_str()?.to_owned(),
        serves: serves
            .map(|it| it.as_str().map(str::to_owned))
            .collect::<Option<_>>()?,
        covered: tried("sent")? && tried("answers")?,
    })
}

/// One row for each ability of each vendor.
pub(super) fn render(vendors: &[Vendor]) -> String {
    let mut table = "| vendor | trait | ability | operations used | covered |\n\
                     | --- | --- | --- | --- | --- |\n"
        .to_owned();
    for vendor in vendors {
        let mut rows: BTreeMap<(&str, &str), Vec<&Operation>> = BTreeMap::new();
        for operation in &vendor.operations {
            for serves in &operation.serves {
                let row = serves.split_once('/').unwrap_or((serves, ""));
                rows.entry(row).or_default().push(operation);
            }
        }
        for ((of, ability), operations) in rows {
            let ids: Vec<&str> = operations.iter().map(|it| it.id.as_str()).collect();
            let covered = operations.iter().filter(|it| it.covered).count();
            let ability = if ability.is_empty() { "base" } else { ability };
            // Writing into a text cannot fail.
            let _ = writeln!(
                table,
                "| {} | `{of}` | {ability} | {} | {covered} of {} |",
                vendor.name,
                ids.join(", "),
                ids.len()
            );
        }
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operation_has_a_row_for_each_ability_that_it_serves() {
        let text = r#"{"vendor": "fly", "operations": [
            {"id": "Apps_show", "serves": ["Hosting"], "sent": 3, "answers": 1},
            {"id": "Machines_update", "serves": ["Hosting", "Hosting/Scale"], "sent": 0, "answers": 1}]}"#;
        let table = render(&[Vendor::parse(text).unwrap()]);
        let rows: Vec<&str> = table.lines().skip(2).collect();
        assert_eq!(
            rows,
            [
                "| fly | `Hosting` | base | Apps_show, Machines_update | 1 of 2 |",
                "| fly | `Hosting` | Scale | Machines_update | 0 of 1 |",
            ]
        );
    }

    #[test]
    fn something_else_than_a_result_is_refused() {
        assert!(Vendor::parse("{}").is_err());
        assert!(Vendor::parse("not JSON").is_err());
    }
}

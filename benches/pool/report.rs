//! The report: tables with gates, printed, and written as JSON and SVG.

use std::fmt;
use std::path::PathBuf;

use serde::Serialize;

use crate::Result;
use crate::measure::{Machine, Samples, load};
use crate::plot;

/// What is written to `target/bench/<name>.json`.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    name: &'static str,
    machine: Machine,
    pub(crate) tables: Vec<Table>,
}

/// A table of a scenario: a row for each contender, a column for each figure.
#[derive(Debug, Serialize)]
pub(crate) struct Table {
    pub(crate) title: String,
    pub(crate) columns: Vec<Column>,
    pub(crate) rows: Vec<Row>,
    pub(crate) gates: Vec<Gate>,
}

#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Column {
    pub(crate) name: &'static str,
    pub(crate) unit: &'static str,
}

#[derive(Debug, Serialize)]
pub(crate) struct Row {
    pub(crate) contender: String,
    /// NaN where there is none.
    pub(crate) figures: Vec<f64>,
}

/// What we want to reach.
#[derive(Debug, Serialize)]
pub(crate) struct Gate {
    pub(crate) what: String,
    pub(crate) value: f64,
    pub(crate) op: &'static str,
    pub(crate) limit: f64,
    pub(crate) met: bool,
}

impl Gate {
    pub(crate) fn at_most(what: impl Into<String>, value: f64, limit: f64) -> Self {
        Self {
            what: what.into(),
            value,
            op: "<=",
            limit,
            met: value <= limit,
        }
    }

    pub(crate) fn at_least(what: impl Into<String>, value: f64, limit: f64) -> Self {
        Self {
            what: what.into(),
            value,
            op: ">=",
            limit,
            met: value >= limit,
        }
    }
}

impl Table {
    pub(crate) fn new(title: impl Into<String>, columns: &[(&'static str, &'static str)]) -> Self {
        Self {
            title: title.into(),
            columns: columns
                .iter()
                .map(|&(name, unit)| Column { name, unit })
                .collect(),
            rows: Vec::new(),
            gates: Vec::new(),
        }
    }

    pub(crate) fn row(&mut self, contender: impl Into<String>, figures: Vec<f64>) {
        self.rows.push(Row {
            contender: contender.into(),
            figures,
        });
    }

    /// A row for each contender, of its medians.
    pub(crate) fn with_medians(mut self, samples: &Samples, contenders: &[&'static str]) -> Self {
        for name in contenders {
            self.row(*name, samples.medians(name));
        }
        self
    }

    pub(crate) fn with_gates(mut self, gates: impl IntoIterator<Item = Gate>) -> Self {
        self.gates.extend(gates);
        self
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\n{}", self.title)?;
        write!(f, "  {:34}", "")?;
        for Column { name, unit } in &self.columns {
            let unit = if unit.is_empty() {
                String::new()
            } else {
                format!(" {unit}")
            };
            write!(f, " {:>14}", format!("{name}{unit}"))?;
        }
        writeln!(f)?;
        for Row { contender, figures } in &self.rows {
            write!(f, "  {contender:34}")?;
            for figure in figures {
                write!(f, " {:>14}", shown(*figure))?;
            }
            writeln!(f)?;
        }
        for gate in &self.gates {
            let met = if gate.met { "met" } else { "MISSED" };
            let Gate {
                what,
                value,
                op,
                limit,
                ..
            } = gate;
            writeln!(f, "  gate: {what} {op} {limit}: {}, {met}", shown(*value))?;
        }
        Ok(())
    }
}

/// Four digits or so.
pub(crate) fn shown(figure: f64) -> String {
    match figure.abs() {
        _ if figure.is_nan() => "-".to_owned(),
        size if size >= 100.0 || figure.fract().abs() < 1e-9 => format!("{figure:.0}"),
        size if size >= 10.0 => format!("{figure:.1}"),
        size if size >= 0.01 => format!("{figure:.3}"),
        _ => format!("{figure:.5}"),
    }
}

impl Report {
    pub(crate) fn new(name: &'static str, machine: Machine) -> Self {
        Self {
            name,
            machine,
            tables: Vec::new(),
        }
    }

    /// Sums up, and writes `target/bench/<name>.json` and `.svg`.
    pub(crate) fn publish(mut self) -> Result<()> {
        self.machine.load_after = load();
        let gates = || self.tables.iter().flat_map(|table| &table.gates);
        let missed = gates().filter(|gate| !gate.met).count();
        let Machine {
            cores,
            workers,
            rounds,
            server,
            load_before,
            load_after,
            ..
        } = &self.machine;
        println!(
            "\n{} gates, {missed} MISSED; {rounds} rounds, {workers} workers on {cores} cores, \
             PostgreSQL {server}, load {load_before} before and {load_after} after",
            gates().count()
        );
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../target/bench");
        std::fs::create_dir_all(&folder)?;
        let path = |ending| folder.join(self.name).with_extension(ending);
        std::fs::write(path("json"), serde_json::to_vec_pretty(&self)?)?;
        std::fs::write(path("svg"), plot::svg(&self.tables))?;
        Ok(())
    }
}

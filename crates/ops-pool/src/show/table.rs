//! Tables as `psql` prints them.

use std::borrow::Cow;
use std::fmt::Write;

use super::{ColumnType, Row};

/// Prints rows as `psql` does: names in the middle, numbers on the right, and how many rows
/// there are. A control character in a value is printed as a blank.
///
/// ```
/// use ops_pool::show::{ListsCounts, table};
///
/// let lists = ListsCounts { databases: 1, pools: 2, ..ListsCounts::default() };
/// let rows = lists.rows();
/// let lines = [
///     "   list    | items ",
///     "-----------+-------",
///     " databases |     1",
///     " users     |     0",
///     " peers     |     0",
///     " pools     |     2",
///     "(4 rows)",
/// ];
/// assert!(table(&rows[..4]).lines().eq(lines));
/// ```
#[must_use]
pub fn table<R: Row>(rows: &[R]) -> String {
    let rows: Vec<Vec<Cow<'_, str>>> = rows
        .iter()
        .map(|row| row.values().into_iter().map(printable).collect())
        .collect();
    let widths: Vec<usize> = R::COLUMNS
        .iter()
        .enumerate()
        .map(|(index, column)| {
            let values = rows.iter().filter_map(|row| row.get(index));
            let widths = values.map(|value| value.chars().count());
            widths.fold(column.name.len(), usize::max)
        })
        .collect();
    let names = R::COLUMNS.iter().zip(&widths).map(|(column, width)| {
        let blanks = width - column.name.len();
        let (left, right) = (blanks / 2, blanks.div_ceil(2));
        format!(" {:left$}{}{:right$} ", "", column.name, "")
    });
    let mut out = String::new();
    line(&mut out, "|", names);
    line(
        &mut out,
        "+",
        widths.iter().map(|width| "-".repeat(width + 2)),
    );
    for row in &rows {
        let columns = R::COLUMNS.iter().zip(&widths).enumerate();
        let cells = columns.zip(row).map(|((index, (column, width)), value)| {
            // Nothing is printed after the last value.
            let end = if index + 1 < row.len() { " " } else { "" };
            match column.kind {
                ColumnType::Text if end.is_empty() => format!(" {value}"),
                ColumnType::Text => format!(" {value:width$} "),
                _ => format!(" {value:>width$}{end}"),
            }
        });
        line(&mut out, "|", cells);
    }
    let plural = if rows.len() == 1 { "" } else { "s" };
    let _ = writeln!(out, "({} row{plural})", rows.len());
    out
}

fn line(out: &mut String, between: &str, cells: impl Iterator<Item = String>) {
    for (index, cell) in cells.enumerate() {
        if index > 0 {
            out.push_str(between);
        }
        out.push_str(&cell);
    }
    out.push('\n');
}

fn printable(value: Option<Cow<'_, str>>) -> Cow<'_, str> {
    let value = value.unwrap_or_default();
    if value.contains(char::is_control) {
        return value.replace(char::is_control, " ").into();
    }
    value
}

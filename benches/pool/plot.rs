//! The tables as bars.

use std::fmt::Write as _;

use crate::report::{Column, Row, Table, shown};

const LINE: f64 = 20.0;
const WIDTH: f64 = 360.0;
const INDENT: f64 = 250.0;

/// One block of bars for each column of each table.
pub(crate) fn svg(tables: &[Table]) -> String {
    let mut body = String::new();
    let mut y = 10.0;
    for table in tables {
        let _ = write!(
            body,
            "<text x='10' y='{}' font-weight='bold'>{}</text>",
            y + 14.0,
            escaped(&table.title)
        );
        y += LINE;
        for (at, column) in table.columns.iter().enumerate() {
            y = bars(&mut body, y, table, at, *column);
        }
        y += LINE;
    }
    format!(
        "<svg xmlns='http://www.w3.org/2000/svg' width='720' height='{y:.0}' \
         font-family='sans-serif' font-size='12'>{body}</svg>\n"
    )
}

fn bars(body: &mut String, mut y: f64, table: &Table, at: usize, column: Column) -> f64 {
    let figures = || table.rows.iter().filter_map(|row| row.figures.get(at));
    let longest = figures().copied().fold(0.0, f64::max);
    // What differs by orders of magnitude is told apart on a logarithmic scale alone.
    let least = figures()
        .copied()
        .filter(|it| *it > 0.0)
        .fold(longest, f64::min);
    let logarithmic = longest > 100.0 * least;
    let Column { name, unit } = column;
    let scale = if logarithmic { ", logarithmic" } else { "" };
    let unit = if unit.is_empty() {
        String::new()
    } else {
        format!(", {unit}")
    };
    let _ = write!(
        body,
        "<text x='20' y='{}' fill='#555'>{name}{unit}{scale}</text>",
        y + 14.0
    );
    y += LINE;
    for Row { contender, figures } in &table.rows {
        let Some(figure) = figures.get(at).copied().filter(|it| !it.is_nan()) else {
            continue;
        };
        let share = match (logarithmic, longest > 0.0) {
            (true, _) if figure <= 0.0 => 0.0,
            // The least is a tenth of the width.
            (true, _) => 0.1 + 0.9 * (figure / least).ln() / (longest / least).ln(),
            (false, true) => figure / longest,
            (false, false) => 0.0,
        };
        let fill = if contender.starts_with("ours") {
            "#2a6f97"
        } else {
            "#a9b4c2"
        };
        let width = WIDTH * share;
        let _ = write!(
            body,
            "<text x='30' y='{base}'>{}</text><rect x='{INDENT}' y='{y}' width='{width:.1}' \
             height='15' fill='{fill}'/><text x='{:.1}' y='{base}'>{}</text>",
            escaped(contender),
            INDENT + width + 5.0,
            shown(figure),
            base = y + 13.0,
        );
        y += LINE;
    }
    y
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

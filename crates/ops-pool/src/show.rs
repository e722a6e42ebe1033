//! What PgBouncer's console shows, with its columns.
//!
//! Each row is a struct whose fields are the columns, in PgBouncer's order and with its
//! types. [`table`] prints rows as `psql` does; whoever speaks PostgreSQL's protocol finds
//! types in [`Column`] and values in [`Row::values`].

mod config;
mod rows;
mod stats;
mod table;

use std::borrow::Cow;

use ops_core::Timestamp;

pub use config::{ConfigRow, config};
pub use rows::{DatabasesRow, ListsCounts, ListsRow, PoolsRow, SocketRow};
pub use stats::{Counters, StatsRow};
pub use table::table;

/// The type of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ColumnType {
    /// `text`. PgBouncer sends times so too.
    Text,
    /// `integer`.
    Int4,
    /// `bigint`.
    Int8,
    /// `numeric`.
    Numeric,
}

impl ColumnType {
    /// The type's object id in every PostgreSQL.
    #[must_use]
    pub const fn oid(self) -> u32 {
        match self {
            Self::Text => 25,
            Self::Int4 => 23,
            Self::Int8 => 20,
            Self::Numeric => 1700,
        }
    }
}

/// A column.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Column {
    /// Its name.
    pub name: &'static str,
    /// Its type.
    pub kind: ColumnType,
}

/// A row of something that PgBouncer's console shows.
///
/// ```
/// use ops_pool::show::{PoolsRow, Row};
///
/// assert_eq!(PoolsRow::columns()[..4], ["database", "user", "cl_active", "cl_waiting"]);
/// ```
pub trait Row {
    /// The columns, from left to right.
    const COLUMNS: &'static [Column];

    /// The values in the order of the columns, as text; None is null.
    fn values(&self) -> Vec<Option<Cow<'_, str>>>;

    /// The names of the columns.
    fn columns() -> Vec<&'static str> {
        Self::COLUMNS.iter().map(|column| column.name).collect()
    }
}

/// What becomes a value of a row.
trait Cell {
    fn cell(&self) -> Option<Cow<'_, str>>;
}

impl Cell for String {
    fn cell(&self) -> Option<Cow<'_, str>> {
        Some(self.as_str().into())
    }
}

impl Cell for &'static str {
    fn cell(&self) -> Option<Cow<'_, str>> {
        Some((*self).into())
    }
}

impl<T: Cell> Cell for Option<T> {
    fn cell(&self) -> Option<Cow<'_, str>> {
        self.as_ref().and_then(Cell::cell)
    }
}

/// A switch is 0 or 1.
impl Cell for bool {
    fn cell(&self) -> Option<Cow<'_, str>> {
        Some(if *self { "1" } else { "0" }.into())
    }
}

impl Cell for Timestamp {
    fn cell(&self) -> Option<Cow<'_, str>> {
        Some(self.strftime_utc("%Y-%m-%d %H:%M:%S UTC").into())
    }
}

macro_rules! numbers {
    ($($type:ty),+) => {$(
        impl Cell for $type {
            fn cell(&self) -> Option<Cow<'_, str>> {
                Some(self.to_string().into())
            }
        }
    )+};
}

numbers!(i32, u16, u32, u64, usize);

/// Declares a row: a struct whose fields are its columns.
macro_rules! row {
    (
        $(#[$about:meta])*
        $name:ident {
            $($(#[$doc:meta])* $field:ident $(as $column:literal)?: $type:ty => $kind:ident,)+
        }
    ) => {
        $(#[$about])*
        #[derive(Clone, Debug, Default, PartialEq, Eq)]
        #[non_exhaustive]
        pub struct $name {
            $($(#[$doc])* pub $field: $type,)+
        }

        impl $crate::show::Row for $name {
            const COLUMNS: &'static [$crate::show::Column] = &[$(
                $crate::show::Column {
                    name: $crate::show::row!(@name $field $($column)?),
                    kind: $crate::show::ColumnType::$kind,
                },
            )+];

            fn values(&self) -> Vec<Option<std::borrow::Cow<'_, str>>> {
                vec![$($crate::show::Cell::cell(&self.$field),)+]
            }
        }
    };
    (@name $field:ident) => { stringify!($field) };
    (@name $field:ident $column:literal) => { $column };
}

use row;

#[cfg(test)]
mod tests;

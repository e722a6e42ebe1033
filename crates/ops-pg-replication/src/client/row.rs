//! Rows of an answer.

use std::str::FromStr;
use std::sync::Arc;

use bytes::Bytes;
use ops_core::Result;

use crate::error::protocol;

/// A row of an answer, in text as the server wrote it.
#[derive(Clone, Debug)]
pub struct Row {
    columns: Arc<[String]>,
    values: Vec<Option<Bytes>>,
}

impl Row {
    pub(crate) fn new(columns: &Arc<[String]>, values: Vec<Option<Bytes>>) -> Result<Self> {
        if columns.len() != values.len() {
            return Err(protocol(
                "a row of the server has another number of columns",
            ));
        }
        Ok(Self {
            columns: Arc::clone(columns),
            values,
        })
    }

    /// The names of the columns.
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// The value of a column by its name; `None` where it is NULL or there is none.
    pub fn get(&self, column: &str) -> Option<&Bytes> {
        let index = self.columns.iter().position(|name| name == column)?;
        self.value(index)
    }

    /// The value of a column by its index from 0; `None` where it is NULL or there is none.
    pub fn value(&self, index: usize) -> Option<&Bytes> {
        self.values.get(index)?.as_ref()
    }

    /// The value of a column by its name as text; `None` where it is NULL or there is none.
    ///
    /// # Errors
    /// `Decode` where it is not UTF-8.
    pub fn text(&self, column: &str) -> Result<Option<&str>> {
        self.get(column).map(|value| utf8(value)).transpose()
    }

    /// A column by its index that must be there, parsed.
    pub(crate) fn required<T: FromStr>(&self, index: usize, what: &str) -> Result<T> {
        self.optional(index, what)?
            .ok_or_else(|| protocol(format!("the server's answer lacks {what}")))
    }

    /// A column by its index that may be NULL, parsed.
    pub(crate) fn optional<T: FromStr>(&self, index: usize, what: &str) -> Result<Option<T>> {
        let Some(value) = self.value(index) else {
            return Ok(None);
        };
        let parsed = utf8(value)?.parse();
        parsed
            .map(Some)
            .map_err(|_| protocol(format!("the server's answer has no readable {what}")))
    }
}

fn utf8(value: &[u8]) -> Result<&str> {
    std::str::from_utf8(value).map_err(|_| protocol("a value of the server is not UTF-8"))
}

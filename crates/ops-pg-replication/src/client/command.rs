//! Commands whose answer is a few rows.

use std::sync::Arc;

use ops_core::{ErrorKind, Result};

use super::Row;
use crate::connection::Connection;
use crate::error::{error, invalid_input, late};
use crate::wire::{Columns, Message, values};

/// Runs a command and collects its rows. The time for all of it is the command timeout.
pub(super) async fn run(
    connection: &mut Connection,
    command: &str,
    step: &str,
) -> Result<Vec<Row>> {
    let timeout = connection.command_timeout;
    tokio::time::timeout(timeout, collect(connection, command, step))
        .await
        .unwrap_or_else(|_| Err(late(timeout, step)))
}

async fn collect(connection: &mut Connection, command: &str, step: &str) -> Result<Vec<Row>> {
    connection.command(command, step).await?;
    let limit = connection.command_timeout;
    let mut columns: Arc<[String]> = Arc::default();
    let mut rows = Vec::new();
    loop {
        match connection.message(limit, step).await? {
            Message::Columns(body) => columns = Columns::read(body)?.into(),
            Message::Row(body) => rows.push(Row::new(&columns, values(body)?)?),
            Message::CommandComplete => {}
            Message::Ready => return Ok(rows),
            Message::Error(notice) => return Err(connection.fail(notice, step).await),
            Message::CopyBoth | Message::CopyIn | Message::CopyOut => {
                let message = "the command begins a stream, which this method does not read";
                return Err(error(ErrorKind::Unsupported, message));
            }
            other => return Err(other.unexpected(step)),
        }
    }
}

/// A text as a string of the replication grammar, which knows no escapes but a doubled
/// quote.
pub(crate) fn quote(text: &str, what: &str) -> Result<String> {
    if text.contains(char::is_control) {
        return Err(invalid_input(format!("{what} holds a control character")));
    }
    Ok(format!("'{}'", text.replace('\'', "''")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quote_stays_inside_and_a_line_end_is_refused() {
        assert_eq!(quote("it's", "the label").unwrap(), "'it''s'");
        assert_eq!(quote("a\\", "the label").unwrap(), "'a\\'");
        let err = quote("a\nSTART TIMELINE: 7", "the label").unwrap_err();
        assert_eq!(err.message(), "the label holds a control character");
    }
}

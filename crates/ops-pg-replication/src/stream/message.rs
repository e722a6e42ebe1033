//! What is inside the messages of a stream, and settings that bear on it.

use std::time::Duration;

use bytes::Bytes;
use ops_core::{Result, Timestamp};

use super::status::instant;
use crate::error::protocol;
use crate::lsn::Lsn;
use crate::wire::Fields;

/// A message of the stream.
#[derive(Debug)]
pub(super) enum StreamMessage {
    Wal {
        start: Lsn,
        server_end: Lsn,
        sent_at: Timestamp,
        data: Bytes,
    },
    Keepalive {
        server_end: Lsn,
        sent_at: Timestamp,
        wants_reply: bool,
    },
}

impl StreamMessage {
    pub(super) fn read(body: Bytes) -> Result<Self> {
        let mut fields = Fields::new(body);
        match fields.u8()? {
            b'w' => Ok(Self::Wal {
                start: Lsn::new(fields.u64()?),
                server_end: Lsn::new(fields.u64()?),
                sent_at: instant(fields.i64()?),
                data: fields.rest(),
            }),
            b'k' => {
                let message = Self::Keepalive {
                    server_end: Lsn::new(fields.u64()?),
                    sent_at: instant(fields.i64()?),
                    wants_reply: fields.u8()? != 0,
                };
                fields.end()?;
                Ok(message)
            }
            _ => Err(protocol(
                "the stream of WAL holds a message of an unknown kind",
            )),
        }
    }
}

/// Reads a setting that is a time: a number with `us`, `ms`, `s`, `min`, `h` or `d`, or 0.
pub(super) fn duration(text: &str) -> Option<Duration> {
    let end = text.bytes().position(|byte| !byte.is_ascii_digit());
    let (number, unit) = text.split_at(end.unwrap_or(text.len()));
    let number: u64 = number.parse().ok()?;
    let micros: u64 = match unit {
        "us" => 1,
        // Without a unit the setting is in its own, which is milliseconds.
        "ms" | "" => 1_000,
        "s" => 1_000_000,
        "min" => 60_000_000,
        "h" => 3_600_000_000,
        "d" => 86_400_000_000,
        _ => return None,
    };
    number.checked_mul(micros).map(Duration::from_micros)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_setting_has_the_largest_unit_that_fits() {
        for (text, millis) in [
            ("0", 0),
            ("1min", 60_000),
            ("1500ms", 1_500),
            ("1d", 86_400_000),
        ] {
            assert_eq!(
                duration(text),
                Some(Duration::from_millis(millis)),
                "{text}"
            );
        }
        for text in [
            "",
            "min",
            "-1",
            "1 s",
            "1.5s",
            "99999999999999999999s",
            "18446744073709551615d",
        ] {
            assert_eq!(duration(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..40), text in "\\PC{0,12}") {
            let _ = StreamMessage::read(bytes.into());
            let _ = duration(&text);
        }
    }
}

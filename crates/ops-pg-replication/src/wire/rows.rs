//! Rows in text.

use bytes::Bytes;
use ops_core::Result;

use super::Fields;
use crate::error::protocol;

/// Reads the names of columns out of a `RowDescription`.
#[derive(Debug)]
pub(crate) struct Columns;

impl Columns {
    pub(crate) fn read(body: Bytes) -> Result<Vec<String>> {
        let mut fields = Fields::new(body);
        let count = fields.u16()?;
        let mut names = Vec::new();
        for _ in 0..count {
            names.push(fields.text()?);
            // Table, number, type, length, modifier, format.
            fields.take(4 + 2 + 4 + 2 + 4 + 2)?;
        }
        fields.end()?;
        Ok(names)
    }
}

/// Reads the values of a `DataRow`.
pub(crate) fn values(body: Bytes) -> Result<Vec<Option<Bytes>>> {
    let mut fields = Fields::new(body);
    let count = fields.u16()?;
    let mut values = Vec::new();
    for _ in 0..count {
        let value = match fields.i32()? {
            -1 => None,
            length => {
                let length = usize::try_from(length)
                    .map_err(|_| protocol("a value of the server has a negative length"))?;
                Some(fields.take(length)?)
            }
        };
        values.push(value);
    }
    fields.end()?;
    Ok(values)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn nulls_and_empty_values_are_told_apart() {
        let body = b"\0\x03\xff\xff\xff\xff\0\0\0\0\0\0\0\x02ab";
        let row = values(Bytes::from_static(body)).unwrap();
        assert_eq!(row, [None, Some(Bytes::new()), Some(Bytes::from("ab"))]);
    }

    #[test]
    fn a_row_that_is_cut_off_or_too_long_is_refused() {
        let body = b"\0\x02\0\0\0\x01a\0\0\0\x02bc";
        for length in 0..body.len() {
            assert!(
                values(Bytes::copy_from_slice(&body[..length])).is_err(),
                "{length}"
            );
        }
        assert!(values(Bytes::from_static(b"\0\0x")).is_err());
        assert!(values(Bytes::from_static(b"\0\x01\xff\xff\xff\xfe")).is_err());
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = values(Bytes::from(bytes.clone()));
            let _ = Columns::read(Bytes::from(bytes));
        }
    }
}

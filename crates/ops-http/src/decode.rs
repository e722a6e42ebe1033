//! Bodies to values.

use ops_core::Result;
use serde::de::DeserializeOwned;

use crate::request::Response;

pub(crate) fn json<T: DeserializeOwned>(_: &Response) -> Result<T> {
    todo!()
}

pub(crate) fn json_or_absent<T: DeserializeOwned>(_: &Response) -> Result<Option<T>> {
    todo!()
}

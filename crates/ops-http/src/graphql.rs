//! GraphQL over the same transport.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::operation::Operation;
use crate::request::ApiRequest;

impl ApiRequest {
    /// A GraphQL call: the document and its variables in one POST. Errors that come under
    /// HTTP 200 become errors; the class is that of the operation, so a query is declared
    /// `safe()` there.
    pub fn graphql<T: DeserializeOwned>(
        operation: &'static Operation,
        document: &'static str,
        variables: &impl Serialize,
    ) -> ApiRequest<T> {
        let _ = (operation, document, variables);
        todo!()
    }
}

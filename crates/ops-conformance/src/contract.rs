//! Requests and answers checked against the vendor's own API description.
//!
//! A vendor crate sends requests in its tests; each of them is matched to an operation of
//! the vendor's description and checked: method, path, query, headers, content type and
//! body. Body fields and query parameters that the description does not name are refused
//! even where its schemas are silent, for a misspelt field would otherwise be dropped by the
//! vendor without a word. In the other direction, answers are generated from the schemas,
//! which the crate must parse or refuse by name.
//!
//! Whether a request carries credentials is not checked here: how a client authenticates is
//! a matter of its own tests.

mod answer;
mod aws;
mod body;
mod coerce;
mod coverage;
mod description;
mod discovery;
mod find;
mod free_form;
mod graphql;
mod merged;
mod openapi;
mod operation;
mod pattern;
mod recorded;
mod request;
mod request_sample;
mod rest;
mod rewrite;
mod route;
mod sample;
mod schema;
mod violation;

pub use answer::Answer;
pub use coverage::{Coverage, Gaps, Sends};
pub use description::{Checked, Description, LoadError, OperationInfo};
pub use find::{Descriptions, skipped};
pub use recorded::Exchange;
pub use request::Request;
pub use violation::{Place, Rule, Violation, lines};

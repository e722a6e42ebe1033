//! The contract kit against descriptions of its own and against those of the vendors.

mod aws;
mod coverage;
mod every_operation;
mod graphql;
mod openapi;
mod vendors;

//! Requests and answers checked against the vendor's own API description.
mod find;
mod request;
mod rewrite;
mod route;
mod schema;
mod violation;
#[derive(Debug,Clone)] pub struct Description; 

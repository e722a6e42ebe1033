//! The S3 servers, by raw requests.

mod behavior;
mod faults;
mod features;
mod kit;
mod multipart;
mod objects;
mod servers;

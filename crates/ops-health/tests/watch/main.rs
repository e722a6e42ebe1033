//! What watches a service over time, from outside.

#![cfg(test)]

mod alert_incidents;
mod alerts;
mod builder;
mod dead_man;
mod delivery;
mod incident_store;
mod incidents;
mod journal;
mod model;
mod slo;
mod standard;
mod support;

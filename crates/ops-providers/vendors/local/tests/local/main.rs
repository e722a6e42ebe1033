//! Tests of the store on real file systems.

mod child;
mod confine;
mod contract;
mod full;
mod integrity;
mod kill;
mod model;
mod order;
mod power;
mod race;
mod speed;
mod stream;
mod support;

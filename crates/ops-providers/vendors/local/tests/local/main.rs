//! Tests of the store on real file systems.

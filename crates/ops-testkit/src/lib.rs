//! Real servers, a fault-injecting proxy and a manual clock for tests.

//! One feature per vendor, and the registry that builds a provider from its name.

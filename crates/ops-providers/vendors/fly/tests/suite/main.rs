//! Fly as a provider.

//! Neon as a provider.

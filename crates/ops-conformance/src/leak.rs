//! The leak canary.

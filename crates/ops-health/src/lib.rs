//! Health routes, checks and their state machine.

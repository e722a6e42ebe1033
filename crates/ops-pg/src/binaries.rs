//! Finding the client programs and servers on this machine, by major version.

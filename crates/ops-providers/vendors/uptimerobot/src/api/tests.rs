//! Each request as UptimeRobot expects it.

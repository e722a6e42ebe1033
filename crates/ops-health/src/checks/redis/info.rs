//! What `INFO` tells. No I/O.

use ops_core::database::Role;

use crate::outcome::Outcome;
use crate::status::Code;

/// Judges the sections `persistence` and `replication`.
pub(super) fn judge(text: &str, expected: Role) -> Outcome {
    let get = |key: &str| {
        text.lines().find_map(|line| {
            let (name, value) = line.trim_end().split_once(':')?;
            (name == key).then_some(value)
        })
    };
    let fails = |key: &str| get(key) == Some("err");
    let role = match get("role") {
        Some("master") => Role::Primary,
        Some("slave") => Role::Replica,
        _ => Role::Unknown,
    };
    match (expected, role) {
        (Role::Primary, Role::Replica) => {
            return Outcome::unhealthy(Code::WrongRole).with_detail("the server is a replica");
        }
        (Role::Replica, Role::Primary) => {
            return Outcome::unhealthy(Code::WrongRole).with_detail("the server is a primary");
        }
        _ => {}
    }
    // Either makes the server refuse writes, unless it was told not to.
    if fails("aof_last_write_status") {
        return Outcome::unhealthy(Code::ReadOnly)
            .with_detail("the last write of the append-only file failed");
    }
    if fails("rdb_last_bgsave_status") {
        return Outcome::unhealthy(Code::ReadOnly).with_detail("the last save failed");
    }
    if role == Role::Replica && get("master_link_status") == Some("down") {
        return Outcome::degraded(Code::Unreachable).with_detail("the link to the primary is down");
    }
    if fails("aof_last_bgrewrite_status") {
        return Outcome::degraded(Code::Failed)
            .with_detail("the last rewrite of the append-only file failed");
    }
    Outcome::healthy()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::Status;

    #[test]
    fn the_sections_are_judged_as_a_server_prints_them() {
        let good = "# Persistence\r\nloading:0\r\nrdb_last_bgsave_status:ok\r\naof_enabled:0\r\n\
                    aof_last_bgrewrite_status:ok\r\naof_last_write_status:ok\r\n\
                    # Replication\r\nrole:master\r\nconnected_slaves:0\r\n";
        let found = |from: &str, to: &str, expected| {
            let outcome = judge(&good.replace(from, to), expected);
            (outcome.status(), outcome.code())
        };
        let healthy = (Status::Healthy, Code::Ok);
        let read_only = (Status::Unhealthy, Code::ReadOnly);
        let wrong = (Status::Unhealthy, Code::WrongRole);
        assert_eq!(found("", "", Role::Primary), healthy);
        assert_eq!(
            found("bgsave_status:ok", "bgsave_status:err", Role::Primary),
            read_only
        );
        assert_eq!(
            found("write_status:ok", "write_status:err", Role::Primary),
            read_only
        );
        assert_eq!(
            found("rewrite_status:ok", "rewrite_status:err", Role::Primary),
            (Status::Degraded, Code::Failed)
        );
        assert_eq!(found("role:master", "role:slave", Role::Primary), wrong);
        assert_eq!(found("", "", Role::Replica), wrong);
        assert_eq!(found("role:master", "role:slave", Role::Unknown), healthy);
        assert_eq!(
            found(
                "role:master",
                "role:slave\r\nmaster_link_status:down",
                Role::Replica
            ),
            (Status::Degraded, Code::Unreachable)
        );
        assert_eq!(judge("", Role::Primary).code(), Code::Ok);
    }
}

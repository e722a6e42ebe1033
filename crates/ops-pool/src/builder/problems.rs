//! What is wrong with a description.

use ops_core::database::Engine;

use super::{SessionPoolBuilder, Source};
use crate::reset::OnDirty;

impl SessionPoolBuilder {
    /// Everything that contradicts itself.
    pub(super) fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        let mut check = |wrong: bool, problem: &str| {
            if wrong {
                problems.push(problem.to_owned());
            }
        };
        check(
            self.pool_size == 0,
            "pool_size is 0: nobody would ever get a session",
        );
        check(
            self.min_pool_size > self.pool_size,
            &format!(
                "min_pool_size is {}, more than pool_size, which is {}",
                self.min_pool_size, self.pool_size
            ),
        );
        check(
            self.max_connecting == 0,
            "max_connecting is 0: nothing would ever connect",
        );
        check(
            self.server_connect_timeout.is_zero(),
            "server_connect_timeout is 0",
        );
        check(self.server_login_retry.is_zero(), "server_login_retry is 0");
        check(
            self.reset_timeout.is_zero(),
            "reset_timeout is 0: no reset would ever succeed",
        );
        let rolls_back = self.on_dirty == OnDirty::Rollback;
        check(
            rolls_back && self.cancel_timeout.is_zero(),
            "cancel_timeout is 0: no query would ever be canceled",
        );
        check(
            rolls_back && self.cancel_timeout > self.reset_timeout,
            "cancel_timeout is longer than reset_timeout, which it is a part of",
        );
        check(
            self.leak_threshold.is_some_and(|it| it.is_zero()),
            "leak_threshold is 0: every session would be a leak",
        );
        check(
            self.reserve_pool_size > 0 && self.reserve_pool_timeout.is_zero(),
            "reserve_pool_timeout is 0: the reserve would never be used",
        );
        check(
            self.max_waiting == Some(0) && self.min_pool_size == 0,
            "max_waiting is 0 and so is min_pool_size: nobody could wait for the first connection",
        );
        if let Source::Info(info, _) = &self.source {
            check(
                info.engine != Engine::Postgres,
                "the database is not PostgreSQL",
            );
            check(info.user.is_none(), "no user is named");
        }
        problems
    }
}

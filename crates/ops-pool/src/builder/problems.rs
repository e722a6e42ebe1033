//! What is wrong with a description.

use ops_core::database::Engine;

use super::{SessionPoolBuilder, Source};
use crate::reset::OnDirty;

impl SessionPoolBuilder {
    /// Everything that contradicts itself.
    pub(super) fn problems(&self) -> Vec<String> {
        let settings = &self.settings;
        let mut problems = settings.problems();
        let mut check = |wrong: bool, problem: &str| {
            if wrong {
                problems.push(problem.to_owned());
            }
        };
        let rolls_back = self.on_dirty == OnDirty::Rollback;
        check(
            rolls_back && settings.cancel_timeout.is_zero(),
            "cancel_timeout is 0: no query would ever be canceled",
        );
        check(
            rolls_back && settings.cancel_timeout > settings.reset_timeout,
            "cancel_timeout is longer than reset_timeout, which it is a part of",
        );
        check(
            self.leak_threshold.is_some_and(|it| it.is_zero()),
            "leak_threshold is 0: every session would be a leak",
        );
        check(
            self.max_waiting == Some(0) && settings.min_pool_size == 0,
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

//! What is to be learned of an incident.

use serde::{Deserialize, Serialize};

/// The five questions of a post-mortem.
pub const QUESTIONS: [&str; 5] = [
    "What happened?",
    "What was the impact?",
    "What was the root cause?",
    "How was it resolved?",
    "What will keep it from happening again?",
];

/// The answers to the five [`QUESTIONS`]. Must not hold a secret.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Review {
    /// What happened?
    pub what_happened: String,
    /// What was the impact?
    pub impact: String,
    /// What was the root cause?
    pub root_cause: String,
    /// How was it resolved?
    pub resolution: String,
    /// What will keep it from happening again?
    pub prevention: String,
}

impl Review {
    /// The answers in the order of the questions.
    #[must_use]
    pub fn new(answers: [&str; 5]) -> Self {
        let [what_happened, impact, root_cause, resolution, prevention] =
            answers.map(str::to_owned);
        Self {
            what_happened,
            impact,
            root_cause,
            resolution,
            prevention,
        }
    }

    pub(super) fn answers(&self) -> [&str; 5] {
        [
            &self.what_happened,
            &self.impact,
            &self.root_cause,
            &self.resolution,
            &self.prevention,
        ]
    }

    pub(super) fn map(self, change: impl Fn(&str) -> String) -> Self {
        let changed = self.answers().map(change);
        Self::new(changed.each_ref().map(String::as_str))
    }
}

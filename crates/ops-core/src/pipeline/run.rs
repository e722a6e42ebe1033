//! What is run, and how far it has come.

use std::collections::BTreeMap;

use super::GitReference;
use crate::error::{Error, ErrorKind, Result};
use crate::id::{IdempotencyKey, RunId};
use crate::macros::setters;
use crate::redact;
use crate::time::Timestamp;

/// Inputs of a run: none of them looks secret.
///
/// Vendors show inputs to everybody who sees the run, so that this type refuses what
/// [`redact::key_looks_secret`] or [`redact::value_looks_secret`] take for a secret.
///
/// ```
/// use ops_core::pipeline::RunInputs;
///
/// let inputs = RunInputs::new([("environment", "production"), ("dry-run", "false")])?;
/// assert_eq!(inputs.get("dry-run"), Some("false"));
///
/// let err = RunInputs::new([("deploy-token", "abc")]).unwrap_err();
/// assert_eq!(err.to_string(), "deploy-token looks secret: keep it in the vendor's secrets");
/// # Ok::<(), ops_core::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunInputs(BTreeMap<String, String>);

impl RunInputs {
    /// Checks inputs. Of two with one name the later one counts.
    ///
    /// # Errors
    /// `InvalidInput` that names every input that looks secret. A name that is empty,
    /// longer than 255 bytes or holds a control character is not repeated, and no value
    /// is in the text.
    pub fn new<K, V>(inputs: impl IntoIterator<Item = (K, V)>) -> Result<Self>
    where
        K: Into<String>,
        V: Into<String>,
    {
        let mut checked = BTreeMap::new();
        let mut problems = Vec::new();
        for (name, value) in inputs {
            let (name, value) = (name.into(), value.into());
            if name.is_empty() || name.len() > 255 || name.contains(char::is_control) {
                let problem = "the name of an input is 1 to 255 bytes without control characters";
                problems.push(problem.to_owned());
            } else if redact::key_looks_secret(&name) || redact::value_looks_secret(&value) {
                let problem = format!("{name} looks secret: keep it in the vendor's secrets");
                problems.push(problem);
            } else {
                checked.insert(name, value);
            }
        }
        if problems.is_empty() {
            return Ok(Self(checked));
        }
        Err(Error::new(ErrorKind::InvalidInput, problems.join("; ")))
    }

    /// The value of an input.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// The inputs by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// How many inputs there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// A request to start a run.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StartRunRequest {
    /// The code to run on.
    pub reference: GitReference,
    /// Which workflow, such as `release.yml`; `None` is the project's only one, or the one
    /// that the provider was configured with.
    pub workflow: Option<String>,
    /// What the workflow is told. Defaults to nothing.
    pub inputs: RunInputs,
    /// The same key starts the same run. Defaults to a key of this call alone.
    pub idempotency_key: Option<IdempotencyKey>,
}

impl StartRunRequest {
    /// Runs the project's workflow on a point of its repository.
    #[must_use]
    pub fn new(reference: GitReference) -> Self {
        Self {
            reference,
            workflow: None,
            inputs: RunInputs::default(),
            idempotency_key: None,
        }
    }
}

setters! { StartRunRequest {
    opt { with_idempotency_key(idempotency_key: IdempotencyKey) }
    opt_into { with_workflow(workflow: String) }
    val { with_inputs(inputs: RunInputs) }
} }

/// How far a run or a job has come.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum RunState {
    /// Accepted; no machine has taken it yet.
    Queued,
    /// At work.
    Running,
    /// Waits for somebody to approve or start a step.
    Waiting,
    /// Ended well.
    Succeeded,
    /// Ended badly, or ran out of its time.
    Failed,
    /// Was stopped.
    Canceled,
    /// Had nothing to do.
    Skipped,
    /// Anything else, in the vendor's own word.
    Other(String),
}

impl RunState {
    /// Whether it will not change by itself any more. An unknown word is not taken for an end.
    #[must_use]
    pub const fn is_terminal(&self) -> bool {
        matches!(
            self,
            Self::Succeeded | Self::Failed | Self::Canceled | Self::Skipped
        )
    }

    /// The state in one word, or the vendor's own word.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Waiting => "waiting",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Canceled => "canceled",
            Self::Skipped => "skipped",
            Self::Other(word) => word,
        }
    }
}

/// What is known of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Run {
    /// The vendor's id.
    pub id: RunId,
    /// How far it has come.
    pub state: RunState,
    /// Which workflow, where the vendor has several.
    pub workflow: Option<String>,
    /// The code that it runs on, where the vendor tells.
    pub reference: Option<GitReference>,
    /// The full hash of the commit that it runs on, where the vendor tells.
    pub commit: Option<String>,
    /// Where people can watch it.
    pub url: Option<String>,
    /// What the vendor says about it, such as why it failed.
    pub message: Option<String>,
    /// How often it was started, from 1, where the vendor runs the same run again.
    pub attempt: Option<u32>,
    /// When it was asked for.
    pub created_at: Option<Timestamp>,
    /// When it began to work.
    pub started_at: Option<Timestamp>,
    /// When it reached a terminal state.
    pub finished_at: Option<Timestamp>,
}

impl Run {
    /// What is known of every run.
    #[must_use]
    pub fn new(id: RunId, state: RunState) -> Self {
        Self {
            id,
            state,
            workflow: None,
            reference: None,
            commit: None,
            url: None,
            message: None,
            attempt: None,
            created_at: None,
            started_at: None,
            finished_at: None,
        }
    }
}

setters! { Run {
    opt {
        with_reference(reference: GitReference),
        with_attempt(attempt: u32),
        with_created_at(created_at: Timestamp),
        with_started_at(started_at: Timestamp),
        with_finished_at(finished_at: Timestamp),
    }
    opt_into {
        with_workflow(workflow: String),
        with_commit(commit: String),
        with_url(url: String),
        with_message(message: String),
    }
} }

/// Which runs to list. Defaults to all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RunQuery {
    /// Only runs of this workflow.
    pub workflow: Option<String>,
    /// Only runs on this branch, tag or commit.
    pub reference: Option<GitReference>,
    /// Only runs in this state.
    pub state: Option<RunState>,
    /// Only runs that were asked for at or after this instant.
    pub since: Option<Timestamp>,
}

setters! { RunQuery {
    opt {
        with_reference(reference: GitReference),
        with_state(state: RunState),
        with_since(since: Timestamp),
    }
    opt_into { with_workflow(workflow: String) }
} }

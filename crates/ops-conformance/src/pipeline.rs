//! The suite of [`Pipeline`].

#![expect(
    clippy::unwrap_used,
    reason = "a case is a test, in a function of its own"
)]

use std::sync::Arc;

use async_trait::async_trait;
use ops_core::id::RunId;
use ops_core::pipeline::{GitReference, Pipeline, Run, RunInputs, RunQuery, StartRunRequest};
use ops_core::{Clock, SystemClock, Timestamp};

use crate::case::Outcome;
use crate::fixture::Fixture;
use crate::macros::suite;
use crate::support::{done, drain, eventually};

mod account;
mod cancels;
mod jobs;
mod lists;
mod logs;
mod markers;
mod refusals;
mod reruns;
mod runs;
mod starts;

/// What the suite needs to know of a provider of [`Pipeline`].
///
/// The project may have other runs than those of the cases.
#[async_trait]
pub trait PipelineFixture: Fixture {
    /// The provider; the same project at each call.
    fn pipeline(&self) -> Arc<dyn Pipeline>;

    /// The accessors that answer `Some`, such as `as_cancel_runs`, in any order. Written
    /// down, so that an ability that gets lost is seen.
    fn abilities(&self) -> &'static [&'static str];

    /// The present instant by the provider's clock. Defaults to the system's.
    fn now(&self) -> Timestamp {
        SystemClock.now()
    }

    /// What runs are started from. Defaults to the branch `main`.
    fn reference(&self) -> GitReference {
        GitReference::Branch("main".to_owned())
    }

    /// What else is in the repository, such as a tag and a commit. Defaults to nothing.
    fn other_references(&self) -> Vec<GitReference> {
        Vec::new()
    }

    /// A workflow whose runs end well. Defaults to the only one of the project.
    fn workflow(&self) -> Option<String> {
        None
    }

    /// Another workflow than [`workflow`](Self::workflow). `None`, the default, where there
    /// is none.
    fn other_workflow(&self) -> Option<String> {
        None
    }

    /// Something that the workflow can be told, another thing for each text. Defaults to
    /// an input `environment`.
    fn inputs(&self, what: &str) -> RunInputs {
        RunInputs::new([("environment", what)]).unwrap()
    }

    /// The names of the workflow's jobs, of which there are two or more. Empty, the
    /// default, where they are not known.
    fn jobs(&self) -> Vec<String> {
        Vec::new()
    }

    /// An id that could be a run's and is none's.
    fn missing_run(&self) -> RunId {
        RunId::new("999999999").unwrap()
    }

    /// A workflow that is not there.
    fn missing_workflow(&self) -> String {
        "ops-test-no-such-workflow.yml".to_owned()
    }

    /// A branch that is not there.
    fn missing_reference(&self) -> GitReference {
        GitReference::Branch("ops-test-no-such-branch".to_owned())
    }

    /// How many runs do not fit one page of the vendor's listing. A fake with small pages
    /// makes this small. Defaults to 5.
    fn more_than_a_page(&self) -> usize {
        5
    }

    /// Makes the next run that is started fail. `false`, the default, where that cannot be
    /// brought about.
    async fn fail_next_run(&self) -> bool {
        false
    }

    /// Makes the next run that is started wait for [`approve`](Self::approve). `false`, the
    /// default, where that cannot be brought about.
    async fn hold_next_run(&self) -> bool {
        false
    }

    /// Lets a run that waits go on.
    async fn approve(&self, run: &RunId) {
        let _ = run;
    }

    /// Makes a job of a run print a line. `false`, the default, where that cannot be
    /// brought about.
    async fn print(&self, run: &RunId, job: &str, line: &str) -> bool {
        let _ = (run, job, line);
        false
    }

    /// What a run was told. `None`, the default, where that cannot be seen.
    async fn received_inputs(&self, run: &RunId) -> Option<RunInputs> {
        let _ = run;
        None
    }

    /// The versions that were marked as deployed, if that can be seen.
    async fn received_deploys(&self) -> Option<Vec<String>> {
        None
    }
}

const UNSEEN: Outcome = Outcome::NotOffered("the fixture does not see what a run was told");

/// The project of one case.
struct Yard<'a> {
    fixture: &'a dyn PipelineFixture,
    pipeline: Arc<dyn Pipeline>,
}

impl<'a> Yard<'a> {
    fn new(fixture: &'a dyn PipelineFixture) -> Self {
        let pipeline = fixture.pipeline();
        Self { fixture, pipeline }
    }

    /// A request for a run that ends well.
    fn request(&self) -> StartRunRequest {
        let request = StartRunRequest::new(self.fixture.reference());
        match self.fixture.workflow() {
            Some(workflow) => request.with_workflow(workflow),
            None => request,
        }
    }

    /// A request for a run that is told something.
    fn telling(&self, what: &str) -> StartRunRequest {
        self.request().with_inputs(self.fixture.inputs(what))
    }

    async fn start(&self, request: StartRunRequest) -> Run {
        done(self.pipeline.start_run(request).await)
    }

    /// A run that was started.
    async fn started(&self) -> Run {
        self.start(self.request()).await
    }

    /// Waits until a run has ended.
    async fn ended(&self, run: &RunId) -> Run {
        eventually!(self.fixture, format!("{run} ends"), {
            let seen = done(self.pipeline.run(run).await);
            seen.state.is_terminal().then_some(seen)
        })
    }

    /// The ids that are listed, in their order, as far as they are among these.
    async fn listed(&self, query: RunQuery, ours: &[&RunId]) -> Vec<RunId> {
        let runs = drain(self.pipeline.list_runs(query)).await;
        let mut ids: Vec<_> = runs.into_iter().map(|run| run.id).collect();
        ids.retain(|id| ours.contains(&id));
        ids
    }

    /// How many runs the project has.
    async fn count(&self) -> usize {
        drain(self.pipeline.list_runs(RunQuery::default()))
            .await
            .len()
    }
}

suite! {
    ($)
    /// One test per case of [`Pipeline`](ops_core::Pipeline).
    pipeline(PipelineFixture, pipeline, pipeline_quirks_are_justified)

    "P-001" account::p_001_the_abilities_are_those_that_are_declared [];
    "P-002" account::p_002_a_refusal_names_the_provider [];
    "P-003" account::p_003_the_credential_is_not_printed [];

    "P-010" starts::p_010_a_run_is_answered_before_it_has_ended [];
    "P-011" starts::p_011_a_run_comes_to_its_end [];
    "P-012" starts::p_012_two_starts_are_two_runs [];
    "P-013" starts::p_013_concurrent_starts_answer_their_own_runs [];
    "P-014" starts::p_014_a_run_is_told_its_inputs [];
    "P-015" starts::p_015_every_kind_of_reference_is_started_or_unsupported [];
    "P-016" starts::p_016_a_run_is_of_the_workflow_that_was_asked_for [];
    "P-017" starts::p_017_a_start_that_is_given_up_does_not_stop_the_next [];

    "P-020" refusals::p_020_a_missing_workflow_is_not_found [];
    "P-021" refusals::p_021_a_missing_reference_is_not_found [];
    "P-022" refusals::p_022_more_inputs_than_the_limit_are_refused [];
    "P-023" refusals::p_023_a_refused_start_starts_nothing [];
    "P-024" refusals::p_024_one_key_starts_one_run_or_is_unsupported [];
    "P-025" refusals::p_025_the_key_of_another_run_is_a_conflict [];

    "P-030" runs::p_030_a_run_is_read_as_it_was_answered [];
    "P-031" runs::p_031_a_missing_run_is_not_found [];
    "P-032" runs::p_032_an_awkward_run_is_nobody_elses [];
    "P-033" runs::p_033_concurrent_looks_do_not_mix [];
    "P-034" runs::p_034_a_run_that_fails_has_failed [];
    "P-035" runs::p_035_a_run_that_waits_has_not_ended [];
    "P-036" runs::p_036_a_run_that_has_ended_stays_so [];
    "P-037" runs::p_037_the_times_of_a_run_are_in_order [];

    "P-040" lists::p_040_a_run_is_listed_once [];
    "P-041" lists::p_041_runs_are_listed_newest_first [];
    "P-042" lists::p_042_a_long_listing_comes_whole_and_once [];
    "P-043" lists::p_043_runs_are_listed_by_state [];
    "P-044" lists::p_044_runs_are_listed_by_branch [];
    "P-045" lists::p_045_runs_are_listed_by_commit [];
    "P-046" lists::p_046_runs_are_listed_by_workflow [];
    "P-047" lists::p_047_runs_are_listed_by_age [];
    "P-048" lists::p_048_filters_hold_together [];
    "P-049" lists::p_049_a_listing_that_is_given_up_does_not_disturb_the_next [];

    "P-050" cancels::p_050_a_run_is_stopped_or_that_is_unsupported_by_name [];
    "P-051" cancels::p_051_stopping_twice_is_success [as_cancel_runs];
    "P-052" cancels::p_052_a_run_that_has_ended_is_not_stopped [as_cancel_runs];
    "P-053" cancels::p_053_stopping_leaves_the_other_runs [as_cancel_runs];
    "P-054" cancels::p_054_stopping_a_missing_run_is_not_found [as_cancel_runs];
    "P-055" cancels::p_055_stopping_an_awkward_run_stops_nobody_else [as_cancel_runs];

    "P-060" reruns::p_060_a_run_is_run_again_or_that_is_unsupported_by_name [];
    "P-061" reruns::p_061_a_rerun_is_on_the_same_commit [as_rerun_runs];
    "P-062" reruns::p_062_a_rerun_answers_what_to_watch [as_rerun_runs];
    "P-063" reruns::p_063_a_rerun_is_told_the_same [as_rerun_runs];
    "P-064" reruns::p_064_a_run_that_has_not_ended_is_a_conflict [as_rerun_runs];
    "P-065" reruns::p_065_no_failed_jobs_are_a_conflict [as_rerun_runs];
    "P-066" reruns::p_066_failed_jobs_are_run_again [as_rerun_runs];
    "P-067" reruns::p_067_a_missing_run_is_not_run_again [as_rerun_runs];

    "P-070" jobs::p_070_jobs_are_listed_or_unsupported_by_name [];
    "P-071" jobs::p_071_the_jobs_are_those_of_the_workflow [as_pipeline_jobs];
    "P-072" jobs::p_072_each_job_is_listed_once [as_pipeline_jobs];
    "P-073" jobs::p_073_jobs_end_with_their_run [as_pipeline_jobs];
    "P-074" jobs::p_074_a_failed_run_has_a_failed_job [as_pipeline_jobs];
    "P-075" jobs::p_075_jobs_of_a_missing_run_are_not_found [as_pipeline_jobs];

    "P-080" logs::p_080_lines_are_read_or_unsupported_by_name [];
    "P-081" logs::p_081_the_lines_of_a_job_are_in_order [as_pipeline_logs];
    "P-082" logs::p_082_lines_are_read_job_by_job [as_pipeline_logs];
    "P-083" logs::p_083_a_line_names_its_job [as_pipeline_logs];
    "P-084" logs::p_084_a_line_has_no_line_end [as_pipeline_logs];
    "P-085" logs::p_085_lines_of_another_run_are_not_read [as_pipeline_logs];
    "P-086" logs::p_086_a_long_log_comes_whole [as_pipeline_logs];
    "P-087" logs::p_087_lines_of_a_missing_run_are_not_found [as_pipeline_logs];

    "P-090" markers::p_090_a_deployment_is_marked_or_that_is_unsupported_by_name [];
    "P-091" markers::p_091_a_deployment_of_which_all_is_known_is_marked [as_deploy_markers];
    "P-092" markers::p_092_a_version_is_marked_as_it_is_written [as_deploy_markers];
}

//! `PipelineLogs`.

use ops_core::PipelineExt;
use ops_core::id::RunId;
use ops_core::pipeline::JobLogLine;

use super::{PipelineFixture, Yard};
use crate::case::Outcome;
use crate::support::{drain, missing_stream, unsupported};

const NOT_PRINTED: Outcome = Outcome::NotOffered("the fixture prints nothing");

impl Yard<'_> {
    /// A run in which jobs, by their numbers, have printed this. It has not ended.
    async fn printed(&self, lines: &[(usize, &str)]) -> Option<RunId> {
        let jobs = self.fixture.jobs();
        let run = self.started().await.id;
        for (job, line) in lines {
            let is_printed = self.fixture.print(&run, jobs.get(*job)?, line).await;
            is_printed.then_some(())?;
        }
        Some(run)
    }

    /// Lets a run end, since some vendors give a log out only then, and reads it.
    async fn lines(&self, run: &RunId) -> Vec<JobLogLine> {
        self.ended(run).await;
        let logs = self.pipeline.as_pipeline_logs().unwrap();
        drain(logs.run_logs(run)).await
    }
}

/// The places of these texts, in their order.
fn places(lines: &[JobLogLine], texts: &[&str]) -> Vec<usize> {
    let place = |text: &&str| lines.iter().position(|line| line.message.contains(text));
    let found: Vec<_> = texts.iter().filter_map(place).collect();
    assert_eq!(found.len(), texts.len(), "{texts:?} in {lines:?}");
    found
}

pub(super) async fn p_080_lines_are_read_or_unsupported_by_name(
    fixture: &dyn PipelineFixture,
) -> Outcome {
    let yard = Yard::new(fixture);
    if yard.pipeline.as_pipeline_logs().is_none() {
        let required = yard.pipeline.require_pipeline_logs();
        unsupported(required, &yard.pipeline.provider(), "reading logs");
        return Outcome::Passed;
    }
    let Some(run) = yard.printed(&[(0, "all is well")]).await else {
        return NOT_PRINTED;
    };
    places(&yard.lines(&run).await, &["all is well"]);
    Outcome::Passed
}

pub(super) async fn p_081_the_lines_of_a_job_are_in_order(
    fixture: &dyn PipelineFixture,
) -> Outcome {
    let yard = Yard::new(fixture);
    let Some(run) = yard.printed(&[(0, "one"), (0, "two"), (0, "three")]).await else {
        return NOT_PRINTED;
    };
    let places = places(&yard.lines(&run).await, &["one", "two", "three"]);
    assert!(places.is_sorted(), "{places:?}");
    Outcome::Passed
}

pub(super) async fn p_082_lines_are_read_job_by_job(fixture: &dyn PipelineFixture) -> Outcome {
    let yard = Yard::new(fixture);
    let alternately = [(0, "a1"), (1, "b1"), (0, "a2"), (1, "b2")];
    let Some(run) = yard.printed(&alternately).await else {
        return NOT_PRINTED;
    };
    let lines = yard.lines(&run).await;
    let first = places(&lines, &["a1", "a2"]);
    let second = places(&lines, &["b1", "b2"]);
    let is_apart =
        first.iter().max() < second.iter().min() || second.iter().max() < first.iter().min();
    assert!(is_apart, "{lines:?}");
    Outcome::Passed
}

pub(super) async fn p_083_a_line_names_its_job(fixture: &dyn PipelineFixture) -> Outcome {
    let yard = Yard::new(fixture);
    let Some(run) = yard.printed(&[(0, "first"), (1, "second")]).await else {
        return NOT_PRINTED;
    };
    let lines = yard.lines(&run).await;
    for (text, job) in ["first", "second"].into_iter().zip(fixture.jobs()) {
        let line = lines.iter().find(|line| line.message.contains(text));
        assert_eq!(line.map(|line| &line.job), Some(&job));
    }
    Outcome::Passed
}

pub(super) async fn p_084_a_line_has_no_line_end(fixture: &dyn PipelineFixture) -> Outcome {
    let yard = Yard::new(fixture);
    let Some(run) = yard.printed(&[(0, "bare"), (0, "  indented  ")]).await else {
        return NOT_PRINTED;
    };
    let lines = yard.lines(&run).await;
    for line in ["bare", "  indented  "] {
        let is_there = lines.iter().any(|seen| seen.message == line);
        assert!(is_there, "{line:?} in {lines:?}");
    }
    Outcome::Passed
}

pub(super) async fn p_085_lines_of_another_run_are_not_read(
    fixture: &dyn PipelineFixture,
) -> Outcome {
    let yard = Yard::new(fixture);
    let mine = yard.printed(&[(0, "mine")]).await;
    let (Some(mine), Some(_)) = (mine, yard.printed(&[(0, "other")]).await) else {
        return NOT_PRINTED;
    };
    let lines = yard.lines(&mine).await;
    let other = lines.iter().find(|line| line.message.contains("other"));
    assert_eq!(other, None);
    Outcome::Passed
}

pub(super) async fn p_086_a_long_log_comes_whole(fixture: &dyn PipelineFixture) -> Outcome {
    let yard = Yard::new(fixture);
    let texts: Vec<_> = (0..2_000)
        .map(|number| format!("line {number:05}"))
        .collect();
    let printed: Vec<_> = texts.iter().map(|text| (0, text.as_str())).collect();
    let Some(run) = yard.printed(&printed).await else {
        return NOT_PRINTED;
    };
    let lines = yard.lines(&run).await;
    let is_ours = |line: &&JobLogLine| line.message.contains("line ");
    assert_eq!(lines.iter().filter(is_ours).count(), texts.len());
    Outcome::Passed
}

pub(super) async fn p_087_lines_of_a_missing_run_are_not_found(fixture: &dyn PipelineFixture) {
    let pipeline = fixture.pipeline();
    let logs = pipeline.as_pipeline_logs().unwrap();
    missing_stream(logs.run_logs(&fixture.missing_run())).await;
}

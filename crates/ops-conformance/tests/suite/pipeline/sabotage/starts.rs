//! Starting runs.

use ops_core::pipeline::{GitReference, Pipeline, Run, RunInputs, RunState, StartRunRequest};
use ops_core::{ErrorKind, Result};

use super::{Sabotaged, is_told};
use crate::saboteur::{fault, wrong};

impl Sabotaged {
    /// What a fault makes of a request.
    fn twisted(&self, mut request: StartRunRequest) -> StartRunRequest {
        if self.is("P-022") && request.inputs.len() > 25 {
            let kept: Vec<_> = request.inputs.iter().take(25).collect();
            request.inputs = RunInputs::new(kept).unwrap();
        }
        let is_again = self.notes().requests.contains(&request);
        self.notes().requests.push(request.clone());
        if self.is("P-024") && is_again {
            request.idempotency_key = None;
        }
        request
    }

    /// What a fault makes of a refusal.
    async fn excuse(&self, err: ops_core::Error, mut request: StartRunRequest) -> Result<Run> {
        let is_workflow = request.workflow.as_deref() == Some("ops-test-no-such-workflow.yml");
        match (self.fault(), err.kind()) {
            ("P-020", ErrorKind::NotFound) if is_workflow => wrong(),
            ("P-021", ErrorKind::NotFound) if !is_workflow => wrong(),
            ("P-023", ErrorKind::NotFound) => {
                request.reference = GitReference::Branch("main".to_owned());
                self.memory().start_run(request).await?;
                Err(err)
            }
            ("P-025", ErrorKind::Conflict) => {
                request.idempotency_key = None;
                self.memory().start_run(request).await
            }
            _ => Err(err),
        }
    }

    pub(super) async fn start(&self, request: StartRunRequest) -> Result<Run> {
        if self.is("P-017") {
            self.wait_for_permit().await?;
        }
        if self.is("P-015") && matches!(request.reference, GitReference::Commit(_)) {
            return Err(fault(ErrorKind::NotFound));
        }
        let request = self.twisted(request);
        let mut run = match self.memory().start_run(request.clone()).await {
            Err(err) => return self.excuse(err, request).await,
            Ok(run) => run,
        };
        match self.fault() {
            "P-010" => run.state = RunState::Succeeded,
            "P-012" if is_told(&request.inputs, "twice") => {
                let mut notes = self.notes();
                return Ok(notes.first.get_or_insert(run).clone());
            }
            "P-013" => {
                // Takes the newest run for its own.
                tokio::task::yield_now().await;
                return Ok(self.all().await.remove(0));
            }
            "P-016" => run.workflow = Some("release.yml".to_owned()),
            _ => {}
        }
        Ok(run)
    }
}

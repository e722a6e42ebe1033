//! What the fake knows.

use std::collections::BTreeMap;

use ops_conformance::contract::{Answer, Request};
use ops_core::{Clock, Timestamp};
use ops_testkit::ManualClock;

/// The project that is there from the start.
pub(crate) const PROJECT: &str = "spring-example-302709";

/// How many looks at a project an operation takes.
const LOOKS: u32 = 3;

pub(crate) struct State {
    pub(super) clock: ManualClock,
    pub(crate) projects: Vec<Project>,
    /// Where a real server answers for the default branch of [`PROJECT`].
    pub(crate) server: Option<u16>,
    pub(super) violations: Vec<String>,
    /// The requests that keep to the description.
    pub(crate) sent: Vec<Request>,
    /// What the next request of an operation is answered with, whatever it asks for.
    pub(crate) planned: Option<(String, Answer)>,
    next: u32,
}

pub(crate) struct Project {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) pg_version: u64,
    pub(super) region: String,
    pub(super) created_at: Timestamp,
    pub(crate) branches: Vec<Branch>,
    pub(super) snapshots: Vec<Snapshot>,
    pub(super) operations: Vec<Operation>,
}

#[derive(Clone)]
pub(crate) struct Branch {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(super) parent: Option<String>,
    pub(super) is_default: bool,
    pub(super) created_at: Timestamp,
    pub(super) expires_at: Option<String>,
    pub(super) annotation: BTreeMap<String, String>,
    pub(super) endpoint: Option<Endpoint>,
    /// What was written, and when.
    pub(super) log: Vec<(Timestamp, String)>,
}

#[derive(Clone)]
pub(crate) struct Endpoint {
    pub(super) id: String,
    pub(super) min_cu: f64,
    pub(super) max_cu: f64,
}

pub(super) struct Snapshot {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) source: String,
    pub(super) created_at: Timestamp,
    pub(super) log: Vec<(Timestamp, String)>,
}

/// What an operation does to a branch as long as it runs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Work {
    Create,
    Restore,
    Resize,
    Other,
}

pub(super) struct Operation {
    pub(super) id: String,
    pub(super) branch: String,
    pub(super) work: Work,
    pub(super) looks: u32,
}

impl State {
    pub(super) fn new(clock: ManualClock) -> Self {
        let mut state = Self {
            clock,
            projects: Vec::new(),
            server: None,
            violations: Vec::new(),
            sent: Vec::new(),
            planned: None,
            next: 0,
        };
        let now = state.clock.now();
        let mut project = state.new_project("shop", now);
        PROJECT.clone_into(&mut project.id);
        project.operations.clear();
        state.projects.push(project);
        state
    }

    pub(super) fn id(&mut self, prefix: &str) -> String {
        self.next += 1;
        format!("{prefix}-test-{:06}", self.next)
    }

    /// A project with its first branch, which is being made.
    pub(super) fn new_project(&mut self, name: &str, now: Timestamp) -> Project {
        let branch = self.new_branch("main", None, now);
        let operation = self.operation(&branch.id, Work::Create);
        Project {
            id: self.id("project"),
            name: name.to_owned(),
            pg_version: 17,
            region: "aws-us-east-2".to_owned(),
            created_at: now,
            branches: vec![branch],
            snapshots: Vec::new(),
            operations: vec![operation],
        }
    }

    /// A branch with a compute; without a parent it is the default one.
    pub(super) fn new_branch(
        &mut self,
        name: &str,
        parent: Option<&Branch>,
        now: Timestamp,
    ) -> Branch {
        let endpoint = Endpoint {
            id: self.id("ep"),
            min_cu: 0.25,
            max_cu: 2.0,
        };
        Branch {
            id: self.id("br"),
            name: name.to_owned(),
            parent: parent.map(|it| it.id.clone()),
            is_default: parent.is_none(),
            created_at: now,
            expires_at: None,
            annotation: BTreeMap::new(),
            endpoint: Some(endpoint),
            log: parent.map(|it| it.log.clone()).unwrap_or_default(),
        }
    }

    pub(super) fn operation(&mut self, branch: &str, work: Work) -> Operation {
        self.next += 1;
        Operation {
            id: format!("d8ac46eb-a757-42b1-9907-{:012}", self.next),
            branch: branch.to_owned(),
            work,
            looks: LOOKS,
        }
    }

    /// Adds a branch and a snapshot of the default one to the first project; their ids.
    pub(crate) fn seed(&mut self) -> (String, String) {
        let now = self.clock.now();
        let main = self.projects[0].default_branch().clone();
        let branch = self.new_branch("dev", Some(&main), now);
        let snapshot = Snapshot {
            id: self.id("snap"),
            name: "nightly".to_owned(),
            source: main.id,
            created_at: now,
            log: main.log,
        };
        let ids = (branch.id.clone(), snapshot.id.clone());
        self.projects[0].branches.push(branch);
        self.projects[0].snapshots.push(snapshot);
        ids
    }

    pub(crate) fn project(&mut self, id: &str) -> Option<&mut Project> {
        self.projects.iter_mut().find(|it| it.id == id)
    }
}

impl Project {
    /// One look: what runs is one step further.
    pub(super) fn step(&mut self) {
        for operation in &mut self.operations {
            operation.looks = operation.looks.saturating_sub(1);
        }
    }

    pub(super) fn is_locked(&self) -> bool {
        self.operations.iter().any(|it| it.looks > 0)
    }

    pub(super) fn is_at_work(&self, branch: &str, work: Work) -> bool {
        let mut running = self.operations.iter().filter(|it| it.looks > 0);
        running.any(|it| it.branch == branch && it.work == work)
    }

    pub(crate) fn default_branch(&mut self) -> &mut Branch {
        let mut branches = self.branches.iter_mut();
        branches.find(|it| it.is_default).unwrap()
    }

    pub(crate) fn branch(&mut self, id: &str) -> Option<&mut Branch> {
        self.branches.iter_mut().find(|it| it.id == id)
    }
}

impl Branch {
    pub(crate) fn write(&mut self, at: Timestamp, text: &str) {
        self.log.push((at, text.to_owned()));
    }

    pub(crate) fn read(&self) -> Option<String> {
        self.log.last().map(|(_, text)| text.clone())
    }

    /// What was written until an instant.
    pub(super) fn until(&self, at: Timestamp) -> Vec<(Timestamp, String)> {
        let before = self.log.iter().filter(|(written, _)| *written <= at);
        before.cloned().collect()
    }
}

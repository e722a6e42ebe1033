//! What the machines of an app are to the next change.

use ops_core::{ErrorKind, Result};

use crate::error::refuse;
use crate::model::{Machine, RELEASE_ID, ROLLOUT, Release};
use crate::settings::Shape;

/// The machines of an app, sorted.
#[derive(Debug)]
pub(crate) struct Site {
    /// Those that serve.
    pub(crate) live: Vec<Machine>,
    /// Those that a deployment made which never came to serve.
    pub(crate) leftovers: Vec<Machine>,
    /// Those whose place another has taken.
    pub(crate) replaced: Vec<Machine>,
}

impl Site {
    /// Sorts machines by what is known of the newest releases.
    pub(crate) fn of(machines: Vec<Machine>, history: &[Release]) -> Self {
        let machines: Vec<Machine> = machines.into_iter().filter(Machine::serves).collect();
        let (leftovers, machines): (Vec<_>, Vec<_>) = machines
            .into_iter()
            .partition(|machine| never_served(machine, history));
        let (replaced, mut live): (Vec<_>, Vec<_>) = machines
            .iter()
            .cloned()
            .partition(|machine| machines.iter().any(|other| other.replaces(&machine.id)));
        live.sort_by(|one, other| one.id.cmp(&other.id));
        Self {
            live,
            leftovers,
            replaced,
        }
    }

    /// Whether machines may be added and taken away as is wanted.
    pub(crate) fn check_shape(&self, shape: &Shape) -> Result<()> {
        if !shape.moves_machines() {
            return Ok(());
        }
        let text = if self.live.iter().any(|it| it.config.has_volume()) {
            "a volume belongs to one machine: the number and place of machines with volumes"
        } else if self.groups() > 1 {
            "the number and place of machines of an app with several process groups"
        } else {
            return Ok(());
        };
        Err(refuse(ErrorKind::Unsupported, text))
    }

    fn groups(&self) -> usize {
        let groups = self.live.iter().map(|it| it.config.group());
        groups.collect::<std::collections::BTreeSet<_>>().len()
    }
}

/// Whether this crate made a machine for a release that was not completed. A machine that
/// the vendor's own client has changed since belongs to another release by now.
fn never_served(machine: &Machine, history: &[Release]) -> bool {
    let (made_for, now) = (
        machine.config.metadata(ROLLOUT),
        machine.config.metadata(RELEASE_ID),
    );
    let release = history.iter().find(|it| Some(it.id.as_str()) == made_for);
    made_for == now && release.is_some_and(|release| !release.has_served())
}

//! What the fake remembers.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ops_conformance::contract::{Answer, Request};
use ops_core::{Clock, Timestamp};
use ops_testkit::ManualClock;
use serde_json::{Value, json};
use tokio::sync::Notify;

/// The organization that the fake stands for.
pub(crate) const ORGANIZATION: &str = "acme";

/// How long the fake's leases hold that name no time.
const LEASE: Duration = Duration::from_secs(60);

pub(crate) struct State {
    pub(crate) clock: ManualClock,
    pub(crate) apps: Vec<App>,
    /// What was sent against the descriptions, or answered so.
    pub(crate) violations: Vec<String>,
    /// What was sent and accepted.
    pub(crate) sent: Vec<Request>,
    /// The answer to the next call of an operation.
    pub(crate) planned: Option<(String, Answer)>,
    /// Requests that contain a text are refused once with a status.
    pub(crate) faults: Vec<(&'static str, u16)>,
    /// After so many further requests, one is carried out and not answered for long.
    pub(crate) hold: Option<u32>,
    /// The request that is held, and whoever wants to know of it.
    pub(crate) held: Option<String>,
    pub(crate) holding: Arc<Notify>,
    serial: u64,
}

pub(crate) struct App {
    pub(crate) name: String,
    pub(crate) organization: String,
    pub(crate) created_at: Timestamp,
    pub(crate) machines: Vec<Machine>,
    /// Oldest first.
    pub(crate) releases: Vec<Release>,
    pub(crate) secrets: BTreeMap<String, String>,
    pub(crate) secrets_version: u64,
    pub(crate) certificates: Vec<Certificate>,
    pub(crate) addresses: Vec<Value>,
    pub(crate) lines: Vec<Line>,
    /// How many looks a machine takes to start.
    pub(crate) slowness: u32,
    /// How many of the next machines, new ones or new versions, will not come up.
    pub(crate) doomed: u32,
    /// How many looks the checks of a machine take that has started; `u32::MAX` is for ever.
    pub(crate) sickness: u32,
}

#[derive(Clone)]
pub(crate) struct Machine {
    pub(crate) id: String,
    pub(crate) state: String,
    pub(crate) region: String,
    pub(crate) instance_id: String,
    pub(crate) config: Value,
    pub(crate) is_cordoned: bool,
    pub(crate) lease: Option<Lease>,
    /// Looks until it has started, and whether it fails then.
    pub(crate) looks: u32,
    pub(crate) is_doomed: bool,
    /// Looks until its checks pass.
    pub(crate) sickness: u32,
    pub(crate) restarts: u32,
}

#[derive(Clone)]
pub(crate) struct Lease {
    pub(crate) nonce: String,
    pub(crate) expires_at: Timestamp,
}

#[derive(Clone)]
pub(crate) struct Release {
    pub(crate) id: String,
    pub(crate) status: String,
    pub(crate) image: String,
    pub(crate) at: Timestamp,
}

pub(crate) struct Certificate {
    pub(crate) hostname: String,
    /// How often somebody had the records looked at.
    pub(crate) checks: u32,
}

pub(crate) struct Line {
    pub(crate) nanos: i128,
    pub(crate) at: Timestamp,
    pub(crate) text: String,
    pub(crate) instance: String,
    pub(crate) provider: &'static str,
}

impl State {
    pub(crate) fn new(clock: ManualClock) -> Self {
        Self {
            clock,
            apps: Vec::new(),
            violations: Vec::new(),
            sent: Vec::new(),
            planned: None,
            faults: Vec::new(),
            hold: None,
            held: None,
            holding: Arc::new(Notify::new()),
            serial: 0,
        }
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// A number that was not used before.
    pub(crate) fn serial(&mut self) -> u64 {
        self.serial += 1;
        self.serial
    }

    pub(crate) fn app(&mut self, name: &str) -> &mut App {
        self.apps.iter_mut().find(|it| it.name == name).unwrap()
    }

    pub(crate) fn add_app(&mut self, name: &str, organization: &str) {
        self.apps.push(App {
            name: name.to_owned(),
            organization: organization.to_owned(),
            created_at: self.clock.now(),
            machines: Vec::new(),
            releases: Vec::new(),
            secrets: BTreeMap::new(),
            secrets_version: 0,
            certificates: Vec::new(),
            addresses: Vec::new(),
            lines: Vec::new(),
            slowness: 1,
            doomed: 0,
            sickness: 0,
        });
    }

    /// Lets an app run two machines of one release, with a secret, a domain and a line.
    pub(crate) fn seed(&mut self, app: &str) {
        let at = self.now();
        let serials = [self.serial(), self.serial()];
        let app = self.app(app);
        app.slowness = 0;
        app.releases.push(Release {
            id: "rel0".to_owned(),
            status: "complete".to_owned(),
            image: "shop:0".to_owned(),
            at,
        });
        for serial in serials {
            let config = json!({
                "image": "shop:0",
                "guest": { "cpu_kind": "shared", "cpus": 1, "memory_mb": 256 },
                "metadata": { "fly_release_id": "rel0", "fly_release_version": "1" },
                "services": [{ "protocol": "tcp", "internal_port": 8080, "ports": [] }],
            });
            let mut machine = Machine::new(serial, "fra", config);
            "started".clone_into(&mut machine.state);
            app.machines.push(machine);
        }
        app.secrets.insert("API_TOKEN".to_owned(), "1".to_owned());
        let hostname = "shop.example".to_owned();
        app.certificates.push(Certificate {
            hostname,
            checks: 0,
        });
        let name = app.name.clone();
        self.print(&name, "a line", "app");
    }

    /// Prints a line on every machine that runs.
    pub(crate) fn print(&mut self, app: &str, text: &str, provider: &'static str) {
        let (now, serial) = (self.now(), self.serial());
        let app = self.app(app);
        let Some(machine) = app.live().into_iter().next() else {
            return;
        };
        let instance = machine.id.clone();
        app.lines.push(Line {
            nanos: i128::from(now.unix_millis()) * 1_000_000 + i128::from(serial),
            at: now,
            text: text.to_owned(),
            instance,
            provider,
        });
    }
}

impl App {
    /// The machines that serve: those that run and take requests.
    pub(crate) fn live(&self) -> Vec<&Machine> {
        let live = self.machines.iter();
        live.filter(|it| it.state == "started" && !it.is_cordoned)
            .collect()
    }

    /// The images of the machines that serve.
    pub(crate) fn images(&self) -> Vec<String> {
        let images = self.live().into_iter().map(|it| &it.config["image"]);
        images.map(|it| it.as_str().unwrap().to_owned()).collect()
    }

    pub(crate) fn statuses(&self) -> Vec<&str> {
        self.releases.iter().map(|it| it.status.as_str()).collect()
    }

    /// Machines that are there, serving or not.
    pub(crate) fn present(&self) -> Vec<&Machine> {
        let all = self.machines.iter();
        all.filter(|it| it.state != "destroyed").collect()
    }
}

impl Machine {
    pub(crate) fn new(serial: u64, region: &str, config: Value) -> Self {
        Self {
            id: format!("{:014x}", 0x9185_0000_0000_u64 + serial),
            state: "created".to_owned(),
            region: region.to_owned(),
            instance_id: format!("01HEPA{serial:020}"),
            config,
            is_cordoned: false,
            lease: None,
            looks: 0,
            is_doomed: false,
            sickness: 0,
            restarts: 0,
        }
    }

    /// It gets on while somebody looks.
    pub(crate) fn step(&mut self) {
        match self.state.as_str() {
            "created" | "starting" | "replacing" | "restarting" if self.looks > 0 => {
                self.looks -= 1;
                "starting".clone_into(&mut self.state);
            }
            "created" | "starting" | "replacing" | "restarting" if self.is_doomed => {
                "failed".clone_into(&mut self.state);
            }
            "created" | "starting" | "replacing" | "restarting" => {
                "started".clone_into(&mut self.state);
            }
            "stopping" => "stopped".clone_into(&mut self.state),
            "started" if self.sickness > 0 && self.sickness != u32::MAX => self.sickness -= 1,
            _ => {}
        }
    }

    /// Leases it, or prolongs the lease.
    pub(crate) fn hold(&mut self, now: Timestamp, serial: u64, seconds: Option<u64>) -> Lease {
        let span = seconds.map_or(LEASE, Duration::from_secs);
        let nonce = match &self.lease {
            Some(lease) if lease.expires_at > now => lease.nonce.clone(),
            _ => format!("nonce{serial}"),
        };
        let lease = Lease {
            nonce,
            expires_at: now.saturating_add(span),
        };
        self.lease = Some(lease.clone());
        lease
    }

    pub(crate) fn checks(&self) -> Value {
        let status = if self.sickness == 0 {
            "passing"
        } else {
            "critical"
        };
        json!([{ "name": "servicecheck-00-http", "status": status, "output": "" }])
    }
}

//! A small Cloudflare that keeps state. What it is asked and what it answers are held against
//! the vendor's own description, where that is there.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ops_cloudflare::{Cloudflare, CloudflareBuilder, CloudflareCdn};
use ops_conformance::contract::{Description, Descriptions, Request, lines};
use ops_core::dns::DnsName;
use ops_core::id::ZoneId;
use ops_http::test_util::{MockServer, Recorded, Reply, respond};
use serde_json::{Value, json};

mod buckets;
mod cached;
mod records;
mod settings;

pub(crate) const TOKEN: &str = "cf-token-canary-5d1f0c77a9";
pub(crate) const DESCRIPTION: &str = "cloudflare.derived.openapi.json";
const ROOT: &str = "/client/v4";

/// An answer: a status, and the whole body.
pub(crate) type Answer = (u16, Value);

/// The vendor.
pub(crate) struct Fake {
    server: MockServer,
    account: Arc<Mutex<Account>>,
    problems: Arc<Mutex<Vec<String>>>,
}

/// What the vendor keeps.
#[derive(Default)]
pub(crate) struct Account {
    pub(crate) zones: BTreeMap<String, Zone>,
    pub(crate) buckets: BTreeMap<String, buckets::Bucket>,
    sequence: u64,
}

pub(crate) struct Zone {
    name: String,
    pub(crate) records: Vec<Value>,
    pub(crate) settings: BTreeMap<&'static str, Value>,
    /// The bodies of the purges.
    pub(crate) purges: Vec<Value>,
    /// What is cached, and how the origin has marked it.
    pub(crate) cached: BTreeMap<String, Vec<String>>,
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Fake {
    /// A vendor whose account has these zones.
    pub(crate) fn start(zones: &[&str]) -> Self {
        let account = Arc::new(Mutex::new(Account::default()));
        for zone in zones {
            lock(&account).add(zone);
        }
        let problems: Arc<Mutex<Vec<String>>> = Arc::default();
        let description = description();
        let (kept, found) = (Arc::clone(&account), Arc::clone(&problems));
        let server = MockServer::serving(move |request| {
            let answer = lock(&kept).answer(request);
            if let Some(description) = &description
                && let Err(problem) = held(description, request, &answer)
            {
                lock(&found).push(problem);
            }
            reply(&answer)
        });
        Self {
            server,
            account,
            problems,
        }
    }

    pub(crate) fn builder(&self) -> CloudflareBuilder {
        let url = format!("{}{ROOT}", self.server.base_url());
        Cloudflare::builder(TOKEN).base_url(url).allow_http(true)
    }

    pub(crate) fn provider(&self) -> Cloudflare {
        self.builder().build().unwrap()
    }

    /// The cache of a zone.
    pub(crate) fn cdn(&self, name: &str) -> CloudflareCdn {
        self.provider()
            .cdn(self.zone(name), DnsName::new(name).unwrap())
    }

    /// Makes a zone.
    pub(crate) fn add(&self, name: &str) {
        self.account().add(name);
    }

    /// The id of a zone.
    pub(crate) fn zone(&self, name: &str) -> ZoneId {
        let account = self.account();
        let (id, _) = account
            .zones
            .iter()
            .find(|(_, zone)| zone.name == name)
            .unwrap();
        ZoneId::new(id.as_str()).unwrap()
    }

    pub(crate) fn account(&self) -> MutexGuard<'_, Account> {
        lock(&self.account)
    }

    /// The requests so far.
    pub(crate) fn requests(&self) -> Vec<Recorded> {
        self.server.requests()
    }

    /// Methods and paths of the requests so far.
    pub(crate) fn asked(&self) -> Vec<String> {
        let line = |it: &Recorded| {
            let path = it
                .path_and_query
                .strip_prefix(ROOT)
                .unwrap_or(&it.path_and_query);
            format!("{} {path}", it.method)
        };
        self.requests().iter().map(line).collect()
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        let problems = lock(&self.problems).join("\n");
        if !std::thread::panicking() {
            assert!(problems.is_empty(), "{problems}");
        }
    }
}

/// The vendor's description, where there is one.
fn description() -> Option<Description> {
    let descriptions = Descriptions::find()?;
    Some(descriptions.load(DESCRIPTION).unwrap())
}

/// Holds an exchange against the description. A refusal is only held to its form: it may
/// well answer a request that the description would refuse.
fn held(description: &Description, request: &Recorded, answer: &Answer) -> Result<(), String> {
    let request = as_request(request);
    let checked = description.check(&request).map_err(|found| lines(&found))?;
    let (status, body) = answer;
    let body = body.to_string();
    let answered = description.check_answer(&checked.operation_id, *status, body.as_bytes());
    answered.map_err(|found| lines(&found))
}

pub(crate) fn as_request(request: &Recorded) -> Request {
    Request::from_parts(
        request.method.clone(),
        request.path_and_query.clone(),
        request.headers.clone(),
        request.body.clone(),
    )
}

fn reply((status, body): &Answer) -> Reply {
    respond(*status)
        .header("cf-ray", "8a1b2c3d4e5f6071-FRA")
        .json(body)
}

pub(crate) fn success(result: &Value) -> Answer {
    (
        200,
        json!({"success": true, "errors": [], "messages": [], "result": result}),
    )
}

pub(crate) fn failure(status: u16, code: u32, message: &str) -> Answer {
    let errors = json!([{"code": code, "message": message}]);
    (
        status,
        json!({"success": false, "errors": errors, "messages": [], "result": null}),
    )
}

/// One page, small enough that lists have several.
fn page(items: Vec<Value>, request: &Recorded) -> Answer {
    const LARGEST: usize = 3;
    let number = |name: &str| {
        request
            .query(name)
            .and_then(|text| text.parse::<usize>().ok())
    };
    let page = number("page").unwrap_or(1);
    let size = number("per_page").unwrap_or(20).min(LARGEST);
    let total = items.len();
    let items: Vec<Value> = items
        .into_iter()
        .skip((page - 1) * size)
        .take(size)
        .collect();
    let info = json!({
        "page": page, "per_page": size, "count": items.len(),
        "total_count": total, "total_pages": total.div_ceil(size),
    });
    let (status, mut body) = success(&items.into());
    body["result_info"] = info;
    (status, body)
}

impl Account {
    fn add(&mut self, name: &str) {
        let id = self.id();
        let zone = Zone {
            name: name.to_owned(),
            records: Vec::new(),
            settings: settings::new(),
            purges: Vec::new(),
            cached: BTreeMap::new(),
        };
        self.zones.insert(id, zone);
    }

    fn id(&mut self) -> String {
        self.sequence += 1;
        format!("{:032x}", self.sequence)
    }

    fn answer(&mut self, request: &Recorded) -> Answer {
        if request.header("authorization") != Some(&format!("Bearer {TOKEN}")) {
            return failure(401, 1000, "Invalid API Token");
        }
        let segments = request.segments();
        let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
        let Some(["client", "v4", path @ ..]) = segments.get(..) else {
            return failure(400, 7000, "No route for that URI");
        };
        match (request.method.as_str(), path) {
            ("GET", ["zones"]) => {
                let zones = self.zones.iter().map(|(id, zone)| zone.shown(id)).collect();
                page(zones, request)
            }
            (method, ["accounts", "a1", "r2", "buckets", rest @ ..]) => {
                let jurisdiction = request.header("cf-r2-jurisdiction").unwrap_or("default");
                self.bucket(method, rest, jurisdiction, &request.json())
            }
            (method, ["zones", id, rest @ ..]) => {
                let next = self.sequence;
                self.sequence += 1_000;
                let Some(zone) = self.zones.get_mut(*id) else {
                    let message = format!(
                        "Could not route to {}, perhaps your object identifier is invalid?",
                        request.path()
                    );
                    return failure(404, 7003, &message);
                };
                zone.answer(id, method, rest, request, next)
            }
            _ => failure(400, 7000, "No route for that URI"),
        }
    }
}

impl Zone {
    fn answer(
        &mut self,
        id: &str,
        method: &str,
        path: &[&str],
        request: &Recorded,
        sequence: u64,
    ) -> Answer {
        match (method, path) {
            ("GET", []) => success(&self.shown(id)),
            ("GET", ["dns_records"]) => page(self.list(request), request),
            ("POST", ["dns_records", "batch"]) => self.batch(&request.json(), sequence),
            ("GET", ["settings", setting]) => self.setting(setting),
            ("PATCH", ["settings", setting]) => self.edit(setting, &request.json()),
            ("POST", ["purge_cache"]) => self.purge(id, request.json()),
            _ => failure(400, 7000, "No route for that URI"),
        }
    }

    fn shown(&self, id: &str) -> Value {
        json!({
            "id": id,
            "name": self.name,
            "status": "active",
            "paused": false,
            "type": "full",
            "name_servers": ["ada.ns.cloudflare.com", "bob.ns.cloudflare.com"],
            "original_name_servers": null,
            "activated_on": null,
            "created_on": "2026-01-02T03:04:05Z",
            "modified_on": "2026-01-02T03:04:05Z",
        })
    }
}

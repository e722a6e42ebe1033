//! What callers ask for in the words of ops, and how a machine's configuration says it.

use std::collections::BTreeMap;
use std::time::Duration;

use ops_core::hosting::{AppSettings, HealthCheck, MachineSize, Replicas, RestartPolicy};
use ops_core::id::Region;
use ops_core::{ErrorKind, Result};
use serde_json::{Map, Value, json};

use crate::error::refuse;
use crate::model::Config;

/// Processors and memory of a machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Guest {
    pub(crate) kind: String,
    pub(crate) cpus: u32,
    pub(crate) memory_mb: u64,
}

/// The kinds of processors that Fly names sizes after: the counts that there are, and the
/// least memory for each, in megabytes.
const SIZES: [(&str, &str, &[u32], u64); 2] = [
    ("shared-cpu-", "shared", &[1, 2, 4, 8], 256),
    ("performance-", "performance", &[1, 2, 4, 8, 16], 2048),
];

const MEBIBYTE: u64 = 1 << 20;

impl Guest {
    /// What Fly calls `shared-cpu-1x`.
    pub(crate) const SMALLEST: Self = Self {
        kind: String::new(),
        cpus: 1,
        memory_mb: 256,
    };

    fn kind(&self) -> &str {
        if self.kind.is_empty() {
            "shared"
        } else {
            &self.kind
        }
    }

    /// The guest of a configuration; what it does not say is Fly's default.
    pub(crate) fn of(config: &Config) -> Self {
        let guest = config.get("guest");
        let number = |name| guest.and_then(|it| it.get(name)).and_then(Value::as_u64);
        let kind = guest
            .and_then(|it| it.get("cpu_kind"))
            .and_then(Value::as_str);
        Self {
            kind: kind.unwrap_or("shared").to_owned(),
            cpus: number("cpus")
                .and_then(|it| it.try_into().ok())
                .unwrap_or(1),
            memory_mb: number("memory_mb").unwrap_or(256),
        }
    }

    /// By Fly's name where it has one.
    pub(crate) fn size(&self) -> MachineSize {
        let named = SIZES.iter().find(|(_, kind, counts, memory)| {
            *kind == self.kind()
                && counts.contains(&self.cpus)
                && self.memory_mb == memory * u64::from(self.cpus)
        });
        match named {
            Some((prefix, ..)) => MachineSize::named(format!("{prefix}{}x", self.cpus)),
            None => MachineSize::Resources {
                cpu_millis: self.cpus.saturating_mul(1000),
                memory_bytes: self.memory_mb.saturating_mul(MEBIBYTE),
            },
        }
    }

    /// Writes it into a configuration and leaves what else is said about the guest.
    pub(crate) fn write(&self, config: &mut Config) {
        let guest = config.object("guest");
        guest.insert("cpu_kind".to_owned(), self.kind().into());
        guest.insert("cpus".to_owned(), self.cpus.into());
        guest.insert("memory_mb".to_owned(), self.memory_mb.into());
    }
}

/// What a size means at Fly. Of bare resources the kind of processor stays as it is.
pub(crate) fn guest_of(size: &MachineSize, kind: Option<&str>) -> Result<Guest> {
    let unknown = |text: String| refuse(ErrorKind::InvalidInput, text);
    match size {
        MachineSize::Named(name) => {
            let guest = SIZES.iter().find_map(|(prefix, kind, counts, memory)| {
                let count = name.strip_prefix(prefix)?.strip_suffix('x')?;
                let cpus = count.parse().ok().filter(|cpus| counts.contains(cpus))?;
                Some(Guest {
                    kind: (*kind).to_owned(),
                    cpus,
                    memory_mb: memory * u64::from(cpus),
                })
            });
            guest.ok_or_else(|| unknown(format!("Fly has no size {name}")))
        }
        MachineSize::Resources {
            cpu_millis,
            memory_bytes,
        } => {
            let whole = cpu_millis % 1000 == 0 && *cpu_millis > 0;
            if !whole || memory_bytes % (256 * MEBIBYTE) != 0 || *memory_bytes == 0 {
                let text = "Fly sells whole processors, and memory in multiples of 256 MiB";
                return Err(unknown(text.to_owned()));
            }
            Ok(Guest {
                kind: kind.unwrap_or("shared").to_owned(),
                cpus: cpu_millis / 1000,
                memory_mb: memory_bytes / MEBIBYTE,
            })
        }
        _ => Err(refuse(ErrorKind::Unsupported, "a size of that form")),
    }
}

/// How many machines there should be, and where.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Shape {
    pub(crate) count: Option<Count>,
    pub(crate) regions: Option<Vec<Region>>,
    pub(crate) sleep: Option<Sleep>,
}

/// Whether Fly puts machines to sleep that nobody asks for anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sleep {
    Never,
    /// All but so many.
    AllBut(u32),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Count {
    Total(u32),
    Each(BTreeMap<Region, u32>),
}

impl Shape {
    /// Checks what was asked for. Nothing has been sent by then.
    pub(crate) fn of(replicas: Option<&Replicas>, regions: Option<&[Region]>) -> Result<Self> {
        let wrong = |text: &'static str| Err(refuse(ErrorKind::InvalidInput, text));
        let mut shape = Self {
            regions: regions.map(<[Region]>::to_vec),
            ..Self::default()
        };
        if regions.is_some_and(<[Region]>::is_empty) {
            return wrong("an app runs in one region at least");
        }
        let none = "Fly keeps how an app runs in its machines: one machine must stay";
        match replicas {
            None => return Ok(shape),
            Some(Replicas::Total(0)) => return Err(refuse(ErrorKind::Unsupported, none)),
            Some(Replicas::Total(count)) => shape.count = Some(Count::Total(*count)),
            Some(Replicas::PerRegion(each)) => {
                if regions.is_some() {
                    return wrong("the regions are named twice");
                }
                if each.values().all(|count| *count == 0) {
                    return Err(refuse(ErrorKind::Unsupported, none));
                }
                shape.count = Some(Count::Each(each.clone()));
            }
            Some(Replicas::Auto { min, max }) => {
                if min > max || *max == 0 {
                    return wrong("the minimum of machines is above the maximum, or that is zero");
                }
                shape.count = Some(Count::Total(*max));
                shape.sleep = Some(Sleep::AllBut(*min));
                return Ok(shape);
            }
            Some(_) => return Err(refuse(ErrorKind::Unsupported, "such a number of machines")),
        }
        shape.sleep = Some(Sleep::Never);
        Ok(shape)
    }

    pub(crate) fn moves_machines(&self) -> bool {
        self.count.is_some() || self.regions.is_some()
    }
}

/// Changes of a machine's configuration, all of them checked.
#[derive(Clone, Debug, Default)]
pub(crate) struct Changes {
    size: Option<MachineSize>,
    port: Option<u16>,
    force_https: Option<bool>,
    check: Option<HealthCheck>,
    restart: Option<RestartPolicy>,
    sleep: Option<Sleep>,
}

impl Changes {
    pub(crate) fn of(settings: &AppSettings, shape: &Shape) -> Result<Self> {
        if settings.port == Some(0) {
            return Err(refuse(ErrorKind::InvalidInput, "the port is zero"));
        }
        if let Some(check) = &settings.health_check
            && !check.path.starts_with('/')
        {
            let text = "the path of the health check does not begin with a slash";
            return Err(refuse(ErrorKind::InvalidInput, text));
        }
        Ok(Self {
            port: settings.port,
            force_https: settings.force_https,
            check: settings.health_check.clone(),
            restart: settings.restart,
            ..Self::of_scale(settings.size.as_ref(), shape)?
        })
    }

    pub(crate) fn of_scale(size: Option<&MachineSize>, shape: &Shape) -> Result<Self> {
        if let Some(size) = size {
            guest_of(size, None)?;
        }
        Ok(Self {
            size: size.cloned(),
            sleep: shape.sleep,
            ..Self::default()
        })
    }

    /// Writes the changes into a configuration; `port` is for an app that has no service yet.
    pub(crate) fn write(&self, config: &mut Config, port: u16) -> Result<()> {
        if let Some(size) = &self.size {
            let kind = Guest::of(config).kind;
            guest_of(size, Some(&kind))?.write(config);
        }
        if let Some(restart) = self.restart {
            config.set("restart", restart_of(restart)?);
        }
        let needs_service = self.port.is_some() || self.force_https.is_some();
        if needs_service && config.service().is_none() {
            config.set("services", json!([service(self.port.unwrap_or(port))]));
        }
        if let Some(service) = config.services_mut().next() {
            if let Some(port) = self.port {
                service.insert("internal_port".to_owned(), port.into());
            }
            if let Some(force_https) = self.force_https {
                redirect(service, force_https);
            }
        }
        self.write_check(config, port);
        if let Some(sleep) = self.sleep {
            config
                .services_mut()
                .for_each(|service| doze(service, sleep));
        }
        Ok(())
    }

    fn write_check(&self, config: &mut Config, port: u16) {
        let Some(check) = &self.check else {
            return;
        };
        let told = |port: Option<u16>| {
            let mut told = json!({
                "type": "http",
                "method": "GET",
                "path": check.path,
                "interval": duration(check.interval),
                "timeout": duration(check.timeout),
                "grace_period": duration(check.grace),
            });
            if let (Some(port), Some(told)) = (port, told.as_object_mut()) {
                told.insert("port".to_owned(), port.into());
            }
            told
        };
        if let Some(service) = config.services_mut().next() {
            service.insert("checks".to_owned(), json!([told(None)]));
        } else {
            // A check of a machine without a service must be told where to knock.
            config
                .object("checks")
                .insert("ops".to_owned(), told(Some(port)));
        }
    }
}

/// The configuration of the first machine of an app.
pub(crate) fn first_config(guest: &Guest, port: u16) -> Config {
    let mut config = Config::default();
    guest.write(&mut config);
    config.set("services", json!([service(port)]));
    config
}

/// HTTP and HTTPS from outside, the former redirected, to a port inside.
fn service(port: u16) -> Value {
    json!({
        "protocol": "tcp",
        "internal_port": port,
        "ports": [
            { "port": 80, "handlers": ["http"], "force_https": true },
            { "port": 443, "handlers": ["tls", "http"] },
        ],
    })
}

/// Redirects plain HTTP, which is a port with the handler `http` and without `tls`.
fn redirect(service: &mut Map<String, Value>, force_https: bool) {
    let ports = service.get_mut("ports").and_then(Value::as_array_mut);
    for port in ports.into_iter().flatten() {
        let has = |name: &str| {
            let handlers = port.get("handlers").and_then(Value::as_array);
            handlers.is_some_and(|all| all.iter().any(|it| it == name))
        };
        let is_plain = has("http") && !has("tls");
        if let Some(port) = port.as_object_mut().filter(|_| is_plain) {
            port.insert("force_https".to_owned(), force_https.into());
        }
    }
}

/// Lets machines sleep without requests and wake with them, or keeps them awake.
fn doze(service: &mut Map<String, Value>, sleep: Sleep) {
    match sleep {
        Sleep::AllBut(least) => {
            service.insert("autostop".to_owned(), "stop".into());
            service.insert("autostart".to_owned(), true.into());
            service.insert("min_machines_running".to_owned(), least.into());
        }
        Sleep::Never if sleep_of(service).is_some() => {
            service.insert("autostop".to_owned(), "off".into());
        }
        Sleep::Never => {}
    }
}

/// How many machines stay awake, where the others may sleep.
pub(crate) fn sleep_of(service: &Map<String, Value>) -> Option<u32> {
    let sleeps = match service.get("autostop") {
        Some(Value::Bool(sleeps)) => *sleeps,
        Some(Value::String(word)) => matches!(word.as_str(), "stop" | "suspend"),
        _ => false,
    };
    let least = service.get("min_machines_running").and_then(Value::as_u64);
    let least = least.and_then(|it| it.try_into().ok()).unwrap_or(0);
    sleeps.then_some(least)
}

fn restart_of(restart: RestartPolicy) -> Result<Value> {
    Ok(match restart {
        RestartPolicy::Never => json!({ "policy": "no" }),
        RestartPolicy::Always => json!({ "policy": "always" }),
        RestartPolicy::OnFailure { max_retries: None } => json!({ "policy": "on-failure" }),
        RestartPolicy::OnFailure {
            max_retries: Some(times),
        } => json!({ "policy": "on-failure", "max_retries": times }),
        _ => return Err(refuse(ErrorKind::Unsupported, "such a policy of restarts")),
    })
}

/// As Fly writes durations.
fn duration(span: Duration) -> String {
    if span.subsec_millis() == 0 {
        format!("{}s", span.as_secs())
    } else {
        format!("{}ms", span.as_millis())
    }
}

#[cfg(test)]
mod tests;

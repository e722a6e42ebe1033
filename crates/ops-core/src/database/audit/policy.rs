//! What a setup should be, and the judgment of one that is not.

use std::fmt;

use super::{Extension, MigrationStatus, RoleInfo, RoleRight, Setting};
use crate::macros::setters;

/// What a setting should be.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SettingRule {
    /// Exactly this text, whatever its case.
    Equals(String),
    /// One of these texts, whatever their case.
    OneOf(Vec<String>),
    /// A number of at least this, in bytes, milliseconds or as it is.
    AtLeast(i64),
    /// A number of at most this, in bytes, milliseconds or as it is.
    AtMost(i64),
    /// A number between 0 and this: as [`AtMost`](Self::AtMost), where `-1` means off.
    OnAndAtMost(i64),
    /// A list of addresses of this machine alone (`localhost`, `127.0.0.1`, `::1`, or none).
    LoopbackOnly,
}

impl SettingRule {
    fn holds(&self, setting: &Setting) -> bool {
        let value = setting.value.trim();
        match self {
            Self::Equals(text) => value.eq_ignore_ascii_case(text),
            Self::OneOf(texts) => texts.iter().any(|text| value.eq_ignore_ascii_case(text)),
            Self::AtLeast(bound) => setting.number().is_some_and(|number| number >= *bound),
            Self::AtMost(bound) => setting.number().is_some_and(|number| number <= *bound),
            Self::OnAndAtMost(bound) => setting
                .number()
                .is_some_and(|number| (0..=*bound).contains(&number)),
            Self::LoopbackOnly => value
                .split([',', ' '])
                .map(str::trim)
                .filter(|address| !address.is_empty())
                .all(is_loopback),
        }
    }
}

fn is_loopback(address: &str) -> bool {
    address.eq_ignore_ascii_case("localhost")
        // Redis marks an address with `-` that may be missing on the machine.
        || address.trim_start_matches('-').parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

impl fmt::Display for SettingRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Equals(text) => f.write_str(text),
            Self::OneOf(texts) => write!(f, "one of {}", texts.join(", ")),
            Self::AtLeast(bound) => write!(f, "at least {bound}"),
            Self::AtMost(bound) => write!(f, "at most {bound}"),
            Self::OnAndAtMost(bound) => write!(f, "on and at most {bound}"),
            Self::LoopbackOnly => f.write_str("loopback addresses alone"),
        }
    }
}

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum FindingSeverity {
    /// Worth knowing.
    Notice,
    /// Will hurt some day.
    Warning,
    /// Dangerous now.
    Critical,
}

/// What a finding is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum FindingSubject {
    /// A setting.
    Setting,
    /// A role.
    Role,
    /// An extension.
    Extension,
    /// The migrations.
    Migrations,
}

/// Something that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Finding {
    /// What it is about.
    pub subject: FindingSubject,
    /// The setting's, role's or extension's name.
    pub name: String,
    /// How bad it is.
    pub severity: FindingSeverity,
    /// What is wrong, as one lowercase line.
    pub message: String,
}

impl Finding {
    fn new(
        subject: FindingSubject,
        name: &str,
        severity: FindingSeverity,
        message: String,
    ) -> Self {
        Self {
            subject,
            name: name.to_owned(),
            severity,
            message,
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name, self.message)
    }
}

/// What a setup should be.
///
/// ```
/// use ops_core::database::{AuditPolicy, Setting, SettingRule};
///
/// let policy = AuditPolicy::new().with_setting("max_connections", SettingRule::AtMost(50));
/// let findings = policy.check_settings(&[Setting::new("max_connections", "100")]);
/// assert_eq!(findings[0].to_string(), "max_connections: is 100, should be at most 50");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct AuditPolicy {
    /// Settings and what they should be.
    pub settings: Vec<(String, SettingRule, FindingSeverity)>,
    /// Extensions that must be installed.
    pub extensions: Vec<String>,
    /// Roles that may have any rights, such as the one of the vendor.
    pub trusted_roles: Vec<String>,
    /// Rights that every role may have.
    pub allowed_rights: Vec<RoleRight>,
}

setters! { AuditPolicy {
    val {
        with_extensions(extensions: Vec<String>),
        with_trusted_roles(trusted_roles: Vec<String>),
        with_allowed_rights(allowed_rights: Vec<RoleRight>),
    }
} }

impl AuditPolicy {
    /// Asks nothing of settings and extensions, and allows no role a right.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// For a PostgreSQL server that serves one machine: listens on loopback alone, takes
    /// TLS and SCRAM, logs statements over 500 ms, keeps pages checked and durable.
    #[must_use]
    pub fn postgres() -> Self {
        let equals = |text: &str| SettingRule::Equals(text.to_owned());
        Self::new()
            .with_rule("fsync", equals("on"), FindingSeverity::Critical)
            .with_rule("full_page_writes", equals("on"), FindingSeverity::Critical)
            .with_rule("data_checksums", equals("on"), FindingSeverity::Warning)
            .with_rule("ssl", equals("on"), FindingSeverity::Warning)
            .with_rule(
                "password_encryption",
                equals("scram-sha-256"),
                FindingSeverity::Warning,
            )
            .with_rule(
                "listen_addresses",
                SettingRule::LoopbackOnly,
                FindingSeverity::Warning,
            )
            .with_rule(
                "log_min_duration_statement",
                SettingRule::OnAndAtMost(500),
                FindingSeverity::Notice,
            )
            .with_trusted_roles(vec!["postgres".to_owned()])
    }

    /// Adds a rule whose breach is a warning, or replaces the one of that setting.
    #[must_use]
    pub fn with_setting(self, name: impl Into<String>, rule: SettingRule) -> Self {
        self.with_rule(name, rule, FindingSeverity::Warning)
    }

    /// Adds a rule, or replaces the one of that setting.
    #[must_use]
    pub fn with_rule(
        mut self,
        name: impl Into<String>,
        rule: SettingRule,
        severity: FindingSeverity,
    ) -> Self {
        let name = name.into();
        self.settings.retain(|(known, ..)| *known != name);
        self.settings.push((name, rule, severity));
        self
    }

    /// Judges settings. One that the server does not have is found, too.
    #[must_use]
    pub fn check_settings(&self, settings: &[Setting]) -> Vec<Finding> {
        let finding = |name: &str, severity, message| {
            Finding::new(FindingSubject::Setting, name, severity, message)
        };
        let mut findings = Vec::new();
        for (name, rule, severity) in &self.settings {
            match settings.iter().find(|setting| setting.name == *name) {
                None => findings.push(finding(
                    name,
                    *severity,
                    format!("is missing, should be {rule}"),
                )),
                Some(setting) if !rule.holds(setting) => {
                    let value = readable(setting);
                    findings.push(finding(
                        name,
                        *severity,
                        format!("is {value}, should be {rule}"),
                    ));
                }
                Some(_) => {}
            }
        }
        for setting in settings.iter().filter(|setting| setting.is_pending_restart) {
            let message = "another value waits for a restart".to_owned();
            findings.push(finding(&setting.name, FindingSeverity::Notice, message));
        }
        findings
    }

    /// Judges roles: every right of a role that can log in, is not trusted and is not
    /// allowed that right.
    #[must_use]
    pub fn check_roles(&self, roles: &[RoleInfo]) -> Vec<Finding> {
        let mut findings = Vec::new();
        for role in roles {
            if !role.can_login || self.trusted_roles.contains(&role.name) {
                continue;
            }
            let excess: Vec<RoleRight> = role
                .rights
                .iter()
                .copied()
                .filter(|right| !self.allowed_rights.contains(right))
                .collect();
            if excess.is_empty() {
                continue;
            }
            let severity = if excess.contains(&RoleRight::Superuser) {
                FindingSeverity::Critical
            } else {
                FindingSeverity::Warning
            };
            let rights: Vec<&str> = excess.iter().map(|right| right.as_str()).collect();
            let message = format!("may do more than it needs: {}", rights.join(", "));
            findings.push(Finding::new(
                FindingSubject::Role,
                &role.name,
                severity,
                message,
            ));
        }
        findings
    }

    /// Judges extensions: those that must be installed and are not.
    #[must_use]
    pub fn check_extensions(&self, extensions: &[Extension]) -> Vec<Finding> {
        let mut findings = Vec::new();
        for name in &self.extensions {
            let known = extensions.iter().find(|extension| extension.name == *name);
            let message = match known {
                Some(extension) if extension.installed.is_some() => continue,
                Some(_) => "is available and not installed",
                None => "is not available on this server",
            };
            findings.push(Finding::new(
                FindingSubject::Extension,
                name,
                FindingSeverity::Critical,
                message.to_owned(),
            ));
        }
        findings
    }

    /// Judges migrations.
    #[must_use]
    pub fn check_migrations(status: &MigrationStatus) -> Vec<Finding> {
        let cases = [
            (&status.failed, "did not finish", FindingSeverity::Critical),
            (&status.pending, "is not applied", FindingSeverity::Warning),
            (
                &status.unknown,
                "is applied and not known here",
                FindingSeverity::Warning,
            ),
        ];
        let findings = cases.into_iter().flat_map(|(ids, message, severity)| {
            ids.iter().map(move |id| {
                Finding::new(FindingSubject::Migrations, id, severity, message.to_owned())
            })
        });
        findings.collect()
    }
}

/// The value in the units that the rules speak.
fn readable(setting: &Setting) -> String {
    match setting.number() {
        Some(number) => number.to_string(),
        None if setting.value.is_empty() => "empty".to_owned(),
        None => setting.value.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_rule_holds_and_breaks() {
        let loopback = SettingRule::LoopbackOnly;
        let cases = [
            (SettingRule::Equals("on".into()), "ON", true),
            (SettingRule::Equals("on".into()), "off", false),
            (SettingRule::OneOf(vec!["a".into(), "b".into()]), "b", true),
            (SettingRule::OneOf(vec!["a".into(), "b".into()]), "c", false),
            (SettingRule::AtLeast(5), "5", true),
            (SettingRule::AtLeast(5), "4", false),
            (SettingRule::AtLeast(5), "many", false),
            (SettingRule::AtMost(50), "50", true),
            (SettingRule::AtMost(50), "51", false),
            (SettingRule::OnAndAtMost(500), "0", true),
            (SettingRule::OnAndAtMost(500), "-1", false),
            (loopback.clone(), "localhost, 127.0.0.1,::1", true),
            (loopback.clone(), "", true),
            (loopback.clone(), "127.0.0.1 -::1", true),
            (loopback.clone(), "*", false),
            (loopback, "localhost,10.0.0.5", false),
        ];
        for (rule, value, holds) in cases {
            assert_eq!(
                rule.holds(&Setting::new("x", value)),
                holds,
                "{rule}: {value}"
            );
        }
    }

    #[test]
    fn a_missing_setting_and_a_pending_restart_are_found() {
        let policy = AuditPolicy::new().with_setting("ssl", SettingRule::Equals("on".into()));
        let other = Setting::new("work_mem", "4096").with_is_pending_restart(true);
        let texts: Vec<_> = policy
            .check_settings(&[other])
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(
            texts,
            [
                "ssl: is missing, should be on",
                "work_mem: another value waits for a restart"
            ]
        );
    }

    #[test]
    fn only_roles_that_log_in_and_are_not_trusted_are_found() {
        let rights = vec![RoleRight::Superuser, RoleRight::CreateDatabase];
        let role = |name: &str| RoleInfo::new(name).with_rights(rights.clone());
        let roles = [
            role("app").with_can_login(true),
            role("owners"),
            role("postgres").with_can_login(true),
            RoleInfo::new("reader").with_can_login(true),
        ];
        let policy = AuditPolicy::postgres().with_allowed_rights(vec![RoleRight::CreateDatabase]);
        let findings = policy.check_roles(&roles);
        assert_eq!(findings.len(), 1);
        assert_eq!(
            findings[0].to_string(),
            "app: may do more than it needs: superuser"
        );
        assert_eq!(findings[0].severity, FindingSeverity::Critical);
    }

    #[test]
    fn an_extension_must_be_installed_not_only_available() {
        let policy = AuditPolicy::new().with_extensions(vec!["vector".into(), "postgis".into()]);
        let available = Extension::new("vector").with_available("0.8.0");
        let texts: Vec<_> = policy
            .check_extensions(std::slice::from_ref(&available))
            .iter()
            .map(|f| f.message.clone())
            .collect();
        assert_eq!(
            texts,
            [
                "is available and not installed",
                "is not available on this server"
            ]
        );
        let installed = available.with_installed("0.8.0");
        assert_eq!(policy.check_extensions(&[installed]).len(), 1);
    }
}

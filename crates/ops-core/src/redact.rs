//! What looks like a secret. One place decides, for every provider.
//!
//! The check errs on the side of "secret": a plain setting that is refused costs a
//! rename or a call of another method, a secret that is let through costs a rotation.

const SECRET_WORDS: &[&str] = &[
    "SECRET",
    "SECRETS",
    "PASSWORD",
    "PASSWORDS",
    "PASSWD",
    "PASSPHRASE",
    "PWD",
    "PASS",
    "TOKEN",
    "CREDENTIAL",
    "CREDENTIALS",
    "DSN",
    "APIKEY",
    "KEY",
    "KEYS",
    "PEPPER",
    "SALT",
    "AUTH",
    "COOKIE",
    "BEARER",
    "SIGNATURE",
    "PIN",
    "OTP",
];

/// Systems whose address normally carries a password.
const URL_OWNERS: &[&str] = &[
    "DATABASE",
    "DB",
    "POSTGRES",
    "POSTGRESQL",
    "PG",
    "MYSQL",
    "MARIADB",
    "MONGO",
    "MONGODB",
    "REDIS",
    "VALKEY",
    "AMQP",
    "RABBITMQ",
    "CLOUDAMQP",
    "KAFKA",
    "NATS",
    "SMTP",
    "ELASTICSEARCH",
    "CLICKHOUSE",
    "DIRECT",
    "SHADOW",
    "WEBHOOK",
    "HEARTBEAT",
    "POOLER",
];

/// The last word of settings that are about a secret and are none.
const ABOUT: &[&str] = &[
    "FILE",
    "PATH",
    "DIR",
    "TTL",
    "LENGTH",
    "EXPIRY",
    "EXPIRES",
    "SECONDS",
    "MINUTES",
    "HOURS",
    "DAYS",
    "ENABLED",
    "NAME",
    "ID",
    "ALGORITHM",
    "ROUNDS",
    "ISSUER",
    "AUDIENCE",
];

/// Whether a variable of this name must be stored as a secret.
///
/// The name is cut into words at anything that is no letter or digit and at changes of
/// case. It looks secret where a word is one of the usual ones (`SECRET`, `PASSWORD`,
/// `TOKEN`, `KEY`, `DSN`, ...), or where it is the `URL` or `URI` of a database, a queue
/// or a webhook. A key that says that it is public (`STRIPE_PUBLISHABLE_KEY`) does not,
/// and neither does a setting about a secret (`TOKEN_TTL_SECONDS`, `SECRET_FILE`).
///
/// ```
/// use ops_core::redact::key_looks_secret;
///
/// for key in ["DATABASE_URL", "REDIS_URL", "JWT_SECRET", "OPENAI_API_KEY", "SENTRY_DSN"] {
///     assert!(key_looks_secret(key), "{key}");
/// }
/// for key in ["NODE_ENV", "FRONTEND_URL", "NEXT_PUBLIC_API_URL", "OPENAI_MAX_TOKENS", "LOG_LEVEL"] {
///     assert!(!key_looks_secret(key), "{key}");
/// }
/// ```
#[must_use]
pub fn key_looks_secret(key: &str) -> bool {
    let words = words(key);
    let has = |list: &[&str]| words.iter().any(|word| list.contains(&word.as_str()));
    // `PWD` and `PATH` are set by every shell.
    if words.len() <= 1 && has(&["PWD", "PATH"]) {
        return false;
    }
    if words
        .last()
        .is_some_and(|last| ABOUT.contains(&last.as_str()))
    {
        return false;
    }
    let public = has(&["PUBLIC", "PUBLISHABLE"]);
    let secret = SECRET_WORDS.iter().any(|word| {
        let key_like = matches!(*word, "KEY" | "KEYS" | "APIKEY" | "DSN");
        has(&[word]) && !(public && key_like)
    });
    secret || (has(&["URL", "URI", "STRING"]) && (has(URL_OWNERS) || has(&["CONNECTION"])))
}

/// The openings of well-known credentials.
const SECRET_PREFIXES: &[&str] = &[
    "sk-",
    "sk_live_",
    "sk_test_",
    "rk_live_",
    "ghp_",
    "gho_",
    "ghs_",
    "github_pat_",
    "glpat-",
    "xoxb-",
    "xoxp-",
    "xapp-",
    "AKIA",
    "AGE-SECRET-KEY-",
    "dp.st.",
    "FlyV1 ",
    "npg_",
];

/// Whether a value is itself a credential, whatever its name: a URL with a password in
/// it, a PEM private key, or a token with a well-known opening.
///
/// ```
/// use ops_core::redact::value_looks_secret;
///
/// assert!(value_looks_secret("postgres://app:hunter2@db.internal/shop"));
/// assert!(!value_looks_secret("https://shop.example/?next=a:b@c"));
/// ```
#[must_use]
pub fn value_looks_secret(value: &str) -> bool {
    let value = value.trim_start();
    SECRET_PREFIXES
        .iter()
        .any(|prefix| value.starts_with(prefix))
        || (value.starts_with("-----BEGIN ") && value.contains("PRIVATE KEY-----"))
        || has_password(value)
}

fn has_password(value: &str) -> bool {
    let Some((_, rest)) = value.split_once("://") else {
        return false;
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let Some((user_info, _)) = authority.rsplit_once('@') else {
        return false;
    };
    user_info
        .split_once(':')
        .is_some_and(|(_, password)| !password.is_empty())
}

/// The words of a name, uppercase.
fn words(key: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut after_lower = false;
    for c in key.chars() {
        let boundary = !c.is_alphanumeric() || (after_lower && c.is_uppercase());
        if boundary && !word.is_empty() {
            words.push(std::mem::take(&mut word));
        }
        if c.is_alphanumeric() {
            word.extend(c.to_uppercase());
        }
        after_lower = c.is_lowercase();
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}

/// Whether an HTTP header carries a credential, so that it is left out of error reports.
#[must_use]
pub fn header_is_sensitive(name: &str) -> bool {
    const NAMES: &[&str] = &[
        "authorization",
        "proxy-authorization",
        "cookie",
        "set-cookie",
        "x-api-key",
        "x-auth-token",
        "x-csrf-token",
        "x-forwarded-for",
        "x-real-ip",
    ];
    NAMES
        .iter()
        .any(|sensitive| name.eq_ignore_ascii_case(sensitive))
        || key_looks_secret(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_keys_of_the_usual_stack_are_told_apart() {
        let secret = [
            "DATABASE_URL",
            "REDIS_URL",
            "DIRECT_URL",
            "SHADOW_DATABASE_URL",
            "JWT_SECRET",
            "JWT_REFRESH_SECRET",
            "OPENAI_API_KEY",
            "SENTRY_DSN",
            "STRIPE_SECRET_KEY",
            "PINECONE_API_KEY",
            "LOGTAIL_TOKEN",
            "RAILWAY_TOKEN",
            "DB_PASSWORD",
            "DB_PWD",
            "SLACK_WEBHOOK_URL",
            "AWS_SECRET_ACCESS_KEY",
            "AWS_ACCESS_KEY",
            "apiKey",
            "dbPassword",
            "stripe-secret",
            "MONGODB_URI",
            "AZURE_STORAGE_CONNECTION_STRING",
            "BASIC_AUTH",
            "PUBLIC_SECRET",
            "PASSWORD_SALT",
        ];
        for key in secret {
            assert!(key_looks_secret(key), "{key} must be refused as plain");
        }
        let plain = [
            "NODE_ENV",
            "PORT",
            "FRONTEND_URL",
            "NEXT_PUBLIC_API_URL",
            "LOG_LEVEL",
            "PWD",
            "PATH",
            "STRIPE_PUBLISHABLE_KEY",
            "NEXT_PUBLIC_SENTRY_DSN",
            "OPENAI_MAX_TOKENS",
            "TOKEN_TTL_SECONDS",
            "JWT_EXPIRES_IN",
            "PASSWORD_MIN_LENGTH",
            "SECRET_FILE",
            "MONKEY",
            "KEYBOARD",
            "AUTHOR",
            "",
            "___",
        ];
        for key in plain {
            assert!(!key_looks_secret(key), "{key} is plain");
        }
    }

    #[test]
    fn values_with_a_credential_inside_are_recognized() {
        for value in [
            "redis://:hunter2@cache:6379/0",
            "https://user:pw@host",
            "-----BEGIN RSA PRIVATE KEY-----\nMII",
            " ghp_0123456789",
        ] {
            assert!(value_looks_secret(value), "{value}");
        }
        for value in [
            "postgres://app@db/shop",
            "postgres://app:@db/shop",
            "https://host/a:b@c",
            "-----BEGIN PUBLIC KEY-----",
            "production",
            "",
        ] {
            assert!(!value_looks_secret(value), "{value}");
        }
    }

    #[test]
    fn headers_with_credentials_are_sensitive_in_any_case() {
        for name in ["Authorization", "COOKIE", "x-api-key", "X-Vendor-Token"] {
            assert!(header_is_sensitive(name), "{name}");
        }
        for name in ["content-type", "user-agent", "x-request-id"] {
            assert!(!header_is_sensitive(name), "{name}");
        }
    }
}

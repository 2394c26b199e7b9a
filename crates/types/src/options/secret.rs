//! Values that nobody is to see: which options have them, and a type that does not show them.

use std::fmt;

use subtle::ConstantTimeEq;

use super::{configuration::environment_variable, keys, keys::ConfigOption};

/// Holds options as a JSON object that were given with `-D`, and are secrets: a server that is started
/// in the background gets them by its environment, since everybody can read its command line.
pub const SECRETS_VARIABLE: &str = "TIDEGATE_SECRETS";

/// What stands in a secret's place.
pub const HIDDEN: &str = "******";

/// What the keys of options have in them whose values are secrets: Flink's list, and the names that
/// object stores give to theirs.
const SENSITIVE: [&str; 15] = [
    "password",
    "secret",
    "fs.azure.account.key",
    "apikey",
    "api-key",
    "auth-params",
    "service-key",
    "token",
    "basic-auth",
    "jaas.config",
    "http-headers",
    "access-key",
    "access_key",
    "credential",
    "passphrase",
];

/// Whether the value of an option with this key is a secret. Looks at words in the key, as Flink does.
///
/// ```
/// use tidegate_types::options::is_sensitive;
///
/// assert!(is_sensitive("security.rest.token") && is_sensitive("s3.Secret-Key"));
/// assert!(!is_sensitive("rest.port"));
/// ```
#[must_use]
pub fn is_sensitive(key: &str) -> bool {
    let key = key.to_lowercase();
    SENSITIVE.iter().any(|word| key.contains(word))
}

/// Whether an option holds what the processes of a cluster know each other by, or what its clients
/// show, which is no job's business.
#[must_use]
pub fn is_secret_of_cluster(key: &str) -> bool {
    [keys::REST_TOKEN.key, keys::CLUSTER_TOKEN.key].contains(&key)
}

/// Whether an environment variable sets such an option, or holds others that are secrets.
#[must_use]
pub fn is_of_cluster(variable: &str) -> bool {
    let is_it = |option: &ConfigOption| environment_variable(option.key) == variable;
    variable == SECRETS_VARIABLE || is_it(&keys::REST_TOKEN) || is_it(&keys::CLUSTER_TOKEN)
}

/// An option's value as people may see it: [`HIDDEN`] if it is a secret.
#[must_use]
pub fn shown<'a>(key: &str, value: &'a str) -> &'a str {
    if is_sensitive(key) { HIDDEN } else { value }
}

/// A text that is a secret. Nothing shows it but [`Secret::expose`]: neither `Debug` nor `Display`,
/// and it can't be serialized.
#[derive(Clone)]
pub struct Secret(String);

impl Secret {
    /// The text as a secret.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text, to pass it on to somebody who is to know it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether `other` is the same, in a time that tells nothing but its length.
    #[must_use]
    pub fn is(&self, other: &[u8]) -> bool {
        self.0.as_bytes().ct_eq(other).into()
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.is(other.0.as_bytes())
    }
}

impl Eq for Secret {}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(HIDDEN)
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::configuration::{Configuration, Origin},
        *,
    };

    #[test]
    fn a_secret_does_not_show() {
        let secret = Secret::new("open sesame");
        assert_eq!(format!("{secret} {secret:?}"), "****** Secret(..)");
        assert!(secret.is(b"open sesame") && !secret.is(b"open sesam"));
    }

    #[test]
    fn a_secret_shows_neither_in_errors_nor_where_options_are_printed() {
        let mut configuration = Configuration::default();
        let origin = Origin::CommandLine { option: "-D my.password".to_owned() };
        configuration.set("my.password", "xyzzy", origin);
        assert!(format!("{configuration:?}").contains(HIDDEN));
        let option =
            ConfigOption { key: "my.password", default: "none", form: "text", doc: "A password." };
        let refused = configuration.get(&option, |_| Err::<(), _>("another one".to_owned()));
        let refused = refused.expect_err("it is refused");
        let no_pair = configuration.set_pair("my.password:xyzzy").expect_err("there is no `=`");
        for shown in [
            format!("{configuration:?} {:?}", configuration.values()),
            format!("{refused} {refused:?}"),
            format!("{no_pair} {no_pair:?}"),
        ] {
            assert!(!shown.contains("xyzzy"), "{shown}");
        }
    }

    #[test]
    fn every_word_of_flinks_list_makes_a_key_sensitive() {
        for key in [
            "my.password",
            "a.SECRET",
            "fs.azure.account.key.x",
            "x.apikey",
            "x.api-key",
            "y.auth-params",
            "service-key",
            "security.rest.token",
            "basic-auth.x",
            "sasl.jaas.config",
            "http-headers",
        ] {
            assert_eq!(shown(key, "value"), HIDDEN, "{key}");
        }
        assert_eq!(shown("execution.checkpointing.dir", "/x"), "/x");
    }
}

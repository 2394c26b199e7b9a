//! Configuration as text, with where each value comes from.

use std::{collections::BTreeMap, fmt};

use saphyr::{LoadableYamlNode, MarkedYaml, Scalar, YamlData};

use super::{
    flink::is_flinks,
    keys::{ConfigOption, all},
    secret::shown,
    values::OptionValues,
};
use crate::error::ErrorKind;

/// How many letters a key may differ from an option to be a slip of the hand.
const NEAR: usize = 3;

/// The beginning of the names of environment variables that are options.
const ENVIRONMENT_PREFIX: &str = "TIDEGATE_";

/// Where a value comes from. A later one wins over an earlier one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// The program itself, as a default of the job.
    Program,
    /// A file.
    File {
        /// Its path.
        path: String,
        /// The line, from 1.
        line: usize,
    },
    /// An environment variable.
    Environment {
        /// Its name.
        variable: String,
    },
    /// The command line.
    CommandLine {
        /// The option as it is written there: `-D`, `--parallelism`.
        option: String,
    },
    /// The JobManager that runs the job.
    JobManager,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Program => f.write_str("the job's own defaults"),
            Self::File { path, line } => write!(f, "{path}, line {line}"),
            Self::Environment { variable } => write!(f, "environment variable {variable}"),
            Self::CommandLine { option } => write!(f, "{option} on the command line"),
            Self::JobManager => f.write_str("the JobManager"),
        }
    }
}

/// What is wrong with a configuration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OptionError {
    /// A value that its option does not take.
    #[error("`{value}` is not a value for {key} (from {origin}): expected {expected}")]
    Value {
        /// The option.
        key: String,
        /// What was given.
        value: String,
        /// Where.
        origin: Origin,
        /// What it takes.
        expected: String,
    },
    /// Options that contradict each other, or that need each other.
    #[error("{message}")]
    Together {
        /// Which ones, and what to do.
        message: String,
    },
    /// Something that is not `key=value`.
    #[error("`{text}` is not an option: expected key=value")]
    NotAPair {
        /// What was given.
        text: String,
    },
    /// A file that is not the YAML that is wanted.
    #[error("{path}, line {line}: {message}")]
    Yaml {
        /// The file.
        path: String,
        /// The line, from 1.
        line: usize,
        /// What is wrong.
        message: String,
    },
}

impl OptionError {
    /// Always [`ErrorKind::Invalid`].
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        ErrorKind::Invalid
    }
}

/// Something that is probably a mistake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// What it is, for a person.
    pub message: String,
}

#[derive(Clone, PartialEq, Eq)]
struct Entry {
    value: String,
    origin: Origin,
}

/// Options as text, by key. Secrets do not show in `Debug`.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Configuration {
    entries: BTreeMap<String, Entry>,
}

impl fmt::Debug for Configuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let entry = |(key, entry): (&'_ String, &'_ Entry)| {
            (key.clone(), shown(key, &entry.value).to_owned(), entry.origin.clone())
        };
        f.debug_list().entries(self.entries.iter().map(entry)).finish()
    }
}

impl Configuration {
    /// No options at all: every default.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets an option, unless it is set from somewhere that counts more.
    pub fn set(&mut self, key: &str, value: &str, origin: Origin) {
        let rank = |origin: &Origin| match origin {
            Origin::Program => 0,
            Origin::File { .. } => 1,
            Origin::Environment { .. } => 2,
            Origin::CommandLine { .. } => 3,
            Origin::JobManager => 4,
        };
        if self.entries.get(key).is_some_and(|entry| rank(&entry.origin) > rank(&origin)) {
            return;
        }
        self.entries.insert(key.to_owned(), Entry { value: value.to_owned(), origin });
    }

    /// Sets an option from `key=value` of a `-D`.
    ///
    /// # Errors
    ///
    /// When there is no `=`.
    pub fn set_pair(&mut self, text: &str) -> Result<(), OptionError> {
        let (key, value) = text
            .split_once('=')
            .ok_or_else(|| OptionError::NotAPair { text: shown(text, text).to_owned() })?;
        let origin = Origin::CommandLine { option: format!("-D {}", key.trim()) };
        self.set(key.trim(), value.trim(), origin);
        Ok(())
    }

    /// Sets what a JobManager says, which wins over everything else.
    pub fn add_overrides(&mut self, values: impl IntoIterator<Item = (String, String)>) {
        for (key, value) in values {
            self.set(&key, &value, Origin::JobManager);
        }
    }

    /// Sets what a configuration file says: flat keys, nested maps, or both.
    ///
    /// # Errors
    ///
    /// When the text is not a YAML map of scalars; names the line.
    pub fn add_yaml(&mut self, text: &str, path: &str) -> Result<(), OptionError> {
        let error =
            |line, message: String| OptionError::Yaml { path: path.to_owned(), line, message };
        let documents = MarkedYaml::load_from_str(text)
            .map_err(|problem| error(problem.marker().line(), problem.info().to_owned()))?;
        let mut pairs = Vec::new();
        for document in &documents {
            collect(document, "", &mut pairs).map_err(|(line, message)| error(line, message))?;
        }
        for (key, value, line) in pairs {
            self.set(&key, &value, Origin::File { path: path.to_owned(), line });
        }
        Ok(())
    }

    /// Sets what the environment says: `TIDEGATE_EXECUTION_CHECKPOINTING_INTERVAL` and the like.
    /// Variables that fit no option are left alone.
    pub fn add_environment(&mut self, variables: impl IntoIterator<Item = (String, String)>) {
        for (variable, value) in variables {
            let Some(name) = variable.strip_prefix(ENVIRONMENT_PREFIX) else { continue };
            let fits = |option: &&ConfigOption| environment_name(option.key) == name;
            if let Some(option) = all().iter().find(fits) {
                self.set(option.key, &value, Origin::Environment { variable: variable.clone() });
            }
        }
    }

    /// Takes over the options of `defaults` that are not set here.
    pub fn add_defaults(&mut self, defaults: &Self) {
        for (key, entry) in &defaults.entries {
            self.entries.entry(key.clone()).or_insert_with(|| entry.clone());
        }
    }

    /// Whether an option is set, from wherever.
    #[must_use]
    pub fn is_set(&self, key: &str) -> bool {
        self.entries.contains_key(key)
    }

    /// Every option that is set, as text.
    #[must_use]
    pub fn values(&self) -> OptionValues {
        let value = |(key, entry): (&String, &Entry)| (key.clone(), entry.value.clone());
        self.entries.iter().map(value).collect()
    }

    /// The keys that no option has, each with what was probably meant: an option of nearly that
    /// name, or one of Flink's that is not here.
    #[must_use]
    pub fn warnings(&self) -> Vec<Warning> {
        let unknown = self.entries.iter().filter(|(key, _)| !is_known(key));
        let warning = |(key, entry): (&String, &Entry)| {
            let origin = &entry.origin;
            Warning {
                message: match likely(key) {
                    Likely::Option(option) => {
                        format!(
                            "unknown option {key} (from {origin}); did you mean {}?",
                            option.key
                        )
                    }
                    Likely::Flinks => format!(
                        "option {key} (from {origin}) is Flink's and not here yet: it does nothing"
                    ),
                    Likely::Nothing => {
                        format!("unknown option {key} (from {origin}): it does nothing")
                    }
                },
            }
        };
        unknown.map(warning).collect()
    }

    /// The value of `option` as `parse` reads it; its default if it is not set.
    pub(super) fn get<T>(
        &self,
        option: &ConfigOption,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Result<T, OptionError> {
        let default = Entry { value: option.default.to_owned(), origin: Origin::Program };
        let entry = self.entries.get(option.key).unwrap_or(&default);
        parse(&entry.value).map_err(|expected| OptionError::Value {
            key: option.key.to_owned(),
            value: shown(option.key, &entry.value).to_owned(),
            origin: entry.origin.clone(),
            expected,
        })
    }

    /// The value of an option that has no default.
    pub(super) fn get_optional<T>(
        &self,
        option: &ConfigOption,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Result<Option<T>, OptionError> {
        if self.is_set(option.key) { self.get(option, parse).map(Some) } else { Ok(None) }
    }
}

/// What is likely meant by a key that no option has.
enum Likely {
    /// An option of nearly that name.
    Option(&'static ConfigOption),
    /// One of Flink's.
    Flinks,
    Nothing,
}

fn likely(key: &str) -> Likely {
    // A slip of the hand changes a letter or two of a name; other names that share their beginning
    // are as near as that by other measures.
    let distance = |option: &ConfigOption| strsim::damerau_levenshtein(key, option.key);
    let nearest = all().iter().min_by_key(|option| distance(option));
    match nearest.filter(|option| distance(option) <= NEAR) {
        Some(option) => Likely::Option(option),
        None if is_flinks(key) => Likely::Flinks,
        None => Likely::Nothing,
    }
}

fn is_known(key: &str) -> bool {
    all().iter().any(|option| option.key == key)
}

fn environment_name(key: &str) -> String {
    key.to_uppercase().replace(['.', '-'], "_")
}

/// The environment variable that sets an option: `TIDEGATE_REST_PORT` for `rest.port`.
#[must_use]
pub fn environment_variable(key: &str) -> String {
    format!("{ENVIRONMENT_PREFIX}{}", environment_name(key))
}

type Pair = (String, String, usize);

/// Flattens nested maps: `a: {b: 1}` is `a.b: 1`.
fn collect(
    node: &MarkedYaml<'_>,
    prefix: &str,
    pairs: &mut Vec<Pair>,
) -> Result<(), (usize, String)> {
    let line = node.span.start.line();
    match &node.data {
        YamlData::Mapping(map) => {
            for (key, value) in map {
                let key = scalar_text(key)
                    .ok_or_else(|| (key.span.start.line(), "a key must be a word".to_owned()))?;
                let key = if prefix.is_empty() { key } else { format!("{prefix}.{key}") };
                collect(value, &key, pairs)?;
            }
            Ok(())
        }
        YamlData::Value(Scalar::Null) if prefix.is_empty() => Ok(()),
        _ if prefix.is_empty() => Err((line, "expected options as `key: value`".to_owned())),
        _ => {
            let value = scalar_text(node)
                .ok_or_else(|| (line, format!("expected a plain value for {prefix}")))?;
            pairs.push((prefix.to_owned(), value, line));
            Ok(())
        }
    }
}

fn scalar_text(node: &MarkedYaml<'_>) -> Option<String> {
    match &node.data {
        YamlData::Value(Scalar::String(text)) => Some(text.to_string()),
        YamlData::Value(Scalar::Integer(number)) => Some(number.to_string()),
        YamlData::Value(Scalar::FloatingPoint(number)) => Some(number.to_string()),
        YamlData::Value(Scalar::Boolean(truth)) => Some(truth.to_string()),
        YamlData::Representation(text, _, _) => Some(text.to_string()),
        _ => None,
    }
}

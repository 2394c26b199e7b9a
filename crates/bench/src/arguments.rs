//! `--name value` pairs.

use std::{collections::BTreeMap, str::FromStr};

use anyhow::{Context, Result};

/// The arguments of a scenario.
pub(crate) struct Arguments(BTreeMap<String, String>);

impl Arguments {
    pub(crate) fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Self> {
        let mut pairs = BTreeMap::new();
        while let Some(name) = arguments.next() {
            let plain =
                name.strip_prefix("--").with_context(|| format!("expected --name, got {name}"))?;
            let value = arguments.next().with_context(|| format!("{name} needs a value"))?;
            pairs.insert(plain.to_owned(), value);
        }
        Ok(Self(pairs))
    }

    /// The value of `--name`, or the default.
    pub(crate) fn get<T: FromStr>(&self, name: &str, default: T) -> Result<T>
    where
        T::Err: std::error::Error + Send + Sync + 'static,
    {
        match self.0.get(name) {
            Some(text) => text.parse().with_context(|| format!("--{name} {text}")),
            None => Ok(default),
        }
    }

    /// The value of `--name`, if it is given.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }
}

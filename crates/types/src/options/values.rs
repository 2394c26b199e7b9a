//! Options as they are handed on: texts, some of which are secrets.

use std::{
    collections::BTreeMap,
    fmt,
    ops::{Deref, DerefMut},
};

use serde::{Deserialize, Serialize};

use super::secret::shown;

/// Options by key, as texts. Secrets do not show in `Debug`. They are serialized as they are, since
/// that is how options come to whoever is to have them: what is written with them is for its owner
/// alone.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct OptionValues(BTreeMap<String, String>);

impl OptionValues {
    /// The options as people may see them.
    pub fn shown(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (key.as_str(), shown(key, value)))
    }
}

impl fmt::Debug for OptionValues {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.shown()).finish()
    }
}

impl Deref for OptionValues {
    type Target = BTreeMap<String, String>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl DerefMut for OptionValues {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.0
    }
}

impl From<BTreeMap<String, String>> for OptionValues {
    fn from(values: BTreeMap<String, String>) -> Self {
        Self(values)
    }
}

impl From<OptionValues> for BTreeMap<String, String> {
    fn from(values: OptionValues) -> Self {
        values.0
    }
}

impl FromIterator<(String, String)> for OptionValues {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(values: I) -> Self {
        Self(values.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_handed_on_and_do_not_show() {
        let pairs = [("my.password", "xyzzy"), ("rest.port", "1")];
        let pairs = pairs.map(|(key, value)| (key.to_owned(), value.to_owned()));
        let values = pairs.into_iter().collect::<OptionValues>();
        assert_eq!(format!("{values:?}"), r#"{"my.password": "******", "rest.port": "1"}"#);
        assert_eq!(values["my.password"], "xyzzy");
    }
}

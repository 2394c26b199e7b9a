//! What a program says about an operator's keyed state, without the state: what a restore is checked
//! against before there is one.

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tidegate_snapshot::{
    codec::{self, CodecError},
    described::{Described, Type},
    manifest::{OperatorManifest, StateDescription},
    wire::decode_as,
};
use tidegate_types::BoxError;

use crate::{
    StateError,
    describe::{accepted, check::check_type, shape::Shape, type_description},
    evolve::{Change, Role, compare},
    store::{Declaration, DeclaredType},
};

/// The state of an operator, as its program declares it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateDeclaration {
    /// What belongs to keys, if anything does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keyed: Option<KeyedDeclaration>,
    /// What belongs to subtasks.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lists: Vec<DeclaredList>,
}

/// A list of operator state, as the program declares it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeclaredList {
    /// Its name.
    pub name: String,
    /// What it was called in older snapshots.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub was: Option<String>,
    /// The description of its items' type.
    pub value_type: String,
    /// What its items can be read from, if that can be told.
    pub value: Option<Shape>,
}

impl DeclaredList {
    /// A list with items of this type.
    ///
    /// # Errors
    ///
    /// [`StateError::Unfit`], when items could be written and not read back.
    pub fn of<T: Serialize + DeserializeOwned>(name: &str) -> Result<Self, StateError> {
        let unfit = |source| StateError::Unfit { state: name.to_owned(), source };
        check_type::<T>().map_err(unfit)?;
        let (value_type, value) = (type_description::<T>(), accepted::<T>());
        Ok(Self { name: name.to_owned(), was: None, value_type, value })
    }

    /// What becomes of items that are of the type `stored`.
    #[must_use]
    pub fn fate(&self, stored: &str) -> Fate {
        match carry_type(stored, &self.value_type, || self.value.clone(), Role::Value) {
            Ok(None) => Fate::Restored,
            Ok(Some(changes)) => Fate::Migrated(changes),
            Err(source) => {
                let source = source.map_or_else(String::new, |source| format!(": {source}"));
                let Self { name, value_type, .. } = self;
                Fate::Refused(format!(
                    "the state `{name}` is `{stored}` (operator state) in the snapshot, and \
                     `{value_type}` (operator state) in the program{source}"
                ))
            }
        }
    }
}

/// The keyed state of an operator, as its program declares it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyedDeclaration {
    /// The description of the keys' type.
    pub key_type: String,
    /// What keys can be read from, if that can be told.
    pub key: Option<Shape>,
    /// Its states.
    pub states: Vec<DeclaredState>,
}

/// A state, as its program declares it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeclaredState {
    /// Its name and type.
    pub description: StateDescription,
    /// What it was called in older snapshots.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub was: Option<String>,
    /// What its values can be read from, if that can be told.
    pub value: Option<Shape>,
}

/// What a restore does with a state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is taken over as it is.
    Restored,
    /// It is taken over with these changes.
    Migrated(Vec<Change>),
    /// The program does not declare it.
    Dropped,
    /// The snapshot does not have it.
    New,
    /// It can't be taken over: why not.
    Refused(String),
}

impl KeyedDeclaration {
    pub(crate) fn of(key: &DeclaredType, states: &[Declaration]) -> Result<Self, StateError> {
        (key.check)().map_err(|source| StateError::UnfitKey { source })?;
        for state in states {
            let unfit = |source| StateError::Unfit { state: state.name.clone(), source };
            (state.value.check)().map_err(unfit)?;
        }
        let states = states.iter().zip(0..).map(|(state, id)| DeclaredState {
            description: state.describe(id),
            was: state.was.clone(),
            value: (state.value.accepted)(),
        });
        let (key_type, key) = (key.description.clone(), (key.accepted)());
        Ok(Self { key_type, key, states: states.collect() })
    }

    /// What changes about the keys that the snapshot holds; `None` if they are of the same type.
    ///
    /// # Errors
    ///
    /// When they can't be read as the program's.
    pub fn key_changes(
        &self,
        stored: &OperatorManifest,
    ) -> Result<Option<Vec<Change>>, StateError> {
        match &stored.key_type {
            None => Ok(None),
            Some(key) => carry_key_over(key, &self.key_type, || self.key.clone()),
        }
    }

    /// What becomes of each state, the snapshot's first, by name.
    #[must_use]
    pub fn fates(&self, stored: &OperatorManifest) -> Vec<(String, Fate)> {
        let has = |name: &str| stored.states.iter().any(|state| state.name == name);
        let declared = |name: &str| {
            let by_name = self.states.iter().find(|own| own.description.name == name);
            by_name.or_else(|| {
                let was = |own: &&DeclaredState| own.was.as_deref() == Some(name);
                self.states.iter().filter(was).find(|own| !has(&own.description.name))
            })
        };
        let fate = |state: &StateDescription| {
            let Some(own) = declared(&state.name) else { return Fate::Dropped };
            match carry_over(state, &own.description, || own.value.clone()) {
                Ok(None) => Fate::Restored,
                Ok(Some(changes)) => Fate::Migrated(changes),
                Err(error) => Fate::Refused(tidegate_types::error::chain(&error)),
            }
        };
        let restored = stored.states.iter().map(|state| (state.name.clone(), fate(state)));
        let is_new = |own: &&DeclaredState| {
            !has(&own.description.name) && !own.was.as_deref().is_some_and(has)
        };
        let new = self.states.iter().filter(is_new);
        restored.chain(new.map(|own| (own.description.name.clone(), Fate::New))).collect()
    }
}

pub(crate) fn in_words(state: &StateDescription) -> String {
    let ttl = if state.ttl_ms.is_some() { " with TTL" } else { "" };
    format!("`{}` ({} state{ttl})", state.value_type, state.kind)
}

/// Reads values of one type, of the snapshot's if that is another one.
pub type Decode<T> = Box<dyn Fn(&mut &[u8]) -> Result<T, CodecError>>;

/// Reads keys that were written as `stored`, the description of a type.
///
/// # Errors
///
/// [`StateError::KeyType`], when they can't be read as a `K`.
pub fn decode_key<K: DeserializeOwned + 'static>(stored: &str) -> Result<Decode<K>, StateError> {
    let changes = carry_key_over(stored, &type_description::<K>(), accepted::<K>)?;
    Ok(decoder(changes.is_some().then(|| Described::parse(stored))))
}

/// Reads values of a state, without the time that stands behind them with TTL.
///
/// # Errors
///
/// [`StateError::Incompatible`], when they can't be read as a `V`.
pub fn decode_value<V: DeserializeOwned + 'static>(
    stored: &StateDescription,
) -> Result<Decode<V>, StateError> {
    let value_type = type_description::<V>();
    let declared = StateDescription { value_type, ..stored.clone() };
    let changes = carry_over(stored, &declared, accepted::<V>)?;
    Ok(decoder(changes.is_some().then(|| Described::parse(&stored.value_type))))
}

fn decoder<T: DeserializeOwned + 'static>(stored: Option<Described>) -> Decode<T> {
    match stored {
        None => Box::new(|bytes| codec::decode(bytes)),
        Some(stored) => Box::new(move |bytes| decode_as(&stored, bytes).map_err(CodecError::Carry)),
    }
}

/// What changes when values of the state `stored` are restored as those of `declared`; `None` if
/// they have the same form.
///
/// # Errors
///
/// [`StateError::Incompatible`], when they can't be.
pub(crate) fn carry_over(
    stored: &StateDescription,
    declared: &StateDescription,
    accepted: impl FnOnce() -> Option<Shape>,
) -> Result<Option<Vec<Change>>, StateError> {
    let incompatible = |source: Option<BoxError>| StateError::Incompatible {
        state: declared.name.clone(),
        stored: in_words(stored),
        declared: in_words(declared),
        source,
    };
    if declared.kind != stored.kind {
        return Err(incompatible(None));
    }
    let (old, new) = (&stored.value_type, &declared.value_type);
    let changes = carry_type(old, new, accepted, Role::Value).map_err(incompatible)?;
    let retimed = match (stored.ttl_ms, declared.ttl_ms) {
        (None, Some(_)) => {
            "has a TTL now: what is there lives as if it were written at the restore"
        }
        (Some(_), None) => "has no TTL any more: what has not expired stays",
        _ => return Ok(changes),
    };
    // With a TTL an entry holds its time too, whose place only a type that is known tells.
    if matches!(Described::parse(old).root, Type::Opaque(_)) {
        return Err(incompatible(None));
    }
    let retimed = Change { path: String::new(), what: retimed.to_owned() };
    Ok(Some(changes.into_iter().flatten().chain([retimed]).collect()))
}

/// What changes when keys of the type `stored` are restored as those of `declared`; `None` if they
/// are of the same type.
///
/// # Errors
///
/// [`StateError::KeyType`], when they can't be.
pub(crate) fn carry_key_over(
    stored: &str,
    declared: &str,
    accepted: impl FnOnce() -> Option<Shape>,
) -> Result<Option<Vec<Change>>, StateError> {
    carry_type(stored, declared, accepted, Role::Key).map_err(|source| StateError::KeyType {
        stored: stored.to_owned(),
        declared: declared.to_owned(),
        source,
    })
}

pub(crate) fn carry_type(
    stored: &str,
    declared: &str,
    accepted: impl FnOnce() -> Option<Shape>,
    role: Role,
) -> Result<Option<Vec<Change>>, Option<BoxError>> {
    if stored == declared {
        return Ok(None);
    }
    let described = Described::parse(stored);
    let accepted = accepted().filter(|_| !matches!(described.root, Type::Opaque(_)));
    let changes = compare(&described, &accepted.ok_or(None)?, role);
    changes.map(Some).map_err(|misfit| match misfit.path.is_empty() {
        false => Some(misfit.into()),
        // Of the whole both types are told already.
        true => misfit.advice.map(Into::into),
    })
}

//! Operator state: lists that belong to a subtask, not to a key.
//!
//! # Protocol
//!
//! A list is restored when it is declared, from the items that the runtime has handed to this
//! subtask: its share of all subtasks' items, or all of them ([`Redistribution`]). Items travel one
//! by one when the parallelism changes, so each says what type it is of.

use std::{cell::RefCell, fmt, rc::Rc};

use serde::de::DeserializeOwned;
use tidegate_snapshot::{
    codec::{self, CodecError},
    described::Described,
    segment,
    wire::decode_as,
};
use tidegate_types::BoxError;

pub use tidegate_snapshot::segment::Redistribution;

use crate::{
    StateError, StateName, StateValue,
    declared::{DeclaredList, carry_type},
    describe::{accepted, on_write::WriteCheck, type_description},
    evolve::Role,
};

/// The operator state of one subtask: lists by name.
#[derive(Default)]
pub struct OperatorBackend {
    restored: Vec<segment::ListState>,
    declared: Vec<(String, Rc<dyn EncodeList>)>,
}

impl OperatorBackend {
    /// With what the snapshot holds for this subtask.
    #[must_use]
    pub fn new(restored: Vec<segment::ListState>) -> Self {
        Self { restored, declared: Vec::new() }
    }

    /// Declares a list, which holds the restored items if there are any.
    ///
    /// # Errors
    ///
    /// [`StateError::Duplicate`], [`StateError::EmptyName`], and [`StateError::Incompatible`] when the snapshot's items are of
    /// another type.
    pub fn list_state<V: StateValue>(
        &mut self,
        name: impl Into<StateName>,
        redistribution: Redistribution,
    ) -> Result<OperatorListState<V>, StateError> {
        let StateName { name, was } = name.into();
        if name.trim().is_empty() {
            return Err(StateError::EmptyName);
        }
        if self.declared.iter().any(|(other, _)| *other == name) {
            return Err(StateError::Duplicate { name });
        }
        let value_type = type_description::<V>();
        let mut items = Vec::new();
        let has_name = self.restored.iter().any(|list| list.name == name);
        let stored = if has_name { Some(&name) } else { was.as_ref() };
        while let Some(place) = self.restored.iter().position(|list| Some(&list.name) == stored) {
            let list = self.restored.swap_remove(place);
            for item in &list.items {
                items.push(decode_item(&name, &value_type, item)?);
            }
        }
        let items = Rc::new(RefCell::new(items));
        let checks = WriteCheck::default();
        let list = List { was, value_type, redistribution, items: Rc::clone(&items), checks };
        self.declared.push((name, Rc::new(list)));
        Ok(OperatorListState { items })
    }

    /// What has been declared, so far.
    ///
    /// # Errors
    ///
    /// [`StateError::Unfit`], when items could be written and not read back.
    pub fn declaration(&self) -> Result<Vec<DeclaredList>, StateError> {
        self.declared.iter().map(|(name, list)| list.declaration(name)).collect()
    }

    /// The names of restored lists that have not been declared.
    #[must_use]
    pub fn undeclared(&self) -> Vec<String> {
        let mut names: Vec<_> = self.restored.iter().map(|list| list.name.clone()).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// What a snapshot takes: all lists, encoded.
    ///
    /// # Errors
    ///
    /// [`StateError::Encode`] when an item's own `Serialize` reports an error.
    pub fn snapshot(&self) -> Result<Vec<segment::ListState>, StateError> {
        let encode = |(name, list): &(String, Rc<dyn EncodeList>)| {
            let encoded = list.encode(name);
            encoded.map_err(|source| StateError::Encode { state: name.clone(), source })
        };
        self.declared.iter().map(encode).collect()
    }
}

impl fmt::Debug for OperatorBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.declared.iter().map(|(name, _)| name);
        f.debug_list().entries(names).finish()
    }
}

/// An item says its type, then its value.
fn decode_item<V: StateValue>(
    name: &str,
    declared: &str,
    mut item: &[u8],
) -> Result<V, StateError> {
    let incompatible = |stored: &str, source: Option<BoxError>| StateError::Incompatible {
        state: name.to_owned(),
        stored: format!("`{stored}` (operator state)"),
        declared: format!("`{declared}` (operator state)"),
        source,
    };
    let stored: String =
        codec::decode(&mut item).map_err(|error| incompatible("?", Some(error.into())))?;
    decode_as_declared(&stored, declared, item).map_err(|source| incompatible(&stored, source))
}

/// Reads an item that was written as `stored`, the description of a type.
///
/// # Errors
///
/// Why it can't be read as a `V`, if there is more to say than that the types differ.
pub fn decode_as_declared<V: DeserializeOwned>(
    stored: &str,
    declared: &str,
    mut item: &[u8],
) -> Result<V, Option<BoxError>> {
    if carry_type(stored, declared, accepted::<V>, Role::Value)?.is_none() {
        return codec::decode_exact(item).map_err(|error| Some(error.into()));
    }
    let value = decode_as(&Described::parse(stored), &mut item);
    let value = value.map_err(|error| Some(error.into()))?;
    let left_over = CodecError::LeftOver { count: item.len() };
    if item.is_empty() { Ok(value) } else { Err(Some(left_over.into())) }
}

/// A declared list, as a snapshot sees it.
trait EncodeList {
    fn declaration(&self, name: &str) -> Result<DeclaredList, StateError>;
    fn encode(&self, name: &str) -> Result<segment::ListState, CodecError>;
}

struct List<V> {
    was: Option<String>,
    value_type: String,
    redistribution: Redistribution,
    items: Rc<RefCell<Vec<V>>>,
    /// What has been written of it.
    checks: WriteCheck<V>,
}

impl<V: StateValue> EncodeList for List<V> {
    fn declaration(&self, name: &str) -> Result<DeclaredList, StateError> {
        let was = self.was.clone();
        Ok(DeclaredList { was, ..DeclaredList::of::<V>(name)? })
    }

    fn encode(&self, name: &str) -> Result<segment::ListState, CodecError> {
        let encode = |item: &V| {
            let mut bytes = Vec::new();
            codec::encode(&self.value_type, &mut bytes)?;
            self.checks.encode(item, &mut bytes)?;
            Ok(bytes.into())
        };
        let items = self.items.borrow().iter().map(encode).collect::<Result<_, _>>()?;
        Ok(segment::ListState {
            name: name.to_owned(),
            redistribution: self.redistribution,
            item_type: segment::ItemType::Own,
            items,
        })
    }
}

/// A list that belongs to a subtask. Like the handles of keyed state it can't be cloned, so that
/// it can't be written while it is read.
#[derive(Debug)]
pub struct OperatorListState<V> {
    items: Rc<RefCell<Vec<V>>>,
}

impl<V: StateValue> OperatorListState<V> {
    /// The items.
    #[must_use]
    pub fn get(&self) -> Vec<V> {
        self.items.borrow().clone()
    }

    /// Looks at the items in place.
    pub fn with<R>(&self, look: impl FnOnce(&[V]) -> R) -> R {
        look(&self.items.borrow())
    }

    /// Changes the items in place.
    pub fn modify<R>(&mut self, change: impl FnOnce(&mut Vec<V>) -> R) -> R {
        change(&mut self.items.borrow_mut())
    }

    /// Appends an item.
    pub fn add(&mut self, item: V) {
        self.modify(|items| items.push(item));
    }

    /// Replaces the items.
    pub fn update(&mut self, items: Vec<V>) {
        self.modify(|old| *old = items);
    }

    /// Removes the items.
    pub fn clear(&mut self) {
        self.modify(Vec::clear);
    }
}

#[cfg(test)]
mod tests;

//! Whether the state in a snapshot fits the program, by the types of both: before anything starts.

use std::collections::BTreeSet;

use tidegate_snapshot::{
    manifest::{Manifest, OperatorManifest},
    segment::ItemType,
};
use tidegate_state::{Fate, KeyedDeclaration};
use tidegate_types::{ErrorKind, OperatorUid, error::chain};

use crate::{api::JobError, describe::JobPlan};

/// The keyed operators of a program whose state is in the snapshot.
pub(crate) fn keyed<'a>(
    manifest: &'a Manifest,
    plan: &'a JobPlan,
) -> impl Iterator<Item = (&'a OperatorUid, &'a OperatorManifest, &'a KeyedDeclaration)> {
    plan.operators().filter_map(|operator| {
        let stored = manifest.operators.get(&operator.uid)?;
        Some((&operator.uid, stored, operator.state.keyed.as_ref()?))
    })
}

/// What becomes of the lists in the snapshot whose types are known: operator, name, fate.
pub(crate) fn lists(manifest: &Manifest, plan: &JobPlan) -> Vec<(OperatorUid, String, Fate)> {
    let mut all = Vec::new();
    for operator in plan.operators() {
        let Some(stored) = manifest.operators.get(&operator.uid) else { continue };
        for (name, value_type) in list_types(stored) {
            let declared = operator.state.lists.iter().find(|list| list.name == name);
            let fate = declared.map(|list| list.fate(&value_type));
            all.extend(fate.map(|fate| (operator.uid.clone(), name, fate)));
        }
    }
    all
}

/// The lists of an operator with their items' types, where those are known.
fn list_types(operator: &OperatorManifest) -> BTreeSet<(String, String)> {
    let mut types = BTreeSet::new();
    for subtask in &operator.subtasks {
        for table in &subtask.tables {
            let known = table.list.as_ref().and_then(|list| list.value_type.clone());
            types.extend(known.map(|value_type| (table.state.clone(), value_type)));
        }
        for summary in subtask.lists.iter().flat_map(|lists| &lists.lists) {
            if let ItemType::Is(value_type) = &summary.item_type {
                types.insert((summary.name.clone(), value_type.clone()));
            }
        }
    }
    types
}

/// Checks every state; returns the operators whose keys have changed their type.
///
/// # Errors
///
/// Each state that can't be restored, with where and why not.
pub(crate) fn check(
    manifest: &Manifest,
    plan: &JobPlan,
) -> Result<BTreeSet<OperatorUid>, JobError> {
    let (mut rekeyed, mut refused) = (BTreeSet::new(), Vec::new());
    for (uid, stored, declared) in keyed(manifest, plan) {
        match declared.key_changes(stored) {
            Ok(None) => {}
            Ok(Some(_)) => drop(rekeyed.insert(uid.clone())),
            Err(error) => refused.push(format!("operator `{uid}`: {}", chain(&error))),
        }
        for (_, fate) in declared.fates(stored) {
            if let Fate::Refused(reason) = fate {
                refused.push(format!("operator `{uid}`: {reason}"));
            }
        }
    }
    for (uid, _, fate) in lists(manifest, plan) {
        if let Fate::Refused(reason) = fate {
            refused.push(format!("operator `{uid}`: {reason}"));
        }
    }
    if refused.is_empty() {
        return Ok(rekeyed);
    }
    let message = format!("the snapshot does not fit the program: {}", refused.join("; "));
    Err(JobError::new(ErrorKind::Incompatible, message))
}

//! Whether the state in a snapshot fits the program, by the types of both: before anything starts.

use std::collections::BTreeSet;

use tidegate_snapshot::manifest::{Manifest, OperatorManifest};
use tidegate_state::{Fate, KeyedDeclaration};
use tidegate_types::{ErrorKind, OperatorUid, error::chain};

use crate::{api::JobError, describe::JobPlan};

/// The keyed operators of a program whose state is in the snapshot.
pub(crate) fn keyed<'a>(
    manifest: &'a Manifest,
    plan: &'a JobPlan,
) -> impl Iterator<Item = (&'a OperatorUid, &'a OperatorManifest, &'a KeyedDeclaration)> {
    plan.operators().filter_map(|operator| {
        Some((&operator.uid, manifest.operators.get(&operator.uid)?, operator.keyed.as_ref()?))
    })
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
    if refused.is_empty() {
        return Ok(rekeyed);
    }
    let message = format!("the snapshot does not fit the program: {}", refused.join("; "));
    Err(JobError::new(ErrorKind::Incompatible, message))
}

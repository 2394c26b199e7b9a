//! Whether the state in a snapshot fits the program, by the types of both: before anything starts.

use std::collections::BTreeSet;

use tidegate_checkpoint::watermarks::REACHED;
use tidegate_core::Partitioning;
use tidegate_snapshot::{
    manifest::{Manifest, OperatorManifest},
    segment::ItemType,
};
use tidegate_state::{DeclaredList, Fate, KeyedDeclaration};
use tidegate_types::{ErrorKind, OperatorUid, error::chain};

use crate::{
    api::JobError,
    describe::{JobPlan, OperatorDescription},
    graph::{Task, TaskId, TaskInput},
};

/// Checks, for a job of several processes, what travels between them.
///
/// # Errors
///
/// The first stream whose records could be sent and not read.
pub(crate) fn check_records(tasks: &[Task]) -> Result<(), JobError> {
    for task in tasks {
        let travels = |input: &&TaskInput| !matches!(input.partitioning, Partitioning::Forward);
        for input in task.inputs.iter().filter(travels) {
            let TaskId(from) = input.from;
            let Err(unfit) = input.batch_type.check() else { continue };
            let message = format!(
                "the records from {} to {} can't go from one process to another: {unfit}; make them \
                 something else in front of that (`map`), or wrap them, or a part of them, in \
                 `AsJson`",
                last_of(&tasks[from]),
                first_of(task)
            );
            return Err(JobError::new(ErrorKind::Invalid, message));
        }
    }
    Ok(())
}

fn in_words(uid: &OperatorUid, name: &str) -> String {
    format!("operator `{uid}` ({name})")
}

fn first_of(task: &Task) -> String {
    let source = task.source.iter().map(|link| in_words(&link.uid, &link.shown));
    let chain = task.chain.iter().map(|link| in_words(&link.uid, &link.shown));
    source.chain(chain).next().unwrap_or_default()
}

fn last_of(task: &Task) -> String {
    let source = task.source.iter().map(|link| in_words(&link.uid, &link.shown));
    let chain = task.chain.iter().map(|link| in_words(&link.uid, &link.shown));
    source.chain(chain).last().unwrap_or_default()
}

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
        let names = list_names(stored);
        for (name, value_type) in list_types(stored) {
            let declared = list_of(&name, &names, operator);
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

/// What of an operator's state in the snapshot the program does not declare, by name.
pub(crate) fn left_behind(
    stored: &OperatorManifest,
    operator: &OperatorDescription,
) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    match &operator.state.keyed {
        None => names.extend(stored.states.iter().map(|state| state.name.clone())),
        Some(declared) => {
            let fates = declared.fates(stored).into_iter();
            names.extend(fates.filter(|(_, fate)| *fate == Fate::Dropped).map(|(name, _)| name));
        }
    }
    let lists = list_names(stored);
    names.extend(lists.iter().filter(|name| list_of(name, &lists, operator).is_none()).cloned());
    names
}

/// The names of an operator's lists in a snapshot.
fn list_names(stored: &OperatorManifest) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for subtask in &stored.subtasks {
        let tables = subtask.tables.iter().filter(|table| table.list.is_some());
        names.extend(tables.map(|table| table.state.clone()));
        let lists = subtask.lists.iter().flat_map(|lists| &lists.lists);
        names.extend(lists.map(|summary| summary.name.clone()));
    }
    // That one is its task's.
    names.remove(REACHED);
    names
}

/// The program's list that takes over the one called `name`.
fn list_of<'a>(
    name: &str,
    stored: &BTreeSet<String>,
    operator: &'a OperatorDescription,
) -> Option<&'a DeclaredList> {
    let lists = &operator.state.lists;
    let by_name = lists.iter().find(|list| list.name == name);
    by_name.or_else(|| {
        let was = |list: &&DeclaredList| list.was.as_deref() == Some(name);
        lists.iter().filter(was).find(|list| !stored.contains(&list.name))
    })
}

/// Says of states that nobody takes over what can be done.
fn without_a_home(
    stored: &OperatorManifest,
    operator: &OperatorDescription,
    names: &BTreeSet<String>,
) -> String {
    let quoted = |names: &mut dyn Iterator<Item = &String>| {
        names.map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
    };
    let lists = list_names(stored);
    let was_there = |name: &String| {
        stored.states.iter().any(|state| state.name == *name) || lists.contains(name)
    };
    let declared = operator.state.keyed.iter().flat_map(|keyed| &keyed.states);
    let declared = declared.map(|state| &state.description.name);
    let declared = declared.chain(operator.state.lists.iter().map(|list| &list.name));
    let new = declared.filter(|name| !was_there(name)).collect::<Vec<_>>();
    let renamed = match new.is_empty() {
        true => String::new(),
        false => format!(
            ", and declares {}, which the snapshot does not have: if that is a new name for it, \
             declare it with `.was(\"…\")`",
            quoted(&mut new.into_iter())
        ),
    };
    format!(
        "operator `{}`: the program does not declare {} any more{renamed}; to leave it behind, set \
         the --allow-non-restored-state option on the CLI",
        operator.uid,
        quoted(&mut names.iter())
    )
}

/// Checks every state; returns the operators whose keys have changed their type. State that nobody
/// takes over may be left behind if `allow_non_restored_state` says so.
///
/// # Errors
///
/// Each state that can't be restored, with where and why not.
pub(crate) fn check(
    manifest: &Manifest,
    plan: &JobPlan,
    allow_non_restored_state: bool,
) -> Result<BTreeSet<OperatorUid>, JobError> {
    let (mut rekeyed, mut refused) = (BTreeSet::new(), Vec::new());
    for operator in plan.operators().filter(|_| !allow_non_restored_state) {
        let Some(stored) = manifest.operators.get(&operator.uid) else { continue };
        let names = left_behind(stored, operator);
        if !names.is_empty() {
            refused.push(without_a_home(stored, operator, &names));
        }
    }
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

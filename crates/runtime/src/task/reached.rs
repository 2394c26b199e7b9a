//! The watermarks of a task in snapshots (INV-LATE of [`tidegate_checkpoint::watermarks`]).

use std::{cell::Cell, sync::LazyLock};

use tidegate_checkpoint::watermarks::{REACHED, Reached, ReachedItem};
use tidegate_core::{OperatorContext, context::single_item};
use tidegate_snapshot::{codec, segment::Redistribution};
use tidegate_state::type_description;
use tidegate_types::{SubtaskIndex, UserResult};

use super::{WorkerContext, chain::LinkSnapshot};

/// Where a task goes on, found among what its operators restore.
#[derive(Default)]
pub(crate) struct Found(Cell<Option<Reached>>);

impl Found {
    /// Takes out of an operator's state what is its task's.
    ///
    /// # Errors
    ///
    /// When it is not what was written.
    pub(crate) fn take_from(&self, context: &mut OperatorContext) -> UserResult<()> {
        let items = context.restored.values::<ReachedItem>(REACHED)?;
        context.restored.lists.retain(|list| list.name != REACHED);
        if !items.is_empty() {
            let found = Reached::restored(&items, context.subtask, context.parallelism);
            // Two of a task's operators have some if they were of two tasks in another program.
            self.0.set(Some(self.0.get().map_or(found, |other| other.earlier(found))));
        }
        Ok(())
    }

    pub(crate) fn reached(&self) -> Reached {
        self.0.get().unwrap_or_default()
    }
}

/// What snapshots say of the items' type; it is found out once, not at every barrier.
static ITEM_TYPE: LazyLock<String> = LazyLock::new(type_description::<ReachedItem>);

/// Puts what a task has reached beside the state of its first operator that has a uid of its own.
///
/// # Errors
///
/// None that the encoding of numbers could have.
pub(crate) fn keep(
    reached: Reached,
    context: &WorkerContext,
    links: &mut [LinkSnapshot],
) -> UserResult<()> {
    let home = links.iter_mut().find(|link| !link.uid.is_generated());
    let Some(link) = home.filter(|_| !reached.is_nothing()) else { return Ok(()) };
    let subtask = SubtaskIndex(context.worker as u32);
    let item = ReachedItem { subtask, parallelism: context.peers as u32, reached };
    let mut bytes = Vec::new();
    codec::encode(&item, &mut bytes)?;
    link.snapshot.lists.push(single_item(REACHED, Redistribution::Union, &ITEM_TYPE, bytes));
    Ok(())
}

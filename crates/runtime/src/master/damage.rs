//! A restore point that is damaged, and not just out of reach.
//!
//! # Protocol
//!
//! An attempt that fails with something corrupt, be it a block that one of its subtasks was to take
//! over, has its restore point read whole. If that is damaged, the next attempt goes on from the next
//! older checkpoint that is retained, but only if no sink has committed anything since: those that
//! commit with a snapshot (two-phase sinks) have, and would write it again. The job then fails, and says
//! what leads on: only its owner can decide that.

use tidegate_checkpoint::protocol::Failure;
use tidegate_snapshot::{SnapshotError, store::SnapshotLocation};
use tidegate_types::ErrorKind;
use tracing::warn;

use super::JobMaster;

impl JobMaster {
    /// Finds out what a failure means that has to do with something corrupt; others are as they were.
    pub(super) async fn look_for_damage(&mut self, failure: Failure) -> Failure {
        if failure.kind != ErrorKind::Corrupt {
            return failure;
        }
        let Some(point) = self.coordinator.restore_point().cloned() else { return failure };
        let Ok(location) = self.location_of(&point.location) else { return failure };
        let damage = match read_through(location).await {
            Err(error) if error.kind() == ErrorKind::Corrupt => error,
            _ => return failure,
        };
        // What the attempt has come upon says which block it is, and the look through which file.
        let (block, file) = (&failure.message, damage.to_string());
        let damage = if block.contains(&file) { file } else { format!("{block}; {file}") };
        let location = &point.location;
        match self.refusal_to_go_back() {
            None if self.coordinator.pass_over(point.id) => {
                let job = self.settings.id;
                warn!(%job, location, error = %damage, "going back behind a damaged checkpoint");
                let message = format!("{damage}; the job goes back to the checkpoint before it");
                Failure { kind: ErrorKind::Unavailable, message, ..failure }
            }
            refusal => Failure { message: advice(&damage, location, refusal), ..failure },
        }
    }

    /// Why the job can't go back by itself, if it can't.
    fn refusal_to_go_back(&self) -> Option<String> {
        let committing = self.plan.committing().map(|uid| format!("`{uid}`")).collect::<Vec<_>>();
        (!committing.is_empty()).then(|| {
            format!("what {} committed with it would be written again", committing.join(", "))
        })
    }
}

/// Reads a snapshot whole, and checks every file.
async fn read_through(location: SnapshotLocation) -> Result<(), SnapshotError> {
    let manifest = location.load().await?;
    location.verify(&manifest).await
}

fn advice(damage: &str, location: &str, refusal: Option<String>) -> String {
    let reason = refusal.unwrap_or_else(|| "no older checkpoint is retained".to_owned());
    format!(
        "{damage}; the job does not go back behind '{location}' by itself, since {reason}: mend it \
         from a copy, or start the job from another snapshot with --from-savepoint PATH"
    )
}

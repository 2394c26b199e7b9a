//! Whether a start goes back behind what the job's sinks have committed: that is for its owner to want,
//! and is said before anything starts.

use std::fmt;

use tidegate_snapshot::{manifest::Manifest, store::SnapshotLocation};
use tidegate_storage::log::Recorded;
use tidegate_types::{CheckpointId, OperatorUid, Timestamp};

use super::{JobSettings, Stores};
use crate::describe::JobPlan;

/// How many of the later snapshots are asked for their time, the newest first. Old ones are deleted.
const READS: usize = 3;

/// That a job is restored from a snapshot behind which it has completed later ones: what sinks have
/// committed with those will be written again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rewind {
    /// The snapshot.
    pub from: CheckpointId,
    /// When it was complete.
    pub since: Timestamp,
    /// How many later ones the job's log knows.
    pub later: usize,
    /// When the newest of them was complete; `None` if that can't be read any more.
    pub until: Option<Timestamp>,
    /// The sinks that have committed something with each of them.
    pub sinks: Vec<OperatorUid>,
}

impl Rewind {
    /// What a start of the job from this snapshot would write again, by the job's log. A snapshot of
    /// another job goes back behind nothing.
    pub(crate) async fn of(
        location: &SnapshotLocation,
        manifest: &Manifest,
        (settings, plan): (&JobSettings, &JobPlan),
        stores: &Stores,
        recorded: &[Recorded],
    ) -> Option<Self> {
        let from = manifest.checkpoint;
        let is_later = |found: &&Recorded| {
            found.is_needed() && found.checkpoint > from && found.location != location.to_string()
        };
        // The newest first.
        let later = recorded.iter().filter(is_later).collect::<Vec<_>>();
        let sinks = plan.committing().cloned().collect::<Vec<_>>();
        if manifest.job.id != settings.id || later.is_empty() || sinks.is_empty() {
            return None;
        }
        let mut until = None;
        for found in later.iter().take(READS) {
            let Ok(location) = SnapshotLocation::find(&stores.places(), &found.location) else {
                continue;
            };
            if let Ok(manifest) = location.load().await {
                until = Some(manifest.completed_at);
                break;
            }
        }
        Some(Self { from, since: manifest.completed_at, later: later.len(), until, sinks })
    }
}

impl fmt::Display for Rewind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { from, since, later, until, sinks } = self;
        let snapshots =
            if *later == 1 { "1 later snapshot" } else { &format!("{later} later ones") };
        write!(
            f,
            "going back to snapshot {from}, behind {snapshots} of this job: what was committed "
        )?;
        write!(f, "since {}", shown(*since))?;
        match until {
            Some(until) => {
                let span = until.millis().saturating_sub(since.millis());
                write!(f, " until {} ({}.{:03} s)", shown(*until), span / 1000, span % 1000)?;
            }
            None => f.write_str(" until the newest of them, whose time can't be read,")?,
        }
        let sinks = sinks.iter().map(|uid| format!("`{uid}`")).collect::<Vec<_>>().join(", ");
        write!(
            f,
            " will be written again by {sinks}; --from-savepoint latest goes on from the newest"
        )
    }
}

/// A time as a person reads it, and the wall clock of any machine tells it.
fn shown(time: Timestamp) -> String {
    let millis = i64::try_from(time.millis()).unwrap_or(i64::MAX);
    match jiff::Timestamp::from_millisecond(millis) {
        Ok(time) => format!("{time:.3}"),
        Err(_) => format!("{millis} ms behind 1970"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rewind_tells_how_many_which_time_and_whose() {
        let uid = |name: &str| OperatorUid::from(name);
        let since = Timestamp(1_700_000_000_000);
        let rewind = Rewind {
            from: CheckpointId(4),
            since,
            later: 3,
            until: Some(Timestamp(since.millis() + 61_005)),
            sinks: vec![uid("orders"), uid("alerts")],
        };
        assert_eq!(
            rewind.to_string(),
            "going back to snapshot 4, behind 3 later ones of this job: what was committed since \
             2023-11-14T22:13:20.000Z until 2023-11-14T22:14:21.005Z (61.005 s) will be written \
             again by `orders`, `alerts`; --from-savepoint latest goes on from the newest"
        );
        let one = Rewind { later: 1, until: None, ..rewind };
        assert_eq!(
            one.to_string(),
            "going back to snapshot 4, behind 1 later snapshot of this job: what was committed since \
             2023-11-14T22:13:20.000Z until the newest of them, whose time can't be read, will be \
             written again by `orders`, `alerts`; --from-savepoint latest goes on from the newest"
        );
    }
}

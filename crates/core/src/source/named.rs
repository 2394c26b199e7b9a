//! Compares the splits that a snapshot holds with those that the source names now.
//!
//! A bounded source reads on what it began with (see [`super::driver`]), so that a restart finds the
//! same input. Who starts a job from a snapshot and has it name other input in the meantime may mean
//! something else, and is told.

use std::collections::BTreeSet;

use futures::future::BoxFuture;
use tidegate_types::UserResult;

use super::{
    Source, Split,
    driver::{SPLITS, all_had_discovered},
};
use crate::context::RestoredState;

/// How many splits are named in a message.
const NAMED: usize = 3;

/// Looks at what `source` names now, and says in words how that differs from the splits that `restored`
/// holds; `None` if it does not, or the source reads what is new anyway.
///
/// # Errors
///
/// When the splits no longer decode; and, later, what the source reports.
pub fn compare_source<S: Source>(
    source: &S,
    restored: &RestoredState,
) -> UserResult<BoxFuture<'static, UserResult<Option<String>>>> {
    let splits = restored.values::<S::Split>(SPLITS)?;
    let reads_on = source.discovery_interval().is_none() && all_had_discovered(restored)?;
    if !reads_on || splits.is_empty() {
        return Ok(Box::pin(async { Ok(None) }));
    }
    let mut discover = source.discovery();
    Ok(Box::pin(async move {
        let named = discover().await?;
        Ok(difference(&splits, &named))
    }))
}

fn difference<S: Split>(restored: &[S], named: &[S]) -> Option<String> {
    let ids = |splits: &[S]| splits.iter().map(Split::id).collect::<BTreeSet<_>>();
    let (known, now) = (ids(restored), ids(named));
    let new = now.difference(&known).cloned().collect::<Vec<_>>();
    // What has been read to its end may be gone.
    let unfinished = restored.iter().filter(|split| !split.is_finished()).map(Split::id);
    let gone = unfinished.filter(|id| !now.contains(id)).collect::<Vec<_>>();
    let new = (!new.is_empty()).then(|| {
        format!("the source names {}, of which the snapshot knows nothing: not read", few(&new))
    });
    let gone = (!gone.is_empty()).then(|| {
        format!("the snapshot has {}, which the source does not name any more: read on", few(&gone))
    });
    let parts = [new, gone].into_iter().flatten().collect::<Vec<_>>();
    (!parts.is_empty()).then(|| {
        format!(
            "{}; a bounded source goes on with what it began with: if it is to read what it names \
             now, give it another uid, and leave its old positions behind with \
             --allow-non-restored-state",
            parts.join("; ")
        )
    })
}

fn few(ids: &[String]) -> String {
    let named = ids.iter().take(NAMED).map(|id| format!("`{id}`")).collect::<Vec<_>>().join(", ");
    match ids.len().saturating_sub(NAMED) {
        0 => named,
        more => format!("{named} and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use serde::{Deserialize, Serialize};

    use super::{Split, difference};

    #[derive(Clone, Serialize, Deserialize)]
    struct Part(String, bool);

    impl Split for Part {
        fn id(&self) -> String {
            self.0.clone()
        }

        fn is_finished(&self) -> bool {
            self.1
        }
    }

    fn parts(names: &[&str], finished: bool) -> Vec<Part> {
        names.iter().map(|name| Part((*name).to_owned(), finished)).collect()
    }

    #[test]
    fn what_is_new_and_what_is_gone_is_told() {
        let now = parts(&["b", "c", "d", "e", "f"], false);
        assert_eq!(difference(&now, &now), None);
        let told = difference(&parts(&["a", "b"], false), &now).expect("they differ");
        assert!(told.starts_with("the source names `c`, `d`, `e` and 1 more, of which"), "{told}");
        assert!(told.contains("the snapshot has `a`, which the source does not name"), "{told}");
    }

    #[test]
    fn what_was_read_to_its_end_may_be_gone() {
        assert_eq!(difference(&parts(&["a"], true), &parts(&[], false)), None);
    }
}

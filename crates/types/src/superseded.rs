//! Whose leftovers an attempt may tidy up.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

/// The attempts, by their tokens, whose leftovers are an attempt's to delete: they have ended, and
/// nothing of what they have left uncommitted will be asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Superseded {
    /// All other attempts of its job, whichever run they were of, but those with these tokens:
    /// what they have prepared a savepoint holds.
    Others {
        /// The exceptions.
        but: BTreeSet<u64>,
    },
    /// These alone, such as the earlier ones of its run.
    These(BTreeSet<u64>),
}

impl Superseded {
    /// All other attempts of its job.
    #[must_use]
    pub const fn others() -> Self {
        Self::Others { but: BTreeSet::new() }
    }

    /// Whether an attempt that is another than the running one is among them.
    #[must_use]
    pub fn contains(&self, token: u64) -> bool {
        match self {
            Self::Others { but } => !but.contains(&token),
            Self::These(tokens) => tokens.contains(&token),
        }
    }
}

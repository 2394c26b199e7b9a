//! Runs of a job, and whose leftovers are whose.
//!
//! A run is one execution of a job's program, over all of its attempts. What it writes carries the
//! token of its attempt in the name, and so its own.

use std::{collections::BTreeSet, fmt};

use serde::{Deserialize, Serialize};

/// What the names of all files carry that a run of a job writes.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(into = "String", try_from = "String")]
pub struct RunToken(pub u64);

impl RunToken {
    /// The bits of an attempt's token that tell it from others of its run.
    const ATTEMPT: u64 = 0xffff;

    /// The token of the run that an attempt of this token belongs to; of a random number, a token that
    /// no other run has.
    #[must_use]
    pub fn of(attempt_token: u64) -> Self {
        Self(attempt_token & !Self::ATTEMPT)
    }

    /// The token of one of the run's attempts: what the names of its files carry.
    #[must_use]
    pub fn of_attempt(self, attempt: u64) -> u64 {
        (self.0 & !Self::ATTEMPT) | (attempt & Self::ATTEMPT)
    }
}

impl From<RunToken> for String {
    fn from(token: RunToken) -> Self {
        token.to_string()
    }
}

impl TryFrom<String> for RunToken {
    type Error = std::num::ParseIntError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        u64::from_str_radix(&text, 16).map(Self)
    }
}

impl fmt::Display for RunToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// Whose leftovers an attempt may tidy up: those of runs that have ended, or have been superseded, and
/// of earlier attempts of its own. Nothing of what they have left uncommitted will be asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Superseded {
    /// All other attempts of its job, whichever run they were of, but those with these tokens: what
    /// they have prepared a savepoint holds.
    Others {
        /// The exceptions.
        but: BTreeSet<u64>,
    },
    /// Those of these runs, its own among them.
    Runs {
        /// The runs.
        runs: BTreeSet<RunToken>,
        /// The exceptions, as above.
        but: BTreeSet<u64>,
    },
}

impl Superseded {
    /// All other attempts of its job.
    #[must_use]
    pub const fn others() -> Self {
        Self::Others { but: BTreeSet::new() }
    }

    /// Those of these runs.
    #[must_use]
    pub fn runs(runs: impl IntoIterator<Item = RunToken>) -> Self {
        Self::Runs { runs: runs.into_iter().collect(), but: BTreeSet::new() }
    }

    /// Whether an attempt of that token, which is another than the running one, is among them.
    #[must_use]
    pub fn contains(&self, attempt_token: u64) -> bool {
        match self {
            Self::Others { but } => !but.contains(&attempt_token),
            Self::Runs { runs, but } => {
                runs.contains(&RunToken::of(attempt_token)) && !but.contains(&attempt_token)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attempts_token_tells_its_run() {
        let (run, other) = (RunToken::of(u64::MAX), RunToken::of(7 << 16));
        let superseded = Superseded::runs([run]);
        for attempt in [0, 1, 0xffff, 0x1_0000] {
            assert_eq!(RunToken::of(run.of_attempt(attempt)), run);
            assert!(superseded.contains(run.of_attempt(attempt)));
            assert!(!superseded.contains(other.of_attempt(attempt)));
        }
        assert_ne!(run.of_attempt(1), run.of_attempt(2));
    }
}

//! Faults that are put in on purpose, to see whether the play finds them: a wrong thing handed in where
//! the shipped code relies on it.

use std::fmt;

use clap::ValueEnum;

/// What is wrong with what a machine is handed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Mutation {
    /// Of two who create one file the later one wins.
    AnyoneCreates,
    /// With a file everything goes that lies in its folder or below.
    DeletesFolders,
    /// What was written shortly before a machine died is lost, though it was said to be there.
    LosesLatest,
    /// Every run has the same token, and every savepoint the same name.
    SameToken,
    /// Intervals are measured on the clock that people set.
    WallClock,
    /// To commit something twice makes it visible twice.
    CommitsAgain,
    /// What is prepared is lost with its machine, though it was said to be there.
    ForgetsPrepared,
    /// What is committed is not known any more, as if somebody had taken it away.
    ForgetsCommitted,
    /// A split goes on one record behind where its reader was.
    SkipsRecord,
    /// A split goes on one record in front of where its reader was.
    RepeatsRecord,
}

impl fmt::Display for Mutation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.to_possible_value();
        f.pad(value.as_ref().map_or("", |value| value.get_name()))
    }
}

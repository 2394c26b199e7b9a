//! A newtype for every id and counter, so that none is taken for another.

use std::{fmt, num::NonZeroU32, str::FromStr, sync::Arc};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A job's id: 128 bits, written as 32 hexadecimal digits like Flink's.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobId(pub [u8; 16]);

impl JobId {
    /// The id of an embedded job, derived from its name so that a restart finds its checkpoints.
    #[must_use]
    pub fn from_name(name: &str) -> Self {
        Self(xxhash_rust::xxh3::xxh3_128(name.as_bytes()).to_be_bytes())
    }

    /// The first six hexadecimal digits, as they stand in a savepoint's folder name.
    #[must_use]
    pub fn short(&self) -> String {
        self.to_string()[..6].to_owned()
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JobId({self})")
    }
}

/// A text that is not an id of the kind that was asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a job id: expected 32 hexadecimal digits")]
pub struct ParseJobIdError {
    text: String,
}

impl FromStr for JobId {
    type Err = ParseJobIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = || ParseJobIdError { text: text.to_owned() };
        if text.len() != 32 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(invalid());
        }
        let id = u128::from_str_radix(text, 16).map_err(|_| invalid())?;
        Ok(Self(id.to_be_bytes()))
    }
}

impl Serialize for JobId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for JobId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

macro_rules! counter {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Default,
        )]
        #[serde(transparent)]
        pub struct $name(pub $inner);

        impl $name {
            /// The number itself.
            #[must_use]
            pub const fn get(self) -> $inner {
                self.0
            }

            /// The id after this one.
            #[must_use]
            pub const fn next(self) -> Self {
                Self(self.0 + 1)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

counter! {
    /// A checkpoint's or savepoint's number within its job. Numbers only grow, over attempts too.
    CheckpointId(u64)
}
counter! {
    /// The number of one execution of the job from one snapshot, counted from 0.
    AttemptId(u64)
}
counter! {
    /// A subtask's place among the `parallelism` many of its operator, counted from 0.
    SubtaskIndex(u32)
}
counter! {
    /// A process's place among those that run one attempt together, counted from 0.
    ProcessIndex(u32)
}

/// How many subtasks an operator has: at least one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Parallelism(pub NonZeroU32);

impl Parallelism {
    /// One subtask.
    pub const ONE: Self = Self(NonZeroU32::MIN);

    /// `count` many subtasks, `None` if that is 0.
    #[must_use]
    pub const fn new(count: u32) -> Option<Self> {
        match NonZeroU32::new(count) {
            Some(count) => Some(Self(count)),
            None => None,
        }
    }

    /// The number itself.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0.get()
    }

    /// Every subtask's index, in order.
    pub fn subtasks(self) -> impl Iterator<Item = SubtaskIndex> {
        (0..self.get()).map(SubtaskIndex)
    }
}

impl fmt::Display for Parallelism {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// How many key groups keyed state is split into, and so the highest parallelism: 1 to 32768.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct MaxParallelism(u32);

/// A number of key groups that no operator can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} is not a max parallelism: expected 1 to {upper}", upper = MaxParallelism::UPPER_BOUND)]
pub struct MaxParallelismError(u32);

impl TryFrom<u32> for MaxParallelism {
    type Error = MaxParallelismError;

    fn try_from(count: u32) -> Result<Self, Self::Error> {
        Self::new(count).ok_or(MaxParallelismError(count))
    }
}

impl From<MaxParallelism> for u32 {
    fn from(max: MaxParallelism) -> Self {
        max.get()
    }
}

impl MaxParallelism {
    /// Flink's upper bound.
    pub const UPPER_BOUND: u32 = 1 << 15;

    /// `count` many key groups, `None` outside of 1 to 32768.
    #[must_use]
    pub const fn new(count: u32) -> Option<Self> {
        if count == 0 || count > Self::UPPER_BOUND { None } else { Some(Self(count)) }
    }

    /// Flink's default for a parallelism: one and a half times as much, rounded up to a power of
    /// two, at least 128 and at most 32768.
    #[must_use]
    pub fn default_for(parallelism: Parallelism) -> Self {
        let wanted = parallelism.get().saturating_add(parallelism.get() / 2);
        Self(wanted.clamp(128, Self::UPPER_BOUND).next_power_of_two().min(Self::UPPER_BOUND))
    }

    /// The number itself.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }
}

impl fmt::Display for MaxParallelism {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The name that ties an operator's state to the operator, chosen by the job's author.
///
/// Cheap to clone. Whether it is empty or taken twice is checked when the job's plan is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OperatorUid(Arc<str>);

impl OperatorUid {
    /// The uid as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it was made from the operator's place, since the program gives it none: it may be
    /// another operator's in a changed program.
    #[must_use]
    pub fn is_generated(&self) -> bool {
        self.0.starts_with('_')
    }
}

impl From<&str> for OperatorUid {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

impl From<String> for OperatorUid {
    fn from(text: String) -> Self {
        Self(text.into())
    }
}

impl fmt::Display for OperatorUid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for OperatorUid {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for OperatorUid {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::from)
    }
}

#[cfg(test)]
mod tests {
    use serde::de::{IntoDeserializer, value::U32Deserializer};

    use super::*;

    #[test]
    fn a_job_id_reads_back_from_its_text() {
        let id = JobId::from_name("flights");
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!(id.short().len(), 6);
        assert!("+".repeat(32).parse::<JobId>().is_err());
        assert!("abc".parse::<JobId>().is_err());
    }

    #[test]
    fn max_parallelism_defaults_as_in_flink() {
        let of = |p| MaxParallelism::default_for(Parallelism::new(p).expect("not zero")).get();
        assert_eq!([of(1), of(85), of(86), of(200), of(30_000)], [128, 128, 256, 512, 32_768]);
    }

    #[test]
    fn max_parallelism_is_checked_when_it_is_read() {
        let read = |count: u32| {
            let deserializer: U32Deserializer<serde::de::value::Error> = count.into_deserializer();
            MaxParallelism::deserialize(deserializer)
        };
        assert_eq!(read(32_768).expect("the upper bound").get(), MaxParallelism::UPPER_BOUND);
        for count in [0, 32_769] {
            let error = read(count).expect_err("out of bounds");
            assert!(error.to_string().contains("expected 1 to 32768"), "{error}");
        }
    }
}

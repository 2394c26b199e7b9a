//! What both conversations need to read messages: parts that must be there, ids and durations.

use std::time::Duration;

use tidegate_types::{JobId, MaxParallelism, Parallelism};

use crate::error::MessageError;

/// A part that must be there.
pub(crate) fn required<T>(
    message: &'static str,
    part: &'static str,
    found: Option<T>,
) -> Result<T, MessageError> {
    found.ok_or(MessageError::Missing { message, part })
}

pub(crate) fn wrong(
    message: &'static str,
    part: &'static str,
    problem: impl ToString,
) -> MessageError {
    MessageError::Wrong { message, part, problem: problem.to_string() }
}

pub(crate) fn job_id(message: &'static str, bytes: &[u8]) -> Result<JobId, MessageError> {
    let id = bytes
        .try_into()
        .map_err(|_| wrong(message, "job", format!("expected 16 bytes, found {}", bytes.len())))?;
    Ok(JobId(id))
}

pub(crate) fn parallelism(message: &'static str, found: u32) -> Result<Parallelism, MessageError> {
    Parallelism::new(found)
        .ok_or_else(|| wrong(message, "parallelism", "expected at least 1, found 0"))
}

pub(crate) fn max_parallelism(
    message: &'static str,
    found: u32,
) -> Result<MaxParallelism, MessageError> {
    MaxParallelism::try_from(found).map_err(|error| wrong(message, "max_parallelism", error))
}

/// A duration in nanoseconds, at most about 584 years.
pub(crate) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

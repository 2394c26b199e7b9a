//! Why the Dispatcher does not do what it was asked to.

use tidegate_runtime::{JobError, JobStatus};
use tidegate_types::{ErrorKind, JobId, MaxParallelism, Parallelism};

use crate::{
    artifacts::ArtifactError, describe::DescribeError, ha::HaError, scheduler::Requirements,
};

/// Why a job was not taken in.
#[derive(Debug, thiserror::Error)]
pub enum SubmitError {
    /// There is no such binary.
    #[error("there is no binary {hash}: upload it first")]
    NoArtifact {
        /// Its content hash.
        hash: String,
    },
    /// Its binary does not say what it is.
    #[error(transparent)]
    Describe(#[from] DescribeError),
    /// A job with this id is there already.
    #[error("job {id} has been submitted before, and has not ended")]
    Duplicate {
        /// The id.
        id: JobId,
    },
    /// It can't start.
    #[error(transparent)]
    Job(#[from] JobError),
    /// What is to outlive the JobManager can't be kept.
    #[error(transparent)]
    Ha(#[from] HaError),
    /// Its binary can't be kept.
    #[error(transparent)]
    Artifact(#[from] ArtifactError),
}

impl SubmitError {
    /// What to do about it.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::NoArtifact { .. } | Self::Describe(_) | Self::Duplicate { .. } => {
                ErrorKind::Invalid
            }
            Self::Job(error) => error.kind(),
            Self::Ha(HaError::Fenced { .. }) => ErrorKind::Fenced,
            Self::Ha(_) | Self::Artifact(_) => ErrorKind::Unavailable,
        }
    }
}

/// Why a job is not rescaled.
#[derive(Debug, thiserror::Error)]
pub enum RescaleError {
    /// There is no such job.
    #[error("Job {0} not found")]
    NoJob(JobId),
    /// It has ended.
    #[error("job {0} has ended ({1:?}), and can't be rescaled")]
    Ended(JobId, JobStatus),
    /// It has too few key groups.
    #[error(
        "parallelism {wanted} is above the job's max parallelism {most}, which can't be changed \
         while it runs"
    )]
    TooMany {
        /// What was asked for.
        wanted: Parallelism,
        /// How many key groups there are.
        most: MaxParallelism,
    },
    /// The bounds are the wrong way round.
    #[error("the lower bound {} is above the upper bound {}", .0.lower, .0.upper)]
    Bounds(Requirements),
    /// What is to outlive the JobManager can't be kept.
    #[error(transparent)]
    Ha(#[from] HaError),
}

//! Whether a job can be built at all.

use tidegate_types::{ErrorKind, error::chain};
use tracing::warn;

use crate::{
    api::{JobError, JobSpec},
    describe::JobPlan,
    fit, graph,
    worker::plan_of,
};

/// Builds the plan once, and checks it.
///
/// # Errors
///
/// What is wrong with it.
pub(crate) fn check_plan(spec: &JobSpec) -> Result<JobPlan, JobError> {
    checked_plan(spec, spec.has_several_processes())
}

/// As [`check_plan`], for a job that may be spread over several processes.
///
/// # Errors
///
/// What is wrong with it.
pub(crate) fn check_plan_to_spread(spec: &JobSpec) -> Result<JobPlan, JobError> {
    checked_plan(spec, true)
}

fn checked_plan(spec: &JobSpec, may_spread: bool) -> Result<JobPlan, JobError> {
    let plan = plan_of(&spec.build).map_err(|error| {
        JobError::new(ErrorKind::Invalid, format!("the job can't be built: {}", error.message))
    })?;
    plan.validate().map_err(|error| JobError::caused_by(error.kind(), &error))?;
    check_parallelism(spec)?;
    for id in plan.loose_ends() {
        warn!(
            job = %spec.settings.id,
            operator = %plan.uid(id),
            name = plan.shown(id),
            "nobody takes what this operator emits: the stream has no sink"
        );
    }
    let fingerprint = plan.fingerprint();
    let tasks = graph::tasks(plan);
    if may_spread {
        fit::check_records(&tasks)?;
    }
    JobPlan::of(tasks, fingerprint).map_err(|error| {
        JobError::new(ErrorKind::Invalid, format!("the job can't be built: {}", chain(&*error)))
    })
}

fn check_parallelism(spec: &JobSpec) -> Result<(), JobError> {
    let invalid = |message: String| Err(JobError::new(ErrorKind::Invalid, message));
    let parallelism = spec.settings.parallelism;
    if let Some(max) = spec.settings.max_parallelism.filter(|max| max.get() < parallelism.get()) {
        return invalid(format!("parallelism {parallelism} is above max parallelism {max}"));
    }
    match &spec.cluster {
        Some(cluster) if !parallelism.get().is_multiple_of(cluster.addresses.len() as u32) => {
            let processes = cluster.addresses.len();
            invalid(format!(
                "parallelism {parallelism} can't be spread evenly over {processes} processes"
            ))
        }
        Some(cluster) if cluster.process as usize >= cluster.addresses.len() => {
            let (index, count) = (cluster.process, cluster.addresses.len());
            invalid(format!("process index {index} is not below the number of addresses, {count}"))
        }
        _ => Ok(()),
    }
}

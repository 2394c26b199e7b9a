//! A JobManager and TaskManagers in this process; jobs in processes of their own, as ever.

#![expect(clippy::disallowed_methods, reason = "tests have files and clusters of their own")]

mod fencing;
mod jobs;
mod memory;
mod orphans;
mod recovery;
mod rescale;
mod support;
mod triggers;

//! A JobManager and TaskManagers in this process; jobs in processes of their own, as ever.

mod fencing;
mod jobs;
mod memory;
mod orphans;
mod recovery;
mod rescale;
mod support;
mod triggers;

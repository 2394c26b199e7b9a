//! JobManager, TaskManagers and REST: many jobs on many machines.

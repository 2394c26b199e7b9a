//! Stateful stream jobs in Rust with checkpoints and savepoints, exactly once.

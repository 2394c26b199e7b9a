//! Job programs that tests run against savepoints of others. Each is a binary of its own.

pub mod evolution;

//! Drives the connectors through core's drivers, as the runtime does, without the runtime.

#![expect(clippy::disallowed_methods, reason = "tests wait, and look how long that takes")]

mod bad_records;
mod broken_files;
mod collect_and_print;
mod file_positions;
mod file_sink;
mod generator;
mod harness;
mod odd_files;
mod sockets;
mod watch;

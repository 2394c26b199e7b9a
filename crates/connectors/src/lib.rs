//! Sources and sinks of Tidegate: files, generator, sockets, standard output, collections.
//!
//! Each stands behind a cargo feature of its name, all of them on by default. They are written
//! against `tidegate-core` alone and never see the runtime.
//!
//! | module | what it holds | guarantee |
//! |---|---|---|
//! | [`files`] | CSV, JSON lines and text files in; JSON lines and CSV files out | exactly once |
//! | [`generator`] | a record for each index, up to a count or without end | exactly once |
//! | [`sockets`] | lines of text over TCP in | at least once from the sender's view: see there |
//! | [`mod@print`] | records as lines on standard output or standard error | at least once |
//! | [`collect`] | records in memory, for tests | either |
//! | [`discard`] | a sink that drops everything, for measurements | none needed |

#[cfg(feature = "collect")]
pub mod collect;
pub mod discard;
#[cfg(feature = "files")]
pub mod files;
#[cfg(feature = "generator")]
pub mod generator;
#[cfg(feature = "print")]
pub mod print;
#[cfg(feature = "sockets")]
pub mod sockets;

#[cfg(any(feature = "files", feature = "print"))]
mod background;
#[cfg(any(feature = "files", feature = "generator"))]
mod rate;

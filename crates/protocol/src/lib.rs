//! What the JobManager, the TaskManagers and the job processes of Tidegate say to each other.
//!
//! ```text
//!   job process --FromProcess--------> [coordination] coordinator     (JobManager, or process 0)
//!               <-ToProcess----------
//!   TaskManager --FromTaskManager----> [resources]    JobManager
//!               <-ToTaskManager------
//!               --fetch(hash)-------->
//!               <-chunks of a binary--
//! ```
//!
//! # Protocol
//!
//! gRPC. Each of the two conversations is one stream in either direction: a [`Link`]. Who connects
//! says first who it is; the host answers with an acceptance, or refuses with a reason. The `.proto`
//! files in `proto/` document every field. Programs see the types of this crate, not the generated
//! ones.
//!
//! # Invariants
//!
//! - INV-VERSION: the first messages carry a [`ProtocolVersion`]; another major version is refused
//!   before anything else of the message is believed. Fields that this version does not know are
//!   ignored.
//! - INV-TOTAL: every byte string from the other side becomes a message or an error that names what
//!   is wrong with it, never a panic.
//! - INV-STABLE: what a release has written every later one of the same major version reads; see
//!   `fixtures/`.
//! - INV-SIZE: no message is longer than [`MAX_MESSAGE_BYTES`]; a longer one fails where it is sent,
//!   and the link goes on.
//!
//! - INV-KNOWN: a connection that has not shown the cluster's token in time ends, and those that have
//!   not yet are bounded; see `incoming`. An attempt's processes do not know that token: what they
//!   show lets them join their attempt, and nothing else (`token`).
//!
//! # Failure
//!
//! When either side drops its link, or its process ends, the other side's
//! [`receive`](LinkReceiver::receive) returns at once. A peer that only fell silent is noticed by
//! HTTP/2's pings, after the interval and the timeout of [`KeepAlive`]. A link that is lost stays
//! lost: whoever connected connects anew, and says again who it is.
//!
//! What is sent just before a link is dropped by the side that connected may be lost; it arrives
//! for certain with [`Link::close`].
//!
//! # Not here
//!
//! What the messages lead to: `tidegate-checkpoint` decides, `tidegate-runtime` and
//! `tidegate-cluster` carry out. Records go over Timely's own connections.

mod convert;
pub mod coordination;
mod endpoint;
mod error;
#[cfg(test)]
mod fixtures;
mod guard;
mod incoming;
mod link;
pub mod memory;
pub mod resources;
mod server;
mod services;
mod token;
mod version;
mod wire;

pub use endpoint::{Endpoint, KeepAlive};
pub use error::{LinkError, MessageError};
pub use guard::{Guard, guarded};
pub use link::{Link, LinkReceiver, LinkSender, MAX_MESSAGE_BYTES, Word};
pub use server::serve;
pub use services::Services;
pub use tidegate_types::options::Secret;
pub use token::{
    attempt_credential, cluster_token, configuration_folder, derived, read_or_make_token,
    read_token,
};
pub use version::ProtocolVersion;

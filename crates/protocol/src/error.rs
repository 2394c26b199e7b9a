//! What can go wrong between two sides.

use std::{io, time::Duration};

use tidegate_types::{ErrorKind, error::chain};
use tonic::{Code, Status};

use crate::{link::MAX_MESSAGE_BYTES, version::ProtocolVersion};

/// What is wrong with a message that came.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MessageError {
    /// A part is missing, or is of a kind that this version does not know.
    #[error("a message `{message}` has no `{part}`")]
    Missing {
        /// The message's type.
        message: &'static str,
        /// The field.
        part: &'static str,
    },
    /// A part has a value that it can't have.
    #[error("a message `{message}` has a wrong `{part}`: {problem}")]
    Wrong {
        /// The message's type.
        message: &'static str,
        /// The field.
        part: &'static str,
        /// What was expected and found.
        problem: String,
    },
    /// A message came where another was due.
    #[error("a message `{found}` has come, and `{expected}` was expected")]
    Unexpected {
        /// What has come.
        found: &'static str,
        /// What was due.
        expected: &'static str,
    },
    /// The two sides do not understand each other.
    #[error(
        "the other side speaks protocol version {found}, and this one {ours}: run the same release \
         of Tidegate on both",
        ours = ProtocolVersion::CURRENT
    )]
    Version {
        /// What the other side speaks.
        found: ProtocolVersion,
    },
}

/// Why a link could not be made, or is no more.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// The address or the token can't be right.
    #[error("`{url}` can't be connected to: {problem}")]
    Address {
        /// The address.
        url: String,
        /// What is wrong.
        problem: String,
    },
    /// Nobody answers there.
    #[error("{peer} can't be reached: {problem}")]
    Unreachable {
        /// The address.
        peer: String,
        /// Why.
        problem: String,
    },
    /// Nobody has answered there for as long as one was ready to wait.
    #[error("{peer} has not answered within {patience:?}")]
    Patience {
        /// The address.
        peer: String,
        /// How long that was.
        patience: Duration,
        /// What came of the last attempt.
        #[source]
        last: Option<Box<LinkError>>,
    },
    /// The token is not the one that the cluster has.
    #[error("{peer} does not accept the cluster's token")]
    Token {
        /// The address.
        peer: String,
    },
    /// Something answers there, but not what was asked for.
    #[error("{peer} does not offer this service of Tidegate: {problem}")]
    NotServed {
        /// The address.
        peer: String,
        /// What it says.
        problem: String,
    },
    /// The other side speaks another version, or can't be spoken to in the state that it is in.
    #[error("{peer} refuses: {problem}")]
    Version {
        /// The address.
        peer: String,
        /// What it says.
        problem: String,
    },
    /// The other side can't understand what this one has sent.
    #[error("{peer} does not understand: {problem}")]
    Misunderstood {
        /// The address.
        peer: String,
        /// What it says.
        problem: String,
    },
    /// The other side's message can't be understood.
    #[error("a message of {peer} can't be understood")]
    Message {
        /// The address.
        peer: String,
        /// What is wrong with it.
        #[source]
        source: MessageError,
    },
    /// The connection broke.
    #[error("the connection to {peer} is lost: {problem}")]
    Lost {
        /// The address.
        peer: String,
        /// How.
        problem: String,
    },
    /// The link has been closed.
    #[error("the connection to {peer} is closed")]
    Closed {
        /// The address.
        peer: String,
    },
    /// A message is too long to be sent.
    #[error("a message of {bytes} bytes is too long: at most {MAX_MESSAGE_BYTES} can be sent")]
    TooLong {
        /// Its length.
        bytes: usize,
    },
    /// The JobManager has no such artifact.
    #[error("{peer} has no artifact `{hash}`")]
    UnknownArtifact {
        /// The address.
        peer: String,
        /// SHA-256 of the artifact.
        hash: String,
    },
    /// What was fetched can't be written.
    #[error("artifact `{hash}` can't be written")]
    Write {
        /// SHA-256 of the artifact.
        hash: String,
        /// What the operating system says.
        #[source]
        source: io::Error,
    },
    /// The server can't go on.
    #[error("the server can't go on: {problem}")]
    Serve {
        /// Why.
        problem: String,
    },
}

impl LinkError {
    /// What to do about it.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Address { .. }
            | Self::Token { .. }
            | Self::NotServed { .. }
            | Self::TooLong { .. }
            | Self::UnknownArtifact { .. } => ErrorKind::Invalid,
            Self::Version { .. } | Self::Message { source: MessageError::Version { .. }, .. } => {
                ErrorKind::Incompatible
            }
            Self::Misunderstood { .. } | Self::Message { .. } => ErrorKind::Internal,
            Self::Unreachable { .. }
            | Self::Patience { .. }
            | Self::Lost { .. }
            | Self::Closed { .. }
            | Self::Write { .. }
            | Self::Serve { .. } => ErrorKind::Unavailable,
        }
    }

    /// What a status of gRPC means.
    pub(crate) fn from_status(peer: &str, status: &Status) -> Self {
        let peer = peer.to_owned();
        let problem = problem(status);
        match status.code() {
            Code::Unauthenticated => Self::Token { peer },
            Code::Unimplemented => Self::NotServed { peer, problem },
            Code::FailedPrecondition => Self::Version { peer, problem },
            Code::InvalidArgument => Self::Misunderstood { peer, problem },
            _ => Self::Lost { peer, problem },
        }
    }

    pub(crate) fn message(peer: &str, source: MessageError) -> Self {
        Self::Message { peer: peer.to_owned(), source }
    }
}

/// What a status says, without gRPC's own words around it.
fn problem(status: &Status) -> String {
    let message = status.message();
    match std::error::Error::source(status) {
        Some(source) if message.is_empty() => chain(source),
        Some(source) => {
            let cause = chain(source);
            if cause.starts_with(message) { cause } else { format!("{message}: {cause}") }
        }
        None if message.is_empty() => status.code().description().to_owned(),
        None => message.to_owned(),
    }
}

impl From<MessageError> for Status {
    fn from(error: MessageError) -> Self {
        match error {
            MessageError::Version { .. } => Self::failed_precondition(error.to_string()),
            _ => Self::invalid_argument(error.to_string()),
        }
    }
}

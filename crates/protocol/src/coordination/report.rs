//! Reports, acknowledgements among them, as they are written and read.

use std::collections::BTreeMap;

use tidegate_checkpoint::protocol::{Failure, OperatorAck, ProcessAck, Report, SubtaskStats};
use tidegate_snapshot::manifest::{FileEntry, StateDescription};
use tidegate_types::{CheckpointId, ErrorKind, OperatorUid, ProcessIndex, SubtaskIndex};

use crate::{
    convert::{max_parallelism, required, wrong},
    error::MessageError,
    wire::{self, report},
};

impl From<Report> for wire::Report {
    fn from(from: Report) -> Self {
        use report::Report as Wire;
        let report = match from {
            Report::Restored { process } => {
                Wire::Restored(wire::Restored { process: process.get() })
            }
            Report::Acknowledged(ack) => Wire::Acknowledged(ack.into()),
            Report::Declined { checkpoint, process, reason } => Wire::Declined(wire::Declined {
                checkpoint: checkpoint.get(),
                process: process.get(),
                reason,
            }),
            Report::InputsEnded { process } => {
                Wire::InputsEnded(wire::InputsEnded { process: process.get() })
            }
            Report::SubtaskEnded { process } => {
                Wire::SubtaskEnded(wire::SubtaskEnded { process: process.get() })
            }
            Report::Committed { checkpoint, process } => Wire::Committed(wire::Committed {
                checkpoint: checkpoint.get(),
                process: process.get(),
            }),
            Report::Closed { process } => Wire::Closed(wire::Closed { process: process.get() }),
            Report::Failed { process, failure } => {
                Wire::Failed(wire::Failed { process: process.get(), failure: Some(failure.into()) })
            }
        };
        Self { report: Some(report) }
    }
}

impl TryFrom<wire::Report> for Report {
    type Error = MessageError;

    fn try_from(wire: wire::Report) -> Result<Self, Self::Error> {
        use report::Report as Wire;
        Ok(match required("Report", "report", wire.report)? {
            Wire::Restored(restored) => Self::Restored { process: ProcessIndex(restored.process) },
            Wire::Acknowledged(ack) => Self::Acknowledged(ack.try_into()?),
            Wire::Declined(wire::Declined { checkpoint, process, reason }) => Self::Declined {
                checkpoint: CheckpointId(checkpoint),
                process: ProcessIndex(process),
                reason,
            },
            Wire::InputsEnded(ended) => Self::InputsEnded { process: ProcessIndex(ended.process) },
            Wire::SubtaskEnded(ended) => {
                Self::SubtaskEnded { process: ProcessIndex(ended.process) }
            }
            Wire::Committed(wire::Committed { checkpoint, process }) => Self::Committed {
                checkpoint: CheckpointId(checkpoint),
                process: ProcessIndex(process),
            },
            Wire::Closed(closed) => Self::Closed { process: ProcessIndex(closed.process) },
            Wire::Failed(wire::Failed { process, failure }) => Self::Failed {
                process: ProcessIndex(process),
                failure: required("Failed", "failure", failure)?.try_into()?,
            },
        })
    }
}

impl From<Failure> for wire::Failure {
    fn from(failure: Failure) -> Self {
        let kind = match failure.kind {
            ErrorKind::Invalid => wire::ErrorKind::Invalid,
            ErrorKind::Unavailable => wire::ErrorKind::Unavailable,
            ErrorKind::Fenced => wire::ErrorKind::Fenced,
            ErrorKind::Incompatible => wire::ErrorKind::Incompatible,
            ErrorKind::Corrupt => wire::ErrorKind::Corrupt,
            ErrorKind::User => wire::ErrorKind::User,
            ErrorKind::Internal => wire::ErrorKind::Internal,
        };
        Self {
            kind: kind.into(),
            message: failure.message,
            uid: failure.uid.map(|uid| uid.as_str().to_owned()),
            subtask: failure.subtask.map(SubtaskIndex::get),
        }
    }
}

impl TryFrom<wire::Failure> for Failure {
    type Error = MessageError;

    fn try_from(wire: wire::Failure) -> Result<Self, Self::Error> {
        let kind = match wire::ErrorKind::try_from(wire.kind) {
            Ok(wire::ErrorKind::Invalid) => ErrorKind::Invalid,
            Ok(wire::ErrorKind::Unavailable) => ErrorKind::Unavailable,
            Ok(wire::ErrorKind::Fenced) => ErrorKind::Fenced,
            Ok(wire::ErrorKind::Incompatible) => ErrorKind::Incompatible,
            Ok(wire::ErrorKind::Corrupt) => ErrorKind::Corrupt,
            Ok(wire::ErrorKind::User) => ErrorKind::User,
            Ok(wire::ErrorKind::Internal) => ErrorKind::Internal,
            Ok(wire::ErrorKind::Unspecified) | Err(_) => {
                let problem = format!("number {} is no kind of error", wire.kind);
                return Err(wrong("Failure", "kind", problem));
            }
        };
        Ok(Self {
            kind,
            message: wire.message,
            uid: wire.uid.map(OperatorUid::from),
            subtask: wire.subtask.map(SubtaskIndex),
        })
    }
}

impl From<ProcessAck> for wire::ProcessAck {
    fn from(ack: ProcessAck) -> Self {
        let entry = |FileEntry { length, crc32c }| wire::FileEntry { length, crc32c };
        Self {
            checkpoint: ack.checkpoint.get(),
            process: ack.process.get(),
            operators: ack.operators.into_iter().map(Into::into).collect(),
            files: ack.files.into_iter().map(|(path, file)| (path, entry(file))).collect(),
        }
    }
}

impl TryFrom<wire::ProcessAck> for ProcessAck {
    type Error = MessageError;

    fn try_from(wire: wire::ProcessAck) -> Result<Self, Self::Error> {
        let entry = |wire::FileEntry { length, crc32c }| FileEntry { length, crc32c };
        let files = wire.files.into_iter().map(|(path, file)| (path, entry(file)));
        Ok(Self {
            checkpoint: CheckpointId(wire.checkpoint),
            process: ProcessIndex(wire.process),
            operators: wire
                .operators
                .into_iter()
                .map(TryInto::try_into)
                .collect::<Result<_, _>>()?,
            files: files.collect::<BTreeMap<_, _>>(),
        })
    }
}

impl From<OperatorAck> for wire::OperatorAck {
    fn from(ack: OperatorAck) -> Self {
        Self {
            uid: ack.uid.as_str().to_owned(),
            name: ack.name,
            max_parallelism: ack.max_parallelism.get(),
            key_hash: ack.key_hash,
            key_type: ack.key_type,
            states: ack.states.into_iter().map(Into::into).collect(),
            subtask: serde_json::to_vec(&ack.subtask).expect("a manifest is plain data"),
            stats: Some(ack.stats.into()),
        }
    }
}

impl TryFrom<wire::OperatorAck> for OperatorAck {
    type Error = MessageError;

    fn try_from(wire: wire::OperatorAck) -> Result<Self, Self::Error> {
        let subtask = serde_json::from_slice(&wire.subtask)
            .map_err(|error| wrong("OperatorAck", "subtask", error))?;
        Ok(Self {
            uid: OperatorUid::from(wire.uid),
            name: wire.name,
            max_parallelism: max_parallelism("OperatorAck", wire.max_parallelism)?,
            key_hash: wire.key_hash,
            key_type: wire.key_type,
            states: wire.states.into_iter().map(TryInto::try_into).collect::<Result<_, _>>()?,
            subtask,
            stats: required("OperatorAck", "stats", wire.stats)?.into(),
        })
    }
}

impl From<StateDescription> for wire::StateDescription {
    fn from(state: StateDescription) -> Self {
        Self {
            id: state.id.into(),
            name: state.name,
            kind: state.kind,
            value_type: state.value_type,
            ttl_ms: state.ttl_ms,
        }
    }
}

impl TryFrom<wire::StateDescription> for StateDescription {
    type Error = MessageError;

    fn try_from(wire: wire::StateDescription) -> Result<Self, Self::Error> {
        let id = u16::try_from(wire.id).map_err(|_| {
            wrong("StateDescription", "id", format!("expected at most 65535, found {}", wire.id))
        })?;
        let wire::StateDescription { name, kind, value_type, ttl_ms, .. } = wire;
        Ok(Self { id, name, kind, value_type, ttl_ms })
    }
}

impl From<SubtaskStats> for wire::SubtaskStats {
    fn from(stats: SubtaskStats) -> Self {
        let SubtaskStats { sync_us, async_us, alignment_us, bytes } = stats;
        Self { sync_us, async_us, alignment_us, bytes }
    }
}

impl From<wire::SubtaskStats> for SubtaskStats {
    fn from(wire: wire::SubtaskStats) -> Self {
        let wire::SubtaskStats { sync_us, async_us, alignment_us, bytes } = wire;
        Self { sync_us, async_us, alignment_us, bytes }
    }
}

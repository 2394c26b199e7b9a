//! Hello, start, figures and commands, as they are written and read.

use std::time::Duration;

use tidegate_checkpoint::protocol::Command;
use tidegate_snapshot::manifest::SnapshotForm;
use tidegate_types::{
    AttemptId, Barrier, BarrierKind, CheckpointId, EventTime, ProcessIndex, RunToken,
    SnapshotFigures, SubtaskFigures, SubtaskIndex, Superseded, Timestamp,
};

use super::{Figures, FromProcess, Hello, Start, ToProcess};
use crate::{
    convert::{job_id, max_parallelism, nanos, parallelism, required, wrong},
    error::MessageError,
    link::Word,
    version,
    wire::{self, command, from_process, to_process},
};

/// Reads the first message of a process.
pub(super) fn hello(first: wire::FromProcess) -> Result<Hello, MessageError> {
    let unexpected = |found| Err(MessageError::Unexpected { found, expected: "Hello" });
    match required("FromProcess", "word", first.word)? {
        from_process::Word::Hello(hello) => hello.try_into(),
        from_process::Word::Report(_) => unexpected("Report"),
        from_process::Word::Figures(_) => unexpected("Figures"),
    }
}

impl Word for FromProcess {
    type Wire = wire::FromProcess;

    fn into_wire(self) -> Self::Wire {
        let word = match self {
            Self::Report(report) => from_process::Word::Report(report.into()),
            Self::Figures(figures) => from_process::Word::Figures(figures.into()),
        };
        wire::FromProcess { word: Some(word) }
    }

    fn from_wire(wire: Self::Wire) -> Result<Self, MessageError> {
        match required("FromProcess", "word", wire.word)? {
            from_process::Word::Hello(_) => {
                Err(MessageError::Unexpected { found: "Hello", expected: "Report" })
            }
            from_process::Word::Report(report) => report.try_into().map(Self::Report),
            from_process::Word::Figures(figures) => Ok(Self::Figures(figures.into())),
        }
    }
}

impl Word for ToProcess {
    type Wire = wire::ToProcess;

    fn into_wire(self) -> Self::Wire {
        let word = match self {
            Self::Start(start) => to_process::Word::Start(start.into()),
            Self::Refused(why) => to_process::Word::Refused(why),
            Self::Command(command) => to_process::Word::Command(command.into()),
        };
        wire::ToProcess { word: Some(word) }
    }

    fn from_wire(wire: Self::Wire) -> Result<Self, MessageError> {
        match required("ToProcess", "word", wire.word)? {
            to_process::Word::Start(start) => start.try_into().map(Self::Start),
            to_process::Word::Refused(why) => Ok(Self::Refused(why)),
            to_process::Word::Command(command) => command.try_into().map(Self::Command),
        }
    }
}

impl From<Hello> for wire::Hello {
    fn from(hello: Hello) -> Self {
        Self {
            protocol_version: version::ours(),
            job: hello.job.0.to_vec(),
            attempt: hello.attempt.map(AttemptId::get),
            token: hello.token,
            process: hello.process.get(),
            fingerprint: hello.fingerprint,
            data_address: hello.data_address,
        }
    }
}

impl TryFrom<wire::Hello> for Hello {
    type Error = MessageError;

    fn try_from(wire: wire::Hello) -> Result<Self, Self::Error> {
        version::check("Hello", wire.protocol_version)?;
        Ok(Self {
            job: job_id("Hello", &wire.job)?,
            attempt: wire.attempt.map(AttemptId),
            token: wire.token,
            process: ProcessIndex(wire.process),
            fingerprint: wire.fingerprint,
            data_address: wire.data_address,
        })
    }
}

impl From<Start> for wire::Start {
    fn from(start: Start) -> Self {
        let (superseded, spared) = match start.superseded {
            Superseded::Others { but } => (None, but),
            Superseded::Runs { runs, but } => {
                (Some(wire::Runs { tokens: runs.into_iter().map(|run| run.0).collect() }), but)
            }
        };
        Self {
            protocol_version: version::ours(),
            attempt: start.attempt.get(),
            token: start.token,
            parallelism: start.parallelism.get(),
            max_parallelism: start.max_parallelism.get(),
            restored_from: start.restored_from,
            addresses: start.addresses,
            concludes: start.concludes,
            leaves_output: start.leaves_output,
            superseded,
            spared: spared.into_iter().collect(),
            telling: start.telling,
        }
    }
}

impl TryFrom<wire::Start> for Start {
    type Error = MessageError;

    fn try_from(wire: wire::Start) -> Result<Self, Self::Error> {
        version::check("Start", wire.protocol_version)?;
        let but = wire.spared.into_iter().collect();
        Ok(Self {
            attempt: AttemptId(wire.attempt),
            token: wire.token,
            parallelism: parallelism("Start", wire.parallelism)?,
            max_parallelism: max_parallelism("Start", wire.max_parallelism)?,
            restored_from: wire.restored_from,
            addresses: wire.addresses,
            concludes: wire.concludes,
            leaves_output: wire.leaves_output,
            superseded: match wire.superseded {
                None => Superseded::Others { but },
                Some(runs) => {
                    let runs = runs.tokens.into_iter().map(RunToken).collect();
                    Superseded::Runs { runs, but }
                }
            },
            telling: wire.telling,
        })
    }
}

impl From<Figures> for wire::Figures {
    fn from(figures: Figures) -> Self {
        Self {
            records: figures.records,
            progress: figures.progress.map(|(done, total)| wire::Progress { done, total }),
            in_flight_max_nanos: nanos(figures.in_flight_max),
            progress_messages: figures.progress_messages,
            first_record_ms: figures.first_record.map(Timestamp::millis),
            subtasks: figures.subtasks.into_iter().map(Into::into).collect(),
            snapshots: figures.snapshots.into_iter().map(Into::into).collect(),
        }
    }
}

impl From<wire::Figures> for Figures {
    fn from(wire: wire::Figures) -> Self {
        Self {
            records: wire.records,
            progress: wire.progress.map(|progress| (progress.done, progress.total)),
            in_flight_max: Duration::from_nanos(wire.in_flight_max_nanos),
            progress_messages: wire.progress_messages,
            first_record: wire.first_record_ms.map(Timestamp),
            subtasks: wire.subtasks.into_iter().map(Into::into).collect(),
            snapshots: wire.snapshots.into_iter().map(Into::into).collect(),
        }
    }
}

impl From<SubtaskFigures> for wire::SubtaskFigures {
    fn from(figures: SubtaskFigures) -> Self {
        Self {
            task: figures.task,
            subtask: figures.subtask.get(),
            records_in: figures.records_in,
            records_out: figures.records_out,
            busy_nanos: nanos(figures.busy),
            backpressured_nanos: nanos(figures.backpressured),
            idle_nanos: nanos(figures.idle),
            watermark: figures.watermark.map(|time| time.0),
        }
    }
}

impl From<wire::SubtaskFigures> for SubtaskFigures {
    fn from(wire: wire::SubtaskFigures) -> Self {
        Self {
            task: wire.task,
            subtask: SubtaskIndex(wire.subtask),
            records_in: wire.records_in,
            records_out: wire.records_out,
            busy: Duration::from_nanos(wire.busy_nanos),
            backpressured: Duration::from_nanos(wire.backpressured_nanos),
            idle: Duration::from_nanos(wire.idle_nanos),
            watermark: wire.watermark.map(EventTime),
        }
    }
}

impl From<SnapshotFigures> for wire::SnapshotFigures {
    fn from(figures: SnapshotFigures) -> Self {
        let SnapshotFigures { checkpoint, subtasks, bytes } = figures;
        Self { checkpoint: checkpoint.get(), subtasks, bytes }
    }
}

impl From<wire::SnapshotFigures> for SnapshotFigures {
    fn from(wire: wire::SnapshotFigures) -> Self {
        let wire::SnapshotFigures { checkpoint, subtasks, bytes } = wire;
        Self { checkpoint: CheckpointId(checkpoint), subtasks, bytes }
    }
}

impl From<Command> for wire::Command {
    fn from(command: Command) -> Self {
        let command = match command {
            Command::Begin => command::Command::Begin(wire::Begin {}),
            Command::Trigger { barrier, target, form } => {
                let barrier = Some(barrier.into());
                command::Command::Trigger(wire::Trigger {
                    barrier,
                    target,
                    canonical: form == SnapshotForm::Canonical,
                })
            }
            Command::Completed { checkpoint } => {
                command::Command::Completed(wire::Completed { checkpoint: checkpoint.get() })
            }
            Command::SavepointCompleted { checkpoint } => {
                let checkpoint = checkpoint.get();
                command::Command::SavepointCompleted(wire::SavepointCompleted { checkpoint })
            }
            Command::Aborted { checkpoint } => {
                command::Command::Aborted(wire::Aborted { checkpoint: checkpoint.get() })
            }
            Command::Finish => command::Command::Finish(wire::Finish {}),
            Command::Cancel => command::Command::Cancel(wire::Cancel {}),
        };
        Self { command: Some(command) }
    }
}

impl TryFrom<wire::Command> for Command {
    type Error = MessageError;

    fn try_from(wire: wire::Command) -> Result<Self, Self::Error> {
        Ok(match required("Command", "command", wire.command)? {
            command::Command::Begin(wire::Begin {}) => Self::Begin,
            command::Command::Trigger(wire::Trigger { barrier, target, canonical }) => {
                let form = if canonical { SnapshotForm::Canonical } else { SnapshotForm::Native };
                let barrier = required("Trigger", "barrier", barrier)?.try_into()?;
                Self::Trigger { barrier, target, form }
            }
            command::Command::Completed(completed) => {
                Self::Completed { checkpoint: CheckpointId(completed.checkpoint) }
            }
            command::Command::SavepointCompleted(completed) => {
                Self::SavepointCompleted { checkpoint: CheckpointId(completed.checkpoint) }
            }
            command::Command::Aborted(aborted) => {
                Self::Aborted { checkpoint: CheckpointId(aborted.checkpoint) }
            }
            command::Command::Finish(wire::Finish {}) => Self::Finish,
            command::Command::Cancel(wire::Cancel {}) => Self::Cancel,
        })
    }
}

impl From<Barrier> for wire::Barrier {
    fn from(barrier: Barrier) -> Self {
        let kind = match barrier.kind {
            BarrierKind::Checkpoint => wire::BarrierKind::Checkpoint,
            BarrierKind::Savepoint => wire::BarrierKind::Savepoint,
            BarrierKind::StopWithSavepoint { drain: false } => wire::BarrierKind::StopWithSavepoint,
            BarrierKind::StopWithSavepoint { drain: true } => {
                wire::BarrierKind::StopWithSavepointAndDrain
            }
            BarrierKind::Final => wire::BarrierKind::Final,
        };
        Self { checkpoint: barrier.checkpoint.get(), kind: kind.into() }
    }
}

impl TryFrom<wire::Barrier> for Barrier {
    type Error = MessageError;

    fn try_from(wire: wire::Barrier) -> Result<Self, Self::Error> {
        let kind = match wire::BarrierKind::try_from(wire.kind) {
            Ok(wire::BarrierKind::Checkpoint) => BarrierKind::Checkpoint,
            Ok(wire::BarrierKind::Savepoint) => BarrierKind::Savepoint,
            Ok(wire::BarrierKind::StopWithSavepoint) => {
                BarrierKind::StopWithSavepoint { drain: false }
            }
            Ok(wire::BarrierKind::StopWithSavepointAndDrain) => {
                BarrierKind::StopWithSavepoint { drain: true }
            }
            Ok(wire::BarrierKind::Final) => BarrierKind::Final,
            Ok(wire::BarrierKind::Unspecified) | Err(_) => {
                let problem = format!("number {} is no kind of barrier", wire.kind);
                return Err(wrong("Barrier", "kind", problem));
            }
        };
        Ok(Self { checkpoint: CheckpointId(wire.checkpoint), kind })
    }
}

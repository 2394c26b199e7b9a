//! What TaskManagers and the JobManager say, as it is written and read.

use std::time::Duration;

use bytes::Bytes;
use tidegate_types::{AttemptId, ProcessIndex, Timestamp, options::Secret};

use super::{
    FromTaskManager, Hardware, LogFile, LogPart, ProcessKey, Registration, StartProcess,
    ToTaskManager,
};
use crate::{
    convert::{job_id, nanos, required},
    error::MessageError,
    link::Word,
    version,
    wire::{self, from_task_manager, to_task_manager},
};

/// Reads the first message of a TaskManager.
pub(super) fn registration(first: wire::FromTaskManager) -> Result<Registration, MessageError> {
    let unexpected = |found| Err(MessageError::Unexpected { found, expected: "Registration" });
    match required("FromTaskManager", "word", first.word)? {
        from_task_manager::Word::Registration(registration) => registration.try_into(),
        from_task_manager::Word::Heartbeat(_) => unexpected("TaskManagerHeartbeat"),
        from_task_manager::Word::Started(_) => unexpected("ProcessStarted"),
        from_task_manager::Word::Ended(_) => unexpected("ProcessEnded"),
        from_task_manager::Word::Logs(_) => unexpected("Logs"),
        from_task_manager::Word::LogPart(_) => unexpected("LogPart"),
        from_task_manager::Word::Leaving(_) => unexpected("Leaving"),
    }
}

impl Word for FromTaskManager {
    type Wire = wire::FromTaskManager;

    fn into_wire(self) -> Self::Wire {
        use from_task_manager::Word as Wire;
        let word = match self {
            Self::Heartbeat { processes } => Wire::Heartbeat(wire::TaskManagerHeartbeat {
                processes: processes.into_iter().map(Into::into).collect(),
            }),
            Self::Leaving => Wire::Leaving(wire::Leaving {}),
            Self::Started(key, pid) => {
                Wire::Started(wire::ProcessStarted { key: Some(key.into()), pid })
            }
            Self::Ended { key, status, success, output_tail } => Wire::Ended(wire::ProcessEnded {
                key: Some(key.into()),
                status,
                success,
                output_tail,
            }),
            Self::Logs { request, logs } => {
                let logs = logs.into_iter().map(Into::into).collect();
                Wire::Logs(wire::Logs { request, logs })
            }
            Self::LogPart { request, part } => Wire::LogPart(match part {
                Ok(LogPart { total, bytes }) => {
                    wire::LogPart { request, total, data: bytes, problem: None }
                }
                Err(why) => {
                    wire::LogPart { request, total: 0, data: Bytes::new(), problem: Some(why) }
                }
            }),
        };
        wire::FromTaskManager { word: Some(word) }
    }

    fn from_wire(wire: Self::Wire) -> Result<Self, MessageError> {
        use from_task_manager::Word as Wire;
        Ok(match required("FromTaskManager", "word", wire.word)? {
            Wire::Registration(_) => {
                let found = "Registration";
                return Err(MessageError::Unexpected { found, expected: "TaskManagerHeartbeat" });
            }
            Wire::Heartbeat(heartbeat) => {
                let processes = heartbeat.processes.into_iter().map(TryInto::try_into);
                Self::Heartbeat { processes: processes.collect::<Result<_, _>>()? }
            }
            Wire::Leaving(wire::Leaving {}) => Self::Leaving,
            Wire::Started(wire::ProcessStarted { key, pid }) => {
                Self::Started(process_key("ProcessStarted", key)?, pid)
            }
            Wire::Ended(wire::ProcessEnded { key, status, success, output_tail }) => {
                let key = process_key("ProcessEnded", key)?;
                Self::Ended { key, status, success, output_tail }
            }
            Wire::Logs(wire::Logs { request, logs }) => {
                Self::Logs { request, logs: logs.into_iter().map(Into::into).collect() }
            }
            Wire::LogPart(wire::LogPart { request, total, data, problem }) => {
                let part = match problem {
                    None => Ok(LogPart { total, bytes: data }),
                    Some(why) => Err(why),
                };
                Self::LogPart { request, part }
            }
        })
    }
}

impl Word for ToTaskManager {
    type Wire = wire::ToTaskManager;

    fn into_wire(self) -> Self::Wire {
        use to_task_manager::Word as Wire;
        let word = match self {
            Self::Registered { heartbeat_interval, heartbeat_timeout } => {
                Wire::Registered(wire::Registered {
                    protocol_version: version::ours(),
                    heartbeat_interval_nanos: nanos(heartbeat_interval),
                    heartbeat_timeout_nanos: nanos(heartbeat_timeout),
                })
            }
            Self::Refused(why) => Wire::Refused(why),
            Self::Heartbeat => Wire::Heartbeat(wire::JobManagerHeartbeat {}),
            Self::StartProcess(start) => Wire::StartProcess(start.into()),
            Self::EndProcess(key) => Wire::EndProcess(wire::EndProcess { key: Some(key.into()) }),
            Self::ListLogs { request } => Wire::ListLogs(wire::ListLogs { request }),
            Self::ReadLog { request, name, offset, length } => {
                Wire::ReadLog(wire::ReadLog { request, name, offset, length })
            }
        };
        wire::ToTaskManager { word: Some(word) }
    }

    fn from_wire(wire: Self::Wire) -> Result<Self, MessageError> {
        use to_task_manager::Word as Wire;
        Ok(match required("ToTaskManager", "word", wire.word)? {
            Wire::Registered(registered) => {
                version::check("Registered", registered.protocol_version)?;
                Self::Registered {
                    heartbeat_interval: Duration::from_nanos(registered.heartbeat_interval_nanos),
                    heartbeat_timeout: Duration::from_nanos(registered.heartbeat_timeout_nanos),
                }
            }
            Wire::Refused(why) => Self::Refused(why),
            Wire::Heartbeat(wire::JobManagerHeartbeat {}) => Self::Heartbeat,
            Wire::StartProcess(start) => Self::StartProcess(start.try_into()?),
            Wire::EndProcess(end) => Self::EndProcess(process_key("EndProcess", end.key)?),
            Wire::ListLogs(wire::ListLogs { request }) => Self::ListLogs { request },
            Wire::ReadLog(wire::ReadLog { request, name, offset, length }) => {
                Self::ReadLog { request, name, offset, length }
            }
        })
    }
}

fn process_key(
    message: &'static str,
    key: Option<wire::ProcessKey>,
) -> Result<ProcessKey, MessageError> {
    required(message, "key", key)?.try_into()
}

impl From<LogFile> for wire::LogFile {
    fn from(log: LogFile) -> Self {
        let LogFile { name, bytes, modified } = log;
        Self { name, bytes, modified_ms: modified.millis() }
    }
}

impl From<wire::LogFile> for LogFile {
    fn from(wire: wire::LogFile) -> Self {
        let wire::LogFile { name, bytes, modified_ms } = wire;
        Self { name, bytes, modified: Timestamp(modified_ms) }
    }
}

impl From<ProcessKey> for wire::ProcessKey {
    fn from(key: ProcessKey) -> Self {
        let ProcessKey { job, attempt, process } = key;
        Self { job: job.0.to_vec(), attempt: attempt.get(), process: process.get() }
    }
}

impl TryFrom<wire::ProcessKey> for ProcessKey {
    type Error = MessageError;

    fn try_from(wire: wire::ProcessKey) -> Result<Self, Self::Error> {
        Ok(Self {
            job: job_id("ProcessKey", &wire.job)?,
            attempt: AttemptId(wire.attempt),
            process: ProcessIndex(wire.process),
        })
    }
}

impl From<Registration> for wire::Registration {
    fn from(registration: Registration) -> Self {
        let Registration { id, host, slots, hardware } = registration;
        let Hardware { cpu_cores, memory_bytes } = hardware;
        Self {
            protocol_version: version::ours(),
            id,
            host,
            slots,
            hardware: Some(wire::Hardware { cpu_cores, memory_bytes }),
        }
    }
}

impl TryFrom<wire::Registration> for Registration {
    type Error = MessageError;

    fn try_from(wire: wire::Registration) -> Result<Self, Self::Error> {
        version::check("Registration", wire.protocol_version)?;
        let hardware = required("Registration", "hardware", wire.hardware)?;
        let wire::Hardware { cpu_cores, memory_bytes } = hardware;
        let wire::Registration { id, host, slots, .. } = wire;
        Ok(Self { id, host, slots, hardware: Hardware { cpu_cores, memory_bytes } })
    }
}

impl From<StartProcess> for wire::StartProcess {
    fn from(start: StartProcess) -> Self {
        Self {
            key: Some(start.key.into()),
            token: start.token,
            threads: start.threads,
            processes: start.processes,
            parallelism: start.parallelism,
            artifact: start.artifact,
            arguments: start.arguments,
            coordinator: start.coordinator,
            configuration: start.configuration.into(),
            credential: start.credential.map(|secret| secret.expose().to_owned()),
        }
    }
}

impl TryFrom<wire::StartProcess> for StartProcess {
    type Error = MessageError;

    fn try_from(wire: wire::StartProcess) -> Result<Self, Self::Error> {
        Ok(Self {
            key: process_key("StartProcess", wire.key)?,
            token: wire.token,
            threads: wire.threads,
            processes: wire.processes,
            parallelism: wire.parallelism,
            artifact: wire.artifact,
            arguments: wire.arguments,
            coordinator: wire.coordinator,
            configuration: wire.configuration.into(),
            credential: wire.credential.map(Secret::new),
        })
    }
}

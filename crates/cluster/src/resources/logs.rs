//! What a TaskManager has in the logs of its processes.

use std::time::Duration;

use tidegate_protocol::resources::{FromTaskManager, LogFile, LogPart, ToTaskManager};
use tokio::sync::oneshot;

use super::{Connected, Resources};
use crate::dispatcher::TaskManagerId;

/// How long a TaskManager may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Why there is nothing of a log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LogError {
    /// There is no such TaskManager.
    #[error("there is no TaskManager {0}")]
    NoTaskManager(String),
    /// It has no such log, or can't read it.
    #[error("{0}")]
    NoLog(String),
    /// It does not answer.
    #[error("TaskManager {0} does not answer")]
    Silent(String),
}

/// Who waits for an answer.
pub(super) enum Question {
    List(oneshot::Sender<Vec<LogFile>>),
    Read(oneshot::Sender<Result<LogPart, String>>),
}

impl Question {
    /// Passes an answer on. Nobody may wait any more.
    pub(super) fn answer(self, word: FromTaskManager) {
        match (self, word) {
            (Self::List(waiting), FromTaskManager::Logs { logs, .. }) => _ = waiting.send(logs),
            (Self::Read(waiting), FromTaskManager::LogPart { part, .. }) => {
                _ = waiting.send(part);
            }
            // An answer to another question: who waits hears that nothing comes.
            _ => {}
        }
    }
}

impl Resources {
    /// The logs of the processes that have run on a TaskManager.
    ///
    /// # Errors
    ///
    /// When it is not there, or does not answer.
    pub async fn logs(&self, id: &TaskManagerId) -> Result<Vec<LogFile>, LogError> {
        let (sender, answer) = oneshot::channel();
        self.ask(id, Question::List(sender), |request| ToTaskManager::ListLogs { request })?;
        in_time(id, answer).await
    }

    /// At most `length` bytes of a log, from `offset` on.
    ///
    /// # Errors
    ///
    /// When there is no such log, or the TaskManager is not there or does not answer.
    pub async fn read_log(
        &self,
        id: &TaskManagerId,
        name: &str,
        offset: u64,
        length: u64,
    ) -> Result<LogPart, LogError> {
        let (sender, answer) = oneshot::channel();
        let name = name.to_owned();
        self.ask(id, Question::Read(sender), |request| ToTaskManager::ReadLog {
            request,
            name,
            offset,
            length,
        })?;
        in_time(id, answer).await?.map_err(LogError::NoLog)
    }

    fn ask(
        &self,
        id: &TaskManagerId,
        question: Question,
        word: impl FnOnce(u64) -> ToTaskManager,
    ) -> Result<(), LogError> {
        let mut state = self.lock();
        let request = state.next_request;
        state.next_request += 1;
        let Some(Connected { questions, sender, .. }) = state.managers.get_mut(id) else {
            return Err(LogError::NoTaskManager(id.0.clone()));
        };
        questions.insert(request, question);
        // If it is gone, the question goes with its connection.
        let _ = sender.send(word(request));
        Ok(())
    }
}

async fn in_time<T>(id: &TaskManagerId, answer: oneshot::Receiver<T>) -> Result<T, LogError> {
    match tokio::time::timeout(PATIENCE, answer).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(_)) | Err(_) => Err(LogError::Silent(id.0.clone())),
    }
}

//! Operations that take their time: a request starts one, others ask for its result by its trigger
//! id.
//!
//! # Invariants
//!
//! - INV-ONCE: a request with the trigger id of an operation that is known starts none.
//!
//! # Not here
//!
//! What an earlier JobManager has started: `crate::triggers`.

use std::{
    collections::BTreeMap,
    future::Future,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use schemars::JsonSchema;
use serde::Serialize;
use tokio::{sync::oneshot, time::Instant};

use super::answer::{ApiError, HexId};

/// An operation.
enum Operation<T> {
    Running,
    Done { result: T, at: Instant },
}

/// All operations of a kind that are known. Cheap to clone.
pub(super) struct Operations<K, T> {
    known: Arc<Mutex<BTreeMap<K, Operation<T>>>>,
    kept: Duration,
}

impl<K, T> Clone for Operations<K, T> {
    fn clone(&self) -> Self {
        Self { known: Arc::clone(&self.known), kept: self.kept }
    }
}

impl<K: Clone + Ord + Send + 'static, T: Clone + Send + 'static> Operations<K, T> {
    pub(super) fn new(kept: Duration) -> Self {
        Self { known: Arc::default(), kept }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<K, Operation<T>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts an operation unless its key is known: `taken_in` records it, and gives the work.
    ///
    /// # Errors
    ///
    /// Why it can't be recorded; then it is not started, and not known.
    pub(super) async fn start<F: Future<Output = T> + Send>(
        &self,
        key: K,
        taken_in: impl Future<Output = Result<F, ApiError>> + Send + 'static,
    ) -> Result<(), ApiError> {
        if !self.begin(&key) {
            return Ok(());
        }
        let (answer, answered) = oneshot::channel();
        let operations = self.clone();
        // Whoever asks may give up waiting: what is begun is not left half done.
        tokio::spawn(async move {
            let work = match taken_in.await {
                Ok(work) => work,
                Err(error) => {
                    operations.lock().remove(&key);
                    let _ = answer.send(Err(error));
                    return;
                }
            };
            let _ = answer.send(Ok(()));
            let result = work.await;
            operations.lock().insert(key, Operation::Done { result, at: Instant::now() });
        });
        answered.await.unwrap_or(Ok(()))
    }

    /// Whether the key is a new one.
    fn begin(&self, key: &K) -> bool {
        let mut known = self.lock();
        let kept = self.kept;
        known.retain(|_, operation| match operation {
            Operation::Running => true,
            Operation::Done { at, .. } => at.elapsed() < kept,
        });
        let is_new = !known.contains_key(key);
        if is_new {
            known.insert(key.clone(), Operation::Running);
        }
        is_new
    }

    /// How an operation stands, `None` if it is not known.
    pub(super) fn poll(&self, key: &K) -> Option<Polled<T>> {
        let operation = match self.lock().get(key)? {
            Operation::Running => None,
            Operation::Done { at, .. } if at.elapsed() >= self.kept => return None,
            Operation::Done { result, .. } => Some(result.clone()),
        };
        Some(Polled::new(operation))
    }
}

/// How an operation stands.
#[derive(Serialize, JsonSchema)]
pub(super) struct Polled<T> {
    status: OperationStatus,
    /// Its result, once it is done.
    operation: Option<T>,
}

impl<T> Polled<T> {
    pub(super) fn new(operation: Option<T>) -> Self {
        Self { status: OperationStatus::new(operation.is_some()), operation }
    }
}

/// Whether an operation is done.
#[derive(Serialize, JsonSchema)]
pub(super) struct OperationStatus {
    id: OperationState,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum OperationState {
    InProgress,
    Completed,
}

impl OperationStatus {
    pub(super) fn new(is_done: bool) -> Self {
        Self { id: if is_done { OperationState::Completed } else { OperationState::InProgress } }
    }
}

/// By which id to ask for the result of an operation that has been started.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Triggered {
    #[schemars(with = "HexId")]
    pub(super) request_id: String,
}

#[expect(clippy::disallowed_methods, reason = "for a client of this server")]
fn new_id() -> String {
    format!("{:032x}", rand::random::<u128>())
}

/// The trigger id that a client gives, or a new one.
pub(super) fn trigger_id(given: Option<String>) -> Result<String, ApiError> {
    match given {
        None => Ok(new_id()),
        Some(id) => trigger_in("triggerId", &id),
    }
}

/// Reads a trigger id.
pub(super) fn trigger_in(name: &str, text: &str) -> Result<String, ApiError> {
    if text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Ok(text.to_ascii_lowercase());
    }
    Err(ApiError::bad_request(format!("{name} `{text}` is not 32 hexadecimal digits")))
}

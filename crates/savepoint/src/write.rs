//! Writing.

use std::collections::BTreeMap;

use serde::{Serialize, de::DeserializeOwned};
use tidegate_canonical::convert::to_canonical;
use tidegate_snapshot::{
    codec,
    manifest::{
        FORMAT, FORMAT_VERSION, JobInfo, Manifest, SnapshotForm, SnapshotKind, StateDescription,
    },
    store::{LoadedSnapshot, SnapshotLocation},
};
use tidegate_state::{StateError, TimeDomain, check_type, type_description};
use tidegate_storage::Places;
use tidegate_types::{
    AttemptId, CheckpointId, Clock, EventTime, JobId, KeyHash, MaxParallelism, OperatorUid,
    Parallelism, time::SystemClock,
};

use crate::{
    Error, Result, Savepoint,
    operator::{Groups, Operator},
    read::{Files, block_on},
};

/// A savepoint that is being made.
pub struct SavepointWriter {
    job: JobInfo,
    checkpoint: CheckpointId,
    max_parallelism: MaxParallelism,
    operators: BTreeMap<OperatorUid, Operator>,
}

impl SavepointWriter {
    /// One with nothing in it, for the job of this name.
    #[must_use]
    pub fn new(job: &str) -> Self {
        Self {
            job: JobInfo { id: JobId::from_name(job), name: job.to_owned(), folder: None },
            checkpoint: CheckpointId(1),
            max_parallelism: MaxParallelism::default_for(Parallelism::ONE),
            operators: BTreeMap::new(),
        }
    }

    /// One with all that is in another.
    #[must_use]
    pub fn of(savepoint: &Savepoint) -> Self {
        let operators = savepoint.operators.clone();
        let found = operators.values().map(|operator| operator.max_parallelism).next();
        Self {
            job: savepoint.manifest.job.clone(),
            checkpoint: savepoint.manifest.checkpoint,
            max_parallelism: found.unwrap_or(MaxParallelism::default_for(Parallelism::ONE)),
            operators,
        }
    }

    /// Sets how many key groups new operators get. A job may have another max parallelism: then its
    /// keys find their groups when it is restored.
    pub fn max_parallelism(&mut self, max: MaxParallelism) -> &mut Self {
        self.max_parallelism = max;
        self
    }

    /// Leaves an operator out; whether there was one.
    pub fn remove_operator(&mut self, uid: &str) -> bool {
        self.operators.remove(&OperatorUid::from(uid)).is_some()
    }

    /// Calls an operator by another uid.
    ///
    /// # Errors
    ///
    /// When there is no such operator, or one of the new uid.
    pub fn rename_operator(&mut self, uid: &str, new: &str) -> Result<()> {
        if self.operators.contains_key(&OperatorUid::from(new)) {
            return Err(Error::Taken(format!("an operator `{new}`")));
        }
        let operator = self.operators.remove(&OperatorUid::from(uid));
        self.operators.insert(new.into(), operator.ok_or_else(|| Error::no_operator(uid))?);
        Ok(())
    }

    /// Leaves a state out; whether there was one.
    pub fn drop_state(&mut self, uid: &str, state: &str) -> bool {
        let Some(operator) = self.operators.get_mut(&OperatorUid::from(uid)) else { return false };
        let states = operator.states.len();
        operator.states.retain(|(own, _)| own.name != state);
        let mut dropped = operator.states.len() < states;
        for (lists, _) in &mut operator.subtasks {
            let before = lists.len();
            lists.retain(|list| list.name != state);
            dropped |= lists.len() < before;
        }
        dropped
    }

    /// Gives the state of an operator other values, maybe of another type, or none. A state with TTL
    /// has none any more.
    ///
    /// # Errors
    ///
    /// When there is no such state, it is not of these types, or a value can't be written.
    pub fn map_values<K, V, W>(
        &mut self,
        uid: &str,
        state: &str,
        mut change: impl FnMut(&K, V) -> Option<W>,
    ) -> Result<()>
    where
        K: Serialize + DeserializeOwned + 'static,
        V: DeserializeOwned + 'static,
        W: Serialize + DeserializeOwned,
    {
        let operator = Operator::of(&self.operators, uid)?;
        let kind = operator.state(uid, state)?.0.kind.clone();
        let entries = crate::read::entries_of::<K, V>(operator, uid, state)?;
        let mut changed = Vec::new();
        for entry in entries {
            let (key, value) = entry?;
            changed.extend(change(&key, value).map(|value| (key, value)));
        }
        self.keyed(uid, state, &kind, changed)
    }

    /// Adds a value state, or replaces it.
    ///
    /// # Errors
    ///
    /// When the operator has keys of another type, or a value can't be written.
    pub fn value_state<K: Serialize + DeserializeOwned, V: Serialize + DeserializeOwned>(
        &mut self,
        uid: &str,
        state: &str,
        entries: impl IntoIterator<Item = (K, V)>,
    ) -> Result<()> {
        self.keyed(uid, state, "value", entries)
    }

    /// Adds a list state, or replaces it.
    ///
    /// # Errors
    ///
    /// As [`SavepointWriter::value_state`].
    pub fn list_state<K: Serialize + DeserializeOwned, V: Serialize + DeserializeOwned>(
        &mut self,
        uid: &str,
        state: &str,
        entries: impl IntoIterator<Item = (K, Vec<V>)>,
    ) -> Result<()> {
        self.keyed(uid, state, "list", entries)
    }

    /// Adds a map state, or replaces it.
    ///
    /// # Errors
    ///
    /// As [`SavepointWriter::value_state`].
    pub fn map_state<K, UK, UV>(
        &mut self,
        uid: &str,
        state: &str,
        entries: impl IntoIterator<Item = (K, BTreeMap<UK, UV>)>,
    ) -> Result<()>
    where
        K: Serialize + DeserializeOwned,
        UK: Ord + Serialize + DeserializeOwned,
        UV: Serialize + DeserializeOwned,
    {
        self.keyed(uid, state, "map", entries)
    }

    /// Adds timers of event time, or replaces them: for each key its time.
    ///
    /// # Errors
    ///
    /// As [`SavepointWriter::value_state`].
    pub fn event_timers<K: Serialize + DeserializeOwned>(
        &mut self,
        uid: &str,
        timers: impl IntoIterator<Item = (K, EventTime)>,
    ) -> Result<()> {
        let timers = timers.into_iter().map(|(key, time)| (key, vec![time.0]));
        self.keyed(uid, TimeDomain::EventTime.state_name(), "timer", timers)
    }

    fn keyed<K: Serialize + DeserializeOwned, V: Serialize + DeserializeOwned>(
        &mut self,
        uid: &str,
        state: &str,
        kind: &str,
        entries: impl IntoIterator<Item = (K, V)>,
    ) -> Result<()> {
        if state.trim().is_empty() {
            return Err(StateError::EmptyName.into());
        }
        check_type::<K>().map_err(|source| StateError::UnfitKey { source })?;
        let unfit = |source| StateError::Unfit { state: state.to_owned(), source };
        check_type::<V>().map_err(unfit)?;
        let operator = self.operators.entry(uid.into());
        let operator = operator.or_insert_with(|| Operator::new(self.max_parallelism));
        let key_type = type_description::<K>();
        match &operator.key_type {
            Some(known) if *known != key_type => {
                return Err(Error::Taken(format!("state by keys of type `{known}`")));
            }
            _ => operator.key_type = Some(key_type),
        }
        let (mut groups, mut entry) = (Groups::new(), Vec::new());
        for (key, value) in entries {
            entry.clear();
            codec::encode(&key, &mut entry)
                .and_then(|()| codec::encode(&value, &mut entry))
                .map_err(|source| Error::Value {
                    uid: uid.to_owned(),
                    state: state.to_owned(),
                    source,
                })?;
            let group = KeyHash::of(&key).group(operator.max_parallelism);
            let (count, bytes) = groups.entry(group).or_default();
            *count += 1;
            bytes.extend_from_slice(&entry);
        }
        let description = StateDescription {
            id: 0,
            name: state.to_owned(),
            kind: kind.to_owned(),
            value_type: type_description::<V>(),
            ttl_ms: None,
        };
        operator.states.retain(|(own, _)| own.name != state);
        operator.states.push((description, groups));
        Ok(())
    }

    /// Writes the savepoint in canonical form into a folder, or to a URL, where there is none yet.
    ///
    /// # Errors
    ///
    /// When there is one already, or it can't be written.
    pub fn write(&self, path: &str) -> Result<()> {
        let mut files = Files::new();
        let operators = self.operators.iter().zip(0..).map(|((uid, operator), number)| {
            (uid.clone(), operator.write(&format!("operator-{number}"), &mut files))
        });
        let operators = operators.collect();
        let loaded = LoadedSnapshot::new(path, files);
        let now = SystemClock.now();
        let native = Manifest {
            format: FORMAT.to_owned(),
            version: FORMAT_VERSION,
            kind: SnapshotKind::Savepoint,
            form: SnapshotForm::Native,
            job: self.job.clone(),
            checkpoint: self.checkpoint,
            attempt: AttemptId(0),
            triggered_at: now,
            completed_at: now,
            operators,
            files: loaded.entries(),
        };
        let (manifest, loaded) = to_canonical(&native, loaded)?;
        block_on(async {
            let location = SnapshotLocation::find(&Places::default(), path)?;
            if location.exists().await? {
                return Err(Error::Taken(format!("a snapshot at {path}")));
            }
            for (name, entry) in &manifest.files {
                location.write_file(name, vec![loaded.file(name)?], entry.crc32c).await?;
            }
            location.commit(&manifest).await?;
            let written = location.load().await?;
            Ok(location.verify(&written).await?)
        })?
    }
}

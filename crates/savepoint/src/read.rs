//! Reading.

use std::{collections::BTreeMap, marker::PhantomData};

use bytes::Bytes;
use serde::de::DeserializeOwned;
use tidegate_canonical::{
    convert::{Wanted, to_native},
    inspect::state_names,
};
use tidegate_snapshot::{
    described::{Described, Type},
    manifest::Manifest,
    store::SnapshotLocation,
    wire::skip,
};
use tidegate_state::declared::{Decode, decode_key, decode_value};
use tidegate_types::OperatorUid;

use crate::{Error, Result, operator::Operator};

/// Waits for what has to be waited for.
pub(crate) fn block_on<T: Send>(work: impl Future<Output = T> + Send) -> Result<T> {
    // On a thread of its own: the caller's may belong to a runtime already.
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| {
            let mut runtime = tokio::runtime::Builder::new_current_thread();
            let runtime = runtime.enable_all().build().map_err(Error::Runtime)?;
            Ok(runtime.block_on(work))
        });
        match waiting.join() {
            Ok(done) => done,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}

/// A savepoint or checkpoint, read whole.
pub struct Savepoint {
    pub(crate) manifest: Manifest,
    pub(crate) operators: BTreeMap<OperatorUid, Operator>,
    #[cfg(feature = "arrow")]
    pub(crate) tables: crate::batches::Tables,
}

impl Savepoint {
    /// Reads one from a folder, or from any URL that a job could be started from.
    ///
    /// # Errors
    ///
    /// When there is none, or it is damaged.
    pub fn open(path: &str) -> Result<Self> {
        let (manifest, loaded) = block_on(async {
            let location = SnapshotLocation::parse(path)?;
            let manifest = location.load_named().await?;
            let loaded = location.read_all(&manifest).await?;
            Ok::<_, Error>((manifest, loaded))
        })??;
        #[cfg(feature = "arrow")]
        let tables = crate::batches::Tables::new(&manifest, loaded.clone())?;
        let (native, files) = to_native(&manifest, loaded, &Wanted::default())?;
        let operators = native
            .operators
            .iter()
            .map(|(uid, operator)| Ok((uid.clone(), Operator::read(operator, &files)?)));
        let operators = operators.collect::<Result<_>>()?;
        Ok(Self {
            manifest: native,
            operators,
            #[cfg(feature = "arrow")]
            tables,
        })
    }

    /// Its states, sorted: the operator's uid and the state's name, each once.
    #[must_use]
    pub fn states(&self) -> Vec<(String, String)> {
        let mut all = Vec::new();
        for (uid, operator) in &self.manifest.operators {
            all.extend(state_names(operator).into_iter().map(|name| (uid.to_string(), name)));
        }
        all
    }

    /// The entries of a keyed state by the program's own types, which may have changed since as those
    /// of a job may: a list state's value is a `Vec`, a map state's a map or a `Vec` of pairs. With
    /// TTL the times are left out.
    ///
    /// # Errors
    ///
    /// When there is no such state, or it can't be read as these types.
    pub fn entries<K: DeserializeOwned + 'static, V: DeserializeOwned + 'static>(
        &self,
        uid: &str,
        state: &str,
    ) -> Result<Entries<'_, K, V>> {
        entries_of(Operator::of(&self.operators, uid)?, uid, state)
    }
}

pub(crate) fn entries_of<'a, K: DeserializeOwned + 'static, V: DeserializeOwned + 'static>(
    operator: &'a Operator,
    uid: &str,
    state: &str,
) -> Result<Entries<'a, K, V>> {
    let (description, groups) = operator.state(uid, state)?;
    let stored = Described::parse(&description.value_type);
    if description.ttl_ms.is_some() && matches!(stored.root, Type::Map(..)) {
        let what = "way to read a map state with TTL by type: read it as batches";
        return Err(Error::Missing(what.to_owned()));
    }
    let key = decode_key::<K>(operator.key_type.as_deref().unwrap_or_default())?;
    let value = decode_value::<V>(description)?;
    let times = match (description.ttl_ms, description.kind.as_str()) {
        (None, _) => Type::Unit,
        (Some(_), "list") => Type::List(Box::new(Type::Time)),
        (Some(_), _) => Type::Time,
    };
    let blocks = groups.values().map(|(_, bytes)| &bytes[..]).collect::<Vec<_>>().into_iter();
    let names = (uid.to_owned(), state.to_owned());
    let (rest, types) = (&[][..], PhantomData);
    Ok(Entries { names, blocks, rest, key, value, times, types })
}

/// The entries of a keyed state.
pub struct Entries<'a, K, V> {
    names: (String, String),
    blocks: std::vec::IntoIter<&'a [u8]>,
    rest: &'a [u8],
    key: Decode<K>,
    value: Decode<V>,
    /// What stands behind a value.
    times: Type,
    types: PhantomData<fn() -> (K, V)>,
}

impl<K, V> Entries<'_, K, V> {
    fn take(&mut self) -> Result<(K, V)> {
        let (uid, state) = &self.names;
        let damaged = |source| Error::Value { uid: uid.clone(), state: state.clone(), source };
        let key = (self.key)(&mut self.rest).map_err(damaged)?;
        let value = (self.value)(&mut self.rest).map_err(damaged)?;
        skip(&mut self.rest, &self.times, &Default::default())
            .map_err(tidegate_canonical::CanonicalError::from)?;
        Ok((key, value))
    }
}

impl<K, V> Iterator for Entries<'_, K, V> {
    type Item = Result<(K, V)>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.rest.is_empty() {
            self.rest = self.blocks.next()?;
        }
        let taken = self.take();
        if taken.is_err() {
            // Where the next one begins is not known.
            (self.rest, self.blocks) = (&[], Vec::new().into_iter());
        }
        Some(taken)
    }
}

/// Bytes with what names them.
pub(crate) type Files = BTreeMap<String, Bytes>;

//! A property of types: either a job refuses one when it starts, and names the attribute, or all of its
//! values survive: a checkpoint, a savepoint in canonical form, a field that is added, and the way to
//! another process; as value, list, map, key and record.
//!
//! The types are made up, with serde's attributes combined at random (`cargo xtask types`), and of each
//! it is known whether one of its attributes makes it write something else than it reads.

mod generated;
mod live;
mod random;

use std::{
    fmt::Debug,
    sync::{Arc, Mutex},
};

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tidegate::{
    MaxParallelism,
    connector::{
        Batch, BatchType,
        batch::{AnyBatch, typed},
    },
    savepoint::{Savepoint, SavepointWriter},
};
use tidegate_snapshot::{
    codec,
    manifest::StateDescription,
    segment::{KeyedSegmentReader, KeyedSegmentWriter},
};
use tidegate_state::{
    Key, KeyedBackend, RestoreSource, check_key, check_type, declared::decode_value,
    type_description,
};
use tidegate_types::{KeyGroupRange, time::SystemClock};

use random::{Random, Randomness, one_of};

/// How many values of each type there are.
const VALUES: u32 = 1_000;

const MAX: u32 = 8;

/// A type, and what is expected of it.
pub(crate) struct Case {
    name: &'static str,
    /// Of which words a refusal has to contain one; none if it is not to be refused.
    refused: &'static [&'static str],
    check: fn() -> Result<(), String>,
    survives: fn(&str),
}

trait Value:
    Random + Clone + Debug + PartialEq + Send + Sync + Serialize + DeserializeOwned + 'static
{
}

impl<T: Random + Clone + Debug + PartialEq + Send + Sync + Serialize + DeserializeOwned + 'static>
    Value for T
{
}

impl Case {
    /// A type that can't be a key.
    pub(crate) fn value<T: Value>(name: &'static str, refused: &'static [&'static str]) -> Self {
        let check = || check_type::<T>().map_err(|error| error.to_string());
        Self { name, refused, check, survives: survives_in_bytes::<T> }
    }

    /// One that can.
    pub(crate) fn key<T: Value + Eq>(name: &'static str, refused: &'static [&'static str]) -> Self {
        let check = || {
            check_type::<T>().map_err(|error| error.to_string())?;
            check_key::<T>().map_err(|error| error.to_string())
        };
        Self { check, ..Self::value::<T>(name, refused) }
    }

    /// One that is no key, since it has no order.
    pub(crate) fn unordered<T: Value + Eq>(
        name: &'static str,
        refused: &'static [&'static str],
    ) -> Self {
        let survives = |name: &str| {
            survives_in_bytes::<T>(name);
            let error = check_key::<T>().expect_err("it has no order").to_string();
            assert!(error.contains("is no type for keys"), "{name}: {error}");
        };
        Self { survives, ..Self::value::<T>(name, refused) }
    }

    pub(crate) fn value_in_states<T: Value>(
        name: &'static str,
        refused: &'static [&'static str],
    ) -> Self {
        Self { survives: survives_as_value::<T>, ..Self::value::<T>(name, refused) }
    }

    pub(crate) fn key_in_states<T: Value + Eq>(
        name: &'static str,
        refused: &'static [&'static str],
    ) -> Self {
        let survives = |name: &str| {
            survives_as_value::<T>(name);
            survives_as_key::<T>(name);
        };
        Self { survives, ..Self::key::<T>(name, refused) }
    }

    pub(crate) fn unordered_in_states<T: Value + Eq>(
        name: &'static str,
        refused: &'static [&'static str],
    ) -> Self {
        Self { survives: survives_as_value::<T>, ..Self::unordered::<T>(name, refused) }
    }

    fn run(&self) {
        match (self.check)() {
            Ok(()) => {
                assert!(
                    self.refused.is_empty(),
                    "{} should be refused: {:?}",
                    self.name,
                    self.refused
                );
                (self.survives)(self.name);
            }
            Err(error) => {
                let is_named = self.refused.iter().any(|word| error.contains(word));
                assert!(is_named, "{}: {error}: none of {:?}", self.name, self.refused);
            }
        }
    }
}

/// What a state holds before, and after a field has been added.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Before<T> {
    value: T,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct After<T> {
    #[serde(default = "seven")]
    more: u8,
    value: T,
}

fn seven() -> u8 {
    7
}

fn values<T: Value>() -> Vec<T> {
    let random = &mut Randomness(7);
    (0..VALUES).map(|_| T::random(random)).collect()
}

fn backend<K: Key>() -> KeyedBackend<K> {
    let max = MaxParallelism::new(MAX).expect("in bounds");
    KeyedBackend::new(KeyGroupRange { start: 0, end: MAX }, max, Arc::new(SystemClock))
}

/// A checkpoint of `before`, restored into `after`.
fn hand_over<K: Key>(before: &mut KeyedBackend<K>, after: &mut KeyedBackend<K>) {
    let groups = before.range();
    let (states, snapshot): (Vec<StateDescription>, _) = before.snapshot();
    let mut writer = KeyedSegmentWriter::new(groups);
    snapshot.encode(&mut writer).expect("it is encoded");
    let segment = KeyedSegmentReader::open(writer.finish().into()).expect("just written");
    let key_type = before.key_type();
    let source = RestoreSource::of_segment(segment, groups, &states, key_type);
    assert_eq!(after.restore(&[source]).expect("it is restored"), Vec::<String>::new());
}

/// What states, savepoints and streams are made of: bytes that are read as the same type, and as one
/// that has a field more.
fn survives_in_bytes<T: Value>(name: &str) {
    let described = StateDescription {
        id: 0,
        name: "value".to_owned(),
        kind: "value".to_owned(),
        value_type: type_description::<Before<T>>(),
        ttl_ms: None,
    };
    let carry = decode_value::<After<T>>(&described).expect("a field is added");
    for value in values::<T>() {
        let mut bytes = Vec::new();
        codec::encode(&Before { value: value.clone() }, &mut bytes).expect("it is encoded");
        let again = codec::decode_exact::<Before<T>>(&bytes).expect("it is read");
        assert_eq!(again.value, value, "{name}");
        let after = carry(&mut bytes.as_slice()).expect("it is carried over");
        assert_eq!(after, After { more: 7, value }, "{name}");
    }
    survives_the_network(name, values::<T>());
}

fn survives_as_value<T: Value>(name: &str) {
    let values = values::<T>();
    survives_a_checkpoint(name, &values);
    survives_a_savepoint(name, &values);
    survives_the_network(name, values);
}

fn survives_the_network<T: Value>(name: &str, values: Vec<T>) {
    let batch = Batch::from(values);
    let bytes = batch.encode().expect("it is encoded");
    let again = BatchType::of::<T>().decode(&bytes).expect("it is a batch");
    assert!(typed::<T>(again) == batch, "{name}: another record arrives");
}

fn survives_a_checkpoint<T: Value>(name: &str, values: &[T]) {
    let (mut before, mut after) = (backend::<u32>(), backend::<u32>());
    let mut value = before.value_state::<Before<T>>("value", None).expect("a name");
    let mut list = before.list_state::<T>("list", None).expect("a name");
    let mut map = before.map_state::<u8, T>("map", None).expect("a name");
    for (number, it) in (0..).zip(values) {
        before.set_current_key(number);
        value.set(Before { value: it.clone() });
        list.add_all([it.clone(), it.clone()]);
        map.put(3, it.clone());
    }
    let value = after.value_state::<After<T>>("value", None).expect("a name");
    let list = after.list_state::<T>("list", None).expect("a name");
    let map = after.map_state::<u8, T>("map", None).expect("a name");
    hand_over(&mut before, &mut after);
    for (number, it) in (0..).zip(values) {
        after.set_current_key(number);
        let expected = After { more: 7, value: it.clone() };
        assert_eq!(value.get(), Some(expected), "{name}");
        assert_eq!(list.get(), [it.clone(), it.clone()], "{name}");
        assert_eq!(map.get(&3).as_ref(), Some(it), "{name}");
    }
}

fn survives_a_savepoint<T: Value>(name: &str, values: &[T]) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("savepoint").display().to_string();
    let entries = || (0..).zip(values.iter().cloned());
    let mut writer = SavepointWriter::new("types");
    let before = entries().map(|(number, value): (u32, T)| (number, Before { value }));
    writer.value_state("it", "value", before).expect("it is written");
    let lists = entries().map(|(number, value): (u32, T)| (number, vec![value]));
    writer.list_state("it", "list", lists).expect("it is written");
    writer.write(&path).expect("it is written");
    let savepoint = Savepoint::open(&path).expect("just written");
    let mut count = 0;
    for entry in savepoint.entries::<u32, After<T>>("it", "value").expect("it is there") {
        let (number, after) = entry.expect("it is read");
        let expected = After { more: 7, value: values[number as usize].clone() };
        assert_eq!(after, expected, "{name}");
        count += 1;
    }
    for entry in savepoint.entries::<u32, Vec<T>>("it", "list").expect("it is there") {
        let (number, list) = entry.expect("it is read");
        assert_eq!(list, [values[number as usize].clone()], "{name}");
        count += 1;
    }
    assert_eq!(count, 2 * VALUES, "{name}");
}

fn survives_as_key<T: Value + Eq>(name: &str) {
    let values = values::<T>();
    let (mut before, mut after) = (backend::<T>(), backend::<T>());
    let mut last = before.value_state::<u32>("last", None).expect("a name");
    let mut seen = before.map_state::<T, u32>("seen", None).expect("a name");
    for (number, it) in (0..).zip(&values) {
        before.set_current_key(it.clone());
        last.set(number);
        seen.put(it.clone(), number);
    }
    let last = after.value_state::<u32>("last", None).expect("a name");
    let seen = after.map_state::<T, u32>("seen", None).expect("a name");
    hand_over(&mut before, &mut after);
    for it in &values {
        after.set_current_key(it.clone());
        let number = last.get().expect("the key is found");
        assert_eq!(values[number as usize], *it, "{name}");
        assert_eq!(seen.get(it), Some(number), "{name}");
    }
}

#[test]
fn a_type_is_refused_with_its_attribute_or_its_values_survive() {
    let cases = generated::all();
    let refused = cases.iter().filter(|case| !case.refused.is_empty()).count();
    assert!(refused > 40 && cases.len() - refused > 100, "{refused} of {}", cases.len());
    let waiting = Mutex::new(cases);
    let next = || waiting.lock().expect("no panic").pop();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while let Some(case) = next() {
                    case.run();
                }
            });
        }
    });
}

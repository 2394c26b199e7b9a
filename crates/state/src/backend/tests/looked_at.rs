//! Keys and values that show only when they come that they can't be kept.

use tidegate_snapshot::segment::KeyedSegmentWriter;
use tidegate_types::KeyHash;

use super::{StateTtl, all_groups, backend, max};

/// A name, whatever its case.
#[derive(Clone, serde::Serialize, serde::Deserialize)]
struct Name(String);

impl PartialEq for Name {
    fn eq(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}

impl Eq for Name {}

/// Why two names that are one to their `Eq`, and two to whoever reads their bytes, are no keys of what
/// `put` keeps by them.
fn no_keys(mut put: impl FnMut(Name)) -> String {
    put(Name("ada".to_owned()));
    let other_case = || put(Name("ADA".to_owned()));
    let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(other_case));
    let error = caught.expect_err("they are no keys").downcast::<tidegate_types::BoxError>();
    error.expect("an error that no restart mends").to_string()
}

#[test]
fn keys_of_each_state_and_of_maps_are_looked_at_when_that_is_asked_for() {
    // In debug builds always; here also where they are built otherwise.
    let expected = "Name` is no type for keys: keys that its `Eq` takes for one";
    let mut single = crate::SingleTable::<Name, u8>::new("single", all_groups(), max());
    single.table_mut().check_keys();
    let message = no_keys(|name| _ = single.table_mut().insert(KeyHash::of(&name), &name, 1));
    assert!(message.contains(expected), "{message}");

    let mut many = backend::<Name>(all_groups());
    many.check_keys();
    let (mut one, mut other) = (
        many.value_state::<u8>("one", None).unwrap(),
        many.list_state::<u8>("other", None).unwrap(),
    );
    let message = no_keys(|name| {
        many.set_current_key(name);
        one.set(1);
    });
    assert!(message.contains(expected), "{message}");
    let message = no_keys(|name| {
        many.set_current_key(name);
        other.add(1);
    });
    assert!(message.contains(expected), "{message}");

    let mut maps = backend::<u8>(all_groups());
    maps.check_keys();
    for ttl in [None, Some(StateTtl::new(std::time::Duration::from_secs(60)))] {
        let name = if ttl.is_some() { "timed" } else { "map" };
        let mut map = maps.map_state::<Name, u8>(name, ttl).unwrap();
        maps.set_current_key(1);
        let message = no_keys(|name| map.put(name, 1));
        assert!(message.contains(expected), "{message}");
    }
}

/// Is written otherwise than it is read if it is this one.
const ODD: u64 = 31_337;

/// What no value that is made up shows: one number of many is written as a narrower one.
#[derive(Clone, serde::Deserialize)]
enum Event {
    Opened(u64),
    Closed(u64),
}

impl serde::Serialize for Event {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (index, variant, number) = match self {
            Self::Opened(number) => (0, "Opened", *number),
            Self::Closed(number) => (1, "Closed", *number),
        };
        match number {
            ODD => serializer.serialize_newtype_variant("Event", index, variant, &(number as u8)),
            _ => serializer.serialize_newtype_variant("Event", index, variant, &number),
        }
    }
}

/// Takes a snapshot of a state with these values.
fn written(values: impl IntoIterator<Item = Event>) -> Result<(), String> {
    let mut backend = backend::<u64>(all_groups());
    let mut state = backend.value_state::<Event>("it", None).unwrap();
    backend.declaration().expect("made-up values are written as they are read");
    for (key, value) in (0..).zip(values) {
        backend.set_current_key(key);
        state.set(value);
    }
    let (_, snapshot) = backend.snapshot();
    let mut writer = KeyedSegmentWriter::new(all_groups());
    let encode = move || snapshot.encode(&mut writer).map_err(|error| error.to_string());
    std::thread::spawn(encode).join().expect("the encoder does not panic")
}

#[test]
fn a_value_that_is_written_otherwise_than_it_is_read_is_found_before_its_snapshot_counts() {
    let good = |count| (0..count).map(Event::Opened);
    assert_eq!(written(good(500)), Ok(()));
    let message = written(good(50).chain([Event::Opened(ODD)])).expect_err("among the first");
    assert!(message.starts_with("a value of the state `it` can't be written"), "{message}");
    // Whenever a variant comes for the first time.
    let seldom = written(good(5_000).chain([Event::Closed(ODD)]));
    assert!(seldom.is_err(), "a variant that has not been written yet");
}

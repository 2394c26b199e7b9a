//! Looks at keys as they come, in debug builds and where it is asked for: whether each is written
//! in one way, and whether those that are equal are written alike.
//!
//! A table finds a key by the hash of its bytes, and knows it by its `Eq`: the two have to agree. Types
//! whose collections have no order are refused before (`check_key`); an `Eq` of somebody's own shows in
//! the keys alone.

use tidegate_snapshot::codec;
use tidegate_types::{ErrorKind, key_group::key_bytes};

use crate::Key;

/// How many keys are looked at.
const FIRST: usize = 1_000;

/// The keys that have come, with their bytes.
pub(crate) struct KeyCheck<K> {
    seen: Vec<(K, Vec<u8>)>,
}

impl<K> Default for KeyCheck<K> {
    fn default() -> Self {
        Self { seen: Vec::new() }
    }
}

impl<K> KeyCheck<K> {
    /// One, in debug builds or if it is asked for.
    pub(crate) fn if_asked(asked: bool) -> Option<Box<Self>> {
        (asked || cfg!(debug_assertions)).then(Box::default)
    }
}

impl<K: Key> KeyCheck<K> {
    /// Looks at a key that a table, or a map, does not have; `None` when it was the last one to be
    /// looked at.
    ///
    /// # Panics
    ///
    /// When it is no key: with an error that no restart mends.
    pub(crate) fn look_at(mut self: Box<Self>, key: &K) -> Option<Box<Self>> {
        let Ok(bytes) = key_bytes(key) else { return Some(self) };
        if let Err(problem) = self.check(key, &bytes) {
            ErrorKind::Invalid
                .throw(format!("`{}` is no type for keys: {problem}", std::any::type_name::<K>()));
        }
        self.seen.push((key.clone(), bytes));
        (self.seen.len() < FIRST).then_some(self)
    }

    fn check(&self, key: &K, bytes: &[u8]) -> Result<(), &'static str> {
        let mut written = Vec::new();
        if codec::encode(key, &mut written).is_ok()
            && let Ok(again) = codec::decode_exact::<K>(&written)
        {
            if again != *key {
                return Err("a key that was written and read is another one");
            }
            if key_bytes(&again).is_ok_and(|again| again != bytes) {
                return Err("a key that was written and read is written in another way");
            }
        }
        let is_alike = |(seen, of_seen): &(K, Vec<u8>)| (seen == key) == (of_seen == bytes);
        if self.seen.iter().all(is_alike) {
            return Ok(());
        }
        Err("keys that its `Eq` takes for one are written differently, or the other way round")
    }
}

#[cfg(test)]
mod tests {
    use serde::{Deserialize, Deserializer, Serialize};

    use super::*;

    /// A name, whatever its case.
    #[derive(Clone, Serialize, Deserialize)]
    struct Name(String);

    impl PartialEq for Name {
        fn eq(&self, other: &Self) -> bool {
            self.0.eq_ignore_ascii_case(&other.0)
        }
    }

    impl Eq for Name {}

    /// A number, which is written with another one each time that it is read.
    #[derive(Clone, Serialize)]
    struct Restless(u64, u64);

    impl<'de> Deserialize<'de> for Restless {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            let (number, turn) = <(u64, u64)>::deserialize(deserializer)?;
            Ok(Self(number, turn + 1))
        }
    }

    impl PartialEq for Restless {
        fn eq(&self, other: &Self) -> bool {
            self.0 == other.0
        }
    }

    impl Eq for Restless {}

    /// A number that is read as the next one.
    #[derive(Clone, PartialEq, Eq, Serialize)]
    struct Growing(u64);

    impl<'de> Deserialize<'de> for Growing {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            u64::deserialize(deserializer).map(|number| Self(number + 1))
        }
    }

    /// Why the last of some keys is none.
    fn refused<K: crate::Key>(keys: &[K]) -> String {
        let (last, before) = keys.split_last().expect("there are some");
        let look = |check: Box<KeyCheck<K>>, key| check.look_at(key).expect("there are few");
        let check = before.iter().fold(Box::default(), look);
        let look_at_last = || drop(check.look_at(last));
        let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(look_at_last));
        let error = caught.expect_err("it is no key").downcast::<tidegate_types::BoxError>();
        let error = error.expect("an error");
        assert_eq!(ErrorKind::marked(&**error), Some(ErrorKind::Invalid));
        error.to_string()
    }

    #[test]
    fn an_eq_that_does_not_agree_with_the_bytes_is_found() {
        let names = ["ada", "bob", "bob", "ADA"].map(|name| Name(name.to_owned()));
        let message = refused(&names);
        assert!(message.contains("keys that its `Eq` takes for one"), "{message}");
    }

    #[test]
    fn a_key_that_is_written_in_several_ways_or_read_as_another_one_is_found() {
        let message = refused(&[Restless(1, 0)]);
        assert!(message.contains("is written in another way"), "{message}");
        let message = refused(&[Growing(1)]);
        assert!(message.contains("written and read is another one"), "{message}");
    }

    #[test]
    fn the_first_thousand_keys_are_looked_at() {
        let mut check = Some(Box::<KeyCheck<u64>>::default());
        for key in 0..FIRST as u64 {
            check = check.expect("they are fewer").look_at(&key);
        }
        assert!(check.is_none(), "it costs nothing from then on");
    }
}

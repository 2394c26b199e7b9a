//! Looks at keys as they come, in debug builds: whether each is written in one way, and whether those
//! that are equal are written alike.
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
pub(super) struct KeyCheck<K> {
    seen: Vec<(K, Vec<u8>)>,
}

impl<K> Default for KeyCheck<K> {
    fn default() -> Self {
        Self { seen: Vec::new() }
    }
}

impl<K: Key> KeyCheck<K> {
    /// Looks at a key that the table does not have.
    ///
    /// # Panics
    ///
    /// When it is no key: with an error that no restart mends.
    pub(super) fn look_at(&mut self, key: &K) {
        if self.seen.len() >= FIRST {
            return;
        }
        let Ok(bytes) = key_bytes(key) else { return };
        if let Err(problem) = self.check(key, &bytes) {
            ErrorKind::Invalid
                .throw(format!("`{}` is no type for keys: {problem}", std::any::type_name::<K>()));
        }
        self.seen.push((key.clone(), bytes));
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
    use serde::{Deserialize, Serialize};

    use super::KeyCheck;

    /// A name, whatever its case.
    #[derive(Clone, Serialize, Deserialize)]
    struct Name(String);

    impl PartialEq for Name {
        fn eq(&self, other: &Self) -> bool {
            self.0.eq_ignore_ascii_case(&other.0)
        }
    }

    impl Eq for Name {}

    #[test]
    fn an_eq_that_does_not_agree_with_the_bytes_is_found() {
        let mut check = KeyCheck::default();
        check.look_at(&Name("ada".to_owned()));
        check.look_at(&Name("bob".to_owned()));
        check.look_at(&Name("bob".to_owned()));
        let other_case = || check.look_at(&Name("ADA".to_owned()));
        let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(other_case));
        let error = caught.expect_err("it is no key").downcast::<tidegate_types::BoxError>();
        let message = error.expect("an error").to_string();
        assert!(message.contains("keys that its `Eq` takes for one"), "{message}");
    }
}

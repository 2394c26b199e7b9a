//! Values of any type, made up from a number.

use std::{
    collections::{BTreeMap, HashMap},
    hash::Hash,
};

/// Makes values up.
pub(crate) struct Randomness(pub(crate) u64);

impl Randomness {
    fn next(&mut self) -> u64 {
        // SplitMix64 (Steele, Lea and Flood 2014).
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }
}

/// What values can be made up of.
pub(crate) trait Random {
    fn random(random: &mut Randomness) -> Self;
}

macro_rules! numbers {
    ($($number:ty),*) => {
        $(
            impl Random for $number {
                fn random(random: &mut Randomness) -> Self {
                    match random.below(8) {
                        0 => <$number>::MIN,
                        1 => <$number>::MAX,
                        2 | 3 => random.below(4) as $number,
                        _ => random.next() as $number,
                    }
                }
            }
        )*
    };
}

numbers!(u8, u16, u32, u64, u128, i8, i16, i32, i64, i128, f64);

impl Random for () {
    fn random(_random: &mut Randomness) {}
}

impl Random for bool {
    fn random(random: &mut Randomness) -> Self {
        random.below(2) == 0
    }
}

impl Random for char {
    fn random(random: &mut Randomness) -> Self {
        ['a', '\0', 'ß', '月', '🌊'][random.below(5) as usize]
    }
}

impl Random for String {
    fn random(random: &mut Randomness) -> Self {
        (0..random.below(6)).map(|_| char::random(random)).collect()
    }
}

impl<A: Random, B: Random> Random for (A, B) {
    fn random(random: &mut Randomness) -> Self {
        (A::random(random), B::random(random))
    }
}

impl Random for [i16; 3] {
    fn random(random: &mut Randomness) -> Self {
        std::array::from_fn(|_| i16::random(random))
    }
}

impl<T: Random> Random for Option<T> {
    fn random(random: &mut Randomness) -> Self {
        bool::random(random).then(|| T::random(random))
    }
}

impl<T: Random> Random for Vec<T> {
    fn random(random: &mut Randomness) -> Self {
        (0..random.below(4)).map(|_| T::random(random)).collect()
    }
}

impl<K: Random + Ord, V: Random> Random for BTreeMap<K, V> {
    fn random(random: &mut Randomness) -> Self {
        Vec::random(random).into_iter().collect()
    }
}

impl<K: Random + Hash + Eq, V: Random> Random for HashMap<K, V> {
    fn random(random: &mut Randomness) -> Self {
        Vec::random(random).into_iter().collect()
    }
}

impl Random for serde_json::Value {
    fn random(random: &mut Randomness) -> Self {
        serde_json::json!({ "number": random.below(9) })
    }
}

/// Writes a number as a text, and reads it.
pub(crate) mod as_text {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(crate) fn serialize<S: Serializer>(number: &u64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(number)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

/// An enum with each of these types as a variant.
macro_rules! one_of {
    ($name:ident, [$($derived:ident)?], [$($of:ident),*]) => {
        #[derive(Clone, Debug, PartialEq, $($derived,)? Serialize, Deserialize)]
        pub enum $name {
            $($of($of)),*
        }

        impl Random for $name {
            fn random(random: &mut Randomness) -> Self {
                let all: &[fn(&mut Randomness) -> Self] =
                    &[$(|random| Self::$of(Random::random(random))),*];
                all[random.below(all.len() as u64) as usize](random)
            }
        }
    };
}

pub(crate) use one_of;

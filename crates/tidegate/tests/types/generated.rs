//! Made by `cargo xtask types`; not to be edited.

#![expect(clippy::all, clippy::pedantic, reason = "nobody has written it")]
#![allow(
    dead_code,
    unreachable_pub,
    unused_variables,
    reason = "some types use neither all of their fields nor chance"
)]

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};

use super::{
    Case, one_of,
    random::{Random, Randomness},
};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum T0 {
    V0 {
        f0: i32,
        #[serde(default)]
        f1: u64,
    },
    #[serde(rename = "R1")]
    V1(Option<i32>, u8, Option<i8>),
}

impl Random for T0 {
    fn random(random: &mut Randomness) -> Self {
        match random.below(2) {
            0 => Self::V0 { f0: Random::random(random), f1: Random::random(random) },
            1 => Self::V1(Random::random(random), Random::random(random), Random::random(random)),
            _ => unreachable!(),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct T1;

impl Random for T1 {
    fn random(random: &mut Randomness) -> Self {
        Self
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct T2 {
    f0: Option<i16>,
    f1: Vec<BTreeMap<String, Option<f64>>>,
}

impl Random for T2 {
    fn random(random: &mut Randomness) -> Self {
        Self { f0: Random::random(random), f1: Random::random(random) }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct T3;

impl Random for T3 {
    fn random(random: &mut Randomness) -> Self {
        Self
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum T4 {
    V0(String),
    V1 {
        #[serde(default)]
        f0: String,
        f1: String,
    },
}

impl Random for T4 {
    fn random(random: &mut Randomness) -> Self {
        match random.below(2) {
            0 => Self::V0(Random::random(random)),
            1 => Self::V1 { f0: Random::random(random), f1: Random::random(random) },
            _ => unreachable!(),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct T5 {
    #[serde(rename = "n0")]
    f0: i128,
}

impl Random for T5 {
    fn random(random: &mut Randomness) -> Self {
        Self { f0: Random::random(random) }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct T6 {
    f0: bool,
    #[serde(rename(serialize = "w1"))]
    f1: T2,
}

impl Random for T6 {
    fn random(random: &mut Randomness) -> Self {
        Self { f0: Random::random(random), f1: Random::random(random) }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct T7(i8, (u16, ()), String);

impl Random for T7 {
    fn random(random: &mut Randomness) -> Self {
        Self(Random::random(random), Random::random(random), Random::random(random))
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct T8(Option<()>);

impl Random for T8 {
    fn random(random: &mut Randomness) -> Self {
        Self(Random::random(random))
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum T9 {
    V0(u64, (u8, String), f64),
    V1(u32, u64, Option<i8>, BTreeMap<String, u16>),
    V2,
    V3(bool),
    V4 {
        #[serde(rename = "n0")]
        f0: T8,
        f1: u64,
        f2: Option<(u16, Option<String>)>,
    },
}

impl Random for T9 {
    fn random(random: &mut Randomness) -> Self {
        match random.below(5) {
            0 => Self::V0(Random::random(random), Random::random(random), Random::random(random)),
            1 => Self::V1(
                Random::random(random),
                Random::random(random),
                Random::random(random),
                Random::random(random),
            ),
            2 => Self::V2,
            3 => Self::V3(Random::random(random)),
            4 => Self::V4 {
                f0: Random::random(random),
                f1: Random::random(random),
                f2: Random::random(random),
            },
            _ => unreachable!(),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct T10(Option<u16>);

impl Random for T10 {
    fn random(random: &mut Randomness) -> Self {
        Self(Random::random(random))
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct T11 {
    f0: T4,
    f1: u16,
}

impl Random for T11 {
    fn random(random: &mut Randomness) -> Self {
        Self { f0: Random::random(random), f1: Random::random(random) }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct T12(BTreeMap<String, i16>, (u16, Vec<i128>), Option<BTreeMap<String, Option<i8>>>);

impl Random for T12 {
    fn random(random: &mut Randomness) -> Self {
        Self(Random::random(random), Random::random(random), Random::random(random))
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum T13 {
    V0(u8, Option<i128>, BTreeMap<String, [i16; 3]>, (u8, String)),
    V1 {
        #[serde(rename = "n0")]
        f0: u64,
        f1: i32,
        #[serde(rename = "n2")]
        f2: Option<T10>,
    },
}

impl Random for T13 {
    fn random(random: &mut Randomness) -> Self {
        match random.below(2) {
            0 => Self::V0(
                Random::random(random),
                Random::random(random),
                Random::random(random),
                Random::random(random),
            ),
            1 => Self::V1 {
                f0: Random::random(random),
                f1: Random::random(random),
                f2: Random::random(random),
            },
            _ => unreachable!(),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum T14 {
    V0(T4, i8, serde_json::Value),
    #[serde(rename = "R1")]
    V1 {
        #[serde(rename(serialize = "w0"))]
        f0: u8,
    },
    V2 {
        f0: i128,
        f1: Option<char>,
        #[serde(alias = "a2")]
        f2: HashMap<String, u8>,
    },
    V3(Vec<Option<BTreeMap<String, f64>>>),
    V4(Vec<char>, (u8, String), BTreeMap<String, Option<Option<String>>>, String),
}

impl Random for T14 {
    fn random(random: &mut Randomness) -> Self {
        match random.below(5) {
            0 => Self::V0(Random::random(random), Random::random(random), Random::random(random)),
            1 => Self::V1 { f0: Random::random(random) },
            2 => Self::V2 {
                f0: Random::random(random),
                f1: Random::random(random),
                f2: Random::random(random),
            },
            3 => Self::V3(Random::random(random)),
            4 => Self::V4(
                Random::random(random),
                Random::random(random),
                Random::random(random),
                Random::random(random),
            ),
            _ => unreachable!(),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct T15;

impl Random for T15 {
    fn random(random: &mut Randomness) -> Self {
        Self
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct T16(bool, (u16, Vec<Option<char>>), i64);

impl Random for T16 {
    fn random(random: &mut Randomness) -> Self {
        Self(Random::random(random), Random::random(random), Random::random(random))
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct T17(u16, f64, bool, Vec<f64>);

impl Random for T17 {
    fn random(random: &mut Randomness) -> Self {
        Self(
            Random::random(random),
            Random::random(random),
            Random::random(random),
            Random::random(random),
        )
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct T18([i16; 3]);

impl Random for T18 {
    fn random(random: &mut Randomness) -> Self {
        Self(Random::random(random))
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind")]
pub enum T19 {
    V0 {
        f0: Vec<String>,
        #[serde(rename(serialize = "w1"))]
        f1: serde_json::Value,
    },
    V1,
    V2,
    #[serde(rename = "R3")]
    V3,
    V4,
}

impl Random for T19 {
    fn random(random: &mut Randomness) -> Self {
        match random.below(5) {
            0 => Self::V0 { f0: Random::random(random), f1: Random::random(random) },
            1 => Self::V1,
            2 => Self::V2,
            3 => Self::V3,
            4 => Self::V4,
            _ => unreachable!(),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum T20 {
    V0(Vec<bool>, BTreeMap<String, i128>),
    V1 {
        f0: Vec<Option<bool>>,
        #[serde(default, skip_serializing_if = "String::is_empty")]
        f1: String,
    },
    V2(u16),
    V3 {
        #[serde(alias = "a0")]
        f0: HashMap<String, u8>,
    },
    V4(String),
}

impl Random for T20 {
    fn random(random: &mut Randomness) -> Self {
        match random.below(5) {
            0 => Self::V0(Random::random(random), Random::random(random)),
            1 => Self::V1 { f0: Random::random(random), f1: Random::random(random) },
            2 => Self::V2(Random::random(random)),
            3 => Self::V3 { f0: Random::random(random) },
            4 => Self::V4(Random::random(random)),
            _ => unreachable!(),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum T21 {
    V0,
    V1(T15),
    V2,
}

impl Random for T21 {
    fn random(random: &mut Randomness) -> Self {
        match random.below(3) {
            0 => Self::V0,
            1 => Self::V1(Random::random(random)),
            2 => Self::V2,
            _ => unreachable!(),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum T22 {
    #[serde(rename = "R0")]
    V0,
    V1(Option<Vec<f64>>, T10, i128, T7),
}

impl Random for T22 {
    fn random(random: &mut Randomness) -> Self {
        match random.below(2) {
            0 => Self::V0,
            1 => Self::V1(
                Random::random(random),
                Random::random(random),
                Random::random(random),
                Random::random(random),
            ),
            _ => unreachable!(),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct T23(char, T13, Vec<i16>, i128);

impl Random for T23 {
    fn random(random: &mut Randomness) -> Self {
        Self(
            Random::random(random),
            Random::random(random),
            Random::random(random),
            Random::random(random),
        )
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum T24 {
    #[serde(rename = "R0")]
    V0,
    V1(i128, i128, i64, u64),
    V2,
    V3,
    V4 {
        #[serde(rename = "n0")]
        f0: T1,
        #[serde(skip_deserializing)]
        f1: u128,
        f2: i64,
        #[serde(default)]
        f3: f64,
    },
}

impl Random for T24 {
    fn random(random: &mut Randomness) -> Self {
        match random.below(5) {
            0 => Self::V0,
            1 => Self::V1(
                Random::random(random),
                Random::random(random),
                Random::random(random),
                Random::random(random),
            ),
            2 => Self::V2,
            3 => Self::V3,
            4 => Self::V4 {
                f0: Random::random(random),
                f1: Random::random(random),
                f2: Random::random(random),
                f3: Random::random(random),
            },
            _ => unreachable!(),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct T25(Vec<u8>);

impl Random for T25 {
    fn random(random: &mut Randomness) -> Self {
        Self(Random::random(random))
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct T26 {
    f0: char,
}

impl Random for T26 {
    fn random(random: &mut Randomness) -> Self {
        Self { f0: Random::random(random) }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct T27 {
    f0: char,
    f1: T2,
    f2: Option<i8>,
}

impl Random for T27 {
    fn random(random: &mut Randomness) -> Self {
        Self { f0: Random::random(random), f1: Random::random(random), f2: Random::random(random) }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct T28 {
    f0: T27,
    f1: String,
}

impl Random for T28 {
    fn random(random: &mut Randomness) -> Self {
        Self { f0: Random::random(random), f1: Random::random(random) }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct T29 {
    f0: (u8, String),
    f1: HashMap<String, u8>,
}

impl Random for T29 {
    fn random(random: &mut Randomness) -> Self {
        Self { f0: Random::random(random), f1: Random::random(random) }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum T30 {
    #[serde(rename = "R0")]
    V0((u16, [i16; 3]), i64, Vec<(u16, Option<u64>)>),
    V1 {
        f0: Option<T6>,
    },
}

impl Random for T30 {
    fn random(random: &mut Randomness) -> Self {
        match random.below(2) {
            0 => Self::V0(Random::random(random), Random::random(random), Random::random(random)),
            1 => Self::V1 { f0: Random::random(random) },
            _ => unreachable!(),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct T31 {
    f0: Vec<Option<()>>,
    f1: (u8, String),
    #[serde(rename = "n2")]
    f2: (u8, String),
}

impl Random for T31 {
    fn random(random: &mut Randomness) -> Self {
        Self { f0: Random::random(random), f1: Random::random(random), f2: Random::random(random) }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct T32 {
    #[serde(rename(serialize = "w0"))]
    f0: T13,
    f1: T23,
    #[serde(rename = "n2")]
    f2: u64,
}

impl Random for T32 {
    fn random(random: &mut Randomness) -> Self {
        Self { f0: Random::random(random), f1: Random::random(random), f2: Random::random(random) }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum T33 {
    V0 {
        f0: Option<Option<Option<i128>>>,
        #[serde(alias = "a1")]
        f1: HashMap<String, u8>,
        f2: T31,
    },
    V1(u64, i128, Option<HashMap<String, u8>>),
    #[serde(skip)]
    V2(u64, i64, u64),
    V3 {
        f0: i8,
        f1: BTreeMap<String, Vec<T21>>,
    },
    V4(Option<u64>),
}

impl Random for T33 {
    fn random(random: &mut Randomness) -> Self {
        match random.below(4) {
            0 => Self::V0 {
                f0: Random::random(random),
                f1: Random::random(random),
                f2: Random::random(random),
            },
            1 => Self::V1(Random::random(random), Random::random(random), Random::random(random)),
            2 => Self::V3 { f0: Random::random(random), f1: Random::random(random) },
            3 => Self::V4(Random::random(random)),
            _ => unreachable!(),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct T34 {
    #[serde(skip_deserializing)]
    f0: String,
    #[serde(rename = "n1")]
    f1: u32,
    f2: char,
    f3: (),
}

impl Random for T34 {
    fn random(random: &mut Randomness) -> Self {
        Self {
            f0: Random::random(random),
            f1: Random::random(random),
            f2: Random::random(random),
            f3: Random::random(random),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum T35 {
    V0 { f0: Vec<T18> },
    V1((u16, i64)),
    V2,
    V3(bool),
}

impl Random for T35 {
    fn random(random: &mut Randomness) -> Self {
        match random.below(4) {
            0 => Self::V0 { f0: Random::random(random) },
            1 => Self::V1(Random::random(random)),
            2 => Self::V2,
            3 => Self::V3(Random::random(random)),
            _ => unreachable!(),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct T36(Vec<BTreeMap<String, u64>>);

impl Random for T36 {
    fn random(random: &mut Randomness) -> Self {
        Self(Random::random(random))
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum T37 {
    V0(u8),
    V1,
    V2 {
        f0: Vec<Option<i64>>,
        f1: Option<HashMap<String, u8>>,
        #[serde(rename = "n2")]
        f2: Option<Option<u64>>,
        f3: f64,
    },
    V3(Option<u64>, i64, HashMap<String, u8>),
    V4 {
        #[serde(rename = "n0")]
        f0: Option<Vec<f64>>,
        f1: bool,
        f2: [i16; 3],
        f3: T5,
    },
}

impl Random for T37 {
    fn random(random: &mut Randomness) -> Self {
        match random.below(5) {
            0 => Self::V0(Random::random(random)),
            1 => Self::V1,
            2 => Self::V2 {
                f0: Random::random(random),
                f1: Random::random(random),
                f2: Random::random(random),
                f3: Random::random(random),
            },
            3 => Self::V3(Random::random(random), Random::random(random), Random::random(random)),
            4 => Self::V4 {
                f0: Random::random(random),
                f1: Random::random(random),
                f2: Random::random(random),
                f3: Random::random(random),
            },
            _ => unreachable!(),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct T38 {
    f0: [i16; 3],
    f1: T7,
    f2: (u16, String),
    f3: BTreeMap<String, Option<i16>>,
}

impl Random for T38 {
    fn random(random: &mut Randomness) -> Self {
        Self {
            f0: Random::random(random),
            f1: Random::random(random),
            f2: Random::random(random),
            f3: Random::random(random),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct T39(u128);

impl Random for T39 {
    fn random(random: &mut Randomness) -> Self {
        Self(Random::random(random))
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind")]
pub enum T40 {
    V0 {
        #[serde(rename = "n0")]
        f0: Vec<(u16, String)>,
        #[serde(default)]
        f1: bool,
    },
    V1,
    V2,
    V3,
}

impl Random for T40 {
    fn random(random: &mut Randomness) -> Self {
        match random.below(4) {
            0 => Self::V0 { f0: Random::random(random), f1: Random::random(random) },
            1 => Self::V1,
            2 => Self::V2,
            3 => Self::V3,
            _ => unreachable!(),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum T41 {
    V0(i8, HashMap<String, u8>, u128),
    V1,
    V2 { f0: Vec<i8>, f1: u32 },
}

impl Random for T41 {
    fn random(random: &mut Randomness) -> Self {
        match random.below(3) {
            0 => Self::V0(Random::random(random), Random::random(random), Random::random(random)),
            1 => Self::V1,
            2 => Self::V2 { f0: Random::random(random), f1: Random::random(random) },
            _ => unreachable!(),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum T42 {
    V0(u128),
    V1((), f64, Option<char>),
    V2(serde_json::Value),
}

impl Random for T42 {
    fn random(random: &mut Randomness) -> Self {
        match random.below(3) {
            0 => Self::V0(Random::random(random)),
            1 => Self::V1(Random::random(random), Random::random(random), Random::random(random)),
            2 => Self::V2(Random::random(random)),
            _ => unreachable!(),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct T43;

impl Random for T43 {
    fn random(random: &mut Randomness) -> Self {
        Self
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct T44 {
    #[serde(default)]
    f0: f64,
    f1: T29,
}

impl Random for T44 {
    fn random(random: &mut Randomness) -> Self {
        Self { f0: Random::random(random), f1: Random::random(random) }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum T45 {
    #[serde(rename = "R0")]
    V0 {
        f0: String,
        f1: Option<u128>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        f2: Option<f64>,
        #[serde(default)]
        f3: BTreeMap<String, Option<i8>>,
    },
    V1(i32, i128, bool, Option<HashMap<String, u8>>),
    V2(String, String, i32),
    V3 {
        f0: i8,
        f1: BTreeMap<String, u64>,
    },
    V4(u64),
}

impl Random for T45 {
    fn random(random: &mut Randomness) -> Self {
        match random.below(5) {
            0 => Self::V0 {
                f0: Random::random(random),
                f1: Random::random(random),
                f2: Random::random(random),
                f3: Random::random(random),
            },
            1 => Self::V1(
                Random::random(random),
                Random::random(random),
                Random::random(random),
                Random::random(random),
            ),
            2 => Self::V2(Random::random(random), Random::random(random), Random::random(random)),
            3 => Self::V3 { f0: Random::random(random), f1: Random::random(random) },
            4 => Self::V4(Random::random(random)),
            _ => unreachable!(),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum T46 {
    V0 { f0: (u8, String) },
    V1,
}

impl Random for T46 {
    fn random(random: &mut Randomness) -> Self {
        match random.below(2) {
            0 => Self::V0 { f0: Random::random(random) },
            1 => Self::V1,
            _ => unreachable!(),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum T47 {
    V0 {
        f0: u8,
        f1: Option<Option<[i16; 3]>>,
        #[serde(skip_deserializing)]
        f2: (),
    },
    V1(i16),
}

impl Random for T47 {
    fn random(random: &mut Randomness) -> Self {
        match random.below(2) {
            0 => Self::V0 {
                f0: Random::random(random),
                f1: Random::random(random),
                f2: Random::random(random),
            },
            1 => Self::V1(Random::random(random)),
            _ => unreachable!(),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct T48(u32);

impl Random for T48 {
    fn random(random: &mut Randomness) -> Self {
        Self(Random::random(random))
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct T49(Vec<(u16, T18)>);

impl Random for T49 {
    fn random(random: &mut Randomness) -> Self {
        Self(Random::random(random))
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum T50 {
    V0 {
        f0: String,
        f1: Vec<Option<i32>>,
        f2: f64,
    },
    #[serde(skip)]
    V1 {
        f0: Option<f64>,
        f1: T46,
        f2: (),
    },
    V2(u8),
    V3 {
        #[serde(flatten)]
        f0: BTreeMap<String, i32>,
    },
    V4 {
        f0: Vec<HashMap<String, u8>>,
        f1: T46,
        #[serde(with = "super::random::as_text")]
        f2: u64,
        f3: u64,
    },
}

impl Random for T50 {
    fn random(random: &mut Randomness) -> Self {
        match random.below(4) {
            0 => Self::V0 {
                f0: Random::random(random),
                f1: Random::random(random),
                f2: Random::random(random),
            },
            1 => Self::V2(Random::random(random)),
            2 => Self::V3 { f0: Random::random(random) },
            3 => Self::V4 {
                f0: Random::random(random),
                f1: Random::random(random),
                f2: Random::random(random),
                f3: Random::random(random),
            },
            _ => unreachable!(),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum T51 {
    V0(i8, BTreeMap<String, BTreeMap<String, i128>>, (u8, String)),
    #[serde(rename = "R1")]
    V1,
    V2,
}

impl Random for T51 {
    fn random(random: &mut Randomness) -> Self {
        match random.below(3) {
            0 => Self::V0(Random::random(random), Random::random(random), Random::random(random)),
            1 => Self::V1,
            2 => Self::V2,
            _ => unreachable!(),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct T52(u64, i8, T46);

impl Random for T52 {
    fn random(random: &mut Randomness) -> Self {
        Self(Random::random(random), Random::random(random), Random::random(random))
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind")]
pub enum T53 {
    V0 {
        #[serde(rename(serialize = "w0"))]
        f0: T46,
        f1: Vec<HashMap<String, u8>>,
        f2: Option<f64>,
    },
    V1 {
        f0: u16,
        f1: u8,
        #[serde(rename = "n2")]
        f2: u128,
        f3: Vec<i128>,
    },
}

impl Random for T53 {
    fn random(random: &mut Randomness) -> Self {
        match random.below(2) {
            0 => Self::V0 {
                f0: Random::random(random),
                f1: Random::random(random),
                f2: Random::random(random),
            },
            1 => Self::V1 {
                f0: Random::random(random),
                f1: Random::random(random),
                f2: Random::random(random),
                f3: Random::random(random),
            },
            _ => unreachable!(),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum T54 {
    #[serde(rename = "R0")]
    V0 {
        f0: u64,
    },
    V1(Vec<BTreeMap<String, T27>>, T13, u32, T35),
    V2([i16; 3]),
    V3,
    V4(Vec<Vec<HashMap<String, u8>>>, Option<i32>, i32, Vec<Option<Vec<i128>>>),
}

impl Random for T54 {
    fn random(random: &mut Randomness) -> Self {
        match random.below(5) {
            0 => Self::V0 { f0: Random::random(random) },
            1 => Self::V1(
                Random::random(random),
                Random::random(random),
                Random::random(random),
                Random::random(random),
            ),
            2 => Self::V2(Random::random(random)),
            3 => Self::V3,
            4 => Self::V4(
                Random::random(random),
                Random::random(random),
                Random::random(random),
                Random::random(random),
            ),
            _ => unreachable!(),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct T55;

impl Random for T55 {
    fn random(random: &mut Randomness) -> Self {
        Self
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum T56 {
    #[serde(rename = "R0")]
    V0(BTreeMap<String, Vec<char>>),
    V1(T28, i32, (u16, u64), u16),
}

impl Random for T56 {
    fn random(random: &mut Randomness) -> Self {
        match random.below(2) {
            0 => Self::V0(Random::random(random)),
            1 => Self::V1(
                Random::random(random),
                Random::random(random),
                Random::random(random),
                Random::random(random),
            ),
            _ => unreachable!(),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct T57;

impl Random for T57 {
    fn random(random: &mut Randomness) -> Self {
        Self
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum T58 {
    #[serde(rename = "R0")]
    V0 {
        #[serde(rename(serialize = "w0"))]
        f0: u128,
    },
    V1,
    V2,
    V3(Option<T12>, HashMap<String, u8>, i64),
    V4(i128, u64, i32),
}

impl Random for T58 {
    fn random(random: &mut Randomness) -> Self {
        match random.below(5) {
            0 => Self::V0 { f0: Random::random(random) },
            1 => Self::V1,
            2 => Self::V2,
            3 => Self::V3(Random::random(random), Random::random(random), Random::random(random)),
            4 => Self::V4(Random::random(random), Random::random(random), Random::random(random)),
            _ => unreachable!(),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct T59 {
    #[serde(default)]
    f0: BTreeMap<String, char>,
}

impl Random for T59 {
    fn random(random: &mut Randomness) -> Self {
        Self { f0: Random::random(random) }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum T60 {
    V0(f64, T21, u32),
    V1(u8, String, f64, u64),
    V2,
    V3(BTreeMap<String, f64>, Vec<char>, u64, u64),
    V4 {
        f0: Option<T56>,
        #[serde(default)]
        f1: f64,
    },
}

impl Random for T60 {
    fn random(random: &mut Randomness) -> Self {
        match random.below(5) {
            0 => Self::V0(Random::random(random), Random::random(random), Random::random(random)),
            1 => Self::V1(
                Random::random(random),
                Random::random(random),
                Random::random(random),
                Random::random(random),
            ),
            2 => Self::V2,
            3 => Self::V3(
                Random::random(random),
                Random::random(random),
                Random::random(random),
                Random::random(random),
            ),
            4 => Self::V4 { f0: Random::random(random), f1: Random::random(random) },
            _ => unreachable!(),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum T61 {
    V0(u128),
    V1(T3),
}

impl Random for T61 {
    fn random(random: &mut Randomness) -> Self {
        match random.below(2) {
            0 => Self::V0(Random::random(random)),
            1 => Self::V1(Random::random(random)),
            _ => unreachable!(),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct T62 {
    #[serde(alias = "a0")]
    f0: (u16, T61),
    #[serde(alias = "a1")]
    f1: T30,
}

impl Random for T62 {
    fn random(random: &mut Randomness) -> Self {
        Self { f0: Random::random(random), f1: Random::random(random) }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum T63 {
    V0(u8, BTreeMap<String, String>, String, [i16; 3]),
    V1(Option<bool>),
    V2 {
        f0: i128,
    },
    V3 {
        #[serde(rename = "n0")]
        f0: Option<i128>,
    },
    V4(HashMap<String, u8>, T4),
}

impl Random for T63 {
    fn random(random: &mut Randomness) -> Self {
        match random.below(5) {
            0 => Self::V0(
                Random::random(random),
                Random::random(random),
                Random::random(random),
                Random::random(random),
            ),
            1 => Self::V1(Random::random(random)),
            2 => Self::V2 { f0: Random::random(random) },
            3 => Self::V3 { f0: Random::random(random) },
            4 => Self::V4(Random::random(random), Random::random(random)),
            _ => unreachable!(),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum T64 {
    V0 {
        f0: Option<u128>,
        #[serde(rename = "n1")]
        f1: Option<T28>,
        f2: (),
    },
    V1((u8, String)),
    V2 {
        #[serde(alias = "a0")]
        f0: char,
    },
}

impl Random for T64 {
    fn random(random: &mut Randomness) -> Self {
        match random.below(3) {
            0 => Self::V0 {
                f0: Random::random(random),
                f1: Random::random(random),
                f2: Random::random(random),
            },
            1 => Self::V1(Random::random(random)),
            2 => Self::V2 { f0: Random::random(random) },
            _ => unreachable!(),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct T65 {
    f0: [i16; 3],
    f1: u64,
}

impl Random for T65 {
    fn random(random: &mut Randomness) -> Self {
        Self { f0: Random::random(random), f1: Random::random(random) }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum T66 {
    V0,
    #[serde(rename = "R1")]
    V1(String),
}

impl Random for T66 {
    fn random(random: &mut Randomness) -> Self {
        match random.below(2) {
            0 => Self::V0,
            1 => Self::V1(Random::random(random)),
            _ => unreachable!(),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct T67 {
    #[serde(rename = "n0")]
    f0: char,
    #[serde(skip_deserializing)]
    f1: u64,
}

impl Random for T67 {
    fn random(random: &mut Randomness) -> Self {
        Self { f0: Random::random(random), f1: Random::random(random) }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind")]
pub enum T68 {
    V0,
    V1 {
        #[serde(alias = "a0")]
        f0: f64,
        #[serde(default, skip_serializing)]
        f1: i128,
    },
    V2 {
        f0: bool,
        f1: Option<u64>,
        f2: Option<u64>,
    },
}

impl Random for T68 {
    fn random(random: &mut Randomness) -> Self {
        match random.below(3) {
            0 => Self::V0,
            1 => Self::V1 { f0: Random::random(random), f1: Random::random(random) },
            2 => Self::V2 {
                f0: Random::random(random),
                f1: Random::random(random),
                f2: Random::random(random),
            },
            _ => unreachable!(),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum T69 {
    V0 {
        #[serde(skip_deserializing)]
        f0: u8,
        #[serde(default)]
        f1: i16,
        f2: i128,
    },
    V1(String, i16, Option<BTreeMap<String, T13>>, HashMap<String, u8>),
    V2,
    #[serde(rename = "R3")]
    V3 {
        f0: Option<T56>,
        #[serde(default)]
        f1: u32,
    },
    V4 {
        #[serde(rename = "n0")]
        f0: Option<u8>,
        f1: (u16, BTreeMap<String, BTreeMap<String, u64>>),
    },
}

impl Random for T69 {
    fn random(random: &mut Randomness) -> Self {
        match random.below(5) {
            0 => Self::V0 {
                f0: Random::random(random),
                f1: Random::random(random),
                f2: Random::random(random),
            },
            1 => Self::V1(
                Random::random(random),
                Random::random(random),
                Random::random(random),
                Random::random(random),
            ),
            2 => Self::V2,
            3 => Self::V3 { f0: Random::random(random), f1: Random::random(random) },
            4 => Self::V4 { f0: Random::random(random), f1: Random::random(random) },
            _ => unreachable!(),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct T70 {
    f0: T16,
    f1: i64,
    f2: HashMap<String, u8>,
}

impl Random for T70 {
    fn random(random: &mut Randomness) -> Self {
        Self { f0: Random::random(random), f1: Random::random(random), f2: Random::random(random) }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum T71 {
    V0(u16),
    V1 {
        #[serde(alias = "a0")]
        f0: i32,
        #[serde(rename = "n1")]
        f1: String,
        f2: String,
    },
    V2 {
        f0: char,
        #[serde(default)]
        f1: u16,
    },
    V3(Option<()>, Option<i64>),
    V4 {
        f0: (u16, char),
        f1: T17,
        #[serde(alias = "a2")]
        f2: f64,
        f3: bool,
    },
}

impl Random for T71 {
    fn random(random: &mut Randomness) -> Self {
        match random.below(5) {
            0 => Self::V0(Random::random(random)),
            1 => Self::V1 {
                f0: Random::random(random),
                f1: Random::random(random),
                f2: Random::random(random),
            },
            2 => Self::V2 { f0: Random::random(random), f1: Random::random(random) },
            3 => Self::V3(Random::random(random), Random::random(random)),
            4 => Self::V4 {
                f0: Random::random(random),
                f1: Random::random(random),
                f2: Random::random(random),
                f3: Random::random(random),
            },
            _ => unreachable!(),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct T72 {
    #[serde(rename = "n0")]
    f0: u64,
    f1: String,
    f2: T22,
    #[serde(alias = "a3")]
    f3: (u16, T26),
}

impl Random for T72 {
    fn random(random: &mut Randomness) -> Self {
        Self {
            f0: Random::random(random),
            f1: Random::random(random),
            f2: Random::random(random),
            f3: Random::random(random),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct T73 {
    f0: i64,
    f1: [i16; 3],
    f2: Option<i16>,
}

impl Random for T73 {
    fn random(random: &mut Randomness) -> Self {
        Self { f0: Random::random(random), f1: Random::random(random), f2: Random::random(random) }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct T74 {
    f0: bool,
    f1: (u16, u64),
}

impl Random for T74 {
    fn random(random: &mut Randomness) -> Self {
        Self { f0: Random::random(random), f1: Random::random(random) }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct T75 {
    f0: BTreeMap<String, i128>,
}

impl Random for T75 {
    fn random(random: &mut Randomness) -> Self {
        Self { f0: Random::random(random) }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct T76;

impl Random for T76 {
    fn random(random: &mut Randomness) -> Self {
        Self
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum T77 {
    V0 {
        f0: Option<BTreeMap<String, T55>>,
        f1: Option<()>,
        f2: i16,
        f3: String,
    },
    #[serde(rename = "R1")]
    V1,
    V2 {
        f0: (u8, String),
        f1: i64,
        #[serde(skip_deserializing)]
        f2: Option<[i16; 3]>,
    },
    V3,
}

impl Random for T77 {
    fn random(random: &mut Randomness) -> Self {
        match random.below(4) {
            0 => Self::V0 {
                f0: Random::random(random),
                f1: Random::random(random),
                f2: Random::random(random),
                f3: Random::random(random),
            },
            1 => Self::V1,
            2 => Self::V2 {
                f0: Random::random(random),
                f1: Random::random(random),
                f2: Random::random(random),
            },
            3 => Self::V3,
            _ => unreachable!(),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum T78 {
    V0,
    V1 { f0: i32 },
}

impl Random for T78 {
    fn random(random: &mut Randomness) -> Self {
        match random.below(2) {
            0 => Self::V0,
            1 => Self::V1 { f0: Random::random(random) },
            _ => unreachable!(),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", content = "of")]
pub enum T79 {
    V0,
    V1,
    #[serde(rename = "R2")]
    V2,
    V3(Vec<f64>),
    V4(Option<u64>),
}

impl Random for T79 {
    fn random(random: &mut Randomness) -> Self {
        match random.below(5) {
            0 => Self::V0,
            1 => Self::V1,
            2 => Self::V2,
            3 => Self::V3(Random::random(random)),
            4 => Self::V4(Random::random(random)),
            _ => unreachable!(),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct T80 {
    #[serde(rename = "n0")]
    f0: Option<u64>,
    #[serde(rename(serialize = "w1"))]
    f1: BTreeMap<String, HashMap<String, u8>>,
    f2: i128,
}

impl Random for T80 {
    fn random(random: &mut Randomness) -> Self {
        Self { f0: Random::random(random), f1: Random::random(random), f2: Random::random(random) }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct T81 {
    f0: T12,
}

impl Random for T81 {
    fn random(random: &mut Randomness) -> Self {
        Self { f0: Random::random(random) }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct T82 {
    #[serde(with = "super::random::as_text")]
    f0: u64,
    f1: String,
}

impl Random for T82 {
    fn random(random: &mut Randomness) -> Self {
        Self { f0: Random::random(random), f1: Random::random(random) }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum T83 {
    V0,
    V1(i32, u128, bool),
    V2(i32),
    V3(Option<char>, Option<T18>, u64),
}

impl Random for T83 {
    fn random(random: &mut Randomness) -> Self {
        match random.below(4) {
            0 => Self::V0,
            1 => Self::V1(Random::random(random), Random::random(random), Random::random(random)),
            2 => Self::V2(Random::random(random)),
            3 => Self::V3(Random::random(random), Random::random(random), Random::random(random)),
            _ => unreachable!(),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct T84 {
    f0: (),
    #[serde(default)]
    f1: i128,
}

impl Random for T84 {
    fn random(random: &mut Randomness) -> Self {
        Self { f0: Random::random(random), f1: Random::random(random) }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct T85 {
    #[serde(rename = "n0")]
    f0: f64,
    f1: i16,
    f2: T64,
    f3: HashMap<String, u8>,
}

impl Random for T85 {
    fn random(random: &mut Randomness) -> Self {
        Self {
            f0: Random::random(random),
            f1: Random::random(random),
            f2: Random::random(random),
            f3: Random::random(random),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind")]
pub enum T86 {
    V0,
    V1 {
        f0: u16,
        f1: Option<Vec<HashMap<String, u8>>>,
        f2: String,
    },
    V2 {
        f0: i16,
        f1: BTreeMap<String, ()>,
    },
    #[serde(skip)]
    V3,
    V4 {
        #[serde(rename(serialize = "w0"))]
        f0: (u8, String),
        f1: BTreeMap<String, [i16; 3]>,
        f2: i64,
        #[serde(rename = "n3")]
        f3: (u16, u16),
    },
}

impl Random for T86 {
    fn random(random: &mut Randomness) -> Self {
        match random.below(4) {
            0 => Self::V0,
            1 => Self::V1 {
                f0: Random::random(random),
                f1: Random::random(random),
                f2: Random::random(random),
            },
            2 => Self::V2 { f0: Random::random(random), f1: Random::random(random) },
            3 => Self::V4 {
                f0: Random::random(random),
                f1: Random::random(random),
                f2: Random::random(random),
                f3: Random::random(random),
            },
            _ => unreachable!(),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct T87 {
    f0: u16,
    #[serde(rename = "n1")]
    f1: u8,
    f2: (u16, char),
    f3: Vec<Vec<Option<u64>>>,
}

impl Random for T87 {
    fn random(random: &mut Randomness) -> Self {
        Self {
            f0: Random::random(random),
            f1: Random::random(random),
            f2: Random::random(random),
            f3: Random::random(random),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum T88 {
    V0 { f0: u64, f1: Option<i128> },
    V1,
}

impl Random for T88 {
    fn random(random: &mut Randomness) -> Self {
        match random.below(2) {
            0 => Self::V0 { f0: Random::random(random), f1: Random::random(random) },
            1 => Self::V1,
            _ => unreachable!(),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct T89 {
    f0: Option<(u16, i128)>,
    f1: BTreeMap<String, i32>,
}

impl Random for T89 {
    fn random(random: &mut Randomness) -> Self {
        Self { f0: Random::random(random), f1: Random::random(random) }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct T90 {
    f0: [i16; 3],
}

impl Random for T90 {
    fn random(random: &mut Randomness) -> Self {
        Self { f0: Random::random(random) }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct T91(String);

impl Random for T91 {
    fn random(random: &mut Randomness) -> Self {
        Self(Random::random(random))
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct T92 {
    f0: HashMap<String, u8>,
    f1: Option<f64>,
    f2: BTreeMap<String, i32>,
    #[serde(rename = "n3")]
    f3: T59,
}

impl Random for T92 {
    fn random(random: &mut Randomness) -> Self {
        Self {
            f0: Random::random(random),
            f1: Random::random(random),
            f2: Random::random(random),
            f3: Random::random(random),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct T93;

impl Random for T93 {
    fn random(random: &mut Randomness) -> Self {
        Self
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct T94 {
    f0: Option<u64>,
}

impl Random for T94 {
    fn random(random: &mut Randomness) -> Self {
        Self { f0: Random::random(random) }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum T95 {
    V0(i16, HashMap<String, u8>, (u8, String), Option<i32>),
    V1(String, f64, Vec<serde_json::Value>, String),
    V2 { f0: u64, f1: (u8, String) },
}

impl Random for T95 {
    fn random(random: &mut Randomness) -> Self {
        match random.below(3) {
            0 => Self::V0(
                Random::random(random),
                Random::random(random),
                Random::random(random),
                Random::random(random),
            ),
            1 => Self::V1(
                Random::random(random),
                Random::random(random),
                Random::random(random),
                Random::random(random),
            ),
            2 => Self::V2 { f0: Random::random(random), f1: Random::random(random) },
            _ => unreachable!(),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct T96 {
    f0: Option<(u8, String)>,
}

impl Random for T96 {
    fn random(random: &mut Randomness) -> Self {
        Self { f0: Random::random(random) }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum T97 {
    V0 { f0: u64 },
    V1(T28),
    V2(()),
    V3 { f0: T7 },
    V4 { f0: f64, f1: HashMap<String, u8>, f2: () },
}

impl Random for T97 {
    fn random(random: &mut Randomness) -> Self {
        match random.below(5) {
            0 => Self::V0 { f0: Random::random(random) },
            1 => Self::V1(Random::random(random)),
            2 => Self::V2(Random::random(random)),
            3 => Self::V3 { f0: Random::random(random) },
            4 => Self::V4 {
                f0: Random::random(random),
                f1: Random::random(random),
                f2: Random::random(random),
            },
            _ => unreachable!(),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum T98 {
    V0 { f0: bool, f1: T28, f2: T71, f3: (u16, char) },
    V1,
}

impl Random for T98 {
    fn random(random: &mut Randomness) -> Self {
        match random.below(2) {
            0 => Self::V0 {
                f0: Random::random(random),
                f1: Random::random(random),
                f2: Random::random(random),
                f3: Random::random(random),
            },
            1 => Self::V1,
            _ => unreachable!(),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum T99 {
    V0,
    V1 {
        #[serde(default)]
        f0: (),
        f1: Option<Option<(u16, u16)>>,
        #[serde(rename = "n2")]
        f2: i64,
        f3: Vec<i128>,
    },
}

impl Random for T99 {
    fn random(random: &mut Randomness) -> Self {
        match random.below(2) {
            0 => Self::V0,
            1 => Self::V1 {
                f0: Random::random(random),
                f1: Random::random(random),
                f2: Random::random(random),
                f3: Random::random(random),
            },
            _ => unreachable!(),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct T100 {
    #[serde(rename = "n0")]
    f0: BTreeMap<String, serde_json::Value>,
    f1: bool,
}

impl Random for T100 {
    fn random(random: &mut Randomness) -> Self {
        Self { f0: Random::random(random), f1: Random::random(random) }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct T101;

impl Random for T101 {
    fn random(random: &mut Randomness) -> Self {
        Self
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum T102 {
    #[serde(rename = "R0")]
    V0([i16; 3]),
    V1(i128),
    V2(u8, Vec<(u16, i64)>),
}

impl Random for T102 {
    fn random(random: &mut Randomness) -> Self {
        match random.below(3) {
            0 => Self::V0(Random::random(random)),
            1 => Self::V1(Random::random(random)),
            2 => Self::V2(Random::random(random), Random::random(random)),
            _ => unreachable!(),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct T103 {
    #[serde(rename = "n0")]
    f0: Option<Vec<f64>>,
    f1: u64,
}

impl Random for T103 {
    fn random(random: &mut Randomness) -> Self {
        Self { f0: Random::random(random), f1: Random::random(random) }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct T104(T101, String, Option<u8>, Option<bool>);

impl Random for T104 {
    fn random(random: &mut Randomness) -> Self {
        Self(
            Random::random(random),
            Random::random(random),
            Random::random(random),
            Random::random(random),
        )
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind")]
pub enum T105 {
    V0,
    V1,
    #[serde(rename = "R2")]
    V2 {
        #[serde(rename = "n0")]
        f0: Option<Option<(u8, String)>>,
        #[serde(rename = "n1")]
        f1: (u16, Option<(u8, String)>),
        f2: i64,
        f3: (u16, Option<i8>),
    },
    V3 {
        f0: BTreeMap<String, (u8, String)>,
        f1: i8,
    },
}

impl Random for T105 {
    fn random(random: &mut Randomness) -> Self {
        match random.below(4) {
            0 => Self::V0,
            1 => Self::V1,
            2 => Self::V2 {
                f0: Random::random(random),
                f1: Random::random(random),
                f2: Random::random(random),
                f3: Random::random(random),
            },
            3 => Self::V3 { f0: Random::random(random), f1: Random::random(random) },
            _ => unreachable!(),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct T106 {
    f0: Vec<Option<i8>>,
    f1: T0,
    f2: bool,
    #[serde(default, skip_serializing)]
    f3: BTreeMap<String, T78>,
}

impl Random for T106 {
    fn random(random: &mut Randomness) -> Self {
        Self {
            f0: Random::random(random),
            f1: Random::random(random),
            f2: Random::random(random),
            f3: Random::random(random),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum T107 {
    V0 {
        f0: String,
        #[serde(rename = "n1")]
        f1: T28,
        f2: BTreeMap<String, HashMap<String, u8>>,
        f3: Vec<String>,
    },
    V1(Vec<u64>),
    V2 {
        f0: u16,
        f1: T21,
        #[serde(alias = "a2")]
        f2: Vec<u32>,
        #[serde(default, skip_serializing)]
        f3: String,
    },
    V3,
    V4,
}

impl Random for T107 {
    fn random(random: &mut Randomness) -> Self {
        match random.below(5) {
            0 => Self::V0 {
                f0: Random::random(random),
                f1: Random::random(random),
                f2: Random::random(random),
                f3: Random::random(random),
            },
            1 => Self::V1(Random::random(random)),
            2 => Self::V2 {
                f0: Random::random(random),
                f1: Random::random(random),
                f2: Random::random(random),
                f3: Random::random(random),
            },
            3 => Self::V3,
            4 => Self::V4,
            _ => unreachable!(),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct T108;

impl Random for T108 {
    fn random(random: &mut Randomness) -> Self {
        Self
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum T109 {
    V0(T39),
    V1(u16, i32, String, bool),
    V2(Option<Option<T61>>),
    V3(Option<serde_json::Value>),
}

impl Random for T109 {
    fn random(random: &mut Randomness) -> Self {
        match random.below(4) {
            0 => Self::V0(Random::random(random)),
            1 => Self::V1(
                Random::random(random),
                Random::random(random),
                Random::random(random),
                Random::random(random),
            ),
            2 => Self::V2(Random::random(random)),
            3 => Self::V3(Random::random(random)),
            _ => unreachable!(),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct T110 {
    f0: Vec<T74>,
    f1: T4,
    f2: i64,
    f3: bool,
}

impl Random for T110 {
    fn random(random: &mut Randomness) -> Self {
        Self {
            f0: Random::random(random),
            f1: Random::random(random),
            f2: Random::random(random),
            f3: Random::random(random),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct T111(Vec<(u8, String)>, Option<T72>, i8);

impl Random for T111 {
    fn random(random: &mut Randomness) -> Self {
        Self(Random::random(random), Random::random(random), Random::random(random))
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct T112(u16, HashMap<String, u8>, Vec<i8>, Vec<Option<u32>>);

impl Random for T112 {
    fn random(random: &mut Randomness) -> Self {
        Self(
            Random::random(random),
            Random::random(random),
            Random::random(random),
            Random::random(random),
        )
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct T113 {
    f0: Option<char>,
    f1: BTreeMap<String, T73>,
    f2: Vec<u64>,
    f3: f64,
}

impl Random for T113 {
    fn random(random: &mut Randomness) -> Self {
        Self {
            f0: Random::random(random),
            f1: Random::random(random),
            f2: Random::random(random),
            f3: Random::random(random),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum T114 {
    V0(HashMap<String, u8>),
    V1((u16, (u16, Option<i128>))),
}

impl Random for T114 {
    fn random(random: &mut Randomness) -> Self {
        match random.below(2) {
            0 => Self::V0(Random::random(random)),
            1 => Self::V1(Random::random(random)),
            _ => unreachable!(),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct T115 {
    f0: T88,
    f1: Vec<(u16, HashMap<String, u8>)>,
    f2: u32,
    f3: i128,
}

impl Random for T115 {
    fn random(random: &mut Randomness) -> Self {
        Self {
            f0: Random::random(random),
            f1: Random::random(random),
            f2: Random::random(random),
            f3: Random::random(random),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct T116 {
    f0: u128,
}

impl Random for T116 {
    fn random(random: &mut Randomness) -> Self {
        Self { f0: Random::random(random) }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum T117 {
    V0 {
        f0: u64,
        #[serde(rename = "n1")]
        f1: (),
    },
    V1,
    V2(String, T27, Option<i8>),
}

impl Random for T117 {
    fn random(random: &mut Randomness) -> Self {
        match random.below(3) {
            0 => Self::V0 { f0: Random::random(random), f1: Random::random(random) },
            1 => Self::V1,
            2 => Self::V2(Random::random(random), Random::random(random), Random::random(random)),
            _ => unreachable!(),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct T118 {
    f0: String,
    f1: T3,
    #[serde(alias = "a2")]
    f2: T47,
    #[serde(rename = "n3")]
    f3: Option<f64>,
}

impl Random for T118 {
    fn random(random: &mut Randomness) -> Self {
        Self {
            f0: Random::random(random),
            f1: Random::random(random),
            f2: Random::random(random),
            f3: Random::random(random),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct T119 {
    f0: Option<i64>,
}

impl Random for T119 {
    fn random(random: &mut Randomness) -> Self {
        Self { f0: Random::random(random) }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum T120 {
    V0,
    V1(u32, Vec<Option<i32>>, Option<u16>),
    V2 { f0: (u8, String), f1: (u8, String) },
    V3,
}

impl Random for T120 {
    fn random(random: &mut Randomness) -> Self {
        match random.below(4) {
            0 => Self::V0,
            1 => Self::V1(Random::random(random), Random::random(random), Random::random(random)),
            2 => Self::V2 { f0: Random::random(random), f1: Random::random(random) },
            3 => Self::V3,
            _ => unreachable!(),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum T121 {
    V0,
    V1,
    V2(i128, i16, bool),
    #[serde(rename = "R3")]
    V3(String, f64, bool, i64),
    V4,
}

impl Random for T121 {
    fn random(random: &mut Randomness) -> Self {
        match random.below(5) {
            0 => Self::V0,
            1 => Self::V1,
            2 => Self::V2(Random::random(random), Random::random(random), Random::random(random)),
            3 => Self::V3(
                Random::random(random),
                Random::random(random),
                Random::random(random),
                Random::random(random),
            ),
            4 => Self::V4,
            _ => unreachable!(),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", content = "of")]
pub enum T122 {
    V0,
    V1(String),
    V2,
    V3(Option<i64>, u16, Option<f64>),
    V4,
}

impl Random for T122 {
    fn random(random: &mut Randomness) -> Self {
        match random.below(5) {
            0 => Self::V0,
            1 => Self::V1(Random::random(random)),
            2 => Self::V2,
            3 => Self::V3(Random::random(random), Random::random(random), Random::random(random)),
            4 => Self::V4,
            _ => unreachable!(),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum T123 {
    #[serde(rename = "R0")]
    V0(T54),
    V1(Vec<BTreeMap<String, f64>>),
    #[serde(skip)]
    V2(f64, u32, Vec<Vec<T9>>),
    V3(HashMap<String, u8>, Vec<i16>),
    V4 {
        f0: T57,
        f1: Option<HashMap<String, u8>>,
        #[serde(rename = "n2")]
        f2: T8,
    },
}

impl Random for T123 {
    fn random(random: &mut Randomness) -> Self {
        match random.below(4) {
            0 => Self::V0(Random::random(random)),
            1 => Self::V1(Random::random(random)),
            2 => Self::V3(Random::random(random), Random::random(random)),
            3 => Self::V4 {
                f0: Random::random(random),
                f1: Random::random(random),
                f2: Random::random(random),
            },
            _ => unreachable!(),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct T124 {
    f0: BTreeMap<String, i16>,
    #[serde(default, skip_serializing)]
    f1: f64,
    #[serde(default, skip_serializing)]
    f2: Option<f64>,
}

impl Random for T124 {
    fn random(random: &mut Randomness) -> Self {
        Self { f0: Random::random(random), f1: Random::random(random), f2: Random::random(random) }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct T125 {
    f0: i128,
}

impl Random for T125 {
    fn random(random: &mut Randomness) -> Self {
        Self { f0: Random::random(random) }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct T126(Vec<i128>);

impl Random for T126 {
    fn random(random: &mut Randomness) -> Self {
        Self(Random::random(random))
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct T127 {
    #[serde(default)]
    f0: BTreeMap<String, [i16; 3]>,
    #[serde(rename = "n1")]
    f1: T21,
    f2: (u8, String),
}

impl Random for T127 {
    fn random(random: &mut Randomness) -> Self {
        Self { f0: Random::random(random), f1: Random::random(random), f2: Random::random(random) }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum T128 {
    V0(String),
    V1((u16, (u16, Option<()>))),
    V2,
    V3 { f0: T88 },
}

impl Random for T128 {
    fn random(random: &mut Randomness) -> Self {
        match random.below(4) {
            0 => Self::V0(Random::random(random)),
            1 => Self::V1(Random::random(random)),
            2 => Self::V2,
            3 => Self::V3 { f0: Random::random(random) },
            _ => unreachable!(),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct T129;

impl Random for T129 {
    fn random(random: &mut Randomness) -> Self {
        Self
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct T130(Option<BTreeMap<String, u16>>);

impl Random for T130 {
    fn random(random: &mut Randomness) -> Self {
        Self(Random::random(random))
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum T131 {
    V0(Option<Vec<u64>>),
    V1 {
        f0: BTreeMap<String, BTreeMap<String, u64>>,
        f1: u64,
        f2: Option<()>,
    },
    V2((u16, u16)),
    #[serde(rename = "R3")]
    V3(i64, BTreeMap<String, i8>, u128, u32),
    V4,
}

impl Random for T131 {
    fn random(random: &mut Randomness) -> Self {
        match random.below(5) {
            0 => Self::V0(Random::random(random)),
            1 => Self::V1 {
                f0: Random::random(random),
                f1: Random::random(random),
                f2: Random::random(random),
            },
            2 => Self::V2(Random::random(random)),
            3 => Self::V3(
                Random::random(random),
                Random::random(random),
                Random::random(random),
                Random::random(random),
            ),
            4 => Self::V4,
            _ => unreachable!(),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct T132 {
    #[serde(alias = "a0")]
    f0: i16,
    f1: (u16, String),
    #[serde(default)]
    f2: Option<Option<Option<u64>>>,
    f3: Option<i16>,
}

impl Random for T132 {
    fn random(random: &mut Randomness) -> Self {
        Self {
            f0: Random::random(random),
            f1: Random::random(random),
            f2: Random::random(random),
            f3: Random::random(random),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct T133 {
    f0: u8,
}

impl Random for T133 {
    fn random(random: &mut Randomness) -> Self {
        Self { f0: Random::random(random) }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct T134 {
    f0: u32,
    #[serde(default)]
    f1: Vec<BTreeMap<String, u64>>,
    f2: HashMap<String, u8>,
}

impl Random for T134 {
    fn random(random: &mut Randomness) -> Self {
        Self { f0: Random::random(random), f1: Random::random(random), f2: Random::random(random) }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct T135 {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    f0: Option<String>,
    #[serde(rename(serialize = "w1"))]
    f1: T93,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    f2: String,
}

impl Random for T135 {
    fn random(random: &mut Randomness) -> Self {
        Self { f0: Random::random(random), f1: Random::random(random), f2: Random::random(random) }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct T136 {
    f0: T101,
    #[serde(default)]
    f1: i128,
    f2: u128,
}

impl Random for T136 {
    fn random(random: &mut Randomness) -> Self {
        Self { f0: Random::random(random), f1: Random::random(random), f2: Random::random(random) }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum T137 {
    V0,
    V1,
    V2(i64),
    #[serde(rename = "R3")]
    V3 {
        #[serde(rename = "n0")]
        f0: Option<Option<[i16; 3]>>,
    },
}

impl Random for T137 {
    fn random(random: &mut Randomness) -> Self {
        match random.below(4) {
            0 => Self::V0,
            1 => Self::V1,
            2 => Self::V2(Random::random(random)),
            3 => Self::V3 { f0: Random::random(random) },
            _ => unreachable!(),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct T138(i64);

impl Random for T138 {
    fn random(random: &mut Randomness) -> Self {
        Self(Random::random(random))
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum T139 {
    V0 {
        f0: Option<u64>,
    },
    V1(T129),
    V2 {
        f0: i16,
        #[serde(default, skip_serializing)]
        f1: BTreeMap<String, f64>,
    },
    V3,
}

impl Random for T139 {
    fn random(random: &mut Randomness) -> Self {
        match random.below(4) {
            0 => Self::V0 { f0: Random::random(random) },
            1 => Self::V1(Random::random(random)),
            2 => Self::V2 { f0: Random::random(random), f1: Random::random(random) },
            3 => Self::V3,
            _ => unreachable!(),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct T140 {
    #[serde(alias = "a0")]
    f0: (u16, u16),
    f1: T101,
    #[serde(alias = "a2")]
    f2: (),
    #[serde(rename = "n3")]
    f3: Vec<f64>,
}

impl Random for T140 {
    fn random(random: &mut Randomness) -> Self {
        Self {
            f0: Random::random(random),
            f1: Random::random(random),
            f2: Random::random(random),
            f3: Random::random(random),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct T141 {
    f0: T108,
    f1: T128,
}

impl Random for T141 {
    fn random(random: &mut Randomness) -> Self {
        Self { f0: Random::random(random), f1: Random::random(random) }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct T142 {
    f0: u64,
    f1: u128,
    f2: Vec<Option<u64>>,
}

impl Random for T142 {
    fn random(random: &mut Randomness) -> Self {
        Self { f0: Random::random(random), f1: Random::random(random), f2: Random::random(random) }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct T143(T64);

impl Random for T143 {
    fn random(random: &mut Randomness) -> Self {
        Self(Random::random(random))
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct T144 {
    #[serde(rename(serialize = "w0"))]
    f0: bool,
    f1: u64,
    #[serde(rename = "n2")]
    f2: f64,
}

impl Random for T144 {
    fn random(random: &mut Randomness) -> Self {
        Self { f0: Random::random(random), f1: Random::random(random), f2: Random::random(random) }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct T145 {
    f0: f64,
}

impl Random for T145 {
    fn random(random: &mut Randomness) -> Self {
        Self { f0: Random::random(random) }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum T146 {
    V0(bool),
    #[serde(rename = "R1")]
    V1 {
        f0: i64,
    },
    V2(u8, Vec<u16>, Option<i64>, i8),
    V3(u64),
}

impl Random for T146 {
    fn random(random: &mut Randomness) -> Self {
        match random.below(4) {
            0 => Self::V0(Random::random(random)),
            1 => Self::V1 { f0: Random::random(random) },
            2 => Self::V2(
                Random::random(random),
                Random::random(random),
                Random::random(random),
                Random::random(random),
            ),
            3 => Self::V3(Random::random(random)),
            _ => unreachable!(),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct T147 {
    f0: (u16, T5),
    f1: u64,
}

impl Random for T147 {
    fn random(random: &mut Randomness) -> Self {
        Self { f0: Random::random(random), f1: Random::random(random) }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum T148 {
    V0(Vec<Option<char>>),
    V1(f64, i16),
    #[serde(rename = "R2")]
    V2((u16, i64)),
    V3(Option<HashMap<String, u8>>, (), HashMap<String, u8>),
}

impl Random for T148 {
    fn random(random: &mut Randomness) -> Self {
        match random.below(4) {
            0 => Self::V0(Random::random(random)),
            1 => Self::V1(Random::random(random), Random::random(random)),
            2 => Self::V2(Random::random(random)),
            3 => Self::V3(Random::random(random), Random::random(random), Random::random(random)),
            _ => unreachable!(),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind")]
pub enum T149 {
    #[serde(rename = "R0")]
    V0 {
        #[serde(alias = "a0")]
        f0: Option<BTreeMap<String, Option<u128>>>,
        #[serde(rename(serialize = "w1"))]
        f1: f64,
        f2: Option<T52>,
        f3: (),
    },
    V1 {
        f0: i64,
        f1: T121,
        f2: i64,
        f3: i8,
    },
    V2 {
        f0: [i16; 3],
        f1: u16,
        f2: Option<u8>,
        f3: u32,
    },
    V3 {
        f0: i8,
    },
}

impl Random for T149 {
    fn random(random: &mut Randomness) -> Self {
        match random.below(4) {
            0 => Self::V0 {
                f0: Random::random(random),
                f1: Random::random(random),
                f2: Random::random(random),
                f3: Random::random(random),
            },
            1 => Self::V1 {
                f0: Random::random(random),
                f1: Random::random(random),
                f2: Random::random(random),
                f3: Random::random(random),
            },
            2 => Self::V2 {
                f0: Random::random(random),
                f1: Random::random(random),
                f2: Random::random(random),
                f3: Random::random(random),
            },
            3 => Self::V3 { f0: Random::random(random) },
            _ => unreachable!(),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum T150 {
    V0 {
        #[serde(rename = "n0")]
        f0: T98,
        #[serde(default)]
        f1: [i16; 3],
        f2: Vec<bool>,
        #[serde(default, skip_serializing)]
        f3: Vec<BTreeMap<String, Option<u32>>>,
    },
    V1(Vec<char>),
    V2,
    V3(Vec<BTreeMap<String, u128>>),
}

impl Random for T150 {
    fn random(random: &mut Randomness) -> Self {
        match random.below(4) {
            0 => Self::V0 {
                f0: Random::random(random),
                f1: Random::random(random),
                f2: Random::random(random),
                f3: Random::random(random),
            },
            1 => Self::V1(Random::random(random)),
            2 => Self::V2,
            3 => Self::V3(Random::random(random)),
            _ => unreachable!(),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct T151(Vec<Vec<T36>>, T119);

impl Random for T151 {
    fn random(random: &mut Randomness) -> Self {
        Self(Random::random(random), Random::random(random))
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct T152;

impl Random for T152 {
    fn random(random: &mut Randomness) -> Self {
        Self
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum T153 {
    V0 {
        f0: Option<u8>,
        f1: u16,
    },
    V1(HashMap<String, u8>),
    V2(T152, Vec<String>),
    V3,
    V4 {
        f0: Vec<bool>,
        f1: bool,
        #[serde(rename = "n2")]
        f2: i128,
    },
}

impl Random for T153 {
    fn random(random: &mut Randomness) -> Self {
        match random.below(5) {
            0 => Self::V0 { f0: Random::random(random), f1: Random::random(random) },
            1 => Self::V1(Random::random(random)),
            2 => Self::V2(Random::random(random), Random::random(random)),
            3 => Self::V3,
            4 => Self::V4 {
                f0: Random::random(random),
                f1: Random::random(random),
                f2: Random::random(random),
            },
            _ => unreachable!(),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct T154 {
    f0: (u16, i64),
}

impl Random for T154 {
    fn random(random: &mut Randomness) -> Self {
        Self { f0: Random::random(random) }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct T155(HashMap<String, u8>);

impl Random for T155 {
    fn random(random: &mut Randomness) -> Self {
        Self(Random::random(random))
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum T156 {
    V0,
    V1(BTreeMap<String, Option<Vec<String>>>),
    V2(Option<String>),
}

impl Random for T156 {
    fn random(random: &mut Randomness) -> Self {
        match random.below(3) {
            0 => Self::V0,
            1 => Self::V1(Random::random(random)),
            2 => Self::V2(Random::random(random)),
            _ => unreachable!(),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum T157 {
    V0,
    V1(Vec<i128>, T74, u16, i64),
    V2(i8),
    V3,
}

impl Random for T157 {
    fn random(random: &mut Randomness) -> Self {
        match random.below(4) {
            0 => Self::V0,
            1 => Self::V1(
                Random::random(random),
                Random::random(random),
                Random::random(random),
                Random::random(random),
            ),
            2 => Self::V2(Random::random(random)),
            3 => Self::V3,
            _ => unreachable!(),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum T158 {
    V0(Vec<i64>),
    V1(i64),
    V2 {
        #[serde(alias = "a0")]
        f0: (),
        f1: i8,
        f2: Vec<Vec<Option<bool>>>,
    },
    V3(u64),
}

impl Random for T158 {
    fn random(random: &mut Randomness) -> Self {
        match random.below(4) {
            0 => Self::V0(Random::random(random)),
            1 => Self::V1(Random::random(random)),
            2 => Self::V2 {
                f0: Random::random(random),
                f1: Random::random(random),
                f2: Random::random(random),
            },
            3 => Self::V3(Random::random(random)),
            _ => unreachable!(),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum T159 {
    V0((), i32),
    V1,
}

impl Random for T159 {
    fn random(random: &mut Randomness) -> Self {
        match random.below(2) {
            0 => Self::V0(Random::random(random), Random::random(random)),
            1 => Self::V1,
            _ => unreachable!(),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct T160 {
    #[serde(rename = "n0")]
    f0: Vec<(u16, HashMap<String, u8>)>,
    #[serde(default)]
    f1: [i16; 3],
}

impl Random for T160 {
    fn random(random: &mut Randomness) -> Self {
        Self { f0: Random::random(random), f1: Random::random(random) }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct T161;

impl Random for T161 {
    fn random(random: &mut Randomness) -> Self {
        Self
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct T162(bool);

impl Random for T162 {
    fn random(random: &mut Randomness) -> Self {
        Self(Random::random(random))
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum T163 {
    V0 {
        f0: BTreeMap<String, i8>,
        f1: Vec<i8>,
        #[serde(rename(serialize = "w2"))]
        f2: Vec<String>,
    },
    V1,
    #[serde(rename = "R2")]
    V2(T93, i128),
}

impl Random for T163 {
    fn random(random: &mut Randomness) -> Self {
        match random.below(3) {
            0 => Self::V0 {
                f0: Random::random(random),
                f1: Random::random(random),
                f2: Random::random(random),
            },
            1 => Self::V1,
            2 => Self::V2(Random::random(random), Random::random(random)),
            _ => unreachable!(),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum T164 {
    V0 {
        f0: String,
    },
    V1,
    #[serde(rename = "R2")]
    V2(f64, BTreeMap<String, Option<Option<(u8, String)>>>, u128, BTreeMap<String, ()>),
    V3 {
        #[serde(with = "super::random::as_text")]
        f0: u64,
    },
    V4,
}

impl Random for T164 {
    fn random(random: &mut Randomness) -> Self {
        match random.below(5) {
            0 => Self::V0 { f0: Random::random(random) },
            1 => Self::V1,
            2 => Self::V2(
                Random::random(random),
                Random::random(random),
                Random::random(random),
                Random::random(random),
            ),
            3 => Self::V3 { f0: Random::random(random) },
            4 => Self::V4,
            _ => unreachable!(),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum T165 {
    V0(T140, u64, Vec<bool>),
    V1(u128),
    V2 {
        f0: HashMap<String, u8>,
        f1: u32,
        #[serde(skip_deserializing)]
        f2: Option<i16>,
        #[serde(skip_deserializing)]
        f3: Option<HashMap<String, u8>>,
    },
    V3(T64),
    V4(u8),
}

impl Random for T165 {
    fn random(random: &mut Randomness) -> Self {
        match random.below(5) {
            0 => Self::V0(Random::random(random), Random::random(random), Random::random(random)),
            1 => Self::V1(Random::random(random)),
            2 => Self::V2 {
                f0: Random::random(random),
                f1: Random::random(random),
                f2: Random::random(random),
                f3: Random::random(random),
            },
            3 => Self::V3(Random::random(random)),
            4 => Self::V4(Random::random(random)),
            _ => unreachable!(),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct T166 {
    f0: BTreeMap<String, BTreeMap<String, Vec<bool>>>,
}

impl Random for T166 {
    fn random(random: &mut Randomness) -> Self {
        Self { f0: Random::random(random) }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind")]
pub enum T167 {
    V0,
    V1,
    V2,
    V3,
}

impl Random for T167 {
    fn random(random: &mut Randomness) -> Self {
        match random.below(4) {
            0 => Self::V0,
            1 => Self::V1,
            2 => Self::V2,
            3 => Self::V3,
            _ => unreachable!(),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct T168 {
    f0: BTreeMap<String, Option<u64>>,
    f1: u32,
}

impl Random for T168 {
    fn random(random: &mut Randomness) -> Self {
        Self { f0: Random::random(random), f1: Random::random(random) }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct T169 {
    #[serde(alias = "a0")]
    f0: T61,
}

impl Random for T169 {
    fn random(random: &mut Randomness) -> Self {
        Self { f0: Random::random(random) }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct T170;

impl Random for T170 {
    fn random(random: &mut Randomness) -> Self {
        Self
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct T171 {
    f0: BTreeMap<String, Vec<(u8, String)>>,
    f1: i64,
    f2: i128,
}

impl Random for T171 {
    fn random(random: &mut Randomness) -> Self {
        Self { f0: Random::random(random), f1: Random::random(random), f2: Random::random(random) }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct T172;

impl Random for T172 {
    fn random(random: &mut Randomness) -> Self {
        Self
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", content = "of")]
pub enum T173 {
    V0,
    V1(u16),
    V2 { f0: Option<T108>, f1: (u16, u64) },
}

impl Random for T173 {
    fn random(random: &mut Randomness) -> Self {
        match random.below(3) {
            0 => Self::V0,
            1 => Self::V1(Random::random(random)),
            2 => Self::V2 { f0: Random::random(random), f1: Random::random(random) },
            _ => unreachable!(),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum T174 {
    V0(T21, i32),
    V1(char, [i16; 3]),
    V2 {
        #[serde(rename = "n0")]
        f0: f64,
        #[serde(rename(serialize = "w1"))]
        f1: i16,
    },
    V3(String, HashMap<String, u8>),
}

impl Random for T174 {
    fn random(random: &mut Randomness) -> Self {
        match random.below(4) {
            0 => Self::V0(Random::random(random), Random::random(random)),
            1 => Self::V1(Random::random(random), Random::random(random)),
            2 => Self::V2 { f0: Random::random(random), f1: Random::random(random) },
            3 => Self::V3(Random::random(random), Random::random(random)),
            _ => unreachable!(),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum T175 {
    V0 {
        f0: BTreeMap<String, bool>,
        #[serde(rename = "n1")]
        f1: Option<BTreeMap<String, Option<i128>>>,
        f2: char,
    },
    V1(char, char),
}

impl Random for T175 {
    fn random(random: &mut Randomness) -> Self {
        match random.below(2) {
            0 => Self::V0 {
                f0: Random::random(random),
                f1: Random::random(random),
                f2: Random::random(random),
            },
            1 => Self::V1(Random::random(random), Random::random(random)),
            _ => unreachable!(),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct T176 {
    #[serde(alias = "a0")]
    f0: u8,
}

impl Random for T176 {
    fn random(random: &mut Randomness) -> Self {
        Self { f0: Random::random(random) }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum T177 {
    V0(T72),
    V1,
    V2(f64, Vec<(u16, u64)>, bool, T4),
    V3(f64),
}

impl Random for T177 {
    fn random(random: &mut Randomness) -> Self {
        match random.below(4) {
            0 => Self::V0(Random::random(random)),
            1 => Self::V1,
            2 => Self::V2(
                Random::random(random),
                Random::random(random),
                Random::random(random),
                Random::random(random),
            ),
            3 => Self::V3(Random::random(random)),
            _ => unreachable!(),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum T178 {
    V0,
    #[serde(rename = "R1")]
    V1(Vec<BTreeMap<String, char>>),
    V2,
}

impl Random for T178 {
    fn random(random: &mut Randomness) -> Self {
        match random.below(3) {
            0 => Self::V0,
            1 => Self::V1(Random::random(random)),
            2 => Self::V2,
            _ => unreachable!(),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct T179(Option<Option<Option<f64>>>, Option<u64>);

impl Random for T179 {
    fn random(random: &mut Randomness) -> Self {
        Self(Random::random(random), Random::random(random))
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct T180 {
    #[serde(alias = "a0")]
    f0: (u16, f64),
    #[serde(rename = "n1")]
    f1: i8,
    f2: u64,
    f3: Option<BTreeMap<String, u64>>,
}

impl Random for T180 {
    fn random(random: &mut Randomness) -> Self {
        Self {
            f0: Random::random(random),
            f1: Random::random(random),
            f2: Random::random(random),
            f3: Random::random(random),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum T181 {
    V0,
    V1,
    V2(u128, (u16, (u16, Option<f64>))),
    V3 {
        f0: (u16, Vec<T49>),
        #[serde(alias = "a1")]
        f1: u32,
    },
}

impl Random for T181 {
    fn random(random: &mut Randomness) -> Self {
        match random.below(4) {
            0 => Self::V0,
            1 => Self::V1,
            2 => Self::V2(Random::random(random), Random::random(random)),
            3 => Self::V3 { f0: Random::random(random), f1: Random::random(random) },
            _ => unreachable!(),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct T182 {
    f0: (u16, String),
    f1: Option<T73>,
}

impl Random for T182 {
    fn random(random: &mut Randomness) -> Self {
        Self { f0: Random::random(random), f1: Random::random(random) }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum T183 {
    V0(char),
    V1,
    V2(BTreeMap<String, Vec<i128>>),
    V3,
    V4 { f0: HashMap<String, u8>, f1: Vec<i128> },
}

impl Random for T183 {
    fn random(random: &mut Randomness) -> Self {
        match random.below(5) {
            0 => Self::V0(Random::random(random)),
            1 => Self::V1,
            2 => Self::V2(Random::random(random)),
            3 => Self::V3,
            4 => Self::V4 { f0: Random::random(random), f1: Random::random(random) },
            _ => unreachable!(),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum T184 {
    V0 {
        #[serde(skip_deserializing)]
        f0: Vec<i16>,
    },
    V1(i128, HashMap<String, u8>),
    V2(bool, (u16, String), String, T46),
    #[serde(rename = "R3")]
    V3 {
        f0: i32,
        f1: (u16, BTreeMap<String, i128>),
        f2: i16,
    },
}

impl Random for T184 {
    fn random(random: &mut Randomness) -> Self {
        match random.below(4) {
            0 => Self::V0 { f0: Random::random(random) },
            1 => Self::V1(Random::random(random), Random::random(random)),
            2 => Self::V2(
                Random::random(random),
                Random::random(random),
                Random::random(random),
                Random::random(random),
            ),
            3 => Self::V3 {
                f0: Random::random(random),
                f1: Random::random(random),
                f2: Random::random(random),
            },
            _ => unreachable!(),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct T185 {
    f0: f64,
    f1: u128,
    #[serde(skip_deserializing)]
    f2: f64,
}

impl Random for T185 {
    fn random(random: &mut Randomness) -> Self {
        Self { f0: Random::random(random), f1: Random::random(random), f2: Random::random(random) }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct T186;

impl Random for T186 {
    fn random(random: &mut Randomness) -> Self {
        Self
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct T187;

impl Random for T187 {
    fn random(random: &mut Randomness) -> Self {
        Self
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct T188 {
    f0: (u16, T105),
    f1: T161,
    f2: Option<T102>,
    #[serde(alias = "a3")]
    f3: Option<[i16; 3]>,
}

impl Random for T188 {
    fn random(random: &mut Randomness) -> Self {
        Self {
            f0: Random::random(random),
            f1: Random::random(random),
            f2: Random::random(random),
            f3: Random::random(random),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct T189(serde_json::Value, u64, HashMap<String, u8>);

impl Random for T189 {
    fn random(random: &mut Randomness) -> Self {
        Self(Random::random(random), Random::random(random), Random::random(random))
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct T190 {
    #[serde(alias = "a0")]
    f0: HashMap<String, u8>,
}

impl Random for T190 {
    fn random(random: &mut Randomness) -> Self {
        Self { f0: Random::random(random) }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct T191 {
    f0: Option<Option<String>>,
    #[serde(default)]
    f1: i64,
}

impl Random for T191 {
    fn random(random: &mut Randomness) -> Self {
        Self { f0: Random::random(random), f1: Random::random(random) }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum T192 {
    #[serde(rename = "R0")]
    V0(BTreeMap<String, Vec<i128>>),
    V1(i16, HashMap<String, u8>),
    V2(Vec<i64>),
    V3 {
        #[serde(default)]
        f0: (),
        #[serde(default, skip_serializing_if = "Option::is_none")]
        f1: Option<u16>,
        #[serde(alias = "a2")]
        f2: bool,
        #[serde(rename(serialize = "w3"))]
        f3: char,
    },
    V4 {
        #[serde(default)]
        f0: (u8, String),
        f1: Option<u16>,
        f2: Option<BTreeMap<String, (u16, i32)>>,
    },
}

impl Random for T192 {
    fn random(random: &mut Randomness) -> Self {
        match random.below(5) {
            0 => Self::V0(Random::random(random)),
            1 => Self::V1(Random::random(random), Random::random(random)),
            2 => Self::V2(Random::random(random)),
            3 => Self::V3 {
                f0: Random::random(random),
                f1: Random::random(random),
                f2: Random::random(random),
                f3: Random::random(random),
            },
            4 => Self::V4 {
                f0: Random::random(random),
                f1: Random::random(random),
                f2: Random::random(random),
            },
            _ => unreachable!(),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct T193 {
    f0: Option<BTreeMap<String, char>>,
}

impl Random for T193 {
    fn random(random: &mut Randomness) -> Self {
        Self { f0: Random::random(random) }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum T194 {
    V0 {
        #[serde(default, skip_serializing)]
        f0: Vec<u64>,
        #[serde(default)]
        f1: Option<i64>,
        #[serde(alias = "a2")]
        f2: HashMap<String, u8>,
        f3: Option<Option<()>>,
    },
    V1,
    V2(()),
    V3((u16, (u16, Vec<[i16; 3]>))),
}

impl Random for T194 {
    fn random(random: &mut Randomness) -> Self {
        match random.below(4) {
            0 => Self::V0 {
                f0: Random::random(random),
                f1: Random::random(random),
                f2: Random::random(random),
                f3: Random::random(random),
            },
            1 => Self::V1,
            2 => Self::V2(Random::random(random)),
            3 => Self::V3(Random::random(random)),
            _ => unreachable!(),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum T195 {
    V0(i64),
    V1 {
        #[serde(alias = "a0")]
        f0: i16,
    },
}

impl Random for T195 {
    fn random(random: &mut Randomness) -> Self {
        match random.below(2) {
            0 => Self::V0(Random::random(random)),
            1 => Self::V1 { f0: Random::random(random) },
            _ => unreachable!(),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct T196 {
    #[serde(alias = "a0")]
    f0: Vec<BTreeMap<String, i16>>,
    f1: HashMap<String, u8>,
}

impl Random for T196 {
    fn random(random: &mut Randomness) -> Self {
        Self { f0: Random::random(random), f1: Random::random(random) }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct T197(char);

impl Random for T197 {
    fn random(random: &mut Randomness) -> Self {
        Self(Random::random(random))
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct T198 {
    f0: Vec<Vec<(u16, i32)>>,
    #[serde(default)]
    f1: String,
}

impl Random for T198 {
    fn random(random: &mut Randomness) -> Self {
        Self { f0: Random::random(random), f1: Random::random(random) }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct T199(T191);

impl Random for T199 {
    fn random(random: &mut Randomness) -> Self {
        Self(Random::random(random))
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct T200 {
    f0: HashMap<String, u8>,
    f1: Vec<i32>,
}

impl Random for T200 {
    fn random(random: &mut Randomness) -> Self {
        Self { f0: Random::random(random), f1: Random::random(random) }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct T201 {
    f0: u64,
    f1: Vec<String>,
    f2: Option<u16>,
}

impl Random for T201 {
    fn random(random: &mut Randomness) -> Self {
        Self { f0: Random::random(random), f1: Random::random(random), f2: Random::random(random) }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum T202 {
    V0,
    V1,
}

impl Random for T202 {
    fn random(random: &mut Randomness) -> Self {
        match random.below(2) {
            0 => Self::V0,
            1 => Self::V1,
            _ => unreachable!(),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum T203 {
    V0,
    V1 {
        f0: u32,
        #[serde(alias = "a1")]
        f1: i8,
    },
    V2(Vec<f64>),
    V3 {
        f0: f64,
        f1: T84,
        #[serde(alias = "a2")]
        f2: f64,
        f3: Option<BTreeMap<String, Option<i64>>>,
    },
    V4,
}

impl Random for T203 {
    fn random(random: &mut Randomness) -> Self {
        match random.below(5) {
            0 => Self::V0,
            1 => Self::V1 { f0: Random::random(random), f1: Random::random(random) },
            2 => Self::V2(Random::random(random)),
            3 => Self::V3 {
                f0: Random::random(random),
                f1: Random::random(random),
                f2: Random::random(random),
                f3: Random::random(random),
            },
            4 => Self::V4,
            _ => unreachable!(),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct T204 {
    #[serde(default)]
    f0: BTreeMap<String, u64>,
}

impl Random for T204 {
    fn random(random: &mut Randomness) -> Self {
        Self { f0: Random::random(random) }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind")]
pub enum T205 {
    V0,
    V1 { f0: (u16, Vec<Vec<bool>>) },
    V2,
    V3,
}

impl Random for T205 {
    fn random(random: &mut Randomness) -> Self {
        match random.below(4) {
            0 => Self::V0,
            1 => Self::V1 { f0: Random::random(random) },
            2 => Self::V2,
            3 => Self::V3,
            _ => unreachable!(),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum T206 {
    V0,
    V1(u32),
    V2(f64, BTreeMap<String, ()>, T49),
}

impl Random for T206 {
    fn random(random: &mut Randomness) -> Self {
        match random.below(3) {
            0 => Self::V0,
            1 => Self::V1(Random::random(random)),
            2 => Self::V2(Random::random(random), Random::random(random), Random::random(random)),
            _ => unreachable!(),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind")]
pub enum T207 {
    V0 {
        f0: HashMap<String, u8>,
        f1: u64,
        f2: String,
    },
    V1 {
        f0: T187,
        f1: u128,
        f2: T44,
        f3: f64,
    },
    V2,
    V3,
    V4 {
        f0: u8,
        f1: i32,
        #[serde(alias = "a2")]
        f2: u8,
    },
}

impl Random for T207 {
    fn random(random: &mut Randomness) -> Self {
        match random.below(5) {
            0 => Self::V0 {
                f0: Random::random(random),
                f1: Random::random(random),
                f2: Random::random(random),
            },
            1 => Self::V1 {
                f0: Random::random(random),
                f1: Random::random(random),
                f2: Random::random(random),
                f3: Random::random(random),
            },
            2 => Self::V2,
            3 => Self::V3,
            4 => Self::V4 {
                f0: Random::random(random),
                f1: Random::random(random),
                f2: Random::random(random),
            },
            _ => unreachable!(),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct T208 {
    f0: u128,
    f1: [i16; 3],
    #[serde(rename = "n2")]
    f2: (),
    f3: T181,
}

impl Random for T208 {
    fn random(random: &mut Randomness) -> Self {
        Self {
            f0: Random::random(random),
            f1: Random::random(random),
            f2: Random::random(random),
            f3: Random::random(random),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum T209 {
    #[serde(rename = "R0")]
    V0(String, u64),
    V1(Vec<i64>),
}

impl Random for T209 {
    fn random(random: &mut Randomness) -> Self {
        match random.below(2) {
            0 => Self::V0(Random::random(random), Random::random(random)),
            1 => Self::V1(Random::random(random)),
            _ => unreachable!(),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct T210(BTreeMap<String, i32>);

impl Random for T210 {
    fn random(random: &mut Randomness) -> Self {
        Self(Random::random(random))
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum T211 {
    #[serde(rename = "R0")]
    V0,
    #[serde(rename = "R1")]
    V1(BTreeMap<String, Vec<Option<()>>>),
}

impl Random for T211 {
    fn random(random: &mut Randomness) -> Self {
        match random.below(2) {
            0 => Self::V0,
            1 => Self::V1(Random::random(random)),
            _ => unreachable!(),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum T212 {
    V0(u64, i16),
    V1 { f0: i8 },
    V2,
}

impl Random for T212 {
    fn random(random: &mut Randomness) -> Self {
        match random.below(3) {
            0 => Self::V0(Random::random(random), Random::random(random)),
            1 => Self::V1 { f0: Random::random(random) },
            2 => Self::V2,
            _ => unreachable!(),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum T213 {
    V0 { f0: String },
    V1(u8),
    V2 { f0: char },
}

impl Random for T213 {
    fn random(random: &mut Randomness) -> Self {
        match random.below(3) {
            0 => Self::V0 { f0: Random::random(random) },
            1 => Self::V1(Random::random(random)),
            2 => Self::V2 { f0: Random::random(random) },
            _ => unreachable!(),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum T214 {
    V0(HashMap<String, u8>),
    V1(String, [i16; 3]),
    #[serde(rename = "R2")]
    V2 {
        f0: (),
    },
    V3(i32, u64, Vec<T70>, bool),
    V4(Option<i32>, f64, f64, (u8, String)),
}

impl Random for T214 {
    fn random(random: &mut Randomness) -> Self {
        match random.below(5) {
            0 => Self::V0(Random::random(random)),
            1 => Self::V1(Random::random(random), Random::random(random)),
            2 => Self::V2 { f0: Random::random(random) },
            3 => Self::V3(
                Random::random(random),
                Random::random(random),
                Random::random(random),
                Random::random(random),
            ),
            4 => Self::V4(
                Random::random(random),
                Random::random(random),
                Random::random(random),
                Random::random(random),
            ),
            _ => unreachable!(),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct T215 {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    f0: Vec<(u8, String)>,
    f1: T31,
    f2: u64,
}

impl Random for T215 {
    fn random(random: &mut Randomness) -> Self {
        Self { f0: Random::random(random), f1: Random::random(random), f2: Random::random(random) }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct T216;

impl Random for T216 {
    fn random(random: &mut Randomness) -> Self {
        Self
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind")]
pub enum T217 {
    V0,
    V1,
    V2 {
        f0: i128,
        #[serde(default)]
        f1: Vec<BTreeMap<String, i16>>,
        f2: u128,
    },
    #[serde(rename = "R3")]
    V3 {
        f0: u16,
        f1: u16,
        f2: T152,
        #[serde(alias = "a3")]
        f3: T37,
    },
    V4,
}

impl Random for T217 {
    fn random(random: &mut Randomness) -> Self {
        match random.below(5) {
            0 => Self::V0,
            1 => Self::V1,
            2 => Self::V2 {
                f0: Random::random(random),
                f1: Random::random(random),
                f2: Random::random(random),
            },
            3 => Self::V3 {
                f0: Random::random(random),
                f1: Random::random(random),
                f2: Random::random(random),
                f3: Random::random(random),
            },
            4 => Self::V4,
            _ => unreachable!(),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct T218(Vec<Option<T214>>);

impl Random for T218 {
    fn random(random: &mut Randomness) -> Self {
        Self(Random::random(random))
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct T219 {
    f0: (),
    #[serde(rename = "n1")]
    f1: i32,
    f2: Option<f64>,
}

impl Random for T219 {
    fn random(random: &mut Randomness) -> Self {
        Self { f0: Random::random(random), f1: Random::random(random), f2: Random::random(random) }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct T220;

impl Random for T220 {
    fn random(random: &mut Randomness) -> Self {
        Self
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct T221 {
    f0: String,
    f1: u8,
    f2: T146,
    f3: Option<String>,
}

impl Random for T221 {
    fn random(random: &mut Randomness) -> Self {
        Self {
            f0: Random::random(random),
            f1: Random::random(random),
            f2: Random::random(random),
            f3: Random::random(random),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct T222 {
    f0: Vec<Option<i128>>,
    f1: Option<(u16, Option<[i16; 3]>)>,
}

impl Random for T222 {
    fn random(random: &mut Randomness) -> Self {
        Self { f0: Random::random(random), f1: Random::random(random) }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct T223 {
    #[serde(alias = "a0")]
    f0: u128,
    #[serde(alias = "a1")]
    f1: u16,
    f2: u64,
}

impl Random for T223 {
    fn random(random: &mut Randomness) -> Self {
        Self { f0: Random::random(random), f1: Random::random(random), f2: Random::random(random) }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct T224 {
    f0: Vec<Option<Option<char>>>,
    f1: i128,
    #[serde(rename(serialize = "w2"))]
    f2: u64,
    f3: char,
}

impl Random for T224 {
    fn random(random: &mut Randomness) -> Self {
        Self {
            f0: Random::random(random),
            f1: Random::random(random),
            f2: Random::random(random),
            f3: Random::random(random),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct T225 {
    f0: Option<Vec<Vec<i16>>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    f1: Option<Option<BTreeMap<String, i8>>>,
}

impl Random for T225 {
    fn random(random: &mut Randomness) -> Self {
        Self { f0: Random::random(random), f1: Random::random(random) }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum T226 {
    V0 { f0: u8, f1: bool, f2: i32, f3: T11 },
    V1 { f0: T218 },
    V2(u16, ()),
    V3,
    V4,
}

impl Random for T226 {
    fn random(random: &mut Randomness) -> Self {
        match random.below(5) {
            0 => Self::V0 {
                f0: Random::random(random),
                f1: Random::random(random),
                f2: Random::random(random),
                f3: Random::random(random),
            },
            1 => Self::V1 { f0: Random::random(random) },
            2 => Self::V2(Random::random(random), Random::random(random)),
            3 => Self::V3,
            4 => Self::V4,
            _ => unreachable!(),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct T227 {
    f0: Vec<i128>,
    #[serde(rename = "n1")]
    f1: BTreeMap<String, i8>,
    f2: u8,
    f3: i128,
}

impl Random for T227 {
    fn random(random: &mut Randomness) -> Self {
        Self {
            f0: Random::random(random),
            f1: Random::random(random),
            f2: Random::random(random),
            f3: Random::random(random),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct T228 {
    f0: BTreeMap<String, BTreeMap<String, u16>>,
    f1: bool,
}

impl Random for T228 {
    fn random(random: &mut Randomness) -> Self {
        Self { f0: Random::random(random), f1: Random::random(random) }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum T229 {
    V0,
    V1,
    V2 { f0: HashMap<String, u8>, f1: u8 },
    V3,
    V4 { f0: Vec<u128> },
}

impl Random for T229 {
    fn random(random: &mut Randomness) -> Self {
        match random.below(5) {
            0 => Self::V0,
            1 => Self::V1,
            2 => Self::V2 { f0: Random::random(random), f1: Random::random(random) },
            3 => Self::V3,
            4 => Self::V4 { f0: Random::random(random) },
            _ => unreachable!(),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct T230;

impl Random for T230 {
    fn random(random: &mut Randomness) -> Self {
        Self
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct T231 {
    f0: [i16; 3],
}

impl Random for T231 {
    fn random(random: &mut Randomness) -> Self {
        Self { f0: Random::random(random) }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct T232(u64);

impl Random for T232 {
    fn random(random: &mut Randomness) -> Self {
        Self(Random::random(random))
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct T233 {
    f0: Option<BTreeMap<String, ()>>,
    f1: HashMap<String, u8>,
}

impl Random for T233 {
    fn random(random: &mut Randomness) -> Self {
        Self { f0: Random::random(random), f1: Random::random(random) }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum T234 {
    V0(Option<T52>),
    V1([i16; 3]),
    V2,
}

impl Random for T234 {
    fn random(random: &mut Randomness) -> Self {
        match random.below(3) {
            0 => Self::V0(Random::random(random)),
            1 => Self::V1(Random::random(random)),
            2 => Self::V2,
            _ => unreachable!(),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct T235 {
    f0: (u8, String),
}

impl Random for T235 {
    fn random(random: &mut Randomness) -> Self {
        Self { f0: Random::random(random) }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct T236 {
    f0: Vec<u128>,
    #[serde(rename = "n1")]
    f1: Option<Vec<BTreeMap<String, u64>>>,
}

impl Random for T236 {
    fn random(random: &mut Randomness) -> Self {
        Self { f0: Random::random(random), f1: Random::random(random) }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct T237 {
    f0: serde_json::Value,
    #[serde(alias = "a1")]
    f1: char,
}

impl Random for T237 {
    fn random(random: &mut Randomness) -> Self {
        Self { f0: Random::random(random), f1: Random::random(random) }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct T238 {
    f0: (u8, String),
    #[serde(default)]
    f1: f64,
}

impl Random for T238 {
    fn random(random: &mut Randomness) -> Self {
        Self { f0: Random::random(random), f1: Random::random(random) }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct T239 {
    f0: (u8, String),
    f1: serde_json::Value,
    f2: (u8, String),
}

impl Random for T239 {
    fn random(random: &mut Randomness) -> Self {
        Self { f0: Random::random(random), f1: Random::random(random), f2: Random::random(random) }
    }
}

one_of!(
    Keys0,
    [Eq],
    [
        T0, T1, T3, T4, T5, T7, T8, T10, T11, T12, T13, T15, T16, T18, T21, T23, T25, T26, T31,
        T35, T36, T38, T39, T43
    ]
);

one_of!(
    Keys1,
    [Eq],
    [
        T46, T48, T49, T51, T52, T55, T57, T59, T61, T65, T66, T73, T74, T75, T76, T78, T81, T82,
        T83, T84, T87, T88, T89, T90
    ]
);

one_of!(
    Keys2,
    [Eq],
    [
        T91, T93, T94, T96, T99, T101, T102, T104, T108, T110, T116, T119, T120, T125, T126, T127,
        T128, T129, T130, T131, T132, T133, T136, T137
    ]
);

one_of!(
    Keys3,
    [Eq],
    [
        T138, T141, T142, T146, T147, T151, T152, T154, T156, T157, T158, T159, T161, T162, T166,
        T168, T169, T170, T171, T172, T175, T176, T178, T182
    ]
);

one_of!(
    Keys4,
    [Eq],
    [
        T186, T187, T191, T193, T195, T197, T198, T199, T201, T202, T204, T209, T210, T211, T212,
        T213, T216, T220, T221, T222, T223, T227, T228, T230
    ]
);

one_of!(Keys5, [Eq], [T231, T232, T234, T235, T236]);

one_of!(Keys, [Eq], [Keys0, Keys1, Keys2, Keys3, Keys4, Keys5]);

one_of!(
    Values0,
    [],
    [
        T2, T9, T17, T22, T27, T28, T29, T37, T41, T44, T54, T56, T60, T63, T64, T70, T71, T72,
        T85, T92, T98, T103, T111, T112
    ]
);

one_of!(
    Values1,
    [],
    [
        T113, T114, T115, T117, T121, T134, T140, T143, T145, T148, T153, T155, T160, T164, T177,
        T179, T180, T181, T183, T190, T196, T200, T203, T206
    ]
);

one_of!(Values2, [], [T208, T214, T218, T219, T226, T229, T233, T238]);

one_of!(Values, [], [Values0, Values1, Values2]);

/// All of them.
pub fn all() -> Vec<Case> {
    vec![
        Case::key_in_states::<T0>("T0", &[]),
        Case::key::<T1>("T1", &[]),
        Case::value::<T2>("T2", &[]),
        Case::key::<T3>("T3", &[]),
        Case::key::<T4>("T4", &[]),
        Case::key::<T5>("T5", &[]),
        Case::value::<T6>("T6", &["rename(serialize"]),
        Case::key::<T7>("T7", &[]),
        Case::key_in_states::<T8>("T8", &[]),
        Case::value::<T9>("T9", &[]),
        Case::key::<T10>("T10", &[]),
        Case::key::<T11>("T11", &[]),
        Case::key::<T12>("T12", &[]),
        Case::key::<T13>("T13", &[]),
        Case::value::<T14>("T14", &["rename(serialize", "serde_json::Value", "tag"]),
        Case::key::<T15>("T15", &[]),
        Case::key_in_states::<T16>("T16", &[]),
        Case::value::<T17>("T17", &[]),
        Case::key::<T18>("T18", &[]),
        Case::key::<T19>("T19", &["rename(serialize", "serde_json::Value", "tag"]),
        Case::unordered::<T20>("T20", &["skip_serializing_if"]),
        Case::key::<T21>("T21", &[]),
        Case::value::<T22>("T22", &[]),
        Case::key::<T23>("T23", &[]),
        Case::value_in_states::<T24>("T24", &["skip_deserializing"]),
        Case::key::<T25>("T25", &[]),
        Case::key::<T26>("T26", &[]),
        Case::value::<T27>("T27", &[]),
        Case::value::<T28>("T28", &[]),
        Case::unordered::<T29>("T29", &[]),
        Case::value::<T30>("T30", &["rename(serialize"]),
        Case::key::<T31>("T31", &[]),
        Case::key_in_states::<T32>("T32", &["rename(serialize"]),
        Case::unordered::<T33>("T33", &["#[serde(skip)]"]),
        Case::key::<T34>("T34", &["skip_deserializing"]),
        Case::key::<T35>("T35", &[]),
        Case::key::<T36>("T36", &[]),
        Case::value::<T37>("T37", &[]),
        Case::key::<T38>("T38", &[]),
        Case::key::<T39>("T39", &[]),
        Case::key_in_states::<T40>("T40", &["tag"]),
        Case::unordered::<T41>("T41", &[]),
        Case::value::<T42>("T42", &["serde_json::Value"]),
        Case::key::<T43>("T43", &[]),
        Case::value::<T44>("T44", &[]),
        Case::value::<T45>("T45", &["skip_serializing_if"]),
        Case::key::<T46>("T46", &[]),
        Case::key::<T47>("T47", &["skip_deserializing"]),
        Case::key_in_states::<T48>("T48", &[]),
        Case::key::<T49>("T49", &[]),
        Case::value::<T50>("T50", &["#[serde(skip)]", "flatten"]),
        Case::key::<T51>("T51", &[]),
        Case::key::<T52>("T52", &[]),
        Case::value::<T53>("T53", &["rename(serialize", "tag"]),
        Case::value::<T54>("T54", &[]),
        Case::key::<T55>("T55", &[]),
        Case::value_in_states::<T56>("T56", &[]),
        Case::key::<T57>("T57", &[]),
        Case::unordered::<T58>("T58", &["rename(serialize"]),
        Case::key::<T59>("T59", &[]),
        Case::value::<T60>("T60", &[]),
        Case::key::<T61>("T61", &[]),
        Case::value::<T62>("T62", &["rename(serialize"]),
        Case::unordered::<T63>("T63", &[]),
        Case::value_in_states::<T64>("T64", &[]),
        Case::key::<T65>("T65", &[]),
        Case::key::<T66>("T66", &[]),
        Case::key::<T67>("T67", &["skip_deserializing"]),
        Case::value::<T68>("T68", &["skip_serializing", "tag"]),
        Case::value::<T69>("T69", &["skip_deserializing"]),
        Case::unordered::<T70>("T70", &[]),
        Case::value::<T71>("T71", &[]),
        Case::value_in_states::<T72>("T72", &[]),
        Case::key::<T73>("T73", &[]),
        Case::key::<T74>("T74", &[]),
        Case::key::<T75>("T75", &[]),
        Case::key::<T76>("T76", &[]),
        Case::key::<T77>("T77", &["skip_deserializing"]),
        Case::key::<T78>("T78", &[]),
        Case::value::<T79>("T79", &["tag"]),
        Case::unordered_in_states::<T80>("T80", &["rename(serialize"]),
        Case::key::<T81>("T81", &[]),
        Case::key::<T82>("T82", &[]),
        Case::key::<T83>("T83", &[]),
        Case::key::<T84>("T84", &[]),
        Case::value::<T85>("T85", &[]),
        Case::unordered::<T86>("T86", &["#[serde(skip)]", "rename(serialize", "tag"]),
        Case::key::<T87>("T87", &[]),
        Case::key_in_states::<T88>("T88", &[]),
        Case::key::<T89>("T89", &[]),
        Case::key::<T90>("T90", &[]),
        Case::key::<T91>("T91", &[]),
        Case::value::<T92>("T92", &[]),
        Case::key::<T93>("T93", &[]),
        Case::key::<T94>("T94", &[]),
        Case::value::<T95>("T95", &["serde_json::Value"]),
        Case::key_in_states::<T96>("T96", &[]),
        Case::value::<T97>("T97", &["tag"]),
        Case::value::<T98>("T98", &[]),
        Case::key::<T99>("T99", &[]),
        Case::key::<T100>("T100", &["serde_json::Value"]),
        Case::key::<T101>("T101", &[]),
        Case::key::<T102>("T102", &[]),
        Case::value::<T103>("T103", &[]),
        Case::key_in_states::<T104>("T104", &[]),
        Case::key::<T105>("T105", &["tag"]),
        Case::key::<T106>("T106", &["skip_serializing"]),
        Case::value::<T107>("T107", &["skip_serializing"]),
        Case::key::<T108>("T108", &[]),
        Case::key::<T109>("T109", &["serde_json::Value"]),
        Case::key::<T110>("T110", &[]),
        Case::value::<T111>("T111", &[]),
        Case::unordered_in_states::<T112>("T112", &[]),
        Case::value::<T113>("T113", &[]),
        Case::unordered::<T114>("T114", &[]),
        Case::unordered::<T115>("T115", &[]),
        Case::key::<T116>("T116", &[]),
        Case::value::<T117>("T117", &[]),
        Case::value::<T118>("T118", &["skip_deserializing"]),
        Case::key::<T119>("T119", &[]),
        Case::key_in_states::<T120>("T120", &[]),
        Case::value::<T121>("T121", &[]),
        Case::value::<T122>("T122", &["tag"]),
        Case::value::<T123>("T123", &["#[serde(skip)]"]),
        Case::value::<T124>("T124", &["skip_serializing"]),
        Case::key::<T125>("T125", &[]),
        Case::key::<T126>("T126", &[]),
        Case::key::<T127>("T127", &[]),
        Case::key_in_states::<T128>("T128", &[]),
        Case::key::<T129>("T129", &[]),
        Case::key::<T130>("T130", &[]),
        Case::key::<T131>("T131", &[]),
        Case::key::<T132>("T132", &[]),
        Case::key::<T133>("T133", &[]),
        Case::unordered::<T134>("T134", &[]),
        Case::key::<T135>("T135", &["rename(serialize", "skip_serializing_if"]),
        Case::key_in_states::<T136>("T136", &[]),
        Case::key::<T137>("T137", &[]),
        Case::key::<T138>("T138", &[]),
        Case::value::<T139>("T139", &["skip_serializing"]),
        Case::value::<T140>("T140", &[]),
        Case::key::<T141>("T141", &[]),
        Case::key::<T142>("T142", &[]),
        Case::value::<T143>("T143", &[]),
        Case::value_in_states::<T144>("T144", &["rename(serialize"]),
        Case::value::<T145>("T145", &[]),
        Case::key::<T146>("T146", &[]),
        Case::key::<T147>("T147", &[]),
        Case::value::<T148>("T148", &[]),
        Case::value::<T149>("T149", &["rename(serialize", "tag"]),
        Case::value::<T150>("T150", &["skip_serializing"]),
        Case::key::<T151>("T151", &[]),
        Case::key_in_states::<T152>("T152", &[]),
        Case::unordered::<T153>("T153", &[]),
        Case::key::<T154>("T154", &[]),
        Case::unordered::<T155>("T155", &[]),
        Case::key::<T156>("T156", &[]),
        Case::key::<T157>("T157", &[]),
        Case::key::<T158>("T158", &[]),
        Case::key::<T159>("T159", &[]),
        Case::unordered_in_states::<T160>("T160", &[]),
        Case::key::<T161>("T161", &[]),
        Case::key::<T162>("T162", &[]),
        Case::key::<T163>("T163", &["rename(serialize"]),
        Case::value::<T164>("T164", &[]),
        Case::value::<T165>("T165", &["skip_deserializing"]),
        Case::key::<T166>("T166", &[]),
        Case::key::<T167>("T167", &["tag"]),
        Case::key_in_states::<T168>("T168", &[]),
        Case::key::<T169>("T169", &[]),
        Case::key::<T170>("T170", &[]),
        Case::key::<T171>("T171", &[]),
        Case::key::<T172>("T172", &[]),
        Case::key::<T173>("T173", &["tag"]),
        Case::value::<T174>("T174", &["rename(serialize"]),
        Case::key::<T175>("T175", &[]),
        Case::key_in_states::<T176>("T176", &[]),
        Case::value::<T177>("T177", &[]),
        Case::key::<T178>("T178", &[]),
        Case::value::<T179>("T179", &[]),
        Case::value::<T180>("T180", &[]),
        Case::value::<T181>("T181", &[]),
        Case::key::<T182>("T182", &[]),
        Case::unordered::<T183>("T183", &[]),
        Case::unordered_in_states::<T184>("T184", &["skip_deserializing"]),
        Case::value::<T185>("T185", &["skip_deserializing"]),
        Case::key::<T186>("T186", &[]),
        Case::key::<T187>("T187", &[]),
        Case::key::<T188>("T188", &["tag"]),
        Case::unordered::<T189>("T189", &["serde_json::Value"]),
        Case::unordered::<T190>("T190", &[]),
        Case::key::<T191>("T191", &[]),
        Case::unordered_in_states::<T192>("T192", &["rename(serialize", "skip_serializing_if"]),
        Case::key::<T193>("T193", &[]),
        Case::unordered::<T194>("T194", &["skip_serializing", "tag"]),
        Case::key::<T195>("T195", &[]),
        Case::unordered::<T196>("T196", &[]),
        Case::key::<T197>("T197", &[]),
        Case::key::<T198>("T198", &[]),
        Case::key::<T199>("T199", &[]),
        Case::unordered_in_states::<T200>("T200", &[]),
        Case::key::<T201>("T201", &[]),
        Case::key::<T202>("T202", &[]),
        Case::value::<T203>("T203", &[]),
        Case::key::<T204>("T204", &[]),
        Case::key::<T205>("T205", &["tag"]),
        Case::value::<T206>("T206", &[]),
        Case::value::<T207>("T207", &["tag"]),
        Case::value_in_states::<T208>("T208", &[]),
        Case::key::<T209>("T209", &[]),
        Case::key::<T210>("T210", &[]),
        Case::key::<T211>("T211", &[]),
        Case::key::<T212>("T212", &[]),
        Case::key::<T213>("T213", &[]),
        Case::value::<T214>("T214", &[]),
        Case::key::<T215>("T215", &["skip_serializing_if"]),
        Case::key_in_states::<T216>("T216", &[]),
        Case::value::<T217>("T217", &["tag"]),
        Case::value::<T218>("T218", &[]),
        Case::value::<T219>("T219", &[]),
        Case::key::<T220>("T220", &[]),
        Case::key::<T221>("T221", &[]),
        Case::key::<T222>("T222", &[]),
        Case::key::<T223>("T223", &[]),
        Case::key_in_states::<T224>("T224", &["rename(serialize"]),
        Case::key::<T225>("T225", &["skip_serializing_if"]),
        Case::value::<T226>("T226", &[]),
        Case::key::<T227>("T227", &[]),
        Case::key::<T228>("T228", &[]),
        Case::unordered::<T229>("T229", &[]),
        Case::key::<T230>("T230", &[]),
        Case::key::<T231>("T231", &[]),
        Case::key_in_states::<T232>("T232", &[]),
        Case::unordered::<T233>("T233", &[]),
        Case::key::<T234>("T234", &[]),
        Case::key::<T235>("T235", &[]),
        Case::key::<T236>("T236", &[]),
        Case::key::<T237>("T237", &["serde_json::Value"]),
        Case::value::<T238>("T238", &[]),
        Case::key::<T239>("T239", &["serde_json::Value"]),
        Case::key_in_states::<Keys0>("Keys0", &[]),
        Case::key_in_states::<Keys1>("Keys1", &[]),
        Case::key_in_states::<Keys2>("Keys2", &[]),
        Case::key_in_states::<Keys3>("Keys3", &[]),
        Case::key_in_states::<Keys4>("Keys4", &[]),
        Case::key_in_states::<Keys5>("Keys5", &[]),
        Case::value_in_states::<Values0>("Values0", &[]),
        Case::value_in_states::<Values1>("Values1", &[]),
        Case::value_in_states::<Values2>("Values2", &[]),
    ]
}

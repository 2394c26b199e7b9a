use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    net::IpAddr,
    num::NonZeroU32,
    time::Duration,
};

use serde::{Deserialize, Deserializer, Serialize, Serializer, ser::SerializeStruct};

use super::{check_key, check_type};
use crate::Key;

/// Why values of `T` can't be kept.
fn unfit<T: Serialize + for<'de> Deserialize<'de>>() -> String {
    check_type::<T>().expect_err("its values can't be read back").to_string()
}

fn fits<T: Serialize + for<'de> Deserialize<'de>>() {
    assert_eq!(check_type::<T>(), Ok(()), "{}", std::any::type_name::<T>());
}

#[expect(dead_code, reason = "they are looked at by serde alone")]
#[derive(Clone, Serialize, Deserialize)]
struct Plain {
    id: u64,
    name: Option<String>,
    tags: BTreeMap<String, Vec<u8>>,
    by_hash: HashMap<String, HashSet<u16>>,
    address: (IpAddr, Duration, NonZeroU32),
    #[serde(skip)]
    cached: Option<u64>,
    #[serde(default, alias = "was")]
    renamed: char,
    #[serde(rename = "type")]
    kind: Event,
    next: Option<Box<Plain>>,
}

#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
enum Event {
    Opened,
    Moved(i32, i32),
    Renamed { to: String },
    Nested(Box<Event>),
    Text(String),
}

#[derive(Serialize, Deserialize)]
#[serde(transparent)]
struct Transparent {
    inner: Vec<u32>,
}

#[derive(Serialize, Deserialize)]
#[serde(from = "u32", into = "u32")]
#[derive(Clone)]
struct ByNumber(u16);

impl From<u32> for ByNumber {
    fn from(number: u32) -> Self {
        Self(number as u16)
    }
}

impl From<ByNumber> for u32 {
    fn from(number: ByNumber) -> Self {
        number.0.into()
    }
}

#[test]
fn what_is_read_as_it_is_written_fits() {
    fits::<Plain>();
    fits::<Event>();
    fits::<Transparent>();
    fits::<ByNumber>();
    fits::<()>();
    fits::<[u8; 32]>();
    fits::<(u8, (i128, u128), [f32; 2])>();
    fits::<Result<u8, String>>();
    fits::<std::ops::Range<u64>>();
    fits::<std::time::SystemTime>();
    fits::<std::path::PathBuf>();
    fits::<Box<str>>();
}

macro_rules! refused {
    ($($test:ident: $type:ty => $why:literal;)*) => {
        $(
            #[test]
            fn $test() {
                assert_eq!(unfit::<$type>(), $why);
            }
        )*
    };
}

#[derive(Serialize, Deserialize)]
struct Skipping {
    id: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct SkippingEmpty {
    inner: Vec<SkippingEmptyInner>,
}

#[derive(Serialize, Deserialize)]
enum SkippingEmptyInner {
    None,
    Some {
        #[serde(default, skip_serializing_if = "String::is_empty")]
        text: String,
    },
}

#[derive(Serialize, Deserialize)]
struct WriteOnly {
    id: u64,
    #[serde(skip_deserializing)]
    total: u64,
}

#[expect(dead_code, reason = "they are looked at by serde alone")]
#[derive(Serialize, Deserialize)]
struct ReadOnly {
    id: u64,
    #[serde(default, skip_serializing)]
    total: u64,
}

#[derive(Serialize, Deserialize)]
struct RenamedOneWay {
    #[serde(rename(serialize = "ID"))]
    id: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "kind")]
enum Tagged {
    One { of: u64 },
    Two { of: u64 },
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "kind", content = "of")]
enum Adjacent {
    Number(u64),
    Text(String),
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Untagged {
    Number(u64),
    Text(String),
}

#[derive(Serialize, Deserialize)]
struct Flattened {
    id: u64,
    #[serde(flatten)]
    rest: BTreeMap<String, u64>,
}

#[derive(Serialize, Deserialize)]
struct Deep {
    orders: Vec<(u8, Option<Holder>)>,
}

#[derive(Serialize, Deserialize)]
struct Holder {
    payload: serde_json::Value,
}

#[derive(Serialize, Deserialize)]
struct OtherWidth {
    #[serde(serialize_with = "as_u16")]
    count: u64,
}

fn as_u16<S: Serializer>(count: &u64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u16(*count as u16)
}

#[derive(Serialize, Deserialize)]
struct AsText {
    #[serde(serialize_with = "as_text")]
    count: u64,
}

fn as_text<S: Serializer>(count: &u64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(count)
}

#[expect(dead_code, reason = "they are looked at by serde alone")]
#[derive(Serialize, Deserialize)]
enum SkippedVariant {
    One,
    #[serde(skip)]
    Hidden,
    Two,
}

/// Writes its fields the other way round.
#[derive(Deserialize)]
struct OtherOrder {
    first: u8,
    second: u8,
}

impl Serialize for OtherOrder {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("OtherOrder", 2)?;
        fields.serialize_field("second", &self.second)?;
        fields.serialize_field("first", &self.first)?;
        fields.end()
    }
}

/// Is read as another number than was written.
#[derive(Serialize)]
struct Doubling(u64);

impl<'de> Deserialize<'de> for Doubling {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        u64::deserialize(deserializer).map(|number| Self(2 * number))
    }
}

refused! {
    a_field_that_is_skipped_if: Skipping =>
        "values of `Skipping` can't be read back: `note`: it is left out of some values \
         (`#[serde(skip_serializing_if = …)]`): take the attribute away";
    a_field_of_a_variant_inside_of_others: SkippingEmpty =>
        "values of `SkippingEmpty` can't be read back: `inner.0.Some.text`: it is left out of some \
         values (`#[serde(skip_serializing_if = …)]`): take the attribute away";
    a_field_that_is_written_only: WriteOnly =>
        "values of `WriteOnly` can't be read back: `total`: it is written and not read \
         (`#[serde(skip_deserializing)]`): use `#[serde(skip)]` if it need not be kept, or take the \
         attribute away";
    a_field_that_is_read_only: ReadOnly =>
        "values of `ReadOnly` can't be read back: `total`: it is read and not written \
         (`#[serde(skip_serializing)]`): use `#[serde(skip)]` if it need not be kept, or take the \
         attribute away";
    a_name_for_one_way: RenamedOneWay =>
        "values of `RenamedOneWay` can't be read back: `ID`: it is written under that name and read \
         as `id` (`#[serde(rename(serialize = …))]`): give it the same name both ways";
    a_tag_inside: Tagged =>
        "values of `Tagged` can't be read back: it is an enum with its tag inside \
         (`#[serde(tag = …)]`), and what is kept does not tell: it has neither names nor types";
    a_tag_beside: Adjacent =>
        "values of `Adjacent` can't be read back: `kind`: it tells what is beside it \
         (`#[serde(tag = …, content = …)]`), and what is kept does not tell: it has neither names nor \
         types";
    no_tag: Untagged =>
        "values of `Untagged` can't be read back: it is `#[serde(untagged)]`, or inside of what is \
         flattened or has its tag inside, and what is kept does not tell: it has neither names nor \
         types";
    a_flattened_map: Flattened =>
        "values of `Flattened` can't be read back: it reads its fields by name, as \
         `#[serde(flatten)]` does, and what is kept does not tell: it has neither names nor types";
    json_deep_inside: Deep =>
        "values of `Deep` can't be read back: `orders.0.1.payload`: a `serde_json::Value` holds \
         whatever its text says, and what is kept does not tell: it has neither names nor types";
    a_number_of_another_width: OtherWidth =>
        "values of `OtherWidth` can't be read back: `count`: it is written as `u16` and read as \
         `u64` (`serialize_with` or `deserialize_with` of another type, or a `Serialize` by hand, \
         does that)";
    a_number_as_text: AsText =>
        "values of `AsText` can't be read back: `count`: it is written as `String` and read as `u64` \
         (`serialize_with` or `deserialize_with` of another type, or a `Serialize` by hand, does \
         that)";
    a_variant_behind_a_hidden_one: SkippedVariant =>
        "values of `SkippedVariant` can't be read back: its variant `Two` is written with the number \
         2, which is read as `none`: a variant in front of it is left out (`#[serde(skip)]`), move \
         that one to the end";
    fields_in_another_order: OtherOrder =>
        "values of `OtherOrder` can't be read back: its fields are written in another order than \
         read";
    another_number: Doubling =>
        "values of `Doubling` can't be read back: a value that was written and read is another one";
}

#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Tags {
    id: u64,
    tags: HashSet<String>,
}

#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
enum Hidden {
    Nothing,
    Flags(Vec<HashMap<u8, bool>>),
}

#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Sorted {
    id: u64,
    tags: BTreeSet<(Event, String)>,
    list: Vec<Event>,
}

fn no_key<K: Key>() -> String {
    check_key::<K>().expect_err("it is no key").to_string()
}

#[test]
fn a_key_is_written_in_one_way() {
    assert_eq!(check_key::<Sorted>(), Ok(()));
    assert_eq!(check_key::<(u8, String, Option<Event>)>(), Ok(()));
    for why in [no_key::<Tags>(), no_key::<Hidden>(), no_key::<HashSet<bool>>()] {
        assert!(why.contains("equal values of it are written in different ways"), "{why}");
    }
}

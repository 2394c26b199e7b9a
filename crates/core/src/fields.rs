//! What a record's type is read from by name, as serde sees it.

use serde::de::DeserializeOwned;
use tidegate_state::{Body, Shape, accepted};

/// A field of a record's type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordField {
    /// What it is read from: its name, then its aliases.
    pub names: Vec<String>,
    /// Whether it may be missing: an `Option`, or with `#[serde(default)]`.
    pub is_optional: bool,
}

/// The fields of `T` if it is a struct with names, in the order of their declaration; `None` if it
/// is none, or can't be known without data (`#[serde(flatten)]`).
///
/// ```
/// #[derive(serde::Deserialize)]
/// struct Order {
///     id: u64,
///     note: Option<String>,
/// }
///
/// let fields = tidegate_core::record_fields::<Order>().expect("it is a struct");
/// assert_eq!(fields[0].names, ["id"]);
/// assert!(!fields[0].is_optional && fields[1].is_optional);
/// ```
#[must_use]
pub fn record_fields<T: DeserializeOwned>() -> Option<Vec<RecordField>> {
    let Shape::Named { body: Body::Fields(fields), .. } = accepted::<T>()? else { return None };
    let field = |field: tidegate_state::Field| RecordField {
        names: std::iter::once(field.name).chain(field.aliases).map(Into::into).collect(),
        is_optional: field.has_default,
    };
    Some(fields.fields.into_iter().map(field).collect())
}

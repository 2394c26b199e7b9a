//! The generated code; `proto/` documents it.
#![expect(
    unreachable_pub,
    clippy::all,
    clippy::allow_attributes_without_reason,
    reason = "generated, and seen by this crate alone"
)]

#[rustfmt::skip]
mod generated;

pub(crate) use self::generated::*;

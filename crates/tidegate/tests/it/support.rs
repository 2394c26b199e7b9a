//! What the tests share.

pub(crate) mod counting;
pub(crate) mod fed;
pub(crate) mod wrapped;

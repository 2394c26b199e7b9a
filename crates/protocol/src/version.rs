//! Which protocol a side speaks.

use std::fmt;

use crate::{error::MessageError, wire};

/// What a side speaks. Sides with the same major version understand each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ProtocolVersion {
    /// Raised by a change that an older side would misunderstand.
    pub major: u32,
    /// Raised by any other change.
    pub minor: u32,
}

impl ProtocolVersion {
    /// What this crate speaks.
    pub const CURRENT: Self = Self { major: 1, minor: 0 };
}

impl fmt::Display for ProtocolVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// What goes into a first message.
pub(crate) fn ours() -> Option<wire::ProtocolVersion> {
    let ProtocolVersion { major, minor } = ProtocolVersion::CURRENT;
    Some(wire::ProtocolVersion { major, minor })
}

/// Checks what came in the first message called `message`.
pub(crate) fn check(
    message: &'static str,
    version: Option<wire::ProtocolVersion>,
) -> Result<(), MessageError> {
    let missing = MessageError::Missing { message, part: "protocol_version" };
    let wire::ProtocolVersion { major, minor } = version.ok_or(missing)?;
    if major == ProtocolVersion::CURRENT.major {
        Ok(())
    } else {
        Err(MessageError::Version { found: ProtocolVersion { major, minor } })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_newer_minor_version_is_understood_and_another_major_one_is_not() {
        let version = |major, minor| Some(wire::ProtocolVersion { major, minor });
        assert_eq!(check("Hello", version(1, 99)), Ok(()));
        let error = check("Hello", version(2, 0)).expect_err("another major version");
        assert_eq!(
            error.to_string(),
            "the other side speaks protocol version 2.0, and this one 1.0: run the same release of \
             Tidegate on both"
        );
        let error = check("Hello", None).expect_err("no version");
        assert_eq!(error.to_string(), "a message `Hello` has no `protocol_version`");
    }
}

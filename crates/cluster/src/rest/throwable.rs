//! Exceptions as Flink's own client reads them: a `SerializedThrowable`, written by Java's object
//! serialization (Java Object Serialization Specification, chapter 6).
//!
//! The client reads nothing of a failure but that, so its bytes are put together here.

use base64::{Engine, prelude::BASE64_STANDARD};
use schemars::JsonSchema;
use serde::Serialize;

const MAGIC_AND_VERSION: [u8; 4] = [0xac, 0xed, 0x00, 0x05];
const NULL: u8 = 0x70;
const CLASS_DESCRIPTION: u8 = 0x72;
const OBJECT: u8 = 0x73;
const STRING: u8 = 0x74;
const ARRAY: u8 = 0x75;
const END_OF_BLOCK: u8 = 0x78;
const LONG_STRING: u8 = 0x7c;
/// Of a class whose fields stand there as they are.
const SERIALIZABLE: u8 = 0x02;
/// Of a class that writes something behind its fields.
const WITH_METHOD: u8 = 0x03;

/// Why an operation has failed.
#[derive(Clone, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) struct FailureCause {
    class: String,
    /// The whole chain of causes.
    stack_trace: String,
    /// The same for Flink's own client, in Base64.
    serialized_throwable: String,
}

/// A failure as the API tells of it.
pub(super) fn failure_cause(class: &str, message: &str) -> FailureCause {
    let stack_trace = format!("{class}: {message}\n");
    let serialized_throwable = BASE64_STANDARD.encode(serialized(class, message, &stack_trace));
    FailureCause { class: class.to_owned(), stack_trace, serialized_throwable }
}

/// A class's name, version, flags and fields.
struct Class<'a> {
    name: &'a str,
    version: u64,
    flags: u8,
    /// Type code and name, and for arrays and objects the type's name.
    fields: &'a [(u8, &'a str, &'a str)],
}

const STRING_TYPE: &str = "Ljava/lang/String;";

const SERIALIZED_THROWABLE: Class<'_> = Class {
    name: "org.apache.flink.util.SerializedThrowable",
    version: 0x6516_9df5_1fa7_13f3,
    flags: SERIALIZABLE,
    fields: &[
        (b'L', "fullStringifiedStackTrace", STRING_TYPE),
        (b'L', "originalErrorClassName", STRING_TYPE),
        (b'[', "serializedException", "[B"),
    ],
};
const EXCEPTION: Class<'_> = Class {
    name: "java.lang.Exception",
    version: 0xd0fd_1f3e_1a3b_1cc4,
    flags: SERIALIZABLE,
    fields: &[],
};
const THROWABLE: Class<'_> = Class {
    name: "java.lang.Throwable",
    version: 0xd5c6_3527_3977_b8cb,
    flags: WITH_METHOD,
    fields: &[
        (b'L', "cause", "Ljava/lang/Throwable;"),
        (b'L', "detailMessage", STRING_TYPE),
        (b'[', "stackTrace", "[Ljava/lang/StackTraceElement;"),
        (b'L', "suppressedExceptions", "Ljava/util/List;"),
    ],
};
const STACK_TRACE: Class<'_> = Class {
    name: "[Ljava.lang.StackTraceElement;",
    version: 0x0246_2a3c_3cfd_2239,
    flags: SERIALIZABLE,
    fields: &[],
};

fn serialized(class: &str, message: &str, trace: &str) -> Vec<u8> {
    let mut out = MAGIC_AND_VERSION.to_vec();
    out.push(OBJECT);
    describe(&mut out, &SERIALIZED_THROWABLE);
    describe(&mut out, &EXCEPTION);
    describe(&mut out, &THROWABLE);
    out.push(NULL);
    // Of the uppermost class first: no cause, the message, an empty stack trace, nothing suppressed.
    out.push(NULL);
    string(&mut out, message);
    out.push(ARRAY);
    describe(&mut out, &STACK_TRACE);
    out.push(NULL);
    out.extend(0_u32.to_be_bytes());
    out.push(NULL);
    out.push(END_OF_BLOCK);
    // Then of the class itself.
    string(&mut out, trace);
    string(&mut out, class);
    out.push(NULL);
    out
}

fn describe(out: &mut Vec<u8>, class: &Class<'_>) {
    out.push(CLASS_DESCRIPTION);
    utf(out, class.name);
    out.extend(class.version.to_be_bytes());
    out.push(class.flags);
    out.extend((class.fields.len() as u16).to_be_bytes());
    for (code, name, type_name) in class.fields {
        out.push(*code);
        utf(out, name);
        string(out, type_name);
    }
    out.push(END_OF_BLOCK);
}

/// A length in two bytes and the text. Java's UTF-8 differs from everyone else's only for NUL and
/// for what lies beyond 16 bits, which becomes a question mark here.
fn utf(out: &mut Vec<u8>, text: &str) {
    out.extend((text.len() as u16).to_be_bytes());
    out.extend(text.as_bytes());
}

fn string(out: &mut Vec<u8>, text: &str) {
    let plain = |c: char| if c == '\0' || c as u32 > 0xffff { '?' } else { c };
    let text = text.chars().map(plain).collect::<String>();
    match u16::try_from(text.len()) {
        Ok(_) => {
            out.push(STRING);
            utf(out, &text);
        }
        Err(_) => {
            out.push(LONG_STRING);
            out.extend((text.len() as u64).to_be_bytes());
            out.extend(text.as_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn position(bytes: &[u8], part: &[u8]) -> usize {
        bytes.windows(part.len()).position(|window| window == part).expect("it is there")
    }

    #[test]
    fn the_stream_has_the_parts_that_flinks_client_reads_in_their_order() {
        let bytes = serialized("a.B", "why", "a.B: why\n");
        assert_eq!(&bytes[..6], [0xac, 0xed, 0x00, 0x05, 0x73, 0x72]);
        let uid = [0x65, 0x16, 0x9d, 0xf5, 0x1f, 0xa7, 0x13, 0xf3, 0x02, 0x00, 0x03];
        let places = [
            position(&bytes, b"org.apache.flink.util.SerializedThrowable"),
            position(&bytes, &uid),
            position(&bytes, b"fullStringifiedStackTrace"),
            position(&bytes, b"java.lang.Exception"),
            position(&bytes, b"java.lang.Throwable"),
            position(&bytes, b"detailMessage"),
            position(&bytes, b"\x74\x00\x03why"),
            position(&bytes, b"\x75\x72\x00\x1e[Ljava.lang.StackTraceElement;"),
            position(&bytes, b"\x70\x78\x74\x00\x09a.B: why\n\x74\x00\x03a.B\x70"),
        ];
        assert!(places.is_sorted(), "{places:?}");
        assert_eq!(bytes.last(), Some(&NULL));
    }

    #[test]
    fn a_long_message_has_a_long_length() {
        let message = "x".repeat(70_000);
        let bytes = serialized("a.B", &message, "t");
        let place = position(&bytes, &[LONG_STRING, 0, 0, 0, 0, 0, 1, 0x11, 0x70]);
        assert_eq!(bytes[place + 9], b'x');
    }
}

//! Values of a state whose TTL has been switched on or off since they were written.
//!
//! With a TTL a value has the time behind it when it was written (see
//! [`Described::of_state`]): that is added, or taken away, before the value is read.

use tidegate_snapshot::{
    described::{Described, Type},
    manifest::StateDescription,
    wire::{WireError, put_varint, skip, take_length, take_uint},
};
use tidegate_types::Timestamp;

/// Changes the form of a state's values.
pub(crate) struct Retime {
    /// Without times.
    plain: Described,
    had_times: bool,
    times: Times,
}

/// Where the times are.
#[derive(Clone, Copy)]
enum Times {
    /// One behind the value.
    Behind,
    /// As many as elements behind a list.
    PerElement,
    /// One behind each value of a map.
    PerEntry,
}

impl Retime {
    /// Of a state in a snapshot, to which the program has given a TTL, or from which it has taken it.
    pub(crate) fn of(stored: &StateDescription) -> Self {
        let plain = Described::of_state(&StateDescription { ttl_ms: None, ..stored.clone() });
        let times = match stored.kind.as_str() {
            "list" => Times::PerElement,
            "map" => Times::PerEntry,
            _ => Times::Behind,
        };
        Self { plain, had_times: stored.ttl_ms.is_some(), times }
    }

    /// Takes a value from the front of `bytes` and returns it in its other form. What gets a time gets
    /// `now`.
    pub(crate) fn take(&self, bytes: &mut &[u8], now: Timestamp) -> Result<Vec<u8>, WireError> {
        let mut out = Vec::new();
        match (self.times, &self.plain.root) {
            (Times::PerEntry, Type::Map(key, value)) => {
                let count = take_length(bytes)?;
                put_varint(count as u128, &mut out);
                for _ in 0..count {
                    self.copy(bytes, key, &mut out)?;
                    self.copy(bytes, value, &mut out)?;
                    self.time(bytes, now, &mut out)?;
                }
            }
            (Times::PerElement, list) => {
                let count = take_length(&mut &**bytes)?;
                self.copy(bytes, list, &mut out)?;
                let times = if self.had_times { take_length(bytes)? } else { count };
                if !self.had_times {
                    put_varint(count as u128, &mut out);
                }
                for _ in 0..times {
                    self.time(bytes, now, &mut out)?;
                }
            }
            (_, value) => {
                self.copy(bytes, value, &mut out)?;
                self.time(bytes, now, &mut out)?;
            }
        }
        Ok(out)
    }

    fn copy(&self, bytes: &mut &[u8], of: &Type, out: &mut Vec<u8>) -> Result<(), WireError> {
        let before = *bytes;
        skip(bytes, of, &self.plain.definitions)?;
        out.extend_from_slice(&before[..before.len() - bytes.len()]);
        Ok(())
    }

    fn time(&self, bytes: &mut &[u8], now: Timestamp, out: &mut Vec<u8>) -> Result<(), WireError> {
        if self.had_times {
            take_uint(bytes, 64)?;
        } else {
            put_varint(now.millis().into(), out);
        }
        Ok(())
    }
}

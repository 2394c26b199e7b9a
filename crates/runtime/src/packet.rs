//! What travels on every edge: a packet, which is a Timely container of its own.
//!
//! Every packet names the [`Account`] that its records count against while they are under way.
//! Control packets have none, and name the account of what may come of them.
//!
//! # Invariants
//!
//! - INV-FIFO: between one sender and one receiver packets keep their order.

use std::cell::OnceCell;

use tidegate_core::{BatchType, ErasedBatch};
use tidegate_types::{Barrier, BarrierKind, CheckpointId, ErrorKind, EventTime, error::chain};
use timely::{Accountable, bytes::arc::Bytes, dataflow::channels::ContainerBytes};

use crate::in_flight::Account;

/// What splits a stream, orders it, or ends it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Control {
    /// No record with an earlier event time follows on this channel.
    Watermark(EventTime),
    /// The sender has nothing for now: do not wait for its watermark.
    Idle,
    /// The sender was idle and is no more.
    Active,
    /// What is before it belongs to the snapshot.
    Barrier(Barrier),
    /// Nothing follows on this channel.
    End,
}

impl Body {
    /// How many records it holds.
    pub(crate) fn records(&self) -> u64 {
        match self {
            Self::Empty | Self::Control(_) => 0,
            Self::Batch(batch) => batch.len() as u64,
            Self::Encoded(records, _) => *records,
        }
    }
}

/// A packet's content.
#[derive(Default)]
pub(crate) enum Body {
    /// Nothing: what is left behind when a packet is taken.
    #[default]
    Empty,
    /// Some records.
    Batch(ErasedBatch),
    /// Some records as they came over the network; only the receiver knows their type.
    Encoded(u64, Bytes),
    /// A control packet.
    Control(Control),
}

/// What travels on every edge.
pub(crate) struct Packet {
    /// The worker that sent it.
    pub(crate) sender: u32,
    /// What its records count against.
    pub(crate) account: Account,
    /// The content.
    pub(crate) body: Body,
    /// The content's bytes, once they have been needed: Timely asks for the length first.
    wire: OnceCell<Vec<u8>>,
}

impl Packet {
    pub(crate) fn new(sender: u32, account: Account, body: Body) -> Self {
        Self { sender, account, body, wire: OnceCell::new() }
    }

    fn payload(&self) -> &[u8] {
        match &self.body {
            Body::Batch(batch) => self.wire.get_or_init(|| match batch.encode() {
                Ok(bytes) => bytes,
                // Timely asks, and takes no error.
                Err(error) => ErrorKind::Invalid
                    .throw(format!("a record can't be sent to another process: {}", chain(&error))),
            }),
            Body::Encoded(_, bytes) => bytes,
            Body::Empty | Body::Control(_) => &[],
        }
    }
}

/// Gives a body that came over the network its records back.
///
/// # Errors
///
/// When the bytes are not a batch of the stream's type.
pub(crate) fn decoded(
    bytes: &[u8],
    batch_type: &BatchType,
) -> Result<ErasedBatch, tidegate_types::BoxError> {
    batch_type.decode(bytes).map_err(|error| {
        // The next attempt would be sent the same.
        ErrorKind::Invalid.mark(format!(
            "a batch of {} that came over the network can't be read: {}",
            batch_type.name,
            chain(&error)
        ))
    })
}

impl Clone for Packet {
    fn clone(&self) -> Self {
        let body = match &self.body {
            Body::Empty => Body::Empty,
            Body::Batch(batch) => Body::Batch(batch.clone_erased()),
            Body::Encoded(records, bytes) => Body::Encoded(*records, bytes.clone()),
            Body::Control(control) => Body::Control(*control),
        };
        Self::new(self.sender, self.account, body)
    }
}

/// What Timely leaves behind when it has taken a packet.
impl Default for Packet {
    fn default() -> Self {
        Self::new(0, Account::numbered(0), Body::Empty)
    }
}

/// Timely counts nothing, since packets have no timestamp; it asks for what is empty alone, and does
/// not send that.
impl Accountable for Packet {
    fn record_count(&self) -> i64 {
        i64::from(!matches!(self.body, Body::Empty))
    }
}

/// The fixed part of a packet on the wire: six little-endian words of 64 bits.
const HEADER: usize = 48;

/// Kinds of packet on the wire.
mod tag {
    pub(super) const EMPTY: u64 = 0;
    pub(super) const BATCH: u64 = 1;
    pub(super) const WATERMARK: u64 = 2;
    pub(super) const IDLE: u64 = 3;
    pub(super) const BARRIER: u64 = 4;
    pub(super) const END: u64 = 5;
    pub(super) const ACTIVE: u64 = 6;
}

const BARRIER_KINDS: [BarrierKind; 5] = [
    BarrierKind::Checkpoint,
    BarrierKind::Savepoint,
    BarrierKind::StopWithSavepoint { drain: false },
    BarrierKind::StopWithSavepoint { drain: true },
    BarrierKind::Final,
];

impl Packet {
    /// Tag and two words that depend on it.
    fn words(&self) -> [u64; 3] {
        match &self.body {
            Body::Empty => [tag::EMPTY, 0, 0],
            Body::Batch(_) | Body::Encoded(..) => [tag::BATCH, self.body.records(), 0],
            Body::Control(Control::Watermark(time)) => [tag::WATERMARK, time.millis() as u64, 0],
            Body::Control(Control::Idle) => [tag::IDLE, 0, 0],
            Body::Control(Control::Active) => [tag::ACTIVE, 0, 0],
            Body::Control(Control::End) => [tag::END, 0, 0],
            Body::Control(Control::Barrier(barrier)) => {
                let kind = BARRIER_KINDS.iter().position(|kind| *kind == barrier.kind);
                let kind = kind.expect("every kind is in the table");
                [tag::BARRIER, barrier.checkpoint.get(), kind as u64]
            }
        }
    }

    fn body_from(words: [u64; 3], payload: Bytes) -> Body {
        match words {
            [tag::BATCH, records, _] => Body::Encoded(records, payload),
            [tag::WATERMARK, millis, _] => {
                Body::Control(Control::Watermark(EventTime::from_millis(millis as i64)))
            }
            [tag::IDLE, ..] => Body::Control(Control::Idle),
            [tag::ACTIVE, ..] => Body::Control(Control::Active),
            [tag::END, ..] => Body::Control(Control::End),
            [tag::BARRIER, id, kind] => Body::Control(Control::Barrier(Barrier {
                checkpoint: CheckpointId(id),
                kind: BARRIER_KINDS[kind as usize],
            })),
            _ => Body::Empty,
        }
    }
}

impl ContainerBytes for Packet {
    fn from_bytes(mut bytes: Bytes) -> Self {
        let header = bytes.extract_to(HEADER);
        let word = |index: usize| {
            let slice = &header[index * 8..index * 8 + 8];
            u64::from_le_bytes(slice.try_into().expect("eight bytes"))
        };
        let payload = bytes.extract_to(word(5) as usize);
        let body = Self::body_from([word(2), word(3), word(4)], payload);
        Self::new(word(0) as u32, Account::numbered(word(1) as u32), body)
    }

    fn length_in_bytes(&self) -> usize {
        HEADER + self.payload().len().next_multiple_of(8)
    }

    fn into_bytes<W: std::io::Write>(&self, writer: &mut W) {
        let payload = self.payload();
        let [tag, first, second] = self.words();
        let header = [
            u64::from(self.sender),
            u64::from(self.account.number()),
            tag,
            first,
            second,
            payload.len() as u64,
        ];
        let padding = payload.len().next_multiple_of(8) - payload.len();
        let written = header
            .iter()
            .try_for_each(|word| writer.write_all(&word.to_le_bytes()))
            .and_then(|()| writer.write_all(payload))
            .and_then(|()| writer.write_all(&[0; 8][..padding]));
        written.expect("Timely hands out as many bytes as `length_in_bytes` asks for");
    }
}

#[cfg(test)]
mod tests {
    use tidegate_core::Batch;

    use super::*;

    const ACCOUNT: Account = Account::numbered(93);

    fn over_the_wire(packet: &Packet) -> Packet {
        let mut bytes = Vec::new();
        packet.into_bytes(&mut bytes);
        assert_eq!(bytes.len(), packet.length_in_bytes());
        let slab = timely::bytes::arc::BytesMut::from(bytes);
        Packet::from_bytes(slab.freeze())
    }

    #[test]
    fn every_control_packet_survives_the_network() {
        let barriers = BARRIER_KINDS
            .map(|kind| Control::Barrier(Barrier { checkpoint: CheckpointId(7), kind }));
        let others =
            [Control::Watermark(EventTime(-3)), Control::Idle, Control::Active, Control::End];
        for control in barriers.into_iter().chain(others) {
            let back = over_the_wire(&Packet::new(3, ACCOUNT, Body::Control(control)));
            assert_eq!((back.sender, back.account, back.body.records()), (3, ACCOUNT, 0));
            assert!(!back.is_empty(), "Timely sends it");
            assert!(matches!(back.body, Body::Control(same) if same == control));
        }
    }

    #[test]
    fn a_batch_survives_the_network_with_its_count() {
        let batch = Batch::from(vec!["a".to_owned(), "bc".to_owned()]);
        let packet = Packet::new(1, ACCOUNT, Body::Batch(Box::new(batch.clone())));
        let back = over_the_wire(&packet);
        assert_eq!((back.account, back.body.records()), (ACCOUNT, 2));
        let Body::Encoded(_, bytes) = back.body else { panic!("expected bytes") };
        let again = decoded(&bytes, &BatchType::of::<String>()).expect("decodes");
        assert_eq!(tidegate_core::batch::typed::<String>(again), batch);
    }
}

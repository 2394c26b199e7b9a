//! Values of any described type, in the native form.

use tidegate_snapshot::{
    described::{Described, Type},
    wire::{put_bytes, put_int, put_uint, put_varint},
};

/// Numbers that come in no order, and always the same.
pub(crate) struct Numbers(pub(crate) u64);

impl Numbers {
    /// Below `count`.
    pub(crate) fn below(&mut self, count: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % count
    }

    /// A number of any size: many are small.
    fn wide(&mut self) -> u128 {
        let mut word = || u128::from(self.below(1 << 31));
        let all = word() | word() << 31 | word() << 62 | word() << 93 | word() << 124;
        all >> self.below(128)
    }

    fn text(&mut self) -> String {
        const LETTERS: [char; 8] = ['a', 'b', 'Z', '0', ' ', '"', 'ü', '状'];
        (0..self.below(6)).map(|_| LETTERS[self.below(8) as usize]).collect()
    }
}

/// Appends some value of a type: with nothing, empty lists and empty maps at every level.
pub(crate) fn put_any(described: &Described, numbers: &mut Numbers, out: &mut Vec<u8>) {
    put(&described.root, described, numbers, 0, out);
}

fn put(of: &Type, all: &Described, numbers: &mut Numbers, depth: u64, out: &mut Vec<u8>) {
    match of {
        Type::Unit => {}
        Type::Bool => out.push(numbers.below(2) as u8),
        Type::Int(bits) => {
            let number = numbers.wide() as i128;
            put_int(number << (128 - bits) >> (128 - bits), *bits, out);
        }
        Type::UInt(bits) => put_uint(numbers.wide() << (128 - bits) >> (128 - bits), *bits, out),
        Type::F32 => out.extend((numbers.below(1 << 20) as f32 / 7.0).to_le_bytes()),
        Type::F64 => out.extend((numbers.below(1 << 30) as f64 / -7.0).to_le_bytes()),
        Type::Char => put_bytes(["x", "ü", "状"][numbers.below(3) as usize].as_bytes(), out),
        Type::String => put_bytes(numbers.text().as_bytes(), out),
        Type::Bytes => put_bytes(&[0xff; 3][..numbers.below(4) as usize], out),
        Type::Time => put_uint(numbers.wide() >> 80, 64, out),
        Type::Option(inner) => {
            let some = numbers.below(3 + depth) < 2;
            out.push(u8::from(some));
            if some {
                put(inner, all, numbers, depth + 1, out);
            }
        }
        Type::List(element) => put_some(&[element], all, numbers, depth, out),
        Type::Map(key, value) => put_some(&[key, value], all, numbers, depth, out),
        Type::Tuple(parts) => parts.iter().for_each(|of| put(of, all, numbers, depth + 1, out)),
        Type::Struct(fields) => {
            fields.iter().for_each(|(_, of)| put(of, all, numbers, depth + 1, out));
        }
        Type::Enum(variants) => {
            let variant = numbers.below(variants.len() as u64);
            put_varint(variant.into(), out);
            put(&variants[variant as usize].1, all, numbers, depth + 1, out);
        }
        Type::Recursive(name) => put(&all.definitions[name], all, numbers, depth + 1, out),
        Type::Opaque(name) => panic!("`{name}` has no values"),
    }
}

fn put_some(
    parts: &[&Type],
    all: &Described,
    numbers: &mut Numbers,
    depth: u64,
    out: &mut Vec<u8>,
) {
    let count = numbers.below(4 - (depth / 2).min(3));
    put_varint(count.into(), out);
    for _ in 0..count {
        parts.iter().for_each(|of| put(of, all, numbers, depth + 1, out));
    }
}

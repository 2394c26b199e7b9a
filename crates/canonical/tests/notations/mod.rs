//! Types of any shape.

use proptest::prelude::*;

/// Their notations.
pub(crate) fn notations() -> impl Strategy<Value = String> {
    shapes().prop_map(|shape| shape.notation(&mut 0))
}

/// A type before it has a name.
#[derive(Clone, Debug)]
enum Shape {
    Leaf(&'static str),
    Within(&'static str, Box<Shape>),
    Map(Box<Shape>, Box<Shape>),
    Tuple(Vec<Shape>),
    Struct(Vec<Shape>),
    Enum(Vec<Option<Shape>>),
    /// A type that contains itself, in a list and in an option.
    Recursive(Box<Shape>),
}

const LEAVES: &[&str] = &[
    "()", "bool", "i8", "i16", "i32", "i64", "i128", "u8", "u16", "u32", "u64", "u128", "f32",
    "f64", "char", "String", "Bytes",
];

fn shapes() -> impl Strategy<Value = Shape> {
    let leaf = prop::sample::select(LEAVES).prop_map(Shape::Leaf);
    leaf.prop_recursive(6, 24, 4, |inner| {
        let boxed = inner.clone().prop_map(Box::new).boxed();
        let some = prop::collection::vec(inner.clone(), 0..4);
        let variants = prop::collection::vec(prop::option::of(inner), 1..4);
        prop_oneof![
            3 => boxed.clone().prop_map(|of| Shape::Within("Option", of)),
            3 => boxed.clone().prop_map(|of| Shape::Within("List", of)),
            2 => (boxed.clone(), boxed.clone()).prop_map(|(key, of)| Shape::Map(key, of)),
            1 => some.clone().prop_map(Shape::Tuple),
            2 => some.prop_map(Shape::Struct),
            2 => variants.prop_map(Shape::Enum),
            1 => boxed.prop_map(Shape::Recursive),
        ]
    })
}

impl Shape {
    fn notation(&self, named: &mut usize) -> String {
        let name = format!("T{named}");
        match self {
            Self::Leaf(leaf) => (*leaf).to_owned(),
            Self::Within(outer, of) => format!("{outer}<{}>", of.notation(named)),
            Self::Map(key, of) => {
                format!("Map<{}, {}>", key.notation(named), of.notation(named))
            }
            Self::Tuple(parts) => {
                let parts = parts.iter().map(|part| part.notation(named)).collect::<Vec<_>>();
                if parts.is_empty() { "()".to_owned() } else { format!("({})", parts.join(", ")) }
            }
            Self::Struct(fields) => {
                *named += 1;
                let field =
                    |(place, of): (usize, &Self)| format!("f{place}: {}", of.notation(named));
                let fields = fields.iter().enumerate().map(field).collect::<Vec<_>>();
                if fields.is_empty() {
                    return format!("{name} {{}}");
                }
                format!("{name} {{ {} }}", fields.join(", "))
            }
            Self::Enum(variants) => {
                *named += 1;
                let variant = |(place, body): (usize, &Option<Self>)| match body {
                    None => format!("v{place}"),
                    Some(Self::Struct(fields)) if !fields.is_empty() => {
                        let body = Self::Struct(fields.clone()).notation(named);
                        format!("v{place}{}", body.trim_start_matches(|c| c != ' '))
                    }
                    Some(body) => format!("v{place}({})", body.notation(named)),
                };
                let variants = variants.iter().enumerate().map(variant).collect::<Vec<_>>();
                format!("{name} {{ {} }}", variants.join(" | "))
            }
            Self::Recursive(of) => {
                *named += 1;
                let of = of.notation(named);
                format!("{name} {{ of: {of}, list: List<{name}>, option: Option<{name}> }}")
            }
        }
    }
}

//! Whether values of one type can be read as those of another, before any value is.
//!
//! | the program's type has | it is read |
//! |---|---|
//! | a field more, that is an option or has a serde default | with that |
//! | a field less | without |
//! | fields in another order, or by a serde alias | by their names |
//! | an option where there was a value | as some value |
//! | a longer integer or float | as the same number |
//! | a variant more | as before |
//!
//! What a key is must stay what it was: there, no field may come or go. A key that was unlike all
//! others could be like one of them without it, and with it, no record would find its state again.

use std::fmt;

use serde::{Deserialize, Serialize};
use tidegate_snapshot::described::{Definitions, Described, Type};

use crate::describe::shape::{Body, Fields, Name, Shape};

/// A difference that a restore carries over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// Where in the type; empty for the type itself.
    pub path: String,
    /// What has become of it.
    pub what: String,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", place(&self.path), self.what)
    }
}

/// A difference that a restore can't carry over.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}{problem}{}", place(path), advice.map_or_else(String::new, |text| format!("; {text}")))]
pub struct Misfit {
    /// Where in the type; empty for the type itself.
    pub path: String,
    /// What it was and what it is.
    pub problem: String,
    /// What can be done, if there is more to say.
    pub advice: Option<&'static str>,
}

fn place(path: &str) -> String {
    if path.is_empty() { String::new() } else { format!("`{path}`: ") }
}

/// What of a type a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// What states are found by: keys, and keys of maps.
    Key,
    /// What is found.
    Value,
}

/// Compares the type that values were written as with the one that they are to be read as.
///
/// # Errors
///
/// The first place where they can't be.
pub fn compare(stored: &Described, declared: &Shape, role: Role) -> Result<Vec<Change>, Misfit> {
    let mut comparison =
        Comparison { definitions: &stored.definitions, around: Vec::new(), changes: Vec::new() };
    comparison.compare(&stored.root, declared, "", role)?;
    Ok(comparison.changes)
}

/// How deep types that contain themselves are followed.
const DEPTH: usize = 100;

struct Comparison<'a> {
    definitions: &'a Definitions,
    /// The program's structs and enums around the current place, by identity.
    around: Vec<(&'a str, &'a Shape)>,
    changes: Vec<Change>,
}

/// The bits of an integer, and whether it has a sign.
fn integer(name: &str) -> Option<(bool, u8)> {
    let signed = match name.as_bytes().first()? {
        b'i' => true,
        b'u' => false,
        _ => return None,
    };
    Some((signed, name[1..].parse().ok()?))
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

impl<'a> Comparison<'a> {
    fn change(&mut self, path: &str, what: String) {
        self.changes.push(Change { path: path.to_owned(), what });
    }

    fn misfit<T>(
        &self,
        path: &str,
        old: &Type,
        new: &Shape,
        advice: &'static str,
    ) -> Result<T, Misfit> {
        let (old, new) = (in_words(old), self.shape_in_words(new));
        let problem = format!("it is `{old}` in the snapshot and `{new}` in the program");
        let advice = Some(advice).filter(|advice| !advice.is_empty());
        Err(Misfit { path: path.to_owned(), problem, advice })
    }

    fn shape_in_words(&self, shape: &Shape) -> String {
        match shape {
            Shape::Recursion(identity) => {
                let outer = self.around.iter().find(|(around, _)| *around == identity);
                outer.map_or_else(|| "?".to_owned(), |(_, shape)| shape.to_string())
            }
            shape => shape.to_string(),
        }
    }

    fn compare(
        &mut self,
        old: &'a Type,
        new: &'a Shape,
        path: &str,
        role: Role,
    ) -> Result<(), Misfit> {
        match (old, new) {
            // Inside itself it has been compared outside already.
            (Type::Recursive(name), Shape::Recursion(_)) if self.definitions.contains_key(name) => {
                Ok(())
            }
            (Type::Recursive(name), new) => match self.definitions.get(name) {
                Some(old) if self.around.len() < DEPTH => self.compare(old, new, path, role),
                _ => self.misfit(path, old, new, ""),
            },
            (old, Shape::Recursion(identity)) => {
                let outer = self.around.iter().rev().find(|(around, _)| *around == identity);
                match outer.map(|(_, shape)| *shape) {
                    Some(new) if self.around.len() < DEPTH => self.compare(old, new, path, role),
                    _ => self.misfit(path, old, new, ""),
                }
            }
            (old, Shape::Named { identity, body, .. }) => {
                self.around.push((identity, new));
                self.compare_named(old, new, body, path, role)?;
                self.around.pop();
                Ok(())
            }
            (Type::Option(old), Shape::Option(new)) | (Type::List(old), Shape::List(new)) => {
                self.compare(old, new, path, role)
            }
            (Type::Option(_), _) => {
                self.misfit(path, old, new, "there may be none of it: keep it an `Option`")
            }
            (Type::Map(old_key, old), Shape::Map(new_key, new)) => {
                self.compare(old_key, new_key, &join(path, "(key)"), Role::Key)?;
                self.compare(old, new, &join(path, "(value)"), role)
            }
            (old, Shape::Option(new)) => {
                self.compare(old, new, path, role)?;
                self.change(path, "made optional".to_owned());
                Ok(())
            }
            (Type::Tuple(old), Shape::Tuple(new)) if old.len() == new.len() => {
                self.parts(old, new, path, role)
            }
            // One part alone is like that part.
            (Type::Tuple(parts), new) if parts.len() == 1 => {
                self.compare(&parts[0], new, path, role)
            }
            (old, Shape::Leaf(name)) => self.compare_leaves(old, new, name, path),
            _ => self.misfit(path, old, new, ""),
        }
    }

    fn compare_leaves(
        &mut self,
        old: &Type,
        new: &Shape,
        name: &str,
        path: &str,
    ) -> Result<(), Misfit> {
        let before = in_words(old);
        if before == name {
            return Ok(());
        }
        let is_wider = match (old, integer(name)) {
            (Type::Int(bits), Some((true, new))) => new > *bits,
            // A sign takes a bit.
            (Type::UInt(bits), Some((_, new))) => new > *bits,
            (Type::F32, _) => name == "f64",
            _ => false,
        };
        if is_wider {
            self.change(path, format!("widened from `{before}` to `{name}`"));
            return Ok(());
        }
        let is_number = |text: &str| integer(text).is_some() || text.starts_with('f');
        let advice = match is_number(&before) && is_number(name) {
            true => "not every number of the one is one of the other",
            false => "",
        };
        self.misfit(path, old, new, advice)
    }

    fn compare_named(
        &mut self,
        old: &'a Type,
        new: &'a Shape,
        body: &'a Body,
        path: &str,
        role: Role,
    ) -> Result<(), Misfit> {
        match (old, body) {
            (Type::Enum(variants), Body::Variants(new_variants)) => {
                self.variants(variants, new_variants, path, role)
            }
            // One part alone is like that part.
            (old, Body::Tuple(parts)) if parts.len() == 1 => {
                let old = match old {
                    Type::Tuple(old) if old.len() == 1 => &old[0],
                    old => old,
                };
                self.compare(old, &parts[0], path, role)
            }
            _ => match self.bodies(old, body, path, role)? {
                true => Ok(()),
                false => self.misfit(path, old, new, ""),
            },
        }
    }

    /// Whether what is inside structs or variants is of the same kind at all.
    fn bodies(
        &mut self,
        old: &'a Type,
        new: &'a Body,
        path: &str,
        role: Role,
    ) -> Result<bool, Misfit> {
        match (old, new) {
            (Type::Unit, Body::Unit) => {}
            (Type::Tuple(old), Body::Tuple(new)) if old.len() == new.len() => {
                self.parts(old, new, path, role)?;
            }
            (Type::Struct(old), Body::Fields(new)) => self.fields(old, new, path, role)?,
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn parts(
        &mut self,
        old: &'a [Type],
        new: &'a [Shape],
        path: &str,
        role: Role,
    ) -> Result<(), Misfit> {
        let pairs = old.iter().zip(new).enumerate();
        pairs.into_iter().try_for_each(|(place, (old, new))| {
            self.compare(old, new, &join(path, &place.to_string()), role)
        })
    }

    fn fields(
        &mut self,
        old: &'a [(String, Type)],
        new: &'a Fields,
        path: &str,
        role: Role,
    ) -> Result<(), Misfit> {
        let misfit = |name: &str, problem: String| {
            Err::<(), _>(Misfit { path: join(path, name), problem, advice: None })
        };
        let mut places = Vec::new();
        for (name, old) in old {
            let by_name = |known: &Name| known == name;
            let found = new
                .fields
                .iter()
                .position(|field| by_name(&field.name) || field.aliases.iter().any(by_name));
            let Some(place) = found else {
                if role == Role::Key {
                    let problem = "the program's key does not have it: keys that differ in it alone \
                                   would become one";
                    return misfit(name, problem.to_owned());
                }
                if new.denies_others {
                    let problem = "the program does not have it, and refuses what it does not know \
                                   (`deny_unknown_fields`)";
                    return misfit(name, problem.to_owned());
                }
                self.change(&join(path, name), "removed".to_owned());
                continue;
            };
            let field = &new.fields[place];
            if places.contains(&place) {
                let problem =
                    format!("the program reads `{}` from it and from another", field.name);
                return misfit(name, problem);
            }
            places.push(place);
            self.compare(old, &field.shape, &join(path, &field.name), role)?;
            if field.name != *name {
                self.change(&join(path, name), format!("renamed to `{}`", field.name));
            }
        }
        let absent = |(place, _): &(usize, _)| !places.contains(place);
        for (_, field) in new.fields.iter().enumerate().filter(absent) {
            let shape = self.shape_in_words(&field.shape);
            if role == Role::Key {
                let problem = format!(
                    "the snapshot's keys do not have it (it is `{shape}`): no record would find its \
                     state"
                );
                return misfit(&field.name, problem);
            }
            if !field.has_default {
                let problem = format!(
                    "the snapshot does not have it (it is `{shape}`): give it `#[serde(default)]`, \
                     or `#[serde(alias = \"…\")]` if it had another name"
                );
                return misfit(&field.name, problem);
            }
            self.change(&join(path, &field.name), "added with its default".to_owned());
        }
        if !places.is_sorted() {
            self.change(path, "fields in another order".to_owned());
        }
        Ok(())
    }

    fn variants(
        &mut self,
        old: &'a [(String, Type)],
        new: &'a [(Name, Option<Body>)],
        path: &str,
        role: Role,
    ) -> Result<(), Misfit> {
        for (name, old) in old {
            let path = join(path, name);
            let Some((_, body)) = new.iter().find(|(known, _)| known == name) else {
                let problem = "the program's enum does not have this variant".to_owned();
                return Err(Misfit { path, problem, advice: None });
            };
            let same = match body {
                Some(body) => self.bodies(old, body, &path, role)?,
                None => false,
            };
            if !same {
                let problem = format!("this variant is `{}` in the snapshot", in_words(old));
                return Err(Misfit { path, problem, advice: None });
            }
        }
        let is_new = |(name, _): &&(Name, _)| old.iter().all(|(known, _)| known != name);
        for (name, _) in new.iter().filter(is_new) {
            self.change(&join(path, name), "variant added".to_owned());
        }
        Ok(())
    }
}

/// A type as an error shows it.
fn in_words(of: &Type) -> String {
    let join = |parts: &[Type]| parts.iter().map(in_words).collect::<Vec<_>>().join(", ");
    match of {
        Type::Unit => "()".to_owned(),
        Type::Bool => "bool".to_owned(),
        Type::Int(bits) => format!("i{bits}"),
        Type::UInt(bits) => format!("u{bits}"),
        Type::F32 => "f32".to_owned(),
        Type::F64 => "f64".to_owned(),
        Type::Char => "char".to_owned(),
        Type::String => "String".to_owned(),
        Type::Bytes => "Bytes".to_owned(),
        Type::Time => "a time".to_owned(),
        Type::Option(inner) => format!("Option<{}>", in_words(inner)),
        Type::List(inner) => format!("List<{}>", in_words(inner)),
        Type::Map(key, value) => format!("Map<{}, {}>", in_words(key), in_words(value)),
        Type::Tuple(parts) => format!("({})", join(parts)),
        Type::Struct(fields) => {
            let fields = fields.iter().map(|(name, of)| format!("{name}: {}", in_words(of)));
            format!("{{ {} }}", fields.collect::<Vec<_>>().join(", "))
        }
        Type::Enum(variants) => {
            let variants = variants.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>();
            format!("{{ {} }}", variants.join(" | "))
        }
        Type::Recursive(name) | Type::Opaque(name) => name.clone(),
    }
}

#[cfg(test)]
mod tests;

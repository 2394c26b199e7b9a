//! The `tidegate` command against real processes: what a person types, and what they see.

mod readme;
mod support;
mod verbs;

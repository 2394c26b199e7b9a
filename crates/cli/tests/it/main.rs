//! The `tidegate` command against real processes: what a person types, and what they see.

mod chaos;
mod openapi;
mod processes;
mod readme;
mod state;
mod support;
mod verbs;

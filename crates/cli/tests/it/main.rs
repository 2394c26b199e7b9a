//! The `tidegate` command against real processes: what a person types, and what they see.

mod chaos;
mod doors;
mod openapi;
mod processes;
mod programs;
mod readme;
mod state;
mod support;
mod verbs;

//! Operators driven directly, without a runtime.

mod fold;
mod harness;
mod process;
mod stateless;
mod timestamps;
mod unkeyed;

//! Both conversations over real sockets.
#![expect(clippy::unwrap_used, reason = "a test, its helpers too")]

mod fetch;
mod join;
mod loss;
mod register;
mod safety;
mod support;

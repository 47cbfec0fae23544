//! One binary for all integration tests.

mod arguments;
mod golden;
mod harness;
mod input_errors;
mod layers;
mod oracle;
mod readme;
mod reports;
mod signals;
mod spec_errors;

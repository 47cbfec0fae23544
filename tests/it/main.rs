//! One binary for all integration tests.

mod arguments;
mod golden;
mod harness;
mod input_errors;
mod layers;
mod oracle;
mod reports;
mod signals;
mod spec_errors;

//! One binary for all integration tests.

mod arguments;
mod hard_inputs;
mod harness;
mod input_errors;
mod oracle;
mod outputs;
mod reports;
mod signals;
mod spec_errors;

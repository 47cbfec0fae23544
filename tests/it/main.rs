//! One binary for all integration tests.

mod arguments;
mod golden;
mod hard_inputs;
mod harness;
mod input_errors;
mod layers;
mod oracle;
mod outputs;
mod readme;
mod records;
mod reports;
mod schedulers;
mod signals;
mod spec_errors;

//! One binary for all integration tests.

mod agg;
mod arguments;
mod bench;
mod completions;
mod golden;
mod hard_files;
mod hard_inputs;
mod hard_places;
mod harness;
mod input_errors;
mod inputs;
mod layers;
mod oracle;
mod oracle_tables;
mod outputs;
mod params;
mod readme;
mod records;
mod reports;
mod schedulers;
mod signals;
mod spec_errors;
mod table_errors;
mod tables;
mod terminal;
mod verify;

//! The `mapfold` binary: sets the allocator, and hands over to the library's command line.

use std::process::ExitCode;

#[global_allocator]
static MEMORY: mapfold::cli::Allocator = mapfold::cli::Allocator;

fn main() -> ExitCode {
    mapfold::cli::main()
}

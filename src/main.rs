use std::process::ExitCode;

#[global_allocator]
static MEMORY: mapfold::cli::Allocator = mapfold::cli::Allocator;

fn main() -> ExitCode {
    mapfold::cli::main()
}

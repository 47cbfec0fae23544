use std::process::ExitCode;

#[global_allocator]
static MEMORY: mapfold::cli::Memory = mapfold::cli::Memory;

fn main() -> ExitCode {
    mapfold::cli::main()
}

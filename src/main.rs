use std::process::ExitCode;

fn main() -> ExitCode {
    mapfold::cli::main()
}

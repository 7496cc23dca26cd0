//! Parse, run, exit code.

fn main() -> std::process::ExitCode {
    forgebell::cli::run()
}

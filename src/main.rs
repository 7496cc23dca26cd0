//! The program: runs [`forgebell::cli`] and returns its exit code.

fn main() -> std::process::ExitCode {
    forgebell::cli::run()
}

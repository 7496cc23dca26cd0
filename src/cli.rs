//! What a person runs.
pub fn run() -> std::process::ExitCode {
    todo!()
}

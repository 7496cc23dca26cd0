//! The program: runs [`forgebell::cli`] and returns its exit code.

/// An event makes many small pieces of memory on several threads; see `benches/README.md`.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> std::process::ExitCode {
    forgebell::cli::run()
}

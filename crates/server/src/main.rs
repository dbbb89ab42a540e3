//! The binary: hands its arguments to the command line and ends with its exit code.

/// A request is some forty pieces of memory, freed in another order than they were taken; see `docs/performance.md`.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    patron::cli::run()
}

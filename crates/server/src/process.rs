//! What the process asks of the system before it holds secrets.

use rustix::io::Errno;
use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};

/// Keeps secrets out of core dumps, and other processes of the same user out of this one's memory.
///
/// # Errors
/// When the system refuses (a container with its own rules, perhaps). Patron runs on, and says so in the log.
pub fn guard_secrets() -> Result<(), Errno> {
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?;
    set_dumpable_behavior(DumpableBehavior::NotDumpable)
}

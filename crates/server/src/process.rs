//! What the process asks of the system before it holds secrets.

use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};

/// Keeps secrets out of core dumps, and other processes of the same user out of this one's memory.
///
/// A system that refuses (a container with its own rules, perhaps) is told of in the log; the service runs on.
pub fn guard_secrets() {
    let no_core = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
    if let Err(error) = no_core.and_then(|()| set_dumpable_behavior(DumpableBehavior::NotDumpable)) {
        tracing::warn!(%error, "core dumps could not be switched off");
    }
}

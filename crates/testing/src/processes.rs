//! The postmaster and its children as one: ended, stopped and continued together.
//!
//! Each of PostgreSQL's processes leads a process group of its own, so a signal to a group reaches one alone.

use std::fs;
use std::os::fd::OwnedFd;
use std::process::Child;
use std::thread;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{
    Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, kill_process, pidfd_open, pidfd_send_signal, waitid,
};

fn pid(child: &Child) -> Pid {
    Pid::from_child(child)
}

/// Stops the postmaster and waits until it has stopped: from then on its children neither come nor go.
fn stop_parent(postmaster: &Child) {
    kill_process(pid(postmaster), Signal::STOP).unwrap();
    // Left waitable, so that stopping one that is stopped returns as well.
    let options = WaitIdOptions::STOPPED | WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
    waitid(WaitId::Pid(pid(postmaster)), options).unwrap();
}

/// A child, of which nothing is known once the postmaster runs again: another process may get its number.
struct Member {
    id: Pid,
    /// Stays this process's.
    handle: OwnedFd,
}

impl Member {
    fn signal(&self, signal: Signal) {
        // The only failure is that it has ended.
        let _ = pidfd_send_signal(&self.handle, signal);
    }

    /// Waits until it has ended.
    fn await_end(&self) {
        // Readable means ended.
        poll(&mut [PollFd::new(&self.handle, PollFlags::IN)], None).unwrap();
    }

    /// Waits until it has stopped (or ended): it may be in the middle of a system call. Only its parent could be told.
    fn await_stop(&self) {
        let stat = format!("/proc/{}/stat", self.id.as_raw_nonzero());
        let runs = || {
            let stat = fs::read_to_string(&stat).unwrap_or_default();
            // The state comes after the name, which is in parentheses.
            stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['T', 'Z']))
        };
        while runs() {
            thread::yield_now();
        }
    }
}

/// The children of a postmaster that is stopped.
fn children(postmaster: &Child) -> Vec<Member> {
    let id = postmaster.id();
    let list = fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap_or_default();
    let ids = list.split_whitespace().filter_map(|word| Pid::from_raw(word.parse().ok()?));
    // One that has ended in the meantime has no handle, and nothing has to be done about it.
    ids.filter_map(|id| Some(Member { id, handle: pidfd_open(id, PidfdFlags::empty()).ok()? })).collect()
}

/// SIGSTOP to all of them. Returns when all have stopped.
pub(crate) fn pause(postmaster: &Child) {
    stop_parent(postmaster);
    let children = children(postmaster);
    for child in &children {
        child.signal(Signal::STOP);
    }
    children.iter().for_each(Member::await_stop);
}

/// SIGCONT to all of them.
pub(crate) fn resume(postmaster: &Child) {
    for child in &children(postmaster) {
        child.signal(Signal::CONT);
    }
    kill_process(pid(postmaster), Signal::CONT).unwrap();
}

/// SIGKILL to all of them, whether they are paused or not. Returns when none of the children is left; the postmaster
/// itself is the caller's to wait for.
pub(crate) fn kill(postmaster: &Child) {
    stop_parent(postmaster);
    let children = children(postmaster);
    for child in &children {
        child.signal(Signal::KILL);
    }
    kill_process(pid(postmaster), Signal::KILL).unwrap();
    children.iter().for_each(Member::await_end);
}

/// Begins its end, as an administrator does who does not wait for clients: SIGINT, a checkpoint, and done.
pub(crate) fn end(postmaster: &Child) {
    kill_process(pid(postmaster), Signal::INT).unwrap();
}

/// Has it read its settings anew.
pub(crate) fn reload(postmaster: &Child) {
    kill_process(pid(postmaster), Signal::HUP).unwrap();
}

/// Waits until the postmaster has ended, and leaves it to be waited for.
pub(crate) fn await_end(postmaster: &Child) {
    waitid(WaitId::Pid(pid(postmaster)), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT).unwrap();
}

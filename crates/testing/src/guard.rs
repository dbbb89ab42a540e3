//! Ends a cluster whose test can no longer do it.

use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};

use crate::programs::Programs;

/// Reads which process is the postmaster, the last line counting, until whoever wrote it is gone. Ends the postmaster
/// with its children (which it has to know before: then nobody can tell whose they were), and removes the folder.
const SCRIPT: &str = r#"
while read -r line; do postmaster=$line; done
if [ -n "$postmaster" ]; then
    kill -STOP "$postmaster"
    kill -KILL "$postmaster" $(cat "/proc/$postmaster/task/$postmaster/children")
fi
rm -rf "$1" || { sleep 1; rm -rf "$1"; }
"#;

/// A shell that waits for the end of a pipe, which comes with the end of this process however it ends: returning from
/// `main` with a cluster in a `static`, a panic, `kill -9`.
///
/// (Linux would send the postmaster a signal at its parent's end, but means by that the thread that started it.)
#[derive(Debug)]
pub(crate) struct Guard {
    shell: Child,
    pipe: Option<ChildStdin>,
}

impl Guard {
    /// Sees to the end of what is in `folder`.
    pub(crate) fn over(folder: &Path, programs: &Programs) -> Self {
        let mut shell = Command::new("sh");
        shell.args(["-c", SCRIPT, "guard"]).arg(folder).current_dir("/");
        // A group of its own: Ctrl-C means the test, and the guard has to outlive it.
        shell.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
        programs.as_account(&mut shell);
        let mut shell = shell.spawn().unwrap();
        let pipe = shell.stdin.take();
        Self { shell, pipe }
    }

    /// Says which postmaster there is, or that there is none. To be said before it is waited for: as long as nobody
    /// has, its number is nobody else's.
    pub(crate) fn watch(&mut self, postmaster: Option<&Child>) {
        let line = postmaster.map(|child| child.id().to_string()).unwrap_or_default();
        writeln!(self.pipe.as_mut().unwrap(), "{line}").unwrap();
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        drop(self.pipe.take());
        // It removes the folder. Where that failed, there is nobody to tell.
        let _ = self.shell.wait();
    }
}

//! What the cluster says, line by line, for those who wait for a line.

use std::io::{BufRead as _, BufReader, Read};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;

/// The log of a cluster over all its starts. A clone is the same log.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Shared>);

#[derive(Default)]
struct Shared {
    said: Mutex<Said>,
    more: Condvar,
}

#[derive(Default)]
struct Said {
    lines: Vec<String>,
    /// How many are still writing.
    writers: usize,
}

/// A place in the log, to wait for what comes after it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mark(usize);

impl Log {
    /// Takes in all that `source` says, in a thread that ends with it.
    pub(crate) fn follow(&self, source: impl Read + Send + 'static) {
        let log = self.clone();
        log.0.said.lock().unwrap().writers += 1;
        thread::spawn(move || {
            // Bytes, because a cut character is no reason to hear nothing more.
            for line in BufReader::new(source).split(b'\n').map_while(Result::ok) {
                let line = String::from_utf8_lossy(&line).into_owned();
                log.0.said.lock().unwrap().lines.push(line);
                log.0.more.notify_all();
            }
            log.0.said.lock().unwrap().writers -= 1;
            log.0.more.notify_all();
        });
    }

    /// The end of what has been said so far.
    pub(crate) fn mark(&self) -> Mark {
        Mark(self.0.said.lock().unwrap().lines.len())
    }

    /// Waits until a line after `mark` holds `text`; panics with those lines when nobody is left to say it.
    pub(crate) fn wait_for(&self, mark: Mark, text: &str) {
        let mut said = self.0.said.lock().unwrap();
        while !said.lines[mark.0..].iter().any(|line| line.contains(text)) {
            assert!(
                said.writers > 0,
                "PostgreSQL ended without {text:?}:\n{}",
                said.lines[mark.0..].join("\n")
            );
            said = self.0.more.wait(said).unwrap();
        }
    }

    pub(crate) fn text(&self) -> String {
        self.0.said.lock().unwrap().lines.join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_waited_for_after_the_mark_alone() {
        let log = Log::default();
        log.follow(&b"ready\n"[..]);
        log.wait_for(Mark(0), "ready");
        let mark = log.mark();
        log.follow(&b"starting\nnow ready again\n"[..]);
        log.wait_for(mark, "ready again");
        assert_eq!(log.text(), "ready\nstarting\nnow ready again");
    }

    #[test]
    #[should_panic(expected = "no room left")]
    fn who_ends_without_a_word_is_not_waited_for() {
        let log = Log::default();
        log.follow(&b"FATAL: no room left\n"[..]);
        log.wait_for(Mark(0), "ready");
    }
}

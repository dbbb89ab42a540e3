//! What is asked of the person at the terminal. Questions go to stderr, answers come from stdin.

use std::fs::File;
use std::io::{BufRead as _, IsTerminal as _, Write as _};

use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};
use secrecy::SecretString;

use super::Failed;

/// Whether there is somebody to ask.
pub(super) fn is_attended() -> bool {
    std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
}

/// Whether what is read from stdin is typed, and so would be seen.
pub(super) fn is_typed() -> bool {
    std::io::stdin().is_terminal()
}

/// Asks for a line.
pub(super) async fn ask(question: &str) -> Result<String, Failed> {
    eprint!("{question}");
    std::io::stderr().flush()?;
    line().await
}

/// Asks for yes or no; anything else than yes is no.
pub(super) async fn confirms(question: &str) -> Result<bool, Failed> {
    let answer = ask(&format!("{question} [y/N] ")).await?;
    Ok(matches!(answer.to_lowercase().as_str(), "y" | "yes"))
}

/// The next line of stdin, without the blanks around it.
pub(super) async fn line() -> Result<String, Failed> {
    let read = || {
        let mut line = String::new();
        std::io::stdin().lock().read_line(&mut line).map(|_| line)
    };
    // A thread of its own, so that an interruption is heard meanwhile.
    Ok(tokio::task::spawn_blocking(read).await??.trim().to_owned())
}

/// Asks for a secret, which is not shown while it is typed.
pub(super) async fn ask_secret(question: &'static str) -> Result<SecretString, Failed> {
    let _echo = Echo::now();
    let typed = tokio::task::spawn_blocking(move || rpassword::prompt_password(question)).await??;
    Ok(typed.trim().into())
}

/// How the terminal was before it was told not to show what is typed. Who interrupts the question finds it so again.
struct Echo(Option<(File, Termios)>);

impl Echo {
    fn now() -> Self {
        let terminal = File::open("/dev/tty").ok();
        Self(terminal.and_then(|terminal| tcgetattr(&terminal).ok().map(|state| (terminal, state))))
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        if let Some((terminal, state)) = &self.0 {
            let _ = tcsetattr(terminal, OptionalActions::Now, state);
        }
    }
}

//! One thing done to many tokens: shown first, confirmed, and carried on when it fails for one of them.

use std::io::IsTerminal as _;
use std::pin::pin;

use futures_util::TryStreamExt as _;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use patron_client::PersonalAccessToken;

use super::super::show::Look;
use super::super::{fault, terminal};
use super::choice::Choice;
use super::table::{self, Style};
use super::{Caller, Failed, Work, require_consent};

/// Tokens from which on a bar shows how far it is.
const BAR_FROM: usize = 100;
/// Rows that are shown before it is asked whether they are meant.
const SHOWN: usize = 50;

/// Finds the tokens that a filter chooses, oldest first; the credential's own comes last, since after it nothing can be
/// done any more.
pub(super) async fn chosen(work: &Work<'_>, choice: &Choice) -> Result<Vec<PersonalAccessToken>, Failed> {
    let mut pats: Vec<PersonalAccessToken> = pin!(choice.find(work)).try_collect().await?;
    let own = &work.connection.credential.client_id;
    pats.sort_by_key(|pat| pat.id == *own);
    Ok(pats)
}

/// Shows what a filter has chosen and asks whether it is meant, unless `yes`. `deed` is what is done: `Delete`.
pub(super) async fn confirmed(
    work: &Work<'_>,
    pats: &[PersonalAccessToken],
    deed: &str,
    yes: bool,
) -> Result<bool, Failed> {
    require_consent(yes)?;
    if yes && work.is_json() {
        // A program has nothing of a table.
        return Ok(true);
    }
    // To stderr: stdout is for the answer.
    let style = Style { look: Look::of_stderr(), now: Caller::now(), wide: work.wide, owners: true };
    fault::say(table::table(&pats[..pats.len().min(SHOWN)], style).trim_end());
    if pats.len() > SHOWN {
        fault::say(&format!("… and {} more", pats.len() - SHOWN));
    }
    let own = &work.connection.credential.client_id;
    if pats.iter().any(|pat| pat.id == *own) {
        fault::say("Among them is the token that this command itself uses.");
    }
    if yes { Ok(true) } else { terminal::confirms(&format!("{deed} {}?", counted(pats.len()))).await }
}

/// `1 token`, `2 tokens`.
pub(super) fn counted(count: usize) -> String {
    format!("{count} token{}", if count == 1 { "" } else { "s" })
}

/// What became of many.
#[derive(Default)]
pub(super) struct Outcome {
    pub(super) done: Vec<String>,
    /// Those that were sent together, and why they failed.
    pub(super) failed: Vec<(Vec<String>, Failed)>,
}

impl Outcome {
    /// A success when all were done. `deed` is what was done: `deleted`.
    pub(super) fn end(mut self, deed: &str) -> Result<(), Failed> {
        let failed: usize = self.failed.iter().map(|(ids, _)| ids.len()).sum();
        match self.failed.pop() {
            None => Ok(()),
            // What was all that was sent has nothing beside it to be told apart from.
            Some((_, error)) if self.failed.is_empty() && self.done.is_empty() => Err(error),
            Some(last) => {
                self.failed.push(last);
                let summary =
                    format!("{failed} of {} could not be {deed}", counted(self.done.len() + failed));
                Err(Box::new(fault::Partly { summary, failed: self.failed }))
            }
        }
    }
}

/// A bar on stderr, where there is a terminal and enough to do.
pub(super) fn bar(count: usize) -> ProgressBar {
    let shown = count > BAR_FROM && std::io::stderr().is_terminal();
    let target = if shown { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
    let bar = ProgressBar::with_draw_target(Some(count as u64), target);
    let style = ProgressStyle::with_template("{wide_bar} {pos}/{len} {eta}");
    style.map_or(bar.clone(), |style| bar.with_style(style))
}

//! One thing done to many tokens: shown first, confirmed, and carried on when it fails for one of them.

use std::collections::HashSet;
use std::io::IsTerminal as _;
use std::pin::pin;

use clap::Args;
use futures_util::TryStreamExt as _;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use patron_client::PersonalAccessToken;

use super::super::show::Look;
use super::super::{fault, terminal};
use super::choice::{Choice, not_blank};
use super::table::{self, Style};
use super::{Caller, Failed, Work, require_consent};

/// Tokens from which on a bar shows how far it is.
const BAR_FROM: usize = 100;
/// Rows that are shown before it is asked whether they are meant.
const SHOWN: usize = 50;

/// What is done to many tokens, in the words that tell of it.
pub(super) struct Deed {
    /// `Delete`
    pub(super) verb: &'static str,
    /// `deleted`
    pub(super) done: &'static str,
    /// A filter that it is often done by.
    pub(super) filter: &'static str,
}

/// Which tokens, and whether that is asked about.
#[derive(Args)]
pub(super) struct Many {
    /// Ids of tokens; without one, those that the filters choose
    #[arg(value_parser = not_blank)]
    ids: Vec<String>,
    /// Ask nothing
    #[arg(long)]
    yes: bool,
    /// Show what would be sent, and send nothing
    #[arg(long)]
    pub(super) dry_run: bool,
    #[command(flatten)]
    choice: Choice,
}

impl Many {
    /// Refuses what chooses nothing, or everything.
    pub(super) fn check(&self, deed: &Deed) -> Result<(), Failed> {
        let filter = deed.filter;
        Err(fault::usage(match (self.ids.is_empty(), self.choice.is_given()) {
            (true, false) => format!("which? Give ids, or filters such as {filter}"),
            (false, true) => "ids and filters are two ways to choose: give one of them".to_owned(),
            (true, true) if !self.choice.is_narrow() => {
                format!("--all alone is every token there is: add a filter, such as {filter}")
            }
            _ => return Ok(()),
        }))
    }

    /// The ids, once it was confirmed that they are meant. The credential's own comes last, since after its deletion
    /// nothing can be done any more.
    pub(super) async fn ids(&self, work: &Work<'_>, deed: &Deed) -> Result<Vec<String>, Failed> {
        // Found out before anything is looked for.
        let asks = !(self.yes || self.dry_run);
        require_consent(!asks)?;
        let own = &work.connection.credential.client_id;
        let (ids, is_meant) = if self.ids.is_empty() {
            let mut pats: Vec<PersonalAccessToken> = pin!(self.choice.find(work)).try_collect().await?;
            pats.sort_by_key(|pat| pat.id == *own);
            let is_meant = self.dry_run || pats.is_empty() || confirmed(work, &pats, deed, self.yes).await?;
            (pats.into_iter().map(|pat| pat.id).collect(), is_meant)
        } else {
            let mut seen = HashSet::new();
            let mut ids: Vec<String> =
                self.ids.iter().filter(|id| seen.insert(id.as_str())).cloned().collect();
            ids.sort_by_key(|id| id == own);
            let what = if let [id] = ids.as_slice() { format!("token {id}") } else { counted(ids.len()) };
            let is_meant = !asks || terminal::confirms(&format!("{} {what}?", deed.verb)).await?;
            (ids, is_meant)
        };
        if is_meant { Ok(ids) } else { Err("not confirmed; nothing was done".into()) }
    }
}

/// Shows what a filter has chosen and asks whether it is meant, unless `yes`.
async fn confirmed(
    work: &Work<'_>,
    pats: &[PersonalAccessToken],
    deed: &Deed,
    yes: bool,
) -> Result<bool, Failed> {
    if yes && work.caller.json {
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
    if yes { Ok(true) } else { terminal::confirms(&format!("{} {}?", deed.verb, counted(pats.len()))).await }
}

/// `1 token`, `2 tokens`.
pub(super) fn counted(count: usize) -> String {
    format!("{count} token{}", if count == 1 { "" } else { "s" })
}

/// Something on its way to many tokens, request by request, and what has become of it so far.
pub(super) struct Errand<'a> {
    work: &'a Work<'a>,
    deed: &'static Deed,
    count: usize,
    bar: ProgressBar,
    done: Vec<String>,
    /// Those that were sent together, and why they failed.
    failed: Vec<(Vec<String>, Failed)>,
    /// Why stdout takes no more.
    unwritten: Option<Failed>,
}

impl<'a> Errand<'a> {
    pub(super) fn new(work: &'a Work<'a>, deed: &'static Deed, count: usize) -> Self {
        let bar = bar(work, count);
        Self { work, deed, count, bar, done: Vec::new(), failed: Vec::new(), unwritten: None }
    }

    /// Before a request about so many tokens: what to say should it be interrupted.
    pub(super) fn asking(&self, sent: usize) {
        let done = self.done.len();
        let were = if done == 1 { "was" } else { "were" };
        let so_far = format!("; {done} of {} {were} {}", counted(self.count), self.deed.done);
        let open = if sent == 0 { String::new() } else { format!(", and {sent} more may be") };
        self.work.caller.if_interrupted.set((so_far + &open).into());
    }

    pub(super) fn succeeded(&mut self, ids: impl IntoIterator<Item = String>) {
        let before = self.done.len();
        self.done.extend(ids);
        self.bar.inc((self.done.len() - before) as u64);
    }

    pub(super) fn failed(&mut self, ids: Vec<String>, error: impl Into<Failed>) {
        self.bar.inc(ids.len() as u64);
        self.failed.push((ids, error.into()));
    }

    /// Those for which it was done.
    pub(super) fn done(&self) -> &[String] {
        &self.done
    }

    /// Whether it was not done for any, though it was asked for.
    pub(super) fn is_futile(&self) -> bool {
        self.done.is_empty() && !self.failed.is_empty()
    }

    /// Writes to stdout for as long as it can be written. What was asked for goes on without: it is half done, and how
    /// it ends is told on stderr and by the exit code.
    pub(super) fn tell(&mut self, write: impl FnOnce() -> Result<(), Failed>) {
        if self.unwritten.is_none() {
            self.unwritten = write().err();
        }
    }

    /// All requests are through; the terminal is free for the answer.
    pub(super) fn is_through(&self) {
        self.bar.finish_and_clear();
        self.asking(0);
    }

    /// A success when it was done for all, and told to all who listen.
    pub(super) fn end(mut self) -> Result<(), Failed> {
        let failed: usize = self.failed.iter().map(|(ids, _)| ids.len()).sum();
        let deed = self.deed.done;
        if failed == 0 {
            return match self.unwritten {
                Some(error) if !error.is::<fault::ReaderGone>() => {
                    Err(format!("all was {deed}, but stdout cannot be written: {error}").into())
                }
                gone => gone.map_or(Ok(()), Err),
            };
        }
        // What was all that was sent has nothing beside it to be told apart from.
        if self.done.is_empty() && self.failed.len() == 1 {
            return Err(self.failed.remove(0).1);
        }
        let mut summary = format!("{failed} of {} could not be {deed}", counted(self.done.len() + failed));
        if let Some(error) = self.unwritten {
            summary = format!("{summary}; stdout cannot be written: {error}");
        }
        Err(Box::new(fault::Partly { summary, failed: self.failed }))
    }
}

/// A bar on stderr, where there is a terminal and enough to do.
fn bar(work: &Work<'_>, count: usize) -> ProgressBar {
    let shown = count > BAR_FROM && !work.caller.json && std::io::stderr().is_terminal();
    let target = if shown { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
    let bar = ProgressBar::with_draw_target(Some(count as u64), target);
    let style = ProgressStyle::with_template("{wide_bar} {pos}/{len} {eta}");
    style.map_or(bar.clone(), |style| bar.with_style(style))
}

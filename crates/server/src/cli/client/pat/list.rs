//! `patron pat list`.

use std::cmp::Ordering;
use std::pin::pin;

use clap::{Args, ValueEnum};
use futures_util::TryStreamExt as _;
use patron_client::PersonalAccessToken;

use super::answer::ListWriter;
use super::choice::Choice;
use super::{Failed, Work};

#[derive(Args)]
pub(super) struct ListArgs {
    /// Sort by this; oldest first without it, as they arrive
    #[arg(long, value_enum, value_name = "COLUMN")]
    sort: Option<Column>,
    /// Turn the order of --sort round
    #[arg(long, requires = "sort")]
    descending: bool,
    #[command(flatten)]
    choice: Choice,
}

/// What tokens are sorted by, as on the page of all tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Column {
    Name,
    Owner,
    Created,
    /// Those never used come first
    Used,
    /// Those that never expire come last
    Expires,
}

pub(super) async fn run(work: &Work<'_>, args: ListArgs) -> Result<(), Failed> {
    let mut found = pin!(args.choice.find(work));
    let mut list = ListWriter::new(work, args.choice.is_of_many())?;
    let Some(column) = args.sort else {
        while let Some(pat) = found.try_next().await? {
            list.push(pat)?;
        }
        return list.finish();
    };
    let mut pats: Vec<PersonalAccessToken> = found.try_collect().await?;
    pats.sort_by(|one, other| column.compare(one, other).then_with(|| one.id.cmp(&other.id)));
    if args.descending {
        pats.reverse();
    }
    for pat in pats {
        list.push(pat)?;
    }
    list.finish()
}

impl Column {
    fn compare(self, one: &PersonalAccessToken, other: &PersonalAccessToken) -> Ordering {
        let name = |pat: &PersonalAccessToken| pat.name.to_lowercase();
        let owner = |pat: &PersonalAccessToken| pat.owner.name.to_lowercase();
        match self {
            Self::Name => name(one).cmp(&name(other)),
            Self::Owner => owner(one).cmp(&owner(other)).then_with(|| name(one).cmp(&name(other))),
            Self::Created => one.created.cmp(&other.created),
            Self::Used => one.last_used.cmp(&other.last_used),
            Self::Expires => {
                let last = |pat: &PersonalAccessToken| (pat.expiration_date.is_none(), pat.expiration_date);
                last(one).cmp(&last(other))
            }
        }
    }
}

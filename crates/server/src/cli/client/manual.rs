//! What is generated from the definition of the command line: completions and manual pages.

use std::path::PathBuf;

use clap::Args;
use clap_complete::Shell;

use super::{Failed, show};

#[derive(Args)]
pub(in crate::cli) struct Completions {
    /// The shell
    shell: Shell,
}

#[derive(Args)]
pub(in crate::cli) struct Man {
    /// Write a page for each command into this folder, instead of the first one to stdout
    #[arg(long, value_name = "FOLDER")]
    dir: Option<PathBuf>,
}

pub(super) fn completions(args: &Completions, mut definition: clap::Command) -> Result<(), Failed> {
    let mut text = Vec::new();
    clap_complete::generate(args.shell, &mut definition, "patron", &mut text);
    show::out(&String::from_utf8(text)?)
}

pub(super) fn man(args: &Man, definition: clap::Command) -> Result<(), Failed> {
    let Some(folder) = &args.dir else {
        let mut text = Vec::new();
        clap_mangen::Man::new(definition).render(&mut text)?;
        return show::out(&String::from_utf8(text)?);
    };
    let written = std::fs::create_dir_all(folder).and_then(|()| clap_mangen::generate_to(definition, folder));
    written.map_err(|error| format!("{} cannot be written: {error}", folder.display()).into())
}

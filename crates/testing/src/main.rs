//! A PostgreSQL cluster for as long as somebody holds this program's stdin: `cargo xtask test`, or a person.
#![allow(clippy::unwrap_used, reason = "whoever starts this sees why it ended")]

use std::io::{self, Read as _, Write as _};
use std::process::ExitCode;

use patron_testing::{Cluster, Settings, programs};

const USAGE: &str = "\
Usage: patron-testing cluster [--durable] | programs

  cluster   starts a PostgreSQL cluster, prints its superuser's URL, and ends it when stdin ends; it waits for the
            disk only if it is to be durable
  programs  prints the folder of PostgreSQL's programs; exit code 1 when there is none";

/// The tests of a whole run have a pool of connections each.
const MAX_CONNECTIONS: u32 = 500;

fn main() -> ExitCode {
    match std::env::args().nth(1).as_deref() {
        Some("cluster") => {
            let durable = std::env::args().nth(2).as_deref() == Some("--durable");
            let settings = Settings::default().with("max_connections", MAX_CONNECTIONS);
            let cluster = Cluster::start(settings.with("fsync", if durable { "on" } else { "off" }));
            println!("{}", cluster.url("postgres"));
            io::stdout().flush().unwrap();
            // Whatever is typed means nothing; the end, or a broken terminal, is what is waited for.
            let _ = io::copy(&mut io::stdin().lock().by_ref(), &mut io::sink());
            ExitCode::SUCCESS
        }
        Some("programs") => match programs::folder() {
            Some(folder) => {
                println!("{}", folder.display());
                ExitCode::SUCCESS
            }
            None => ExitCode::FAILURE,
        },
        _ => {
            eprintln!("{USAGE}");
            ExitCode::from(2)
        }
    }
}

//! Patron beside ceilings: each round measures one and then the other, so that what the machine does meanwhile is
//! spread over both.

use std::path::Path;
use std::process::Command;

use futures_util::{StreamExt as _, TryStreamExt as _};

use super::{Bench, SMALL};
use crate::Result;
use crate::load::{FORM, Load, Until};
use crate::place::{answered, exchange as obtain, text_of};
use crate::report::{By, Pair, Rate, Table};
use crate::server::{Cores, Home, Server};

/// As many of the tokens as are soon in memory, where it is not they that are measured.
const FEW: u64 = 1_000;
/// Requests that are not measured: connections are opened and memory is filled.
const WARM_UP: Until = Until::Seconds(1.0);

/// A server, and what it is asked for.
pub(super) struct Side<'a> {
    server: &'a Server,
    load: Load<'a>,
}

fn ceiling_of_exchange() -> Result<Server> {
    Server::ceiling(Cores::Server, &["exchange", &SMALL.count.to_string(), &SMALL.owners.to_string()])
}

impl Bench<'_> {
    /// What is asked for with forms of a file.
    pub(super) fn forms_at<'f>(
        &self,
        server: &Server,
        path: &str,
        forms: &'f Path,
        connections: u32,
    ) -> Load<'f> {
        Load {
            url: server.url(path),
            bodies: Some(forms),
            content_type: FORM,
            headers: Vec::new(),
            connections,
            until: Until::Seconds(self.run.seconds),
            rate: None,
        }
    }

    /// Asks, and counts what the server used for it.
    pub(super) fn measure(&self, cores: Cores, server: &Server, load: &Load<'_>) -> Result<Rate> {
        let before = server.cpu()?;
        let told = self.oha.run(cores, load, 0)?;
        let used = server.cpu()?.saturating_sub(before);
        #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
        let answers = told.answers as f64;
        Ok(Rate { by_clock: answers / told.seconds, by_core: answers / used.as_secs_f64() })
    }

    /// Exchanges until nearly all of these are in memory, as they are in a service that has run for a while.
    pub(super) fn warm(&self, server: &Server, forms: &Path, requests: u64) -> Result<()> {
        let load = self.forms_at(server, "/oauth/token", forms, 64);
        self.oha.run(Cores::Load, &Load { until: Until::Requests(requests), ..load }, 0).map(drop)
    }

    /// Both sides, one after the other, as often as is asked for.
    pub(super) fn compare(&self, patron: &Side<'_>, other: &Side<'_>) -> Result<Pair> {
        for side in [patron, other] {
            self.oha.run(Cores::Load, &Load { until: WARM_UP, ..side.load.clone() }, 0)?;
        }
        let mut pair = Pair::default();
        for _ in 0..self.run.rounds {
            pair.patron.push(self.measure(Cores::Load, patron.server, &patron.load)?);
            pair.other.push(self.measure(Cores::Load, other.server, &other.load)?);
        }
        Ok(pair)
    }

    fn ceiling_of_http(&self, answer: &[u8]) -> Result<Server> {
        let file = self.file("answer.json", answer)?;
        Server::ceiling(Cores::Server, &["http", text_of(&file)?])
    }
}

/// Exchanges of 100,000 tokens, each as likely as any other.
pub(super) fn exchange(bench: &Bench<'_>, home: &Home, table: &mut Table) -> Result<()> {
    let forms = bench.lines("exchange.txt", (0..SMALL.count).map(|number| SMALL.form(number)))?;
    let patron = bench.patron(Cores::Server, home)?;
    bench.warm(&patron, &forms, 3 * SMALL.count)?;
    let ceiling = ceiling_of_exchange()?;
    for connections in [16, 64] {
        let side =
            |server| Side { server, load: bench.forms_at(server, "/oauth/token", &forms, connections) };
        let pair = bench.compare(&side(&patron), &side(&ceiling))?;
        table.compare(
            &format!("exchange, {connections} connections"),
            "in-memory exchange",
            &pair,
            By::Core,
            0.85,
        );
    }
    if let Some(folder) = &bench.run.peers {
        peer(bench, folder, &patron, &forms, table)?;
    }
    drop((patron, ceiling));
    let some = bench.lines("some.txt", (0..FEW).map(|number| SMALL.form(number)))?;
    two_cores(bench, home, &some, table)
}

fn peer(bench: &Bench<'_>, folder: &Path, patron: &Server, forms: &Path, table: &mut Table) -> Result<()> {
    let address = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    let mut command: Command = Cores::Server.command(Path::new("node"))?;
    command.arg(folder.join("oidc-provider.mjs")).arg(address.port().to_string()).current_dir(folder);
    let other = Server::other(command, address, "ready")?;
    let one = bench.lines(
        "peer.txt",
        std::iter::once(
            "grant_type=client_credentials&client_id=bench&client_secret=0102030405060708090a0b0c0d0e0f10"
                .to_owned(),
        ),
    )?;
    let pair = bench.compare(
        &Side { server: patron, load: bench.forms_at(patron, "/oauth/token", forms, 64) },
        &Side { server: &other, load: bench.forms_at(&other, "/token", &one, 64) },
    )?;
    table.compare("exchange, 64 connections", "oidc-provider, ES256", &pair, By::Core, 6.0);
    Ok(())
}

/// With both cores for server and load alike, the load takes its part of them; so what counts is what the server makes
/// of its time. Waiting for each other shows in the rate by the clock.
fn two_cores(bench: &Bench<'_>, home: &Home, forms: &Path, table: &mut Table) -> Result<()> {
    let mut pair = Pair::default();
    for _ in 0..bench.run.rounds {
        for (cores, load, rates, times) in [
            (Cores::Both, Cores::Both, &mut pair.patron, 2.0),
            (Cores::Server, Cores::Load, &mut pair.other, 1.0),
        ] {
            let server = bench.patron(cores, home)?;
            let asked = bench.forms_at(&server, "/oauth/token", forms, 64);
            bench.oha.run(load, &Load { until: WARM_UP, ..asked.clone() }, 0)?;
            let Rate { by_clock, by_core } = bench.measure(load, &server, &asked)?;
            rates.push(Rate { by_clock, by_core: by_core * times });
        }
    }
    table.compare("exchange, two cores", "one core", &pair, By::Core, 1.8);
    Ok(())
}

/// Introspection, of tokens that were seen before and of others, and `/forward-auth`.
pub(super) fn introspection(bench: &Bench<'_>, home: &Home, table: &mut Table) -> Result<()> {
    let patron = bench.patron(Cores::Server, home)?;
    let introspect = |token: String| SMALL.introspection(0, &token);
    let seen: Vec<String> =
        (0..1_000).map(|number| bench.exchange(&patron, &SMALL.form(number))).collect::<Result<_>>()?;
    let bearer = seen[0].clone();
    let forms = bench.lines("seen.txt", seen.into_iter().map(introspect))?;
    let answer = bench.runtime.block_on(async {
        let form = introspect(bearer.clone());
        answered(bench.http.post(patron.url("/oauth/introspect")).header("content-type", FORM).body(form))
            .await
    })?;
    let server = bench.ceiling_of_http(&answer)?;
    let introspection =
        Side { server: &patron, load: bench.forms_at(&patron, "/oauth/introspect", &forms, 64) };
    let bare = Side { server: &server, load: bench.forms_at(&server, "/", &forms, 64) };
    let pair = bench.compare(&introspection, &bare)?;
    table.compare("introspection, seen before", "bare HTTP with a form", &pair, By::Core, 0.7);

    let gateway = Load {
        bodies: None,
        headers: vec![format!("authorization: Bearer {bearer}")],
        ..bench.forms_at(&patron, "/forward-auth", &forms, 64)
    };
    // The same request and as many bytes of answer: none.
    let nothing = bench.ceiling_of_http(b"")?;
    let bare = Side { server: &nothing, load: Load { url: nothing.url("/"), ..gateway.clone() } };
    let pair = bench.compare(&Side { server: &patron, load: gateway }, &bare)?;
    table.compare("forward-auth, seen before", "bare HTTP, a GET and no bytes", &pair, By::Core, 0.7);
    drop((server, nothing));
    never_seen(bench, home, patron, introspect, table)
}

/// Tokens that a round draws from, and how many it draws: some are drawn twice, 5 in 100 of them.
const TOKENS: u64 = 200_000;
const DRAWN: u64 = 20_000;

fn never_seen(
    bench: &Bench<'_>,
    home: &Home,
    patron: Server,
    introspect: impl Fn(String) -> String,
    table: &mut Table,
) -> Result<()> {
    let forms = bench.lines("few.txt", (0..FEW).map(|number| SMALL.form(number)))?;
    let ceiling = ceiling_of_exchange()?;
    let mut files = Vec::new();
    for (name, server) in [("patron.txt", &patron), ("ceiling.txt", &ceiling)] {
        let url = server.url("/oauth/token");
        let tokens = futures_util::stream::iter(0..TOKENS)
            .map(|turn| obtain(&bench.http, &url, SMALL.form(turn % FEW)))
            .buffer_unordered(32)
            .try_collect::<Vec<String>>();
        let tokens = bench.runtime.block_on(tokens)?;
        files.push(bench.lines(name, tokens.into_iter().map(&introspect))?);
    }
    drop(patron);
    let mut pair = Pair::default();
    for _ in 0..bench.run.rounds {
        // Begun anew, it has seen none; what they were made from, it has.
        let patron = bench.patron(Cores::Server, home)?;
        bench.warm(&patron, &forms, 10 * FEW)?;
        for (server, forms, rates) in
            [(&patron, &files[0], &mut pair.patron), (&ceiling, &files[1], &mut pair.other)]
        {
            let load = bench.forms_at(server, "/oauth/introspect", forms, 64);
            rates.push(bench.measure(
                Cores::Load,
                server,
                &Load { until: Until::Requests(DRAWN), ..load },
            )?);
        }
    }
    table.compare("introspection, never seen", "in-memory, each verified", &pair, By::Core, 0.85);
    Ok(())
}

/// The list of an owner's ten tokens.
pub(super) fn list(bench: &Bench<'_>, home: &Home, table: &mut Table) -> Result<()> {
    const PATH: &str = "/personal-access-tokens/v1?owner-id=me";
    let patron = bench.patron(Cores::Server, home)?;
    let bearer = bench.exchange(&patron, &SMALL.form(0))?;
    let answer = bench.get(&patron.url(PATH), &bearer)?;
    let listed: Vec<serde_json::Value> = serde_json::from_slice(&answer)?;
    if listed.len() != 10 {
        return Err(format!("the list is of {} tokens", listed.len()).into());
    }
    let bare = bench.ceiling_of_http(&answer)?;
    let load = |url: String| Load {
        url,
        bodies: None,
        content_type: FORM,
        headers: vec![format!("authorization: Bearer {bearer}")],
        connections: 64,
        until: Until::Seconds(bench.run.seconds),
        rate: None,
    };
    let side = |server, url| Side { server, load: load(url) };
    let pair = bench.compare(&side(&patron, patron.url(PATH)), &side(&bare, bare.url("/")))?;
    table.compare("list of ten tokens", "bare HTTP, the same bytes", &pair, By::Core, 0.5);
    Ok(())
}

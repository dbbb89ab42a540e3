//! What changes as tokens become ten million.

use std::time::Duration;

use futures_util::StreamExt as _;
use patron_core::time::Timestamp;
use reqwest::RequestBuilder;

use super::{Bench, SMALL};
use crate::load::{Load, Until};
use crate::pages::Visitor;
use crate::pats::{Pats, Popularity};
use crate::place::answered;
use crate::report::{By, Pair, Table, median, megabytes, thousands};
use crate::server::{Cores, Home, Memory, Server};
use crate::{Failure, Result, database, now, now_seconds};

/// Lines that requests are drawn from where there are many tokens: some are drawn twice in a minute, one in ten.
const DRAWN: u64 = 3_000_000;
/// Requests that have come before, where what is popular is in memory: others, drawn alike. An hour has more of them.
const BEFORE: u64 = 1_500_000;

/// The 99th percentile of an exchange's latency at half the rate that the server can do.
pub(super) fn latency(bench: &Bench<'_>, home: &Home, table: &mut Table) -> Result<()> {
    let forms = bench.lines("latency.txt", (0..SMALL.count).map(|number| SMALL.form(number)))?;
    let patron = bench.patron(Cores::Server, home)?;
    bench.warm(&patron, &forms, 3 * SMALL.count)?;
    let load = bench.forms_at(&patron, "/oauth/token", &forms, 64);
    let top = bench.measure(Cores::Load, &patron, &load)?.by_clock;
    let mut found = Vec::new();
    for _ in 0..bench.run.rounds {
        found.push(bench.oha.run(Cores::Load, &Load { rate: Some(top / 2.0), ..load.clone() }, 0)?.p99_ms);
    }
    let p99 = median(&found);
    let what = format!("p99 of exchange at {} a second, half the top rate", thousands(top / 2.0));
    table.tell(&what, format!("{p99:.1} ms"), "5 ms", p99 <= 5.0);
    Ok(())
}

/// Everything about many tokens.
pub(super) fn growth(bench: &Bench<'_>, table: &mut Table) -> Result<()> {
    let few = Pats { count: 1_000, owners: 100 };
    let many = Pats { count: bench.run.many, owners: bench.run.many / 10 };
    let few_home = bench.home("few", few)?;
    let (began, filled) = (now().1, now_seconds());
    let home = bench.home("many", many)?;
    let size = std::fs::metadata(home.database())?.len();
    println!(
        "{} tokens filled in, in {:.0} s: {}",
        many.count,
        began.elapsed().as_secs_f64(),
        megabytes(size)
    );

    let patron = bench.patron(Cores::Server, &home)?;
    let started = patron.started_in;
    let what = format!("start with {} tokens", thousands(count(many.count)));
    table.tell(&what, format!("{:.0} ms", millis(started)), "1 s", started < Duration::from_secs(1));
    let idle = patron.memory()?.now;
    table.tell("memory, idle", megabytes(idle), "30 MB", idle <= 30_000_000);
    lists(bench, &home, &patron, filled, table)?;
    drop(patron);

    for (popularity, least) in [(Popularity::Zipf, 0.9), (Popularity::Uniform, 0.5)] {
        let few_forms = bench.forms("few.txt", few, popularity, 0..few.count)?;
        let many_forms = bench.forms("many.txt", many, popularity, 0..DRAWN)?;
        let patron = bench.patron(Cores::Server, &home)?;
        let small = bench.patron(Cores::Server, &few_home)?;
        let many_load = bench.forms_at(&patron, "/oauth/token", &many_forms, 64);
        if popularity == Popularity::Zipf {
            let before = bench.forms("before.txt", many, popularity, DRAWN..DRAWN + BEFORE)?;
            bench.warm(&patron, &before, BEFORE)?;
        }
        let mut pair = Pair::default();
        for _ in 0..bench.run.rounds {
            pair.patron.push(bench.measure(Cores::Load, &patron, &many_load)?);
            let load = bench.forms_at(&small, "/oauth/token", &few_forms, 64);
            pair.other.push(bench.measure(Cores::Load, &small, &load)?);
        }
        let ratio = pair.ratio(By::Core);
        let what = format!(
            "exchange with {} tokens, {popularity:?}, of that with 1,000",
            thousands(count(many.count))
        );
        let found = format!("{:.2} ({:.2}–{:.2})", ratio.median, ratio.least, ratio.most);
        table.tell(&what, found, &format!("{least}"), ratio.median >= least);
        if popularity == Popularity::Uniform {
            let soak = Load { until: Until::Seconds(bench.run.soak_seconds), ..many_load };
            bench.oha.run(Cores::Load, &soak, 0)?;
            let Memory { now, peak } = patron.memory()?;
            let what = format!("memory after {:.0} s more of it", bench.run.soak_seconds);
            let found = format!("{}, at most {}", megabytes(now), megabytes(peak));
            table.tell(&what, found, "300 MB", peak <= 300_000_000);
        }
    }
    Ok(())
}

fn lists(bench: &Bench<'_>, home: &Home, patron: &Server, filled: u64, table: &mut Table) -> Result<()> {
    const PATH: &str = "/personal-access-tokens/v1";
    let bearer = bench.exchange(patron, &home.administrator()?)?;
    let many = Pats { count: bench.run.many, owners: bench.run.many / 10 };
    let owner = |turn: u64| hex::encode(many.owner(turn * 7_919 % many.owners));
    let with_token = |path: String| bench.http.get(patron.url(&path)).bearer_auth(&bearer);
    let of_one = timed(bench, |turn| with_token(format!("{PATH}?owner-id={}", owner(turn))))?;
    tell_time(table, "list of one owner", of_one);
    // Of the span in which they were used, a minute has passed or all of it.
    let before = i64::try_from(database::USED_WITHIN / 1_000)? - 60;
    for (what, before) in [("few", before), ("all", 0)] {
        let moment = Timestamp::from_millis((i64::try_from(filled)? - before) * 1_000);
        let path = format!("{PATH}?filters=lastUsed%20le%20{moment}&limit=250");
        let took = timed(bench, |_| with_token(path.clone()))?;
        tell_time(table, &format!("list of 250 by `lastUsed le`, of {what} tokens"), took);
    }
    pages(bench, home, patron, &owner, table)?;
    let streamed = bench.runtime.block_on(stream(bench, patron, &patron.url(PATH), &bearer))?;
    let Streamed { first, rate, grown } = streamed;
    let reached = first < Duration::from_millis(50) && rate >= 200_000.0 && grown < 20_000_000;
    let found =
        format!("{:.0} ms, {} a second, {} more memory", millis(first), thousands(rate), megabytes(grown));
    table.tell("list of 1,000,000, streamed: its first byte", found, "50 ms, 200,000, 20 MB", reached);
    Ok(())
}

fn tell_time(table: &mut Table, what: &str, took: Duration) {
    table.tell(what, format!("{:.1} ms", millis(took)), "20 ms", took < Duration::from_millis(20));
}

/// What an administrator sees of all tokens.
fn pages(
    bench: &Bench<'_>,
    home: &Home,
    patron: &Server,
    owner: &dyn Fn(u64) -> String,
    table: &mut Table,
) -> Result<()> {
    let visitor = Visitor::sign_in(bench, home, patron)?;
    let list = |query: &str| visitor.get(&patron.url(&format!("/ui/a/personal-access-tokens?{query}")));
    for (what, query) in
        [("all", ""), ("by last use", "sort=used&dir=desc"), ("unused for a day", "use=unused&unused=1")]
    {
        let took = timed(bench, |_| list(query))?;
        tell_time(table, &format!("administrator's page: {what}"), took);
    }
    let took = timed(bench, |turn| list(&format!("owner={}", owner(turn))))?;
    tell_time(table, "administrator's page: of one owner", took);
    let took = timed(bench, |_| visitor.get(&patron.url("/ui/a/dashboard")))?;
    tell_time(table, "administrator's dashboard", took);
    Ok(())
}

/// The middle of twenty times, or of those that go into two seconds.
fn timed(bench: &Bench<'_>, request: impl Fn(u64) -> RequestBuilder) -> Result<Duration> {
    let mut took = Vec::new();
    let first = now().1;
    for turn in 0..20 {
        if turn > 0 && first.elapsed() > Duration::from_secs(2) {
            break;
        }
        let request = request(turn);
        let began = now().1;
        bench.runtime.block_on(answered(request))?;
        took.push(began.elapsed().as_secs_f64());
    }
    Ok(Duration::from_secs_f64(median(&took)))
}

struct Streamed {
    first: Duration,
    rate: f64,
    grown: u64,
}

/// Reads a list's first million tokens.
async fn stream(bench: &Bench<'_>, patron: &Server, url: &str, bearer: &str) -> Result<Streamed> {
    /// Stands in each token once.
    const MARK: &[u8] = b"\"accessTokenValiditySeconds\"";
    let most = 1_000_000.min(bench.run.many);
    patron.forget_peak()?;
    let before = patron.memory()?.now;
    let began = now().1;
    let answer = bench.http.get(url).bearer_auth(bearer).send().await?.error_for_status()?;
    let mut body = answer.bytes_stream();
    let (mut first, mut listed, mut tail) = (None, 0, Vec::new());
    while let Some(part) = body.next().await {
        let part = part?;
        first.get_or_insert_with(|| began.elapsed());
        tail.extend_from_slice(&part);
        listed += u64::try_from(memchr::memmem::find_iter(&tail, MARK).count())?;
        // A mark may be cut in two; one that is whole has been counted.
        tail.drain(..tail.len().saturating_sub(MARK.len() - 1));
        if listed >= most {
            break;
        }
    }
    let took = began.elapsed();
    let Some(first) = first else { return Err(Failure("the list has no bytes".to_owned()).into()) };
    if listed < most {
        return Err(Failure(format!("the list ended after {listed} tokens")).into());
    }
    let grown = patron.memory()?.peak.saturating_sub(before);
    Ok(Streamed { first, rate: count(listed) / took.as_secs_f64(), grown })
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
fn count(number: u64) -> f64 {
    number as f64
}

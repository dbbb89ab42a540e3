//! `kill -9` at any moment loses no answered change and brings back nothing that was deleted (contract section 1).

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use patron_core::clock::Entropy as _;
use patron_testing::Engine;
use reqwest::blocking::{Client, RequestBuilder};
use serde_json::{Value, json};

use crate::serving::Folder;
use crate::support::{Server, basic, run_json};

const PATS: &str = "/personal-access-tokens/v1";
/// How often it is killed. Where nodes share a database, whatever is changed after each of them waits three seconds for
/// the node that is no more, and the tests of several nodes kill them as well.
fn rounds() -> u64 {
    match Engine::of_this_run() {
        Engine::Sqlite => 20,
        Engine::Postgres => 5,
    }
}
const THREADS: u64 = 4;
/// Answered changes in a round, at most.
const CHANGES: u64 = 40;

/// Random numbers from a seed (xorshift64*), so that a failure can be looked at again.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % bound
    }
}

/// What is known of a PAT: its name as it was answered, and the change that was not answered any more.
#[derive(Debug, Clone)]
struct Known {
    id: String,
    secret: String,
    name: Option<String>,
    unanswered: Option<Unanswered>,
}

#[derive(Debug, Clone)]
enum Unanswered {
    Renamed(String),
    Deleted,
}

/// What one thread did in one round.
struct Done {
    pats: Vec<Known>,
    /// The name of a PAT whose creation was not answered.
    created: Option<String>,
}

/// Creates, renames and deletes until the service is gone.
fn work(
    server: &Server,
    credential: &str,
    mut random: Random,
    label: &str,
    mut pats: Vec<Known>,
    done: &mpsc::Sender<()>,
) -> Done {
    let client = Client::new();
    let send = |request: RequestBuilder| -> Option<(u16, Value)> {
        let answer = request.header("authorization", credential).send().ok()?;
        let status = answer.status().as_u16();
        // A body that broke off was no answer.
        let body = answer.bytes().ok()?;
        let body = if body.is_empty() { Value::Null } else { serde_json::from_slice(&body).ok()? };
        // Nobody listens any more: the service was killed in the meantime.
        let _ = done.send(());
        Some((status, body))
    };
    for count in 0_u64.. {
        let name = format!("{label}-{count}");
        let live: Vec<usize> = (0..pats.len()).filter(|&at| pats[at].name.is_some()).collect();
        let chosen = live.get(usize::try_from(random.below(live.len().max(1) as u64)).unwrap()).copied();
        match (random.below(5), chosen) {
            (2 | 3, Some(at)) => {
                let url = server.url(&format!("{PATS}/{}", pats[at].id));
                let patch = json!([{ "op": "replace", "path": "/name", "value": name }]);
                let request = client.patch(url).header("content-type", "application/json-patch+json");
                let Some(answer) = send(request.body(patch.to_string())) else {
                    pats[at].unanswered = Some(Unanswered::Renamed(name));
                    return Done { pats, created: None };
                };
                assert_eq!((answer.0, &answer.1["name"]), (200, &json!(name)), "{answer:?}");
                pats[at].name = Some(name);
            }
            (4, Some(at)) => {
                let url = server.url(&format!("{PATS}/{}", pats[at].id));
                let Some(answer) = send(client.delete(url)) else {
                    pats[at].unanswered = Some(Unanswered::Deleted);
                    return Done { pats, created: None };
                };
                assert_eq!(answer.0, 204, "{answer:?}");
                pats[at].name = None;
            }
            _ => {
                let body = json!({ "name": name, "userAwareTokenNeverExpires": true });
                let Some((status, made)) = send(client.post(server.url(PATS)).json(&body)) else {
                    return Done { pats, created: Some(name) };
                };
                assert_eq!(status, 200, "{made}");
                let text = |field: &str| made[field].as_str().unwrap().to_owned();
                pats.push(Known {
                    id: text("id"),
                    secret: text("secret"),
                    name: Some(name),
                    unanswered: None,
                });
            }
        }
    }
    unreachable!("the service is killed");
}

/// Looks at what the service knows after it was killed, and settles what was left open.
fn settle(server: &Server, credential: &str, done: Done) -> Vec<Known> {
    let client = Client::new();
    let list = client.get(server.url(&format!("{PATS}?owner-id=me"))).header("authorization", credential);
    let list: Value = serde_json::from_slice(&list.send().unwrap().bytes().unwrap()).unwrap();
    let mut found: BTreeMap<String, String> = list
        .as_array()
        .unwrap_or_else(|| panic!("no list: {list}"))
        .iter()
        .map(|pat| (pat["id"].as_str().unwrap().to_owned(), pat["name"].as_str().unwrap().to_owned()))
        .filter(|(_, name)| name != "acting")
        .collect();
    let exchange = |known: &Known| {
        let form = [
            ("grant_type", "client_credentials"),
            ("client_id", &known.id),
            ("client_secret", &known.secret),
        ];
        let answer = client.post(server.url("/oauth/token")).form(&form).send().unwrap();
        (answer.status().as_u16(), String::from_utf8(answer.bytes().unwrap().to_vec()).unwrap())
    };
    let mut pats = Vec::new();
    for mut known in done.pats {
        let now = found.remove(&known.id);
        match (&known.name, &known.unanswered) {
            (Some(name), None) => {
                assert_eq!(now.as_ref(), Some(name), "an answered change is lost: {known:?}");
            }
            (None, None) => assert_eq!(now, None, "a deleted one is back: {known:?}"),
            (name, Some(Unanswered::Renamed(other))) => {
                assert!(now == *name || now.as_ref() == Some(other), "{now:?}: {known:?}");
            }
            (name, Some(Unanswered::Deleted)) => assert!(now == *name || now.is_none(), "{now:?}: {known:?}"),
        }
        // A deleted one's holder is told so, and gets nothing.
        let (status, body) = exchange(&known);
        assert_eq!(status, if now.is_some() { 200 } else { 401 }, "{known:?}: {body}");
        assert_eq!(now.is_none(), body.contains("was deleted"), "{known:?}: {body}");
        (known.name, known.unanswered) = (now, None);
        pats.push(known);
    }
    for (id, name) in found {
        assert_eq!(Some(&name), done.created.as_ref(), "nobody made {id}");
        // Its secret is lost with the answer, so it is of no use to anybody.
        let url = server.url(&format!("{PATS}/{id}"));
        let answer = client.delete(url).header("authorization", credential).send().unwrap();
        assert_eq!(answer.status().as_u16(), 204);
    }
    pats
}

#[test]
fn no_answered_change_is_lost_and_nothing_deleted_comes_back() {
    let mut bytes = [0; 8];
    patron::system::SystemEntropy.fill(&mut bytes);
    let seed = std::env::var("SEED").map_or(u64::from_le_bytes(bytes) | 1, |seed| seed.parse().unwrap());
    println!("SEED={seed}");
    let mut random = Random(seed);

    let folder = Folder::bootstrapped();
    let credentials: Vec<String> = (0..THREADS)
        .map(|n| {
            let name = format!("worker{n}");
            let worker = run_json(&folder.data, &["admin", "identity", "create", "--name", &name]);
            let owner = worker["id"].as_str().unwrap();
            let args = ["admin", "pat", "create", "--owner", owner, "--name", "acting", "--never-expires"];
            let acting = run_json(&folder.data, &args);
            basic(acting["id"].as_str().unwrap(), acting["secret"].as_str().unwrap())
        })
        .collect();
    let limits = [
        ("PATRON_RATE_LIMITS_REQUESTS", "0"),
        ("PATRON_RATE_LIMITS_AUTH_FAILURES_PER_ADDRESS", "0"),
        ("PATRON_PAT_LIMITS_PER_OWNER", "10000"),
    ];
    let mut known: Vec<Vec<Known>> = vec![Vec::new(); credentials.len()];
    let answered = AtomicUsize::new(0);
    for round in 0..rounds() {
        let server = Server::start_with(&folder.data, &[], &limits);
        let (told, receive) = mpsc::channel();
        let (moment, offset) = (1 + random.below(CHANGES), Duration::from_micros(random.below(3_000)));
        let done: Vec<Done> = std::thread::scope(|scope| {
            let workers: Vec<_> = credentials
                .iter()
                .enumerate()
                .map(|(n, credential)| {
                    let (server, told) = (&server, told.clone());
                    let random = Random(random.0 ^ (round << 8 | n as u64) | 1);
                    let pats = std::mem::take(&mut known[n]);
                    let label = format!("r{round}w{n}");
                    scope.spawn(move || work(server, credential, random, &label, pats, &told))
                })
                .collect();
            drop(told);
            for _ in 0..moment {
                // A worker whose assertion failed has hung up.
                if receive.recv().is_ok() {
                    answered.fetch_add(1, Ordering::Relaxed);
                }
            }
            // The moment within a change, rather than between two: not a wait for anything.
            std::thread::sleep(offset);
            server.signal("KILL");
            workers.into_iter().map(|worker| worker.join().unwrap()).collect()
        });
        drop(server);
        let server = Server::start_with(&folder.data, &[], &limits);
        known = credentials
            .iter()
            .zip(done)
            .map(|(credential, done)| settle(&server, credential, done))
            .collect();
        // Killed as well: what it was told in peace is not on its way any more.
        server.kill();
    }
    println!("{} answered changes, {} PATs", answered.into_inner(), known.iter().flatten().count());

    // No change without its record (contract section 9).
    let events = run_json(&folder.data, &["admin", "audit", "list", "--limit", "10000"]);
    let mut recorded: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for event in events.as_array().unwrap() {
        let (id, name) = (event["target"]["id"].as_str().unwrap(), event["technicalName"].as_str().unwrap());
        *recorded.entry((id, name)).or_default() += 1;
    }
    for pat in known.iter().flatten() {
        let times = |name: &str| recorded.get(&(pat.id.as_str(), name)).copied().unwrap_or(0);
        assert_eq!(times("PERSONAL_ACCESS_TOKEN_CREATED"), 1, "{pat:?}");
        assert_eq!(times("PERSONAL_ACCESS_TOKEN_DELETED"), usize::from(pat.name.is_none()), "{pat:?}");
    }
    folder.database().assert_whole();
}

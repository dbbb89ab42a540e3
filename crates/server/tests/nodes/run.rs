//! Random operations of several clients over three nodes, while everything fails.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use patron_core::clock::Entropy as _;

use crate::clients::{Cast, Client};
use crate::faults::{self, Probe};
use crate::model::{Credential, Model};
use crate::process::basic;
use crate::random::Random;
use crate::report::Report;
use crate::time::At;
use crate::wire::secrets_in;
use crate::world::{Node, World};

const CLIENTS: usize = 8;
/// How long it runs, unless [`SECONDS`] says otherwise.
const DEFAULT_SECONDS: u64 = 60;
/// The environment's word on how long.
const SECONDS: &str = "PATRON_NODES_SECONDS";
/// The environment's word on which run: the same clients draw the same numbers.
const SEED: &str = "PATRON_NODES_SEED";

/// When nothing fails any more, a node answers everything within this.
pub(crate) const RECOVERS_WITHIN: Duration = Duration::from_secs(15);

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is no number")))
}

fn random_seed() -> u64 {
    let mut bytes = [0; 4];
    patron::system::SystemEntropy.fill(&mut bytes);
    u32::from_le_bytes(bytes).into()
}

#[test]
fn three_nodes_tell_one_truth() {
    let seed = number(SEED).unwrap_or_else(random_seed);
    let seconds = number(SECONDS).unwrap_or(DEFAULT_SECONDS);
    println!("{SEED}={seed}");
    let world = World::start(true);
    let mut model = Model::default();
    let cast = Cast::enter(&world, &mut model, CLIENTS);
    let probe = probe(&world);
    world.serve();
    let model = Mutex::new(model);
    let end = At::now().plus(Duration::from_secs(seconds));
    let is_over = AtomicBool::new(false);
    let (chronicle, failovers) = std::thread::scope(|scope| {
        for number in 0..CLIENTS {
            let random = Random::new(seed, number as u64);
            let mut client = Client::new(number, (&world, &model, &cast), random);
            let (model, is_over) = (&model, &is_over);
            scope.spawn(move || {
                while !is_over.load(Ordering::Relaxed) && model.lock().unwrap().violations.is_empty() {
                    client.act();
                }
            });
        }
        let mut witness = Client::new(CLIENTS, (&world, &model, &cast), Random::new(seed, CLIENTS as u64));
        let random = Random::new(seed, CLIENTS as u64 + 1);
        let happened = faults::run((&world, &model, &probe), &mut witness, random, end);
        is_over.store(true, Ordering::Relaxed);
        happened
    });
    look_at_everything(&world, &model, &cast);
    let mut model = model.into_inner().unwrap();
    model.judge_all_again();
    model.judge_outages(|event| chronicle.excuses(event));
    for log in world.nodes.iter().map(Node::log) {
        if secrets_in(&log).next().is_some() {
            model.violations.push("a log shows a secret".to_owned());
        }
    }
    if model.violations.is_empty() {
        let report = Report { seed, seconds, model: &model, chronicle: &chronicle, failovers: &failovers };
        let lacks = report.lacks();
        model.violations.extend(lacks);
    }
    let report = Report { seed, seconds, model: &model, chronicle: &chronicle, failovers: &failovers };
    println!("{}", report.text());
    if !model.violations.is_empty() {
        for (fault, when) in chronicle.all() {
            println!("{} … {} {fault}", when.begin, when.end);
        }
        panic!("{SEED}={seed}\n{}", model.violations.join("\n"));
    }
}

/// Somebody whom nobody else asks for anything.
fn probe(world: &World) -> Probe {
    let made = world.admin(&["admin", "identity", "create", "--name", "probe"]);
    let owner = made["id"].as_str().unwrap();
    let pat =
        world.admin(&["admin", "pat", "create", "--owner", owner, "--name", "probe", "--never-expires"]);
    let text = |field: &str| pat[field].as_str().unwrap();
    Probe { authorization: basic(text("id"), text("secret")) }
}

/// When nothing fails any more: every list, and what is thought of every PAT and access token, at every node.
fn look_at_everything(world: &World, model: &Mutex<Model>, cast: &Cast) {
    let (pats, tokens) = {
        let model = model.lock().unwrap();
        (model.pats.len(), model.tokens.len())
    };
    let look = |node: usize| {
        let number = CLIENTS + 1 + node;
        let client = Client::new(number, (world, model, cast), Random::new(0, number as u64));
        let limit = At::now().plus(RECOVERS_WITHIN);
        let answers = |ask: &dyn Fn()| client.asks_until_answered(limit, ask);
        let owners = cast.workers.iter().chain(&cast.victims);
        let newest_tokens = tokens.saturating_sub(500)..tokens;
        owners.into_iter().all(|&owner| answers(&|| client.list(node, owner)))
            && (0..pats).all(|pat| answers(&|| _ = client.exchange(node, pat)))
            && newest_tokens.map(Credential::Token).all(|token| answers(&|| client.call(node, token)))
    };
    std::thread::scope(|scope| {
        for node in 0..world.nodes.len() {
            scope.spawn(move || {
                if !look(node) {
                    let violation = format!("node {node} does not recover within {RECOVERS_WITHIN:?}");
                    model.lock().unwrap().violations.push(violation);
                }
            });
        }
    });
}
